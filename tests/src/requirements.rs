//! What a test needs that a bare machine doesn't have.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Says that a test is skipped.
///
/// # Panics
/// Where the variable of that name is 1, which says that the test must run.
pub fn skip(why: &str, variable: &str) {
    let required = std::env::var_os(variable).is_some_and(|value| value == "1");
    assert!(!required, "{why}, and {variable}=1 asks for it");
    // Past the capture of a passing test's output: people shall see it. If they can't, so be it.
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("SKIPPED: {test}: {why} ({variable}=1 makes that a failure)\n");
    _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether a renderer is installed; where not, it is said.
///
/// # Panics
/// Where it isn't, and `WEFT_REQUIRE_RENDERERS` is 1.
#[must_use]
pub fn installed(renderer: &str) -> bool {
    let mut probe = Command::new(renderer);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let found = probe.status().is_ok_and(|status| status.success());
    if !found {
        skip(&format!("{renderer} is not installed"), "WEFT_REQUIRE_RENDERERS");
    }
    found
}
