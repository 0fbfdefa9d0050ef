"""Renders a frame through one node of the compositor after the other, whole and in four tiles, and says of each
with how many of its settings these differ, of how many, and how many colours the most colourful frame has.

Run by Blender: pointwise.py -- FOLDER NODE...
"""

import array
import os
import sys

import bpy

FOLDER, *NODES = sys.argv[sys.argv.index("--") + 1:]
WIDTH, HEIGHT = 60, 41
# Four tiles, of different sizes.
COLUMNS, ROWS = (0, 31, WIDTH), (0, 20, HEIGHT)


def prepare():
    scene = bpy.context.scene
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.cycles.use_adaptive_sampling = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.dither_intensity = 0
    render.film_transparent = True
    render.use_persistent_data = True
    render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
    render.image_settings.color_depth = "32"
    for at in range(5):
        bpy.ops.mesh.primitive_monkey_add(location=(at - 2, at - 2, at - 2), rotation=(at, at, at))
    # Without colours of its own a picture's channels are the same.
    lights = [thing for thing in scene.objects if thing.type == "LIGHT"]
    lights[0].data.color = 1, 0.3, 0.1
    for at, color in enumerate([(0.1, 0.3, 1), (0.2, 1, 0.1)]):
        bpy.ops.object.light_add(type="POINT", location=(4 * at - 2, -4, 3 - 4 * at))
        bpy.context.object.data.color, bpy.context.object.data.energy = color, 500
    scene.use_nodes = True
    return scene


def picture(scene, name, across, up):
    """The pixels of a part of the frame, row by row from below."""
    render = scene.render
    render.use_border = render.use_crop_to_border = (across, up) != ((0, WIDTH), (0, HEIGHT))
    render.border_min_x, render.border_max_x = [(at + 0.25) / WIDTH for at in across]
    render.border_min_y, render.border_max_y = [(at + 0.25) / HEIGHT for at in up]
    render.filepath = os.path.join(FOLDER, name + ".exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(render.filepath)
    size = (across[1] - across[0], up[1] - up[0])
    assert tuple(image.size) == size, (name, tuple(image.size), size)
    pixels = array.array("f", [0]) * (size[0] * size[1] * 4)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    width = size[0] * 4
    return [pixels[row * width:(row + 1) * width].tobytes() for row in range(size[1])]


def differ(scene, name):
    """How many rows of the frame differ from those of the joined tiles; and how many colours it has."""
    whole = picture(scene, name, (0, WIDTH), (0, HEIGHT))
    joined = []
    for up in zip(ROWS, ROWS[1:]):
        parts = [picture(scene, name, across, up) for across in zip(COLUMNS, COLUMNS[1:])]
        joined += [b"".join(rows) for rows in zip(*parts)]
    colors = {row[at:at + 16] for row in whole for at in range(0, len(row), 16)}
    return sum(a != b for a, b in zip(whole, joined)), len(colors)


def through(scene, kind, all_inputs):
    """Leads the picture through a node, by its first input or by all of them."""
    tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    parts = tree.nodes.new("CompositorNodeSepRGBA")
    tree.links.new(layers.outputs["Image"], parts.inputs[0])
    other = tree.nodes.new("CompositorNodeCombRGBA")
    for at in range(3):
        tree.links.new(parts.outputs[at], other.inputs[(at + 1) % 3])
    tree.nodes.new("CompositorNodeComposite").name = "Picture"
    node = layers if kind == "CompositorNodeRLayers" else tree.nodes.new(kind)
    for at, entry in enumerate(node.inputs):
        if all_inputs or at == 0:
            picture = other.outputs[0] if at else layers.outputs["Image"]
            tree.links.new(parts.outputs[at % 3] if entry.type == "VALUE" else picture, entry)
    return node


def settings(node):
    """Every setting of a node's own that is one of a few: its name and its other values."""
    common = set(bpy.types.Node.bl_rna.properties.keys())
    for setting in node.bl_rna.properties:
        if setting.identifier in common or setting.is_readonly:
            continue
        now = getattr(node, setting.identifier)
        if setting.type == "ENUM":
            values = [item.identifier for item in setting.enum_items]
            # Some are names of what there is in the file.
            values = [value for value in values if value not in (now, "PLACEHOLDER")]
        else:
            values = [not now] if setting.type == "BOOLEAN" and not setting.is_array else []
        for value in values:
            yield setting.identifier, now, value


def shown(scene, node):
    """The outputs that the picture can be, one at a time."""
    tree = scene.node_tree
    outputs = [output for output in node.outputs if output.enabled and output.name]
    for output in outputs or [tree.nodes["Render Layers"].outputs["Image"]]:
        tree.links.new(output, tree.nodes["Picture"].inputs["Image"])
        yield output.name


scene = prepare()
for kind in NODES:
    if not hasattr(bpy.types, kind):
        print("NODE", kind, "is not there")
        continue
    rendered = differs = most = 0
    for all_inputs in (False, True):
        node = through(scene, kind, all_inputs)
        for name, now, value in [(None, None, None), *settings(node)]:
            if name:
                setattr(node, name, value)
            for output in shown(scene, node):
                rows, colors = differ(scene, kind)
                rendered, most = rendered + 1, max(most, colors)
                if rows:
                    differs += 1
                    print(f"{kind}, output {output}, {name} {value}: {rows} rows differ")
            if name:
                setattr(node, name, now)
    print("NODE", kind, differs, rendered, most)
print("rendered all nodes")
