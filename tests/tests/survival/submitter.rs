//! The node that was submitted to dies right after the acknowledgement: the studio has all it needs.

use std::path::Path;

use weft_tests::{Farm, Random, wait_for, write_file};

use super::{END, names, others};

#[test]
fn the_node_that_was_submitted_to_is_killed_right_after_it() {
    let mut farm = Farm::found(3);
    let leader = farm.leader();
    // A follower, whose word came to the leader; and the leader itself.
    for (round, victim) in [others(&farm, leader)[0], leader].into_iter().enumerate() {
        let folder = farm.folder().join(format!("project{round}"));
        // Every frame needs bytes of which one chunk more or less can't be guessed.
        let texture = Random::seeded(round as u64).bytes(6 << 20);
        write_file(folder.join("texture.bin"), &texture);
        let script = "sleep 0.2\ncksum <\"$(dirname \"$0\")/texture.bin\" >\"$OUTPUT\"\n";
        let scene = write_file(folder.join("needy.sh"), script);
        let assets = folder.join("texture.bin").display().to_string();
        let submission = farm.submission(victim, &scene, &["-f", "1-8", "--assets", &assets]);
        let acknowledged = submission.arg("--json").run();
        farm.kill9(victim);
        let acknowledged = acknowledged.ok().json();
        assert!(acknowledged["copies"].as_u64() >= Some(2), "{acknowledged}");
        let job = acknowledged["job"].as_str().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();

        let document = farm.wait_for_end(job, END);
        assert_eq!(document["status"], "completed", "{document:#}");
        for (to, number) in others(&farm, victim).into_iter().enumerate() {
            let to = farm.folder().join(format!("fetched{round}{to}"));
            let fetched = farm.node(number).call(&["outputs", job, "--to"]).arg(&to).run();
            _ = fetched.ok();
            farm.wait_for_files(&to, names("needy", 8, "txt"));
            for name in names("needy", 8, "txt") {
                assert_eq!(sum_of(&to.join(name)), sum(&texture));
            }
        }
        farm.start(victim);
        farm.leader();
    }
}

#[test]
fn a_submission_outlives_the_daemon_that_takes_it() {
    let mut farm = Farm::found(1);
    let mut script = b"echo made >\"$OUTPUT\"; exit 0\n".to_vec();
    script.extend(Random::seeded(5).bytes(96 << 20));
    let scene = write_file(farm.folder().join("scenes/heavy.sh"), script);
    let being_read = farm.node(1).home().join("store/tmp");
    let submission = farm.submission(1, &scene, &["-f", "1-2"]).arg("--json").start();
    wait_for(END, "the scene is being read", || {
        std::fs::read_dir(&being_read).ok()?.next().is_some().then_some(())
    });
    farm.kill9(1);
    wait_for(END, "whoever submits is told what is waited for", || {
        submission.stderr().contains("waiting for it to come back").then_some(())
    });
    farm.start(1);
    let answer = submission.wait(END).ok().json();
    let document = farm.wait_for_end(answer["job"].as_str().unwrap(), END);
    assert_eq!(document["status"], "completed", "{document:#}");
    assert_eq!(farm.node(1).ask(&["jobs", "--all"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_submission_that_is_ended_while_files_are_read_is_none() {
    let farm = Farm::found(1);
    let mut script = b"echo made >\"$OUTPUT\"; exit 0\n".to_vec();
    script.extend(Random::seeded(6).bytes(96 << 20));
    let scene = write_file(farm.folder().join("scenes/heavy.sh"), script);
    let being_read = farm.node(1).home().join("store/tmp");
    let submission = farm.submission(1, &scene, &["-f", "1-2"]).start();
    wait_for(END, "the scene is being read", || {
        std::fs::read_dir(&being_read).ok()?.next().is_some().then_some(())
    });
    drop(submission);
    wait_for(END, "the node has read it", || {
        farm.node(1).log().contains("it was not submitted").then_some(())
    });
    assert_eq!(farm.node(1).ask(&["jobs", "--all"]).as_array().map(Vec::len), Some(0));
    // What was read is known.
    let again = farm.submission(1, &scene, &["-f", "1-2"]).arg("--json").run().ok().json();
    assert_eq!(again["bytes_added"], 0, "{again}");
    assert_eq!(farm.node(1).ask(&["jobs", "--all"]).as_array().map(Vec::len), Some(1));
}

fn sum_of(file: &Path) -> (u32, usize) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut words = text.split_whitespace().map(|word| word.parse::<usize>().unwrap());
    (u32::try_from(words.next().unwrap()).unwrap(), words.next().unwrap())
}

/// What `cksum` says: the CRC of POSIX, and the length.
fn sum(bytes: &[u8]) -> (u32, usize) {
    let mut crc: u32 = 0;
    let mut push = |byte: u8| {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
    };
    bytes.iter().copied().for_each(&mut push);
    let mut length = bytes.len();
    while length > 0 {
        push(u8::try_from(length & 0xff).unwrap());
        length >>= 8;
    }
    (!crc, bytes.len())
}
