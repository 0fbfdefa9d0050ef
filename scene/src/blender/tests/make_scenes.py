"""Makes scenes that name files in every way that is read, and writes down what Blender says of them.

Run by Blender, or by Python with bpy: make_scenes.py -- FOLDER
"""

import json
import os
import struct
import sys
import wave
import zlib

import bpy

FOLDER = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
LONG = "a_rather_long_name_for_a_picture_of_a_wall_with_many_tiles"


def at(*names):
    path = os.path.join(FOLDER, *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def png(*names):
    def chunk(tag, data):
        crc = zlib.crc32(tag + data)
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", crc)

    size = 4
    raw = (b"\0" + b"\xff\x40\x20" * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    with open(at(*names), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def other(*names):
    with open(at(*names), "wb") as file:
        file.write(b"some bytes")


def files():
    for name in ["plain", "win", "deep", "chair", "lonely", "brush", "second", "sky", "packed"]:
        png("tex", name + ".png")
    for tile in [1001, 1002, 1011]:
        png("tex", f"wall.{tile}.png")
    for frame in [1, 2, 3, 10]:
        png("seq", f"run_{frame:04}.png")
    png("seq", "run_0004_other.png")
    for frame in [5, 6]:
        png("clip", f"plate{frame:03}.png")
    for frame in [1, 2]:
        png("strip", f"edit{frame:02}.png")
        other("vdb", f"smoke_{frame:03}.vdb")
    for name in ["light.ies", "geometry.abc", "shader.osl", "points.mdd", "film.mp4"]:
        other(name)
    other("bake", "deeper", "one.bin")
    other("blendcache_main", "cloth_000001_00.bphys")
    with wave.open(at("sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 80)


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.use_relative_paths = False


def image(name, path, **settings):
    made = bpy.data.images.load(at("tex", "plain.png"), check_existing=False)
    made.name = name
    for key, value in settings.items():
        setattr(made, key, value)
    made.filepath_raw = path
    return made


def cube(name, *images):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    for picture in images:
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = picture
        node.image_user.frame_duration = 3
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def put(thing, scene=None):
    (scene or bpy.context.scene).collection.objects.link(thing)
    return thing


def save(name, **settings):
    bpy.ops.wm.save_as_mainfile(filepath=at(name), relative_remap=False, **settings)


def link(path, kind, names):
    with bpy.data.libraries.load(at(path), link=True, relative=True) as (_, wanted):
        setattr(wanted, kind, names)
    return getattr(wanted, kind)


def make_libraries():
    empty()
    put(cube("Deep", image("deep", "//../tex/deep.png")))
    put(cube("NotLinked", image("not_linked", "//../tex/lonely.png")))
    save("lib/deep.blend")

    empty()
    chair = put(cube("Chair", image("chair", "//tex/chair.png")))
    deep = link("lib/deep.blend", "objects", ["Deep"])[0]
    group = bpy.data.collections.new("Furniture")
    group.use_fake_user = True
    group.objects.link(chair)
    group.objects.link(deep)
    group.objects.link(bpy.data.objects.new("LinkedCamera", bpy.data.cameras.new("LinkedCamera")))
    image("forgotten", "//tex/lonely.png").use_fake_user = True
    save("props.blend", compress=True)


def make_main():
    empty()
    save("main.blend")
    scene = bpy.context.scene
    scene.name = "Shot"
    render = scene.render
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 17, 2
    render.resolution_x, render.resolution_y, render.resolution_percentage = 333, 201, 50
    render.fps, render.fps_base = 30, 1.001
    render.engine = "CYCLES"
    render.image_settings.file_format = "OPEN_EXR"
    scene.view_layers[0].name = "front"
    scene.view_layers.new("back")

    for name in ["CamA", "CamB", "CamC"]:
        put(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
    scene.camera = bpy.data.objects["CamA"]
    scene.timeline_markers.new("cut", frame=9).camera = bpy.data.objects["CamB"]

    wall = image("wall", "//tex/wall.<UDIM>.png", source="TILED")
    for tile in [1002, 1011, 1012]:
        wall.tiles.new(tile_number=tile)
    packed = image("packed", at("tex", "packed.png"))
    packed.pack()
    packed.filepath_raw = "//tex/packed.png"
    put(cube(
        "Cube",
        image("plain", "//tex/plain.png"),
        image("win", "//tex\\win.png"),
        image("absolute", at("tex", "sky.png")),
        image("up", "//tex/../tex/./plain.png"),
        image("gone", "//tex/gone.png"),
        image("run", "//seq/run_0001.png", source="SEQUENCE"),
        image("film", "//film.mp4", source="MOVIE"),
        wall,
        packed,
        bpy.data.images.new("generated", 4, 4),
    ))
    image("unused", "//tex/lonely.png").use_fake_user = True
    brush = bpy.data.textures.new("brush", "IMAGE")
    brush.image = image("brush", "//tex/brush.png")
    paint = bpy.data.brushes.new("Painter", mode="TEXTURE_PAINT")
    paint.texture = brush
    paint.use_fake_user = True
    if bpy.app.version < (4, 3):
        scene.tool_settings.image_paint.brush = paint

    world = bpy.data.worlds.new("Sky")
    world.use_nodes = True
    environment = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    environment.image = image("sky", "//tex/sky.png")
    scene.world = world

    lamp = bpy.data.lights.new("Lamp", "SPOT")
    lamp.use_nodes = True
    ies = lamp.node_tree.nodes.new("ShaderNodeTexIES")
    ies.mode, ies.filepath = "EXTERNAL", "//light.ies"
    put(bpy.data.objects.new("Lamp", lamp))

    shader = bpy.data.materials["Cube"].node_tree.nodes.new("ShaderNodeScript")
    shader.mode = "EXTERNAL"
    shader.filepath = "//shader.osl"

    volume = bpy.data.volumes.new("Smoke")
    volume.filepath, volume.is_sequence = "//vdb/smoke_001.vdb", True
    put(bpy.data.objects.new("Smoke", volume))

    bpy.ops.cachefile.open(filepath=at("geometry.abc"))
    bpy.data.cache_files[0].filepath = "//geometry.abc"
    cached = put(cube("Cached"))
    cached.modifiers.new("seq", "MESH_SEQUENCE_CACHE").cache_file = bpy.data.cache_files[0]
    cached.modifiers.new("mdd", "MESH_CACHE").filepath = "//points.mdd"
    nodes = cached.modifiers.new("nodes", "NODES")
    bake = [name for name in dir(nodes) if name in ("bake_directory", "simulation_bake_directory")]
    if bake:
        nodes.node_group = bpy.data.node_groups.new("Bake", "GeometryNodeTree")
        setattr(nodes, bake[0], "//bake")

    cloth = cached.modifiers.new("cloth", "CLOTH")
    cloth.point_cache.use_disk_cache = True
    hidden = cached.modifiers.new("fluid", "FLUID")
    hidden.show_viewport = False  # so that nothing is simulated here
    hidden.fluid_type = "DOMAIN"
    hidden.domain_settings.cache_directory = "//fluid"

    speaker = bpy.data.speakers.new("Speaker")
    speaker.sound = bpy.data.sounds.load(at("sound.wav"))
    speaker.sound.filepath = "//sound.wav"
    put(bpy.data.objects.new("Speaker", speaker))

    text = bpy.data.curves.new("Text", "FONT")
    fonts = [os.path.join(folder, name)
             for folder, _, names in os.walk(bpy.utils.system_resource("DATAFILES"))
             for name in names if name.endswith((".ttf", ".woff2"))]
    if fonts:
        with open(fonts[0], "rb") as font, open(at("letters.ttf"), "wb") as copy:
            copy.write(font.read())
        text.font = bpy.data.fonts.load(at("letters.ttf"))
        text.font.filepath = "//letters.ttf"
        text.font.name = "Letters"
    put(bpy.data.objects.new("Text", text))

    clip = bpy.data.movieclips.load(at("clip", "plate005.png"))
    clip.name, clip.filepath = "plate", "//clip/plate005.png"
    scene.active_clip = clip

    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    edit = strips.new_image("edit", at("strip", "edit01.png"), 1, 1)
    edit.elements.append("edit02.png")
    edit.directory = "//strip/"
    strips.new_movie("cut", at("film.mp4"), 2, 1).filepath = "//film.mp4"

    second = bpy.data.scenes.new("Second")
    second.render.engine = "CYCLES"
    put(cube("InSecond", image("second", "//tex/second.png")), second)
    put(bpy.data.objects["CamC"], second)

    script = bpy.data.texts.new("rig_ui.py")
    script.use_module = True

    furniture = link("props.blend", "collections", ["Furniture"])[0]
    instance = put(bpy.data.objects.new("Furniture", None))
    instance.instance_type, instance.instance_collection = "COLLECTION", furniture
    bpy.data.libraries["props.blend"].filepath = "//props.blend"
    save("main.blend")
    save("main_compressed.blend", compress=True)


def make_broken():
    """A file whose library has gone since."""
    empty()
    put(cube("Soon"))
    save("soon_gone.blend")
    empty()
    put(link("soon_gone.blend", "objects", ["Soon"])[0])
    bpy.data.libraries[0].filepath = "//soon_gone.blend"
    bpy.context.scene.render.engine = "CYCLES"
    bpy.context.scene.cycles.use_denoising = False
    save("without_library.blend")
    os.remove(at("soon_gone.blend"))


def make_round_trip():
    """Two files that link from each other."""
    empty()
    put(cube("First", image("first", "//tex/plain.png")))
    save("round_a.blend")
    empty()
    put(cube("Other", image("other", "//tex/sky.png")))
    bpy.context.scene.render.engine = "CYCLES"
    bpy.context.scene.render.resolution_percentage = 33
    put(link("round_a.blend", "objects", ["First"])[0])
    save("round_b.blend")
    bpy.ops.wm.open_mainfile(filepath=at("round_a.blend"))
    put(link("round_b.blend", "objects", ["Other"])[0])
    save("round_a.blend")


def make_hidden():
    """Things that renders don't show, and that what they show needs or doesn't."""
    empty()
    scene = bpy.context.scene

    def thing(name, hidden=False):
        made = cube(name, image(name, f"//tex/{name}.png"))
        made.hide_render = hidden
        return made

    def collection(name, hidden, *things, inside=scene.collection):
        made = bpy.data.collections.new(name)
        made.hide_render = hidden
        inside.children.link(made)
        for one in things:
            made.objects.link(one)
        return made

    shown = put(thing("shown"))
    put(thing("hidden", True))
    cutter = put(thing("cutter", True))
    cut = shown.modifiers.new("cut", "BOOLEAN")
    cut.operand_type, cut.object = "OBJECT", cutter
    off = collection("Off", True, thing("in_off"))
    collection("BelowOff", False, thing("below_off"), inside=off)
    pieces = collection("Pieces", True, thing("piece", True))
    pieces_of = shown.modifiers.new("pieces", "BOOLEAN")
    pieces_of.operand_type, pieces_of.collection = "COLLECTION", pieces
    set_dressing = collection("Dressing", True, thing("instanced"), thing("instanced_hidden", True))
    instance = put(bpy.data.objects.new("Dressing", None))
    instance.instance_type, instance.instance_collection = "COLLECTION", set_dressing
    blinks = put(thing("blinks", True))
    blinks.keyframe_insert("hide_render", frame=1)
    # It is in a collection that is shown, too.
    both = thing("both")
    collection("OffToo", True, both)
    collection("On", False, both)
    camera = put(bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera")))
    camera.hide_render = True
    scene.camera = camera
    save("hidden.blend")


def library(thing):
    return thing.library.name if thing.library else None


def facts(path):
    """What Blender says of a file on opening it."""
    bpy.ops.wm.open_mainfile(filepath=path)

    def exists(thing, raw):
        absolute = bpy.path.abspath(raw.replace("\\", "/"), library=thing.library)
        return os.path.exists(absolute.replace("<UDIM>", "1001"))

    def outside(things):
        return [{
            "name": thing.name,
            "raw": thing.filepath,
            "packed": bool(getattr(thing, "packed_file", None)),
            "source": getattr(thing, "source", None),
            "exists": exists(thing, thing.filepath),
        } for thing in things]

    scenes = []
    for scene in bpy.data.scenes:
        render = scene.render
        scenes.append({
            "name": scene.name,
            "frame_start": scene.frame_start,
            "frame_end": scene.frame_end,
            "frame_step": scene.frame_step,
            "fps": render.fps,
            "fps_base": render.fps_base,
            "res_x": render.resolution_x,
            "res_y": render.resolution_y,
            "res_pct": render.resolution_percentage,
            "engine": render.engine,
            "cycles": {"use_denoising": scene.cycles.use_denoising},
            "camera": scene.camera.name if scene.camera else None,
            "file_format": render.image_settings.file_format,
            "view_layers": [[layer.name, layer.use] for layer in scene.view_layers],
        })
    return {
        "saved_version": list(bpy.data.version),
        "active_scene": bpy.context.scene.name,
        "scenes": scenes,
        "cameras": [
            {"object": thing.name} for thing in bpy.data.objects if thing.type == "CAMERA"
        ],
        "images": outside(bpy.data.images),
        "libraries": outside(bpy.data.libraries),
        "fonts": outside(bpy.data.fonts),
        "sounds": outside(bpy.data.sounds),
        "movieclips": outside(bpy.data.movieclips),
        "volumes": outside(bpy.data.volumes),
        "cache_files": outside(bpy.data.cache_files),
    }


files()
make_libraries()
make_main()
make_broken()
make_round_trip()
make_hidden()
for found in sorted(os.listdir(FOLDER)):
    if found.endswith(".blend"):
        said = facts(at(found))
        with open(at(found + ".json"), "w") as out:
            json.dump(said, out, indent=1)
print("made all scenes")
