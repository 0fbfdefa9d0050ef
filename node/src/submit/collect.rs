//! Which files a scene needs, and under which paths they travel.
//!
//! All files keep their places relative to each other: the tree's root is the lowest folder that
//! holds them all (or the project's). Paths that would lead elsewhere there are rewritten in the copy
//! that travels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use weft_protocol::content::TreePath;
use weft_protocol::job::task::FrameRun;
use weft_scene::analysis::{AnalyseError, Analysis, join_frames};
use weft_scene::engine::Definition;
use weft_scene::{Mapped, blender, demo, maya, text_scene};

use super::invalid;
use super::rewrite::{Rewriter, Ways};
use crate::error::ApiError;
use crate::mayapy;
use crate::shared_roots::SharedRoots;

/// What stands for the scene in the spec of a job that has none.
const NO_SCENE: &str = "none";
/// How many files `--assets` folders may hold in all.
const MAX_FILES: usize = 200_000;

/// What is known of a submission's files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) scene: Option<&'a Path>,
    pub(super) analysis: Option<&'a Analysis>,
    pub(super) engine: Option<&'a Definition>,
    /// Further files and folders.
    pub(super) assets: &'a [PathBuf],
    /// The folder from which paths count; the lowest that holds all files where none is given.
    pub(super) project: Option<&'a Path>,
    /// What lies below these is referred to.
    pub(super) shared: &'a SharedRoots,
    /// Where copies of scenes are written.
    pub(super) scratch: &'a Path,
}

/// One file that travels.
#[derive(Debug)]
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
    /// What travels in its place: a copy of a scene with paths rewritten.
    pub(super) rewritten: Option<TempPath>,
}

/// All files that travel.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) files: Vec<GatheredFile>,
    /// The scene's path in the tree.
    pub(super) scene: TreePath,
    /// The shared roots in which files lie that don't travel.
    pub(super) shared: BTreeSet<String>,
    pub(super) warnings: Vec<String>,
}

/// Reads a scene by its ending, or by the patterns of its engine; none for kinds that weft does not read.
/// Maya itself is asked for what only it can read, and for its other scenes if that is wanted (`deep`).
#[must_use]
pub fn analyse(
    scene: &Path,
    scene_name: Option<&str>,
    project: Option<&Path>,
    engine: Option<&Definition>,
    deep: bool,
) -> Option<Result<Analysis, AnalyseError>> {
    let extension = scene.extension()?.to_string_lossy().to_lowercase();
    let paths = engine.map(|engine| engine.paths.clone()).unwrap_or_default();
    let mut analysed = match extension.as_str() {
        "blend" => blender::analyse_mapped(scene, scene_name, paths.clone()),
        "ma" if !deep => maya::analyse_mapped(scene, project, paths.clone()),
        "ma" | "mb" => mayapy::analyse(scene, project),
        "weft" => demo::analyse(scene),
        _ => text_scene::analyse(scene, engine?)?,
    };
    if let Ok(analysis) = &mut analysed {
        // In a .blend file two slashes begin what counts from it, and no share.
        let own = |path: &str| extension == "blend" && path.starts_with("//");
        let assets = analysis.assets.iter().filter(|asset| !own(&asset.path));
        analysis.mapped = paths.used(assets);
        let gone = analysis.mapped.iter().filter(|mapped| !mapped.exists);
        analysis.warnings.extend(gone.map(|Mapped { from, to, .. }| {
            format!(
                "paths that begin with {from} are looked for in {}, which isn't there",
                to.display()
            )
        }));
    }
    Some(analysed)
}

/// The engine by whose definition a scene of this name is read: one that says how its scenes name files, or else any
/// that takes it.
#[must_use]
pub fn reader<'a>(engines: &'a BTreeMap<String, Definition>, name: &str) -> Option<&'a Definition> {
    let takes = |engine: &&Definition| !engine.extensions.is_empty() && engine.takes(name);
    let by_patterns = engines.values().find(|engine| engine.names_files() && takes(engine));
    by_patterns.or_else(|| engines.values().find(takes))
}

/// Without a scene what is named keeps its names, and the tree's root is the folder that holds it all.
pub(super) fn gather(inputs: &Inputs<'_>) -> Result<Gathered, ApiError> {
    let Inputs { scene, analysis, engine, assets, project, shared, scratch } = *inputs;
    let scene = scene.map(canonical).transpose()?;
    let mut sources = BTreeSet::new();
    let mut named = BTreeSet::new();
    let mut by_frame: BTreeMap<PathBuf, Option<Vec<FrameRun>>> = BTreeMap::new();
    for (file, frames) in analysis.iter().flat_map(|analysis| analysis.files_by_frame()) {
        // Two ways to spell a path may lead to one file.
        let known = by_frame.entry(canonical(file)?).or_insert_with(|| Some(Vec::new()));
        *known = join_frames(known.take(), frames);
    }
    sources.extend(scene.clone());
    for asset in assets {
        let asset = canonical(asset)?;
        add_all(&asset, &mut sources)?;
        named.insert(asset);
    }
    let roots = shared.resolved();
    let mut referred: BTreeMap<String, usize> = BTreeMap::new();
    by_frame.retain(|file, _| {
        // The scene itself and what the user names travel in any case, and are for every frame.
        let named = sources.contains(file);
        let shared = roots.way(file).filter(|_| !named);
        if let Some((name, _)) = &shared {
            *referred.entry((*name).to_owned()).or_default() += 1;
        }
        !named && shared.is_none()
    });
    sources.extend(by_frame.keys().cloned());
    let root = match project {
        Some(project) => canonical(project)?,
        None => common_folder(if scene.is_some() { &sources } else { &named }).unwrap_or_default(),
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
    let mut warnings: Vec<String> = referred
        .iter()
        .map(|(name, count)| {
            format!(
                "{count} file(s) in the shared root '{name}' are not sent: nodes read them there"
            )
        })
        .collect();
    let ways = Ways { files: &places, shared: &roots };
    let rewriter =
        scene.as_ref().map(|scene| Rewriter::new(scene, engine, analysis, ways, scratch));
    for (source, path) in &places {
        let size = std::fs::metadata(source).map(|metadata| metadata.len()).unwrap_or(0);
        let rewritten = match &rewriter {
            Some(rewriter) => rewriter.rewrite(source)?,
            None => None,
        };
        let is_scene = scene.as_ref() == Some(source);
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
            "paths were made to lead to the files that travel in the copies of {rewrites} scene file(s); the files here are unchanged"
        ));
    }
    drop(rewriter);
    let scene = match scene {
        Some(scene) => places.remove(&scene).ok_or_else(|| invalid("the scene has no place"))?,
        None => TreePath::new(NO_SCENE).map_err(|error| invalid(error.to_string()))?,
    };
    Ok(Gathered { files, scene, shared: referred.into_keys().collect(), warnings })
}

pub(super) fn canonical(path: &Path) -> Result<PathBuf, ApiError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gather_all(
        scene: Option<&Path>,
        analysis: Option<&Analysis>,
        engine: Option<&Definition>,
        assets: &[PathBuf],
        project: Option<&Path>,
    ) -> Result<Gathered, ApiError> {
        gather_beside(&SharedRoots::default(), scene, analysis, engine, assets, project)
    }

    fn gather_beside(
        shared: &SharedRoots,
        scene: Option<&Path>,
        analysis: Option<&Analysis>,
        engine: Option<&Definition>,
        assets: &[PathBuf],
        project: Option<&Path>,
    ) -> Result<Gathered, ApiError> {
        let scratch = &std::env::temp_dir();
        gather(&Inputs { scene, analysis, engine, assets, project, shared, scratch })
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
        let gathered = gather_all(Some(&scene), None, None, &[base.join("lib/tex")], None).unwrap();
        let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["lib/tex/deep/x.png", "lib/tex/wood.png", "shots/a/scene.pov"]);
        assert_eq!(gathered.scene.as_str(), "shots/a/scene.pov");
        let outside =
            gather_all(Some(&scene), None, None, &[base.join("lib")], Some(&base.join("shots")));
        assert!(outside.unwrap_err().message.contains("outside the project"));
        assert!(gather_all(Some(&scene), None, None, &[base.join("nowhere")], None).is_err());
        // Without a scene what is named is found under its name.
        let gathered = gather_all(None, None, None, &[base.join("lib/tex")], None).unwrap();
        let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["tex/deep/x.png", "tex/wood.png"]);
        assert!(gather_all(None, None, None, &[], None).unwrap().files.is_empty());
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
        let analysis = analyse(&scene, None, None, None, false).unwrap().unwrap();
        let missing = |frame: i32| -> Vec<String> {
            analysis.missing_for(&[frame]).map(|one| one.path.clone()).collect()
        };
        assert_eq!(missing(1), Vec::<String>::new());
        assert_eq!(missing(2), ["sourceimages/f.0002.png"]);
        let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
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

    /// Whatever way a text scene spells its files, its copy leads to them.
    #[test]
    fn paths_in_text_scenes_lead_to_what_travels() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for file in ["lib/Wood.PNG", "lib/a.png", "shots/near.png"] {
            let file = base.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let scene = base.join("shots/a.pov");
        let text = format!(
            "image_map {{ png \"../LIB/wood.png\" }}\nimage_map {{ png \"{}/lib/a.png\" }}\n\
             image_map {{ png \"..\\lib\\a.png\" }}\nimage_map {{ png \"near.png\" }}\n",
            base.display()
        );
        std::fs::write(&scene, text).unwrap();
        let engine = weft_scene::engine::shipped().remove("povray").unwrap();
        let analysis = analyse(&scene, None, None, Some(&engine), false).unwrap().unwrap();
        assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
        let gathered = gather_all(Some(&scene), Some(&analysis), Some(&engine), &[], None).unwrap();
        let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["lib/Wood.PNG", "lib/a.png", "shots/a.pov", "shots/near.png"]);
        let copy = gathered.files[2].rewritten.as_ref().unwrap();
        assert_eq!(
            std::fs::read_to_string(copy).unwrap(),
            "image_map { png \"../lib/Wood.PNG\" }\nimage_map { png \"../lib/a.png\" }\n\
             image_map { png \"../lib/a.png\" }\nimage_map { png \"near.png\" }\n"
        );
        assert_eq!(gathered.warnings.len(), 1);
    }

    /// Whatever way a Maya scene spells its files, its copy names them as they lie in the project.
    #[test]
    fn paths_in_maya_scenes_lead_to_what_travels() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let show = base.join("show");
        for file in
            ["show/tex/wood.1001.exr", "show/tex/wood.1002.exr", "lib/Rust.png", "lib/plain.png"]
        {
            let file = base.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        std::fs::create_dir_all(show.join("scenes")).unwrap();
        std::fs::write(show.join("workspace.mel"), "").unwrap();
        let texture = |name: &str, path: &str| {
            format!(
                "createNode file -n \"{name}\";\n\tsetAttr \".ftn\" -type \"string\" \"{path}\";\n"
            )
        };
        let head = "//Maya ASCII 2024 scene\n";
        let set =
            format!("{head}{}// End of set.ma\n", texture("rust", "Z:/old/show//../lib/rust.PNG"));
        std::fs::write(show.join("scenes/set.ma"), &set).unwrap();
        let shot = format!(
            "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" \"{0}/scenes/set.ma\";\n{1}{2}{3}// End of shot.ma\n",
            show.display(),
            texture("wood", &format!("{}//tex/wood.<UDIM>.exr", show.display())),
            texture("plain", &format!("{}/lib/plain.png", base.display()).replace('/', "\\\\")),
            texture("near", "tex/wood.1001.exr"),
        );
        let scene = show.join("scenes/shot.ma");
        std::fs::write(&scene, &shot).unwrap();
        let analysis = analyse(&scene, None, None, None, false).unwrap().unwrap();
        assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
        let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
        let copy = |path: &str| {
            let file = gathered.files.iter().find(|file| file.path.as_str() == path).unwrap();
            std::fs::read_to_string(file.rewritten.as_ref().unwrap()).unwrap()
        };
        let set = format!("{head}{}// End of set.ma\n", texture("rust", "lib/Rust.png"));
        assert_eq!(copy("show/scenes/set.ma"), set);
        let shot = format!(
            "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" \"show/scenes/set.ma\";\n{}{}{}// End of shot.ma\n",
            texture("wood", "show/tex/wood.<UDIM>.exr"),
            texture("plain", "lib/plain.png"),
            texture("near", "show/tex/wood.1001.exr"),
        );
        assert_eq!(copy("show/scenes/shot.ma"), shot);
        // In the project's own folder a path that counts from it stays.
        let near = format!("{head}{}// End of near.ma\n", texture("near", "tex/wood.1001.exr"));
        std::fs::write(&scene, &near).unwrap();
        let analysis = analyse(&scene, None, None, None, false).unwrap().unwrap();
        let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], Some(&show)).unwrap();
        assert!(gathered.files.iter().all(|file| file.rewritten.is_none()));
    }

    /// Drives and shares of other machines, in a scene, in one that it references, and in pieces.
    #[test]
    fn maya_scenes_find_what_lies_on_other_machines_drives() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for file in ["p/Show/tex/wood.1001.exr", "p/Show/tex/wood.1002.exr", "srv/lib/rust.png"] {
            let file = base.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let texture = |name: &str, path: &str| {
            format!("createNode file -n \"{name}\";\n\tsetAttr \".ftn\" -type \"string\" {path};\n")
        };
        let head = "//Maya ASCII 2024 scene\n";
        let set = |rust: &str| format!("{head}{}// End of set.ma\n", texture("rust", rust));
        std::fs::write(base.join("p/Show/set.ma"), set("\"//SRV01/lib/rust.png\"")).unwrap();
        let shot = |reference: &str, wood: &str, gone: &str| {
            format!(
                "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" {reference};\n{}{}// End of \
                 shot.ma\n",
                texture("wood", wood),
                texture("gone", gone)
            )
        };
        let scene = base.join("work/shot.ma");
        std::fs::create_dir_all(scene.parent().unwrap()).unwrap();
        let gone = "\"q:/tex/gone.png\"";
        let spelled =
            shot("\"P:/show/set.ma\"", "( \"p:/SHOW\" \n\t\t+ \"/tex/wood.<UDIM>.exr\" )", gone);
        std::fs::write(&scene, spelled).unwrap();
        let engine = format!(
            "[engine.maya]\nexecutables = [\"Render\"]\nextensions = [\"ma\"]\nargs = [\"{{scene}}\"]\n\
             [engine.maya.paths]\n'P:\\' = '{0}/p'\n'\\\\srv01' = '{0}/srv'\n'Q:\\' = '{0}/q'\n'R:\\' = '/r'\n",
            base.display()
        );
        let engine = weft_scene::engine::parse(&engine, "test").unwrap().remove("maya").unwrap();
        assert_eq!(
            reader(&BTreeMap::from([("maya".into(), engine.clone())]), "A.MA"),
            Some(&engine)
        );
        let analysis = analyse(&scene, None, None, Some(&engine), false).unwrap().unwrap();
        let missing: Vec<&str> = analysis.missing.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(missing, ["q:/tex/gone.png"]);
        let mapped = |from: &str, to: &str, exists, paths, found| Mapped {
            from: from.into(),
            to: base.join(to),
            exists,
            paths,
            found,
        };
        let told = [
            mapped("//srv01", "srv", true, 1, 1),
            mapped("p:", "p", true, 2, 2),
            mapped("q:", "q", false, 1, 0),
        ];
        assert_eq!(analysis.mapped, told);
        assert!(
            analysis
                .warnings
                .iter()
                .any(|said| said.contains("q:") && said.contains("isn't there")),
            "{:?}",
            analysis.warnings
        );
        let gathered = gather_all(Some(&scene), Some(&analysis), Some(&engine), &[], None).unwrap();
        let copy = |path: &str| {
            let file = gathered.files.iter().find(|file| file.path.as_str() == path).unwrap();
            std::fs::read_to_string(file.rewritten.as_ref().unwrap()).unwrap()
        };
        assert_eq!(gathered.files.len(), 5);
        assert_eq!(
            copy("work/shot.ma"),
            shot("\"p/Show/set.ma\"", "(\"p/Show/tex/wood.<UDIM>.exr\")", gone)
        );
        assert_eq!(copy("p/Show/set.ma"), set("\"srv/lib/rust.png\""));
    }

    /// What lies on the studio's file server stays there, and the copy of the scene leads to it.
    #[test]
    fn files_in_a_shared_root_are_referred_to() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for file in
            ["mnt/lib/wood.png", "mnt/shots/near.png", "local/own.png", "mnt/shots/named.png"]
        {
            let file = base.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let scene = base.join("mnt/shots/a.pov");
        let text = |wood: &str, near: &str, own: &str| {
            let line = |path: &str| format!("image_map {{ png \"{path}\" }}\n");
            [wood, near, own, "named.png"].map(line).concat()
        };
        let own = format!("{}/local/own.png", base.display());
        std::fs::write(&scene, text("../lib/wood.png", "near.png", &own)).unwrap();
        let engine = weft_scene::engine::shipped().remove("povray").unwrap();
        let analysis = analyse(&scene, None, None, Some(&engine), false).unwrap().unwrap();
        let roots = BTreeMap::from([("projects".to_owned(), base.join("mnt"))]);
        let roots = SharedRoots::try_from(roots).unwrap();
        let named = [base.join("mnt/shots/named.png")];
        let gathered =
            gather_beside(&roots, Some(&scene), Some(&analysis), Some(&engine), &named, None)
                .unwrap();
        let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["local/own.png", "mnt/shots/a.pov", "mnt/shots/named.png"]);
        assert_eq!(gathered.shared, BTreeSet::from(["projects".to_owned()]));
        let copy = std::fs::read_to_string(gathered.files[1].rewritten.as_ref().unwrap()).unwrap();
        let way = |inner: &str| format!("../../.weft-shared/projects/{inner}");
        assert_eq!(copy, text(&way("lib/wood.png"), &way("shots/near.png"), "../../local/own.png"));
    }
}
