//! Why jobs wait that could go on, in words for people.

use std::fmt;

use crate::claim::{Demand, Portion};
use crate::hardware::gib;
use crate::ids::NodeId;

/// Why a job has tasks that wait, though nothing of it is paused or gated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// No node of the studio could ever take it, and why the closest can't.
    NoNodeFits(String),
    /// The nodes that fit take nothing just now.
    Busy(Busy),
    /// Nodes that fit have room in parts, and none has enough: the one where least is missing, and what all
    /// are at.
    NoRoom(Box<Closest>, Busy),
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
    /// Results that another job has made of the same are sought, or brought.
    Results,
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

/// A node that has room, but not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closest {
    /// Which.
    pub node: NodeId,
    /// What a task would take of it.
    pub wants: Demand,
    /// What it has.
    pub has: Portion,
    /// What is free of that.
    pub free: Portion,
    /// Whether something of that is kept for a task that goes first.
    pub kept: bool,
}

impl Closest {
    fn words(&self, name: &str) -> String {
        let Self { wants, has, free, kept, .. } = self;
        let ask = match wants {
            Demand::Node => {
                let used = has.without(free);
                return format!(
                    "a whole node is needed; others have claimed {} of {} cores of {name}",
                    used.cores, has.cores
                );
            }
            Demand::Share(ask) => ask,
        };
        let missing = ask.of(free).err();
        let kept = if *kept { ", kept for a task that goes first" } else { "" };
        let (what, free, all) = match missing {
            Some((0, 0, 1..)) => {
                let cards = if ask.gpus == 1 { "GPU" } else { "GPUs" };
                let count = |gpus: usize| gpus.to_string();
                (format!("{} {cards}", ask.gpus), count(free.gpus.len()), count(has.gpus.len()))
            }
            Some((0, 1.., _)) => {
                (format!("{} GiB of RAM", gib(ask.ram)), gib(free.ram), gib(has.ram))
            }
            _ => {
                let cores = if ask.cores == 1 { "core" } else { "cores" };
                (format!("{} {cores}", ask.cores), free.cores.to_string(), has.cores.to_string())
            }
        };
        let are = if what.starts_with("1 ") { "is" } else { "are" };
        format!("{what} {are} needed; {name} has {free} of {all} free{kept}")
    }
}

impl Waiting {
    /// Whether nodes that fit are at work, and nothing else is the matter: of a job that runs this is no news.
    #[must_use]
    pub const fn is_only_busy(&self) -> bool {
        match self {
            Self::Busy(busy) | Self::NoRoom(_, busy) => busy.closed() == 0 && busy.ram == 0,
            Self::NoNodeFits(_) | Self::Limit { .. } | Self::Licence { .. } | Self::Results => {
                false
            }
        }
    }

    /// In words for people; `name` says what a node is called.
    #[must_use]
    pub fn words(&self, name: impl Fn(&NodeId) -> String) -> String {
        match self {
            Self::NoNodeFits(why) => why.clone(),
            Self::Busy(busy) => busy.to_string(),
            Self::NoRoom(closest, busy) => {
                let near = closest.words(&name(&closest.node));
                match busy.closed() {
                    0 => near,
                    _ => format!("{near}; {busy}"),
                }
            }
            Self::Limit { engine, limit: 1 } => {
                format!("at most one task of the engine '{engine}' runs at once")
            }
            Self::Limit { engine, limit } => {
                format!("at most {limit} tasks of the engine '{engine}' run at once")
            }
            Self::Licence { engine, said } => {
                format!("a licence of the engine '{engine}', which was refused: {said}")
            }
            Self::Results => "results that another job has made".to_owned(),
        }
    }
}

impl Busy {
    /// How many take nothing new, for whichever reason.
    const fn closed(&self) -> usize {
        let Self { off, drained, outside_hours, in_use, benched, disk, .. } = *self;
        off + drained + outside_hours + in_use + benched + disk
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
        let closed = self.closed();
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
    use crate::claim::Ask;
    use crate::hardware::{GIB, Gpu, Hardware, Needs};

    #[test]
    fn it_says_what_the_fitting_nodes_are_at() {
        let busy = |busy| Waiting::Busy(busy).words(|_| String::new());
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

    #[test]
    fn of_a_job_that_runs_only_more_than_busy_nodes_is_news() {
        let busy = Busy { fitting: 2, ..Busy::default() };
        assert!(Waiting::Busy(busy).is_only_busy());
        for more in
            [Busy { drained: 1, ..busy }, Busy { benched: 1, ..busy }, Busy { ram: 1, ..busy }]
        {
            assert!(!Waiting::Busy(more).is_only_busy(), "{more:?}");
        }
        assert!(!Waiting::Limit { engine: "demo".into(), limit: 3 }.is_only_busy());
    }

    #[test]
    fn it_says_what_is_missing_where_there_is_some_room() {
        let gpus: std::collections::BTreeSet<u32> = [0, 1].into();
        let has = Portion { cores: 16, ram: 64 * GIB, gpus: gpus.clone() };
        let machine = Hardware {
            cpu_cores: 16,
            ram: 64 * GIB,
            gpus: vec![Gpu { model: "x".into(), memory: GIB }; 2],
            ..Hardware::default()
        };
        let said = |wants: Option<(u32, u64, u32)>, free: (u32, u64, &[u32]), kept| {
            let wants = wants.map(|(cores, ram, gpus)| Needs {
                cores,
                ram: ram * GIB,
                gpus,
                ..Needs::default()
            });
            let wants = wants.map_or(Demand::Node, |n| Demand::Share(Ask::new(&n, &machine, 0)));
            let (cores, ram, gpus) = free;
            let free = Portion { cores, ram: ram * GIB, gpus: gpus.iter().copied().collect() };
            let closest = Closest { node: NodeId([1; 32]), wants, has: has.clone(), free, kept };
            let busy = Busy { fitting: 2, off: usize::from(kept), ..Busy::default() };
            Waiting::NoRoom(Box::new(closest), busy).words(|_| "node-2".to_owned())
        };
        let some = (4, 10, &[1][..]);
        assert_eq!(
            said(Some((8, 1, 0)), some, false),
            "8 cores are needed; node-2 has 4 of 16 free"
        );
        assert_eq!(
            said(Some((2, 12, 0)), some, false),
            "12 GiB of RAM are needed; node-2 has 10 of 64 free"
        );
        assert_eq!(said(Some((2, 1, 2)), some, false), "2 GPUs are needed; node-2 has 1 of 2 free");
        assert_eq!(
            said(None, some, false),
            "a whole node is needed; others have claimed 12 of 16 cores of node-2"
        );
        assert_eq!(
            said(Some((1, 1, 0)), some, true),
            "1 core is needed; node-2 has 4 of 16 free, kept for a task that goes first; \
             of the nodes that fit 1 is busy, 1 is off"
        );
    }
}
