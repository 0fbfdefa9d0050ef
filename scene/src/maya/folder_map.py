# -*- coding: utf-8 -*-
# Written by weft: the folders that this job's scenes name, and where their files are now. Maya runs it at its start
# (PYTHONPATH), before it opens a scene. Written from Maya's documentation, for Python 2.7 and 3.
import json
import os

import maya.cmds

inputs = os.environ["WEFT_INPUTS"].replace("\\", "/")
folders = json.loads(r"""{}""")
for there in sorted(folders):
    maya.cmds.dirmap(mapDirectory=(there, inputs + "/" + folders[there]))
maya.cmds.dirmap(enable=True)
