//! One setting, what it is about, and which of two counts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::profile::Profile;
use crate::ids::{FactId, NodeId};
use crate::time::Unix;

/// Minutes in a day.
pub const MINUTES: u16 = 24 * 60;
/// The longest name of a profile, an engine or a tag, in bytes.
const MAX_NAME: usize = 128;
const MAX_TAGS: usize = 64;
const MAX_BY: usize = 4096;

/// What somebody set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// One more than the highest that counted, as far as its author had seen, of the same thing.
    pub version: u64,
    /// When, by the author's clock; for people.
    pub at: Unix,
    /// Who asked, for people.
    pub by: String,
    /// What is set.
    pub change: Change,
}

/// What is set, and to what. Where a value may be left out, leaving it out brings the default back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Something of one node.
    Node(NodeId, NodeChange),
    /// A profile of that name.
    Profile(String, Option<Profile>),
    /// How many tasks of an engine may run at once in the studio.
    Limit(String, Option<u32>),
    /// For how many seconds jobs are kept once they are over. Since version 3 of the layout.
    Keep(Option<u32>),
}

/// What can be set of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeChange {
    /// Whether it takes nothing new.
    Drained(bool),
    /// Failures of attempts that it started until then, by its own clock, are forgiven.
    Forgiven(Unix),
    /// What an hour of it costs, in thousandths.
    Price(Option<u32>),
    /// How many cores attempts may use.
    Cores(Option<u32>),
    /// The tags that jobs may ask for.
    Tags(Option<BTreeSet<String>>),
    /// When it takes new work, by its local time.
    Hours(Option<Hours>),
    /// What it does while somebody uses it. Since version 2 of the layout.
    OnReturn(Option<OnReturn>),
}

/// What a node does while somebody uses its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnReturn {
    /// It works all the same.
    #[default]
    Ignore,
    /// It takes nothing new, and finishes what it renders.
    Finish,
    /// It takes nothing new, and hands back what it renders: that is no failure.
    Requeue,
}

impl OnReturn {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Finish => "finish",
            Self::Requeue => "requeue",
        }
    }
}

impl std::str::FromStr for OnReturn {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        [Self::Ignore, Self::Finish, Self::Requeue]
            .into_iter()
            .find(|known| known.name() == text)
            .ok_or(SettingError(
                "what a node does while somebody uses it is ignore, finish or requeue",
            ))
    }
}

/// A part of each day: minutes since midnight, from the first until before the second; across midnight
/// where the second is the smaller one, and all day where they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The minute after the last.
    pub until: u16,
}

impl Hours {
    /// Whether a minute of the day is within them.
    #[must_use]
    pub const fn contain(self, minute: u16) -> bool {
        let Self { from, until } = self;
        if from == until {
            true
        } else if from < until {
            from <= minute && minute < until
        } else {
            from <= minute || minute < until
        }
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |minute: u16| match minute % 60 {
            0 => format!("{:02}", minute / 60),
            rest => format!("{:02}:{rest:02}", minute / 60),
        };
        write!(f, "{}-{}", side(self.from), side(self.until))
    }
}

impl std::str::FromStr for Hours {
    type Err = SettingError;

    /// As people write them: `19-08`, `8:30-17`.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        let wrong = SettingError("hours are written like 19-08 or 8:30-17");
        let side = |side: &str| -> Option<u16> {
            let (hour, minute) = side.trim().split_once(':').unwrap_or((side.trim(), "0"));
            let digits = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(hour) || !digits(minute) {
                return None;
            }
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= MINUTES).then_some((hour * 60 + minute) % MINUTES)
        };
        let (from, until) = text.split_once('-').ok_or(wrong)?;
        let (from, until) = side(from).zip(side(until)).ok_or(wrong)?;
        Ok(Self { from, until })
    }
}

/// Why a setting is none that a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(pub(super) &'static str);

impl Setting {
    /// The version of the layout that it is written in: the first that has its change, so that
    /// releases which know only that one read it.
    #[must_use]
    pub const fn layout(&self) -> u16 {
        match self.change {
            Change::Node(_, NodeChange::OnReturn(_)) => 2,
            Change::Keep(_) => 3,
            _ => 1,
        }
    }

    /// Checks the bounds that hold for every setting, whoever made it.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), SettingError> {
        let holds = |condition: bool, what| condition.then_some(()).ok_or(SettingError(what));
        let name = |name: &str| !name.is_empty() && name.len() <= MAX_NAME;
        holds(self.by.len() <= MAX_BY, "who asks has too long a name")?;
        match &self.change {
            Change::Node(_, NodeChange::Hours(Some(hours))) => {
                holds(hours.from < MINUTES && hours.until < MINUTES, "a day has 24 hours")
            }
            Change::Node(_, NodeChange::Tags(Some(tags))) => {
                holds(tags.len() <= MAX_TAGS, "there are too many tags")?;
                holds(tags.iter().all(|tag| name(tag)), "a tag has 1 to 128 bytes")
            }
            Change::Node(_, NodeChange::Cores(Some(cores))) => {
                holds(*cores > 0, "a node needs at least one core")
            }
            Change::Node(..) | Change::Keep(_) => Ok(()),
            Change::Profile(called, profile) => {
                holds(name(called), "a profile's name has 1 to 128 bytes")?;
                let model = profile.as_ref().map_or(0, |profile| profile.gpu_model.len());
                holds(model <= MAX_NAME, "a card's model has at most 128 bytes")
            }
            Change::Limit(engine, _) => holds(name(engine), "an engine's name has 1 to 128 bytes"),
        }
    }
}

/// What a setting is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Drained(NodeId),
    Forgiven(NodeId),
    Price(NodeId),
    Cores(NodeId),
    Tags(NodeId),
    Hours(NodeId),
    OnReturn(NodeId),
    Profile(String),
    Limit(String),
    Keep,
}

/// Orders settings of one thing: version, whether it stops something, author, hash.
pub(super) type Rank = (u64, bool, NodeId, FactId);

impl Change {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Node(node, change) => match change {
                NodeChange::Drained(_) => Key::Drained(*node),
                NodeChange::Forgiven(_) => Key::Forgiven(*node),
                NodeChange::Price(_) => Key::Price(*node),
                NodeChange::Cores(_) => Key::Cores(*node),
                NodeChange::Tags(_) => Key::Tags(*node),
                NodeChange::Hours(_) => Key::Hours(*node),
                NodeChange::OnReturn(_) => Key::OnReturn(*node),
            },
            Self::Profile(name, _) => Key::Profile(name.clone()),
            Self::Limit(engine, _) => Key::Limit(engine.clone()),
            Self::Keep(_) => Key::Keep,
        }
    }

    /// Whether it makes something stop, or stay: of equal versions the safer one counts.
    pub(super) const fn stops(&self) -> bool {
        matches!(
            self,
            Self::Node(_, NodeChange::Drained(true)) | Self::Limit(_, Some(_)) | Self::Keep(None)
        )
    }
}
