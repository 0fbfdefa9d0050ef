//! Which attributes of which nodes name files.

use crate::analysis::AssetKind;

/// What the file in an attribute of a node is; `None` for attributes that aren't known to name one.
/// Both the long and the short name of an attribute occur in scenes.
pub(super) fn asset_kind(node_type: &str, attribute: &str) -> Option<AssetKind> {
    Some(match (node_type, attribute) {
        (
            "file" | "psdFileTex" | "mentalrayTexture",
            "ftn" | "fileTextureName" | "eutn" | "explicitUvTileName",
        ) => AssetKind::Image,
        ("movie", "ftn" | "fileTextureName") => AssetKind::Movie,
        ("imagePlane", "imn" | "imageName") => AssetKind::ImagePlane,
        ("gpuCache", "cfn" | "cacheFileName") => AssetKind::GpuCache,
        ("AlembicNode", "fn" | "abc_File" | "fns" | "abc_layerFiles") => AssetKind::Alembic,
        ("ExocortexAlembicFile", "fn" | "fileName") => AssetKind::Alembic,
        ("audio", "f" | "filename") => AssetKind::Audio,
        ("aiStandIn", "dso") => AssetKind::Standin,
        ("aiImage", "filename") => AssetKind::Image,
        ("aiVolume", "filename") => AssetKind::Volume,
        ("aiPhotometricLight", "ai_filename" | "aiFilename") => AssetKind::Ies,
        ("RedshiftProxyMesh", "fn" | "fileName") => AssetKind::Standin,
        ("RedshiftVolumeShape", "fn" | "fileName") => AssetKind::Volume,
        ("RedshiftIESLight", "profile") => AssetKind::Ies,
        ("VRayMesh", "fn" | "fileName" | "fn2" | "fileName2") => AssetKind::Standin,
        ("VRayLightIESShape", "if" | "iesFile") => AssetKind::Ies,
        (
            "mayaUsdProxyShape"
            | "pxrUsdProxyShape"
            | "pxrUsdReferenceAssembly"
            | "AL_usdmaya_ProxyShape",
            "fp" | "filePath",
        ) => AssetKind::Standin,
        ("rmanImageFile", "filename") => AssetKind::Image,
        (pxr, "filename" | "lightColorMap") if pxr.starts_with("Pxr") => AssetKind::Image,
        (pxr, "iesProfile") if pxr.starts_with("Pxr") => AssetKind::Ies,
        // Named without a folder: it lies beside the scene.
        ("xgmPalette", "xfn" | "xgFileName") => AssetKind::Other,
        ("pgYetiMaya", "cfn" | "cacheFileName") => AssetKind::Cache,
        (redshift, "tex0") if redshift.starts_with("Redshift") => AssetKind::Image,
        _ => return None,
    })
}

/// Whether an attribute is known to name nothing that a render reads.
pub(super) fn is_no_input(node_type: &str, attribute: &str) -> bool {
    // Reference nodes repeat what `file -r` says; the others hold scripts, notes and what is written.
    matches!(node_type, "reference" | "script" | "expression" | "nodeGraphEditorInfo")
        || node_type.contains("Driver")
        || node_type.contains("enderGlobals")
        || node_type.contains("RenderOptions")
        // V-Ray remembers where the scene was saved last.
        || matches!(attribute, "nts" | "notes" | "mSceneName")
        || matches!(
            (node_type, attribute),
            // The sequencer shows a shot's film behind the view, and renders none.
            ("shot", "cl" | "clip")
                // Where V-Ray writes its pictures and, by themselves, its caches.
                | ("VRaySettingsNode", "fnprx" | "asf" | "lcasf" | "pmasf" | "pmasf2")
                | ("VRaySettingsNode", "casf" | "casf2" | "iasf" | "iasf2")
        )
}

/// What a text in an attribute that isn't known may be: a path, with a folder in it, to a file of a
/// kind that scenes read. Renderers and plug-ins bring nodes by the hundred, and pipelines attributes: whether a
/// render reads such a file can't be told.
pub(super) fn guess(node_type: &str, attribute: &str, value: &str) -> Option<AssetKind> {
    if is_no_input(node_type, attribute)
        || !value.contains(['/', '\\'])
        || value.contains(['\n', ';', '"'])
    {
        return None;
    }
    let name = value.rsplit(['/', '\\']).next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" | "jpg" | "jpeg" | "tif" | "tiff" | "tga" | "exr" | "hdr" | "iff" | "bmp" | "psd"
        | "tx" | "tex" | "rat" | "rstexbin" | "dds" | "gif" | "sgi" | "rla" | "cin" | "dpx"
        | "ptx" | "ptex" | "hdri" | "pic" => AssetKind::Image,
        "ies" => AssetKind::Ies,
        "abc" => AssetKind::Alembic,
        "vdb" => AssetKind::Volume,
        "ass" | "rs" | "vrmesh" | "vrscene" | "usd" | "usda" | "usdc" | "usdz" | "rib" => {
            AssetKind::Standin
        }
        "wav" | "aif" | "aiff" | "mp3" => AssetKind::Audio,
        "mov" | "mp4" | "avi" => AssetKind::Movie,
        "ttf" | "otf" => AssetKind::Font,
        "mc" | "mcx" | "mcc" | "mcfi" | "mcfp" | "mcj" | "bgeo" | "ptc" | "pdb" | "pdc" | "fur"
        | "vrmap" | "vrlmap" => AssetKind::Cache,
        "ma" | "mb" | "fbx" | "obj" | "xgen" | "csv" | "lut" | "cube" | "ocio" | "sbsar"
        | "osl" | "oso" => AssetKind::Other,
        _ => return None,
    })
}

/// What the file is that an edit of a referenced scene's node names: by its attribute, of whichever
/// node, or by its ending. The latter is a guess: `true`.
pub(super) fn edited(attribute: &str, text: &str) -> Option<(AssetKind, bool)> {
    let name = attribute.rsplit('.').next().unwrap_or(attribute);
    let name = name.split('[').next().unwrap_or(name);
    let of = |node: &str| asset_kind(node, name);
    let known = ["file", "imagePlane", "gpuCache", "AlembicNode", "aiStandIn", "xgmPalette"]
        .into_iter()
        .find_map(of);
    let known = known.map(|kind| (film_or(kind, text), false));
    known.or_else(|| guess("", name, text).map(|kind| (kind, true)))
}

/// Whether a node is the one that says how Maya treats colours.
pub(super) fn is_of_colours(kind: &str, name: &str) -> bool {
    kind == "colorManagementGlobals" || name.trim_start_matches(':') == "defaultColorMgtGlobals"
}

/// The kind of a file that may be a film, whatever its node takes otherwise.
pub(super) fn film_or(kind: AssetKind, path: &str) -> AssetKind {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let film =
        matches!(ending.as_deref(), Some("mov" | "mp4" | "avi" | "m4v" | "mpg" | "mpeg" | "qt"));
    let picture = matches!(kind, AssetKind::Image | AssetKind::ImagePlane);
    if film && picture { AssetKind::Movie } else { kind }
}

/// Whether a path names nothing, or a file of Maya itself, which every installation has.
pub(super) fn comes_with_maya(path: &str) -> bool {
    let path = path.trim();
    let own = ["<MAYA_RESOURCES>", "$MAYA_LOCATION", "${MAYA_LOCATION}"];
    path.is_empty() || own.iter().any(|place| path.starts_with(place))
}

/// Where in a project files of a kind are: the rules that name their folders, and the folders that they are in by default.
pub(super) fn project_folders(
    kind: AssetKind,
) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        AssetKind::Image | AssetKind::ImageSequence | AssetKind::Udim | AssetKind::ImagePlane => {
            (&["sourceImages", "3dPaintTextures"], &["sourceimages"])
        }
        AssetKind::Reference => {
            (&["scene", "mayaAscii", "mayaBinary", "sceneAssembly"], &["scenes", "sceneAssembly"])
        }
        AssetKind::Alembic | AssetKind::GpuCache => {
            (&["alembicCache", "Alembic"], &["cache/alembic", "scenes"])
        }
        AssetKind::Cache => (
            &["fileCache", "diskCache", "particles"],
            &["cache/nCache", "data", "cache/particles", "particles"],
        ),
        AssetKind::Audio => (&["audio", "sound"], &["sound"]),
        AssetKind::Movie => (&["movie", "sourceImages"], &["movies", "sourceimages"]),
        AssetKind::Standin => (&["ASS", "ASS Export", "translatorData"], &["data"]),
        _ => (&["sourceImages", "translatorData"], &["data"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_guessed_from_their_ending() {
        for (node, attribute, value, expected) in [
            ("inDiffuse", "iesProfile", "H:/data//data/2.IES", Some(AssetKind::Ies)),
            ("someLight", "map", "maps\\sky.exr", Some(AssetKind::Image)),
            ("someLight", "map", "sky.exr", None),
            ("someLight", "map", "/", None),
            ("someLight", "map", "a/.exr", None),
            ("someLight", "map", "a/b.weird", None),
            ("someRig", "points", "data/points.csv", Some(AssetKind::Other)),
            ("pgYetiMaya", "cacheFileName", "cache/fur.%04d.fur", Some(AssetKind::Cache)),
            ("script", "b", "file -r \"a/b.ma\"", None),
            ("script", "b", "a/b.ma", None),
            ("defaultArnoldDriver", "p", "images/out.exr", None),
            ("reference", "fn", "a/b.ma", None),
            ("VRaySettingsNode", "mSceneName", "C:/old/shot.ma", None),
            ("VRaySettingsNode", "fnm", "gi/shot.vrmap", Some(AssetKind::Cache)),
            ("substanceNode", "sbs", "C:/mat/rust.sbsar", Some(AssetKind::Other)),
            ("someShader", "code", "osl/rust.osl", Some(AssetKind::Other)),
            ("VRaySettingsNode", "iasf", "C:/old/auto.exr", None),
            ("shot", "cl", "cuts/a.mov", None),
        ] {
            assert_eq!(guess(node, attribute, value), expected, "{node} {value}");
        }
    }
}
