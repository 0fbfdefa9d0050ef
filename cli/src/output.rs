//! How things look: colours, tables, numbers, progress.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod units;

use std::env;

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// Colours on a terminal that has them, unless `NO_COLOR` is set (see no-color.org).
    pub(crate) fn of_terminal(is_terminal: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { colours: is_terminal && !refused && !dumb }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Something that went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What a table's columns are called.
    pub(crate) fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A job's or frame's status, in the colour of what it means.
    pub(crate) fn status(self, status: &str) -> String {
        let code = match status {
            "completed" | "done" | "alive" => "32",
            "failed" | "dead" => "31",
            "paused" | "awaiting_approval" | "suspect" => "33",
            "rendering" | "preparing" | "assigned" => "36",
            _ => return status.to_owned(),
        };
        self.paint(code, status)
    }
}

/// A text from elsewhere, safe to print: names and messages of others must not move the cursor or
/// change the terminal's title. Ends of lines and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if visible(c) { c } else { '\u{fffd}' }).collect()
}

/// Like [`plain`], on one line.
pub(crate) fn plain_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Style::default().status("done"), "done");
        assert_eq!(Style { colours: true }.status("done"), "\u{1b}[32mdone\u{1b}[0m");
        assert_eq!(Style::of_terminal(false), Style::default());
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
        assert_eq!(plain_line("a\nb\u{7}"), "a b ");
    }
}
