//! Whether a protection works on this machine: a run in it is tried.

use std::path::{Path, PathBuf};
use std::time::Duration;

use weft_scene::engine::shipped;

use super::{Run, Sandbox};
use crate::guard::{Order, Report, Told};
use crate::guards::Guard;

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
        shared: &[],
        work: &work,
        temporary: &temporary,
    };
    let environment = std::env::vars_os().collect();
    let order = Order {
        environment,
        folder: work.as_os_str().to_owned(),
        ..sandbox.confine(&run).order(["--version"])
    };
    let ran = async {
        let mut guard = Guard::start(weft)?;
        guard.order(&order).await?;
        let mut said = Vec::new();
        loop {
            match guard.told().await {
                Some(Told::Complained(more)) => said.extend(more),
                Some(Told::Printed(_) | Told::Held(_)) => {}
                Some(Told::Over(report, _)) => return Ok((report, said)),
                None => return Err(std::io::Error::other("its guard told nothing")),
            }
        }
    };
    let ran = tokio::time::timeout(PATIENCE, ran).await;
    let ran = ran.map_err(|_| "it took too long".to_owned())?;
    let (told, said) = ran.map_err(|error| error.to_string())?;
    match told {
        Report { start_error: Some(why), .. } => Err(why),
        Report { exit_code: Some(0), .. } => Ok(()),
        _ => {
            let said = String::from_utf8_lossy(&said);
            let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
            Err(line.trim().trim_start_matches("bwrap: ").chars().take(300).collect())
        }
    }
}
