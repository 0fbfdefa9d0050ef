//! Calls of the command line.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::wait::Patience;
use crate::weft_binary;

/// How long a call may take that nobody gave another time.
const DEADLINE: Duration = Duration::from_secs(60);

/// A call of `weft` that is being put together.
#[derive(Debug)]
pub struct Call {
    command: Command,
    deadline: Duration,
}

/// What a call printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The call, for people.
    pub call: String,
    /// Its exit status; -1 when a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A call that goes on. It is ended when this is dropped.
#[derive(Debug)]
pub struct Running {
    call: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    _folder: tempfile::TempDir,
}

impl Call {
    /// `weft ARGS` with `home` as its `WEFT_HOME`.
    #[must_use]
    pub fn new(home: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(weft_binary());
        command
            .args(args)
            .env("WEFT_HOME", home)
            .env("NO_COLOR", "1")
            .env_remove("WEFT_LOG")
            .stdin(Stdio::null());
        Self { command, deadline: DEADLINE }
    }

    /// Adds an argument, such as a path.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Calls it in a folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it another time to end.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Calls, and waits for the end.
    ///
    /// # Panics
    /// When it can't be started, or doesn't end in time.
    #[must_use]
    pub fn run(self) -> Output {
        let deadline = self.deadline;
        self.start().wait(deadline)
    }

    /// Calls.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
        let create = |path: &Path| File::create(path).expect("output can be kept");
        self.command.stdout(create(&stdout)).stderr(create(&stderr));
        let args: Vec<_> = self.command.get_args().map(OsStr::to_string_lossy).collect();
        let call = format!("weft {}", args.join(" "));
        let child = self.command.spawn().unwrap_or_else(|error| panic!("`{call}`: {error}"));
        Running { call, child, stdout, stderr, _folder: folder }
    }
}

impl Running {
    /// What it printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it printed to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// How it ended, once it has.
    ///
    /// # Panics
    /// When the system can't tell.
    pub fn ended(&mut self) -> Option<Output> {
        let status = self.child.try_wait().expect("children can be waited for")?;
        Some(Output {
            call: self.call.clone(),
            status: status.code().unwrap_or(-1),
            stdout: self.stdout(),
            stderr: self.stderr(),
        })
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it doesn't end in time.
    #[must_use]
    pub fn wait(mut self, deadline: Duration) -> Output {
        let mut patience = Patience::of(deadline);
        loop {
            if let Some(output) = self.ended() {
                return output;
            }
            if patience.wait().is_err() {
                panic!(
                    "`{}` did not end within {deadline:?}; so far it printed:\n{}\n{}",
                    self.call,
                    self.stdout(),
                    self.stderr()
                );
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Output {
    /// Itself, if the call succeeded.
    ///
    /// # Panics
    /// When it didn't.
    #[must_use = "what it printed is worth a look; `_ =` says that it isn't here"]
    pub fn ok(self) -> Self {
        self.ended_with(0)
    }

    /// Itself, if the call ended with `status`.
    ///
    /// # Panics
    /// When it didn't.
    #[must_use = "what it printed is worth a look; `_ =` says that it isn't here"]
    pub fn ended_with(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "`{}` ended with {} and not {status}; it printed:\n{}\n{}",
            self.call, self.status, self.stdout, self.stderr
        );
        self
    }

    /// The JSON document that it printed.
    ///
    /// # Panics
    /// When it printed something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("`{}` printed no JSON ({error}):\n{}\n{}", self.call, self.stdout, self.stderr)
        })
    }

    /// The JSON documents that it printed, a line each.
    ///
    /// # Panics
    /// When a line is none.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let line = |line: &str| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("`{}` printed {line:?}: {error}", self.call))
        };
        self.stdout.lines().map(line).collect()
    }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
