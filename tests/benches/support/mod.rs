//! What the benches of transfers share: daemons, on this machine or in network namespaces, files to
//! move, and figures.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod daemon;
pub(crate) mod data;
pub(crate) mod figures;
#[cfg(target_os = "linux")]
pub(crate) mod network;
