//! How much of this node one peer may have at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use weft_protocol::ids::NodeId;

/// How many conversations of one peer are led at once: more than an honest one has, which are as many as it fetches
/// jobs' files at once. Each takes some megabytes of memory at most.
const SEATS: usize = 64;
/// How many more wait for one of these to end; others are turned away.
const WAITING: usize = 64;
/// How many blobs are looked up for one peer at once: the manifest of each is read for that.
const LOOKS: usize = 4;

/// The peers that are here. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests(Arc<Mutex<BTreeMap<NodeId, Arc<Guest>>>>);

/// What the conversations with one peer share.
#[derive(Debug)]
struct Guest {
    doors: Arc<Semaphore>,
    seats: Arc<Semaphore>,
    looks: Semaphore,
    /// Of the long answers one is held in memory at a time.
    long: Semaphore,
}

impl Default for Guest {
    fn default() -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        let (doors, seats) = (permits(SEATS + WAITING), permits(SEATS));
        Self { doors, seats, looks: Semaphore::new(LOOKS), long: Semaphore::new(1) }
    }
}

/// One stream of a peer, which may have to wait.
#[derive(Debug)]
pub(super) struct Visit {
    guest: Arc<Guest>,
    door: OwnedSemaphorePermit,
}

impl Guests {
    /// A stream of a peer came; none if it has too many.
    pub(super) fn admit(&self, node: NodeId) -> Option<Visit> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|_, guest| guest.doors.available_permits() < SEATS + WAITING);
        let guest = Arc::clone(guests.entry(node).or_default());
        let door = Arc::clone(&guest.doors).try_acquire_owned().ok()?;
        Some(Visit { guest, door })
    }
}

/// The place of one conversation, for as long as anything of it goes on.
#[derive(Debug)]
pub(super) struct Seat {
    guest: Arc<Guest>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Visit {
    /// Waits until the conversation may begin.
    pub(super) async fn seat(self) -> Option<Seat> {
        let Self { guest, door } = self;
        let seat = Arc::clone(&guest.seats).acquire_owned().await.ok()?;
        Some(Seat { guest, _permits: [door, seat] })
    }
}

impl Seat {
    /// Looks a blob up once that may be done.
    pub(super) async fn look<T>(&self, looking: impl Future<Output = T>) -> T {
        let permit = self.guest.looks.acquire().await;
        let looked = looking.await;
        drop(permit);
        looked
    }

    /// Waits until no other long answer is held for this peer.
    pub(super) async fn long(&self) -> Option<SemaphorePermit<'_>> {
        self.guest.long.acquire().await.ok()
    }
}
