//! A machine that holds a certificate and runs no daemon submits all the same.

use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Call, Farm, Output, wait_for};

use super::END;

pub(super) fn join(farm: &Farm, name: &str, role: &str) -> PathBuf {
    let home = farm.folder().join(name);
    let code = farm.invite(&["--role", role]);
    _ = Call::new(&home, &["join", &code, "--name", name]).run().ok();
    home
}

fn ask(home: &std::path::Path, address: &str, args: &[&str]) -> Output {
    Call::new(home, &["--peer", address, "--json"]).args(args).run()
}

#[test]
fn a_home_without_a_daemon_submits_to_a_peer_and_gets_its_frames() {
    let farm = Farm::found(3);
    let home = join(&farm, "laptop", "artist");
    let address = farm.node(2).address();
    let out = farm.folder().join("out");
    let scene = farm.scene("ball", 48, 4).display().to_string();
    let submit = ["submit", &scene, "-f", "1-6", "-e", "marked"];
    // What this home has read already, as for a job that was refused, the other node lacks all the same.
    let refused = ask(&home, &address, &[&submit[..], &["--tag", "nowhere"]].concat());
    assert_eq!(refused.status, 5, "{}", refused.stderr);
    let acknowledged = ask(&home, &address, &submit).ok().json();
    assert!(acknowledged["bytes_added"].as_u64() > Some(0), "{acknowledged}");
    assert_eq!(acknowledged["bytes_already_known"], 0, "{acknowledged}");
    assert!(acknowledged["copies"].as_u64() >= Some(2), "{acknowledged}");
    let job = acknowledged["job"].as_str().unwrap();
    let document = farm.wait_for_end(job, END);
    assert_eq!(document["status"], "completed", "{document:#}");
    assert_eq!(document["submitter"], "laptop");
    // The node that it asks hears of the end in its own time.
    let shown = wait_for(END, "the peer knows the end", || {
        let shown = ask(&home, &address, &["job", job]).ok().json();
        (shown["status"] == "completed").then_some(shown)
    });
    assert_eq!(shown["frames_done"], 6);
    let to = out.display().to_string();
    _ = ask(&home, &address, &["outputs", job, "--to", &to]).ok();
    let names =
        |stem: &str| (1..=6).map(|frame| format!("{stem}_{frame:04}.png")).collect::<Vec<_>>();
    farm.wait_for_files(&out, names("ball"));

    let again = ask(&home, &address, &[&submit[..], &["-n", "third"]].concat()).ok().json();
    assert_eq!(again["bytes_added"], 0, "{again}");
    assert_eq!(again["bytes_already_known"], acknowledged["bytes_added"], "{again}");

    // Whoever watches gets the frames, since no daemon of this home brings them.
    let out = farm.folder().join("watched");
    let folder = out.display().to_string();
    let watch = [&submit[..], &["-n", "again", "-o", &folder, "--watch"]].concat();
    let watched = Call::new(&home, &["--peer", &address, "--json"]).args(&watch).within(END).run();
    assert_eq!(watched.ok().json()["status"], "completed");
    assert_eq!(weft_tests::files_in(&out).len(), 6);

    // Such a home is no node: nobody waits for it, or counts it.
    farm.leader();
    assert_eq!(farm.node(1).ask(&["nodes"]).as_array().map(Vec::len), Some(3));
    // It controls its jobs, too.
    let job = ask(&home, &address, &submit).ok().json()["job"].as_str().unwrap().to_owned();
    _ = ask(&home, &address, &["cancel", &job]);
    let over = farm.wait_for_end(&job, Duration::from_secs(60));
    assert!(["cancelled", "completed"].iter().any(|status| over["status"] == *status), "{over:#}");
}
