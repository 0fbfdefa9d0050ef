//! Guards as the daemon sees them: started, told what to run, listened to, and kept for the next run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::guard::{GRACE, Order, Report, Told, next, tell};

/// How long a guard that has nothing to do is kept: quick programs come one behind the other.
const KEPT: Duration = Duration::from_secs(5);

/// A guard that runs something, or waits for an order.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Child,
    /// It ends what it runs, and itself, when this closes.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// What came of the next message.
    came: Vec<u8>,
}

impl Guard {
    /// Starts one, which waits for an order.
    ///
    /// # Errors
    /// When `weft` can't be started.
    pub(crate) fn start(weft: &Path) -> io::Result<Self> {
        let mut process = tokio::process::Command::new(weft)
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { process, stdin, stdout, came: Vec::new() })
    }

    /// Tells it what to run.
    ///
    /// # Errors
    /// When it is gone, or the command line is longer than any may be.
    pub(crate) async fn order(&mut self, order: &Order) -> io::Result<()> {
        tell(self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?, order).await
    }

    /// What it tells next; none once it is gone. Nothing is lost when this is not waited for to the end.
    pub(crate) async fn told(&mut self) -> Option<Told> {
        next(&mut self.stdout, &mut self.came).await
    }

    /// Makes it end what it runs, and itself, and waits for both; what it tells until then is given to
    /// `each`. Gives how that ended.
    pub(crate) async fn end(mut self, mut each: impl FnMut(Told)) -> Option<Report> {
        self.stdin = None;
        let over = async {
            loop {
                match self.told().await? {
                    Told::Over(report, _) => return Some(report),
                    told => each(told),
                }
            }
        };
        let over = tokio::time::timeout(GRACE + Duration::from_secs(2), over).await;
        if over.is_err() {
            let _ = self.process.kill().await;
        }
        over.ok().flatten()
    }
}

/// The most guards that are kept: as many quick programs run side by side without one being started anew.
const MAX_KEPT: usize = 16;

/// The guards of a daemon: one a run, of which some are kept for the next ones.
#[derive(Debug)]
pub(crate) struct Guards {
    weft: PathBuf,
    idle: Mutex<Idle>,
}

/// The guards that wait, each with its number, and how many did so far.
#[derive(Debug, Default)]
struct Idle {
    guards: Vec<(u64, Guard)>,
    kept: u64,
}

impl Guards {
    /// No guards yet; `weft` is the program that they are.
    pub(crate) fn new(weft: PathBuf) -> Arc<Self> {
        Arc::new(Self { weft, idle: Mutex::default() })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run under a guard.
    ///
    /// # Errors
    /// When there can be no guard, or the command line is longer than any may be.
    pub(crate) async fn run(&self, order: &Order) -> io::Result<Guard> {
        let kept = self.idle().guards.pop();
        // Somebody may have killed it.
        let kept = kept.and_then(|(_, mut guard)| {
            guard.process.try_wait().is_ok_and(|s| s.is_none()).then_some(guard)
        });
        if let Some(mut guard) = kept
            && guard.order(order).await.is_ok()
        {
            return Ok(guard);
        }
        let mut guard = Guard::start(&self.weft)?;
        guard.order(order).await?;
        Ok(guard)
    }

    /// Keeps a guard whose run is over, and that takes another order, for a while.
    pub(crate) fn keep(self: &Arc<Self>, guard: Guard) {
        let kept = {
            let mut idle = self.idle();
            idle.kept += 1;
            let kept = idle.kept;
            if idle.guards.len() < MAX_KEPT {
                idle.guards.push((kept, guard));
            }
            kept
        };
        let guards = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Some(guards) = guards.upgrade() {
                guards.idle().guards.retain(|(number, _)| *number != kept);
            }
        });
    }
}
