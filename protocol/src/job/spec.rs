//! A job's spec: what its submitter signed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::task::{FrameRun, MAX_FRAMES, TaskKey, unfold};
use crate::content::TreePath;
use crate::hardware::Needs;
use crate::ids::{BlobId, JobId};
use crate::time::Unix;
use crate::wire;

/// The most steps of a job.
pub const MAX_STEPS: usize = 64;
/// The most attempts at one task that a spec may ask for.
pub const MAX_RETRIES: u32 = 100;
/// The priority of a job that asks for none; 0 to 100.
pub const NORMAL_PRIORITY: u8 = 50;
/// The engine that compares what two steps made of the same frames.
pub const COMPARE: &str = "compare";
const MAX_TEXT: usize = 4096;
const MAX_ARGUMENTS: usize = 256;

/// What happens once every test frame's outcome is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterTest {
    /// The rest goes on, whatever came of them.
    #[default]
    GoOn,
    /// A failed test frame fails the job, and nothing else ever starts.
    StopIfFailed,
    /// As `StopIfFailed`; and the rest waits until somebody approves.
    AwaitApproval,
}

/// A set of tasks of one kind inside a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, for people.
    pub name: String,
    /// The engine, as nodes' own configuration names it.
    pub engine: String,
    /// The engine's version: all frames of a step are made by one. Empty: whichever a node has.
    pub engine_version: String,
    /// The scene within the job's inputs.
    pub scene: TreePath,
    /// What fills the placeholders of the engine's command line.
    pub arguments: BTreeMap<String, String>,
    /// Its frames, in the order in which they should be done.
    pub frames: Vec<FrameRun>,
    /// Columns and rows that a frame is split into; (1, 1) for whole frames.
    pub tiles: (u16, u16),
    /// How many frames one attempt may take, at least 1.
    pub frames_per_task: u32,
    /// The outputs' name, where a run of `#` stands for the frame's digits.
    pub output: String,
    /// The steps, by number, that must be done first.
    pub after: Vec<u16>,
}

/// The argument of a step whose frames are a file for each view: what their names are told by, with commas between
/// them.
pub const VIEWS: &str = "views";

/// The argument of a step whose frames follow from those before.
pub const IN_ORDER: &str = "in_order";

impl Step {
    /// Whether each of its frames follows from those before, so that one process renders all of them in order.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.arguments.contains_key(IN_ORDER)
    }
}

/// What an artist submits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Chosen by the submitter: the same spec sent twice is one job, a new one another.
    pub nonce: [u8; 16],
    /// Its name, for people.
    pub name: String,
    /// Whose it is: fair share counts by this.
    pub owner: String,
    /// When it was submitted, by the submitter's clock.
    pub submitted: Unix,
    /// The tree of its inputs.
    pub inputs: BlobId,
    /// Its steps, at least one.
    pub steps: Vec<Step>,
    /// The frames of the first step that go before all else.
    pub test_frames: Vec<FrameRun>,
    /// What their outcome decides.
    pub after_test: AfterTest,
    /// What each attempt needs of its machine.
    pub needs: Needs,
    /// 0 to 100; more goes first.
    pub priority: u8,
    /// How many times more a failed task is tried.
    pub retries: u32,
    /// How long an attempt may take, in seconds; 0 for as long as it likes.
    pub timeout: u32,
    /// Everything is rendered, also what other jobs have rendered. Since version 2.
    #[serde(skip)]
    pub fresh: bool,
    /// How many percent of the frames are rendered a second time and compared. Since version 2.
    #[serde(skip)]
    pub check: u8,
    /// Each attempt takes no more of its machine than the job needs, and leaves the rest to others; all of
    /// it otherwise. Since version 3.
    #[serde(skip)]
    pub share: bool,
}

/// Why a spec is not one that a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job's description is not valid: {0}")]
pub struct SpecError(&'static str);

impl JobSpec {
    /// The job's id: the hash of its spec.
    #[must_use]
    pub fn id(&self) -> JobId {
        JobId(*blake3::hash(&self.encode()).as_bytes())
    }

    /// The version of its layout: the first one where it says all that there is to say, so that
    /// releases which know no other read ordinary jobs.
    #[must_use]
    pub const fn version(&self) -> u16 {
        if self.share {
            3
        } else if self.fresh || self.check > 0 {
            2
        } else {
            1
        }
    }

    /// Its bytes, in the layout of [`JobSpec::version`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self.version() {
            1 => wire::encode(self),
            2 => wire::encode(&(self, self.fresh, self.check)),
            _ => wire::encode(&(self, self.fresh, self.check, self.share)),
        }
    }

    /// Reads a spec of at most `limit` bytes in the layout of version 1, 2 or 3; none where it is another
    /// version's, or not as that version would be written.
    #[must_use]
    pub fn decode(version: u16, bytes: &[u8], limit: usize) -> Option<Self> {
        let spec = match version {
            1 => wire::decode(bytes, limit).ok()?,
            2 => {
                let (spec, fresh, check): (Self, bool, u8) = wire::decode(bytes, limit).ok()?;
                Self { fresh, check, ..spec }
            }
            3 => {
                let (spec, fresh, check, share): (Self, bool, u8, bool) =
                    wire::decode(bytes, limit).ok()?;
                Self { fresh, check, share, ..spec }
            }
            _ => return None,
        };
        (spec.version() == version).then_some(spec)
    }

    /// Checks the bounds that hold for every spec, whoever sent it.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check_bounds(&self) -> Result<(), SpecError> {
        let holds = |condition: bool, what| condition.then_some(()).ok_or(SpecError(what));
        let short = |text: &str| text.len() <= MAX_TEXT;
        holds(short(&self.name) && short(&self.owner), "a name is too long")?;
        holds(!self.steps.is_empty() && self.steps.len() <= MAX_STEPS, "the number of steps")?;
        holds(self.priority <= 100, "the priority is above 100")?;
        holds(self.retries <= MAX_RETRIES, "too many retries")?;
        holds(self.check <= 100, "more than all is to be checked")?;
        for (number, step) in self.steps.iter().enumerate() {
            holds(step.frames.iter().all(|run| run.step != 0), "a frame range without a step")?;
            let mut frames: usize = 0;
            for run in &step.frames {
                frames = frames.saturating_add(run.len());
            }
            let tiles = usize::from(step.tiles.0) * usize::from(step.tiles.1);
            holds((1..=MAX_FRAMES).contains(&frames), "the number of frames")?;
            holds((1..=1024).contains(&tiles), "the number of tiles")?;
            holds(frames.saturating_mul(tiles) <= MAX_FRAMES, "the number of tasks")?;
            holds(step.frames_per_task >= 1, "frames per task")?;
            holds(step.after.iter().all(|n| usize::from(*n) < number), "the order of the steps")?;
            holds(short(&step.name) && short(&step.engine) && short(&step.output), "a text")?;
            holds(!step.output.is_empty(), "the output has no name")?;
            holds(!step.output.contains(['/', '\\', '\0']), "the output's name has a folder")?;
            holds(step.arguments.len() <= MAX_ARGUMENTS, "too many arguments")?;
            let texts = step.arguments.iter().all(|(key, value)| short(key) && short(value));
            holds(texts, "an argument is too long")?;
        }
        holds(self.check == 0 || self.check_steps_fit(), "the steps that check the others")?;
        let first: BTreeSet<i32> = unfold(&self.steps[0].frames).collect();
        holds(self.test_frames.iter().all(|run| run.len() <= MAX_FRAMES), "the test frames")?;
        let inside = unfold(&self.test_frames).all(|frame| first.contains(&frame));
        holds(inside, "a test frame is not among the job's frames")
    }

    /// Whether a step waits for an earlier one frame by frame, because both have the same frames: then
    /// each of its frames waits for that frame of the earlier one only.
    #[must_use]
    pub fn frame_by_frame(&self, earlier: u16, later: u16) -> bool {
        let step = |number: u16| self.steps.get(usize::from(number));
        step(earlier).zip(step(later)).is_some_and(|(before, after)| {
            // What is checked is some of the frames, each as soon as it is there.
            after.after.contains(&earlier)
                && (before.frames == after.frames || self.is_check(later))
        })
    }

    /// A step, and those that follow from it frame by frame: what is added to its frames is added to
    /// theirs, and what is made anew of them is made anew there.
    #[must_use]
    pub fn chain(&self, step: u16) -> Vec<u16> {
        let mut chain = vec![step];
        for (number, _) in (0..).zip(&self.steps) {
            if chain.iter().any(|earlier| self.frame_by_frame(*earlier, number)) {
                chain.push(number);
            }
        }
        chain
    }

    /// Whether a step renders a second time what another one has rendered, or compares the two.
    #[must_use]
    pub const fn is_check(&self, step: u16) -> bool {
        self.check > 0 && step > 0
    }

    /// Whether a step compares what was rendered twice.
    #[must_use]
    pub const fn compares(&self, step: u16) -> bool {
        self.is_check(step) && step == 2
    }

    /// The frames that a process has to render for these frames of a step to come out right: themselves,
    /// unless they follow from those before.
    #[must_use]
    pub fn rendered_for(&self, step: &Step, wanted: &[i32]) -> Vec<i32> {
        let Some(last) = wanted.iter().max().filter(|_| step.is_in_order()) else {
            return wanted.to_vec();
        };
        // What is checked are some frames of the first step.
        let first = self.steps.iter().take(1);
        let mut needed: BTreeSet<i32> = first.flat_map(|first| unfold(&first.frames)).collect();
        // What was added to a job follows from all that lies between.
        let mut latest = needed.iter().rev().copied();
        if let (Some(end), before) = (latest.next(), latest.next()) {
            let gap = before.map_or(1, |before| end.abs_diff(before));
            let gap = usize::try_from(gap).unwrap_or(1).max(1);
            needed.extend((end..=*last).step_by(gap));
        }
        needed.retain(|frame| frame <= last);
        needed.extend(wanted);
        needed.into_iter().collect()
    }

    /// The frames to render a second time, of those of the first step: as many as `check` percent of
    /// them, and at least one. Which they are only the submitter's nonce decides.
    #[must_use]
    pub fn frames_to_check(&self) -> Vec<i32> {
        let frames: Vec<i32> = self.steps.iter().take(1).flat_map(|s| unfold(&s.frames)).collect();
        let share = (frames.len() * usize::from(self.check)).div_ceil(100);
        let lot = |frame: &i32| *blake3::hash(&wire::encode(&(self.nonce, *frame))).as_bytes();
        let mut drawn = frames.clone();
        drawn.sort_by_cached_key(lot);
        drawn.truncate(share);
        let drawn: BTreeSet<i32> = drawn.into_iter().collect();
        frames.into_iter().filter(|frame| drawn.contains(frame)).collect()
    }

    /// Whether the steps of a checked job are those that check the first one.
    fn check_steps_fit(&self) -> bool {
        let [render, again, compare] = &self.steps[..] else { return false };
        render.tiles == (1, 1)
            && again.after == [0]
            && compare.after == [0, 1]
            && again.tiles == (1, 1)
            && compare.tiles == (1, 1)
            && (&again.engine, &again.scene, &again.arguments)
                == (&render.engine, &render.scene, &render.arguments)
            && compare.engine == COMPARE
            && compare.frames == again.frames
            && {
                let frames: BTreeSet<i32> = unfold(&render.frames).collect();
                unfold(&again.frames).all(|frame| frames.contains(&frame))
            }
    }

    /// Whether what a step makes is what the job is for: no other step works on it.
    #[must_use]
    pub fn is_result(&self, step: u16) -> bool {
        let works_on =
            |(number, other): (u16, &Step)| !self.is_check(number) && other.after.contains(&step);
        !self.is_check(step) && !(0..).zip(&self.steps).any(works_on)
    }

    /// The tasks that a task waits for by itself, in order: those of its frame in the steps that its own
    /// follows from.
    #[must_use]
    pub fn before(&self, key: &TaskKey) -> Vec<TaskKey> {
        self.neighbours(key, |number| self.frame_by_frame(number, key.step))
    }

    /// The tasks that wait for a task by themselves, in order.
    pub(super) fn behind(&self, key: &TaskKey) -> Vec<TaskKey> {
        self.neighbours(key, |number| self.frame_by_frame(key.step, number))
    }

    /// The steps of which all has to be done before one can start, because they have other frames.
    pub fn before_as_a_whole(&self, step: u16) -> impl Iterator<Item = u16> {
        let after = self.steps.get(usize::from(step)).map(|step| step.after.as_slice());
        let after = after.unwrap_or_default().iter().copied();
        after.filter(move |before| !self.frame_by_frame(*before, step))
    }

    /// The steps that wait for one as a whole.
    pub(super) fn behind_as_a_whole(&self, step: u16) -> impl Iterator<Item = u16> {
        let all = (0..).zip(&self.steps).map(|(number, _)| number);
        all.filter(move |later| self.before_as_a_whole(*later).any(|before| before == step))
    }

    fn neighbours(&self, key: &TaskKey, is_one: impl Fn(u16) -> bool) -> Vec<TaskKey> {
        let steps = (0..).zip(&self.steps).map(|(number, _)| number).filter(|n| is_one(*n));
        let tiles = |step: u16| (0..self.tiles_of(step)).map(move |tile| (step, tile));
        steps.flat_map(tiles).map(|(step, tile)| TaskKey { step, tile, ..*key }).collect()
    }

    fn tiles_of(&self, step: u16) -> u16 {
        self.steps.get(usize::from(step)).map_or(0, |step| step.tiles.0 * step.tiles.1)
    }

    /// The tasks of one step for some frames of it, each frame's followed by those that the steps
    /// behind it make of that frame.
    pub fn tasks_along<'a>(
        &'a self,
        step: u16,
        frames: &'a [FrameRun],
    ) -> impl Iterator<Item = TaskKey> + 'a {
        let chain = self.chain(step);
        let again = self.steps.get(1).filter(|_| self.is_check(1));
        let again: BTreeSet<i32> = again.iter().flat_map(|step| unfold(&step.frames)).collect();
        unfold(frames).flat_map(move |frame| {
            let has = |number: &u16| !self.is_check(*number) || again.contains(&frame);
            let all = chain.iter().copied().filter(has).collect::<Vec<_>>().into_iter();
            all.flat_map(move |step| {
                let tiles = 0..self.tiles_of(step);
                tiles.map(move |tile| TaskKey { step, tile, ..TaskKey::frame(frame) })
            })
        })
    }

    /// The tasks of one step for some frames of it.
    pub fn tasks_of<'a>(
        &'a self,
        step: u16,
        frames: &'a [FrameRun],
    ) -> impl Iterator<Item = TaskKey> + 'a {
        let tiles = self.tiles_of(step);
        unfold(frames).flat_map(move |frame| {
            (0..tiles).map(move |tile| TaskKey { step, tile, ..TaskKey::frame(frame) })
        })
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
