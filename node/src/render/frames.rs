//! Which frames of a run are done: as soon as their files are whole, and not when the process ends.
//!
//! Where the engine says which files it saved, those lines count. Where it doesn't, a frame's files are
//! whole once a later frame was begun and they did not grow between two looks: engines render the
//! frames of a run one after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weft_protocol::time::Unix;
use weft_protocol::wire::control::AttemptKey;
use weft_scene::engine::ExpectedOutput;

use crate::clock::unix_now;

/// One frame of a run.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) attempt: AttemptKey,
    /// The files that it must leave.
    pub(super) expected: Vec<PathBuf>,
    /// What its engine warned of while it was rendered.
    pub(super) warnings: Vec<String>,
    saved: Vec<bool>,
    /// How large they were at the last look.
    sizes: Option<Vec<u64>>,
    done: bool,
}

/// When a frame was begun and how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) started: Unix,
    pub(super) render: Duration,
}

/// What became of the frames of one process so far.
#[derive(Debug)]
pub(super) struct Frames {
    frames: Vec<Frame>,
    work: PathBuf,
    /// Whether the engine names the files that it saved.
    told: bool,
    begun: (Unix, Instant),
}

impl Frames {
    /// The frames of a process that is about to start.
    pub(super) fn new(
        attempts: &[AttemptKey],
        outputs: &[ExpectedOutput],
        work: &Path,
        told: bool,
    ) -> Self {
        let frame = |attempt: &AttemptKey| {
            let own = |output: &&ExpectedOutput| output.frame == i64::from(attempt.task.frame);
            let expected: Vec<PathBuf> =
                outputs.iter().filter(own).map(|output| work.join(&output.path)).collect();
            let saved = vec![false; expected.len()];
            Frame {
                attempt: *attempt,
                expected,
                warnings: Vec::new(),
                saved,
                sizes: None,
                done: false,
            }
        };
        let frames = attempts.iter().map(frame).collect();
        Self { frames, work: work.to_owned(), told, begun: (unix_now(), Instant::now()) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the files must be looked at, because the engine tells nothing of them.
    pub(super) fn must_look(&self) -> bool {
        self.len() > 1 && !self.told
    }

    /// The frames that are not done, in order.
    pub(super) fn left(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(|frame| !frame.done)
    }

    /// Whether the engine names the files that it saved.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The engine says that it saved a file, as it spells the path, and warned of something before.
    pub(super) fn saved(&mut self, path: &str, warned: &[String]) {
        let path = self.work.join(path);
        for frame in &mut self.frames {
            for (expected, saved) in frame.expected.iter().zip(&mut frame.saved) {
                *saved |= *expected == path;
            }
            if frame.expected.contains(&path) {
                frame.warnings.extend_from_slice(warned);
            }
        }
    }

    /// The frames of a run of several that are whole by now, each once, and what they took. `begun`
    /// is how many the engine has begun, where it tells; once it has `ended` nothing grows any more.
    pub(super) fn whole(&mut self, begun: usize, ended: bool) -> Vec<(Frame, Took)> {
        if self.len() < 2 {
            return Vec::new();
        }
        let there = |frame: &Frame| frame.expected.iter().any(|file| file.exists());
        // Looking at the files of later frames only until one is there keeps a look short.
        let latest = match self.told {
            true => 0,
            false => self.frames.iter().rposition(there).unwrap_or(0).max(begun.saturating_sub(1)),
        };
        let told = self.told;
        let mut whole = Vec::new();
        for (at, frame) in self.frames.iter_mut().enumerate() {
            if frame.done || frame.expected.is_empty() {
                continue;
            }
            frame.done = match told {
                true => frame.saved.iter().all(|saved| *saved) && frame.sizes().is_some(),
                false if at < latest => {
                    let sizes = frame.sizes();
                    let same = sizes.is_some() && (ended || sizes == frame.sizes);
                    frame.sizes = sizes;
                    same
                }
                false => false,
            };
            if frame.done {
                whole.push(frame.clone());
            }
        }
        whole.into_iter().map(|frame| (frame, self.take_time())).collect()
    }

    /// What has passed since the frame before was done.
    pub(super) fn take_time(&mut self) -> Took {
        let (started, since) = std::mem::replace(&mut self.begun, (unix_now(), Instant::now()));
        Took { started, render: since.elapsed() }
    }
}

impl Frame {
    /// How large its files are; none unless all are there, and none of them is empty.
    fn sizes(&self) -> Option<Vec<u64>> {
        let size = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            (metadata.is_file() && metadata.len() > 0).then_some(metadata.len())
        };
        self.expected.iter().map(size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_protocol::ids::JobId;
    use weft_protocol::job::task::TaskKey;

    fn frames(folder: &Path, told: bool) -> Frames {
        let attempt = |frame| AttemptKey {
            job: JobId([1; 32]),
            task: TaskKey::frame(frame),
            generation: 0,
            attempt: 1,
        };
        let text = "[engine.x]\nexecutables = [\"x\"]\nargs = [\"{frames}\", \"{output}\"]\n\
                    formats = { PNG = \"png\" }\nframes_per_run = \"list\"\n";
        let engine = &weft_scene::engine::parse(text, "test").unwrap()["x"];
        let invocation = weft_scene::engine::Invocation {
            frames: vec![1, 2, 3],
            work: folder.display().to_string(),
            name: "a".into(),
            ..Default::default()
        };
        let command = weft_scene::engine::command(engine, &invocation).unwrap();
        Frames::new(&[1, 2, 3].map(attempt), &command.expected_outputs, folder, told)
    }

    fn done(frames: &mut Frames, begun: usize) -> Vec<i32> {
        frames.whole(begun, false).iter().map(|(frame, _)| frame.attempt.task.frame).collect()
    }

    #[test]
    fn a_frame_is_done_when_the_engine_says_that_it_is_saved_and_the_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = frames(folder.path(), true);
        std::fs::write(folder.path().join("a_0001.png"), "x").unwrap();
        std::fs::write(folder.path().join("a_0002.png"), "x").unwrap();
        assert_eq!(done(&mut run, 3), [0; 0]);
        run.saved(&folder.path().join("a_0001.png").display().to_string(), &[]);
        run.saved("/elsewhere/a_0002.png", &[]);
        run.saved(&folder.path().join("a_0003.png").display().to_string(), &[]);
        assert_eq!(done(&mut run, 0), [1]);
        assert_eq!(done(&mut run, 0), [0; 0], "each once");
        assert_eq!(run.left().count(), 2);
    }

    #[test]
    fn where_nothing_is_told_a_frame_is_done_once_a_later_one_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = frames(folder.path(), false);
        std::fs::write(folder.path().join("a_0001.png"), "x").unwrap();
        assert_eq!(done(&mut run, 0), [0; 0]);
        assert_eq!(done(&mut run, 0), [0; 0], "it may still grow");
        std::fs::write(folder.path().join("a_0002.png"), "x").unwrap();
        assert_eq!(done(&mut run, 0), [0; 0], "it is looked at twice");
        std::fs::write(folder.path().join("a_0001.png"), "xx").unwrap();
        assert_eq!(done(&mut run, 0), [0; 0], "it has grown");
        assert_eq!(done(&mut run, 0), [1]);
        assert_eq!((done(&mut run, 3), done(&mut run, 3)), (vec![], vec![2]), "the engine tells");
    }
}
