//! The file that readers of scenes are given: they take a path.

use std::path::PathBuf;

/// Writes `bytes` to this process's own scene file, whose ending is `extension`.
pub fn write(bytes: &[u8], extension: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("weft-fuzz-{}", std::process::id()));
    let path = folder.join(format!("scene.{extension}"));
    if std::fs::write(&path, bytes).is_err() {
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        std::fs::write(&path, bytes).expect("the folder for temporary files can be written");
    }
    path
}
