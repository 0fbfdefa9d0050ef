//! What `weft analyse` says of a `.weft` scene.

use std::io::Read;
use std::path::Path;

use super::scene::{MAX_TEXT, Scene, SceneError};
use crate::analysis::{AnalyseError, Analysis, Asset, AssetKind, Missing, SceneInfo};
use crate::plain_file;

/// Reads a scene file and says what it holds, needs and lacks. Paths of textures are relative to the
/// file's folder.
///
/// # Errors
/// [`AnalyseError::Io`] if the file can't be read, [`AnalyseError::TooLarge`] above [`MAX_TEXT`] bytes,
/// [`AnalyseError::Corrupt`] if it isn't UTF-8, and [`AnalyseError::Unsupported`] with the line and what
/// is wrong there if it isn't a scene.
pub fn analyse(path: &Path) -> Result<Analysis, AnalyseError> {
    let mut bytes = Vec::new();
    plain_file::open(path)
        .and_then(|file| file.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| AnalyseError::io(path, e))?;
    if bytes.len() > MAX_TEXT {
        return Err(AnalyseError::TooLarge(format!("at most {MAX_TEXT} bytes are read")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| AnalyseError::corrupt(e.valid_up_to() as u64, "this isn't UTF-8 text"))?;
    let scene =
        Scene::parse(text).map_err(|e: SceneError| AnalyseError::Unsupported(e.to_string()))?;

    let camera = vec!["camera".to_owned()];
    let mut analysis = Analysis {
        scene_info: SceneInfo {
            application: "weft".to_owned(),
            application_version: env!("CARGO_PKG_VERSION").to_owned(),
            renderer: "demo".to_owned(),
            start_frame: scene.start_frame,
            end_frame: scene.end_frame,
            by_frame: 1.0,
            animation: scene.end_frame > scene.start_frame,
            fps: scene.fps,
            width: scene.width,
            height: scene.height,
            image_format: "PNG".to_owned(),
            all_cameras: camera.clone(),
            render_cameras: camera,
            ..SceneInfo::default()
        },
        ..Analysis::default()
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    for texture in &scene.textures {
        let file = folder.join(&texture.path);
        let found = match std::fs::metadata(&file) {
            Ok(data) if data.is_file() => Ok(()),
            Ok(_) => Err("it isn't a file".to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Err("there is no such file".to_owned())
            }
            Err(e) => Err(e.to_string()),
        };
        analysis.assets.push(Asset {
            path: texture.path.clone(),
            kind: AssetKind::Image,
            exists: found.is_ok(),
            node: texture.material.clone(),
            files: match found {
                Ok(()) => vec![std::path::absolute(&file).unwrap_or(file)],
                Err(_) => Vec::new(),
            },
            required: true,
            frames: None,
            needed_by: None,
            indirect: false,
        });
        if let Err(reason) = found {
            analysis.missing.push(Missing {
                node: texture.material.clone(),
                path: texture.path.clone(),
                reason,
                required: true,
                frames: None,
            });
        }
    }
    Ok(analysis)
}

#[cfg(test)]
mod tests {
    use super::super::builtin_scene;
    use super::*;

    #[test]
    fn the_builtin_scene_needs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.weft");
        std::fs::write(&path, builtin_scene()).unwrap();
        let analysis = analyse(&path).unwrap();
        let info = &analysis.scene_info;
        assert_eq!((info.start_frame, info.end_frame, info.animation), (1, 24, true));
        assert_eq!((info.width, info.height, info.renderer.as_str()), (480, 270, "demo"));
        assert!(analysis.assets.is_empty() && analysis.missing.is_empty());
    }

    #[test]
    fn lost_textures_are_listed() {
        let text = builtin_scene()
            .replacen("[materials.coral]\n", "[materials.coral]\ntexture = \"maps/a.png\"\n", 1)
            .replacen("[materials.teal]\n", "[materials.teal]\ntexture = \"b.png\"\n", 1)
            .replacen("[materials.ivory]\n", "[materials.ivory]\ntexture = \"b.png\"\n", 1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.weft");
        std::fs::write(&path, text).unwrap();
        std::fs::write(dir.path().join("b.png"), b"").unwrap();
        let analysis = analyse(&path).unwrap();
        let seen: Vec<_> = analysis
            .assets
            .iter()
            .map(|a| (a.path.as_str(), a.node.as_str(), a.exists, a.files.len()))
            .collect();
        assert_eq!(seen, [("maps/a.png", "coral", false, 0), ("b.png", "ivory", true, 1)]);
        assert_eq!(analysis.missing.len(), 1);
        assert_eq!(analysis.missing[0].path, "maps/a.png");
        assert!(analysis.assets[1].files[0].is_absolute());
    }

    #[test]
    fn what_is_no_scene_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.weft");
        assert!(matches!(analyse(&path), Err(AnalyseError::Io { .. })));
        std::fs::write(&path, b"title = \"\xff\"").unwrap();
        assert!(matches!(analyse(&path), Err(AnalyseError::Corrupt { position: 9, .. })));
        std::fs::write(&path, "width = 1\nheight = 'tall'\n").unwrap();
        let error = analyse(&path).unwrap_err();
        assert!(matches!(error, AnalyseError::Unsupported(_)));
        assert!(error.to_string().contains("line 2"), "{error}");
        std::fs::write(&path, vec![b' '; MAX_TEXT + 1]).unwrap();
        assert!(matches!(analyse(&path), Err(AnalyseError::TooLarge(_))));
    }
}
