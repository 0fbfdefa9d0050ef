//! Paths as text. JSON, the studio's facts and renderers' command lines know paths as text only, and a
//! file system may have others.

use std::path::Path;

/// A path that is not text, where only text leads there again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path '{0}' is not text in UTF-8")]
pub struct NotText(String);

/// A path that is only told: what is not text in it shows as U+FFFD, so that it need not lead there.
#[must_use]
pub fn told(path: &Path) -> String {
    path.display().to_string()
}

/// A path by which somebody else is to find the same place.
///
/// # Errors
/// When it is not text, so that what is told would lead elsewhere.
pub fn leading(path: &Path) -> Result<&str, NotText> {
    path.to_str().ok_or_else(|| NotText(told(path)))
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn what_is_not_text_is_told_and_leads_nowhere() {
        let path = Path::new(OsStr::from_bytes(b"/shot\xff/a.png"));
        assert_eq!(told(path), "/shot\u{fffd}/a.png");
        let refused = leading(path).unwrap_err().to_string();
        assert_eq!(refused, "the path '/shot\u{fffd}/a.png' is not text in UTF-8");
        assert_eq!(leading(Path::new("/é.png")), Ok("/é.png"));
    }
}
