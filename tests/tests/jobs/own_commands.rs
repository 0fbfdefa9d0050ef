//! Commands of one's own: they run where a node lets them, and what they leave is the job's.

use std::process::Command;

use weft_tests::{Farm, write_file};

use super::END;

#[test]
fn a_command_of_ones_own_runs_for_each_frame_where_it_may() {
    let opted_in = |number: usize| match number {
        2 => "[run]\nallow = true\n".to_owned(),
        _ => String::new(),
    };
    let farm = Farm::configured(2, opted_in);
    let engines = farm.node(1).ask(&["engines"]);
    let own = engines.as_array().into_iter().flatten().find(|engine| engine["name"] == "command");
    let why = own.and_then(|engine| engine["reason"].as_str()).unwrap_or_default();
    assert!(why.contains("[run]") && why.contains("allow = true"), "{engines:#}");

    let words = write_file(farm.folder().join("words/list.txt"), "one\ntwo\nthree\n");
    let words = words.parent().unwrap().display().to_string();
    let out = farm.folder().join("out");
    let folder = out.display().to_string();
    let text = "sed -n \"$1p\" \"$2/words/list.txt\" >word_\"$3\".txt && mkdir same && echo \"$1\" >same/same.txt";
    let ran =
        farm.node(1).call(&["run", "-f", "1-3", "--watch", "-o", &folder, "--assets", &words]);
    let ran = ran.args(&["--", "sh", "-c", text, "sh", "{frame}", "{inputs}", "{frame:04}"]);
    _ = ran.within(END).run().ok();
    for (frame, word) in [(1, "one"), (2, "two"), (3, "three")] {
        let read = |name: String| std::fs::read_to_string(out.join(name)).unwrap_or_default();
        assert_eq!(read(format!("word_{frame:04}.txt")), format!("{word}\n"));
        assert_eq!(read(format!("{frame:04}/same/same.txt")), format!("{frame}\n"));
    }
    let job = farm.node(1).ask(&["job", "last"]);
    let second = farm.node(2).id();
    let nodes = job["frames"].as_array().into_iter().flatten().map(|frame| &frame["node"]);
    assert!(nodes.clone().count() == 3 && nodes.clone().all(|node| *node == second), "{job:#}");

    // It yields to whoever sits at the machine, goes first where memory runs out, and knows nothing of the daemon.
    let look =
        "nice >itself; cat /proc/self/oom_score_adj >>itself; env | grep -c WEFT >>itself; true";
    let looked = ["run", "--watch", "-o", &folder, "--", "sh", "-c", look];
    _ = farm.node(1).call(&looked).within(END).run();
    let mine = Command::new("nice").output().expect("nice tells of itself").stdout;
    let mine: i32 = String::from_utf8_lossy(&mine).trim().parse().expect("a number");
    let itself = std::fs::read_to_string(out.join("itself")).unwrap_or_default();
    assert_eq!(itself, format!("{}\n500\n0\n", (mine + 10).min(19)));

    // Its exit status is what counts, and a file is no must.
    let nothing = farm.node(1).call(&["run", "--watch", "--", "true"]).within(END).run();
    _ = nothing.ok();
    let fails = ["run", "--watch", "--retries", "0", "--", "sh", "-c", "echo no luck; exit 7"];
    let failed = farm.node(1).call(&fails).within(END).run().ended_with(1);
    assert!(
        failed.stderr.contains("exit code 7") && failed.stderr.contains("no luck"),
        "{failed:?}"
    );
}
