//! Copies of scenes in which paths lead to where their files travel.
//!
//! An engine opens a scene before anything could help it to find what has moved (Blender resolves
//! libraries before any script runs), so the copy that travels has its paths right: those that were
//! absolute, of another system, through links, or in another case than the disk's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufWriter;
use std::path::{Component, Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};
use weft_protocol::content::TreePath;
use weft_scene::analysis::{AnalyseError, Analysis, TextFile};
use weft_scene::engine::Definition;
use weft_scene::maya::FolderMap;
use weft_scene::{Disk, blender, maya, ocio, text_scene};

use super::collect::canonical;
use super::invalid;
use super::maya_paths;
use crate::error::ApiError;
use crate::shared_roots::SharedRoots;

/// Who reads and writes a scene's paths.
enum Format<'a> {
    Blend,
    Maya,
    Text(&'a Definition, &'a TextFile),
    /// A colour configuration.
    Colours(&'a TextFile),
}

/// Under which paths a job's files are found.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// Those that travel.
    pub(super) files: &'a BTreeMap<PathBuf, TreePath>,
    /// Where the others are.
    pub(super) shared: &'a SharedRoots,
}

impl Ways<'_> {
    /// A file's path among the job's files.
    pub(super) fn to(&self, file: &Path) -> Option<String> {
        let travels = self.files.get(file).map(|path| path.as_str().to_owned());
        travels.or_else(|| Some(self.shared.way(file)?.1))
    }
}

/// Makes copies of one submission's scenes.
pub(super) struct Rewriter<'a> {
    engines: &'a BTreeMap<String, Definition>,
    /// The folders in which something lies that travels.
    folders: BTreeSet<&'a Path>,
    /// These, and all folders that they are in: one that a path names is a cache's, and travels whole.
    holders: BTreeSet<&'a Path>,
    ways: Ways<'a>,
    /// Paths as the scenes of Blender spell them: one in which none of them moves isn't copied.
    spelled: Vec<&'a str>,
    /// Files in text formats, by where they are, with the paths that each names.
    text_files: BTreeMap<PathBuf, &'a TextFile>,
    /// Those of Maya's scenes that move, and where they lead then.
    maya: BTreeMap<String, String>,
    scene: &'a Path,
    disk: Disk,
    /// Where copies are written.
    scratch: &'a Path,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        scene: &'a Path,
        engine: Option<&'a Definition>,
        engines: &'a BTreeMap<String, Definition>,
        analysis: Option<&'a Analysis>,
        ways: Ways<'a>,
        scratch: &'a Path,
    ) -> Self {
        // What a file that the scene needs names, it names in its own way.
        let assets = || {
            let all = analysis.iter().flat_map(|analysis| &analysis.assets);
            all.filter(|asset| !asset.indirect)
        };
        let text_files = analysis.iter().flat_map(|analysis| &analysis.text_files);
        let folders: BTreeSet<&Path> = ways.files.keys().filter_map(|file| file.parent()).collect();
        Self {
            engines,
            holders: folders.iter().flat_map(|folder| folder.ancestors()).collect(),
            folders,
            ways,
            spelled: assets().map(|asset| asset.path.as_str()).collect(),
            maya: match is_maya(scene) {
                true => maya_paths::moved(assets(), ways),
                false => BTreeMap::new(),
            },
            text_files: text_files
                .filter_map(|(file, text)| Some((canonical(file).ok()?, text)))
                .collect(),
            scene,
            disk: Disk::mapped(engine.map(|engine| engine.paths.clone()).unwrap_or_default()),
            scratch,
        }
    }

    /// A copy of `source` whose paths lead to where their files travel; none where they do already. It
    /// is a file, since scenes can be larger than memory, and goes when its path is dropped.
    ///
    /// # Errors
    /// When the scene can't be read, or a path doesn't fit where the old one was.
    pub(super) fn rewrite(&self, source: &Path) -> Result<Option<TempPath>, ApiError> {
        let Some(format) = self.format(source) else { return Ok(None) };
        let map = |spelled: &str| self.moved(source, &format, spelled);
        let moves = match &format {
            Format::Text(_, text) | Format::Colours(text) => {
                text.paths.keys().any(|spelled| map(spelled).is_some())
            }
            _ => self.spelled.iter().any(|spelled| map(spelled).is_some()),
        };
        if !moves {
            return Ok(None);
        }
        let say = |why: &dyn std::fmt::Display| {
            invalid(format!("{} can't be copied: {why}; nothing was submitted", source.display()))
        };
        let copy = NamedTempFile::new_in(self.scratch).map_err(|error| say(&error))?;
        let mut dest = BufWriter::new(copy);
        let copied: Result<usize, AnalyseError> = match &format {
            Format::Blend => blender::rewrite_paths(source, &mut dest, &map),
            Format::Maya => maya::rewrite_paths(source, &mut dest, &map),
            Format::Text(engine, _) => text_scene::rewrite_paths(source, engine, &mut dest, &map),
            Format::Colours(_) => ocio::rewrite_paths(source, &mut dest, &map),
        };
        let count = copied.map_err(|error| say(&error))?;
        let copy = dest.into_inner().map_err(|error| say(error.error()))?;
        Ok((count > 0).then(|| copy.into_temp_path()))
    }

    /// What leads Maya to the files that its binary scenes name, which can't be rewritten; none where none travels.
    pub(super) fn folder_map(&self) -> Option<FolderMap> {
        let binary = self.ways.files.keys().any(|file| has_ending(file, "mb"));
        let paths = || self.maya.iter().map(|(spelled, place)| (spelled.as_str(), place.as_str()));
        // A cache's folder is there twice, so that one who spells it with a slash is led as well.
        binary.then(|| FolderMap::new(paths().filter(|(spelled, _)| !spelled.ends_with('/'))))
    }

    fn format(&self, source: &Path) -> Option<Format<'a>> {
        if has_ending(source, "blend") {
            return Some(Format::Blend);
        }
        if has_ending(source, "ma") && is_maya(self.scene) {
            return Some(Format::Maya);
        }
        let text = self.text_files.get(source)?;
        if has_ending(source, "ocio") {
            return Some(Format::Colours(text));
        }
        Some(Format::Text(self.engines.get(&text.engine)?, text))
    }

    /// The way to a file, where the way that is spelled won't lead there.
    fn moved(&self, source: &Path, format: &Format<'_>, spelled: &str) -> Option<String> {
        // The file from whose folder its paths count.
        let first;
        let holder = match format {
            Format::Text(engine, text) if engine.counts_from_scene() => {
                first = canonical(&text.scene).ok()?;
                &first
            }
            _ => source,
        };
        let target = match format {
            Format::Blend => {
                match self.disk.place(spelled).filter(|_| !spelled.starts_with("//")) {
                    Some(place) => place,
                    None => blender::resolve_path(source, spelled),
                }
            }
            Format::Maya => return self.maya.get(spelled).cloned(),
            Format::Text(_, text) | Format::Colours(text) => text.paths.get(spelled)?.clone(),
        };
        let name = target.file_name()?;
        let (there, name) = match self.disk.spelling(&target) {
            Some(there) => {
                let name = there.file_name()?.to_owned();
                (there.parent()?.to_owned(), name)
            }
            // The name may carry a token for tiles or frames: only its folder need exist.
            None => (self.disk.spelling(target.parent()?)?, name.to_owned()),
        };
        let place = there.canonicalize().ok()?.join(&name);
        // A folder may be a link, through which its files were found where they are.
        let place = if place.is_dir() { place.canonicalize().ok()? } else { place };
        let (to, name) = (place.parent()?, place.file_name()?);
        let travels = self.ways.files.contains_key(&place);
        if let (false, Some((_, shared))) = (travels, self.ways.shared.way(&place)) {
            let from = Path::new(self.ways.files.get(holder)?.as_str()).parent()?;
            let shared = Path::new(&shared);
            let name = shared.file_name()?.to_str()?;
            return Some(format.path(format!("{}{name}", relative(from, shared.parent()?))));
        }
        // A folder with the scene itself in it is no cache's, and nothing else of it may travel. That of a colour
        // configuration's tables may be its own.
        let colours = matches!(format, Format::Colours(_));
        let whole = self.holders.contains(&*place) && (colours || !holder.starts_with(&place));
        let known = travels || whole || self.folders.contains(to);
        let stays = is_relative(spelled) && !spelled.contains('\\') && target == place;
        if !known || stays {
            return None;
        }
        if colours && holder.starts_with(&place) {
            // No way out and in again: the root of what travels has no name there.
            return Some(format!("{}.", relative(holder.parent()?, &place)));
        }
        let way = format!("{}{}", relative(holder.parent()?, to), name.to_str()?);
        Some(format.path(way))
    }
}

impl Format<'_> {
    /// A way from a scene's folder, as the scene spells it.
    fn path(&self, way: String) -> String {
        match self {
            Self::Blend => format!("//{way}"),
            _ => way,
        }
    }
}

fn is_maya(scene: &Path) -> bool {
    has_ending(scene, "ma") || has_ending(scene, "mb")
}

pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
}

/// Whether a path counts from its scene's folder, on every system: Blender's `//`, or no root.
fn is_relative(spelled: &str) -> bool {
    let drive = spelled.as_bytes().get(1) == Some(&b':');
    spelled.starts_with("//") || !(drive || spelled.starts_with(['/', '\\']))
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

    /// A cache's folder is named, and files in it or below travel.
    #[test]
    fn folders_of_caches_lead_to_what_travels() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let scene = base.join("show/shots/a.blend");
        let mut files = BTreeMap::from([(scene.clone(), TreePath::new("shots/a.blend").unwrap())]);
        for file in ["show/cache/fluid/data/1.vdb", "show/shots/near/1.bobj", "far/ocean/1.exr"] {
            let path = base.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            files.insert(path, TreePath::new(file).unwrap());
        }
        for empty in ["show/other", "mnt/caches/cloth"] {
            std::fs::create_dir_all(base.join(empty)).unwrap();
        }
        let roots = BTreeMap::from([("caches".to_owned(), base.join("mnt/caches"))]);
        let shared = SharedRoots::try_from(roots).unwrap();
        let ways = Ways { files: &files, shared: &shared };
        let none = BTreeMap::new();
        let rewriter = Rewriter::new(&scene, None, &none, None, ways, &base);
        let moved = |spelled: &str| rewriter.moved(&scene, &Format::Blend, spelled);
        let here = |path: &str| moved(&base.join(path).display().to_string());
        let to = |way: &str| Some(way.to_owned());
        assert_eq!(here("show/cache/fluid"), to("//../cache/fluid"));
        assert_eq!(here("show/cache/fluid/"), to("//../cache/fluid"));
        assert_eq!(here("show/cache/fluid/data"), to("//../cache/fluid/data"));
        assert_eq!(here("show/CACHE/Fluid"), to("//../cache/fluid"));
        assert_eq!(here("show/shots/near"), to("//near"));
        assert_eq!(here("far"), to("//../../far"));
        assert_eq!(here("mnt/caches/cloth"), to("//../.weft-shared/caches/cloth"));
        assert_eq!(here("mnt/caches"), to("//../.weft-shared/caches"));
        assert_eq!(moved("//near"), None);
        // Nothing of these travels as a cache: the whole disk, what the scene lies in, what is empty or isn't there.
        assert_eq!(moved("/"), None);
        assert_eq!(here("show"), None);
        assert_eq!(here("show/other"), None);
        assert_eq!(here("show/nowhere/fluid"), None);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(base.join("far/ocean"), base.join("show/sea")).unwrap();
            assert_eq!(moved("//../sea"), to("//../../far/ocean"));
        }
    }

    /// The engine adds the ending there too, to whatever lies there by that name.
    #[test]
    fn names_without_their_endings_stay_so() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let mut files = BTreeMap::new();
        for file in ["shots/a.pov", "tex/wood.png", "tex/wood.jpg"] {
            let path = base.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            files.insert(path, TreePath::new(file).unwrap());
        }
        let (scene, spelled) = (base.join("shots/a.pov"), base.join("tex/wood"));
        let spelled = spelled.display();
        let text =
            format!("image_map {{ png \"{spelled}\" }} image_map {{ jpeg \"{spelled}\" }}\n");
        std::fs::write(&scene, text).unwrap();
        let engines = weft_scene::engine::shipped();
        let engine = &engines["povray"];
        let analysis = text_scene::analyse(&scene, engine).unwrap().unwrap();
        let none = SharedRoots::default();
        let ways = Ways { files: &files, shared: &none };
        let rewriter = Rewriter::new(&scene, Some(engine), &engines, Some(&analysis), ways, &base);
        let copy = rewriter.rewrite(&scene).unwrap().unwrap();
        let expected = "image_map { png \"../tex/wood\" } image_map { jpeg \"../tex/wood\" }\n";
        assert_eq!(std::fs::read_to_string(copy).unwrap(), expected);
    }

    #[test]
    fn what_counts_from_the_scene() {
        for (spelled, relative) in [
            ("//tex/a.png", true),
            ("tex/a.png", true),
            ("../a.png", true),
            ("/a.png", false),
            ("C:\\a.png", false),
            ("c:/a.png", false),
            ("\\\\server\\share\\a.png", false),
        ] {
            assert_eq!(is_relative(spelled), relative, "{spelled}");
        }
    }
}
