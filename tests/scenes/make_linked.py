"""Makes the scene with which weft's tests show that no file of a scene is lost on its way.

Run by Blender 3.x: blender -b --factory-startup --python make_linked.py -- FOLDER [absolute]

It writes shots/linked.blend, which links lib/thing.blend, and their pictures below textures/. The
four frames show, side by side, a wall of two UDIM tiles, a screen that plays a sequence of four
pictures, and the linked thing: what is lost shows magenta or is gone. A picture that nothing shows,
textures/unused.png, is named and is not there. With `absolute` all paths in the files are spelled
out in full.
"""

import os
import struct
import sys
import zlib

import bpy

ARGUMENTS = sys.argv[sys.argv.index("--") + 1:]
FOLDER = os.path.realpath(ARGUMENTS[0])
ABSOLUTE = "absolute" in ARGUMENTS[1:]
# What the screen shows, frame by frame.
SCREEN = [(250, 250, 250), (60, 90, 250), (60, 230, 230), (250, 140, 20)]


def at(*names):
    path = os.path.join(FOLDER, *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def spelled(relative):
    """A path as the files in shots/ and lib/ are to spell it."""
    return at(*relative.split("/")) if ABSOLUTE else "//../" + relative


def picture(path, light, dark, stripes):
    """A PNG of 64 by 64 pixels with stripes of two colours."""

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    size = 64
    row = b"".join(bytes(light if x * stripes // size % 2 else dark) for x in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    with open(at(*path.split("/")), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress((b"\0" + row) * size)) + chunk(b"IEND", b""))


def load(path, first=None, source="FILE"):
    image = bpy.data.images.load(at(*(first or path).split("/")))
    image.source = source
    image.filepath = spelled(path)
    return image


def sheet(name, image, corners, uvs):
    """Faces that glow in a picture's colours, whatever the light."""
    mesh = bpy.data.meshes.new(name)
    faces = [tuple(range(at, at + 4)) for at in range(0, len(corners), 4)]
    mesh.from_pydata(corners, [], faces)
    layer = mesh.uv_layers.new()
    for loop, uv in zip(layer.data, uvs):
        loop.uv = uv
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    glow = tree.nodes.new("ShaderNodeEmission")
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh), texture


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.use_relative_paths = False
    bpy.context.preferences.filepaths.save_version = 0


def save(path, compress):
    # Where the paths in the file lead from is decided here, not by Blender.
    path = at(*path.split("/"))
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False, compress=compress)


def make_library():
    picture("textures/thing.png", (40, 200, 90), (10, 60, 30), 8)
    empty()
    save("lib/thing.blend", True)
    square = [(1.3, 0, -0.6), (2.5, 0, -0.6), (2.5, 0, 0.6), (1.3, 0, 0.6)]
    thing, _ = sheet("Thing", load("textures/thing.png"), square, [(0, 0), (1, 0), (1, 1), (0, 1)])
    things = bpy.data.collections.new("Things")
    things.use_fake_user = True
    things.objects.link(thing)
    save("lib/thing.blend", True)


def make_shot():
    picture("textures/wall.1001.png", (230, 60, 40), (90, 20, 10), 4)
    picture("textures/wall.1002.png", (240, 220, 60), (110, 90, 10), 4)
    for frame, light in enumerate(SCREEN, 1):
        dark = tuple(part // 4 for part in light)
        picture(f"textures/screen/run_{frame:04}.png", light, dark, 2 * frame)
    empty()
    save("shots/linked.blend", False)
    scene = bpy.context.scene

    tiles = load("textures/wall.<UDIM>.png", "textures/wall.1001.png", "TILED")
    if 1002 not in [tile.number for tile in tiles.tiles]:
        tiles.tiles.new(tile_number=1002)
    left = [(-2.5, 0, -0.6), (-1.9, 0, -0.6), (-1.9, 0, 0.6), (-2.5, 0, 0.6)]
    right = [(x + 0.6, y, z) for x, y, z in left]
    uvs = [(0.05, 0), (0.95, 0), (0.95, 1), (0.05, 1), (1.05, 0), (1.95, 0), (1.95, 1), (1.05, 1)]
    wall, _ = sheet("Wall", tiles, left + right, uvs)

    run = load("textures/screen/run_0001.png", source="SEQUENCE")
    square = [(-0.6, 0, -0.6), (0.6, 0, -0.6), (0.6, 0, 0.6), (-0.6, 0, 0.6)]
    screen, texture = sheet("Screen", run, square, [(0, 0), (1, 0), (1, 1), (0, 1)])
    texture.image_user.frame_duration = len(SCREEN)
    texture.image_user.frame_start = 1
    texture.image_user.frame_offset = 0
    texture.image_user.use_auto_refresh = True

    with bpy.data.libraries.load(at("lib", "thing.blend"), link=True) as (_, wanted):
        wanted.collections = ["Things"]
    bpy.data.libraries[0].filepath = spelled("lib/thing.blend")
    instance = bpy.data.objects.new("Things", None)
    instance.instance_type = "COLLECTION"
    instance.instance_collection = wanted.collections[0]

    unused = load("textures/unused.png", "textures/wall.1001.png")
    unused.name, unused.use_fake_user = "unused", True

    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -7.5, 0), (1.5707963, 0, 0)
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    other.location, other.rotation_euler = (1.5, -7.5, 0.5), (1.5707963, 0, 0)
    for thing in [wall, screen, instance, camera, other]:
        scene.collection.objects.link(thing)

    scene.camera = camera
    scene.frame_start, scene.frame_end = 1, len(SCREEN)
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 160, 90, 100
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 4, False
    scene.view_settings.view_transform = "Standard"
    save("shots/linked.blend", False)


make_library()
make_shot()
print("made", at("shots", "linked.blend"))
