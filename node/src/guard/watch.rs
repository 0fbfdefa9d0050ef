//! One run under the guard, from its start until all of it is gone.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::limits::{self, Limits};
use super::{GRACE, Order, Report, Told, platform};

/// A guard under which something held more than this is not used again, in bytes: the kernel only tells
/// the most that any of a process's children ever held.
pub(super) const SMALL: u64 = 32 << 20;
/// How long the pipes of an engine may stay open once all of it was ended.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs what was ordered. Whatever comes through `orders` meanwhile, its end above all, ends it. Says how it
/// went, and whether this guard can take another order.
pub(super) async fn run(
    order: &Order,
    orders: &mut mpsc::Receiver<Order>,
    told: &mpsc::Sender<Told>,
) -> (Report, bool) {
    let mut child = match platform::spawn(order) {
        Ok(child) => child,
        Err(error) => {
            return (Report { start_error: Some(error.to_string()), ..Report::default() }, true);
        }
    };
    let mut pipes = JoinSet::new();
    let (out, err) = platform::pipes(&mut child);
    if let Some(pipe) = out {
        pipes.spawn(pass_on(pipe, told.clone(), Told::Printed));
    }
    if let Some(pipe) = err {
        pipes.spawn(pass_on(pipe, told.clone(), Told::Complained));
    }
    let group = child.id();
    let space = order.space.as_ref().map(|(folder, most)| (folder.into(), *most));
    let limits = Limits { memory: order.memory, space };
    let (mut exceeded, mut called_off) = (None, false);
    let status = tokio::select! {
        status = child.wait() => status,
        excess = limits::exceeded(&limits, told) => {
            exceeded = Some(excess);
            let _ = child.start_kill();
            child.wait().await
        }
        _ = orders.recv() => {
            called_off = true;
            platform::ask_to_end(group, order.inside);
            match tokio::time::timeout(GRACE, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            }
        }
    };
    let gone = platform::end_all(group);
    // Where a job object ends the rest, that is when it closes.
    drop(child);
    let drained = async { while pipes.join_next().await.is_some() {} };
    // They close with the last process that holds them.
    let closed = tokio::time::timeout(CLOSING, drained).await.is_ok();
    let peak_memory = platform::peak_memory();
    let again = !called_off && exceeded.is_none() && gone && closed && peak_memory <= SMALL;
    (report(status, order.inside, Report { peak_memory, exceeded, ..Report::default() }), again)
}

fn report(status: std::io::Result<ExitStatus>, inside: bool, report: Report) -> Report {
    match status {
        Ok(status) => match (status.code(), platform::signal(&status)) {
            // Bubblewrap says like a shell that a signal ended the engine.
            (Some(code @ 129..=192), _) if inside => Report { signal: Some(code - 128), ..report },
            (exit_code, signal) => Report { exit_code, signal, ..report },
        },
        Err(error) => Report { start_error: Some(error.to_string()), ..report },
    }
}

/// Tells what comes out of a pipe. Where nobody listens any more it is read all the same: an engine that is to
/// end must not wait for that.
async fn pass_on(
    mut pipe: impl AsyncRead + Unpin,
    told: mpsc::Sender<Told>,
    tell: fn(Vec<u8>) -> Told,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let _ = told.send(tell(buffer[..read].to_vec())).await;
    }
}
