"""A scene whose frames cost next to nothing: python3 for `blender -b -P cheap.py -- FILE FRAMES`."""

import sys

import bpy

path, frames = sys.argv[sys.argv.index("--") + 1 :]
scene = bpy.context.scene
scene.frame_start, scene.frame_end = 1, int(frames)
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y = 64, 36
scene.render.resolution_percentage = 100
bpy.ops.wm.save_as_mainfile(filepath=path)
