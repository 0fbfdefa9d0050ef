//! Whole-system tests of weft over real processes: the tests are under `tests/`, and this is what
//! they share.
//!
//! A test founds a [`Farm`]: a folder with a home for each node, each run by the `weft` binary as a
//! user would run it. What it does to it goes through the command line ([`Node::run`]); what it
//! waits for it looks up over the HTTP API ([`Node::get`]), which costs less than a process a look.
//! Everything that is started ends with the farm.

pub mod bench;
mod binary;
mod call;
pub mod decoders;
mod engines;
mod events;
mod farm;
mod http;
pub mod invariants;
mod node;
#[cfg(target_os = "linux")]
mod processes;
mod random;
mod requirements;
mod scenes;
pub mod sim;
mod turn;
mod wait;

pub use binary::weft_binary;
pub use call::{Call, Output, Running};
pub use engines::SCRIPT_ENDING;
pub use events::Event;
pub use farm::{Farm, files_in, frames_of, in_status, is_over};
pub use node::Node;
#[cfg(target_os = "linux")]
pub use processes::processes;
pub use random::Random;
pub use requirements::{installed, skip};
pub use scenes::{demo_scene, write_file};
pub use wait::{LOOK, wait_for};
