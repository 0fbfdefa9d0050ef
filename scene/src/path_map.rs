//! Where drives and shares that other machines know are on this one.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::analysis::Asset;

/// What stands for the beginnings of paths that mean nothing here: `P:\`, `\\server\share`, `/Volumes/jobs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathMap(Vec<(String, PathBuf)>);

/// A beginning of paths in a scene that stands for a folder of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// The beginning, in lower case and with slashes.
    pub from: String,
    /// The folder.
    pub to: PathBuf,
    /// Whether the folder is there.
    pub exists: bool,
    /// How many of the paths in the scene begin so.
    pub paths: usize,
    /// Of how many of them something was found.
    pub found: usize,
}

impl PathMap {
    /// A map from beginnings of paths, as scenes spell them, to folders of this machine.
    pub fn new(places: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        let key = |from: String| slashed(&from).trim_end_matches('/').to_lowercase();
        let mut places: Vec<_> = places.into_iter().map(|(from, to)| (key(from), to)).collect();
        places.retain(|(from, _)| !from.is_empty());
        // The longest beginning says most.
        places.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        Self(places)
    }

    /// Where a path leads that begins with one of them, whatever its case and slashes.
    #[must_use]
    pub fn place(&self, spelled: &str) -> Option<PathBuf> {
        Some(self.rule(spelled)?.1)
    }

    /// Which of them a path begins with, and where it leads.
    fn rule(&self, spelled: &str) -> Option<(usize, PathBuf)> {
        let spelled = slashed(spelled);
        self.0.iter().enumerate().find_map(|(at, (from, to))| {
            let begins = spelled.get(..from.len())?.to_lowercase() == *from;
            let rest = spelled.get(from.len()..).filter(|rest| begins && rest.starts_with('/'))?;
            Some((at, to.join(rest.trim_start_matches('/'))))
        })
    }

    /// Those that paths of these files begin with.
    #[must_use]
    pub fn used<'a>(&self, assets: impl IntoIterator<Item = &'a Asset>) -> Vec<Mapped> {
        let mut counts = vec![(0, 0); self.0.len()];
        for asset in assets {
            if let Some((at, _)) = self.rule(&asset.path) {
                counts[at].0 += 1;
                counts[at].1 += usize::from(asset.exists);
            }
        }
        let used = self.0.iter().zip(counts).filter(|(_, (paths, _))| *paths > 0);
        used.map(|((from, to), (paths, found))| Mapped {
            from: from.clone(),
            to: to.clone(),
            exists: Path::is_dir(to),
            paths,
            found,
        })
        .collect()
    }
}

fn slashed(path: &str) -> String {
    path.replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_and_shares_are_where_the_map_says() {
        let map = PathMap::new(
            [("P:\\", "/mnt/p"), ("p:/film", "/film"), ("\\\\Server\\jobs", "/mnt/jobs")]
                .map(|(from, to)| (from.to_owned(), PathBuf::from(to))),
        );
        for (spelled, place) in [
            ("P:\\tex\\a.png", Some("/mnt/p/tex/a.png")),
            ("p:/Film/a.png", Some("/film/a.png")),
            ("P:\\filmed\\a.png", Some("/mnt/p/filmed/a.png")),
            ("\\\\server/JOBS/x.png", Some("/mnt/jobs/x.png")),
            ("\\\\server\\jobsite\\x.png", None),
            ("C:\\tex\\a.png", None),
            ("/mnt/a.png", None),
            ("P:", None),
        ] {
            assert_eq!(map.place(spelled), place.map(PathBuf::from), "{spelled}");
        }
        assert_eq!(PathMap::new([(String::new(), PathBuf::new())]).place("/a"), None);
    }
}
