//! What happens in the world.

use std::rc::Rc;

use super::node::Chore;

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Within one life of one machine.
    Chore { node: usize, life: u64, chore: Chore },
    /// Bytes arrive over a connection.
    Arrives { to: usize, from: usize, link: u64, bytes: Rc<Vec<u8>> },
    /// Gossip arrives, whose author was checked.
    Gossip { to: usize, author: usize, bytes: Rc<Vec<u8>> },
    /// A connection stands at one end.
    LinkUp { node: usize, link: u64 },
    /// A connection is over at one end.
    LinkDown { node: usize, link: u64 },
    /// The other end has been silent for too long, unless it is back.
    LinkTimeout { link: u64 },
    /// Somebody does something.
    Person,
    /// A fault strikes.
    Fault,
    /// It ends.
    Mend(Mend),
    /// A liar lies.
    Lie,
    /// A storm begins or ends, by its number.
    Weather(usize),
    /// The invariants look at everything.
    Look,
}

/// The end of a fault.
#[derive(Clone, Debug)]
pub(super) enum Mend {
    Start(usize),
    Resume(usize),
    Space(usize),
    Ways(Vec<(usize, usize)>),
    Lag(usize),
    Engine(usize),
}

impl Event {
    /// The machine that it happens to, where it stands still while that is paused.
    pub(super) const fn machine(&self) -> Option<usize> {
        match self {
            Self::Chore { node, .. } | Self::LinkUp { node, .. } | Self::LinkDown { node, .. } => {
                Some(*node)
            }
            Self::Arrives { to, .. } | Self::Gossip { to, .. } => Some(*to),
            _ => None,
        }
    }
}
