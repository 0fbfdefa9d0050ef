//! The `weft` binary that the tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A binary to test in place of the one that is built: that of a release, say.
const GIVEN: &str = "WEFT_TEST_BINARY";

/// The `weft` binary of this workspace, built once with the profile that the tests were built with.
///
/// # Panics
/// When it can't be built.
#[must_use]
pub fn weft_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os(GIVEN) {
        Some(given) => {
            let given = PathBuf::from(given);
            tell_age(&given);
            given
        }
        None => build(),
    })
}

/// Says so where a given binary was built before the test that drives it: figures of an old one have been taken
/// for those of the code beside it.
fn tell_age(given: &Path) {
    let built = |path: &Path| path.metadata().and_then(|found| found.modified());
    let test = std::env::current_exe().and_then(|test| built(&test));
    if let (Ok(binary), Ok(test)) = (built(given), test)
        && let Ok(older) = test.duration_since(binary)
    {
        let given = given.display();
        let minutes = older.as_secs().div_ceil(60);
        eprintln!(
            "note: {given} was built {minutes} minutes before this test, perhaps from other code"
        );
    }
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    // target/[triple/]PROFILE/deps/TEST, or a program's own target/[triple/]PROFILE/NAME
    let folder = test.parent().expect("a program lies in a folder");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let profile = profile.expect("tests lie two folders deep");
    let above = profile.parent().expect("a profile's folder lies in another");
    // Cargo marks the target folders that it makes; in one that was there before, it is the one above.
    let marked = profile.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let target = marked.unwrap_or(above);
    let name = |folder: &Path| folder.file_name().unwrap_or_default().to_owned();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--package", "weft-cli", "--bin", "weft"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match name(profile).to_str() {
        // The folder of the profile `dev` has another name than the profile.
        Some("debug") => {}
        Some(profile) => drop(command.args(["--profile", profile])),
        None => panic!("{} names no profile", profile.display()),
    }
    if above != target {
        command.arg("--target").arg(name(above));
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the weft binary can't be built: {command:?} ended with {status}");
    profile.join("weft").with_extension(std::env::consts::EXE_EXTENSION)
}
