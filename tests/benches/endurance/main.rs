//! Farms of real processes that are treated badly for a long time.
//!
//! `cargo bench -p weft-tests --bench endurance -- CASE [--strict]`, where CASE is one of
//!
//! - `storm [--minutes 20] [--tasks 10000]`: nine nodes in network namespaces (needs root); one is killed
//!   every ten seconds, and the farm is parted in two every minute;
//! - `sleep [--stops 200]`: nine nodes of which some stand still for 1 to 60 s each, as machines that sleep do;
//! - `clocks`: five nodes, of which one's clock is set a day forward and another's a day back (needs
//!   a C compiler);
//! - `busy [--minutes 10]`: nine nodes that take every core there is;
//! - `upgrade --old BINARY`: five nodes that go from another build to this one and back, one by one.
//!
//! Without a case, all that need no other build.

mod busy;
mod clocks;
mod farm;
mod history;
mod sleep;
mod storm;
mod upgrade;

use weft_tests::bench::figures::{Verdict, given};

/// Runs a case, and judges what it saw.
type Case = fn(&mut Verdict);

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let cases: [(&str, Case); 4] = [
        ("storm", storm::run),
        ("sleep", sleep::run),
        ("clocks", clocks::run),
        ("busy", busy::run),
    ];
    let some = cases.iter().any(|(name, _)| given(name)) || given("upgrade");
    let mut verdict = Verdict::default();
    for (name, case) in cases {
        if !some || given(name) {
            println!("== {name}");
            case(&mut verdict);
        }
    }
    if given("upgrade") {
        println!("== upgrade");
        upgrade::run(&mut verdict);
    }
    verdict.end();
}
