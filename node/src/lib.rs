//! The weft daemon: it drives the machines of the protocol over libp2p, disk and processes.

mod acquaintances;
mod addresses;
mod admission;
mod api;
pub mod client;
pub mod clock;
pub mod config;
mod delivery;
pub mod doctor;
mod driver;
pub mod engines;
pub mod error;
pub mod guard;
pub mod hardware;
pub mod home;
pub mod invite;
pub mod mayapy;
pub mod network;
mod node;
mod notes;
mod own_command;
mod picture;
mod pins;
mod presence;
mod render;
mod renewal;
mod reuse;
pub mod sandbox;
pub mod setup;
pub mod shared_roots;
pub mod studio;
pub mod submit;
mod transfer;
mod upkeep;

pub use addresses::DEFAULT_PORT;
pub use node::{Options, Ready, RunError, run};
