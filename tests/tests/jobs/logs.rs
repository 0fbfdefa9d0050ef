//! Logs are live from whichever node renders, and kept afterwards.

use weft_tests::{Call, Farm, wait_for};

use super::remote::join;
use super::{END, HELD, go};

#[test]
fn a_log_is_followed_live_from_every_node() {
    let farm = Farm::found(3);
    let laptop = join(&farm, "laptop", "artist");
    let text = format!("echo 'the lights are on'\necho 'and warm' >&2\n{HELD}echo 'that was it'\n");
    let scene = farm.script("chatty", &text);
    let job = farm.submit(1, &scene, &["-f", "5"]);
    let mut following = vec![farm.node(2).start_call(&["logs", &job, "5", "-f"])];
    farm.wait_for_job(&job, END, "it renders", |job| job["frames"][0]["status"] == "rendering");
    // Whoever follows before the frame starts waits for it; the others come in later.
    following
        .extend((1..=3).map(|number| farm.node(number).start_call(&["logs", &job, "5", "-f"])));
    following.extend((1..=3).map(|number| {
        let address = farm.node(number).address();
        Call::new(&laptop, &["--peer", &address, "logs", &job, "5", "-f"]).start()
    }));
    for (number, log) in following.iter_mut().enumerate() {
        wait_for(END, &format!("call {number} shows what was said so far"), || {
            let said = log.stdout();
            assert!(log.ended().is_none(), "the log goes on; so far it said {said:?}");
            (said.contains("the lights are on\n") && said.contains("and warm\n")).then_some(())
        });
        assert!(!log.stdout().contains("that was it"));
    }
    // Without -f it shows what there is, and ends.
    let so_far = farm.node(2).run(&["logs", &job, "5"]).ok();
    assert!(so_far.stdout.contains("the lights are on") && !so_far.stdout.contains("that was it"));
    go(&farm);
    let followed: Vec<String> =
        following.into_iter().map(|log| log.wait(END).ok().stdout).collect();
    assert_eq!(farm.wait_for_end(&job, END)["status"], "completed");
    let kept = |number| farm.node(number).run(&["logs", &job, "5"]).ok().stdout;
    let first = kept(1);
    assert!(first.ends_with("that was it\n"), "{first:?}");
    assert_eq!((kept(2), kept(3)), (first.clone(), first.clone()));
    for followed in followed {
        assert_eq!(followed, first);
    }
}
