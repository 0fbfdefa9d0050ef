//! What programs do to their inputs stays theirs: the store's files are as they were, also where inputs are
//! those very files under a second name.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use weft_tests::{Random, write_file};

use crate::{assert_goes_on, config, log, run};
use weft_tests::Farm;

/// A file that is large enough not to be in the catalog.
const SIZE: usize = 300_000;

/// Every file below a folder, with its mode, its second names and its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it can be listed").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it has a type"));
        match kind.is_dir() {
            true => all.extend(files(&path)),
            false => {
                let mode = entry.metadata().expect("it can be looked at").mode();
                let bytes = std::fs::read(&path).expect("it can be read");
                all.push((path, mode, bytes));
            }
        }
    }
    all.sort();
    all
}

/// How many names a blob's file has.
fn names(blob: &Path) -> u64 {
    std::fs::metadata(blob).expect("it is there").nlink()
}

fn changes_its_inputs(sandbox: &str) {
    let farm = Farm::configured(1, |_| config(sandbox, 2.0));
    let whole = farm.node(1).ask(&["hardware"])["sandbox"]["whole"] == true;
    let big = Random::seeded(11).bytes(SIZE);
    let big = write_file(farm.folder().join("project/big.tx"), big).display().to_string();
    let script = include_str!("inputs.py");
    let script = write_file(farm.folder().join("project/inputs.py"), script).display().to_string();
    let store = farm.node(1).home().join("store/blobs");
    let options = ["--assets", &script, "--assets", &big, "--retries", "0"];
    let command = ["python3", "{inputs}/inputs.py"];
    // Twice: what the first one did must not be what the second one is offered.
    let mut before = None;
    for _ in 0..2 {
        let job = run(&farm, &options, &command);
        let said = log(&farm, &job);
        assert_eq!(said.matches("TRIED ").count(), 19, "not everything was tried: {said}\n{job:#}");
        if whole {
            assert!(said.contains("UNCHANGED") && !said.contains("WORKED"), "{said}");
        }
        let scene = files(&store).into_iter().find(|(_, _, bytes)| bytes.len() == SIZE);
        let (blob, mode, bytes) = scene.expect("the store has the file");
        assert!(bytes == std::fs::read(&big).unwrap(), "the store's file was changed: {said}");
        let (blob, mode) = before.get_or_insert((blob, mode));
        assert_eq!(std::fs::metadata(&*blob).unwrap().mode(), *mode, "its mode too: {said}");
        // Where blocks can be shared no second name is needed.
        let shares = reflinks(blob);
        assert_eq!(names(blob) > 1, whole && !shares, "{sandbox}: {} names", names(blob));
    }
    let scrubbed = farm.node(1).call(&["scrub", "--json"]).run().ok().json();
    assert_eq!(scrubbed["damaged"].as_array().map(Vec::len), Some(0), "{scrubbed:#}");
    assert_goes_on(&farm);
}

/// Whether a copy of the file beside it shares its blocks.
fn reflinks(file: &Path) -> bool {
    let copy = file.with_extension("probe");
    let mut call = std::process::Command::new("cp");
    call.args(["--reflink=always", "--"]).arg(file).arg(&copy).stderr(std::process::Stdio::null());
    let shares = call.status().is_ok_and(|status| status.success());
    let _ = std::fs::remove_file(copy);
    shares
}

#[test]
fn inputs_stay_as_they_are_in_a_sandbox() {
    changes_its_inputs("auto");
}

#[test]
fn nothing_done_to_inputs_reaches_the_store_under_landlock() {
    changes_its_inputs("landlock");
}

#[test]
fn nothing_done_to_inputs_reaches_the_store_without_a_sandbox() {
    changes_its_inputs("off");
}
