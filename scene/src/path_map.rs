//! Where drives and shares that other machines know are on this one.

use std::path::PathBuf;

/// What stands for the beginnings of paths that mean nothing here: `P:\`, `\\server\share`, `/Volumes/jobs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathMap(Vec<(String, PathBuf)>);

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
        let spelled = slashed(spelled);
        self.0.iter().find_map(|(from, to)| {
            let begins = spelled.get(..from.len())?.to_lowercase() == *from;
            let rest = spelled.get(from.len()..).filter(|rest| begins && rest.starts_with('/'))?;
            Some(to.join(rest.trim_start_matches('/')))
        })
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
