//! The environment of a run: what every program needs, and what the engine's definition lets through.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use weft_scene::engine::{Definition, matches_wildcard};

/// What programs need of the daemon's environment.
#[cfg(unix)]
const ALWAYS: [&str; 5] = ["PATH", "LANG", "LANGUAGE", "LC_*", "TZ"];
#[cfg(not(unix))]
const ALWAYS: [&str; 14] = [
    "PATH",
    "PATHEXT",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "OS",
    "PROGRAMDATA",
    "PROGRAMFILES*",
    "COMMONPROGRAMFILES*",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_*",
    "LANG",
    "TZ",
];
/// What a display takes.
const DISPLAY: [&str; 4] = ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"];

/// Those of `daemon`'s variables that a run of the engine gets.
pub(crate) fn environment(
    daemon: impl Iterator<Item = (OsString, OsString)>,
    definition: &Definition,
) -> BTreeMap<OsString, OsString> {
    let display = if definition.display { &DISPLAY[..] } else { &[] };
    let passed = definition.pass_environment.iter().map(String::as_str);
    let patterns: Vec<&str> =
        ALWAYS.into_iter().chain(display.iter().copied()).chain(passed).collect();
    let fits = |name: &OsStr| {
        let name = name.to_str().map(|name| match cfg!(windows) {
            // Names have no case there.
            true => name.to_uppercase(),
            false => name.to_owned(),
        });
        name.is_some_and(|name| patterns.iter().any(|pattern| matches_wildcard(pattern, &name)))
    };
    daemon.filter(|(name, _)| fits(name)).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_the_daemon() {
        let daemon = [
            "PATH",
            "LC_ALL",
            "AWS_SECRET_ACCESS_KEY",
            "HOME",
            "DISPLAY",
            "RLM_LICENSE",
            "WEFT_HOME",
        ];
        let daemon = || daemon.into_iter().map(|name| (OsString::from(name), OsString::from("x")));
        let of = |table: &str| {
            let text = format!("[engine.x]\nexecutables = ['x']\n{table}\n");
            let definition = &weft_scene::engine::parse(&text, "test").unwrap()["x"];
            let names = environment(daemon(), definition).into_keys();
            names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(""), "LC_ALL PATH");
        assert_eq!(of("display = true"), "DISPLAY LC_ALL PATH");
        assert_eq!(of("pass_environment = ['RLM_*']"), "LC_ALL PATH RLM_LICENSE");
    }
}
