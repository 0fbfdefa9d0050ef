"""Makes a scene that plays sequences in many ways, and writes down which file each frame asks for.

Run by Blender, or by Python with bpy: make_sequences.py -- FOLDER
"""

import json
import os
import sys

import bpy

FOLDER = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
# Name, start, length, offset, cyclic.
PLAYS = [
    ("plain", 1, 4, 0, False),
    ("late", 5, 3, 10, False),
    ("before_zero", 2, 6, -4, False),
    ("cyclic", 3, 4, 20, True),
    ("cyclic_one", 1, 1, 6, True),
    ("two", 4, 5, 1, True),
]
VOLUMES = [
    ("clip", 2, 4, 3, "CLIP"),
    ("extend", 2, 4, 0, "EXTEND"),
    ("repeat", 4, 3, 5, "REPEAT"),
    ("ping", 3, 4, 0, "PING_PONG"),
]
FRAMES = range(-3, 25)


def at(*names):
    path = os.path.join(FOLDER, *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def sequence(name, ending):
    for number in range(40):
        with open(at(name, f"run_{number:04}.{ending}"), "wb") as file:
            file.write(b"some bytes")


def image_of(name):
    image = bpy.data.images.new(name, 4, 4)
    image.source = "SEQUENCE"
    image.filepath_raw = f"//{name}/run_0001.png"
    return image


def node(image, owner, start, length, offset, cyclic):
    made = owner.node_tree.nodes.new("ShaderNodeTexImage")
    made.image = image
    user = made.image_user
    user.frame_start, user.frame_duration = start, length
    user.frame_offset, user.use_cyclic, user.use_auto_refresh = offset, cyclic, True
    return made


bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.frame_start, scene.frame_end, scene.frame_step = 1, 6, 1
mesh = bpy.data.meshes.new("Mesh")
mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
scene.collection.objects.link(bpy.data.objects.new("Mesh", mesh))
scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(scene.camera)
materials = {}
for name, *play in PLAYS:
    sequence(name, "png")
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    node(image_of(name), material, *play)
    mesh.materials.append(material)
    materials[name] = material
# A second user of one image, in the world.
world = bpy.data.worlds.new("World")
world.use_nodes = True
scene.world = world
sky = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
sky.image = bpy.data.images["two"]
sky.image_user.frame_start, sky.image_user.frame_duration = 20, 2
sky.image_user.frame_offset, sky.image_user.use_auto_refresh = 30, True
for name, start, length, offset, mode in VOLUMES:
    sequence(name, "vdb")
    volume = bpy.data.volumes.new(name)
    volume.filepath, volume.is_sequence = f"//{name}/run_0001.vdb", True
    volume.frame_start, volume.frame_duration = start, length
    volume.frame_offset, volume.sequence_mode = offset, mode
    scene.collection.objects.link(bpy.data.objects.new(name, volume))
bpy.ops.wm.save_as_mainfile(filepath=at("plays.blend"), relative_remap=False)

asked = {}
for frame in FRAMES:
    scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    for name, material in materials.items():
        user = material.evaluated_get(graph).node_tree.nodes[-1].image_user
        asked.setdefault(name, []).append([user.frame_current])
    user = world.evaluated_get(graph).node_tree.nodes[-1].image_user
    asked["two"][-1].append(user.frame_current)
    for name, *_ in VOLUMES:
        grids = bpy.data.objects[name].evaluated_get(graph).data.grids
        asked.setdefault(name, []).append([grids.frame])

with open(at("asked.json"), "w") as file:
    json.dump({"first": FRAMES[0], "asked": asked}, file)

# Someone moves an offset by hand.
user = materials["plain"].node_tree.nodes[-1].image_user
user.frame_offset = 3
user.keyframe_insert("frame_offset", frame=1)
bpy.ops.wm.save_as_mainfile(filepath=at("animated.blend"), relative_remap=False)
print("made all sequences")
