//! Copies of scenes in which paths lead to where their files travel.
//!
//! An engine opens a scene before anything could help it to find what has moved (Blender resolves
//! libraries before any script runs), so the copy that travels has its paths right: those that were
//! absolute, of another system, through links, or in another case than the disk's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use weft_protocol::content::TreePath;
use weft_scene::analysis::{AnalyseError, Analysis};
use weft_scene::engine::Definition;
use weft_scene::{Disk, blender, text_scene};

use super::invalid;
use crate::error::ApiError;

/// Who reads and writes a scene's paths.
enum Format<'a> {
    Blend,
    Text(&'a Definition),
}

/// Makes copies of one submission's scenes.
pub(super) struct Rewriter<'a> {
    engine: Option<&'a Definition>,
    /// The folders of everything that travels.
    folders: BTreeSet<&'a Path>,
    files: &'a BTreeMap<PathBuf, TreePath>,
    /// Paths as the scenes spell them: a scene in which none of them moves isn't copied.
    spelled: Vec<&'a str>,
    /// Scenes in a text format that name files: the scene itself, and what it names in turn.
    scene: &'a Path,
    disk: Disk,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        scene: &'a Path,
        engine: Option<&'a Definition>,
        analysis: Option<&'a Analysis>,
        files: &'a BTreeMap<PathBuf, TreePath>,
    ) -> Self {
        let assets = analysis.iter().flat_map(|analysis| &analysis.assets);
        Self {
            engine,
            folders: files.keys().filter_map(|file| file.parent()).collect(),
            files,
            spelled: assets.map(|asset| asset.path.as_str()).collect(),
            scene,
            disk: Disk::default(),
        }
    }

    /// A copy of `source` whose paths lead to where their files travel; none where they do already.
    ///
    /// # Errors
    /// When the scene can't be read, or a path doesn't fit where the old one was.
    pub(super) fn rewrite(&self, source: &Path) -> Result<Option<Vec<u8>>, ApiError> {
        let Some(format) = self.format(source) else { return Ok(None) };
        let map = |spelled: &str| self.moved(source, &format, spelled);
        if !self.spelled.iter().any(|spelled| map(spelled).is_some()) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let copied: Result<usize, AnalyseError> = match &format {
            Format::Blend => blender::rewrite_paths(source, &mut bytes, &map),
            Format::Text(engine) => text_scene::rewrite_paths(source, engine, &mut bytes, &map),
        };
        let count = copied.map_err(|error| {
            invalid(format!("{} can't be copied: {error}; nothing was submitted", source.display()))
        })?;
        Ok((count > 0).then_some(bytes))
    }

    fn format(&self, source: &Path) -> Option<Format<'a>> {
        let ends = |ending: &str| {
            source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
        };
        if ends("blend") {
            return Some(Format::Blend);
        }
        if ends("ma") || ends("mb") || ends("weft") {
            return None;
        }
        let same = source.extension() == self.scene.extension();
        self.engine
            .filter(|engine| source == self.scene || same && engine.names_files())
            .map(Format::Text)
    }

    /// The way to a file, where the way that is spelled won't lead there.
    fn moved(&self, source: &Path, format: &Format<'_>, spelled: &str) -> Option<String> {
        let target = match format {
            Format::Blend => blender::resolve_path(source, spelled),
            Format::Text(_) => text_scene::resolve_path(source, spelled),
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
        let to = there.canonicalize().ok()?;
        let known = self.folders.contains(&*to) || self.files.contains_key(&to.join(&name));
        let folder = source.parent()?;
        let stays = is_relative(spelled) && !spelled.contains('\\') && target == to.join(&name);
        if !known || stays {
            return None;
        }
        let way = format!("{}{}", relative(folder, &to), name.to_str()?);
        Some(match format {
            Format::Blend => format!("//{way}"),
            Format::Text(_) => way,
        })
    }
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
