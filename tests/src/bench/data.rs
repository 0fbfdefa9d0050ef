//! Files to move.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::Random;
use weft_protocol::content::path::TreePath;
use weft_protocol::content::tree::{Tree, TreeEntry};

use super::daemon::Daemon;

/// Writes `mib` MiB that nothing compresses.
pub fn noise(path: PathBuf, seed: u64, mib: usize) -> PathBuf {
    let mut random = Random::seeded(seed);
    let mut file = BufWriter::new(File::create(&path).expect("there is room for the files"));
    for _ in 0..mib {
        file.write_all(&random.bytes(1 << 20)).expect("there is room for the files");
    }
    file.flush().expect("there is room for the files");
    path
}

/// Writes about `mib` MiB of Maya ASCII as Maya itself writes it: transforms, and meshes whose
/// points have six digits that don't repeat.
pub fn maya(path: PathBuf, mib: usize) -> PathBuf {
    let mut random = Random::seeded(77);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("room"));
    let mut written = 0;
    let mut node = 0;
    while written < mib << 20 {
        let mut text = String::with_capacity(80 << 10);
        if node == 0 {
            text.push_str("//Maya ASCII 2024 scene\nrequires maya \"2024\";\ncurrentUnit -l centimeter -a degree -t film;\n");
        }
        text.push_str(&format!(
            "createNode transform -n \"prop_{node:05}\" -p \"|set|props\";\n\trename -uid \"{:08X}-{:04X}-{:04X}\";\n\tsetAttr \".t\" -type \"double3\" {} {} {} ;\n\tsetAttr \".rp\" -type \"double3\" 0 0 0 ;\n",
            random.next() as u32, random.next() as u16, random.next() as u16,
            number(&mut random), number(&mut random), number(&mut random),
        ));
        text.push_str(&format!(
            "createNode mesh -n \"prop_{node:05}Shape\" -p \"|set|props|prop_{node:05}\";\n\tsetAttr -k off \".v\";\n\tsetAttr -s 2 \".iog[0].og\";\n\tsetAttr \".vir\" yes;\n\tsetAttr \".vif\" yes;\n\tsetAttr -s 600 \".vt\";\n"
        ));
        for block in 0..4 {
            text.push_str(&format!("\tsetAttr \".vt[{}:{}]\"", block * 150, block * 150 + 149));
            for vertex in 0..150 {
                let end = if vertex % 4 == 3 { "\n\t\t" } else { " " };
                text.push_str(&format!(
                    " {} {} {}{end}",
                    number(&mut random),
                    number(&mut random),
                    number(&mut random)
                ));
            }
            text.push_str(";\n");
        }
        for face in 0..500_u32 {
            let corner = face % 450;
            text.push_str(&format!(
                "\tsetAttr \".fc[{face}]\" -type \"polyFaces\" f 4 {} {} {} {} mu 0 4 {} {} {} {} ;\n",
                corner, corner + 1, corner + 151, corner + 150,
                corner, corner + 1, corner + 151, corner + 150,
            ));
        }
        file.write_all(text.as_bytes()).expect("there is room for the files");
        written += text.len();
        node += 1;
    }
    file.flush().expect("there is room for the files");
    path
}

/// A coordinate as Maya prints it.
fn number(random: &mut Random) -> String {
    let value = random.below(2_000_000) as f64 / 100_000.0 - 10.0;
    format!("{value:.5}")
}

/// A scene as it is saved again: what was done to it, and its text then.
pub fn versions(text: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let line = |place: usize| {
        let rest = text[place..].iter().position(|byte| *byte == b'\n');
        rest.map_or(text.len(), |end| place + end + 1)
    };
    let (near, third, half) = (line(text.len() / 1000), line(text.len() / 3), line(text.len() / 2));
    let after = line(third + text.len() / 50);
    let (head, block) = (&text[..third], &text[third..after]);
    [
        ("a line inserted near the start", {
            [&text[..near], b"\tsetAttr \".new\" 1;\n", &text[near..]].concat()
        }),
        ("a line appended", [text, b"// the end\n"].concat()),
        ("a 50th removed", [head, &text[after..]].concat()),
        ("a 50th moved", [head, &text[after..half], block, &text[half..]].concat()),
    ]
}

/// Puts files into a node's store, and a tree of them, whose id this is.
pub fn add(daemon: &Daemon, folder: &Path, files: &[PathBuf]) -> String {
    let mut args = vec!["add".to_owned(), "--json".to_owned()];
    args.extend(files.iter().map(|file| file.display().to_string()));
    let added = daemon.json(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut entries = BTreeMap::new();
    for file in added.as_array().expect("`weft add` lists what it added") {
        let name = Path::new(file["path"].as_str().expect("a path")).file_name().expect("a name");
        let entry = TreeEntry {
            blob: file["id"].as_str().expect("an id").parse().expect("an id"),
            size: file["size"].as_u64().expect("a size"),
            frames: None,
        };
        entries.insert(TreePath::new(name.to_string_lossy()).expect("a plain name"), entry);
    }
    let tree = folder.join("tree");
    std::fs::write(&tree, Tree::new(entries).expect("a tree").encode()).expect("room");
    let added = daemon.json(&["add", "--json", &tree.display().to_string()]);
    added[0]["id"].as_str().expect("an id").to_owned()
}
