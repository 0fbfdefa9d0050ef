//! Running the `weft` binary in a home of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder to work in, with a home in it that belongs to no studio yet.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file here.
    pub(crate) fn write(&self, name: &str, contents: &str) {
        std::fs::write(self.path().join(name), contents).expect("a file is written");
    }

    /// A call with these arguments, from this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command
            .args(args)
            .current_dir(self.path())
            .env("WEFT_HOME", self.path().join("home"))
            .env("COLUMNS", "100")
            .env_remove("WEFT_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Calls and waits.
    pub(crate) fn weft(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("weft runs"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("weft ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Ran {
    /// The document on the standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 0, "{self:?}");
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }

    /// That it failed with this status, saying this.
    #[track_caller]
    pub(crate) fn assert_fails(&self, status: i32, saying: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for words in saying {
            assert!(self.stderr.contains(words), "'{words}' is not in {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}
