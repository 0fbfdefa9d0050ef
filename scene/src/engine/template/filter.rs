//! How a placeholder's value is written, and what it must be.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Placeholder;
use crate::frames;

/// What a placeholder's value must be, or how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// As it is.
    Plain,
    /// `0N`: a whole number padded with zeros to N digits.
    Pad(usize),
    /// `range_end`: a whole number padded to as many digits as `{range_end}` has.
    PadLikeRangeEnd,
    /// `plus1`, `minus1`: a whole number and this; renderers differ in whether pixels count from 0 or
    /// 1, and in whether the last one is included.
    Plus(i64),
    /// `dots`: frames as Blender writes lists of them, `1..5,8`.
    Dots,
    /// `py`: a Python string literal in ASCII.
    Python,
    /// `quotable`: fit to stand between double quotes that the template has, for programs that take
    /// an argument apart again: one with a double quote or a line break in it is refused.
    Quotable,
    /// `int`: a whole number, anything else is refused.
    Integer,
    /// `count`: a whole number from 1, anything else is refused.
    Count,
    /// `LOW..HIGH`: a whole number from the one to the other, anything else is refused.
    Between(u64, u64),
    /// `switch`: a word for on or off (see [`switch`]), written as Python's `True` or `False`; anything else is
    /// refused.
    Switch,
    /// `num`: a decimal number, anything else is refused.
    Number,
    /// `word`: ASCII letters, digits, `_`, `.`, `+` and `-`, not beginning with `-`.
    Word,
    /// `ONE|OTHER`: one of these words, anything else is refused.
    OneOf(Vec<String>),
}

/// The widest zero-padding, in digits.
const MAX_PAD: usize = 32;

/// The value of a placeholder.
pub(in crate::engine) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Frames(&'a [i64]),
}

impl Filter {
    /// The filter of that name, if there is one that fits the placeholder.
    pub(super) fn parse(word: &str, of: &Placeholder) -> Option<Filter> {
        Some(match word {
            "range_end" => Filter::PadLikeRangeEnd,
            "dots" if *of == Placeholder::Frames => Filter::Dots,
            "plus1" => Filter::Plus(1),
            "minus1" => Filter::Plus(-1),
            "py" => Filter::Python,
            "quotable" => Filter::Quotable,
            "int" => Filter::Integer,
            "count" => Filter::Count,
            "switch" => Filter::Switch,
            "num" => Filter::Number,
            "word" => Filter::Word,
            words if words.contains('|') => {
                let words: Vec<String> = words.split('|').map(str::to_owned).collect();
                Filter::OneOf(
                    Some(words).filter(|words| words.iter().all(|word| !word.is_empty()))?,
                )
            }
            range if range.contains("..") => {
                let (low, high) = between(range)?;
                Filter::Between(low, high)
            }
            other => {
                let places = other.strip_prefix('0')?.parse().ok()?;
                Filter::Pad(Some(places).filter(|&places| places <= MAX_PAD)?)
            }
        })
    }

    /// Writes `value`, or says what is wrong with it in words that follow "the value of x".
    pub(super) fn apply(
        &self,
        out: &mut String,
        value: Value<'_>,
        end: i64,
    ) -> Result<(), Cow<'static, str>> {
        let text = match value {
            Value::Text(text) => text.to_owned(),
            Value::Integer(number) => match self {
                Filter::Pad(places) => padded(number, *places),
                Filter::PadLikeRangeEnd => padded(number, digits_of(end)),
                Filter::Plus(more) => number.saturating_add(*more).to_string(),
                _ => number.to_string(),
            },
            Value::Frames(list) => match self {
                Filter::Dots => dotted(list),
                _ => frames::format(list),
            },
        };
        if text.contains('\0') {
            return Err("holds a zero byte".into());
        }
        match self {
            Filter::Python => python_literal(out, &text),
            Filter::Quotable if text.contains(['"', '\n', '\r']) => {
                return Err(
                    "holds a double quote or a line break, which this engine can't be given".into(),
                );
            }
            Filter::Integer => match text.trim().parse::<i64>() {
                Ok(number) => out.push_str(&number.to_string()),
                Err(_) => return Err("must be a whole number".into()),
            },
            Filter::Count => match text.trim().parse::<u64>() {
                Ok(number @ 1..) => out.push_str(&number.to_string()),
                _ => return Err("must be a whole number from 1".into()),
            },
            Filter::Between(low, high) => match text.trim().parse::<u64>() {
                Ok(number) if (*low..=*high).contains(&number) => out.push_str(&number.to_string()),
                _ => return Err(format!("must be a whole number from {low} to {high}").into()),
            },
            Filter::Switch => match switch(&text) {
                Some(true) => out.push_str("True"),
                Some(false) => out.push_str("False"),
                None => return Err("must be on or off".into()),
            },
            Filter::Number => {
                let number = text.trim();
                let plain = number.bytes().all(|byte| b"0123456789.-".contains(&byte));
                match number.parse::<f64>() {
                    Ok(value) if plain && value.is_finite() => out.push_str(number),
                    _ => return Err("must be a number".into()),
                }
            }
            Filter::Word => {
                let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
                if text.is_empty() || text.starts_with('-') || !text.bytes().all(word) {
                    return Err("must be one plain word of letters, digits, _, ., + and -".into());
                }
                out.push_str(&text);
            }
            Filter::OneOf(words) if !words.contains(&text) => {
                return Err(format!("must be one of {}", words.join(", ")).into());
            }
            Filter::Plain
            | Filter::OneOf(_)
            | Filter::Pad(_)
            | Filter::PadLikeRangeEnd
            | Filter::Plus(_)
            | Filter::Dots
            | Filter::Quotable => out.push_str(&text),
        }
        Ok(())
    }
}

/// The ends of a `LOW..HIGH`.
pub(super) fn between(range: &str) -> Option<(u64, u64)> {
    let (low, high) = range.split_once("..")?;
    let ends = (low.parse().ok()?, high.parse().ok()?);
    (ends.0 <= ends.1).then_some(ends)
}

/// Whether a word means on or off, in any case: `on`, `true`, `yes` and `1`, or their opposites.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn digits_of(number: i64) -> usize {
    number.unsigned_abs().to_string().len()
}

/// The sign stands before the padded digits, as in [`frames::output_name`]'s `####`.
fn padded(number: i64, places: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{:0places$}", number.unsigned_abs())
}

/// Frames as Blender's `-f` reads them: ascending runs as `a..b`, the rest one by one.
fn dotted(list: &[i64]) -> String {
    let mut text = String::new();
    let mut rest = list;
    while let [first, ..] = rest {
        let run =
            rest.windows(2).take_while(|pair| pair[1].checked_sub(pair[0]) == Some(1)).count();
        if !text.is_empty() {
            text.push(',');
        }
        // Writing to a String can't fail.
        let _ =
            if run == 0 { write!(text, "{first}") } else { write!(text, "{first}..{}", rest[run]) };
        rest = &rest[run + 1..];
    }
    text
}

/// A Python string literal that is the same in every encoding: everything but plain ASCII is
/// escaped, so that no value can end the literal.
fn python_literal(out: &mut String, text: &str) {
    out.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            ' '..='~' => out.push(letter),
            // Writing to a String can't fail.
            _ => drop(write!(out, "\\U{:08x}", u32::from(letter))),
        }
    }
    out.push('\'');
}
