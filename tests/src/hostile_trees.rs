//! Tree manifests that try to leave their folder, by the million from one seed.
//!
//! Each is put together byte by byte from names that mean something to some system, so that nothing of the
//! code under test has looked at it. What is read all the same is judged by rules of its own here, and a
//! sample of it is written out into a folder whose surroundings must stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization;
use weft_protocol::content::Tree;
use weft_protocol::ids::BlobId;
use weft_store::{Offered, Store};

use crate::Random;

/// Names that are fine by themselves; some are one name to systems that fold case or Unicode forms.
const FINE: [&str; 24] = [
    "a",
    "A",
    "b",
    "tex",
    "TEX",
    "wood 01.exr",
    "shot.blend",
    ".hidden",
    "...a",
    "日本",
    "é",
    "e\u{301}",
    "É",
    "s",
    "ſ",
    "k",
    "\u{212a}",
    "σ",
    "ς",
    "ß",
    "\u{1e9e}",
    "console",
    "com10",
    "~",
];

/// Names that leave, bend or break something somewhere.
const BAD: [&str; 40] = [
    "..",
    ".",
    "",
    "...",
    ".. ",
    ". .",
    "..\\x",
    "\\",
    "\\\\server\\share",
    "C:",
    "c:x",
    "x:stream",
    "NUL",
    "nul.txt",
    "Con",
    "com1",
    "COM\u{b9}",
    "lpt9.tar.gz",
    "aux .h",
    "conin$",
    "PRN",
    "a\0b",
    "\0",
    "a\nb",
    "\u{7f}",
    "\u{85}",
    "x.",
    "x ",
    "a*",
    "a?",
    "a\"",
    "<a",
    "a>",
    "a|b",
    "..\0",
    "/",
    "..\\..",
    "CONOUT$.x",
    "\u{1b}[2J",
    "LPT0",
];

/// What is tried, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Trees that were generated.
    pub trees: u64,
    /// Those of them that were read; the others were refused.
    pub read: u64,
    /// Those of these that were written out.
    pub written: u64,
    /// Files that were written.
    pub files: u64,
    /// How often a link in the way was refused or replaced, not followed.
    pub links: u64,
}

/// Generates `count` trees from a seed, judges each, and writes out one in `sample` of those that are read.
///
/// # Panics
/// When one escapes.
#[must_use]
pub fn run(seed: u64, count: u64, sample: u64) -> Figures {
    let mut random = Random::seeded(seed);
    let mut figures = Figures::default();
    let ground = Ground::new();
    for number in 0..count {
        let bytes = generate(&mut random, &ground.blobs);
        figures.trees += 1;
        let Ok(tree) = Tree::decode(&bytes) else {
            continue;
        };
        figures.read += 1;
        if let Err(why) = judge(&tree) {
            panic!("tree {number} of seed {seed} was read: {why}\n{tree:?}");
        }
        if figures.read % sample == 0 {
            ground.write_out(&tree, &mut random, &mut figures);
        }
    }
    figures
}

/// An encoded tree, its entries mostly in order: what is refused should be so for its paths.
fn generate(random: &mut Random, blobs: &[(BlobId, u64)]) -> Vec<u8> {
    let mut paths: Vec<Vec<u8>> = (0..=random.below(4)).map(|_| path(random)).collect();
    if random.below(16) > 0 {
        paths.sort();
        paths.dedup();
    }
    let mut bytes = b"WTRE\x01".to_vec();
    bytes.extend((paths.len() as u32).to_le_bytes());
    for path in paths {
        let (blob, size) = blobs[random.below(blobs.len() as u64) as usize];
        bytes.extend((path.len() as u16).to_le_bytes());
        bytes.extend(path);
        bytes.extend(blob.0);
        bytes.extend(size.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
    }
    bytes
}

fn path(random: &mut Random) -> Vec<u8> {
    let last = random.below(3);
    let names = (0..=last).map(|_| match random.below(8) {
        0 => BAD[random.below(BAD.len() as u64) as usize].to_owned(),
        1 if random.below(64) == 0 => "x".repeat(200 + random.below(100) as usize),
        _ => FINE[random.below(FINE.len() as u64) as usize].to_owned(),
    });
    let names: Vec<String> = names.collect();
    let separator = if random.below(64) == 0 { "\\" } else { "/" };
    let mut path = names.join(separator);
    match random.below(64) {
        0 => path.insert(0, '/'),
        1 => path.push('/'),
        2 => path.insert_str(0, "//?/C:/"),
        3 => path.insert_str(0, "../"),
        4 => path = "d/".repeat(3000) + &path,
        _ => {}
    }
    let mut path = path.into_bytes();
    // A byte of anything, often no UTF-8.
    if random.below(64) == 0 {
        let at = random.below(path.len() as u64 + 1) as usize;
        path.insert(at, random.next() as u8);
    }
    path
}

/// Whether a tree keeps to its folder on every system, by rules written down without a look at the code.
fn judge(tree: &Tree) -> Result<(), String> {
    let mut lower = BTreeMap::new();
    let mut upper = BTreeMap::new();
    for path in tree.entries().keys() {
        let text = path.as_str();
        judge_path(text).map_err(|why| format!("{text:?} {why}"))?;
        let folds = [
            (&mut lower, text.nfc().collect::<String>().to_lowercase()),
            (&mut upper, text.nfd().map(one_upper).nfc().collect()),
        ];
        for (seen, folded) in folds {
            if let Some(other) = seen.insert(folded, text) {
                return Err(format!("{text:?} and {other:?} are one name to some systems"));
            }
        }
    }
    for seen in [lower, upper] {
        for name in seen.keys() {
            let mut folder = name.as_str();
            while let Some((outer, _)) = folder.rsplit_once('/') {
                if seen.contains_key(outer) {
                    return Err(format!("{outer:?} is a file and a folder"));
                }
                folder = outer;
            }
        }
    }
    Ok(())
}

/// To upper case where that is one character.
fn one_upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn judge_path(text: &str) -> Result<(), &'static str> {
    let holds = |good: bool, why| if good { Ok(()) } else { Err(why) };
    let plain = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    holds(plain, "is not made of plain names here")?;
    holds(text.len() <= 4096, "is longer than systems take")?;
    for name in text.split(['/', '\\']) {
        holds(!matches!(name, "" | "." | ".."), "goes nowhere, or up")?;
        holds(name.len() <= 255, "has a longer name than systems take")?;
        holds(!name.contains(':'), "names a drive or a stream")?;
        holds(
            !name.chars().any(|c| u32::from(c) < 32 || (127..160).contains(&u32::from(c))),
            "has a control",
        )?;
        holds(!name.contains(['*', '?', '"', '<', '>', '|']), "has what Windows refuses")?;
        holds(name.trim_end_matches(['.', ' ']) == name, "ends with what Windows drops")?;
        let device = name.split('.').next().unwrap_or("").trim_end().to_uppercase();
        holds(!devices().contains(device.as_str()), "is a device on Windows")?;
    }
    holds(!text.contains('\\'), "has a backslash")
}

/// The names that Windows reserves ("Naming Files, Paths, and Namespaces").
fn devices() -> BTreeSet<&'static str> {
    let plain = "CON PRN AUX NUL CONIN$ CONOUT$ COM0 COM1 COM2 COM3 COM4 COM5 COM6 COM7 COM8 COM9 COM¹ COM² COM³ \
                 LPT0 LPT1 LPT2 LPT3 LPT4 LPT5 LPT6 LPT7 LPT8 LPT9 LPT¹ LPT² LPT³";
    plain.split(' ').collect()
}

/// A folder to write trees into, and what lies around it.
struct Ground {
    dir: tempfile::TempDir,
    store: Store,
    blobs: Vec<(BlobId, u64)>,
}

const VICTIM: &str = "what must stay as it is";

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(&dir.path().join("store")).expect("a store");
        let contents = [&b""[..], b"one", b"another"];
        let blobs = contents.map(|bytes| store.ingest_bytes(bytes).expect("it is taken in"));
        let outside = dir.path().join("around/outside");
        fs::create_dir_all(&outside).expect("a folder");
        fs::write(outside.join("victim"), VICTIM).expect("a file");
        Self { dir, store, blobs: blobs.map(|added| (added.id, added.size)).into() }
    }

    /// Writes a tree out, half of the time into a folder where a link lies in its way.
    fn write_out(&self, tree: &Tree, random: &mut Random, figures: &mut Figures) {
        let around = self.dir.path().join("around");
        let dest = around.join("dest");
        fs::create_dir(&dest).expect("a new folder");
        let entries: Vec<_> = tree.entries().keys().collect();
        let planted = entries.get(random.below(2 * entries.len() as u64 + 1) as usize);
        let linked = planted.is_some_and(|path| plant(&dest, path.as_str()));
        let result = self.store.checkout_tree(tree, &dest, Offered::Writable, &mut |_, _| true);
        let below = files_below(&around);
        let escaped: Vec<_> = below.iter().filter(|path| !path.starts_with(&dest)).collect();
        assert_eq!(escaped, [&around.join("outside/victim")], "{tree:?}");
        let victim = fs::read_to_string(around.join("outside/victim")).expect("it is there");
        assert_eq!(victim, VICTIM, "{tree:?}");
        match result {
            Ok(_) => {
                let expected: BTreeSet<PathBuf> =
                    entries.iter().map(|path| dest.join(path.as_str())).collect();
                assert_eq!(
                    below
                        .into_iter()
                        .filter(|path| path.starts_with(&dest))
                        .collect::<BTreeSet<_>>(),
                    expected
                );
                figures.files += entries.len() as u64;
            }
            Err(error) => assert!(linked, "{error}: {tree:?}"),
        }
        figures.links += u64::from(linked);
        figures.written += 1;
        fs::remove_dir_all(&dest).expect("it goes");
    }
}

/// Puts a link where a path's outermost name will be: to a folder outside, or to a file there if the path is
/// that name alone. Says whether it could.
#[cfg(unix)]
fn plant(dest: &Path, path: &str) -> bool {
    let (first, target) = match path.split_once('/') {
        Some((first, _)) => (first, "../outside"),
        None => (path, "../outside/victim"),
    };
    std::os::unix::fs::symlink(target, dest.join(first)).is_ok()
}

#[cfg(not(unix))]
fn plant(_: &Path, _: &str) -> bool {
    false
}

/// All that is no folder, links not followed and listed as what they are.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("it can be listed") {
            let entry = entry.expect("an entry");
            match entry.file_type().expect("a type").is_dir() {
                true => dirs.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files
}
