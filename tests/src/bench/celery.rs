//! Celery with Redis, where Debian's `python3-celery`, `python3-redis` and `redis-server` are
//! installed, as the peer of the control plane's bench.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait_for;

/// The system's own Python: Debian's packages are for that one.
const PYTHON: &str = "/usr/bin/python3";

/// A broker with some workers; they are ended when it is dropped.
#[derive(Debug)]
pub struct Celery {
    url: String,
    children: Vec<Child>,
}

impl Drop for Celery {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

impl Celery {
    /// Starts Redis in `home`, without durability, and so many workers with `--pool=solo`. None where
    /// something is not installed.
    ///
    /// # Panics
    /// When Redis does not answer.
    #[must_use]
    pub fn start(home: &Path, workers: usize) -> Option<Self> {
        let installed = Command::new(PYTHON).args(["-c", "import celery, redis"]).status();
        if !installed.is_ok_and(|status| status.success()) {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut redis = Command::new("redis-server");
        redis.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        redis.args(["--appendonly", "no", "--dir"]).arg(home);
        let redis = quiet(&mut redis).spawn().ok()?;
        let url = format!("redis://127.0.0.1:{port}/0");
        let mut celery = Self { url, children: vec![redis] };
        wait_for(Duration::from_secs(10), "Redis answers", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        for number in 0..workers {
            let mut worker = celery.python();
            worker.args(["-m", "celery", "-A", "celery_peer", "worker", "--pool=solo"]);
            worker.args(["--loglevel=ERROR", "--without-gossip", "--without-mingle"]);
            worker.arg(format!("--hostname=peer{number}"));
            celery.children.push(quiet(&mut worker).spawn().ok()?);
        }
        // Until the workers have started, and are warm.
        _ = celery.drive("nothing", 100);
        Some(celery)
    }

    fn python(&self) -> Command {
        let mut command = Command::new(PYTHON);
        command.current_dir(folder()).env("CELERY_PEER", &self.url);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// How long so many tasks take that do nothing (`nothing`) or run `/bin/true` (`true`), from the first that
    /// is sent to the last result.
    ///
    /// # Panics
    /// When Celery fails.
    #[must_use]
    pub fn drive(&self, task: &str, count: usize) -> Duration {
        let mut command = self.python();
        let output = command.args(["celery_peer.py", "drive", task, &count.to_string()]).output();
        let output = output.expect("Python can be started");
        let seconds = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        let seconds = seconds.trim().parse().unwrap_or_else(|_| panic!("celery: {error}"));
        Duration::from_secs_f64(seconds)
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
