//! What every command is given: how to answer, and whom to ask.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;
use weft_node::home::Home;

use crate::client::Client;
use crate::error::Failure;
use crate::output::Style;

/// How to answer, and whom to ask.
#[derive(Debug)]
pub(crate) struct Context {
    json: bool,
    peer: Option<String>,
    home: Home,
    out: Style,
    err: Style,
}

impl Context {
    pub(crate) fn new(json: bool, peer: Option<String>) -> Self {
        Self {
            json,
            peer,
            home: Home::at(&Home::default_path()),
            out: Style::of_terminal(io::stdout().is_terminal()),
            err: Style::of_terminal(io::stderr().is_terminal()),
        }
    }

    /// Answers as `other` does, and asks the node of another home.
    pub(crate) fn at(home: &Home, other: &Self) -> Self {
        Self { json: other.json, peer: None, home: home.clone(), out: other.out, err: other.err }
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { out: Style::default(), err: Style::default(), ..Self::new(false, None) }
    }

    /// Whether a script reads the answer.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// The node that was named, if one was.
    pub(crate) fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// This user's home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The colours of errors.
    pub(crate) fn style_err(&self) -> Style {
        self.err
    }

    /// The node to ask.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.home, self.peer()).await
    }

    /// `weft `, followed by what is needed to reach the same node again.
    pub(crate) fn call(&self, rest: &str) -> String {
        match &self.peer {
            Some(peer) => format!("weft --peer {peer} {rest}"),
            None => format!("weft {rest}"),
        }
    }

    /// Answers: the document for scripts, the words for people.
    pub(crate) fn answer(
        &self,
        document: &Value,
        words: impl FnOnce(Style) -> String,
    ) -> Result<(), Failure> {
        if self.json { self.document(document) } else { self.print(&words(self.out)) }
    }

    /// Prints a document on one line.
    pub(crate) fn document(&self, document: &Value) -> Result<(), Failure> {
        self.print(&document.to_string())
    }

    /// Prints a text and the end of the line.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| {
            // `weft jobs | head -1` is no mistake; there is nobody left to tell anything.
            if error.kind() == io::ErrorKind::BrokenPipe {
                Failure::told(0)
            } else {
                Failure::failed(format!("the answer can't be printed: {error}"))
            }
        })
    }

    /// Tells the person something that isn't the answer.
    pub(crate) fn note(&self, text: &str) {
        // Where even the standard error is closed, there is nobody to tell.
        _ = writeln!(io::stderr().lock(), "{text}");
    }
}
