//! The arguments of commands: flags, their values, and what values mean.

use super::words::Word;

/// The attribute of a `setAttr` and its values, past the flags and the type.
pub(super) fn attribute_and_values<'a>(words: &'a [Word<'a>]) -> (Option<&'a str>, &'a [Word<'a>]) {
    let mut attribute = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if is_flag(word) {
            let takes_value = matches!(
                &*word.text,
                "-k" | "-keyable"
                    | "-l"
                    | "-lock"
                    | "-cb"
                    | "-channelBox"
                    | "-ca"
                    | "-caching"
                    | "-s"
                    | "-size"
                    | "-typ"
                    | "-type"
                    | "-ch"
                    | "-capacityHint"
            );
            let listed = matches!(&*word.text, "-typ" | "-type")
                && words.get(at + 1).is_some_and(|kind| kind.text == "stringArray");
            // A list of strings begins with their number.
            at += if listed {
                3
            } else if takes_value {
                2
            } else {
                1
            };
        } else if attribute.is_none() {
            attribute = Some(&*word.text);
            at += 1;
        } else {
            return (attribute, &words[at..]);
        }
    }
    (attribute, &[])
}

/// A flag begins with a letter after its dash; a number doesn't.
pub(super) fn is_flag(word: &Word<'_>) -> bool {
    let mut letters = word.text.chars();
    !word.quoted
        && letters.next() == Some('-')
        && letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
}

pub(super) fn has_flag(words: &[Word<'_>], names: &[&str]) -> bool {
    words.iter().any(|word| is_flag(word) && names.contains(&&*word.text))
}

pub(super) fn value_of<'a>(words: &'a [Word<'_>], names: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| is_flag(word) && names.contains(&&*word.text))?;
    words.get(at + 1).map(|word| &*word.text)
}

/// Maya tells copies of a reference apart as `scene.ma{2}`.
pub(super) fn without_copy_number(path: &str) -> &str {
    let number = path
        .strip_suffix('}')
        .and_then(|rest| rest.rsplit_once('{'))
        .filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    number.map_or(path, |(path, _)| path)
}

pub(super) fn is_true(value: &str) -> bool {
    matches!(value, "yes" | "on" | "true" | "1")
}

pub(super) fn number(value: &str) -> Option<f64> {
    value.parse::<f64>().ok().filter(|number| number.is_finite())
}

pub(super) fn pixels(value: &str) -> Option<u32> {
    let pixels = number(value)?.round();
    (0.0..=f64::from(u32::MAX)).contains(&pixels).then_some(pixels as u32)
}
