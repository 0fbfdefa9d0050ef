//! Which files a scene needs, and under which paths they travel.
//!
//! All files keep their places relative to each other: the tree's root is the lowest folder that
//! holds them all (or the project's). Paths that a `.blend` spells absolutely are rewritten into
//! relative ones in the copy that travels, since Blender resolves libraries before any script runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use weft_protocol::content::TreePath;
use weft_protocol::job::task::FrameRun;
use weft_scene::analysis::{AnalyseError, Analysis, join_frames};
use weft_scene::{blender, demo, maya};

use super::invalid;
use crate::error::ApiError;

/// How many files `--assets` folders may hold in all.
const MAX_FILES: usize = 200_000;

/// One file that travels.
#[derive(Clone, Debug)]
pub(super) struct GatheredFile {
    /// Where it is.
    pub(super) source: PathBuf,
    /// Its path in the tree.
    pub(super) path: TreePath,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whether it is the scene itself.
    pub(super) is_scene: bool,
    /// The frames that read it; none where every frame may.
    pub(super) frames: Option<Vec<FrameRun>>,
    /// Other bytes that travel in its place: a `.blend` with paths rewritten.
    pub(super) rewritten: Option<Vec<u8>>,
}

/// All files that travel.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    pub(super) files: Vec<GatheredFile>,
    /// The scene's path in the tree.
    pub(super) scene: TreePath,
    pub(super) warnings: Vec<String>,
}

/// Reads a scene by its ending; none for kinds that weft does not read.
#[must_use]
pub fn analyse(
    scene: &Path,
    scene_name: Option<&str>,
    project: Option<&Path>,
) -> Option<Result<Analysis, AnalyseError>> {
    let extension = scene.extension()?.to_string_lossy().to_lowercase();
    match extension.as_str() {
        "blend" => Some(blender::analyse_scene(scene, scene_name)),
        "ma" | "mb" => Some(maya::analyse_in(scene, project)),
        "weft" => Some(demo::analyse(scene)),
        _ => None,
    }
}

pub(super) fn gather(
    scene: &Path,
    analysis: Option<&Analysis>,
    assets: &[PathBuf],
    project: Option<&Path>,
) -> Result<Gathered, ApiError> {
    let scene = canonical(scene)?;
    let mut sources = BTreeSet::new();
    let mut by_frame: BTreeMap<PathBuf, Option<Vec<FrameRun>>> = BTreeMap::new();
    for (file, frames) in analysis.iter().flat_map(|analysis| analysis.files_by_frame()) {
        // Two ways to spell a path may lead to one file.
        let known = by_frame.entry(canonical(file)?).or_insert_with(|| Some(Vec::new()));
        *known = join_frames(known.take(), frames);
    }
    sources.insert(scene.clone());
    for asset in assets {
        add_all(&canonical(asset)?, &mut sources)?;
    }
    // The scene itself and what the user names are for every frame.
    by_frame.retain(|file, _| !sources.contains(file));
    sources.extend(by_frame.keys().cloned());
    let root = match project {
        Some(project) => canonical(project)?,
        None => common_folder(&sources).unwrap_or_default(),
    };
    let mut places: BTreeMap<PathBuf, TreePath> = BTreeMap::new();
    for source in &sources {
        let relative = source.strip_prefix(&root).map_err(|_| {
            invalid(format!(
                "{} lies outside the project folder {}; nothing was submitted",
                source.display(),
                root.display()
            ))
            .hint("Name a project folder that holds all files, or none.")
        })?;
        let text: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
        let whole = text.len() == relative.iter().count();
        let path = TreePath::new(text.join("/")).ok().filter(|_| whole).ok_or_else(|| {
            invalid(format!(
                "{} has a name that can't exist on every platform; nothing was submitted",
                source.display()
            ))
        })?;
        places.insert(source.clone(), path);
    }
    let mut files = Vec::new();
    let mut warnings = Vec::new();
    let absolute = analysis.is_some_and(|a| a.assets.iter().any(|asset| is_absolute(&asset.path)));
    for (source, path) in &places {
        let size = std::fs::metadata(source).map(|metadata| metadata.len()).unwrap_or(0);
        let rewritten = match absolute && is_blend(source) {
            true => rewrite(source, &places)?,
            false => None,
        };
        let is_scene = *source == scene;
        files.push(GatheredFile {
            source: source.clone(),
            path: path.clone(),
            size,
            is_scene,
            frames: by_frame.remove(source).flatten().filter(|runs| !runs.is_empty()),
            rewritten,
        });
    }
    let rewrites = files.iter().filter(|file| file.rewritten.is_some()).count();
    if rewrites > 0 {
        warnings.push(format!(
            "absolute paths were made relative in the copies of {rewrites} .blend file(s) that travel; the files here are unchanged"
        ));
    }
    let scene = places.remove(&scene).ok_or_else(|| invalid("the scene has no place"))?;
    Ok(Gathered { files, scene, warnings })
}

fn canonical(path: &Path) -> Result<PathBuf, ApiError> {
    // Links are followed for folders, so that one file has one place; names stay as spelled.
    let say = |error: std::io::Error| {
        invalid(format!("{} can't be read: {error}; nothing was submitted", path.display()))
    };
    let absolute = std::path::absolute(path).map_err(say)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => {
            let place = folder.canonicalize().map_err(say)?.join(name);
            std::fs::metadata(&place).map_err(say)?;
            Ok(place)
        }
        _ => absolute.canonicalize().map_err(say),
    }
}

/// Adds a file, or all files of a folder.
fn add_all(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), ApiError> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    let say = |error: std::io::Error| {
        invalid(format!("{} can't be read: {error}; nothing was submitted", path.display()))
    };
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(say)? {
            let entry = entry.map_err(say)?;
            // Links to folders could lead anywhere, in circles too.
            if entry.file_type().map_err(say)?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().is_file() {
                files.insert(entry.path());
            }
            if files.len() > MAX_FILES {
                return Err(invalid(format!(
                    "{} holds more than {MAX_FILES} files; nothing was submitted",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

/// The lowest folder that holds all files.
fn common_folder(files: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let mut folders = files.iter().filter_map(|file| file.parent());
    let mut common = folders.next()?.to_owned();
    for folder in folders {
        while !folder.starts_with(&common) {
            common = common.parent()?.to_owned();
        }
    }
    Some(common)
}

fn is_blend(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("blend"))
}

fn is_absolute(spelled: &str) -> bool {
    !spelled.starts_with("//") && Path::new(spelled).is_absolute()
}

/// A `.blend` whose absolute paths to files that travel are relative; none where it has no such.
fn rewrite(
    blend: &Path,
    places: &BTreeMap<PathBuf, TreePath>,
) -> Result<Option<Vec<u8>>, ApiError> {
    let folder = blend.parent().unwrap_or(Path::new("/"));
    let folders: BTreeSet<PathBuf> =
        places.keys().filter_map(|file| file.parent().map(Path::to_owned)).collect();
    let map = |spelled: &str| -> Option<String> {
        if !is_absolute(spelled) {
            return None;
        }
        // The name may carry a token for tiles or frames: only its folder need exist.
        let target = Path::new(spelled);
        let (to, name) = (target.parent()?.canonicalize().ok()?, target.file_name()?.to_str()?);
        folders.contains(&to).then(|| format!("//{}{name}", relative(folder, &to)))
    };
    let mut bytes = Vec::new();
    let count = blender::rewrite_paths(blend, &mut bytes, &map).map_err(|error| {
        invalid(format!("{} can't be copied: {error}; nothing was submitted", blend.display()))
    })?;
    Ok((count > 0).then_some(bytes))
}

/// The way from one folder to another, with a slash at its end where it is not empty.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to[shared..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).map(|part| part + "/").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_folders() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b", "/a/b"), "");
        assert_eq!(way("/a/b", "/a/c/d"), "../c/d/");
        assert_eq!(way("/a", "/a/c"), "c/");
    }

    #[test]
    fn files_keep_their_places_relative_to_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for file in ["shots/a/scene.pov", "lib/tex/wood.png", "lib/tex/deep/x.png"] {
            let file = base.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let scene = base.join("shots/a/scene.pov");
        let gathered = gather(&scene, None, &[base.join("lib/tex")], None).unwrap();
        let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["lib/tex/deep/x.png", "lib/tex/wood.png", "shots/a/scene.pov"]);
        assert_eq!(gathered.scene.as_str(), "shots/a/scene.pov");
        let outside = gather(&scene, None, &[base.join("lib")], Some(&base.join("shots")));
        assert!(outside.unwrap_err().message.contains("outside the project"));
        assert!(gather(&scene, None, &[base.join("nowhere")], None).is_err());
    }

    #[test]
    fn files_of_a_maya_sequence_carry_their_frames() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let scene = base.join("scenes/shot.ma");
        std::fs::create_dir_all(base.join("sourceimages")).unwrap();
        std::fs::create_dir_all(base.join("scenes")).unwrap();
        let text = "//Maya ASCII 2024 scene\n\
            createNode file -n \"run\"; setAttr \".ufe\" yes;\n\
            setAttr \".ftn\" -type \"string\" \"sourceimages/f.0001.png\";\n\
            createNode expression -n \"e\"; setAttr \".ixp\" -type \"string\" \".O[0]=frame\";\n\
            select -ne :defaultRenderGlobals; setAttr \".an\" yes; setAttr \".fs\" 1; setAttr \".ef\" 3;\n\
            connectAttr \"e.out[0]\" \"run.fe\";\n// End of shot.ma\n";
        std::fs::write(&scene, text).unwrap();
        for number in [1, 3] {
            std::fs::write(base.join(format!("sourceimages/f.000{number}.png")), "x").unwrap();
        }
        let analysis = analyse(&scene, None, None).unwrap().unwrap();
        let missing = |frame: i32| -> Vec<String> {
            analysis.missing_for(&[frame]).map(|one| one.path.clone()).collect()
        };
        assert_eq!(missing(1), Vec::<String>::new());
        assert_eq!(missing(2), ["sourceimages/f.0002.png"]);
        let gathered = gather(&scene, Some(&analysis), &[], None).unwrap();
        let files: Vec<_> = gathered
            .files
            .iter()
            .map(|file| {
                (file.path.as_str(), file.frames.as_ref().map(|runs| (runs[0].start, runs[0].end)))
            })
            .collect();
        assert_eq!(
            files,
            [
                ("scenes/shot.ma", None),
                ("sourceimages/f.0001.png", Some((0, 2))),
                ("sourceimages/f.0003.png", Some((2, 4))),
            ]
        );
    }
}
