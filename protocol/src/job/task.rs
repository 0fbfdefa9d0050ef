//! Tasks: the units of work, and runs of frames.

use serde::{Deserialize, Serialize};

/// The most frames that one job may have.
pub const MAX_FRAMES: usize = 1_000_000;

/// Names a task within its job. Steps, layers, cameras and views are counted as the spec lists
/// them, from 0; so are tiles, row by row from the top.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct TaskKey {
    /// Which step.
    pub step: u16,
    /// Which render layer.
    pub layer: u16,
    /// Which camera.
    pub camera: u16,
    /// Which view of a stereo pair.
    pub view: u16,
    /// Which frame.
    pub frame: i32,
    /// Which tile.
    pub tile: u16,
}

impl TaskKey {
    /// The task of a whole frame of a job's first step.
    #[must_use]
    pub const fn frame(frame: i32) -> Self {
        Self { step: 0, layer: 0, camera: 0, view: 0, frame, tile: 0 }
    }
}

/// Frames `start`, `start + step`, … up to and with `end`; downwards for a negative step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameRun {
    /// The first frame.
    pub start: i32,
    /// The last frame that may be in it.
    pub end: i32,
    /// The distance, never 0.
    pub step: i32,
}

impl FrameRun {
    /// Its frames, in order.
    pub fn frames(self) -> impl DoubleEndedIterator<Item = i32> + Clone {
        let (start, end, step) = (i64::from(self.start), i64::from(self.end), i64::from(self.step));
        let count = if step == 0 { 0 } else { ((end - start) / step + 1).max(0) };
        let reaches = if step >= 0 { start <= end } else { start >= end };
        let count = if reaches { count } else { 0 };
        (0..count).map(move |n| i32::try_from(start + n * step).unwrap_or(i32::MAX))
    }

    /// How many frames it has.
    #[must_use]
    pub fn len(self) -> usize {
        self.frames().size_hint().0
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `frame` is in it.
    #[must_use]
    pub fn contains(self, frame: i32) -> bool {
        let (low, high) = (self.start.min(self.end), self.start.max(self.end));
        let offset = i64::from(frame) - i64::from(self.start);
        self.step != 0
            && (low..=high).contains(&frame)
            && offset % i64::from(self.step) == 0
            && !self.is_empty()
    }
}

/// Folds frames, in their order, into runs.
#[must_use]
pub fn runs(frames: &[i32]) -> Vec<FrameRun> {
    let mut runs: Vec<FrameRun> = Vec::new();
    for &frame in frames {
        match runs.last_mut() {
            Some(run) if run.start == run.end && frame != run.start => {
                if let Some(step) = frame.checked_sub(run.start) {
                    (run.end, run.step) = (frame, step);
                    continue;
                }
            }
            Some(run) if run.end.checked_add(run.step) == Some(frame) && run.start != run.end => {
                run.end = frame;
                continue;
            }
            _ => {}
        }
        runs.push(FrameRun { start: frame, end: frame, step: 1 });
    }
    runs
}

/// The frames of several runs, in order, at most [`MAX_FRAMES`] of them.
pub fn unfold(runs: &[FrameRun]) -> impl Iterator<Item = i32> + '_ {
    runs.iter().flat_map(|run| run.frames()).take(MAX_FRAMES)
}

/// The smallest and the largest frame of several runs; none where they have none. It does not go
/// through the frames.
#[must_use]
pub fn span(runs: &[FrameRun]) -> Option<(i32, i32)> {
    let ends =
        runs.iter().flat_map(|run| run.frames().next().into_iter().chain(run.frames().next_back()));
    ends.fold(None, |span, frame| {
        let (least, most) = span.unwrap_or((frame, frame));
        Some((least.min(frame), most.max(frame)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_unfold_to_what_was_folded(frames in prop::collection::vec(-50_i32..50, 0..60)) {
            let folded = runs(&frames);
            prop_assert_eq!(unfold(&folded).collect::<Vec<_>>(), frames.clone());
            let ends = frames.iter().min().copied().zip(frames.iter().max().copied());
            prop_assert_eq!(span(&folded), ends);
            for frame in -60..60 {
                let inside = folded.iter().any(|run| run.contains(frame));
                prop_assert_eq!(inside, frames.contains(&frame), "{}", frame);
            }
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_run_forever() {
        let whole = FrameRun { start: i32::MIN, end: i32::MAX, step: 1 };
        assert_eq!(whole.len(), 1 << 32);
        assert!(whole.contains(i32::MAX));
        assert_eq!(unfold(&[whole, whole]).count(), MAX_FRAMES);
        for run in [(5, 1, 1), (1, 5, -1), (1, 5, 0)] {
            let run = FrameRun { start: run.0, end: run.1, step: run.2 };
            assert!(run.is_empty() && !run.contains(1), "{run:?}");
        }
        assert_eq!(runs(&[i32::MIN, i32::MAX]).len(), 2);
    }
}
