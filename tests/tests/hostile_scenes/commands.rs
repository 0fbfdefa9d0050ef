//! Commands that try all they can, in each kind of sandbox.

use weft_tests::write_file;

use crate::{END, Prey, assert_goes_on, farm, log, run};

fn tries_it_all(sandbox: &str) {
    let Some(farm) = farm(sandbox, 2.0) else { return };
    let prey = Prey::of(&farm);
    let whole = farm.node(1).ask(&["hardware"])["sandbox"]["whole"] == true;
    let place = format!("INPUT, WHOLE = __file__, {}\n", if whole { "True" } else { "False" });
    let script = write_file(farm.folder().join("try.py"), place + &prey.script());
    let script = script.display().to_string();
    let out = farm.folder().join("out").display().to_string();
    let options = ["-o", &out, "--assets", &script, "--retries", "0"];
    let text =
        "python3 \"$1\" && ln -s /etc/passwd link && ln -s / folder && echo done >report.txt";
    let job = run(&farm, &options, &["sh", "-c", text, "sh", "{inputs}/try.py"]);
    let said = log(&farm, &job);
    assert_eq!(job["status"], "completed", "{said}\n{job:#}");
    assert!(said.matches("TRIED ").count() >= 13, "not everything was tried: {said}");
    prey.assert_untouched(&said);
    // What it left counts, and what its links lead to does not.
    let files = job["frames"][0]["output"].as_array().expect("they are listed");
    assert_eq!((files.len(), &files[0]["path"]), (1, &"report.txt".into()), "{job:#}");
    farm.wait_for_files(out.as_ref(), ["report.txt".to_owned()]);
    assert_goes_on(&farm);
}

#[test]
fn a_command_gets_nowhere() {
    tries_it_all("auto");
}

#[test]
fn a_command_gets_nowhere_under_landlock_alone() {
    tries_it_all("landlock");
}

#[test]
fn what_hides_ends_with_the_run_and_when_the_run_is_cancelled() {
    let Some(farm) = farm("auto", 2.0) else { return };
    let prey = Prey::of(&farm);
    // It says that it is done, and goes on in the dark.
    let hides = format!(
        "for n in 1 2 3; do (trap '' HUP TERM; setsid sleep {} &) ; done; exit 0",
        prey.mark
    );
    let job = run(&farm, &[], &["sh", "-c", &hides]);
    assert_eq!(job["status"], "completed", "{job:#}");
    prey.assert_untouched(&log(&farm, &job));
    // It hears no request to end.
    let deaf =
        format!("trap '' HUP INT TERM; echo deaf; setsid sleep {}; sleep {}", prey.mark, prey.mark);
    let call = farm.node(1).call(&["run", "--json", "--", "sh", "-c"]).arg(&deaf);
    let job = call.run().ok().json()["job"].as_str().unwrap().to_owned();
    weft_tests::wait_for(END, "it sleeps", || {
        (!weft_tests::processes(&prey.mark, farm.folder()).is_empty()).then_some(())
    });
    _ = farm.node(1).run(&["cancel", &job]).ok();
    assert_eq!(farm.wait_for_end(&job, END)["status"], "cancelled");
    prey.assert_untouched("");
    assert_goes_on(&farm);
}
