//! How long the tasks of a job take, by the results that count: kept as they come and go, so that
//! asking costs little however many there are.

use std::collections::BTreeMap;

use crate::ids::NodeId;

/// How many buckets a doubling of time is divided into: a median is right to an eighth.
const PARTS: u32 = 8;

/// The times of the results of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Times {
    /// How many results took how long, roughly.
    buckets: BTreeMap<u16, u32>,
    /// How many each node made, and how long they took together, in milliseconds.
    nodes: BTreeMap<NodeId, (u32, u64)>,
}

/// How long results took, by step and node. Results that are taken out again leave no trace: it is the
/// same whatever the order in which they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tempo {
    results: u32,
    /// In milliseconds.
    total: u64,
    steps: BTreeMap<u16, Times>,
}

/// The bucket of a time: exact below 8 ms, an eighth wide above.
fn bucket(ms: u32) -> u16 {
    let wide = ms.max(PARTS).ilog2() - PARTS.ilog2();
    let bucket = wide * PARTS + (ms >> wide);
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// The longest time of a bucket, in milliseconds.
fn longest(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let parts = u64::from(PARTS);
    match bucket / parts {
        0 | 1 => bucket,
        wide => (((bucket % parts) + parts + 1) << (wide - 1)) - 1,
    }
}

impl Tempo {
    /// A result counts from now on.
    pub(crate) fn add(&mut self, step: u16, node: NodeId, ms: u32) {
        self.results += 1;
        self.total += u64::from(ms);
        let times = self.steps.entry(step).or_default();
        *times.buckets.entry(bucket(ms)).or_default() += 1;
        let (count, sum) = times.nodes.entry(node).or_default();
        (*count, *sum) = (*count + 1, *sum + u64::from(ms));
    }

    /// A result that was added counts no longer.
    pub(crate) fn take(&mut self, step: u16, node: NodeId, ms: u32) {
        self.results -= 1;
        self.total -= u64::from(ms);
        let Some(times) = self.steps.get_mut(&step) else { return };
        if let Some(count) = times.buckets.get_mut(&bucket(ms)) {
            *count -= 1;
            if *count == 0 {
                times.buckets.remove(&bucket(ms));
            }
        }
        if let Some((count, sum)) = times.nodes.get_mut(&node) {
            (*count, *sum) = (*count - 1, *sum - u64::from(ms));
            if *count == 0 {
                times.nodes.remove(&node);
            }
        }
        if times.buckets.is_empty() {
            self.steps.remove(&step);
        }
    }

    /// The mean of at least `least` results, in milliseconds; none where there are fewer.
    pub(crate) fn mean(&self, least: u32) -> Option<u64> {
        if self.results < least { None } else { self.total.checked_div(u64::from(self.results)) }
    }

    /// What half of at least `least` results of a step took at most, in milliseconds and up to an
    /// eighth too much; none where there are fewer.
    pub(crate) fn median(&self, step: u16, least: u32) -> Option<u64> {
        let times = self.steps.get(&step)?;
        let results: u32 = times.buckets.values().sum();
        if results < least.max(1) {
            return None;
        }
        let mut before = 0;
        let reaches = |(_, count): &(&u16, &u32)| {
            before += **count;
            before * 2 >= results
        };
        times.buckets.iter().find(reaches).map(|(bucket, _)| longest(*bucket))
    }

    /// How long a result of a step took on a node in the mean, in milliseconds; none where it made none.
    pub(crate) fn on(&self, step: u16, node: &NodeId) -> Option<u64> {
        let (count, sum) = self.steps.get(&step)?.nodes.get(node)?;
        sum.checked_div(u64::from(*count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for ms in (0..5000).chain([u32::MAX / 3, u32::MAX - 1, u32::MAX]) {
            let (here, before) = (bucket(ms), bucket(ms.saturating_sub(1)));
            assert!(here == before || here == before + 1, "{ms}");
            let longest = longest(here);
            assert!(longest >= u64::from(ms), "{ms}: up to {longest}");
            assert!(longest <= u64::from(ms) + u64::from(ms) / 8, "{ms}: up to {longest}");
        }
    }

    proptest! {
        #[test]
        fn it_is_what_sorting_all_results_tells(
            results in proptest::collection::vec((0..3u16, 0..4u8, 0..100_000u32, any::<bool>()), 0..60),
        ) {
            let node = |n: u8| NodeId([n; 32]);
            let mut tempo = Tempo::default();
            let mut kept = Tempo::default();
            for (step, n, ms, stays) in &results {
                tempo.add(*step, node(*n), *ms);
                if *stays {
                    kept.add(*step, node(*n), *ms);
                }
            }
            for (step, n, ms, _) in results.iter().filter(|(.., stays)| !stays) {
                tempo.take(*step, node(*n), *ms);
            }
            prop_assert_eq!(&tempo, &kept);
            for step in 0..3 {
                let of_step = results.iter().filter(|(of, _, _, stays)| *of == step && *stays);
                let mut times: Vec<u64> = of_step.clone().map(|(_, _, ms, _)| u64::from(*ms)).collect();
                times.sort_unstable();
                let median = tempo.median(step, 3);
                prop_assert_eq!(median.is_some(), times.len() >= 3);
                if let Some(median) = median {
                    let exact = times[(times.len() - 1) / 2];
                    prop_assert!((exact..=exact + exact / 8).contains(&median));
                }
                for n in 0..4 {
                    let own: Vec<u64> =
                        of_step.clone().filter(|(_, by, ..)| *by == n).map(|(_, _, ms, _)| u64::from(*ms)).collect();
                    let mean = own.iter().sum::<u64>().checked_div(own.len() as u64);
                    prop_assert_eq!(tempo.on(step, &node(n)), mean);
                }
            }
        }
    }
}
