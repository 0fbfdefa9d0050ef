//! Types, wire messages and every decision of weft: pure, without clock, socket, thread or
//! randomness of its own. Time and random seeds are arguments; effects are plain data.

pub mod allowance;
pub mod catch_up;
pub mod certificate;
pub mod claim;
pub mod clocks;
pub mod content;
pub mod election;
pub mod fact;
pub mod hardware;
pub mod ids;
pub mod job;
pub mod ladder;
pub mod leader;
pub mod ledger;
pub mod machine;
pub mod membership;
pub mod random;
pub mod replicate;
pub mod retention;
pub mod schedule;
pub mod settings;
pub mod sign;
pub mod time;
pub mod transfer;
pub mod wire;
pub mod worker;
