//! A node whose disk is full.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use weft_tests::{Farm, wait_for, write_file};

use crate::cases::Cases;

/// The size of the small disk: a new node needs a fraction of it.
const DISK: &str = "6m";
/// What doesn't fit on it, in bytes.
const TOO_MUCH: usize = 12 << 20;

/// A small disk in memory, which goes when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn at(folder: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK},mode=0700"), "tmpfs"]).arg(folder);
        let mounted = mount.stdin(Stdio::null()).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: where a test failed, the node still runs on it.
        let unmounted = Command::new("umount").arg("-l").arg(self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            _ = writeln!(std::io::stderr(), "{} stays mounted", self.0.display());
        }
    }
}

/// Bytes that no compression makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

pub(crate) fn try_all(farm: &mut Farm, cases: &mut Cases) {
    let submitting = "disk full while the files are taken in";
    let writing = "disk full by the time the job is written down";
    let adding = "disk full, for `add`";
    // Which of two writes is the first that fails is the system's to decide.
    cases.skipped(writing);
    let number = farm.add("");
    let home = farm.node(number).home().to_owned();
    let Some(disk) = SmallDisk::at(&home) else {
        // Past the capture of a passing test's output.
        let line =
            "SKIPPED: no small disk can be mounted here (root may), so that none is filled\n";
        _ = std::io::stderr().write_all(line.as_bytes());
        cases.skipped(submitting);
        cases.skipped(adding);
        return;
    };
    let code = farm.invite(&[]);
    _ = farm.node(number).run(&["join", &code, "--name", "cramped"]).ok();
    farm.start(number);
    farm.leader();
    let cramped = farm.node(number);

    let large = write_file(farm.folder().join("large.bin"), noise(TOO_MUCH));
    let small = write_file(farm.folder().join("small.bin"), "little");
    let noop = ["-f", "1-8", "-e", "noop"];
    let submit = || farm.submission(number, &large, &noop).run();
    cases.refused(farm, submitting, submit);
    cases.refused(farm, adding, || cramped.call(&["add"]).arg(&large).run());
    let store = cramped.ask(&["store"]);
    cases.require(store["blobs"] == 0, &format!("half of a file was kept: {store}"));

    // Others can render what doesn't fit there, and the job doesn't suffer from its trying.
    let job = farm.submit(1, &large, &noop);
    let job = farm.wait_for_end(&job, Duration::from_secs(60));
    let elsewhere = job["frames"].as_array().into_iter().flatten();
    let id = cramped.id();
    let elsewhere = elsewhere.filter(|frame| frame["node"] != id.as_str()).count();
    let fine = job["status"] == "completed" && elsewhere == 8;
    cases.require(fine, &format!("a full disk elsewhere spoils a job: {job:#}"));

    let unkept = write_file(farm.folder().join("unkept.bin"), noise(100_000));
    let added = cramped.call(&["add", "--json"]).arg(&unkept).run();
    let added = added.json()[0]["id"].as_str().map(str::to_owned);
    let added = added.expect("what fits can be added");

    // Not a byte is left, once what it tried to fetch is gone.
    let filler = home.join("filler");
    wait_for(Duration::from_secs(60), "the full node gives up the large file", || {
        (cramped.ask(&["store"])["partial"] == 0).then_some(())
    });
    let count = || farm.node(1).ask(&["jobs", "--all"]).as_array().map_or(0, Vec::len);
    let before = count();
    let mut acknowledged = Vec::new();
    let refused = loop {
        fill(&filler);
        let submitted = farm.submission(number, &small, &noop).arg("--json").run();
        if submitted.status != 0 || acknowledged.len() > 100 {
            break submitted;
        }
        // The catalog may have room in itself for a little more.
        let job = submitted.json()["job"].as_str().map(str::to_owned);
        acknowledged.push(job.expect("an acknowledgement names the job"));
    };
    let taken_in = refused.stderr.contains("could not be written to this node");
    cases.check(if taken_in { writing } else { submitting }, &refused);
    // What makes room works all the same.
    for call in [&["unpin", &added][..], &["gc"]] {
        fill(&filler);
        let freed = cramped.run(call);
        let said = &freed.stderr;
        cases.require(freed.status == 0, &format!("{call:?} fails on a full disk: {said}"));
    }
    let more = count() - before;
    let all = more == acknowledged.len();
    cases.require(all, &format!("{acknowledged:?} were acknowledged, and there are {more} more"));
    cases.require(cramped.run(&["jobs", "--all"]).status == 0, "a full node tells nothing");
    let job = farm.submit(2, &small, &noop);
    let job = farm.wait_for_end(&job, Duration::from_secs(60));
    cases.require(job["status"] == "completed", &format!("a full node spoils a job: {job:#}"));

    // With room again, it works again.
    std::fs::remove_file(filler).expect("a file can be removed");
    acknowledged.push(farm.submit(number, &small, &noop));
    for job in acknowledged {
        let job = farm.wait_for_end(&job, Duration::from_secs(60));
        cases.require(job["status"] == "completed", &format!("with room again it fails: {job:#}"));
    }
    farm.stop(number);
    drop(disk);
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let file = std::fs::File::options().create(true).append(true).open(path);
    let mut file = file.expect("there is room for an empty file");
    for size in [64 << 10, 4 << 10, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
}
