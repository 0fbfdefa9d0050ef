//! Whether an attempt succeeded, and what it made.

use std::path::{Path, PathBuf};

use weft_protocol::content::TreePath;
use weft_protocol::hardware::{GIB, gib};
use weft_protocol::job::outcome::{FailureKind, OutputFile};
use weft_scene::engine::{Definition, ExitMeaning};
use weft_store::Store;

use super::process::Finished;
use super::{LiveLog, within};
use crate::guard::Exceeded;

/// The signal with which a run is ended that took too much.
const KILL: i32 = 9;
/// The most files that a run may leave where all of them count, and the most that their names may take in an
/// outcome, each with so many bytes beside: it has room for that much.
const MOST_FILES: usize = 1000;
const MOST_LETTERS: usize = 512 << 10;
const ENTRY: usize = 100;
/// The most of an engine's errors that are told in front of what happened.
const MOST_ERRORS: usize = 3;

/// Judges how an engine ended. That it says it succeeded is not enough: see [`present`].
pub(super) fn judge(
    definition: &Definition,
    finished: &Finished,
    log: &LiveLog,
) -> Result<(), (FailureKind, String)> {
    let with_log = |what: String| format!("{what}\n{}", log.tail()).trim_end().to_owned();
    let report = &finished.report;
    if let Some(error) = &report.start_error {
        let what = format!("the engine '{}' could not be started: {error}", definition.name);
        return Err((FailureKind::Start, what));
    }
    if let Some(exceeded) = &report.exceeded {
        let kind = match exceeded {
            Exceeded::Memory(..) => FailureKind::Memory,
            _ => FailureKind::Signal(KILL),
        };
        return Err((kind, with_log(excess(exceeded))));
    }
    if finished.timed_out {
        return Err((FailureKind::Timeout, with_log("it took longer than the job allows".into())));
    }
    if let Some(silent) = finished.silent {
        let what = format!("it printed nothing for {} s, and was taken for hung", silent.as_secs());
        return Err((FailureKind::Timeout, with_log(what)));
    }
    if let Some(fatal) = &finished.fatal {
        return Err((
            FailureKind::ExitCode(report.exit_code.unwrap_or(0)),
            with_log(fatal.clone()),
        ));
    }
    let code = report.exit_code.unwrap_or_else(|| 128 + report.signal.unwrap_or(0));
    match definition.exit_meaning(code) {
        ExitMeaning::Success => Ok(()),
        ExitMeaning::OutOfMemory => {
            Err((FailureKind::Memory, with_log("it ran out of memory, or was killed".into())))
        }
        _ => {
            let (kind, what) = match report.signal {
                Some(signal) => {
                    (FailureKind::Signal(signal), format!("it was ended by signal {signal}"))
                }
                None => (FailureKind::ExitCode(code), format!("it ended with exit code {code}")),
            };
            Err((kind, with_log(what)))
        }
    }
}

/// What happened to a frame that failed, with what the engine called an error in front: people look there first, and
/// the end of a log often tells only that something was wrong.
pub(super) fn told(
    (kind, what): (FailureKind, String),
    finished: &Finished,
) -> (FailureKind, String) {
    let engines_own = matches!(
        kind,
        FailureKind::ExitCode(_) | FailureKind::Signal(_) | FailureKind::MissingOutput
    );
    let errors = &finished.errors[..finished.errors.len().min(MOST_ERRORS)];
    if !engines_own || finished.fatal.is_some() || errors.is_empty() {
        return (kind, what);
    }
    (kind, format!("{}; {what}", errors.join("; ")))
}

/// What a run took too much of, in words.
fn excess(exceeded: &Exceeded) -> String {
    match exceeded {
        Exceeded::Memory(held, most) => format!(
            "it was ended because it ran out of memory: it held {}, and may hold {}",
            amount(*held),
            amount(*most)
        ),
        Exceeded::Space(held, most) => format!(
            "it was ended because it filled its work folder: it wrote {}, and may write {} (`work` under [disk] \
             in weft.toml)",
            amount(*held),
            amount(*most)
        ),
        Exceeded::Disk(left) => {
            format!("it was ended because it filled the disk: {} were left", amount(*left))
        }
        Exceeded::Depth => "it was ended because it made folders deeper than any path".to_owned(),
        Exceeded::Processes(count) => format!("it was ended because it had {count} processes"),
    }
}

/// Bytes for people.
fn amount(bytes: u64) -> String {
    match bytes {
        GIB.. => format!("{} GiB", gib(bytes)),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// All that a run left in its work folder, where everything counts. Links, pipes and the like are none of it.
/// Where the job has several frames, a file whose name doesn't tell that it is this one's comes to lie in a
/// folder that does: two frames' files of one name must not lie on top of each other.
pub(super) fn collect(
    work: &Path,
    frame: Option<i32>,
    log: &LiveLog,
) -> Result<Vec<PathBuf>, (FailureKind, String)> {
    let fail = |what: String| {
        let what = format!("{what}\n{}", log.tail()).trim_end().to_owned();
        Err((FailureKind::MissingOutput, what))
    };
    let mut files = match files_below(work, work, &|_| true) {
        Ok(files) => files,
        Err(what) => return fail(what),
    };
    if let Some(frame) = frame {
        for file in &mut files {
            if let Err(why) = put_by_frame(work, file, frame) {
                return fail(format!("{}: {why}", file.display()));
            }
        }
    }
    Ok(files)
}

/// The regular files below a folder of `work`'s that are `wanted`, in order; links, pipes and the like are none.
fn files_below(
    work: &Path,
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, String> {
    let (mut folders, mut files, mut letters) = (vec![folder.to_owned()], Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => return Err(format!("{}: {error}", folder.display())),
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && wanted(&path) {
                letters += path.as_os_str().len() - work.as_os_str().len() + ENTRY;
                files.push(path);
            }
            if files.len() + folders.len() > MOST_FILES || letters > MOST_LETTERS {
                return Err(format!("it left more than {MOST_FILES} files, or too long names"));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What a process leaves beside the files that its frames must leave: see [`Definition::beside`].
pub(super) struct Beside<'a> {
    work: &'a Path,
    folder: Option<PathBuf>,
    /// All frames that the process renders.
    rendered: &'a [i64],
}

impl<'a> Beside<'a> {
    pub(super) fn new(definition: &Definition, work: &'a Path, rendered: &'a [i64]) -> Self {
        let folder = definition.beside.as_ref().map(|folder| work.join(folder));
        Self { work, folder, rendered }
    }

    /// A frame's files with those that lie beside them.
    pub(super) fn added_to(
        &self,
        mut files: Vec<PathBuf>,
        frame: i32,
    ) -> Result<Vec<PathBuf>, (FailureKind, String)> {
        let Some(folder) = &self.folder else { return Ok(files) };
        // An engine may have put something else in its place.
        if !std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
            return Ok(files);
        }
        let own = |path: &Path| self.frame_of(path) == Some(i64::from(frame));
        let found = files_below(self.work, folder, &own);
        files.extend(found.map_err(|what| (FailureKind::MissingOutput, what))?);
        Ok(files)
    }

    /// The frame whose file it is: the only one, or the one whose number is the last in the name. A name's own digits
    /// may stand right before it, which is why a number of four digits is looked for at the end as well.
    fn frame_of(&self, file: &Path) -> Option<i64> {
        if let [frame] = self.rendered {
            return Some(*frame);
        }
        let name = file.file_stem()?.to_str()?;
        let end = name.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let start = end.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
        let digits = &end[start..];
        let whole = self.rendered.iter().find(|frame| digits.parse() == Ok(**frame));
        let ends = |frame: &&i64| digits.ends_with(&format!("{frame:04}"));
        whole.or_else(|| self.rendered.iter().find(ends)).copied()
    }
}

/// Moves a file into its frame's folder, unless its name says whose it is.
fn put_by_frame(work: &Path, file: &mut PathBuf, frame: i32) -> std::io::Result<()> {
    let inside = file.strip_prefix(work).map_err(std::io::Error::other)?;
    if names_frame(&inside.to_string_lossy(), frame) {
        return Ok(());
    }
    let sign = if frame < 0 { "-" } else { "" };
    let place = work.join(format!("{sign}{:04}", frame.unsigned_abs())).join(inside);
    let mut folder = work.to_owned();
    for part in place.strip_prefix(work).unwrap_or(inside).parent().into_iter().flatten() {
        folder.push(part);
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            // What an engine put in the way must not lead elsewhere.
            _ if !std::fs::symlink_metadata(&folder)?.is_dir() => {
                return Err(std::io::Error::other("something else lies where its folder goes"));
            }
            _ => {}
        }
    }
    if std::fs::symlink_metadata(&place).is_ok() {
        return Err(std::io::Error::other("another file of this name lies in the frame's folder"));
    }
    std::fs::rename(&*file, &place)?;
    *file = place;
    Ok(())
}

/// Whether a path holds a frame's number, alone between other letters and however padded.
fn names_frame(path: &str, frame: i32) -> bool {
    let number = frame.unsigned_abs().to_string();
    let mut runs = path.split(|letter: char| !letter.is_ascii_digit());
    runs.any(|digits| {
        !digits.is_empty() && {
            let digits = digits.trim_start_matches('0');
            digits == number || (digits.is_empty() && frame == 0)
        }
    })
}

/// Whether the files that should have been made are there, and not empty.
pub(super) fn present(
    work: &Path,
    expected: &[PathBuf],
    log: &LiveLog,
) -> Result<Vec<PathBuf>, (FailureKind, String)> {
    for file in expected {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let readable = within::open(work, file).and_then(|file| file.metadata());
        let what = match readable {
            Ok(metadata) if metadata.len() > 0 => continue,
            Ok(_) => {
                format!("it claimed success, but the file {name} that it should have made is empty")
            }
            Err(_) => match std::fs::symlink_metadata(file) {
                Ok(_) => format!(
                    "it claimed success, but the file {name} that it should have made is a link, or no file"
                ),
                Err(_) => format!(
                    "it claimed success, but the file {name} that it should have made is not there"
                ),
            },
        };
        let what = format!("{what}\n{}", log.tail()).trim_end().to_owned();
        return Err((FailureKind::MissingOutput, what));
    }
    Ok(expected.to_vec())
}

/// Takes the files of an attempt into the store, durably. They are pinned with its log.
pub(super) fn take_in(
    store: &Store,
    work: &Path,
    files: &[PathBuf],
) -> Result<Vec<OutputFile>, String> {
    let mut taken = Vec::with_capacity(files.len());
    for file in files {
        let relative = file.strip_prefix(work).map_err(|error| error.to_string())?;
        let text = relative.to_string_lossy().replace('\\', "/");
        let path = TreePath::new(text.clone()).map_err(|error| format!("{text}: {error}"))?;
        let mut opened = within::open(work, file).map_err(|error| format!("{text}: {error}"))?;
        let added = store.ingest_reader(&mut opened).map_err(|error| error.to_string())?;
        taken.push(OutputFile {
            path,
            blob: added.id,
            size: added.size,
            md5: added.md5,
            xxh64: added.xxh64,
        });
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(files: &[&str]) -> (tempfile::TempDir, PathBuf, LiveLog) {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        for file in files {
            let file = work.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let log = LiveLog::new(folder.path().join("log"));
        (folder, work, log)
    }

    fn names(work: &Path, files: &[PathBuf]) -> Vec<String> {
        let name = |file: &PathBuf| file.strip_prefix(work).unwrap().display().to_string();
        let mut names: Vec<String> = files.iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_does_not_tell_its_frame_lies_in_the_frames_folder() {
        let (_folder, work, log) = work(&["out.txt", "a/out.txt", "shot_0007.png", "v007/x"]);
        assert_eq!(collect(&work, None, &log).unwrap().len(), 4);
        let files = collect(&work, Some(7), &log).unwrap();
        assert_eq!(
            names(&work, &files),
            ["0007/a/out.txt", "0007/out.txt", "shot_0007.png", "v007/x"]
        );
        assert!(files.iter().all(|file| file.is_file()));
    }

    #[test]
    fn what_lies_beside_is_its_frames() {
        let made = [
            "passes/a/Depth0001.exr",
            "passes/Depth0002_L.exr",
            "passes/pass20001.png",
            "passes/0012.png",
        ];
        let (_folder, work, _) = work(&[&made[..], &["x_0001.png"]].concat());
        let engine = weft_scene::engine::parse(
            "[engine.x]\nexecutables = [\"x\"]\nargs = []\nbeside = \"passes\"\n",
            "test",
        );
        let engine = &engine.unwrap()["x"];
        let of = |rendered: &[i64], frame| {
            let files = Beside::new(engine, &work, rendered).added_to(Vec::new(), frame).unwrap();
            names(&work, &files)
        };
        assert_eq!(of(&[1, 2, 12], 1), ["passes/a/Depth0001.exr", "passes/pass20001.png"]);
        assert_eq!(of(&[1, 2, 12], 2), ["passes/Depth0002_L.exr"]);
        assert_eq!(of(&[1, 2, 12], 12), ["passes/0012.png"]);
        // Of a process with one frame all is that frame's.
        assert_eq!(of(&[7], 7).len(), 4);
    }

    #[test]
    fn numbers_are_read_whole() {
        for (path, frame, holds) in [
            ("a_0007.png", 7, true),
            ("a_17.png", 7, false),
            ("a_70", 7, false),
            ("0000", 0, true),
            ("a", 0, false),
            ("a.-0005.exr", -5, true),
        ] {
            assert_eq!(names_frame(path, frame), holds, "{path} {frame}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_traps_are_no_results() {
        use std::os::unix::fs::symlink;

        let (folder, work, log) = work(&["out.txt"]);
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "x").unwrap();
        symlink(outside.join("secret"), work.join("secret")).unwrap();
        symlink(&outside, work.join("folder")).unwrap();
        assert_eq!(names(&work, &collect(&work, None, &log).unwrap()), ["out.txt"]);
        // A link where the frame's folder goes leads nothing out.
        symlink(&outside, work.join("0007")).unwrap();
        assert!(collect(&work, Some(7), &log).is_err());
        assert!(!outside.join("out.txt").exists());
        // Nor does one stand in for a file that must be there.
        let wanted = [work.join("secret")];
        let (kind, why) = present(&work, &wanted, &log).unwrap_err();
        assert_eq!(kind, FailureKind::MissingOutput);
        assert!(why.contains("secret") && why.contains("a link"), "{why}");
    }

    #[test]
    fn there_are_not_more_files_than_an_outcome_can_name() {
        let many: Vec<String> = (0..=MOST_FILES).map(|number| format!("f{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (_folder, work, log) = work(&many);
        let (_, why) = collect(&work, None, &log).unwrap_err();
        assert!(why.contains("more than 1000 files"), "{why}");
    }
}
