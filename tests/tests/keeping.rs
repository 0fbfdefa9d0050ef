//! What a node keeps, what it lets go, and what it mends.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use weft_tests::{Farm, Node, Random, wait_for, write_file};

const MINUTE: Duration = Duration::from_secs(60);

/// The file in which a node keeps a larger blob.
fn blob_file(home: &Path, id: &str) -> PathBuf {
    home.join("store/blobs").join(&id[..2]).join(id)
}

#[test]
fn what_nobody_refers_to_goes_and_what_is_pinned_stays() {
    let farm = Farm::found(2);
    let node = farm.node(1);
    let kept = write_file(farm.folder().join("kept.bin"), Random::seeded(1).bytes(3 << 20));
    let unwanted = write_file(farm.folder().join("unwanted.bin"), Random::seeded(2).bytes(2 << 20));
    let added = node.call(&["add", "--json"]).arg(&kept).arg(&unwanted).run().json();
    let id = |file: usize| added[file]["id"].as_str().unwrap().to_owned();

    let nothing = node.ask(&["gc"]);
    assert_eq!(nothing["blobs"].as_array().unwrap().len(), 0, "added files are pinned: {nothing}");
    _ = node.run(&["unpin", &id(1)[..12]]).ok();
    let plan = node.ask(&["gc", "--dry-run"]);
    assert_eq!(plan["blobs"][0]["id"], id(1).as_str(), "{plan}");
    assert_eq!(plan["bytes"], 2 << 20);
    assert!(blob_file(node.home(), &id(1)).is_file(), "a dry run deletes nothing");
    assert_eq!(node.ask(&["gc"])["bytes"], 2 << 20);
    // What a crash left goes too, and is named beforehand.
    let stray = write_file(blob_file(node.home(), &"ab".repeat(32)), "left by a crash");
    let said = node.run(&["gc", "--dry-run"]).ok().stdout;
    assert!(said.contains("ababababab") && said.contains("1 stray file would go"), "{said}");
    let plan = node.ask(&["gc", "--dry-run"]);
    let path = format!("blobs/ab/{}", "ab".repeat(32));
    assert_eq!((&plan["strays"], &plan["stray_files"][0]["path"]), (&1.into(), &path.into()));
    assert!(stray.is_file());
    assert_eq!(node.ask(&["gc"])["strays"], 1);
    assert!(!stray.exists());
    assert!(!blob_file(node.home(), &id(1)).exists());
    let has = node.ask(&["has", &id(0), &id(1)]);
    assert_eq!((&has["existing"][0]["id"], &has["missing"][0]), (&added[0]["id"], &added[1]["id"]));

    // Pinned elsewhere, it is fetched; unpinned twice is once too often.
    let other = farm.node(2);
    _ = other.run(&["pin", &id(0)]).ok();
    assert!(blob_file(other.home(), &id(0)).is_file());
    _ = other.run(&["unpin", &id(0)]).ok();
    let refused = other.run(&["unpin", &id(0)]);
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);

    // What a job needs as well stays, and it is said what for.
    let scene = node.run(&["demo", "--scene"]).ok().stdout;
    let scene = write_file(farm.folder().join("scene.weft"), scene);
    let job = farm.submit(1, &scene, &["-f", "1"]);
    let added = node.call(&["add", "--json"]).arg(&scene).run().json();
    let unpinned = node.ask(&["unpin", added[0]["id"].as_str().unwrap()]);
    assert_eq!(unpinned["still_kept_by"], serde_json::json!([format!("job/{job}")]));
}

#[cfg(unix)]
#[test]
fn a_file_that_can_not_be_added_hinders_nothing_else() {
    let farm = Farm::found(1);
    let node = farm.node(1);
    let first = write_file(farm.folder().join("first.bin"), Random::seeded(6).bytes(1 << 20));
    let pipe = farm.folder().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe can be made");
    // In a folder as well, and whatever comes after it.
    let folder = farm.folder().join("pipes");
    _ = write_file(folder.join("last.bin"), Random::seeded(10).bytes(1 << 20));
    let made = std::process::Command::new("mkfifo").arg(folder.join("earlier")).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe can be made");
    let refused = node.call(&["add", "--json"]).arg(&first).arg(&pipe).arg(&folder).run();
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    for words in ["2 paths could not be added; all else was", "earlier' is not a file"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    let told = refused.json();
    let told = told.as_array().unwrap().iter().map(|file| file["error"].is_null());
    assert_eq!(told.collect::<Vec<_>>(), [true, true, false, false]);
    let collected = node.ask(&["gc"]);
    assert_eq!(collected["blobs"].as_array().unwrap().len(), 0, "{collected}");
    assert_eq!(node.ask(&["store"])["blobs"], 2);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_come_and_go() {
    use std::os::unix::ffi::OsStrExt as _;
    let farm = Farm::found(1);
    let strange = |name: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(name));
    let folder = farm.folder().join("strange");
    let bytes = Random::seeded(11).bytes(1 << 20);
    _ = write_file(folder.join(strange(b"a\xff.bin")), &bytes);
    let added = farm.node(1).call(&["add", "--json"]).arg(&folder).run().ok().json();
    assert!(added[0]["path"].as_str().unwrap().ends_with("a\u{fffd}.bin"), "{added}");
    let copy = folder.join(strange(b"copy\xff.bin"));
    let id = added[0]["id"].as_str().unwrap();
    let got = farm.node(1).call(&["get", "--json", id, "--to"]).arg(&copy).run().ok().json();
    assert!(got["path"].as_str().unwrap().ends_with("copy\u{fffd}.bin"), "{got}");
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    let scene = farm.scene("ball", 16, 1);
    let job = farm.submit(1, &scene, &["-f", "1"]);
    farm.wait_for_end(&job, MINUTE);
    let to = folder.join(strange(b"out\xff"));
    let outputs = farm.node(1).call(&["outputs", "--json", &job, "--to"]).arg(&to).run();
    assert_eq!(outputs.ok().json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_disk_that_is_too_full_lets_go_of_what_nobody_refers_to() {
    // Every disk is fuller than that. Within the day in which it would stay where there is room, it goes.
    let marks = "[disk]\nhigh_watermark = 1\nlow_watermark = 1\n";
    let farm = Farm::configured(1, |_| marks.to_owned());
    let node = farm.node(1);
    let kept = write_file(farm.folder().join("kept.bin"), Random::seeded(7).bytes(1 << 20));
    let unwanted = write_file(farm.folder().join("unwanted.bin"), Random::seeded(8).bytes(1 << 20));
    let added = node.call(&["add", "--json"]).arg(&kept).arg(&unwanted).run().json();
    let id = |file: usize| added[file]["id"].as_str().unwrap().to_owned();
    _ = node.run(&["unpin", &id(1)]).ok();
    let store = node.ask(&["store"]);
    assert_eq!(
        (&store["high_watermark"], &store["low_watermark"]),
        (&1.into(), &1.into()),
        "{store}"
    );
    assert!(store["disk_free"].as_u64() < store["disk_bytes"].as_u64(), "{store}");
    let reference = &store["references"][0];
    assert_eq!((&reference["id"], &reference["count"]), (&added[0]["id"], &1.into()), "{store}");
    wait_for(MINUTE * 3, "what nobody refers to goes by itself", || {
        (!blob_file(node.home(), &id(1)).exists()).then_some(())
    });
    assert!(blob_file(node.home(), &id(0)).is_file(), "what is referred to stays");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_looks_as_it_did_is_read_again_only_when_that_is_asked() {
    const SIZE: u64 = 8 << 20;
    let farm = Farm::found(1);
    let node = farm.node(1);
    let file = write_file(farm.folder().join("large.bin"), Random::seeded(9).bytes(SIZE as usize));
    // How many bytes the daemon reads while the file is added, by the kernel's count.
    let reads = |options: &[&str]| {
        let count = || {
            let path = format!("/proc/{}/io", node.process());
            let text = fs::read_to_string(path).expect("the daemon runs");
            let count = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
            count.trim().parse::<u64>().unwrap()
        };
        let before = count();
        _ = node.call(&["add"]).args(options).arg(&file).run().ok();
        count() - before
    };
    assert!(reads(&[]) >= SIZE, "it is new");
    wait_for(MINUTE, "the file is old enough to be remembered", || {
        (reads(&[]) < SIZE).then_some(())
    });
    assert!(reads(&["--rehash"]) >= SIZE);
    assert!(reads(&[]) < SIZE);
}

#[test]
fn a_job_keeps_its_files_until_it_is_removed() {
    let farm = Farm::found(2);
    let scene = write_file(farm.folder().join("scene.bin"), Random::seeded(3).bytes(1 << 20));
    let job = farm.submit(1, &scene, &["-e", "noop", "-f", "1-4"]);
    farm.wait_for_end(&job, MINUTE);
    for node in [1, 2] {
        let collected = farm.node(node).ask(&["gc"]);
        assert_eq!(collected["blobs"].as_array().unwrap().len(), 0, "node {node}: {collected}");
    }
    _ = farm.node(2).run(&["rm", &job]).ok();
    for node in [1, 2] {
        let asked = farm.node(node);
        wait_for(MINUTE, "the removed job's files go", || {
            _ = asked.ask(&["gc"]);
            (asked.ask(&["store"])["blobs"] == 0).then_some(())
        });
    }
}

#[test]
fn what_the_disk_spoils_is_healed_from_a_peer_or_named() {
    let farm = Farm::found(2);
    let (node, other) = (farm.node(1), farm.node(2));
    let both = write_file(farm.folder().join("both.bin"), Random::seeded(4).bytes(3 << 20));
    let alone = write_file(farm.folder().join("alone.bin"), Random::seeded(5).bytes(1 << 20));
    let added = node.call(&["add", "--json"]).arg(&both).arg(&alone).run().json();
    let id = |file: usize| added[file]["id"].as_str().unwrap().to_owned();
    _ = other.run(&["pin", &id(0)]).ok();
    assert_eq!(node.run(&["scrub"]).status, 0, "a healthy store");

    for file in [0, 1] {
        let path = blob_file(node.home(), &id(file));
        let mut bytes = fs::read(&path).unwrap();
        bytes[700_000] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let scrubbed = node.run(&["scrub", "--json"]);
    assert_eq!(scrubbed.status, 1, "one file can't be healed: {}", scrubbed.stderr);
    let document = scrubbed.json();
    let damaged = |file: usize| {
        let found = document["damaged"].as_array().unwrap().iter();
        found.clone().find(|blob| blob["id"] == id(file).as_str()).cloned().unwrap()
    };
    assert_eq!(damaged(0)["healed"], true, "{document}");
    assert_eq!(damaged(1)["healed"], false, "{document}");
    assert_eq!(damaged(1)["needed_by"][0], "user");
    assert!(damaged(1)["why"].as_str().unwrap().contains("no node"), "{document}");

    // What was healed is right again, and what was not is given to nobody.
    let copy = farm.folder().join("copy.bin");
    _ = node.call(&["get", &id(0), "--to"]).arg(&copy).run().ok();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&both).unwrap());
    let lost = node.call(&["get", &id(1), "--to"]).arg(&copy).run();
    assert_ne!(lost.status, 0);
    // Added again, it is whole again.
    _ = node.call(&["add"]).arg(&alone).run().ok();
    assert_eq!(node.run(&["scrub"]).status, 0);
}

#[test]
fn what_turns_out_to_be_spoilt_when_it_is_read_is_healed() {
    let farm = Farm::found(3);
    let (node, other, third) = (farm.node(1), farm.node(2), farm.node(3));
    let both = write_file(farm.folder().join("both.bin"), Random::seeded(6).bytes(8 << 20));
    let alone = write_file(farm.folder().join("alone.bin"), Random::seeded(7).bytes(3 << 20));
    let added = node.call(&["add", "--json"]).arg(&both).arg(&alone).run().json();
    let id = |file: usize| added[file]["id"].as_str().unwrap().to_owned();
    _ = other.run(&["pin", &id(0)]).ok();
    let spoil = |home: &Path, id: &str, spoilt: &[usize]| {
        let path = blob_file(home, id);
        let mut bytes = fs::read(&path).unwrap();
        spoilt.iter().for_each(|place| bytes[*place] ^= 1);
        fs::write(&path, bytes).unwrap();
    };

    // For the API: the bytes before the spoilt ones are on their way by then.
    spoil(node.home(), &id(0), &[5_000_000, 7_000_000]);
    let copy = farm.folder().join("copy.bin");
    _ = node.call(&["get", &id(0), "--to"]).arg(&copy).run().ok();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&both).unwrap());
    let told = |of: &Node| of.log().contains("the disk has spoilt a file").then_some(());
    wait_for(MINUTE, "it is told", || told(node));
    assert_eq!(node.ask(&["scrub"])["damaged"].as_array().unwrap().len(), 0, "it is healed");

    // For a peer, which has it from the other in the end. It may ask the first for every chunk: then once more.
    let all: Vec<usize> = (0..8 << 20).step_by(1000).collect();
    spoil(other.home(), &id(0), &all);
    wait_for(MINUTE, "what a peer could not be given is healed", || {
        _ = third.run(&["pin", &id(0)]).ok();
        _ = third.run(&["unpin", &id(0)]).ok();
        _ = third.run(&["gc"]).ok();
        told(other)
    });
    wait_for(MINUTE, "it is whole again", || {
        blob_file(other.home(), &id(0)).is_file().then_some(())
    });
    assert_eq!(other.ask(&["scrub"])["damaged"].as_array().unwrap().len(), 0);

    // What nobody else has is named, and nothing is written.
    spoil(node.home(), &id(1), &[1_500_000]);
    let target = farm.folder().join("lost.bin");
    let lost = node.call(&["get", &id(1), "--to"]).arg(&target).run();
    assert_eq!(lost.status, 1, "{}", lost.stderr);
    for words in ["1 of its", "chunks are missing or damaged here", "weft scrub"] {
        assert!(lost.stderr.contains(words), "{words}: {}", lost.stderr);
    }
    assert!(!target.exists());
}

/// A renderer reads the store's own files, or blocks shared with them, and looks at no hash.
#[test]
fn a_renderer_is_given_no_file_that_the_disk_has_spoilt() {
    let mut farm = Farm::found(2);
    let padding = "# Nobody reads this line, and yet it counts.\n".repeat(4000);
    let text = format!("cksum < \"$0\" > \"$OUTPUT\"; exit 0\n{padding}");
    let scene = farm.script("sum", &text);
    let text = fs::read(&scene).unwrap();
    let added = farm.node(1).call(&["add", "--json"]).arg(&scene).run().json();
    let id = added[0]["id"].as_str().unwrap().to_owned();
    _ = farm.node(2).run(&["pin", &id]).ok();

    farm.stop(2);
    let path = blob_file(farm.node(2).home(), &id);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    farm.start(2);
    _ = farm.node(1).run(&["drain", farm.node(1).name()]).ok();
    let folder = farm.folder().join("out");
    let job = farm.submit(1, &scene, &["-f", "1", "-o", folder.to_str().unwrap()]);
    let job = farm.wait_for_end(&job, MINUTE);
    assert_eq!(job["status"], "completed", "{job}");
    farm.wait_for_files(&folder, ["sum_0001.txt".to_owned()]);
    let mut summing = std::process::Command::new("cksum");
    let sum = summing.stdin(fs::File::open(&scene).unwrap()).output().unwrap();
    assert_eq!(fs::read(folder.join("sum_0001.txt")).unwrap(), sum.stdout);
    let log = farm.node(2).log();
    assert!(log.contains("the disk has spoilt a file"), "{log}");
    assert_eq!(fs::read(&path).unwrap(), text, "it is healed");
}

/// The bytes of an id.
fn bytes_of(id: &str) -> Vec<u8> {
    (0..32).map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// Changes a node's catalog wherever these bytes are, and says in how many places.
fn spoil(farm: &Farm, node: usize, key: &[u8], change: impl Fn(&mut [u8])) -> usize {
    let catalog = farm.node(node).home().join("store/catalog.redb");
    let mut bytes = fs::read(&catalog).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - 64).filter(|at| bytes[*at..].starts_with(key)).collect();
    places.iter().for_each(|at| change(&mut bytes[*at..]));
    fs::write(&catalog, bytes).unwrap();
    places.len()
}

#[test]
fn what_says_that_files_are_kept_is_set_again_when_the_disk_has_spoilt_it() {
    let mut farm = Farm::found(2);
    let write =
        |name, seed| write_file(farm.folder().join(name), Random::seeded(seed).bytes(1 << 20));
    let (by_hand, scene, far) = (write("a.bin", 1), write("scene.bin", 2), write("far.bin", 3));
    let add = |node: usize, file: &Path| {
        let added = farm.node(node).call(&["add", "--json"]).arg(file).run().json();
        added[0]["id"].as_str().unwrap().to_owned()
    };
    let (added, pinned) = (add(1, &by_hand), add(2, &far));
    _ = farm.node(1).run(&["pin", &pinned]).ok();
    let job = farm.submit(1, &scene, &["-e", "noop", "-f", "1-2"]);
    farm.wait_for_end(&job, MINUTE);
    // A tree, with all that it names; and a file that is kept no longer.
    let document = farm.node(1).ask(&["store"]);
    let mut each = document["references"].as_array().unwrap().iter();
    let tree = each.find(|kept| kept["type"] == "tree").unwrap()["id"].as_str().unwrap();
    _ = farm.node(1).run(&["pin", tree]).ok();
    let released = add(1, &write("released.bin", 4));
    _ = farm.node(1).run(&["pin", &released]).ok();
    _ = farm.node(1).run(&["unpin", &released]).ok();
    let references = |farm: &Farm| {
        let document = farm.node(1).ask(&["store"]);
        let each = document["references"].as_array().unwrap().iter();
        each.map(|kept| (kept["id"].to_string(), kept["by"].to_string())).collect::<Vec<_>>()
    };
    let kept = references(&farm);
    let both = |(_, by): &&(String, String)| by.contains("job/") && by.contains("user");
    assert_eq!(kept.iter().filter(both).count(), 2, "the tree and the scene: {kept:?}");
    farm.stop(2);
    farm.stop(1);
    // A pin's key is the blob's id and the reason.
    let ids: BTreeSet<&str> = kept.iter().map(|(id, _)| id.trim_matches('"')).collect();
    assert!(ids.contains(&*added) && ids.contains(&*pinned), "{kept:?}");
    // Of the one that was taken away a page that is in use no more may tell.
    let keys = ids
        .into_iter()
        .chain([&*released])
        .flat_map(|id| ["user", "job/"].map(|reason| [&bytes_of(id), reason.as_bytes()].concat()));
    let spoilt: usize = keys.map(|key| spoil(&farm, 1, &key, |bytes| bytes[33] ^= 4)).sum();
    assert!(spoilt >= 4, "{spoilt}");
    // The facts as well that tell which files the job needs.
    assert_ne!(spoil(&farm, 1, &bytes_of(&job), |bytes| bytes[0] ^= 4), 0);
    farm.start(1);
    let refused = farm.node(1).run(&["gc"]);
    assert!(refused.stderr.contains("until that is set again"), "{refused:?}");
    farm.start(2);
    let set = || farm.node(1).log().contains("it is set again").then_some(());
    wait_for(MINUTE, "pins are set again", set);
    assert_eq!(references(&farm), kept);
    let collected = farm.node(1).ask(&["gc"]);
    let gone = collected["blobs"].as_array().unwrap();
    assert_eq!(gone.iter().map(|blob| &blob["id"]).collect::<Vec<_>>(), [&*released]);
    let scrubbed = farm.node(1).run(&["scrub"]).ok();
    assert!(scrubbed.stdout.contains("of the catalog, which was made anew"), "{scrubbed:?}");
}

/// The same while the node runs, which has its catalog open: nothing but these bytes is written.
fn spoil_running(farm: &Farm, node: usize, key: &[u8]) {
    let path = farm.node(node).home().join("store/catalog.redb");
    let bytes = fs::read(&path).unwrap();
    let mut catalog = fs::File::options().write(true).open(&path).unwrap();
    for at in (0..bytes.len() - key.len()).filter(|at| bytes[*at..].starts_with(key)) {
        catalog.seek(SeekFrom::Start(at as u64)).unwrap();
        catalog.write_all(&[bytes[at] ^ 4]).unwrap();
    }
}

#[test]
fn facts_that_the_disk_spoils_under_a_running_node_come_back_from_a_peer() {
    let mut farm = Farm::found(2);
    let scene = write_file(farm.folder().join("scene.bin"), Random::seeded(7).bytes(1 << 20));
    let job = farm.submit(1, &scene, &["-e", "noop", "-f", "1-4"]);
    farm.wait_for_end(&job, MINUTE);
    // Each fact about the job bears its id. What is spoilt of a page that was just given up hits nothing.
    let scrubbed = wait_for(MINUTE, "a scrub finds spoilt facts", || {
        spoil_running(&farm, 1, &bytes_of(&job));
        let scrubbed = farm.node(1).ask(&["scrub"]);
        let records = scrubbed["damaged_records"].as_array().unwrap();
        records.iter().any(|record| record["table"] == "facts").then_some(scrubbed.clone())
    });
    let records = scrubbed["damaged_records"].as_array().unwrap();
    assert!(records.iter().all(|record| record["healed"] == true), "{scrubbed}");
    // They are on its disk again: it knows of the job when nobody is there who could tell.
    farm.stop(2);
    farm.stop(1);
    farm.start(1);
    assert_eq!(farm.node(1).ask(&["job", &job])["status"], "completed");
}

#[test]
fn a_catalog_that_the_disk_spoils_is_made_anew() {
    let mut farm = Farm::found(2);
    let file = write_file(farm.folder().join("file.bin"), Random::seeded(6).bytes(3 << 20));
    let added = farm.node(1).call(&["add", "--json"]).arg(&file).run().json();
    let id = added[0]["id"].as_str().unwrap().to_owned();
    _ = farm.node(2).run(&["pin", &id]).ok();
    farm.stop(1);
    // Every record of this file is spoilt: its key is the id, and what it says comes after.
    assert_ne!(spoil(&farm, 1, &bytes_of(&id), |bytes| bytes[33] ^= 4), 0);
    farm.start(1);
    let node = farm.node(1);
    assert!(node.log().contains("the catalog was damaged, and has been mended"), "{}", node.log());
    let copy = farm.folder().join("copy.bin");
    _ = node.call(&["get", &id, "--to"]).arg(&copy).run().ok();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&file).unwrap());
    assert_eq!(node.run(&["scrub"]).status, 0);
}

#[test]
fn what_was_mended_when_a_store_was_opened_is_told_once() {
    let mut farm = Farm::found(1);
    let file = write_file(farm.folder().join("file.bin"), Random::seeded(8).bytes(1 << 20));
    let added = farm.node(1).call(&["add", "--json"]).arg(&file).run().json();
    let key = format!("added/{}", added[0]["id"].as_str().unwrap());
    farm.stop(1);
    // Nobody else knows what this node wrote down for itself.
    assert_ne!(spoil(&farm, 1, key.as_bytes(), |bytes| bytes[33] ^= 4), 0);
    farm.start(1);
    let node = farm.node(1);
    let told = node.run(&["scrub"]);
    assert_eq!(told.status, 1, "{told:?}");
    assert!(
        told.stdout.contains("can't be made anew. What was found when the daemon started"),
        "{told:?}"
    );
    let again = node.run(&["scrub"]).ok();
    assert!(again.stdout.contains("every byte is right"), "{again:?}");
}
