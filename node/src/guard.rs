//! `weft guard`: the process between the daemon and engines.
//!
//! It starts an engine in a process group of its own, niced, and outlives the daemon just long
//! enough to end it: when the daemon dies, however suddenly, the pipe to the guard's standard
//! input closes, and the engine goes with all its children. On Linux the guard is a subreaper, so
//! that children that detach themselves come back to it and are ended too.
//!
//! Through its standard input it is told what to run (`Order`), and through its standard output it tells what
//! the engine prints and how it ended (`Told`): postcard behind its length (u32, little endian). One
//! engine at a time. When all of one is gone it may be given the next: starting a guard takes longer than many
//! a program runs.

#[cfg(target_os = "linux")]
mod fence;
mod limits;
mod platform;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use weft_protocol::wire;

pub use limits::Exceeded;

/// How an engine's process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Why it could not be started.
    pub start_error: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The most memory that the largest of its processes held, in bytes, however shortly; 0 where not known.
    /// What they held together is told meanwhile, as `Told::Held`. Of a small one
    /// it may be what another small one held before it, under the same guard: see `watch::SMALL`.
    pub peak_memory: u64,
    /// What it took too much of, where it was ended for that.
    pub exceeded: Option<Exceeded>,
}

impl Report {
    /// The most memory that the engine was seen to hold, in bytes. The kernel tells what one process held, and only
    /// of those that were waited for; what too many held together was counted.
    pub(crate) fn held(&self) -> u64 {
        match self.exceeded {
            Some(Exceeded::Memory(held, _)) => self.peak_memory.max(held),
            _ => self.peak_memory,
        }
    }
}

/// How long an engine may take to end by itself once it was asked to.
pub const GRACE: Duration = Duration::from_secs(3);
/// The longest message either way, in bytes: a command line, or a piece of what is printed.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// What is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// All of its environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub(crate) folder: OsString,
    /// How much memory all its processes may hold, in bytes.
    pub(crate) memory: Option<u64>,
    /// How many bytes may lie below a folder.
    pub(crate) space: Option<(OsString, u64)>,
    /// Whether the program is bubblewrap, whose own two processes are passed over when the engine is asked to
    /// end.
    pub(crate) inside: bool,
    /// What the kernel's Landlock is to hold it to.
    pub(crate) fence: Option<Fence>,
}

/// What an engine is held to by the kernel's Landlock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fence {
    pub(crate) read: Vec<OsString>,
    pub(crate) write: Vec<OsString>,
    pub(crate) network: bool,
}

/// What the guard tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// The engine printed this on its standard output.
    Printed(Vec<u8>),
    /// The same, on its standard error.
    Complained(Vec<u8>),
    /// All its processes together held so many bytes of memory, noticeably more than ever before.
    Held(u64),
    /// It is over, with all that it started; and whether the guard takes another order.
    Over(Report, bool),
}

/// Runs the guard; `args` are those behind `weft guard`.
#[must_use]
pub fn run(args: &[OsString]) -> ExitCode {
    if !args.is_empty() || io::stdin().is_terminal() {
        eprintln!("weft guard is used by weft itself");
        return ExitCode::from(2);
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let served = runtime.block_on(async {
        let (orders, tells) = platform::daemon()?;
        serve(orders, tells).await;
        Ok::<_, io::Error>(())
    });
    // Where a thread waits for the daemon's next word, it goes with the process.
    runtime.shutdown_background();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does what it is told until the daemon is gone, or one run left something behind.
async fn serve(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
) {
    platform::settle();
    let (ordered, mut orders) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut came = Vec::new();
        while let Some(order) = next::<Order>(&mut from, &mut came).await {
            if ordered.send(order).await.is_err() {
                return;
            }
        }
    });
    let (told, mut tells) = mpsc::channel::<Told>(16);
    let teller = tokio::spawn(async move {
        while let Some(told) = tells.recv().await {
            if tell(&mut to, &told).await.is_err() {
                return;
            }
        }
    });
    while let Some(order) = orders.recv().await {
        let (report, again) = watch::run(&order, &mut orders, &told).await;
        if told.send(Told::Over(report, again)).await.is_err() || !again {
            break;
        }
    }
    drop(told);
    let _ = teller.await;
}

/// A message as it is written.
fn framed<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let bytes = wire::encode(message);
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the command line is too long");
    if bytes.len() > MAX_MESSAGE {
        return Err(too_long());
    }
    let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
    Ok([&length.to_le_bytes()[..], &bytes].concat())
}

/// Writes a message.
///
/// # Errors
/// When it is longer than [`MAX_MESSAGE`], or nobody reads it.
pub(crate) async fn tell<T: Serialize>(
    pipe: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    pipe.write_all(&framed(message)?).await?;
    pipe.flush().await
}

/// The next message, of which `came` is what is here already; none once the pipe has closed, and of what is no message. Nothing is lost when
/// this is not waited for to the end.
pub(crate) async fn next<T: DeserializeOwned>(
    pipe: &mut (impl AsyncRead + Unpin),
    came: &mut Vec<u8>,
) -> Option<T> {
    loop {
        if let Some((length, rest)) = came.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_MESSAGE {
                return None;
            }
            if rest.len() >= length {
                let message = wire::decode(&rest[..length], MAX_MESSAGE).ok();
                came.drain(..4 + length);
                return message;
            }
        }
        match pipe.read_buf(came).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_too_many_processes_held_together_counts() {
        let report = |exceeded| Report { peak_memory: 5, exceeded, ..Report::default() };
        assert_eq!(report(None).held(), 5);
        assert_eq!(report(Some(Exceeded::Memory(9, 7))).held(), 9);
        assert_eq!(report(Some(Exceeded::Space(9, 7))).held(), 5);
    }

    #[tokio::test]
    async fn orders_travel_whole_whatever_their_bytes() {
        let mut order = Order {
            program: "/bin/tracer".into(),
            arguments: vec!["--report".into(), OsString::new(), "a\nb".into()],
            environment: vec![("PATH".into(), "/bin".into())],
            folder: "/w".into(),
            memory: Some(5),
            space: Some(("/w".into(), 7)),
            inside: true,
            fence: Some(Fence { read: vec!["/usr".into()], write: Vec::new(), network: true }),
        };
        #[cfg(unix)]
        order.arguments.push(std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]));
        let mut pipe = framed(&order).unwrap();
        pipe.extend(framed(&Order::default()).unwrap());
        let (mut pipe, mut came) = (pipe.as_slice(), Vec::new());
        assert_eq!(next::<Order>(&mut pipe, &mut came).await, Some(order));
        assert_eq!(next::<Order>(&mut pipe, &mut came).await, Some(Order::default()));
        assert_eq!(next::<Order>(&mut pipe, &mut came).await, None);
        let mut cut_off = &[9, 0, 0, 0, 1][..];
        assert_eq!(next::<Order>(&mut cut_off, &mut came).await, None);
        let (mut too_long, mut came) = (&[0xff; 9][..], Vec::new());
        assert_eq!(next::<Order>(&mut too_long, &mut came).await, None);
    }
}
