//! Commands that eat the machine.

use std::path::PathBuf;

use weft_tests::wait_for;

use crate::{END, assert_goes_on, farm, run};

#[test]
fn what_eats_memory_disk_or_processes_is_ended_and_says_so() {
    let Some(farm) = farm("auto", 0.25) else { return };
    let fails = |command: &str, why: &str| {
        let job = run(&farm, &["--retries", "0"], &["sh", "-c", command]);
        assert_eq!(job["status"], "failed", "{command}: {job:#}");
        let said = job["error_message"].as_str().unwrap_or_default();
        assert!(said.contains(why), "{command}: {said}");
    };
    // It keeps all of a line that never ends.
    fails("tail /dev/zero", "ran out of memory");
    // Each of them holds less than is allowed, all together more.
    fails("tail /dev/zero & tail /dev/zero & wait", "ran out of memory");
    fails(
        "dd if=/dev/zero of=big bs=1M count=4096 status=none; sleep 60",
        "filled its work folder",
    );
    fails(
        "dd if=/dev/zero of=/tmp/big bs=1M count=4096 status=none; sleep 60",
        "filled its work folder",
    );
    fails("i=0; while :; do i=$((i+1)); : >$i; done", "filled its work folder");
    // What they left goes right after they are over.
    let jobs = farm.node(1).home().join("jobs");
    let within = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    wait_for(END, "what they left is gone", || {
        let attempts = within(jobs.clone()).map(|job| job.path().join("attempts"));
        (attempts.flat_map(within).count() == 0).then_some(())
    });
    assert_goes_on(&farm);
}
