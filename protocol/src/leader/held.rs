//! One lease, as a leader keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::claim::Portion;
use crate::ids::NodeId;
use crate::time::Time;
use crate::wire::control::{AttemptKey, Phase};

/// One lease, as the leader keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who holds it.
    pub node: NodeId,
    /// The round and try that it is for.
    pub attempt: AttemptKey,
    /// How far it is, as last reported.
    pub phase: Phase,
    /// The number of its assignment; 0 when it was granted by an earlier leader.
    pub(super) seq: u64,
    pub(super) granted: Time,
    /// The share of its node that its process has claimed; none where that is all of it, or where nobody
    /// said so yet.
    pub(super) share: Option<Arc<Share>>,
    /// Since when it was seen to render with its process to itself; none while it isn't, or with others in
    /// a run.
    pub(super) rendering: Option<Time>,
}

/// What a process has claimed of its node, where that is not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Tells the processes of a node apart.
    pub(super) number: u64,
    pub(super) claim: Portion,
}

impl Held {
    pub(super) const fn new(
        node: NodeId,
        attempt: AttemptKey,
        phase: Phase,
        seq: u64,
        now: Time,
    ) -> Self {
        Self { node, attempt, phase, seq, granted: now, share: None, rendering: None }
    }

    /// What its process has claimed of its node, together with others of its run; none where that is all of it.
    #[must_use]
    pub fn claim(&self) -> Option<&Portion> {
        self.share.as_ref().map(|share| &share.claim)
    }

    /// Tells the processes apart that have shares of its node; none where one has all of it.
    #[must_use]
    pub fn process(&self) -> Option<u64> {
        self.share.as_ref().map(|share| share.number)
    }

    /// Its holder says how far it is, and whether its process works on nothing else.
    pub(super) fn tell(&mut self, now: Time, attempt: AttemptKey, phase: Phase, alone: bool) {
        (self.attempt, self.phase) = (attempt, phase);
        match phase {
            Phase::Rendering(_) if alone => _ = self.rendering.get_or_insert(now),
            _ => self.rendering = None,
        }
    }
}

/// The processes that have shares of nodes, by their numbers.
pub(super) type Shares = BTreeMap<NodeId, BTreeMap<u64, (AttemptKey, Arc<Share>)>>;
