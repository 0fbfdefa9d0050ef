//! What is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastcdc::v2020::FastCDC;
use weft_protocol::content::chunker::{AVERAGE_CHUNK, MIN_CHUNK};
use weft_protocol::content::{MAX_CHUNK, Tree, TreeEntry, TreePath, first_chunk};
use weft_store::{How, Offered, Store};

use crate::material::{self, Noise};
use crate::measure::{Settings, copy, on_disk, peak_memory, row, time};

const MIB: u64 = 1 << 20;

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn open(dir: &Path) -> Store {
    Store::open(dir).expect("a store")
}

/// Takes files in, and says how many bytes were new.
fn add(store: &Store, files: &[PathBuf]) -> u64 {
    let added = store.ingest_many(files, &mut |_, _| {}).expect("they are taken in");
    added.into_iter().map(|added| added.expect("a file is taken in").bytes_added).sum()
}

/// Copies a folder's files, and takes them into a fresh store: gives that, its folder, and how many
/// bytes were new.
fn copy_then_add(
    settings: &Settings,
    source: &Path,
    files: &[PathBuf],
    copied: &mut Vec<Duration>,
    added: &mut Vec<Duration>,
) -> (PathBuf, Store, u64) {
    let to = settings.fresh("copy");
    copied.push(time(|| copy(source, &to)).0);
    // The copy goes before anything else is measured.
    let _ = settings.fresh("copy");
    let at = settings.fresh("store");
    let store = open(&at);
    let (took, new) = time(|| add(&store, files));
    added.push(took);
    (at, store, new)
}

/// Four files of noise and a scene, together 1 GiB.
pub(crate) fn large(settings: &Settings) {
    let source = settings.fresh("large");
    fs::create_dir(&source).expect("a folder");
    for n in 0..4 {
        material::noise(&source.join(format!("{n}.tx")), n, settings.scaled(192 * MIB));
    }
    fs::write(source.join("scene.ma"), material::maya(settings.scaled(256 * MIB))).expect("room");
    let files = files_of(&source);
    let total: u64 = files.iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
    let mib = total as f64 / MIB as f64;
    println!("large: {} files, {mib:.0} MiB", files.len());
    // Alone it has no other whose MD5 could go beside its own.
    let alone = settings.fresh("alone");
    fs::create_dir(&alone).expect("a folder");
    fs::copy(source.join("scene.ma"), alone.join("scene.ma")).expect("room");
    let one = files_of(&alone);
    let one_mib = fs::metadata(&one[0]).expect("a file").len() as f64 / MIB as f64;
    let (mut copied_alone, mut added_alone) = (Vec::new(), Vec::new());
    let (mut copied, mut added, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        drop(copy_then_add(settings, &alone, &one, &mut copied_alone, &mut added_alone));
        let (_, store, new) = copy_then_add(settings, &source, &files, &mut copied, &mut added);
        assert_eq!(new, total, "noise repeats nothing");
        // Under other names, so that all of it has to be read.
        let moved = settings.dir.join("moved");
        fs::rename(&source, &moved).expect("a rename");
        let (took, new) = time(|| add(&store, &files_of(&moved)));
        assert_eq!(new, 0, "a moved file has no new bytes");
        again.push(took);
        fs::rename(&moved, &source).expect("a rename");
    }
    let rate = |seconds: f64| format!("{:.0} MiB/s", mib / seconds);
    row("cp -r, sync", &mut copied, rate);
    let base = copied[copied.len() / 2].as_secs_f64();
    row("add", &mut added, |s| {
        format!("{}, {:.2} of the rate of cp, wanted 0.75", rate(s), base / s)
    });
    row("add again, all files moved", &mut again, rate);
    let rate = |seconds: f64| format!("{:.0} MiB/s", one_mib / seconds);
    row("the scene alone: cp -r, sync", &mut copied_alone, rate);
    let base = copied_alone[copied_alone.len() / 2].as_secs_f64();
    row("the scene alone: add", &mut added_alone, |s| {
        format!("{}, {:.2} of the rate of cp", rate(s), base / s)
    });
}

/// Where noise is cut into chunks, by the crate's scan and by ours.
pub(crate) fn cuts(settings: &Settings) {
    let length = settings.scaled(64 * MIB);
    let file = settings.dir.join("cuts");
    material::noise(&file, 1, length);
    let bytes = fs::read(file).expect("a file");
    let all = |cut: &dyn Fn(&[u8]) -> usize| {
        let (mut at, mut number) = (0, 0);
        while at < bytes.len() {
            at += cut(&bytes[at..]);
            number += 1;
        }
        number
    };
    let of_the_crate = |bytes: &[u8]| {
        let window = &bytes[..bytes.len().min(MAX_CHUNK)];
        FastCDC::new(window, MIN_CHUNK, AVERAGE_CHUNK, MAX_CHUNK).cut(0, window.len()).1
    };
    let ours = |bytes: &[u8]| first_chunk(bytes, 0, true).expect("the rest is a chunk");
    let (mut theirs_took, mut ours_took) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        let (took, theirs) = time(|| all(&of_the_crate));
        theirs_took.push(took);
        let (took, number) = time(|| all(&ours));
        ours_took.push(took);
        assert_eq!(number, theirs, "they cut alike");
    }
    let rate = |seconds: f64| format!("{:.0} MiB/s", length as f64 / MIB as f64 / seconds);
    println!("cuts: noise in memory");
    row("fastcdc", &mut theirs_took, rate);
    let base = theirs_took[theirs_took.len() / 2].as_secs_f64();
    row("ours", &mut ours_took, |s| format!("{}, {:.2} times that", rate(s), base / s));
}

/// 60,000 files of 4 KiB.
pub(crate) fn small(settings: &Settings) {
    let source = settings.fresh("small");
    let count = settings.scaled(60_000);
    for n in 0..count {
        let dir = source.join(format!("{:03}", n / 500));
        if n % 500 == 0 {
            fs::create_dir_all(&dir).expect("a folder");
        }
        material::noise(&dir.join(format!("{n}.txt")), n, 4096);
    }
    let files = files_of(&source);
    println!("small: {} files of 4 KiB", files.len());
    // What changed within the last two seconds is not remembered.
    std::thread::sleep(Duration::from_millis(2500));
    let (mut copied, mut added, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let mut growth = 0;
    for _ in 0..settings.runs {
        let (at, store, new) = copy_then_add(settings, &source, &files, &mut copied, &mut added);
        assert_eq!(new, count * 4096);
        growth = on_disk(&at);
        let (took, new) = time(|| add(&store, &files));
        assert_eq!(new, 0);
        again.push(took);
    }
    row("cp -r, sync", &mut copied, |_| String::new());
    let base = copied[copied.len() / 2].as_secs_f64();
    row("add", &mut added, |s| format!("{:.2} times as long as cp, wanted at most 2", s / base));
    row("add again, unchanged", &mut again, |_| "wanted under 3 s".to_owned());
    println!(
        "  {:.0} MiB of files take {:.0} MiB",
        count as f64 / 256.0,
        growth as f64 / MIB as f64
    );
}

/// New versions of a scene: what is new of them, and what they take.
pub(crate) fn versions(settings: &Settings) {
    let text = material::maya(settings.scaled(256 * MIB));
    println!("versions: a scene of {:.0} MiB", text.len() as f64 / MIB as f64);
    let near = material::line_at(&text, text.len() / 1000);
    let (third, half) =
        (material::line_at(&text, text.len() / 3), material::line_at(&text, text.len() / 2));
    let block = &text[third..material::line_at(&text, third + text.len() / 50)];
    let edits: [(&str, Vec<u8>); 4] = [
        ("a line inserted near the start", {
            [&text[..near], b"\tsetAttr \".new\" 1;\n", &text[near..]].concat()
        }),
        ("a line appended", [&text[..], b"// the end\n"].concat()),
        ("a 50th removed", [&text[..third], &text[third + block.len()..]].concat()),
        ("a 50th moved", {
            [&text[..third], &text[third + block.len()..half], block, &text[half..]].concat()
        }),
    ];
    let at = settings.fresh("store");
    let store = open(&at);
    let source = settings.dir.join("scene.ma");
    fs::write(&source, &text).expect("room");
    add(&store, std::slice::from_ref(&source));
    for (name, edited) in edits {
        fs::write(&source, edited).expect("room");
        let before = on_disk(&at);
        let (took, new) = time(|| add(&store, std::slice::from_ref(&source)));
        let grown = on_disk(&at).saturating_sub(before);
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        println!(
            "  {name:<34} {:8.3} s  {:.2} MiB of new chunks to send, {:.0} MiB more on the disk",
            took.as_secs_f64(),
            mib(new),
            mib(grown)
        );
    }
    fs::remove_file(source).expect("it goes");
}

/// 10,000 files, together 1 GiB, offered to a job.
pub(crate) fn checkout(settings: &Settings) {
    let source = settings.fresh("tree");
    fs::create_dir(&source).expect("a folder");
    let mut sizes = Noise::new(11);
    let count = settings.scaled(10_000);
    for n in 0..count {
        // From 4 to 206 KiB, 105 KiB on average.
        let size = 4096 + sizes.next() % (202 << 10);
        material::noise(&source.join(format!("{n}.tx")), n, size);
    }
    let files = files_of(&source);
    let at = settings.fresh("store");
    let store = open(&at);
    let (took, _) = time(|| store.ingest_many(&files, &mut |_, _| {}));
    let added = store.ingest_many(&files, &mut |_, _| {}).expect("they are known");
    let entries = files.iter().zip(added).map(|(file, added)| {
        let added = added.expect("a file is known");
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let path = TreePath::new(format!("textures/{name}")).expect("a path");
        (path, TreeEntry { blob: added.id, size: added.size, frames: None })
    });
    let tree = Tree::new(entries.collect()).expect("a tree");
    println!("checkout: {count} files, {:.0} MiB", tree.size() as f64 / MIB as f64);
    println!("  {:<34} {:8.3} s", "add", took.as_secs_f64());
    let mut copied = Vec::new();
    let mut out = [(Offered::ReadOnly, Vec::new()), (Offered::Linked, Vec::new())];
    let mut how = [How::Copied; 2];
    for _ in 0..settings.runs {
        let to = settings.fresh("copy");
        copied.push(time(|| copy(&source, &to)).0);
        // The copy goes before anything else is measured.
        let _ = settings.fresh("copy");
        for ((offered, times), how) in out.iter_mut().zip(&mut how) {
            let to = settings.fresh("job");
            let (took, done) = time(|| store.checkout_tree(&tree, &to, *offered, &mut |_, _| true));
            let done = done.expect("they are written");
            assert_eq!(done.reflinked + done.linked + done.copied, count);
            *how = match (done.reflinked * 2 > count, done.linked * 2 > count) {
                (true, _) => How::Reflinked,
                (_, true) => How::Linked,
                _ => How::Copied,
            };
            times.push(took);
        }
    }
    row("cp -r, sync", &mut copied, |_| String::new());
    for ((offered, mut times), how) in out.into_iter().zip(how) {
        let name = match offered {
            Offered::Linked => "to a job in bubblewrap",
            _ => "to any other job",
        };
        row(name, &mut times, |_| format!("mostly {how:?}"));
    }
    // What was not read or written for an hour, or since the store was opened, is read first.
    drop(store);
    let mut checked = Vec::new();
    for _ in 0..settings.runs {
        let store = open(&at);
        let to = settings.fresh("job");
        let (took, done) =
            time(|| store.checkout_tree(&tree, &to, Offered::Linked, &mut |_, _| true));
        done.expect("they are written");
        checked.push(took);
    }
    row("the same, all of it read first", &mut checked, |_| String::new());
}

/// One file of 16 GiB: how much memory taking it in needs.
pub(crate) fn huge(settings: &Settings) {
    let source = settings.dir.join("huge");
    material::noise(&source, 3, settings.scaled(16 << 30));
    let length = fs::metadata(&source).expect("a file").len();
    let before = peak_memory();
    println!("huge: one file of {:.1} GiB", length as f64 / (1 << 30) as f64);
    let at = settings.fresh("store");
    let store = open(&at);
    let mut times = vec![time(|| add(&store, std::slice::from_ref(&source))).0];
    row("add", &mut times, |s| format!("{:.0} MiB/s", length as f64 / MIB as f64 / s));
    println!("  at most {} MiB of memory, wanted under 200 ({before} MiB before)", peak_memory());
    drop(store);
    fs::remove_file(source).expect("it goes");
}
