//! What the benches of transfers share: daemons, on this machine or in network namespaces, files to
//! move, and figures.

pub mod celery;
pub mod daemon;
pub mod data;
pub mod figures;
pub mod network;
pub mod torrent;
pub mod usage;
