//! Frames in the folder that their submitter named.

use weft_tests::{Farm, wait_for, write_file};

use super::END;

#[test]
fn what_was_delivered_is_left_alone_when_its_node_starts_again() {
    let mut farm = Farm::found(1);
    let out = farm.folder().join("out");
    let to = ["-o", &out.display().to_string()];
    let delivered = |farm: &Farm, job: &str| {
        assert_eq!(farm.wait_for_end(job, END)["status"], "completed");
        _ = farm.wait_for_job(job, END, "it is delivered", |job| {
            job["owed_to"].as_array().is_some_and(Vec::is_empty)
        });
    };
    let text = |frame: i64| std::fs::read_to_string(out.join(format!("takes_{frame:04}.txt"))).ok();
    let scene = farm.script("takes", "echo first >\"$OUTPUT\"\n");
    let older = farm.submit(1, &scene, &[&["-f", "1-3"], &to[..]].concat());
    delivered(&farm, &older);
    let scene = farm.script("takes", "echo second >\"$OUTPUT\"\n");
    let newer = farm.submit(1, &scene, &[&["-f", "1"], &to[..]].concat());
    delivered(&farm, &newer);
    _ = write_file(out.join("takes_0002.txt"), "edited");
    std::fs::remove_file(out.join("takes_0003.txt")).expect("it is there");

    farm.stop(1);
    farm.start_all(&[1]);
    // What is asked for anew comes again, and it alone.
    _ = farm.node(1).run(&["retry", &older, "--frames", "3"]).ok();
    wait_for(END, "the third frame is there again", || text(3).filter(|text| text == "first\n"));
    delivered(&farm, &older);
    assert_eq!((text(1).as_deref(), text(2).as_deref()), (Some("second\n"), Some("edited")));
}
