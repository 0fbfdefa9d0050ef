//! How long a job still takes and what it costs, reckoned from what was measured of it. Where nothing was
//! measured, nothing is said. All in whole numbers: nothing here can be infinite, or no number.

use std::collections::BTreeMap;

use super::table::Job;
use crate::ids::NodeId;

/// A process that works on some tasks, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where.
    pub node: NodeId,
    /// How much of each of those tasks is done, in thousandths.
    pub progress: Vec<u16>,
}

/// Where a job is with time and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// How long engines ran for it, in milliseconds: also in vain, and for what was made anew since.
    pub rendered_ms: u64,
    /// What that cost, in millionths; none where the price of a node that worked on it is not known.
    pub cost: Option<u64>,
    /// What it will have cost in the end, in millionths, if what is left costs as much a task as what is done.
    pub cost_expected: Option<u64>,
    /// How many frames the nodes that work on it now do in a minute, in thousandths: a frame in tiles is as many
    /// tasks and the joining of them.
    pub per_minute: Option<u64>,
    /// How long what is left takes on the nodes that work on it now, in milliseconds.
    pub left_ms: Option<u64>,
}

/// Milliseconds of an hour.
const HOUR: u128 = 3_600_000;

/// What was measured of a node, or of all.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    done: u64,
    done_ms: u64,
}

impl Measured {
    /// The mean time of a task, in milliseconds and at least 1; none where no task was done.
    fn mean(self) -> Option<u64> {
        self.done_ms.checked_div(self.done).map(|mean| mean.max(1))
    }
}

/// Reckons where a job is. `over` says that nothing more will be done of it, `running` what works on
/// it, `price` what an hour of a task on a node costs, in millionths, where that is known.
#[must_use]
pub fn estimate(
    job: &Job,
    over: bool,
    running: &[Running],
    price: impl Fn(&NodeId) -> Option<u64>,
) -> Estimate {
    let mut nodes: BTreeMap<NodeId, Measured> = BTreeMap::new();
    let mut spent: BTreeMap<NodeId, u64> = BTreeMap::new();
    for (node, ms, counts) in job.ended() {
        *spent.entry(node).or_default() += u64::from(ms);
        if counts {
            let measured = nodes.entry(node).or_default();
            measured.done += 1;
            measured.done_ms += u64::from(ms);
        }
    }
    let all = nodes.values().fold(Measured::default(), |sum, node| Measured {
        done: sum.done + node.done,
        done_ms: sum.done_ms + node.done_ms,
    });
    let left = if over { 0 } else { job.open().count() as u64 };
    let cost = |of: &mut dyn Iterator<Item = (NodeId, u64)>| -> Option<u128> {
        let mut sum = 0;
        for (node, ms) in of {
            sum += u128::from(ms) * u128::from(price(&node)?);
        }
        Some(sum)
    };
    let so_far = cost(&mut spent.iter().map(|(node, ms)| (*node, *ms)));
    let of_done = cost(&mut nodes.iter().map(|(node, measured)| (*node, measured.done_ms)));
    let expected = match left {
        0 => so_far,
        _ => so_far.zip(of_done).and_then(|(so_far, of_done)| {
            Some(so_far + (of_done * u128::from(left)).checked_div(u128::from(all.done))?)
        }),
    };
    let millionths = |sum: u128| u64::try_from(sum / HOUR).unwrap_or(u64::MAX);
    let slots: Option<Vec<Slot>> = running
        .iter()
        .map(|process| {
            let own = nodes.get(&process.node).copied().and_then(Measured::mean);
            let mean = own.or(all.mean())?;
            let of_each = process.progress.iter().map(|done| u64::from(1000 - done.min(&1000)));
            let left: u64 = of_each.sum();
            Some(Slot { mean, rest: mean.saturating_mul(left) / 1000 })
        })
        .collect();
    let slots = slots.filter(|slots| !slots.is_empty() && left > 0);
    Estimate {
        rendered_ms: spent.values().sum(),
        cost: so_far.map(millionths),
        cost_expected: expected.map(millionths),
        per_minute: slots.as_ref().map(|slots| {
            let tasks: u64 = slots.iter().map(|slot| 60_000_000 / slot.mean).sum();
            let (all, frames) = (job.counts().0 as u128, job.frame_counts().0 as u128);
            let rate = (u128::from(tasks) * frames).checked_div(all).unwrap_or(0);
            u64::try_from(rate).unwrap_or(u64::MAX)
        }),
        left_ms: slots.map(|slots| {
            let begun: usize = running.iter().map(|process| process.progress.len()).sum();
            time(&slots, left.saturating_sub(begun as u64))
        }),
    }
}

/// What one process stands for: a place where one task is done after the other.
struct Slot {
    /// How long a task takes there, in milliseconds, at least 1.
    mean: u64,
    /// How long those still take that it has.
    rest: u64,
}

/// When the last of `waiting` tasks is done, each going to the place that is done with it first.
fn time(slots: &[Slot], waiting: u64) -> u64 {
    let done_by = |time: u64| -> u64 {
        slots.iter().map(|slot| time.saturating_sub(slot.rest) / slot.mean).sum()
    };
    let last = slots.iter().map(|slot| slot.rest).max().unwrap_or(0);
    let quickest = slots.iter().map(|slot| slot.mean).min().unwrap_or(1);
    // By then the quickest place alone has done them all.
    let (mut before, mut after) = (last, last.saturating_add(quickest.saturating_mul(waiting)));
    while before < after {
        let middle = before + (after - before) / 2;
        if done_by(middle) >= waiting {
            after = middle;
        } else {
            before = middle + 1;
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fact::{Body, Outcomes};
    use crate::job::control::Action;
    use crate::job::outcome::Outcome;
    use crate::job::samples::{control, done, fact, failed, node, outcome, run, spec, tiled};
    use crate::job::spec::JobSpec;
    use crate::job::table::Jobs;

    struct World {
        jobs: Jobs,
        job: crate::ids::JobId,
        facts: u64,
    }

    impl World {
        fn new(frames: i32) -> Self {
            let (mut jobs, spec) = (Jobs::new(), JobSpec { retries: 3, ..spec(frames) });
            let job = spec.id();
            jobs.apply(fact(0), node(1), &Body::Spec(Box::new(spec)));
            Self { jobs, job, facts: 0 }
        }

        fn ends(&mut self, who: u8, outcome: Outcome) {
            self.facts += 1;
            let outcomes = vec![outcome];
            let body = Body::Outcomes(Outcomes { job: self.job, outcomes });
            self.jobs.apply(fact(self.facts), node(who), &body);
        }

        fn done(&mut self, who: u8, frame: i32, render_ms: u32) {
            self.ends(who, Outcome { render_ms, ..outcome(frame, 0, 1, done()) });
        }

        /// With a task in each process.
        fn estimate(&self, running: &[(u8, u16)]) -> Estimate {
            let running: Vec<(u8, &[u16])> =
                running.iter().map(|(n, progress)| (*n, std::slice::from_ref(progress))).collect();
            self.estimate_of(&running)
        }

        /// With node 1 at 1 an hour, node 2 at 2, and so on.
        fn estimate_of(&self, running: &[(u8, &[u16])]) -> Estimate {
            let running: Vec<Running> = running
                .iter()
                .map(|(n, progress)| Running { node: node(*n), progress: progress.to_vec() })
                .collect();
            let price = |id: &NodeId| Some(u64::from(id.0[0]) * 1_000_000);
            estimate(self.jobs.get(&self.job).unwrap(), false, &running, price)
        }
    }

    #[test]
    fn nothing_is_said_where_nothing_was_measured() {
        let world = World::new(9);
        let nothing = Estimate { cost: Some(0), ..Estimate::default() };
        assert_eq!(world.estimate(&[]), nothing);
        assert_eq!(world.estimate(&[(1, 500)]), nothing, "it runs, and nobody knows how long");
    }

    #[test]
    fn what_is_left_is_spread_over_the_nodes_that_work() {
        let mut world = World::new(9);
        world.done(1, 1, 60_000);
        let waits = world.estimate(&[]);
        assert_eq!((waits.left_ms, waits.per_minute), (None, None), "nobody works on it");
        let alone = world.estimate(&[(1, 0)]);
        assert_eq!((alone.left_ms, alone.per_minute), (Some(8 * 60_000), Some(1000)));
        // Half of the frame is done already; another node is thought to be as fast.
        assert_eq!(world.estimate(&[(1, 500)]).left_ms, Some(7 * 60_000 + 30_000));
        assert_eq!(world.estimate(&[(1, 0), (2, 0)]).left_ms, Some(4 * 60_000));
        // It is twice as fast, as turns out: of 7 frames it does 4 or 5.
        world.done(2, 2, 30_000);
        let both = world.estimate(&[(1, 0), (2, 0)]);
        assert_eq!((both.left_ms, both.per_minute), (Some(5 * 30_000), Some(3000)));
    }

    #[test]
    fn the_frames_of_a_process_are_done_one_after_the_other() {
        let mut world = World::new(100);
        for frame in 1..=20 {
            world.done(1, frame, 60_000);
        }
        let alone = world.estimate_of(&[(1, &[0; 20])]);
        assert_eq!((alone.left_ms, alone.per_minute), (Some(80 * 60_000), Some(1000)));
        // Three are done of its run, and half of a fourth; what waits goes on when it is through.
        let mut within = [0; 20];
        within[..4].copy_from_slice(&[1000, 1000, 1000, 500]);
        assert_eq!(world.estimate_of(&[(1, &within)]).left_ms, Some(76 * 60_000 + 30_000));
        // Another node, or another share of it, has the next twenty.
        let two = world.estimate_of(&[(1, &[0; 20]), (1, &[0; 20])]);
        assert_eq!((two.left_ms, two.per_minute), (Some(40 * 60_000), Some(2000)));
    }

    #[test]
    fn frames_in_tiles_are_counted_as_frames() {
        let mut world = World::new(3);
        let spec = tiled(spec(3));
        world.job = spec.id();
        world.jobs.apply(fact(1000), node(1), &Body::Spec(Box::new(spec)));
        let tasks: Vec<_> =
            world.jobs.get(&world.job).unwrap().tasks().map(|(key, _)| key).collect();
        let first = tasks[0];
        world.ends(1, Outcome { task: first, render_ms: 10_000, ..outcome(1, 0, 1, done()) });
        let estimate = world.estimate(&[(1, 0)]);
        assert_eq!(tasks.len() % 3, 0);
        assert_eq!(estimate.per_minute, Some(6000 * 3 / tasks.len() as u64));
    }

    #[test]
    fn a_frame_costs_what_its_time_on_its_node_does() {
        let mut world = World::new(4);
        world.done(1, 1, 3_600_000);
        world.done(2, 2, 1_800_000);
        let estimate = world.estimate(&[]);
        assert_eq!(estimate.rendered_ms, 5_400_000);
        // 1 + 1 so far, and two more such.
        assert_eq!((estimate.cost, estimate.cost_expected), (Some(2_000_000), Some(4_000_000)));
        // A try in vain costs too, and does not make the others dearer.
        world.ends(3, Outcome { render_ms: 1_200_000, ..outcome(3, 0, 1, failed("x")) });
        let estimate = world.estimate(&[]);
        assert_eq!((estimate.cost, estimate.cost_expected), (Some(3_000_000), Some(5_000_000)));
        // So does what is made anew.
        let again = Action::Retry { step: 0, frames: vec![run(1, 1)], generation: 1 };
        let again = Body::Control(control(world.job, 1, again));
        world.jobs.apply(fact(77), node(1), &again);
        world.ends(1, Outcome { render_ms: 3_600_000, ..outcome(1, 1, 1, done()) });
        assert_eq!(world.estimate(&[]).cost, Some(4_000_000));
        let job = world.jobs.get(&world.job).unwrap();
        let over = estimate_over(job);
        assert_eq!((over.cost_expected, over.left_ms), (over.cost, None));
    }

    fn estimate_over(job: &Job) -> Estimate {
        estimate(job, true, &[], |_| Some(1000))
    }

    #[test]
    fn an_unknown_price_is_not_guessed() {
        let mut world = World::new(2);
        world.done(1, 1, 1000);
        let job = world.jobs.get(&world.job).unwrap();
        let estimate = estimate(job, false, &[], |_| None);
        assert_eq!((estimate.cost, estimate.cost_expected), (None, None));
        assert_eq!(estimate.rendered_ms, 1000);
    }

    #[test]
    fn frames_that_take_no_time_are_no_division_by_zero() {
        let mut world = World::new(1000);
        world.done(1, 1, 0);
        let estimate = world.estimate(&[(1, 1000), (2, 60_000)]);
        assert_eq!(estimate.left_ms, Some(499));
        assert_eq!((estimate.cost, estimate.cost_expected), (Some(0), Some(0)));
    }

    proptest! {
        /// The time is what giving out one task after the other takes.
        #[test]
        fn it_takes_as_long_as_giving_out_one_after_the_other(
            slots in proptest::collection::vec((1..50u64, 0..60u64), 1..6),
            waiting in 0..200u64,
        ) {
            let slots: Vec<Slot> =
                slots.into_iter().map(|(mean, rest)| Slot { mean, rest: rest.min(mean) }).collect();
            let mut ends: Vec<u64> = slots.iter().map(|slot| slot.rest).collect();
            for _ in 0..waiting {
                let (first, _) = (0..).zip(&slots).min_by_key(|(n, slot)| ends[*n] + slot.mean).unwrap();
                ends[first] += slots[first].mean;
            }
            prop_assert_eq!(time(&slots, waiting), ends.into_iter().max().unwrap());
        }

        /// Whatever was measured, numbers stay numbers.
        #[test]
        fn the_largest_numbers_fit(
            times in proptest::collection::vec(proptest::sample::select(vec![0, 1, u32::MAX]), 0..9),
            running in proptest::collection::vec(
                (1..5u8, proptest::collection::vec(any::<u16>(), 1..4)),
                0..9,
            ),
        ) {
            let mut world = World::new(100);
            for (frame, ms) in (1..).zip(&times) {
                world.done(u8::try_from(frame % 4 + 1).unwrap(), frame, *ms);
            }
            let processes: Vec<(u8, &[u16])> =
                running.iter().map(|(n, progress)| (*n, &progress[..])).collect();
            let estimate = world.estimate_of(&processes);
            prop_assert_eq!(estimate.left_ms.is_some(), !times.is_empty() && !running.is_empty());
            prop_assert!(estimate.cost_expected >= estimate.cost || times.is_empty());
        }
    }
}
