//! Scenes and commands that want out of their sandbox: they try to read what is nobody's business, to write
//! where they have no business, to talk to the network, to stay behind, and to eat the machine. None of it
//! happens, the job says what did, and the node goes on.
//!
//! What they ran under is said on standard error. Where there is no protection they are left out, unless
//! `WEFT_REQUIRE_RENDERERS=1` is set and bubblewrap works when it is called by hand.

mod appetite;
mod blender;
mod commands;
mod inputs;
mod povray;
mod prey;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weft_tests::{Farm, skip};

use prey::Prey;

/// How long a job of the corpus may take.
const END: Duration = Duration::from_secs(90);

/// What a node of the corpus has: little memory (in GiB) and disk for runs, and commands may run.
fn config(sandbox: &str, ram: f64) -> String {
    format!(
        "[node]\nsandbox = \"{sandbox}\"\nram = {ram}\n[disk]\nwork = 0.0625\n[run]\nallow = true\n"
    )
}

/// A farm of one node in that sandbox; none where the machine has none. Says which it is.
fn farm(sandbox: &str, ram: f64) -> Option<Farm> {
    let farm = Farm::configured(1, |_| config(sandbox, ram));
    let hardware = farm.node(1).ask(&["hardware"]);
    let protection = hardware["sandbox"]["protection"].as_str().unwrap_or_default().to_owned();
    let words = hardware["sandbox"]["words"].as_str().unwrap_or_default().to_owned();
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    _ = writeln!(std::io::stderr(), "PROTECTION: {test}: {words}");
    if sandbox == "auto" && works_by_hand() {
        assert_eq!(
            protection, "bubblewrap",
            "bubblewrap works here, and weft does not use it: {words}"
        );
    }
    if protection == "none" {
        let why = format!("there is no sandbox ({words})");
        let variable =
            if works_by_hand() { "WEFT_REQUIRE_RENDERERS" } else { "WEFT_REQUIRE_SANDBOX" };
        skip(&why, variable);
        return None;
    }
    Some(farm)
}

/// Whether bubblewrap makes all namespaces when a person calls it.
fn works_by_hand() -> bool {
    let mut call = Command::new("bwrap");
    call.args(["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]);
    let status = call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The node still renders: a frame of the built-in renderer.
fn assert_goes_on(farm: &Farm) {
    let job = farm.submit(1, &farm.scene("after", 8, 1), &["-f", "1"]);
    let job = farm.wait_for_end(&job, END);
    assert_eq!(job["status"], "completed", "{job:#}");
}

/// Hands in a command and waits until its job is over.
fn run(farm: &Farm, options: &[&str], command: &[&str]) -> Value {
    let call = farm.node(1).call(&["run", "--json"]).args(options).arg("--").args(command);
    let submitted = call.run().ok().json();
    let job = submitted["job"].as_str().expect("an acknowledgement names the job").to_owned();
    farm.wait_for_end(&job, END)
}

/// What the one frame of a job printed.
fn log(farm: &Farm, job: &Value) -> String {
    let (job, frame) = (job["job"].as_str().unwrap(), job["frames"][0]["frame"].to_string());
    farm.node(1).run(&["logs", job, &frame]).ok().stdout
}
