//! Jobs: what is asked, what became of it, and how both join into a state.

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod check_tests;
pub mod control;
pub mod estimate;
mod few;
pub mod keep;
pub mod note;
pub mod outcome;
pub mod reuse;
#[cfg(test)]
pub(crate) mod samples;
pub mod spec;
pub mod status;
pub mod table;
pub mod task;
mod tasks;
mod tempo;
pub mod trouble;
pub mod warning;
