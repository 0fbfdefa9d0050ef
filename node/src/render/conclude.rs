//! What an attempt made becomes its outcome.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weft_protocol::job::outcome::{Ending, FailureKind, MAX_MESSAGE, Outcome};
use weft_protocol::machine::Input;
use weft_protocol::wire::control::AttemptKey;
use weft_store::{Batch, Store};

use super::{Renderer, output};
use crate::notes::Made;

/// What an engine printed about an attempt.
pub(super) enum Log {
    None,
    /// The whole of a file.
    File(PathBuf),
    /// Some bytes of one: from, and up to.
    Part(PathBuf, u64, u64),
}

impl Log {
    /// Takes it into the store, where it can be read. An engine that printed nothing has no log.
    fn take_in(&self, store: &Store) -> Option<weft_protocol::ids::BlobId> {
        match self {
            Self::None => None,
            Self::File(path) => {
                let written = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
                written.then(|| store.ingest_file(path, &mut |_| ()).ok())?.map(|log| log.id)
            }
            Self::Part(_, from, to) if to <= from => None,
            Self::Part(path, from, to) => {
                let mut file = std::fs::File::open(path).ok()?;
                file.seek(SeekFrom::Start(*from)).ok()?;
                let mut part = file.take(to.saturating_sub(*from));
                Some(store.ingest_reader(&mut part).ok()?.id)
            }
        }
    }
}

/// How an attempt went, before its files are taken in.
pub(super) struct Ended {
    pub(super) ending: Result<Vec<PathBuf>, (FailureKind, String)>,
    pub(super) render: Duration,
    pub(super) started: weft_protocol::time::Unix,
    pub(super) observed: Observed,
}

/// What was seen of an attempt besides how it ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The most memory that its engine held, in bytes; 0 where not known.
    pub(super) peak_memory: u64,
    /// What its engine warned of.
    pub(super) warnings: Vec<String>,
}

impl Renderer {
    /// Takes in what an attempt made, which lies where it did its `work`, and hands its outcome to the machine.
    pub(super) async fn conclude(
        &self,
        work: PathBuf,
        attempt: AttemptKey,
        ended: Ended,
        log: Log,
    ) {
        let store = Arc::clone(&self.inner.store);
        let reason = crate::pins::job(&attempt.job);
        let taken = tokio::task::spawn_blocking(move || {
            let _intake = store.intake();
            let log = log.take_in(&store);
            let mut pins = log.iter().fold(Batch::new(), |batch, log| batch.pin(*log, &reason));
            let ending = match ended.ending {
                Ok(files) => match output::take_in(&store, &work, &files) {
                    Ok(files) => {
                        pins = files.iter().fold(pins, |pins, file| pins.pin(file.blob, &reason));
                        Ending::Done(files)
                    }
                    Err(message) => Ending::Failed { kind: FailureKind::MissingOutput, message },
                },
                Err((kind, message)) => Ending::Failed { kind, message: shorten(message) },
            };
            // What could not be pinned is not kept for sure, so it is not done.
            let kept = if pins.is_empty() { Ok(()) } else { store.commit(&pins) };
            let ending = match kept {
                Ok(()) => ending,
                Err(error) => Ending::Failed {
                    kind: FailureKind::MissingOutput,
                    message: format!("its results could not be kept: {error}"),
                },
            };
            (ending, log, ended.render, ended.started, ended.observed)
        });
        let Ok((ending, log, render, started, observed)) = taken.await else {
            return;
        };
        let took = weft_protocol::fact::body::millis(render);
        let Observed { peak_memory, warnings } = observed;
        let outcome = Outcome { peak_memory, log, ..attempt.outcome(ending, started, took) };
        let made = match &outcome.ending {
            Ending::Done(files) if !files.is_empty() => Some(files.clone()),
            Ending::Failed { .. } if !warnings.is_empty() => Some(Vec::new()),
            Ending::Done(_) | Ending::Failed { .. } => None,
        };
        self.tell(Input::Ended(attempt, Box::new(outcome))).await;
        if let Some(files) = made {
            let AttemptKey { job, task, generation, attempt } = attempt;
            // Where too many wait, nothing is noted of this one: it is done all the same.
            let made = Made { job, task, generation, attempt, files, warnings };
            let _ = self.inner.made.try_send(made);
        }
    }
}

/// The end of a message that is longer than an outcome may carry.
fn shorten(message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let mut from = message.len() - (MAX_MESSAGE - 4);
    while !message.is_char_boundary(from) {
        from += 1;
    }
    format!("…{}", &message[from..])
}
