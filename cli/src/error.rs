//! The one place that turns what went wrong into words and an exit status.

use std::process::ExitCode;

use weft_scene::analysis::AnalyseError;

use crate::context::Context;
use crate::output::plain;

/// The command failed: an exit status, and what people are told.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    /// Empty when everything was said already.
    message: String,
    details: Vec<String>,
}

impl Failure {
    /// It failed: the job did, or the file doesn't match.
    pub(crate) const FAILED: u8 = 1;
    /// The call was wrong.
    pub(crate) const CALL: u8 = 2;
    /// No node could be reached.
    pub(crate) const UNREACHABLE: u8 = 3;
    /// The person detached, as shells write it: 128 + SIGINT. Were it 0, `weft watch x && upload`
    /// would upload what isn't there yet.
    pub(crate) const DETACHED: u8 = 130;

    fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: without_numbers(&message.into()), details: Vec::new() }
    }

    /// Something failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Self::FAILED, message)
    }

    /// The person asked for something that makes no sense.
    pub(crate) fn call(message: impl Into<String>) -> Self {
        Self::new(Self::CALL, message)
    }

    /// The answer was given in full by what was printed; only the status is left to tell.
    pub(crate) fn told(exit: u8) -> Self {
        Self::new(exit, "")
    }

    /// The person ended it by Ctrl-C.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Self::DETACHED, message)
    }

    /// Adds lines below the message.
    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details.iter().map(|detail| without_numbers(detail)).collect();
        self
    }

    /// Adds a sentence to the message.
    pub(crate) fn and(mut self, sentence: &str) -> Self {
        self.message = format!("{} {sentence}", self.message.trim_end());
        self
    }

    /// What a part of weft says, with its own exit status.
    pub(crate) fn from_parts(exit: u8, message: String) -> Self {
        // A status that scripts don't know would be worse than a plain "it failed".
        let known = (Self::FAILED..=5).contains(&exit);
        Self::new(if known { exit } else { Self::FAILED }, message)
    }

    /// Whether no node could be reached.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.exit == Self::UNREACHABLE
    }

    /// What people are told, without details.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Tells the person, and gives the process's status.
    pub(crate) fn report(&self, context: &Context) -> ExitCode {
        if !self.message.is_empty() {
            context.note(&self.words(context));
        }
        ExitCode::from(self.exit)
    }

    fn words(&self, context: &Context) -> String {
        let mut words = format!("{} {}", context.style_err().bad("error:"), plain(&self.message));
        for detail in &self.details {
            words.push_str("\n  ");
            words.push_str(&plain(detail));
        }
        words
    }
}

impl From<AnalyseError> for Failure {
    fn from(error: AnalyseError) -> Self {
        // Whatever is wrong with it, the scene that was named is not one to work with.
        Self::call(format!("{error}. Nothing was changed."))
    }
}

impl From<weft_node::error::ApiError> for Failure {
    fn from(error: weft_node::error::ApiError) -> Self {
        let message = match error.hint.as_str() {
            "" => sentence(&error.message),
            hint => format!("{} {hint}", sentence(&error.message)),
        };
        Self::from_parts(error.exit(), message).with_details(error.details)
    }
}

/// Without the numbers that systems give their errors: the words beside them say the same.
fn without_numbers(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        words.push_str(&rest[..at]);
        let number = &rest[at + MARK.len()..];
        let behind = number.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = match behind.strip_prefix(')') {
            Some(behind) => behind,
            None => {
                words.push_str(MARK);
                number
            }
        };
    }
    words + rest
}

/// With a full stop, unless it ends in a mark already.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

macro_rules! from_node {
    ($($error:path),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::from_parts(error.exit(), sentence(&error.to_string()))
            }
        }
    )+};
}

from_node!(weft_node::setup::SetupError, weft_node::RunError,);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_details_below_and_no_escapes() {
        let failure = Failure::call("the scene lacks 2 files.")
            .and("Nothing was submitted.")
            .with_details(vec!["a.png (os error 2)".into(), "b\u{1b}[31m.png".into()]);
        insta::assert_snapshot!(failure.words(&Context::for_tests()), @r"
        error: the scene lacks 2 files. Nothing was submitted.
          a.png
          b�[31m.png
        ");
    }

    #[test]
    fn systems_numbers_are_left_out() {
        let error = std::io::Error::from_raw_os_error(2);
        let words = without_numbers(&format!("'a' can't be read: {error}; nothing was done."));
        assert!(!words.contains("os error") && words.ends_with("; nothing was done."), "{words}");
        assert_eq!(without_numbers("x (os error y"), "x (os error y");
    }

    #[test]
    fn unknown_statuses_become_failures() {
        assert_eq!(Failure::from_parts(0, "x".into()).exit, Failure::FAILED);
        assert_eq!(Failure::from_parts(77, "x".into()).exit, Failure::FAILED);
        assert_eq!(Failure::from_parts(5, "x".into()).exit, 5);
    }
}
