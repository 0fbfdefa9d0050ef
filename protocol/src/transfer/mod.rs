//! Planning transfers: which chunk of which blob to ask of which peer, and what to send to whom.
//!
//! [`Download`] decides for the side that fetches, [`Origin`] for the side that has it all. Bytes,
//! streams and checks belong to the shell, as does the clock.
//!
//! - [`blob`](self): what is known of one blob, and which of its chunks is the rarest.
//! - [`doubt`](self): how far a peer is believed that hasn't what it said to have.
//! - [`pace`](self): how much to ask of one peer at once, and how long to wait.

mod blob;
mod doubt;
mod download;
mod origin;
mod pace;
mod set;

pub use download::{Ask, Delivery, Download, Overdue};
pub use origin::Origin;

#[cfg(test)]
mod tests;
