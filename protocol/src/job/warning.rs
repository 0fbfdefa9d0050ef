//! What engines warned of while they made results: for people, and nothing is decided by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::task::TaskKey;
use crate::ids::{JobId, NodeId};

/// The most warnings of one result: further ones stand in its log.
pub const MAX_WARNINGS: usize = 8;
/// The longest warning, in bytes.
pub const MAX_WARNING: usize = 512;
/// The most results of one task whose warnings are remembered: as many as are tried in a bad hour.
const MAX_RESULTS: usize = 16;

/// What an engine warned of while it made the result of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// The task.
    pub task: TaskKey,
    /// The round of the task in which the result was made, by the node that signs.
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

/// What is known of one task's results, by round and node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WarningBook(BTreeMap<(u32, NodeId), Vec<String>>);

impl WarningBook {
    /// What there was about the result that a node made in a round.
    pub(super) fn of(&self, generation: u32, author: NodeId) -> &[String] {
        self.0.get(&(generation, author)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Joins warnings. Of two lists about the same the smaller stays, and of too many results those of the
    /// latest rounds, so that the order in which they come makes no difference.
    pub(super) fn add(&mut self, generation: u32, author: NodeId, texts: &[String]) {
        let known = self.0.entry((generation, author)).or_insert_with(|| texts.to_vec());
        if *texts < known[..] {
            *known = texts.to_vec();
        }
        if self.0.len() > MAX_RESULTS {
            self.0.pop_first();
        }
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

    #[test]
    fn of_many_results_the_latest_are_remembered_whatever_the_order() {
        let all: Vec<(u32, u8, String)> = (0..20)
            .flat_map(|g| [(g, 1, "b".to_owned()), (g, 2, "b".into()), (g, 1, "a".into())])
            .collect();
        let book = |notes: &mut dyn Iterator<Item = &(u32, u8, String)>| {
            let mut book = WarningBook::default();
            for (generation, author, text) in notes {
                book.add(*generation, NodeId([*author; 32]), std::slice::from_ref(text));
            }
            book
        };
        let (forth, back) = (book(&mut all.iter()), book(&mut all.iter().rev()));
        assert_eq!(forth, back);
        assert_eq!(forth.of(19, NodeId([1; 32])), ["a"], "the smaller");
        assert!(forth.of(0, NodeId([1; 32])).is_empty());
    }
}
