//! The facts that a node holds, who may author what, and the state that they join to.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificate::{Chain, Role, Statement};
use crate::fact::{Body, Fact};
use crate::ids::{FactId, JobId, NodeId, StudioId};
use crate::job::table::Jobs;
use crate::settings::Settings;
use crate::sign::Verifier;

/// What a node makes of a fact that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new and good: write it down, then [`Ledger::apply`] it.
    New,
    /// It is held already, or about a job that was removed.
    Known,
    /// Its author's certificate is not known here (yet): it is not kept, and will be offered again.
    UnknownAuthor,
    /// It is signed wrongly, unreadable, or not its author's to write. Whoever sent it is at fault.
    Invalid(&'static str),
}

/// A studio's members, as their certificates tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    chains: BTreeMap<NodeId, Chain>,
    revoked: BTreeMap<NodeId, String>,
}

impl Members {
    /// What the studio says of a node, unless it was revoked.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&Statement> {
        self.statement(node).filter(|_| !self.revoked.contains_key(node))
    }

    /// What the studio says of a node, or said before it was revoked.
    fn statement(&self, node: &NodeId) -> Option<&Statement> {
        self.chains.get(node).map(|chain| &chain.leaf.statement)
    }

    /// A member's chain.
    #[must_use]
    pub fn chain(&self, node: &NodeId) -> Option<&Chain> {
        self.chains.get(node)
    }

    /// Every member that was not revoked.
    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.chains.keys().filter_map(|node| self.get(node))
    }

    /// The nodes that were revoked, and why.
    pub fn revoked(&self) -> impl Iterator<Item = (&NodeId, &str)> {
        self.revoked.iter().map(|(node, reason)| (node, reason.as_str()))
    }

    /// Whether a node was revoked.
    #[must_use]
    pub fn is_revoked(&self, node: &NodeId) -> bool {
        self.revoked.contains_key(node)
    }

    pub(crate) fn add(&mut self, chain: &Chain) {
        let statement = &chain.leaf.statement;
        // Of two certificates of one node the later counts; of equally late ones the greater bytes.
        let rank = |chain: &Chain| (chain.leaf.statement.expires, chain.encode());
        let known = self.chains.get(&statement.subject);
        if known.is_none_or(|known| rank(chain) > rank(known)) {
            self.chains.insert(statement.subject, chain.clone());
        }
    }
}

/// The facts that a node holds, joined.
#[derive(Clone, Debug)]
pub struct Ledger {
    studio: StudioId,
    ids: BTreeSet<FactId>,
    by_job: BTreeMap<JobId, BTreeSet<FactId>>,
    revision: u64,
    set: u64,
    /// The studio's members.
    pub members: Members,
    /// What the studio is set to.
    pub settings: Settings,
    /// The studio's jobs.
    pub jobs: Jobs,
}

/// What applying a fact changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The job that it is about.
    pub job: Option<JobId>,
    /// Facts that mean nothing any more, and may be deleted: those of a removed job.
    pub obsolete: Vec<FactId>,
    /// A node that was revoked by it.
    pub revoked: Option<NodeId>,
    /// Whether it set something.
    pub set: bool,
}

impl Ledger {
    /// An empty ledger of one studio.
    #[must_use]
    pub const fn new(studio: StudioId) -> Self {
        Self {
            studio,
            ids: BTreeSet::new(),
            by_job: BTreeMap::new(),
            revision: 0,
            set: 0,
            members: Members { chains: BTreeMap::new(), revoked: BTreeMap::new() },
            settings: Settings::new(),
            jobs: Jobs::new(),
        }
    }

    /// The studio.
    #[must_use]
    pub const fn studio(&self) -> &StudioId {
        &self.studio
    }

    /// The ids of all facts that are held, unknown kinds included: what digests are made of.
    #[must_use]
    pub const fn ids(&self) -> &BTreeSet<FactId> {
        &self.ids
    }

    /// Grows with each fact that is joined: what was worked out of an earlier one may be outdated.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Grows with each setting that counts.
    #[must_use]
    pub const fn settings_revision(&self) -> u64 {
        self.set
    }

    /// Holds these no longer, since their bytes are gone: they count as new when they come again. What they said
    /// stays known.
    pub fn forget(&mut self, lost: &BTreeSet<FactId>) {
        self.ids.retain(|id| !lost.contains(id));
        self.by_job.retain(|_, ids| {
            ids.retain(|id| !lost.contains(id));
            !ids.is_empty()
        });
    }

    /// The facts about one job.
    pub fn facts_of(&self, job: &JobId) -> impl Iterator<Item = FactId> {
        self.by_job.get(job).into_iter().flatten().copied()
    }

    /// Whether a fact is new, good, and its author's to write.
    #[must_use]
    pub fn check(&self, fact: &Fact, verifier: &dyn Verifier) -> Verdict {
        if self.ids.contains(&fact.id()) {
            return Verdict::Known;
        }
        if fact.scope().is_some_and(|job| self.is_past(&job, fact)) {
            return Verdict::Known;
        }
        let Ok(body) = fact.body() else {
            return Verdict::Invalid("its body can't be read");
        };
        let proves_itself = match &body {
            Some(Body::Certificate(chain)) => {
                if chain.verify_signatures(&self.studio, verifier).is_err() {
                    return Verdict::Invalid("it carries a certificate that proves nothing");
                }
                chain.leaf.statement.subject == fact.author()
            }
            _ => false,
        };
        // Nothing is held back of an author that isn't known yet but what that author did sign.
        if fact.verify(&self.studio, verifier).is_err() {
            return Verdict::Invalid("its signature is wrong");
        }
        if !proves_itself {
            // What a node signed counts after its revocation as before: some replicas hold it
            // already, and which came first is not the same everywhere.
            let Some(member) = self.members.statement(&fact.author()) else {
                return Verdict::UnknownAuthor;
            };
            if let Some(body) = &body
                && !may_write(member, body)
            {
                return Verdict::Invalid("its author may not write that");
            }
        }
        Verdict::New
    }

    /// Whether a fact about a job means nothing, since that was removed. Of several removals the smallest
    /// stays: two people may remove a job at once, and replicas that hear of both have to end up equal.
    fn is_past(&self, job: &JobId, fact: &Fact) -> bool {
        let removed = self.jobs.is_removed(job);
        let held = self.by_job.get(job).and_then(BTreeSet::first);
        let takes_over = || {
            matches!(fact.body(), Ok(Some(Body::Removal(_))))
                && held.is_none_or(|held| fact.id() < *held)
        };
        removed && !takes_over()
    }

    /// Joins a fact that was found [`Verdict::New`] and is on disk, or was read from there. One that came a second
    /// time while it was being written is joined once: it must not pass for what its own removal makes obsolete.
    pub fn apply(&mut self, fact: &Fact) -> Applied {
        let id = fact.id();
        if self.ids.contains(&id) {
            return Applied::default();
        }
        self.revision += 1;
        let mut applied = Applied::default();
        if let Some(job) = fact.scope() {
            if self.is_past(&job, fact) {
                applied.obsolete.push(id);
                return applied;
            }
            self.by_job.entry(job).or_default().insert(id);
        }
        self.ids.insert(id);
        let Ok(Some(body)) = fact.body() else {
            return applied;
        };
        match &body {
            Body::Certificate(chain) => self.members.add(chain),
            Body::Revocation(revocation) => {
                // Of two reasons the smaller is shown, whichever was heard first.
                let reason = self.members.revoked.entry(revocation.node);
                let reason = reason.or_insert_with(|| revocation.reason.clone());
                if *reason > revocation.reason {
                    reason.clone_from(&revocation.reason);
                }
                applied.revoked = Some(revocation.node);
            }
            Body::Setting(setting) => {
                applied.set = self.settings.apply(id, fact.author(), setting);
                self.set += u64::from(applied.set);
            }
            Body::Removal(removal) => {
                let others = self.by_job.remove(&removal.job).unwrap_or_default();
                applied.obsolete = others.into_iter().filter(|other| *other != id).collect();
                for obsolete in &applied.obsolete {
                    self.ids.remove(obsolete);
                }
                self.by_job.insert(removal.job, BTreeSet::from([id]));
            }
            _ => {}
        }
        applied.job = self.jobs.apply(id, fact.author(), &body);
        applied
    }
}

/// Rule 1: only what its author may write takes effect.
fn may_write(author: &Statement, body: &Body) -> bool {
    match body {
        // Certificates prove themselves: any member may pass one on.
        Body::Certificate(_) => true,
        Body::Revocation(_) => author.role == Role::Admin,
        // Every role's user may submit, and any member may steer a job that is not theirs: in a
        // studio somebody has to, when its submitter's machine is off.
        Body::Spec(_) | Body::Control(_) | Body::Removal(_) | Body::Setting(_) | Body::End(_) => {
            true
        }
        Body::Outcomes(_) | Body::Notes(_) | Body::Warnings(_) => author.role.renders(),
        Body::Delivery(delivery) => delivery.node == author.subject,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
