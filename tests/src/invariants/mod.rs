//! What must hold, whatever happens: one file a rule of the design, each of which says which.

use crate::sim::{Moment, Notice, World};

mod acknowledged;
mod attempts;
mod authorship;
mod bounds;
mod claims;
mod copies;
mod counts;
mod done;
mod fencing;
mod joins;
mod limits;
mod recovery;
mod releases;
mod retention;
mod terms;
mod test_frames;

/// A rule that is watched.
pub trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Something happened.
    ///
    /// # Errors
    /// Says how it breaks the rule.
    fn notice(&mut self, _world: &World, _notice: &Notice) -> Result<(), String> {
        Ok(())
    }

    /// About a second of the world's time has passed.
    ///
    /// # Errors
    /// Says how the rule is broken.
    fn look(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }

    /// Whether the run may end as far as this rule is concerned.
    ///
    /// # Errors
    /// Says how the rule is broken, where it takes too long.
    fn finished(&mut self, _world: &World) -> Result<bool, String> {
        Ok(true)
    }

    /// The run is over.
    ///
    /// # Errors
    /// Says how the rule is broken.
    fn end(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: &'static str,
    /// When, in the world's time.
    pub at: Moment,
    /// After how many events.
    pub event: u64,
    /// How.
    pub how: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, rest) = (self.at / 1_000_000, self.at % 1_000_000);
        let Self { invariant, event, how, .. } = self;
        write!(f, "{invariant} at {seconds}.{rest:06} s, event {event}: {how}")
    }
}

/// All of them.
pub struct Invariants(Vec<Box<dyn Invariant>>);

impl Default for Invariants {
    fn default() -> Self {
        Self::new()
    }
}

impl Invariants {
    /// Every invariant, freshly.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![
            Box::<terms::Terms>::default(),
            Box::<fencing::Fencing>::default(),
            Box::<claims::Claims>::default(),
            Box::<limits::Limits>::default(),
            Box::<acknowledged::Acknowledged>::default(),
            Box::<done::Done>::default(),
            Box::<copies::Copies>::default(),
            Box::<authorship::Authorship>::default(),
            Box::<joins::Joins>::default(),
            Box::<test_frames::TestFrames>::default(),
            Box::<attempts::Attempts>::default(),
            Box::<counts::Counts>::default(),
            Box::<bounds::Bounds>::default(),
            Box::<releases::Releases>::default(),
            Box::<retention::Retention>::default(),
            Box::<recovery::Recovery>::default(),
        ])
    }

    fn all<T>(
        &mut self,
        world: &World,
        ask: impl Fn(&mut dyn Invariant) -> Result<T, String>,
    ) -> Result<Vec<T>, Broken> {
        let (at, event) = (world.now, world.trace.events());
        let asked = self.0.iter_mut().map(|invariant| {
            let name = invariant.name();
            let broken = |how| Broken { invariant: name, at, event, how };
            ask(invariant.as_mut()).map_err(broken)
        });
        asked.collect()
    }

    /// Something happened.
    ///
    /// # Errors
    /// The first rule that is broken by it.
    pub fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), Broken> {
        self.all(world, |invariant| invariant.notice(world, notice)).map(drop)
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn look(&mut self, world: &World) -> Result<(), Broken> {
        self.all(world, |invariant| invariant.look(world)).map(drop)
    }

    /// Whether the run may end.
    ///
    /// # Errors
    /// The first rule that takes too long to come true.
    pub fn finished(&mut self, world: &World) -> Result<bool, Broken> {
        let all = self.all(world, |invariant| invariant.finished(world))?;
        Ok(all.into_iter().all(|finished| finished))
    }

    /// The run is over.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn end(&mut self, world: &World) -> Result<(), Broken> {
        self.all(world, |invariant| invariant.end(world)).map(drop)
    }
}
