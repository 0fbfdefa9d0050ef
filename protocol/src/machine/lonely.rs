//! What is on this node's disk alone, until it is on a second one.

use std::collections::VecDeque;

use crate::ids::JobId;
use crate::replicate::Goods;

/// How many blobs are brought to a second disk with one order, give or take those of a result.
const TOGETHER: usize = 256;

/// Goods of jobs, in the order in which they came: results of one job that come behind each other are one entry, up to
/// [`TOGETHER`]. Who rendered a hundred thousand frames alone has some hundred of those.
#[derive(Debug, Default)]
pub(super) struct Lonely(VecDeque<(JobId, Goods)>);

impl Lonely {
    pub(super) fn put(&mut self, job: JobId, goods: Goods) {
        let plain = |goods: &Goods| goods.trees.is_empty() && goods.facts.is_empty();
        if let Some((of, last)) = self.0.back_mut()
            && *of == job
            && plain(last)
            && plain(&goods)
            && last.blobs.len() + goods.blobs.len() <= TOGETHER
        {
            last.blobs.extend(goods.blobs);
        } else {
            self.0.push_back((job, goods));
        }
    }

    pub(super) fn take(&mut self) -> Option<(JobId, Goods)> {
        self.0.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BlobId;

    #[test]
    fn what_a_node_made_alone_waits_in_few_parts_of_bounded_size() {
        let mut lonely = Lonely::default();
        let job = |n: u8| JobId([n; 32]);
        let blobs = |n: usize| Goods { blobs: vec![BlobId([7; 32]); n], ..Goods::default() };
        let tree = || Goods { trees: vec![BlobId([8; 32])], ..Goods::default() };
        lonely.put(job(1), tree());
        // Two of each frame: a picture and a log.
        (0..100_000).for_each(|_| lonely.put(job(1), blobs(2)));
        lonely.put(job(2), blobs(2));
        lonely.put(job(2), blobs(TOGETHER));
        assert_eq!(lonely.len(), 1 + 200_000_usize.div_ceil(TOGETHER) + 2);
        assert_eq!(lonely.take(), Some((job(1), tree())));
        let mut of_first = 0;
        while let Some((of, goods)) = lonely.take() {
            assert!(goods.blobs.len() <= TOGETHER);
            of_first += if of == job(1) { goods.blobs.len() } else { 0 };
        }
        assert_eq!(of_first, 200_000);
    }
}
