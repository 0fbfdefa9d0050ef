//! Whole-system tests of weft over real processes.
