//! Why jobs wait that could go on, in words for people.

use std::fmt;

use crate::hardware::gib;

/// Why a job has tasks that wait, though nothing of it is paused or gated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// No node of the studio could ever take it, and why the closest can't.
    NoNodeFits(String),
    /// The nodes that fit take nothing just now.
    Busy(Busy),
    /// As many tasks of the engine run as may.
    Limit {
        /// The engine.
        engine: String,
        /// How many may.
        limit: u32,
    },
    /// No licence of the engine was to be had.
    Licence {
        /// The engine.
        engine: String,
        /// What it said.
        said: String,
    },
}

/// What the nodes that fit are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// How many fit.
    pub fitting: usize,
    /// How many of them are known, and not there.
    pub off: usize,
    /// How many of them are drained.
    pub drained: usize,
    /// How many are outside their hours.
    pub outside_hours: usize,
    /// How many are in use by somebody, and leave the machine to them.
    pub in_use: usize,
    /// How many are benched.
    pub benched: usize,
    /// How many have a disk that takes nothing.
    pub disk: usize,
    /// The memory that they have because other tasks of the job needed as much, in bytes; 0 where that
    /// ruled nobody out.
    pub ram: u64,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodeFits(why) => f.write_str(why),
            Self::Busy(busy) => busy.fmt(f),
            Self::Limit { engine, limit: 1 } => {
                write!(f, "at most one task of the engine '{engine}' runs at once")
            }
            Self::Limit { engine, limit } => {
                write!(f, "at most {limit} tasks of the engine '{engine}' run at once")
            }
            Self::Licence { engine, said } => {
                write!(f, "a licence of the engine '{engine}', which was refused: {said}")
            }
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fitting, off, drained, outside_hours, in_use, benched, disk, ram } = *self;
        let has = |count| if count == 1 { "has" } else { "have" };
        let room = match ram {
            0 => String::new(),
            ram => format!(
                " and {} the {} GiB of RAM that its tasks were seen to need",
                has(fitting),
                gib(ram)
            ),
        };
        let one = fitting == 1;
        let closed = off + drained + outside_hours + in_use + benched + disk;
        if closed == 0 {
            return match one {
                true => write!(f, "the one node that fits{room} is busy"),
                false => write!(f, "the {fitting} nodes that fit{room} are busy"),
            };
        }
        let is = |count| if count == 1 { "is" } else { "are" };
        let (of_hours, busy) = (outside_hours, fitting.saturating_sub(closed));
        let parts = [
            (busy, format!("{busy} {} busy", is(busy))),
            (off, format!("{off} {} off", is(off))),
            (drained, format!("{drained} {} drained", is(drained))),
            (of_hours, format!("{of_hours} {} outside the hours set for it", is(of_hours))),
            (in_use, format!("{in_use} {} in use by somebody", is(in_use))),
            (benched, format!("{benched} {} benched", is(benched))),
            (disk, format!("{disk} {} a disk that takes nothing", has(disk))),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, part)| part).collect();
        let nodes = if one { "the one node that fits" } else { "the nodes that fit" };
        write!(f, "of {nodes}{room} {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_fitting_nodes_are_at() {
        let busy = |busy| Waiting::Busy(busy).to_string();
        let some = Busy { fitting: 1, ..Busy::default() };
        assert_eq!(busy(some), "the one node that fits is busy");
        let some = Busy { fitting: 5, off: 1, drained: 1, outside_hours: 2, ..Busy::default() };
        let said = "of the nodes that fit 1 is busy, 1 is off, 1 is drained, 2 are outside the hours \
                    set for it";
        assert_eq!(busy(some), said);
        let some = Busy { fitting: 3, in_use: 1, ..Busy::default() };
        assert_eq!(busy(some), "of the nodes that fit 2 are busy, 1 is in use by somebody");
        let some = Busy { fitting: 2, disk: 2, ..Busy::default() };
        assert_eq!(busy(some), "of the nodes that fit 2 have a disk that takes nothing");
        let some = Busy { fitting: 2, ram: 3 << 30, ..Busy::default() };
        let said = "the 2 nodes that fit and have the 3 GiB of RAM that its tasks were seen to need are busy";
        assert_eq!(busy(some), said);
    }
}
