//! Files in folders that all machines mount.

use std::path::Path;

use weft_tests::{Farm, write_file};

use super::END;

/// Puts together what its scene names.
const ENGINE: &str = r#"
[engine.list]
executables = ["sh"]
extensions = ["list"]
args = ["-c", '''cd "$(dirname "$0")" && sed -n 's/^uses "\(.*\)"/\1/p' "$0" | xargs cat >"$1"''', "{scene}", "{output}"]
formats = { TXT = "txt" }
default_format = "TXT"
outputs = ["{name}_{frame:04}.{ext}"]
[[engine.list.files.named]]
pattern = '^uses "(?<path>[^"]+)"'
kind = "other"
"#;

#[test]
fn files_in_a_shared_root_are_read_where_each_machine_has_it() {
    let mounts = tempfile::tempdir().expect("room");
    let mount = |number: usize| mounts.path().join(format!("mount{number}"));
    // As if machines mounted one folder in different places; what is read tells in which.
    for number in 1..=2 {
        write_file(mount(number).join("lib/part.txt"), format!("of {number}\n"));
    }
    let farm = Farm::configured(3, |number| match number {
        1 | 2 => {
            format!("{ENGINE}[shared_roots]\nprojects = '{}'\n", mount(number).display())
        }
        _ => ENGINE.to_owned(),
    });
    let own = write_file(farm.folder().join("scenes/own.txt"), "own\n");
    let part = mount(1).join("lib/part.txt");
    let names =
        |paths: [&Path; 2]| paths.map(|path| format!("uses \"{}\"\n", path.display())).concat();
    let scene = write_file(farm.folder().join("scenes/all.list"), names([&part, &own]));
    _ = farm.node(1).ask(&["drain", "node1"]);
    let out = farm.folder().join("out");
    let folder = out.display().to_string();
    let job = farm.submit(1, &scene, &["-f", "1-3", "-o", &folder]);
    let done = farm.wait_for_end(&job, END);
    assert_eq!(done["status"], "completed", "{done:#}");
    farm.wait_for_files(&out, (1..=3).map(|frame| format!("all_{frame:04}.txt")));
    for frame in 1..=3 {
        // The third node has no such folder, and the first takes nothing.
        let made = std::fs::read_to_string(out.join(format!("all_{frame:04}.txt")));
        assert_eq!(made.expect("it was delivered"), "of 2\nown\n");
    }
    // What lies there never came into anybody's store.
    let hashes = farm.node(1).ask(&["hash", &part.display().to_string()]);
    let known = farm.node(2).ask(&["has", hashes[0]["hash"].as_str().expect("an MD5")]);
    assert_eq!(known["existing"], serde_json::json!([]), "{known:#}");
}
