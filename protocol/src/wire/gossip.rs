//! What gossip carries: that something changed.

use serde::{Deserialize, Serialize};

use super::control::Advert;
use crate::election::Claim;
use crate::ids::{FactId, NodeId};

/// The largest message, in bytes: gossip copies each to every node several times.
pub const MAX_MESSAGE: usize = 60 * 1024;
/// Facts of up to this many bytes travel in the message itself.
pub const MAX_INLINE_FACT: usize = 16 * 1024;

/// A message to every node of the studio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// New facts, as their exact bytes.
    Facts(Vec<Vec<u8>>),
    /// New facts too large to be sent along, and who has them.
    Announce(NodeId, Vec<FactId>),
    /// Somebody leads.
    Claim(Claim),
    /// A node came, or changed.
    Advert(Box<Advert>),
}
