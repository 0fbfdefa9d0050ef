"""Makes a scene for each kind of simulation, in the folder that is named behind `--`."""
import os
import sys

import bpy

folder = sys.argv[sys.argv.index("--") + 1]


def cube():
    return bpy.data.objects["Cube"]


def activate(thing):
    bpy.context.view_layer.objects.active = thing


def rigid():
    bpy.ops.rigidbody.world_add()
    activate(cube())
    bpy.ops.rigidbody.object_add()


def rigid_baked():
    rigid()
    bpy.context.scene.rigidbody_world.point_cache.frame_end = 5
    bpy.ops.ptcache.bake_all(bake=True)


def rigid_still():
    rigid()
    cube().rigid_body.type = "PASSIVE"


def particles(kind="EMITTER", physics="NEWTON"):
    cube().modifiers.new("particles", "PARTICLE_SYSTEM")
    settings = cube().particle_systems[0].settings
    settings.type, settings.physics_type, settings.count = kind, physics, 10


def hair_moves():
    particles("HAIR")
    cube().particle_systems[0].use_hair_dynamics = True


def cloth(shown=True):
    cube().modifiers.new("cloth", "CLOTH").show_render = shown


def fluid():
    domain = cube().modifiers.new("fluid", "FLUID")
    domain.fluid_type = "DOMAIN"


def paint():
    canvas = cube().modifiers.new("paint", "DYNAMIC_PAINT")
    activate(cube())
    bpy.ops.dpaint.type_toggle(type="CANVAS")
    assert canvas.canvas_settings.canvas_surfaces


def elsewhere():
    cloth()
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(cube())
    bpy.data.scenes["Scene"].collection.children[0].objects.unlink(cube())


def nodes(nested=False, cached=False):
    def tree(name):
        made = bpy.data.node_groups.new(name, "GeometryNodeTree")
        made.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
        made.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
        return made

    inner = tree("inner")
    begins = inner.nodes.new("GeometryNodeSimulationInput")
    ends = inner.nodes.new("GeometryNodeSimulationOutput")
    begins.pair_with_output(ends)
    if nested:
        outer = tree("outer")
        outer.nodes.new("GeometryNodeGroup").node_tree = inner
        inner = outer
    modifier = cube().modifiers.new("nodes", "NODES")
    modifier.node_group = inner
    if cached:
        os.makedirs(os.path.join(folder, "baked"), exist_ok=True)
        modifier.bake_directory = "//baked"


SCENES = {
    "rigid": rigid,
    "rigid_baked": rigid_baked,
    "rigid_still": rigid_still,
    "particles": particles,
    "particles_fixed": lambda: particles(physics="NO"),
    "hair": lambda: particles("HAIR"),
    "hair_moves": hair_moves,
    "cloth": cloth,
    "cloth_hidden": lambda: cloth(False),
    "soft": lambda: cube().modifiers.new("soft", "SOFT_BODY"),
    "fluid": fluid,
    "paint": paint,
    "elsewhere": elsewhere,
    "none": lambda: None,
}
if bpy.app.version >= (4, 1, 0):
    SCENES.update({
        "nodes": nodes,
        "nodes_nested": lambda: nodes(nested=True),
        "nodes_cached": lambda: nodes(cached=True),
    })

for name, make in SCENES.items():
    bpy.ops.wm.read_factory_settings()
    make()
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, name + ".blend"))
print("made all simulations")
