//! Text with placeholders: `{frame:04}`.
//!
//! A placeholder is a lower-case word in braces, with a filter after a colon where wanted. Braces
//! around anything else are ordinary text, so that scripts in an argument (`${HOME}`, `{1..3}`)
//! need no care; `{{frame}}` gives the text `{frame}`.

use super::command::CommandError;

mod filter;

pub(super) use filter::Value;
pub(crate) use filter::switch;
use filter::{Filter, between, digits_of};

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Placeholder {
    Scene,
    SceneDir,
    /// The first frame of the run; the frame itself where a run is one frame.
    Frame,
    /// The last frame of the run.
    LastFrame,
    Frames,
    Start,
    End,
    RangeEnd,
    Output,
    OutputPattern,
    Work,
    Inputs,
    Threads,
    Gpus,
    Format,
    Extension,
    /// The end of a file's name that tells the view of a stereo pair or the like; mostly nothing.
    View,
    JobName,
    Weft,
    Camera,
    SceneName,
    ViewLayer,
    Scale,
    TileColumn,
    TileColumns,
    TileRow,
    TileRows,
    TileLeft,
    TileRight,
    TileTop,
    TileBottom,
    Arg(String),
}

const PLACEHOLDERS: [(&str, Placeholder); 31] = [
    ("scene", Placeholder::Scene),
    ("scene_dir", Placeholder::SceneDir),
    ("frame", Placeholder::Frame),
    ("last_frame", Placeholder::LastFrame),
    ("frames", Placeholder::Frames),
    ("start", Placeholder::Start),
    ("end", Placeholder::End),
    ("range_end", Placeholder::RangeEnd),
    ("output", Placeholder::Output),
    ("output_pattern", Placeholder::OutputPattern),
    ("work", Placeholder::Work),
    ("inputs", Placeholder::Inputs),
    ("threads", Placeholder::Threads),
    ("gpus", Placeholder::Gpus),
    ("format", Placeholder::Format),
    ("ext", Placeholder::Extension),
    ("view", Placeholder::View),
    ("name", Placeholder::JobName),
    ("weft", Placeholder::Weft),
    ("camera", Placeholder::Camera),
    ("scene_name", Placeholder::SceneName),
    ("view_layer", Placeholder::ViewLayer),
    ("scale", Placeholder::Scale),
    ("tile.column", Placeholder::TileColumn),
    ("tile.columns", Placeholder::TileColumns),
    ("tile.row", Placeholder::TileRow),
    ("tile.rows", Placeholder::TileRows),
    ("tile.left", Placeholder::TileLeft),
    ("tile.right", Placeholder::TileRight),
    ("tile.top", Placeholder::TileTop),
    ("tile.bottom", Placeholder::TileBottom),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Value(Placeholder, Filter),
}

/// A text with placeholders, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Segment>);

impl Template {
    /// # Errors
    /// A sentence about the placeholder that isn't known.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        let mut segments = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(inner) = rest.strip_prefix('{').and_then(placeholder)
                && rest[1..].starts_with('{')
                && rest[inner.len() + 3..].starts_with('}')
            {
                plain.push_str(&rest[1..inner.len() + 3]);
                rest = &rest[inner.len() + 4..];
            } else if let Some(inner) = placeholder(rest) {
                if !plain.is_empty() {
                    segments.push(Segment::Text(std::mem::take(&mut plain)));
                }
                segments.push(value(inner)?);
                rest = &rest[inner.len() + 2..];
            } else {
                plain.push('{');
                rest = &rest[1..];
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            segments.push(Segment::Text(plain));
        }
        Ok(Template(segments))
    }

    /// The names that the text uses.
    pub(super) fn names(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Text(_) => None,
            Segment::Value(name, _) => Some(name),
        })
    }

    /// The text with each placeholder replaced by what `lookup` gives for it.
    pub(super) fn expand<'a>(
        &self,
        range_end: i64,
        mut lookup: impl FnMut(&Placeholder) -> Result<Value<'a>, CommandError>,
    ) -> Result<String, CommandError> {
        let mut text = String::new();
        for segment in &self.0 {
            match segment {
                Segment::Text(plain) => text.push_str(plain),
                Segment::Value(name, filter) => {
                    filter.apply(&mut text, lookup(name)?, range_end).map_err(|why| {
                        CommandError::BadValue { name: name.to_string(), why: why.into_owned() }
                    })?;
                }
            }
        }
        Ok(text)
    }

    /// The text with the frame's digits as a run of `#`, which renderers fill in themselves.
    pub(super) fn expand_as_pattern<'a>(
        &self,
        range_end: i64,
        mut lookup: impl FnMut(&Placeholder) -> Result<Value<'a>, CommandError>,
    ) -> Result<String, CommandError> {
        let mut text = String::new();
        for segment in &self.0 {
            match segment {
                Segment::Value(Placeholder::Frame, filter) => {
                    let places = match filter {
                        Filter::Pad(places) => *places,
                        Filter::PadLikeRangeEnd => digits_of(range_end),
                        _ => 1,
                    };
                    text.push_str(&"#".repeat(places));
                }
                other => {
                    text.push_str(&Template(vec![other.clone()]).expand(range_end, &mut lookup)?);
                }
            }
        }
        Ok(text)
    }
}

impl std::fmt::Display for Placeholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Placeholder::Arg(key) => write!(f, "arg.{key}"),
            other => {
                let known = PLACEHOLDERS.iter().find(|(_, name)| name == other);
                f.write_str(known.map_or("", |(text, _)| text))
            }
        }
    }
}

/// Whether `key` can be the K of `--arg K=V`.
pub(super) fn is_argument_name(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What stands between the braces that begin `text`, if it looks like a placeholder.
fn placeholder(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let inner = &inner[..inner.find('}')?];
    let (name, filter) = inner.split_once(':').unwrap_or((inner, ""));
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    // The key of `--arg` may have capitals and dashes; nothing else may.
    let named = match name.strip_prefix("arg.") {
        Some(key) => is_argument_name(key),
        None => {
            name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
                && name.bytes().all(|byte| word(byte) || byte == b'.')
        }
    };
    // The words to choose from are the engine's own.
    let choice = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-|".contains(&byte);
    let filtered = filter.bytes().all(word)
        || filter.contains('|') && filter.bytes().all(choice)
        || between(filter).is_some();
    (named && filtered).then_some(inner)
}

fn value(inner: &str) -> Result<Segment, String> {
    let (text, filter) = match inner.split_once(':') {
        Some((text, filter)) => (text, Some(filter)),
        None => (inner, None),
    };
    let name = match text.strip_prefix("arg.") {
        Some(key) => Placeholder::Arg(key.to_owned()),
        None => match PLACEHOLDERS.iter().find(|(known, _)| *known == text) {
            Some((_, name)) => name.clone(),
            None => {
                return Err(format!(
                    "there is no placeholder {{{text}}}; write {{{{{text}}}}} for that very text"
                ));
            }
        },
    };
    let filter = match filter {
        None => Filter::Plain,
        Some(word) => Filter::parse(word, &name)
            .ok_or_else(|| format!("{{{inner}}} has a filter that doesn't exist: {word}"))?,
    };
    Ok(Segment::Value(name, filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, with: &str) -> Result<String, CommandError> {
        Template::parse(text).unwrap().expand(120, |name| {
            Ok(match name {
                Placeholder::Frame => Value::Integer(-7),
                Placeholder::Frames => Value::Frames(&[1, 2, 3, 7, 6, 5, 9, 11, 13]),
                _ => Value::Text(with),
            })
        })
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, expected) in [
            ("{scene}", "a b"),
            ("+O{work}/{name}_{frame:04}.x", "+Oa b/a b_-0007.x"),
            ("{frame:range_end} {frame}", "-007 -7"),
            ("{frame:plus1} {frame:minus1}", "-6 -8"),
            ("{frames}", "1-3,7-5,9-13x2"),
            ("{frames:dots}", "1..3,7,6,5,9,11,13"),
            ("{arg.Some-key}", "a b"),
            ("\"{camera:quotable}\"", "\"a b\""),
            ("{camera:py}", "'a b'"),
            ("{camera:A|a b}", "{camera:A|a b}"),
            ("{camera:9..3}", "{camera:9..3}"),
            // Not placeholders:
            ("${HOME} {1..3} {} { x } { {a,b} }", "${HOME} {1..3} {} { x } { {a,b} }"),
            ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"),
            ("{{frame}} {{frame:04}} {{{frame}}}", "{frame} {frame:04} {{frame}}"),
            ("{frame", "{frame"),
            ("é{frame}é", "é-7é"),
        ] {
            assert_eq!(expand(text, "a b").as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn unknown_placeholders_are_refused() {
        for text in [
            "{fraem}",
            "{frame:4}",
            "{frame:x}",
            "{frame:099}",
            "{scene:dots}",
            "{arg}",
            "{scene:A|}",
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(&text[1..text.len().min(6) - 1]), "{text}: {error}");
        }
        assert!(Template::parse("{tile.left} {tile.nope}").is_err());
    }

    #[test]
    fn python_literals_hold_whatever_they_are_given() {
        for (given, expected) in [
            ("Camera.001", "'Camera.001'"),
            ("a'b", r"'a\'b'"),
            ("a\\", r"'a\\'"),
            ("'); import os #", r"'\'); import os #'"),
            ("a\nb\r", r"'a\U0000000ab\U0000000d'"),
            ("é😀\u{2028}", r"'\U000000e9\U0001f600\U00002028'"),
            ("{camera}", "'{camera}'"),
        ] {
            assert_eq!(expand("{camera:py}", given).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn values_are_checked() {
        for (filter, given, ok) in [
            ("int", "12", true),
            ("int", " -3 ", true),
            ("int", "1;import os", false),
            ("int", "1.5", false),
            ("count", "1", true),
            ("count", "0", false),
            ("count", "-5", false),
            ("count", "2.0", false),
            ("4..65536", "4", true),
            ("4..65536", "65536", true),
            ("4..65536", "3", false),
            ("4..65536", "65537", false),
            ("4..65536", "99999999999999999999", false),
            ("switch", "OFF", true),
            ("switch", "Yes", true),
            ("switch", "maybe", false),
            ("switch", "", false),
            ("num", "1.5", true),
            ("num", "1e9", false),
            ("num", "nan", false),
            ("num", "-.", false),
            ("word", "OPTIX+CPU", true),
            ("word", "-x", false),
            ("word", "a b", false),
            ("word", "", false),
            ("CYCLES|BLENDER_EEVEE", "CYCLES", true),
            ("CYCLES|BLENDER_EEVEE", "cycles", false),
            ("CYCLES|BLENDER_EEVEE", "CYCLES|BLENDER_EEVEE", false),
            ("quotable", "a\"b", false),
            ("quotable", "a\nb", false),
            ("py", "a\0b", false),
        ] {
            let result = expand(&format!("{{camera:{filter}}}"), given);
            assert_eq!(result.is_ok(), ok, "{filter} {given:?}: {result:?}");
        }
    }

    #[test]
    fn switches_are_what_python_calls_them() {
        for (given, expected) in [("on", "True"), ("1", "True"), ("No", "False"), ("OFF", "False")]
        {
            assert_eq!(expand("{camera:switch}", given).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn patterns_have_one_hash_a_digit() {
        let pattern = |text| {
            Template::parse(text).unwrap().expand_as_pattern(120, |_| Ok(Value::Text("n"))).unwrap()
        };
        assert_eq!(pattern("{name}_{frame:04}.{ext}"), "n_####.n");
        assert_eq!(pattern("{name}{frame:range_end}"), "n###");
        assert_eq!(pattern("{frame}"), "#");
    }
}
