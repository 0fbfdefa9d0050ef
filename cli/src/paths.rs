//! Paths that people write, and how they are told to nodes.

use std::path::{Path, PathBuf};

use weft_node::path_text;

use crate::error::Failure;

/// A path as it holds from any folder. Links stay as they are: paths inside scenes may count on them.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::call(format!("'{}' is no path: {error}.", path.display())))
}

/// The same, as the text by which a node is to find the place: what is not text is refused, before
/// anything is asked of a node.
pub(crate) fn sent(path: &Path) -> Result<String, Failure> {
    let absolute = absolute(path)?;
    let refused = |not| {
        Failure::call(format!(
            "{not}, and nodes are told paths as text; nothing was changed. Rename it first."
        ))
    };
    path_text::leading(&absolute).map(str::to_owned).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_absolute() {
        let path = sent(Path::new("shot/é.ma")).unwrap();
        assert!(Path::new(&path).is_absolute() && path.ends_with("é.ma"), "{path}");
    }

    #[cfg(unix)]
    #[test]
    fn what_would_lead_elsewhere_is_not_sent() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"shot\xff.ma"));
        let refused = sent(path).unwrap_err();
        let words = refused.message();
        assert!(words.contains("shot\u{fffd}.ma' is not text in UTF-8"), "{words}");
        assert!(words.contains("nothing was changed"), "{words}");
    }
}
