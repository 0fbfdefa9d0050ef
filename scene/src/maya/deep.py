"""Asks Maya itself what a scene holds. Run by weft with Maya's own Python:

    mayapy deep.py SCENE ANSWER

The answer is one JSON document. Written from Maya's documentation, for Python 2.7 and 3.
"""
import io
import json
import sys
import traceback


def attributes_of(cmds, kind, known):
    """Of a type of nodes: the attributes that name files, and those of `known` that it has."""
    names = cmds.attributeInfo(all=True, type=kind) or []
    files = []
    for name in names:
        try:
            if cmds.attributeQuery(name, type=kind, usedAsFilename=True):
                files.append(name)
        except RuntimeError:
            pass
    return files, [name for name in known if name in names]


def value_of(cmds, plug):
    """An attribute's value; none where it can't be read."""
    try:
        return cmds.getAttr(plug)
    except (RuntimeError, ValueError):
        return None


def texts_of(value):
    """The texts in a value, which may be a list of them."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in values if isinstance(text, type(u"")) or isinstance(text, str)]


KNOWN = [
    "uvTilingMode", "useFrameExtension", "frameOffset", "cachePath", "cacheName", "startFrame",
    "sourceStart", "sourceEnd", "scale", "preCycle", "postCycle", "reverse", "oscillate",
    "cacheDirectory", "useParticleDiskCache",
]


# Where renderers have settings of their own.
OWN = [
    ("vraySettings", "width"), ("vraySettings", "height"), ("vraySettings", "imageFormatStr"),
    ("defaultArnoldDriver", "aiTranslator"), ("redshiftOptions", "imageFormat"),
]


def own_settings(cmds):
    """Those of the renderers that are there."""
    values = [(node, name, value_of(cmds, node + "." + name)) for node, name in OWN]
    return [(node, name, u"%s" % value) for node, name, value in values if value is not None]


def nodes_of(cmds):
    """Every camera, and every node that names a file."""
    nodes = []
    by_kind = {}
    for name in cmds.ls() or []:
        kind = cmds.nodeType(name)
        if kind not in by_kind:
            by_kind[kind] = attributes_of(cmds, kind, KNOWN)
        files, known = by_kind[kind]
        node = {"type": kind, "name": name, "files": [], "values": {}}
        for attribute in files:
            for text in texts_of(value_of(cmds, name + "." + attribute)):
                if text:
                    node["files"].append([attribute, text])
        if kind in ("camera", "stereoRigCamera"):
            parents = cmds.listRelatives(name, parent=True) or [""]
            node["parent"] = parents[0]
            node["startup"] = bool(cmds.camera(name, query=True, startupCamera=True))
            known = ["renderable"]
        elif not node["files"] and kind not in ("cacheFile", "diskCache", "dynGlobals"):
            continue
        for attribute in known:
            value = value_of(cmds, name + "." + attribute)
            if value is not None and not isinstance(value, (list, tuple)):
                if isinstance(value, bool):
                    value = "yes" if value else "no"
                node["values"][attribute] = u"%s" % value
        nodes.append(node)
    return nodes


def references_of(cmds):
    """Every reference, nested ones too."""
    references = []
    for node in cmds.ls(type="reference") or []:
        try:
            references.append({
                "node": node,
                "path": cmds.referenceQuery(node, filename=True, unresolvedName=True,
                                            withoutCopyNumber=True),
                "loaded": bool(cmds.referenceQuery(node, isLoaded=True)),
            })
        except RuntimeError:
            # `sharedReferenceNode` and what was left over refer to nothing.
            pass
    return references


def answer_of(scene):
    import maya.standalone
    maya.standalone.initialize(name="python")
    from maya import cmds
    try:
        # A scene's own scripts don't run.
        cmds.file(scene, open=True, force=True, prompt=False, ignoreVersion=True,
                  executeScriptNodes=False)
    except RuntimeError as error:
        # Maya says so too where it opened the scene and something in it is unknown here.
        if not cmds.file(query=True, sceneName=True):
            raise
        warning = u"%s" % error
    else:
        warning = None
    of = lambda plug: value_of(cmds, plug)
    globals_ = "defaultRenderGlobals."
    return {
        "version": u"%s" % cmds.about(version=True),
        "time_unit": cmds.currentUnit(query=True, time=True),
        "settings": {
            "renderer": of(globals_ + "currentRenderer"),
            "image_format": of(globals_ + "imageFormat"),
            "image_plugin": of(globals_ + "imfPluginKey"),
            "start_frame": of(globals_ + "startFrame"),
            "end_frame": of(globals_ + "endFrame"),
            "by_frame": of(globals_ + "byFrameStep"),
            "animation": of(globals_ + "animation"),
            "current_frame": cmds.currentTime(query=True),
            "width": of("defaultResolution.width"),
            "height": of("defaultResolution.height"),
            "own": own_settings(cmds),
        },
        "layers": cmds.ls(type="renderLayer") or [],
        "nodes": nodes_of(cmds),
        "references": references_of(cmds),
        "warning": warning,
    }


def main(scene, dest):
    try:
        answer = answer_of(scene)
    except Exception as error:  # Whatever happens is told.
        traceback.print_exc()
        answer = {"error": (u"%s" % error) or type(error).__name__}
    text = json.dumps(answer, ensure_ascii=True)
    with io.open(dest, "w", encoding="ascii") as file:
        file.write(text if isinstance(text, type(u"")) else text.decode("ascii"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    # Maya's own end may crash, and has nothing more to say.
    import os
    os._exit(0)
