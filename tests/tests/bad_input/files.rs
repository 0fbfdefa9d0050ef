//! Files and hashes that aren't what they should be.

use weft_tests::{Call, Farm, write_file};

use crate::cases::Cases;

pub(crate) fn try_all(farm: &Farm, cases: &mut Cases) {
    let folder = farm.folder().join("files");
    let hello = write_file(folder.join("hello.txt"), "Hello, World!");
    let strange = write_file(folder.join("strange.xyz"), "x");
    let missing = folder.join("missing.txt");
    let noughts = "0".repeat(64);
    let mut refused = |case: &str, args: &[&str], path: Option<&std::path::Path>| {
        let call = farm.node(2).call(args);
        let call = path.into_iter().fold(call, |call, path| call.arg(path));
        cases.refused(farm, case, || call.run());
    };
    refused("file that isn't there, for `hash` or `verify`", &["hash"], Some(&missing));
    let case = "file that isn't there, for `hash` or `verify`";
    refused(case, &["verify", "--md5", &noughts[..32]], Some(&missing));
    let case = "file with another hash, for `verify`";
    refused(case, &["verify", "--md5", &noughts[..32]], Some(&hello));
    refused(case, &["verify", "--xxh64", "17"], Some(&hello));
    refused(case, &["verify", "--blake3", &noughts], Some(&hello));
    refused("hash that is none, for `verify`", &["verify", "--md5", "65a8"], Some(&hello));
    refused("hash that is none, for `has`", &["has", "65a8"], None);
    let case = "scene of a kind that weft doesn't read, for `analyse`";
    refused(case, &["analyse"], Some(&strange));
    let target = folder.join("got");
    refused(
        "blob that no node has, for `get` by its id",
        &["get", &noughts, "--to"],
        Some(&target),
    );
    let case = "MD5 that the node doesn't know, for `get`";
    refused(case, &["get", &noughts[..32], "--to"], Some(&target));
    refused("path that isn't there, for `add`", &["add"], Some(&missing));
    let device = "something that is no file, or can't be read, for `add`";
    if cfg!(unix) {
        refused(device, &["add"], Some(std::path::Path::new("/dev/null")));
    } else {
        cases.skipped(device);
    }
    cases.require(!target.exists(), "a blob that isn't there left a file");
    // Where there is no Maya nobody is told to wait for it.
    let binary = write_file(folder.join("shot.mb"), "x");
    let said = farm.node(2).call(&["analyse"]).arg(&binary).run();
    let asked = said.stderr.contains("Maya is asked");
    let lacks = said.stderr.contains("not found here");
    cases.require(asked != lacks, &format!("Maya is asked or not: {said:?}"));
    spoilt(farm, cases);
    pipes(farm, cases);
    not_text(farm, cases);
}

/// What nobody else has can't be healed.
fn spoilt(farm: &Farm, cases: &mut Cases) {
    let node = farm.node(2);
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let file = write_file(farm.folder().join("files/spoilt.bin"), &bytes);
    let added = node.call(&["add", "--json"]).arg(&file).run().ok().json();
    let id = added[0]["id"].as_str().unwrap();
    let stored = node.home().join("store/blobs").join(&id[..2]).join(id);
    std::fs::write(&stored, vec![0; bytes.len()]).unwrap();
    let case = "blob that the disk has spoilt, for `get`, while no node that has it is reached";
    let target = farm.folder().join("files/healed.bin");
    cases.refused(farm, case, || node.call(&["get", id, "--to"]).arg(&target).run());
    cases.require(!target.exists(), "what is spoilt was given out");
}

/// Opening one would wait until somebody writes to it.
fn pipes(farm: &Farm, cases: &mut Cases) {
    let case = "pipe or device, for `analyse`";
    for ending in ["blend", "ma", "pov", "weft"] {
        let pipe = farm.folder().join(format!("files/pipe.{ending}"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|made| made.success()) {
            cases.refused(farm, case, || farm.node(2).call(&["analyse"]).arg(&pipe).run());
        } else {
            cases.skipped(case);
        }
    }
}

#[cfg(unix)]
fn not_text(farm: &Farm, cases: &mut Cases) {
    use std::os::unix::ffi::OsStrExt as _;
    let strange = farm.folder().join(std::ffi::OsStr::from_bytes(b"shot\xff"));
    let fine = farm.scene("named", 16, 1);
    let case = "path that is not text in UTF-8, where a node would be told it";
    for args in [&["add"][..], &["submit", "-f", "1"]] {
        cases.refused(farm, case, || farm.node(2).call(args).arg(&strange).run());
    }
    for option in ["-o", "--assets"] {
        let call = || farm.node(2).call(&["submit", "-f", "1", option]).arg(&strange).arg(&fine);
        cases.refused(farm, case, || call().run());
    }
    let case = "founding or joining in a folder whose path is not text in UTF-8";
    for args in [&["init", "--studio", "Elsewhere"][..], &["join", "code"]] {
        cases.refused(farm, case, || Call::new(&strange, args).run());
    }
    cases.require(!strange.exists(), "something was written where nothing may be");
}

#[cfg(not(unix))]
fn not_text(_farm: &Farm, cases: &mut Cases) {
    cases.skipped("path that is not text in UTF-8, where a node would be told it");
    cases.skipped("founding or joining in a folder whose path is not text in UTF-8");
}
