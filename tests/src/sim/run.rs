//! One run: a world from a seed, watched by the invariants until its time is over.

use std::ops::RangeInclusive;
use std::time::Duration;

use weft_protocol::machine::Mesh;

use super::clock::{Moment, SECOND, micros};
use super::event::Event;
use super::planted::Planted;
use super::world::World;
use crate::invariants::{Broken, Invariants};

/// What is run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What everything grows from.
    pub seed: u64,
    /// How many machines the studio begins with.
    pub nodes: RangeInclusive<usize>,
    /// How long it lasts in the world's time, before what is left must come to its end.
    pub span: Duration,
    /// How many connections machines look for; by the seed where nothing is said.
    pub mesh: Option<Mesh>,
    /// A bug that is planted.
    pub planted: Option<Planted>,
    /// Whether frames leave files and logs: what is known of those is most of what a large studio keeps.
    pub files: bool,
    /// What the length of frames is counted in: seconds, or less where the work is in telling of them.
    pub unit: Duration,
    /// Whether signatures are real ones.
    pub real_signatures: bool,
    /// Whether the last lines are kept in words.
    pub lines: bool,
    /// Whether all lines are printed.
    pub print: bool,
}

impl Setup {
    /// A seed as it is run by default: 3 to 9 machines for an hour.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 3..=9,
            span: Duration::from_secs(3600),
            mesh: None,
            planted: None,
            files: true,
            unit: Duration::from_secs(1),
            real_signatures: false,
            lines: false,
            print: false,
        }
    }

    /// Whether wall clocks are right, but for some seconds: in half of all seeds, whatever their mesh.
    #[must_use]
    pub const fn clocks_are_right(&self) -> bool {
        (self.seed / 4).is_multiple_of(2)
    }

    /// How many connections machines look for.
    pub(super) fn mesh(&self) -> Mesh {
        // In every fourth seed as in a studio of which nobody knows all, in small.
        let by_seed = match self.seed % 4 {
            0 => Mesh { full: 3, neighbours: 4 },
            _ => Mesh::default(),
        };
        self.mesh.unwrap_or(by_seed)
    }
}

/// What happened in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events.
    pub events: u64,
    /// How long it was in the world's time, in microseconds.
    pub lasted: Moment,
    /// Machines that ever were.
    pub machines: usize,
    /// Facts that were on any disk.
    pub facts: usize,
    /// Engines that were started.
    pub started: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Lies that were told.
    pub lies: u64,
    /// Promises that were made.
    pub promises: usize,
    /// The highest term.
    pub terms: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was broken, if anything was.
    pub broken: Option<Broken>,
    /// The hash of all that happened.
    pub trace: [u8; 32],
    /// What happened in figures.
    pub figures: Figures,
    /// The last lines, where they were asked for.
    pub lines: Vec<String>,
}

/// Runs one seed.
#[must_use]
pub fn run(setup: &Setup) -> Outcome {
    let mut world = World::new(setup);
    let mut invariants = Invariants::new();
    let span = micros(setup.span);
    world.plan_weather(span);
    world.after(5 * SECOND, Event::Person);
    world.after(SECOND, Event::Look);
    let mut looked = 0;
    let mut broken = None;
    while broken.is_none() && world.step() {
        let notices = std::mem::take(&mut world.notices);
        let mut found = notices.iter().try_for_each(|notice| invariants.notice(&world, notice));
        if world.now >= looked + SECOND {
            looked = world.now;
            found = found.and_then(|()| invariants.look(&world));
        }
        broken = found.err();
        if world.now >= span && broken.is_none() {
            match invariants.finished(&world) {
                Ok(false) => {}
                Ok(true) => {
                    broken = invariants.end(&world).err();
                    break;
                }
                Err(found) => broken = Some(found),
            }
        }
    }
    let figures = Figures {
        events: world.trace.events(),
        lasted: world.now,
        machines: world.nodes.len(),
        facts: world.record.born.len(),
        started: world.record.started,
        faults: world.record.faults,
        lies: world.record.lies,
        promises: world.record.promises.len(),
        terms: world.nodes.iter().map(|node| node.disk.term).max().unwrap_or(0),
    };
    let lines = world.trace.lines().map(str::to_owned).collect();
    Outcome { broken, trace: world.trace.hash(), figures, lines }
}
