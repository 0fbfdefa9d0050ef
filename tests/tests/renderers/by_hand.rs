//! The renderers, called on this machine as a person would.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::pictures::{Pictures, pictures};

/// What Blender makes of a scene's frames.
pub(crate) fn blender_by_hand(scene: &Path, frames: RangeInclusive<i64>) -> Pictures {
    let out = tempfile::tempdir().expect("there is room for temporary files");
    let frames = format!("{}..{}", frames.start(), frames.end());
    let mut blender = Command::new("blender");
    blender.arg("--factory-startup").arg("-b").arg(scene).arg("-o");
    blender.arg(out.path().join("by_hand_####"));
    run(blender.args(["-F", "PNG", "-x", "1", "-f", &frames]));
    pictures(out.path(), "by_hand")
}

/// What POV-Ray makes of an animation, called in the scene's folder.
pub(crate) fn povray_by_hand(
    folder: &Path,
    scene: &str,
    frames: RangeInclusive<i64>,
    (width, height): (u32, u32),
) -> Pictures {
    let out = tempfile::tempdir().expect("there is room for temporary files");
    let mut povray = Command::new("povray");
    povray.current_dir(folder).arg(format!("+I{scene}")).args(["+FN", "-D", "-P"]);
    povray.arg(format!("+O{}/by_hand_", out.path().display()));
    povray.arg(format!("+W{width}")).arg(format!("+H{height}"));
    povray.arg(format!("+KFI{}", frames.start())).arg(format!("+KFF{}", frames.end()));
    run(&mut povray);
    pictures(out.path(), "by_hand")
}

/// Runs a program, which must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
