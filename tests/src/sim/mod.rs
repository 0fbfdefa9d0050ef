//! The simulator: a studio of machines in one thread, from one seed. The daemon's own state
//! machines run over a network and disks that only exist here, and that fail in every way that
//! real ones do. See `docs/simulator.md`.

mod clock;
mod disk;
mod event;
mod faults;
mod fetch;
mod keys;
mod large;
mod liar;
mod links;
mod network;
mod node;
mod people;
mod plant;
mod planted;
mod queue;
mod record;
mod run;
mod settings;
mod shell;
mod trace;
mod traffic;
mod work;
mod world;

pub use clock::{MILLI, Moment, SECOND, micros};
pub use disk::Disk;
pub use keys::{Check, Keys};
pub use large::{Large, LongJob};
pub use node::{ENGINE, Node, Run, hardware};
pub use planted::Planted;
pub use record::{Notice, Promise, Record};
pub use run::{Figures, Outcome, Setup, run};
pub use trace::Trace;
pub use traffic::{Sent, Traffic};
pub use world::World;
