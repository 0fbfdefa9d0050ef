//! A job goes by itself where somebody said that it may, once it has been over for as long as was said,
//! and then it does go.
//!
//! Design: "Jobs end: `weft rm` and a retention time turn a job into a short tombstone". Where the clocks of a
//! studio are wrong, nobody can tell how long it has been over: then only the rest is asked.

use std::collections::BTreeMap;

use weft_protocol::fact::Body;
use weft_protocol::ids::JobId;
use weft_protocol::job::keep::{End, Ended, Stay};
use weft_protocol::job::status::{Activity, status};
use weft_protocol::job::table::Job;
use weft_protocol::machine::Machine;

use super::Invariant;
use crate::sim::{Moment, Node, Notice, SECOND, World};

/// How far clocks that are right may lead: two seconds each, a thousandth of an hour and some, and what passes between
/// the moment that is written in a fact and its write.
const OFF: Moment = 20 * SECOND;
/// How long a leader that nothing hinders may take for what is to be said or to be removed.
const SOON: Moment = 90 * SECOND;
/// How often that is looked at.
const EACH: Moment = 10;

/// What should have been done.
#[derive(Default)]
pub(super) struct Retention {
    /// Since when it should have, in this calm.
    overdue: BTreeMap<JobId, Moment>,
}

impl Retention {
    fn over(job: &Job) -> Result<(), String> {
        match status(job, Activity::default()).filter(|status| status.is_over()) {
            Some(_) => Ok(()),
            None => Err("it is not over".into()),
        }
    }

    /// Since when it is known on a node's disk that a job is over, as it stands.
    fn said(world: &World, node: &Node, id: JobId, job: &Job) -> Option<Moment> {
        let of_job = node.disk.facts.values().filter(|fact| fact.scope() == Some(id));
        let says = |fact: &&weft_protocol::fact::Fact| match fact.body() {
            Ok(Some(Body::End(End { round, ended: Ended::Over(_), .. }))) => round == job.round(),
            _ => false,
        };
        of_job.filter(says).filter_map(|fact| world.record.born.get(&fact.id()).copied()).max()
    }

    fn goes(world: &World, node: &Node, machine: &Machine, id: JobId) -> Result<(), String> {
        let job = machine.ledger.jobs.get(&id).ok_or("it doesn't know it")?;
        Self::over(job)?;
        let keep = job.switches().keep.seconds(machine.ledger.settings.keep());
        let keep = u64::from(keep.ok_or("nobody said that it may")?) * SECOND;
        let since = Self::said(world, node, id, job).ok_or("it isn't known that it is over")?;
        let ago = world.now - since;
        match world.setup.clocks_are_right() && ago + OFF < keep {
            true => Err(format!(
                "it has been over for {} s, and was to stay for {} s",
                ago / SECOND,
                keep / SECOND
            )),
            false => Ok(()),
        }
    }

    /// What a leader has to do for a job by now, by every clock that there is.
    fn is_due(world: &World, machine: &Machine, id: &JobId) -> bool {
        match machine.stay(id) {
            Some(Stay::Unsaid) => true,
            Some(Stay::Until(at)) => world.up().all(|(_, node, _)| node.wall(world.now) >= at),
            _ => false,
        }
    }
}

impl Invariant for Retention {
    fn name(&self) -> &'static str {
        "jobs go in their time"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        let Notice::ByItself { node: number, body } = notice else { return Ok(()) };
        let node = &world.nodes[*number];
        let Some(machine) = &node.machine else { return Ok(()) };
        let (what, done) = match &**body {
            Body::End(End { job, ended: Ended::Over(_), .. }) => {
                let known = machine.ledger.jobs.get(job).ok_or("it doesn't know it");
                ("says the end of", known.map_err(str::to_owned).and_then(Self::over))
            }
            Body::Removal(removal) => ("removes", Self::goes(world, node, machine, removal.job)),
            _ => return Ok(()),
        };
        done.map_err(|how| format!("node{number} {what} a job: {how}"))
    }

    fn look(&mut self, world: &World) -> Result<(), String> {
        if world.calm_for() < SOON || world.now < world.record.stirred + SOON {
            self.overdue.clear();
            return Ok(());
        }
        // One clock alone says nothing.
        if !(world.now / SECOND).is_multiple_of(EACH) || world.up().count() < 2 {
            return Ok(());
        }
        let Some((number, _, machine)) = world.up().find(|(.., m)| m.leader.is_some()) else {
            return Ok(());
        };
        let jobs = machine.ledger.jobs.iter().map(|(id, ..)| id);
        let due: Vec<JobId> = jobs.filter(|id| Self::is_due(world, machine, id)).collect();
        self.overdue.retain(|id, _| due.contains(id));
        for id in due {
            let since = *self.overdue.entry(id).or_insert(world.now);
            if world.now - since > SOON {
                return Err(format!("node{number} leads, and leaves {id:?} as it is"));
            }
        }
        Ok(())
    }
}
