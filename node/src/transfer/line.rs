//! A stream to one provider, with a task for each direction: who only wrote while the other side
//! writes too would wait for ever.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use weft_protocol::ids::NodeId;
use weft_protocol::wire::transfer::{MAX_PAYLOAD, MAX_REPLY, Reply, Request};

use crate::network::{CHUNKS, Network, OpenError, Stream, frames};

/// How many requests wait to be written. A peer that reads so slowly is of no use.
const QUEUE: usize = 2048;

/// A line to a provider. It is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    requests: mpsc::Sender<Request>,
    reader: AbortHandle,
}

/// What came over a line.
#[derive(Debug)]
pub(super) enum Came {
    /// A reply, and the bytes behind it.
    Reply(Reply, Vec<u8>),
    /// It is closed, by the other side or by what the other side sent.
    End(String),
}

/// What came over some line, and over which.
pub(super) type Answer = (NodeId, Came);

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Line {
    /// Opens a line; what comes over it goes to `answers`, which makes it wait when it is full.
    pub(super) async fn open(
        network: &Network,
        node: NodeId,
        answers: mpsc::Sender<Answer>,
    ) -> Result<Self, OpenError> {
        let (reader, writer) = network.open(&node, CHUNKS).await?.split();
        let (requests, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write(writer, queue));
        let reader = tokio::spawn(async move {
            let mut reader = reader;
            loop {
                let came = match read(&mut reader).await {
                    Ok(Some((reply, bytes))) => Came::Reply(reply, bytes),
                    Ok(None) => Came::End("it was closed".to_owned()),
                    Err(error) => Came::End(error.to_string()),
                };
                let ended = matches!(came, Came::End(_));
                if answers.send((node, came)).await.is_err() || ended {
                    return;
                }
            }
        });
        Ok(Self { requests, reader: reader.abort_handle() })
    }

    /// Sends a request. Says whether there was room for it.
    pub(super) fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

async fn write(mut writer: futures::io::WriteHalf<Stream>, mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.recv().await {
        let written = async {
            frames::write(&mut writer, &request).await?;
            while let Ok(next) = queue.try_recv() {
                frames::write(&mut writer, &next).await?;
            }
            writer.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
    let _ = writer.close().await;
}

async fn read(reader: &mut futures::io::ReadHalf<Stream>) -> io::Result<Option<(Reply, Vec<u8>)>> {
    let Some(reply) = frames::read::<_, Reply>(reader, MAX_REPLY).await? else {
        return Ok(None);
    };
    let length = match &reply {
        Reply::Chunk(chunk) => chunk.bytes as usize,
        _ => 0,
    };
    if length > MAX_PAYLOAD {
        let why = format!("a chunk of {length} bytes was announced, more than any has");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    Ok(Some((reply, bytes)))
}
