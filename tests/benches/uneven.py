"""A scene whose frames take very different times: python3 for `blender -b -P uneven.py -- FILE FRAMES`."""

import sys

import bpy

path, frames = sys.argv[sys.argv.index("--") + 1 :]
scene = bpy.context.scene
scene.frame_start, scene.frame_end = 1, int(frames)
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.use_denoising = False
scene.cycles.use_adaptive_sampling = False
scene.render.resolution_x, scene.render.resolution_y = 480, 270
scene.render.resolution_percentage = 100
for frame in range(1, int(frames) + 1):
    # From 8 to 120, without an order.
    scene.cycles.samples = 8 + (frame * 37) % 113
    scene.cycles.keyframe_insert("samples", frame=frame)
bpy.ops.wm.save_as_mainfile(filepath=path)
