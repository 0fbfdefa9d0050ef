//! Requests that wait to be answered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weft_protocol::ids::BlobId;
use weft_protocol::wire::transfer::MAX_IN_FLIGHT;

/// Something to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Open(BlobId),
    Follow(BlobId),
    Want { blob: BlobId, chunk: u32, exact: bool },
    Spared(BlobId, u32),
}

/// A bounded queue out of which wants can be taken again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Work>>,
    filled: Notify,
    emptied: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in once there is room.
    pub(super) async fn push(&self, work: Work) {
        loop {
            let emptied = self.emptied.notified();
            {
                let mut waiting = self.lock();
                if waiting.len() < MAX_IN_FLIGHT {
                    waiting.push_back(work);
                    break;
                }
            }
            emptied.await;
        }
        self.filled.notify_one();
    }

    /// A want is a want no more: if it waits still, the answer is that it doesn't come.
    pub(super) fn cancel(&self, of: BlobId, which: u32) {
        for work in self.lock().iter_mut() {
            if matches!(work, Work::Want { blob, chunk, .. } if (*blob, *chunk) == (of, which)) {
                *work = Work::Spared(of, which);
            }
        }
    }

    /// The next thing to do, if there is one.
    pub(super) fn pop(&self) -> Option<Work> {
        let work = self.lock().pop_front();
        if work.is_some() {
            self.emptied.notify_one();
        }
        work
    }

    /// Waits until something was put in.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: BlobId = BlobId([1; 32]);

    #[tokio::test]
    async fn what_is_cancelled_in_time_is_not_sent() {
        let queue = Queue::default();
        for chunk in [1, 2] {
            queue.push(Work::Want { blob: BLOB, chunk, exact: false }).await;
        }
        queue.cancel(BLOB, 1);
        assert_eq!(queue.pop(), Some(Work::Spared(BLOB, 1)));
        assert_eq!(queue.pop(), Some(Work::Want { blob: BLOB, chunk: 2, exact: false }));
        queue.cancel(BLOB, 2);
        assert_eq!(queue.pop(), None);
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_other_side_wait() {
        let queue = Queue::default();
        for _ in 0..MAX_IN_FLIGHT {
            queue.push(Work::Open(BLOB)).await;
        }
        let waits = queue.push(Work::Follow(BLOB));
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        assert_eq!(queue.pop(), Some(Work::Open(BLOB)));
        waits.await;
    }
}
