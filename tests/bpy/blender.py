"""Stands in for Blender's program where there is only its Python module (`pip install bpy`): takes the arguments
with which weft calls Blender, in their order, and does what Blender does with them.

    python blender.py -b SCENE -o OUT_#### -F PNG -x 1 -f 1..3

Like Blender it ends with 0 when a frame could not be written; unlike Blender it knows no other arguments than
those below, and says so.
"""

import os
import re
import sys
import traceback

import bpy


def scene():
    return bpy.context.scene


def frames(text):
    for part in text.split(","):
        first, _, last = part.partition("..")
        yield from range(int(first), int(last or first) + 1)


def padded(path, frame):
    """The path with the frame's number in place of the last run of `#`, or at its end."""
    runs = list(re.finditer("#+", path))
    if not runs:
        return f"{path}{frame:04}"
    at = runs[-1]
    return path[: at.start()] + str(frame).zfill(len(at.group())) + path[at.end():]


def render(which):
    out = scene().render.filepath
    for frame in which:
        scene().frame_set(frame)
        scene().render.filepath = padded(out, frame)
        bpy.ops.render.render(write_still=True)
    scene().render.filepath = out


def execute(code, name):
    try:
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    except Exception:
        traceback.print_exc()
        if exit_code:
            sys.stdout.flush()
            os._exit(exit_code)


exit_code = 0
scripts = False
# What a script finds in `sys.argv` is what Blender was called with.
arguments = list(sys.argv[1:])
sys.argv[0] = "blender"
while arguments:
    argument = arguments.pop(0)
    if argument == "--version":
        print("Blender", bpy.app.version_string)
    elif argument == "--factory-startup":
        bpy.ops.wm.read_factory_settings()
    elif argument in ("-b", "--background"):
        pass
    elif argument in ("-y", "--enable-autoexec"):
        scripts = True
    elif argument in ("-Y", "--disable-autoexec"):
        scripts = False
    elif argument == "--python-exit-code":
        exit_code = int(arguments.pop(0))
    elif argument == "--python-expr":
        execute(arguments.pop(0), "--python-expr")
    elif argument in ("-P", "--python"):
        path = arguments.pop(0)
        with open(path) as file:
            execute(file.read(), path)
    elif argument in ("-S", "--scene"):
        bpy.context.window.scene = bpy.data.scenes[arguments.pop(0)]
    elif argument in ("-o", "--render-output"):
        scene().render.filepath = arguments.pop(0)
    elif argument in ("-F", "--render-format"):
        scene().render.image_settings.file_format = arguments.pop(0)
    elif argument in ("-x", "--use-extension"):
        scene().render.use_file_extension = arguments.pop(0) == "1"
    elif argument in ("-t", "--threads"):
        count = int(arguments.pop(0))
        scene().render.threads_mode = "FIXED" if count else "AUTO"
        scene().render.threads = max(count, 1)
    elif argument in ("-E", "--engine"):
        scene().render.engine = arguments.pop(0)
    elif argument in ("-f", "--render-frame"):
        render(list(frames(arguments.pop(0))))
    elif argument in ("-a", "--render-anim"):
        render(range(scene().frame_start, scene().frame_end + 1, scene().frame_step))
    elif argument == "--":
        # What follows is for scripts, and for Cycles, which has read it.
        break
    elif not argument.startswith("-"):
        bpy.ops.wm.open_mainfile(filepath=os.path.abspath(argument), use_scripts=scripts)
    else:
        sys.exit(f"{argument} is no argument that is known here")
sys.stdout.flush()
# The module's own end may crash once everything is written.
os._exit(0)
