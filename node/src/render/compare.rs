//! Comparing: a frame that two nodes rendered should show the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use weft_protocol::fact::Body;
use weft_protocol::job::note::{Comparison, Note, Notes, What};
use weft_protocol::job::outcome::{FailureKind, OutputFile};
use weft_protocol::job::spec::JobSpec;
use weft_protocol::machine::Input;
use weft_protocol::replicate::Goods;
use weft_protocol::wire::control::AttemptKey;
use weft_store::Store;

use super::Renderer;
use super::frames::Took;
use super::join::{Source, memory};
use super::run::Started;
use crate::clock::unix_now;
use crate::picture::{self, Difference};

/// How far samples may be apart where the machines are of different kinds, as a part of their range: what
/// other rounding does to a picture, and less than eyes see.
const TOLERANCE: f32 = 0.02;
/// The request of whoever waits for no answer.
const NOBODY: u64 = u64::MAX;

impl Renderer {
    /// Compares the files of a frame with those of its second rendering, and notes what came of it.
    pub(super) async fn compare(
        &self,
        run: &Started,
        spec: &JobSpec,
        attempt: AttemptKey,
        work: &Path,
    ) -> (Took, Result<Vec<PathBuf>, (FailureKind, String)>) {
        let (started, clock) = (unix_now(), Instant::now());
        let made = match self.bring_tiles(&attempt, &run.sources, &[]).await {
            Err(why) => Err((FailureKind::Inputs, why)),
            Ok(()) => {
                let found = self.difference(run, spec, work).await;
                found.map_err(|why| (FailureKind::MissingOutput, why))
            }
        };
        let made = match made {
            Ok(comparison) => {
                run.log.note(&format!(
                    "{} of {} pixels differ by more than is tolerated, the most by {} millionths",
                    comparison.differing, comparison.pixels, comparison.largest
                ));
                // Written before the outcome is: a comparison that is done is known.
                let AttemptKey { job, task, generation, .. } = attempt;
                let note = Note { task, generation, what: What::Compared(comparison) };
                let bodies = vec![Body::Notes(Notes { job, notes: vec![note] })];
                let (signed, goods) = (Vec::new(), Goods::default());
                self.tell(Input::Author { request: NOBODY, bodies, signed, goods }).await;
                Ok(Vec::new())
            }
            Err((kind, why)) => {
                let why = format!("its two renderings can't be compared: {why}");
                run.log.note(&why);
                Err((kind, why))
            }
        };
        (Took { started, render: clock.elapsed() }, made)
    }

    async fn difference(
        &self,
        run: &Started,
        spec: &JobSpec,
        work: &Path,
    ) -> Result<Comparison, String> {
        let of = |again: bool| {
            let made = run.sources.iter().find(|source| spec.is_check(source.task.step) == again);
            made.cloned().ok_or_else(|| "one of them is not known".to_owned())
        };
        let (first, second) = (of(false)?, of(true)?);
        let author = |source: &Source| source.holders.first().copied();
        let (Some(one), Some(other)) = (author(&first), author(&second)) else {
            return Err("it is not known who rendered them".to_owned());
        };
        // Of a machine that nobody knows any more nothing is assumed.
        let alike = first.class.is_some() && first.class == second.class;
        let tolerance = if alike { 0.0 } else { TOLERANCE };
        let (store, limit) = (Arc::clone(&self.inner.store), memory(run.lease.ram));
        let folder = work.with_file_name("compared");
        let compared = move || compare_files(&store, [&first, &second], &folder, tolerance, limit);
        let compared = tokio::task::spawn_blocking(compared).await;
        let found = compared.map_err(|error| error.to_string()).flatten()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1, in millionths"
        )]
        let largest = (f64::from(found.largest) * 1e6).ceil() as u32;
        let Difference { pixels, differing, .. } = found;
        Ok(Comparison { first: one, second: other, alike, pixels, differing, largest })
    }
}

fn compare_files(
    store: &Store,
    [first, second]: [&Source; 2],
    folder: &Path,
    tolerance: f32,
    limit: u64,
) -> Result<Difference, String> {
    let mut all = Difference::default();
    if first.files.is_empty() {
        return Err("there are no files".to_owned());
    }
    // What no picture is decoded from (passes in other formats) is left out; of pictures there must be some.
    let shown = |file: &&OutputFile| picture::has_preview(file.path.as_str());
    if !first.files.iter().any(|file| shown(&file)) {
        return Err("none of its files is a PNG, JPEG or OpenEXR file".to_owned());
    }
    for one in first.files.iter().filter(shown) {
        let other = second.files.iter().find(|other| other.path == one.path);
        let other = other.ok_or_else(|| format!("{} was made once only", one.path.as_str()))?;
        let lay = |blob, name: &str| {
            let path = folder.join(name).join(one.path.as_str());
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            }
            store.deliver(blob, &path).map_err(|error| error.to_string())?;
            Ok::<PathBuf, String>(path)
        };
        let (a, b) = (lay(one.blob, "first")?, lay(other.blob, "second")?);
        let found = picture::compare(&a, &b, tolerance, limit)?;
        all.pixels += found.pixels;
        all.differing += found.differing;
        all.largest = all.largest.max(found.largest);
    }
    Ok(all)
}
