//! Scenes read by Maya itself, through its own Python, where Maya is installed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use weft_scene::analysis::{AnalyseError, Analysis};
use weft_scene::engine::Executable;
use weft_scene::{PathMap, maya, plain_file};

use crate::engines::candidates;

/// How long Maya may take: it needs a minute to start, and large scenes take minutes to open.
const LIMIT: Duration = Duration::from_secs(300);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 256 << 20;
/// How much of what it printed is shown where it fails, in bytes.
const SHOWN: u64 = 2048;

/// Where Maya's Python usually is, besides `MAYA_LOCATION` and `PATH`. The newest Maya is taken.
const PLACES: [&str; 3] = [
    "/usr/autodesk/maya*/bin/mayapy",
    "/Applications/Autodesk/maya*/Maya.app/Contents/bin/mayapy",
    r"C:\Program Files\Autodesk\Maya*\bin\mayapy.exe",
];

/// Maya's Python on this machine.
fn find() -> Option<PathBuf> {
    let name = if cfg!(windows) { "mayapy.exe" } else { "mayapy" };
    let told =
        std::env::var_os("MAYA_LOCATION").map(|maya| Path::new(&maya).join("bin").join(name));
    let usual = PLACES.iter().map(|place| Executable::Path((*place).to_owned()));
    let known = std::iter::once(Executable::Name("mayapy".to_owned())).chain(usual);
    told.filter(|file| file.is_file()).or_else(|| {
        // Nothing among them is weft itself.
        known.flat_map(|entry| candidates(&entry, Path::new(""))).next()
    })
}

/// Whether Maya's Python is on this machine.
#[must_use]
pub fn is_here() -> bool {
    find().is_some()
}

/// What Maya tells of a scene, on a machine on which drives and shares of others are where `paths` says. Blocking, for
/// minutes at times.
///
/// # Errors
/// `Unsupported` where Maya isn't found, can't open the scene, or takes longer than 300 s.
pub fn analyse(
    scene: &Path,
    project: Option<&Path>,
    paths: PathMap,
) -> Result<Analysis, AnalyseError> {
    // A mistake in the path needs no Maya to be seen.
    plain_file::open(scene).map_err(|error| AnalyseError::io(scene, error))?;
    let Some(mayapy) = find() else {
        return Err(AnalyseError::Unsupported(
            "a Maya binary scene (.mb), and with --deep any of Maya's, is read by Maya's own mayapy, which was \
             not found here (in MAYA_LOCATION, in PATH, and where Maya is usually installed): go on where \
             Maya is, or save the scene as Maya ASCII (.ma) and give that file"
                .to_owned(),
        ));
    };
    ask(&mayapy, scene, project, paths, LIMIT)
}

fn ask(
    mayapy: &Path,
    scene: &Path,
    project: Option<&Path>,
    paths: PathMap,
    limit: Duration,
) -> Result<Analysis, AnalyseError> {
    let failed = |what: String| AnalyseError::Unsupported(format!("{}: {what}", mayapy.display()));
    let io = |error: std::io::Error| failed(error.to_string());
    let folder = tempfile::Builder::new().prefix("weft-maya-").tempdir().map_err(io)?;
    let (script, answer) = (folder.path().join("deep.py"), folder.path().join("answer.json"));
    std::fs::write(&script, maya::SCRIPT).map_err(io)?;
    let mut printed = tempfile::tempfile_in(folder.path()).map_err(io)?;
    let scene = std::path::absolute(scene).map_err(io)?;
    let mut command = Command::new(mayapy);
    command.arg(&script).arg(&scene).arg(&answer).current_dir(folder.path()).stdin(Stdio::null());
    command.stdout(printed.try_clone().map_err(io)?).stderr(printed.try_clone().map_err(io)?);
    // A user's own start-up scripts have no part in this.
    command.env("MAYA_SKIP_USERSETUP_PY", "1").env("MAYA_DISABLE_CIP", "1");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child =
        command.spawn().map_err(|error| failed(format!("it can't be started: {error}")))?;
    let status = match wait(&mut child, limit) {
        Ok(Some(status)) => status,
        other => {
            end(&mut child);
            other.map_err(io)?;
            return Err(failed(format!(
                "it did not answer within {} s, and was ended",
                limit.as_secs()
            )));
        }
    };
    let mut bytes = Vec::new();
    let read =
        File::open(&answer).and_then(|file| file.take(MAX_ANSWER + 1).read_to_end(&mut bytes));
    if read.is_err() {
        let said = last_of(&mut printed);
        return Err(failed(format!("it ended without an answer ({status}), and said: {said}")));
    }
    if bytes.len() as u64 > MAX_ANSWER {
        return Err(AnalyseError::TooLarge("Maya's answer".to_owned()));
    }
    maya::read_answer(&scene, project, paths, &bytes)
}

/// Waits for a process to end; `None` if it hasn't by then.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let begun = Instant::now();
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || begun.elapsed() >= limit {
            return Ok(ended);
        }
        std::thread::sleep(LOOK);
    }
}

/// Ends a process, and on Unix what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// The end of what a program printed.
fn last_of(printed: &mut File) -> String {
    let length = printed.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    let read = printed
        .seek(SeekFrom::Start(length.saturating_sub(SHOWN)))
        .and_then(|_| printed.take(SHOWN).read_to_end(&mut bytes));
    match read {
        Ok(count) if count > 0 => String::from_utf8_lossy(&bytes).trim().to_owned(),
        _ => "nothing".to_owned(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Maya as far as the script asks it: no test of Maya, but of everything on the way there and back.
    const STAND_IN: &str = r#"
import sys, types
def module(name, **members):
    made = types.ModuleType(name); made.__dict__.update(members); sys.modules[name] = made; return made
PLUGS = {"defaultRenderGlobals.currentRenderer": "arnold", "defaultRenderGlobals.imageFormat": 51,
    "defaultRenderGlobals.imfPluginKey": "exr", "defaultRenderGlobals.startFrame": 1.0,
    "defaultRenderGlobals.endFrame": 3.0, "defaultRenderGlobals.byFrameStep": 1.0,
    "defaultRenderGlobals.animation": True, "defaultResolution.width": 64, "defaultResolution.height": 36,
    "wood.fileTextureName": u"tex/w\u00f6od.png", "wood.useFrameExtension": False, "cam.renderable": True}
class Cmds(types.ModuleType):
    def file(self, *scene, **kw):
        if kw.get("open") and "bad" in scene[0]: raise RuntimeError("Unrecognized file")
        assert not kw.get("open") or kw["executeScriptNodes"] is False
        return ""
    def about(self, version): return "2024"
    def currentUnit(self, **kw): return "film"
    def currentTime(self, **kw): return 1.0
    def ls(self, type=None):
        return {None: ["wood", "cam"], "renderLayer": ["defaultRenderLayer"], "reference": ["sharedReferenceNode"]}[type]
    def nodeType(self, name): return {"wood": "file", "cam": "camera"}[name]
    def attributeInfo(self, all, type):
        return {"file": ["fileTextureName", "useFrameExtension"], "camera": ["renderable"]}[type]
    def attributeQuery(self, name, type, usedAsFilename): return name == "fileTextureName"
    def listRelatives(self, name, parent): return ["camGroup"]
    def camera(self, name, **kw): return False
    def referenceQuery(self, node, **kw): raise RuntimeError("no file")
    def getAttr(self, plug):
        if plug not in PLUGS: raise ValueError(plug)
        return PLUGS[plug]
cmds = Cmds("maya.cmds")
module("maya", cmds=cmds, standalone=module("maya.standalone", initialize=lambda name: None))
sys.modules["maya.cmds"] = cmds
sys.argv = sys.argv[1:]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"#;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let (written, path) = (folder.join("written"), folder.join("mayapy"));
        std::fs::write(&written, text).unwrap();
        // Copied by another process: what this one has written a program that another test starts just then may hold
        // open for a moment, and it can't be run meanwhile.
        assert!(Command::new("cp").arg(&written).arg(&path).status().unwrap().success());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_script_answers_and_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        if Command::new("python3").arg("--version").output().is_err() {
            println!("skipped: there is no python3 to stand in for Maya's");
            return;
        }
        let stand_in = folder.path().join("stand_in.py");
        std::fs::write(&stand_in, STAND_IN).unwrap();
        let mayapy = script(
            folder.path(),
            &format!("#!/bin/sh\nexec python3 {} \"$@\"\n", stand_in.display()),
        );
        let (scene, bad) = (folder.path().join("shot.mb"), folder.path().join("bad.mb"));
        let analysis = ask(&mayapy, &scene, None, PathMap::default(), LIMIT).unwrap();
        assert_eq!(analysis.scene_info.renderer, "arnold");
        assert_eq!(analysis.scene_info.own_frames(), Some((1, 3, 1)));
        assert_eq!(analysis.scene_info.render_cameras, ["cam"]);
        assert_eq!(analysis.missing[0].path, "tex/wöod.png");
        let error = ask(&mayapy, &bad, None, PathMap::default(), LIMIT).unwrap_err().to_string();
        assert!(error.contains("Unrecognized file"), "{error}");
    }

    #[test]
    fn silence_and_crashes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.mb");
        let mayapy = script(folder.path(), "#!/bin/sh\necho 'Fatal Error: no licence'\nexit 3\n");
        let error = ask(&mayapy, &scene, None, PathMap::default(), LIMIT).unwrap_err().to_string();
        assert!(error.contains("no licence") && error.contains('3'), "{error}");
        let begun = Instant::now();
        let mayapy = script(folder.path(), "#!/bin/sh\nsleep 600 &\nwait\n");
        let error = ask(&mayapy, &scene, None, PathMap::default(), Duration::from_millis(200))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did not answer"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert!(analyse(&folder.path().join("none.mb"), None, PathMap::default()).is_err());
    }
}
