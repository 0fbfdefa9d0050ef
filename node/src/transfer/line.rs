//! A stream to one provider, with a task for each direction: who only wrote while the other side
//! writes too would wait for ever.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use weft_protocol::ids::{BlobId, NodeId};
use weft_protocol::wire::transfer::{MAX_NEWS, MAX_PAYLOAD, MAX_REPLY, Reply, Request};

use crate::network::{CHUNKS, Network, OpenError, Stream, frames};

/// How many requests wait to be written. A peer that reads so slowly is of no use.
const QUEUE: usize = 2048;

/// How many bytes the long replies have that a node holds at once, whoever sends them: two of the longest.
const LONG: usize = 2 * MAX_REPLY;
/// Of how many bytes a long reply is read at once, and how long each such piece may take: who sends no more holds room
/// that others wait for.
const PIECE: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(8);

/// A line to a provider. It is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    requests: mpsc::Sender<Request>,
    opened: Arc<Opened>,
    reader: AbortHandle,
}

/// What came over a line.
#[derive(Debug)]
pub(super) enum Came {
    /// A reply, the bytes behind it, and the room that it takes if it is a long one.
    Reply(Reply, Vec<u8>, Option<OwnedSemaphorePermit>),
    /// It is closed, by the other side or by what the other side sent.
    End(String),
    /// It is closed: the other side began a long reply and did not go on.
    Stalled,
    /// It is closed: what the other side sent nobody asked for.
    Unasked,
}

/// Room for replies of more than [`MAX_NEWS`] bytes, of all lines of a node together. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    /// How long a piece may take.
    patience: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(LONG)), patience: PATIENCE }
    }
}

impl Room {
    /// Waits for room for so many bytes.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.free).acquire_many_owned(bytes).await.ok()
    }
}

/// The blobs that the other side was asked to open, and how often; it has not answered yet.
#[derive(Debug, Default)]
struct Opened(Mutex<BTreeMap<BlobId, usize>>);

impl Opened {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<BlobId, usize>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn asked(&self, request: &Request) {
        if let Request::Open(blobs) = request {
            self.with(|open| blobs.iter().for_each(|blob| *open.entry(*blob).or_default() += 1));
        }
    }

    fn is_empty(&self) -> bool {
        self.with(|open| open.is_empty())
    }

    /// A reply came: whether it answers one of these.
    fn answered(&self, reply: &Reply) -> bool {
        let (Reply::Manifest(blob, ..) | Reply::Whole(blob, ..) | Reply::Unknown(blob)) = reply
        else {
            return false;
        };
        self.with(|open| {
            let Some(count) = open.get_mut(blob) else { return false };
            *count -= 1;
            if *count == 0 {
                open.remove(blob);
            }
            true
        })
    }
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
        room: Room,
    ) -> Result<Self, OpenError> {
        let (reader, writer) = network.open(&node, CHUNKS).await?.split();
        let (requests, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write(writer, queue));
        let opened = Arc::<Opened>::default();
        let asked = Arc::clone(&opened);
        let reader = tokio::spawn(async move {
            let mut reader = reader;
            loop {
                let came = match read(&mut reader, &asked, &room).await {
                    Ok(came) => came,
                    Err(error) => Came::End(error.to_string()),
                };
                let ended = !matches!(came, Came::Reply(..));
                if answers.send((node, came)).await.is_err() || ended {
                    return;
                }
            }
        });
        Ok(Self { requests, opened, reader: reader.abort_handle() })
    }

    /// Sends a request. Says whether there was room for it.
    pub(super) fn ask(&self, request: Request) -> bool {
        self.opened.asked(&request);
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

/// Reads the next reply. Only what was asked to be opened may be answered at length.
async fn read<S: AsyncRead + Unpin>(
    reader: &mut S,
    opened: &Opened,
    room: &Room,
) -> io::Result<Came> {
    let Some(length) = frames::length(reader).await? else {
        return Ok(Came::End("it was closed".to_owned()));
    };
    let is_long = length > MAX_NEWS;
    if length > MAX_REPLY || (is_long && opened.is_empty()) {
        return Ok(Came::Unasked);
    }
    let taken = if is_long { room.take(length).await } else { None };
    let mut message = Vec::new();
    while message.len() < length {
        let begun = message.len();
        message.resize(length.min(begun + PIECE), 0);
        let piece = reader.read_exact(&mut message[begun..]);
        if is_long {
            let Ok(read) = tokio::time::timeout(room.patience, piece).await else {
                return Ok(Came::Stalled);
            };
            read?;
        } else {
            piece.await?;
        }
    }
    let reply: Reply = frames::decode(&message)?;
    drop(message);
    if !opened.answered(&reply) && is_long {
        return Ok(Came::Unasked);
    }
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
    Ok(Came::Reply(reply, bytes, taken))
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use weft_protocol::content::Bitmap;
    use weft_protocol::wire;

    use super::*;

    const BLOB: BlobId = BlobId([1; 32]);

    fn sent(reply: &Reply) -> Vec<u8> {
        let bytes = wire::encode(reply);
        [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], &bytes].concat()
    }

    fn manifest_of(blob: BlobId, bytes: usize) -> Vec<u8> {
        sent(&Reply::Manifest(blob, vec![0; bytes], Bitmap::new(0)))
    }

    fn opened() -> Opened {
        let opened = Opened::default();
        opened.asked(&Request::Open(vec![BLOB]));
        opened
    }

    #[tokio::test]
    async fn only_what_was_asked_is_answered_at_length() {
        let room = Room::default();
        let short = sent(&Reply::Gained(BLOB, vec![1]));
        let came = read(&mut Cursor::new(short), &Opened::default(), &room).await.unwrap();
        assert!(matches!(came, Came::Reply(..)), "{came:?}");

        // It is refused before anything of it is read.
        for (length, opened) in [(MAX_NEWS + 1, Opened::default()), (MAX_REPLY + 1, opened())] {
            let announced = u32::try_from(length).unwrap().to_le_bytes();
            let came = read(&mut Cursor::new(announced), &opened, &room).await.unwrap();
            assert!(matches!(came, Came::Unasked), "{came:?}");
        }

        let long = MAX_NEWS + PIECE;
        let asked = opened();
        for (blob, expected) in [(BlobId([2; 32]), false), (BLOB, true), (BLOB, false)] {
            let came =
                read(&mut Cursor::new(manifest_of(blob, long)), &asked, &room).await.unwrap();
            assert_eq!(matches!(came, Came::Reply(..)), expected, "{came:?}");
        }
    }

    #[tokio::test]
    async fn long_replies_wait_for_room_and_give_it_back() {
        let room = Room::default();
        let read_one = async || {
            let mut reader = Cursor::new(manifest_of(BLOB, MAX_REPLY - 100));
            read(&mut reader, &opened(), &room).await.unwrap()
        };
        let (first, second) = (read_one().await, read_one().await);
        let mut third = std::pin::pin!(read_one());
        assert!(futures::poll!(&mut third).is_pending(), "two of the longest are held");
        drop(first);
        let third = third.await;
        assert!(matches!((&second, &third), (Came::Reply(..), Came::Reply(..))));
        drop((second, third));

        // Who announces much and sends little is not waited for.
        let announced = u32::try_from(MAX_REPLY).unwrap().to_le_bytes();
        let silent = Cursor::new(announced).chain(futures::io::BufReader::new(Silent));
        let room = Room { patience: Duration::from_millis(20), ..room.clone() };
        let came = read(&mut Box::pin(silent), &opened(), &room).await.unwrap();
        assert!(matches!(came, Came::Stalled), "{came:?}");
        assert_eq!(room.free.available_permits(), LONG);
    }

    struct Silent;

    impl AsyncRead for Silent {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            std::task::Poll::Pending
        }
    }
}
