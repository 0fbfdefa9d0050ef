//! Whether an attempt succeeded, and what it made.

use std::path::{Path, PathBuf};

use weft_protocol::content::TreePath;
use weft_protocol::job::outcome::{FailureKind, OutputFile};
use weft_scene::engine::{Definition, ExitMeaning};
use weft_store::Store;

use super::LiveLog;
use super::process::Finished;

/// Judges how an engine ended. That it says it succeeded is not enough: see [`present`].
pub(super) fn judge(
    definition: &Definition,
    finished: &Finished,
    log: &LiveLog,
) -> Result<(), (FailureKind, String)> {
    let with_log = |what: String| format!("{what}\n{}", log.tail()).trim_end().to_owned();
    let report = &finished.report;
    if let Some(error) = &report.start_error {
        let what = format!("the engine '{}' could not be started: {error}", definition.name);
        return Err((FailureKind::Start, what));
    }
    if finished.timed_out {
        return Err((FailureKind::Timeout, with_log("it took longer than the job allows".into())));
    }
    if let Some(silent) = finished.silent {
        let what = format!("it printed nothing for {} s, and was taken for hung", silent.as_secs());
        return Err((FailureKind::Timeout, with_log(what)));
    }
    if let Some(fatal) = &finished.fatal {
        return Err((
            FailureKind::ExitCode(report.exit_code.unwrap_or(0)),
            with_log(fatal.clone()),
        ));
    }
    let code = report.exit_code.unwrap_or_else(|| 128 + report.signal.unwrap_or(0));
    match definition.exit_meaning(code) {
        ExitMeaning::Success => Ok(()),
        ExitMeaning::OutOfMemory => {
            Err((FailureKind::Memory, with_log("it ran out of memory, or was killed".into())))
        }
        _ => {
            let (kind, what) = match report.signal {
                Some(signal) => {
                    (FailureKind::Signal(signal), format!("it was ended by signal {signal}"))
                }
                None => (FailureKind::ExitCode(code), format!("it ended with exit code {code}")),
            };
            Err((kind, with_log(what)))
        }
    }
}

/// Whether the files that should have been made are there, and not empty.
pub(super) fn present(
    expected: &[PathBuf],
    log: &LiveLog,
) -> Result<Vec<PathBuf>, (FailureKind, String)> {
    for file in expected {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let readable = std::fs::File::open(file).and_then(|file| file.metadata());
        let what = match readable {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => continue,
            Ok(_) => {
                format!("it claimed success, but the file {name} that it should have made is empty")
            }
            Err(_) => format!(
                "it claimed success, but the file {name} that it should have made is not there"
            ),
        };
        let what = format!("{what}\n{}", log.tail()).trim_end().to_owned();
        return Err((FailureKind::MissingOutput, what));
    }
    Ok(expected.to_vec())
}

/// Takes the files of an attempt into the store, durably. They are pinned with its log.
pub(super) fn take_in(
    store: &Store,
    work: &Path,
    files: &[PathBuf],
) -> Result<Vec<OutputFile>, String> {
    let mut taken = Vec::with_capacity(files.len());
    for file in files {
        let relative = file.strip_prefix(work).map_err(|error| error.to_string())?;
        let text = relative.to_string_lossy().replace('\\', "/");
        let path = TreePath::new(text).map_err(|error| error.to_string())?;
        let added = store.ingest_file(file, &mut |_| ()).map_err(|error| error.to_string())?;
        taken.push(OutputFile {
            path,
            blob: added.id,
            size: added.size,
            md5: added.md5,
            xxh64: added.xxh64,
        });
    }
    Ok(taken)
}
