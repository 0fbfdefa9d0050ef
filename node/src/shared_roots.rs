//! Folders that the machines of a studio mount from the same place: what lies below them is referred to,
//! and not sent.
//!
//! Each machine says in its `weft.toml` where it has them. A node that has one carries a tag for it, by
//! which jobs that need it are placed. In a job's files a link leads there, and the copy of the scene that
//! travels names files by way of that link, so that the same job runs wherever a machine mounts the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weft_protocol::hardware::SHARED;

/// The folder in a job's files with a link for each shared root.
pub(crate) const FOLDER: &str = ".weft-shared";

/// The table `[shared_roots]` of `weft.toml`: names, and where this machine has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, PathBuf>")]
pub struct SharedRoots(BTreeMap<String, PathBuf>);

impl TryFrom<BTreeMap<String, PathBuf>> for SharedRoots {
    type Error = String;

    fn try_from(roots: BTreeMap<String, PathBuf>) -> Result<Self, String> {
        for (name, place) in &roots {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(letters) {
                return Err(format!(
                    "'{name}' can't name a shared root: it takes 1 to 64 letters, digits, - and _"
                ));
            }
            if !place.is_absolute() || place.parent().is_none() {
                return Err(format!(
                    "the shared root '{name}' is {}, which is no absolute path to a folder",
                    place.display()
                ));
            }
        }
        Ok(Self(roots))
    }
}

impl SharedRoots {
    /// The tags of those that are there now; of the others it is said that they aren't.
    pub(crate) fn tags(&self) -> BTreeSet<String> {
        let there = |(name, place): (&String, &PathBuf)| {
            if place.is_dir() {
                return Some(format!("{SHARED}{name}"));
            }
            tracing::warn!(name, place = %place.display(), "a shared root is not mounted: no job that needs it comes here");
            None
        };
        self.0.iter().filter_map(there).collect()
    }

    /// The place of those that a job needs, by its tags, and the names of those that this machine lacks.
    pub(crate) fn needed(
        &self,
        tags: &BTreeSet<String>,
    ) -> (BTreeMap<String, PathBuf>, Vec<String>) {
        let (mut places, mut lacking) = (BTreeMap::new(), Vec::new());
        for name in tags.iter().filter_map(|tag| tag.strip_prefix(SHARED)) {
            match self.0.get(name).filter(|place| place.is_dir()) {
                Some(place) => _ = places.insert(name.to_owned(), place.clone()),
                None => lacking.push(name.to_owned()),
            }
        }
        (places, lacking)
    }

    /// Those that are there, with links on the way to them followed: to look files up whose own were.
    pub(crate) fn resolved(&self) -> Self {
        let place = |(name, place): (&String, &PathBuf)| {
            Some((name.clone(), place.canonicalize().ok().filter(|place| place.is_dir())?))
        };
        Self(self.0.iter().filter_map(place).collect())
    }

    /// The shared root in which a file or folder lies, and its path in a job's files.
    pub(crate) fn way(&self, path: &Path) -> Option<(&str, String)> {
        let within = self.0.iter().filter_map(|(name, place)| {
            let inner = path.strip_prefix(place).ok()?;
            Some((inner.as_os_str().len(), name, inner))
        });
        let (_, name, inner) = within.min_by_key(|(length, ..)| *length)?;
        let mut way = format!("{FOLDER}/{name}");
        for part in inner {
            way.push('/');
            way.push_str(part.to_str()?);
        }
        Some((name, way))
    }
}

/// Puts links to shared roots among a job's files.
///
/// # Errors
/// Where something else is in their place, or the system lets this user make no links.
pub(crate) fn link(inputs: &Path, places: &BTreeMap<String, PathBuf>) -> std::io::Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let folder = inputs.join(FOLDER);
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for (name, place) in places {
        let link = folder.join(name);
        if std::fs::read_link(&link).is_ok_and(|to| to == *place) {
            continue;
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(place, &link)?;
        #[cfg(windows)]
        std::os::windows::fs::symlink_dir(place, &link)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(of: &[(&str, &Path)]) -> Result<SharedRoots, String> {
        let pairs = of.iter().map(|(name, place)| ((*name).to_owned(), place.to_path_buf()));
        SharedRoots::try_from(pairs.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn names_and_places_are_checked() {
        let here = std::env::temp_dir();
        assert!(roots(&[("projects-2_a", &here)]).is_ok());
        for (name, place) in [
            ("", &*here),
            ("a/b", &here),
            ("..", &here),
            ("a", Path::new("mnt")),
            ("a", Path::new("/")),
        ] {
            assert!(roots(&[(name, place)]).is_err(), "{name} {}", place.display());
        }
    }

    #[test]
    fn the_deepest_root_counts() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("lib/tex")).unwrap();
        let roots = roots(&[("all", &base), ("tex", &base.join("lib/tex"))]).unwrap();
        let way =
            |path: &str| roots.way(&base.join(path)).map(|(name, way)| (name.to_owned(), way));
        assert_eq!(way("a.png"), Some(("all".into(), ".weft-shared/all/a.png".into())));
        assert_eq!(way("lib/tex/b.png"), Some(("tex".into(), ".weft-shared/tex/b.png".into())));
        assert_eq!(roots.way(Path::new("/elsewhere/a.png")), None);
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_what_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let (mounted, inputs) = (folder.path().join("mnt"), folder.path().join("inputs"));
        for made in [&mounted, &inputs] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(mounted.join("a.txt"), "a").unwrap();
        let gone = folder.path().join("gone");
        let roots = roots(&[("here", &mounted), ("gone", &gone)]).unwrap();
        assert_eq!(roots.tags(), BTreeSet::from(["shared:here".to_owned()]));
        let tags = ["shared:here", "shared:gone", "shared:other", "fast"].map(String::from).into();
        let (places, lacking) = roots.needed(&tags);
        assert_eq!(lacking, ["gone", "other"]);
        // Once more: another frame of the job.
        for _ in 0..2 {
            link(&inputs, &places).unwrap();
        }
        assert_eq!(std::fs::read_to_string(inputs.join(".weft-shared/here/a.txt")).unwrap(), "a");
        std::fs::remove_dir_all(inputs.join(FOLDER)).unwrap();
        assert!(mounted.join("a.txt").exists());
        std::fs::create_dir_all(inputs.join(".weft-shared/here")).unwrap();
        assert!(link(&inputs, &places).is_err(), "a job's own files are in the way");
    }
}
