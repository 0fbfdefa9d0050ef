//! Whether a protection works on this machine: a run in it is tried.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use weft_scene::engine::shipped;

use super::{Run, Sandbox};
use crate::guard::Report;

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program bwrap, where there is one.
pub(super) fn bubblewrap() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("bwrap")).find(|file| file.is_file())
}

/// Runs `weft --version` as renders are run.
///
/// # Errors
/// Says why that did not work.
pub(super) async fn run(sandbox: &Sandbox, weft: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [inputs, work, temporary] = ["inputs", "work", "tmp"].map(|name| folder.path().join(name));
    for made in [&inputs, &work, &temporary] {
        std::fs::create_dir(made).map_err(|error| error.to_string())?;
    }
    let demo = shipped().remove("demo").ok_or("there is no demo engine")?;
    let run = Run {
        definition: &demo,
        program: weft,
        weft,
        inputs: &inputs,
        work: &work,
        temporary: &temporary,
    };
    let confined = sandbox.confine(&run);
    let report = folder.path().join("report");
    let mut command = tokio::process::Command::new(weft);
    command.args(["guard", "--report"]).arg(&report).args(&confined.guard).arg("--");
    command.args(&confined.before).arg("--version");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut guard = command.spawn().map_err(|error| error.to_string())?;
    // The guard ends what it runs when this closes.
    let stdin = guard.stdin.take();
    let ended = tokio::time::timeout(PATIENCE, guard.wait_with_output()).await;
    drop(stdin);
    let output =
        ended.map_err(|_| "it took too long".to_owned())?.map_err(|error| error.to_string())?;
    let told = std::fs::read(&report).ok();
    let told = told.and_then(|bytes| serde_json::from_slice::<Report>(&bytes).ok());
    let told = told.ok_or_else(|| "its guard told nothing".to_owned())?;
    match told {
        Report { start_error: Some(why), .. } => Err(why),
        Report { exit_code: Some(0), .. } => Ok(()),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
            Err(line.trim().trim_start_matches("bwrap: ").chars().take(300).collect())
        }
    }
}
