//! Commands of artists' own: how a step's arguments carry their words.

use std::collections::BTreeMap;

/// The engine that runs them.
pub(crate) const ENGINE: &str = "command";
/// What the names of their words begin with, in a step's arguments.
const PREFIX: &str = "command.";
/// The most words of a command, and the longest, in bytes: what a spec has room for beside the rest.
pub(crate) const MAX_WORDS: usize = 240;
pub(crate) const MAX_WORD: usize = 4096;

/// The words as a step's arguments.
pub(crate) fn encode(words: &[String]) -> BTreeMap<String, String> {
    let numbered = words.iter().enumerate();
    numbered.map(|(at, word)| (format!("{PREFIX}{at:03}"), word.clone())).collect()
}

/// The words that a step's arguments carry, in order.
pub(crate) fn decode(arguments: &BTreeMap<String, String>) -> Vec<String> {
    let words = arguments.range(PREFIX.to_owned()..);
    words.take_while(|(name, _)| name.starts_with(PREFIX)).map(|(_, word)| word.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_in_their_order() {
        let words: Vec<String> = (0..MAX_WORDS).map(|word| format!("word {word}")).collect();
        let mut arguments = encode(&words);
        arguments.insert("arg.a".into(), "x".into());
        arguments.insert("zoom".into(), "x".into());
        assert_eq!(decode(&arguments), words);
        assert!(decode(&BTreeMap::new()).is_empty());
    }
}
