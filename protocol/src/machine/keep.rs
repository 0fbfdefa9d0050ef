//! Jobs that are over go once their time has come.

use super::{Command, Machine};
use crate::clocks::Agreed;
use crate::fact::{Body, Removal};
use crate::ids::{JobId, NodeId};
use crate::job::keep::{End, Ended, Keep, Round, Stay, stay};
use crate::time::{Time, Unix};
use crate::wire::control::Message;

/// How many jobs are dealt with each time: their facts go into one write.
const AT_ONCE: usize = 256;

impl Machine {
    /// What keeps a job, as far as this node knows; none for one that isn't known.
    #[must_use]
    pub fn stay(&self, job: &JobId) -> Option<Stay> {
        let is_member = |node: &NodeId| !self.ledger.members.is_revoked(node);
        let job = self.ledger.jobs.get(job).filter(|job| job.spec().is_some())?;
        Some(stay(job, self.ledger.settings.keep(), is_member))
    }

    /// The round of a job of which this node has yet to say that it wrote all files.
    #[must_use]
    pub fn owes(&self, job: &JobId) -> Option<Round> {
        match self.stay(job)? {
            Stay::Owed(nodes) if nodes.contains(&self.me) => {}
            _ => return None,
        }
        self.ledger.jobs.get(job).map(|job| job.round())
    }

    /// Whether any job goes by itself.
    fn lets_go(&self) -> bool {
        let settings = &self.ledger.settings;
        let mut jobs = self.ledger.jobs.iter();
        settings.keep().is_some()
            || jobs.any(|(_, job, _)| matches!(job.switches().keep, Keep::For(_)))
    }

    /// What this node's clock says.
    pub(super) fn clock(&mut self, now: Time, clock: Unix) {
        self.clocks.heard(now, self.me, clock);
        if !self.lets_go() {
            return;
        }
        if self.leader.is_some() {
            self.let_go(now);
        } else if let Some(leader) = self.election.leader() {
            self.send(leader, Message::Clock(clock));
        }
    }

    /// The time by this node's clock and those of others that are there. Where the studio has other
    /// members, one clock alone says nothing.
    fn agreed(&self, now: Time) -> Option<Agreed> {
        let (members, there) = (&self.ledger.members, self.reachable());
        let least = members.iter().take(2).count();
        self.clocks.agreed(now, least, |node| there.contains(node) && members.get(node).is_some())
    }

    /// Says of jobs since when they are over, and removes those whose time has come.
    fn let_go(&mut self, now: Time) {
        let Some(time) = self.agreed(now) else { return };
        let mut bodies = Vec::new();
        for (id, job, _) in self.ledger.jobs.iter() {
            match self.stay(&id) {
                Some(Stay::Unsaid) => {
                    let (round, ended) = (job.round(), Ended::Over(time.latest));
                    bodies.push(Body::End(End { job: id, round, ended }));
                }
                // A second attempt may still be on its way to being ended.
                Some(Stay::Until(at)) if at <= time.earliest && self.is_idle(&id) => {
                    bodies.push(Body::Removal(Removal { job: id }));
                    self.out.push(Command::LetGo(id));
                }
                _ => {}
            }
            if bodies.len() == AT_ONCE {
                break;
            }
        }
        self.publish(&bodies);
    }

    fn is_idle(&self, job: &JobId) -> bool {
        self.leader.as_ref().is_none_or(|leader| {
            leader.leases_of(job).next().is_none() && leader.seconds_of(job).next().is_none()
        })
    }

    /// All files that this node was to write of a job's round are in their places.
    pub(super) fn delivered(&mut self, job: JobId, round: Round) {
        if self.owes(&job) == Some(round) {
            self.publish(&[Body::End(End { job, round, ended: Ended::Delivered })]);
        }
    }
}
