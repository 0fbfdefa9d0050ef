//! Logs are live from whichever node renders, and kept afterwards.

use weft_tests::{Farm, wait_for};

use super::{END, HELD, go};

#[test]
fn a_log_is_followed_live_from_every_node() {
    let farm = Farm::found(3);
    let text = format!("echo 'the lights are on'\necho 'and warm' >&2\n{HELD}echo 'that was it'\n");
    let scene = farm.script("chatty", &text);
    let job = farm.submit(1, &scene, &["-f", "5"]);
    farm.wait_for_job(&job, END, "it renders", |job| job["frames"][0]["status"] == "rendering");
    let mut following: Vec<_> =
        (1..=3).map(|number| farm.node(number).start_call(&["logs", &job, "5", "-f"])).collect();
    for (number, log) in following.iter_mut().enumerate() {
        wait_for(END, &format!("node{} shows what was said so far", number + 1), || {
            let said = log.stdout();
            (said.contains("the lights are on\n") && said.contains("and warm\n")).then_some(())
        });
        assert!(log.ended().is_none(), "the log goes on");
        assert!(!log.stdout().contains("that was it"));
    }
    // Without -f it shows what there is, and ends.
    let so_far = farm.node(2).run(&["logs", &job, "5"]).ok();
    assert!(so_far.stdout.contains("the lights are on") && !so_far.stdout.contains("that was it"));
    go(&farm);
    let followed: Vec<String> =
        following.into_iter().map(|log| log.wait(END).ok().stdout).collect();
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    for (number, followed) in (1..).zip(followed) {
        let kept = farm.node(number).run(&["logs", &job, "5"]).ok().stdout;
        assert_eq!(kept, followed);
        assert!(kept.ends_with("that was it\n"), "{kept:?}");
    }
}
