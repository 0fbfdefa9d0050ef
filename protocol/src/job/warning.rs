//! What engines warned of while they made results, or failed to: for people, and nothing is decided by it.

use serde::{Deserialize, Serialize};

use super::task::TaskKey;
use crate::ids::JobId;

/// The most warnings of one result: further ones stand in its log.
pub const MAX_WARNINGS: usize = 8;
/// The longest warning, in bytes.
pub const MAX_WARNING: usize = 512;
/// What an engine warned of while it made the result of one task, or failed to for the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// The task.
    pub task: TaskKey,
    /// The round of the task in which that was, on the node that signs.
    pub generation: u32,
    /// What it said, each once, in its order.
    pub texts: Vec<String>,
}

/// Warnings about results of one job, signed once by the node that made those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warnings {
    /// The job they all belong to.
    pub job: JobId,
    /// The results that there were warnings about.
    pub warned: Vec<Warned>,
}

impl Warnings {
    /// Whether every result has some warnings and not too many, each a line that is not too long.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let is_line = |text: &String| {
            (1..=MAX_WARNING).contains(&text.len()) && !text.contains(char::is_control)
        };
        self.warned.iter().all(|warned| {
            (1..=MAX_WARNINGS).contains(&warned.texts.len()) && warned.texts.iter().all(is_line)
        })
    }
}

/// Adds what an engine said to the warnings of a result, unless that was said before or there are enough.
pub fn keep(texts: &mut Vec<String>, said: &str) {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let said: String = said.chars().map(clean).collect();
    let said = said.trim();
    let said = said[..said.floor_char_boundary(MAX_WARNING)].trim_end();
    let is_new = !said.is_empty() && texts.iter().all(|text| text != said);
    if is_new && texts.len() < MAX_WARNINGS {
        texts.push(said.to_owned());
    }
}

/// Joins warnings to those that are known of the same result: of two lists the smaller stays, whichever came first.
/// There is none without a warning.
pub(super) fn join(known: &mut Vec<String>, texts: &[String]) {
    if known.is_empty() || texts < known.as_slice() {
        *known = texts.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_short_lines_are_kept_each_once() {
        let mut texts = Vec::new();
        for said in ["a\tb\u{1b}[31m", "a b [31m ", "", " \n"] {
            keep(&mut texts, said);
        }
        assert_eq!(texts, ["a b [31m"]);
        keep(&mut texts, &"é".repeat(MAX_WARNING));
        assert_eq!(texts[1].len(), MAX_WARNING);
        (0..100).for_each(|number| keep(&mut texts, &format!("warning {number}")));
        assert_eq!(texts.len(), MAX_WARNINGS);
        let warned = |texts: &[String]| Warnings {
            job: JobId([1; 32]),
            warned: vec![Warned { task: TaskKey::frame(1), generation: 0, texts: texts.to_vec() }],
        };
        assert!(warned(&texts).is_bounded());
        texts.push("one more".into());
        assert!(!warned(&texts).is_bounded());
        for bad in ["", "two\nlines", &"x".repeat(MAX_WARNING + 1)] {
            assert!(!warned(&[bad.to_owned()]).is_bounded(), "{bad:?}");
        }
        assert!(!warned(&[]).is_bounded());
    }
}
