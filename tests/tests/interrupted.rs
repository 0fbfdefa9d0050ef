//! A node that is killed in the middle of a fetch goes on from there: what it fetches again is what
//! came since it last told its catalog what is on disk, and no more.
//!
//! Kills 20 times; `WEFT_KILLS=200 cargo test -p weft-tests --test interrupted -- --nocapture` does
//! it 200 times. And one whose provider stands still for a while.

use std::path::Path;
use std::time::Duration;

use weft_tests::{Farm, Random, wait_for, write_file};

/// How often a node is killed, unless `WEFT_KILLS` says otherwise.
const KILLS: usize = 20;
/// The size of the file, in bytes: some checkpoints.
const SIZE: u64 = 96 << 20;
/// How many bytes may have come without the catalog knowing that they are on disk.
const CHECKPOINT: u64 = 16 << 20;
/// What may have left the sender, and be known to no disk: a node asks a peer for 16 MiB ahead at most
/// (`protocol/src/transfer/pace.rs`), and takes in 4 MiB before it waits for its disk
/// (`node/src/transfer/session.rs`). It is so much where the cores are busy.
const ON_ITS_WAY: u64 = 20 << 20;

/// How many bytes of the file have come into its part on a disk, by whole pages; none if there is no part.
fn come(part: &Path, content: &[u8]) -> Option<u64> {
    let part = std::fs::read(part).ok()?;
    let same = part.chunks(4096).zip(content.chunks(4096)).filter(|(here, whole)| here == whole);
    Some(same.map(|(here, _)| here.len() as u64).sum())
}

#[test]
fn a_killed_node_fetches_little_again() {
    let kills = std::env::var("WEFT_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: usize = kills.unwrap_or(KILLS);
    let mut farm = Farm::found(2);
    let mut random = Random::seeded(4);
    let content = random.bytes(usize::try_from(SIZE).unwrap());
    let file = write_file(farm.folder().join("file"), &content);
    let added = farm.node(1).call(&["add", "--json"]).arg(&file).run().ok().json();
    let id = added[0]["id"].as_str().expect("an id").to_owned();
    let fetch = |farm: &Farm| _ = farm.node(2).run(&["pin", &id]).ok();
    // How long a fetch takes here, so that the moments are spread over it.
    let begun = std::time::Instant::now();
    fetch(&farm);
    let whole = begun.elapsed();
    let (mut again, mut lost) = (Vec::new(), Vec::new());
    let mut late = 0;
    while again.len() < kills {
        _ = farm.node(2).run(&["unpin", &id]).ok();
        wait_for(Duration::from_secs(60), "the file is gone from the second node", || {
            _ = farm.node(2).run(&["gc"]).ok();
            let known = farm.node(2).ask(&["has", &id]);
            known["existing"].as_array()?.is_empty().then_some(())
        });
        let before = farm.node(1).bytes_sent();
        let fetching = farm.node(2).start_call(&["pin", &id]);
        let moment = random.below(u64::try_from(whole.as_millis()).unwrap_or(1000).max(1));
        std::thread::sleep(Duration::from_millis(moment));
        _ = farm.kill9(2);
        drop(fetching);
        let there = come(&farm.node(2).home().join("store/partial").join(&id), &content);
        farm.start(2);
        let known = farm.node(2).ask(&["has", &id]);
        if let (Some(there), Some(known)) = (there, known["partial"][0]["bytes"].as_u64()) {
            lost.push(there.saturating_sub(known));
        }
        _ = farm.leader();
        let until_kill = farm.node(1).bytes_sent() - before;
        fetch(&farm);
        let all = farm.node(1).bytes_sent() - before;
        assert!(all >= SIZE, "only {all} of {SIZE} bytes were sent, and yet it is whole");
        if until_kill >= SIZE {
            late += 1;
        }
        let copy = farm.folder().join("copy");
        _ = farm.node(2).call(&["get", &id, "--to"]).arg(&copy).run().ok();
        assert!(std::fs::read(&copy).unwrap() == content, "the bytes are others");
        std::fs::remove_file(copy).unwrap();
        again.push(all - SIZE);
    }
    again.sort_unstable();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{kills} kills in fetches of {:.0} MiB ({late} when all was sent): sent again {:.1} MiB at the \
         median, {:.1} at the 90th percentile, {:.1} at most, what never arrived included; a checkpoint is \
         {:.0} MiB",
        mib(SIZE),
        mib(again[again.len() / 2]),
        mib(again[again.len() * 9 / 10]),
        mib(again[again.len() - 1]),
        mib(CHECKPOINT),
    );
    let most_lost = lost.iter().max().copied().unwrap_or(0);
    println!(
        "after {} of the kills something of the file was there; of that at most {:.1} MiB weren't known any more",
        lost.len(),
        mib(most_lost),
    );
    assert!(!lost.is_empty(), "no kill came in the middle");
    assert!(most_lost <= CHECKPOINT, "{most_lost} bytes were forgotten that had come");
    let most = CHECKPOINT + ON_ITS_WAY;
    assert!(again[again.len() - 1] <= most, "more than {most} bytes were sent again");
}

#[cfg(unix)]
#[test]
fn a_fetch_goes_on_when_its_provider_stood_still_for_a_while() {
    let farm = Farm::found(2);
    let content = Random::seeded(8).bytes(256 << 20);
    let file = write_file(farm.folder().join("file"), &content);
    let added = farm.node(1).call(&["add", "--json"]).arg(&file).run().ok().json();
    let id = added[0]["id"].as_str().expect("an id").to_owned();
    let part = farm.node(2).home().join("store/partial").join(&id);
    let fetching = farm.node(2).start_call(&["pin", &id]);
    wait_for(Duration::from_secs(60), "the file comes", || part.exists().then_some(()));
    farm.stand_still(1, true);
    wait_for(Duration::from_secs(60), "the connection is given up", || {
        farm.node(2).log().contains("it has been silent for too long").then_some(())
    });
    farm.stand_still(1, false);
    _ = fetching.wait(Duration::from_secs(60)).ok();
}
