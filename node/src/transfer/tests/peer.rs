//! Peers for tests, which serve bytes well or badly.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use weft_protocol::content::{Bitmap, Manifest};
use weft_protocol::wire::transfer::{
    Chunk, Encoding, MAX_IN_FLIGHT, MAX_REPLY, MAX_REQUEST, Reply, Request,
};

use crate::network::place::Place;
use crate::network::{CHUNKS, Stream, frames};

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Honest,
    /// It takes so long to say what it has.
    OpensLate(Duration),
    /// Every chunk has a flipped bit.
    WrongBytes,
    /// It says to have everything, and then nothing.
    Stalls,
    /// It says to have everything, and that it has nothing when it is asked.
    Denies,
    /// It closes the stream in the middle of a chunk.
    Closes,
    /// It describes another file: its manifest has other chunks, and it says to have one more than there are.
    OtherManifest,
    /// It sends one chunk, and announces that again, without bytes, for all it is asked.
    Repeats,
    /// It announces, without bytes, what it is told to be there.
    Echoes,
    /// In place of a chunk it begins the longest of all answers.
    Bloats,
}

/// Bytes that nothing compresses.
pub(super) fn bytes_of(seed: u8, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// A peer that serves one blob in its way.
pub(super) struct Peer {
    pub(super) place: Place,
}

#[derive(Clone)]
struct Serving {
    behaviour: Behaviour,
    each: Duration,
    manifest: Vec<u8>,
    bytes: Arc<Vec<u8>>,
    /// One chunk at a time, whoever asks: as over one link.
    link: Arc<tokio::sync::Mutex<()>>,
}

impl Peer {
    /// A peer that takes a while for each chunk.
    pub(super) async fn new(
        number: u8,
        behaviour: Behaviour,
        each: Duration,
        manifest: Vec<u8>,
        bytes: Arc<Vec<u8>>,
    ) -> Self {
        let place = Place::new(number).await;
        let mut incoming = place.network.accept(CHUNKS);
        let serving = Serving { behaviour, each, manifest, bytes, link: Arc::default() };
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.recv().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.answer(stream).await });
            }
        });
        Self { place }
    }
}

impl Serving {
    async fn answer(self, stream: Stream) -> std::io::Result<()> {
        let (mut reader, mut writer) = stream.split();
        let (requests, mut queue) = tokio::sync::mpsc::channel(MAX_IN_FLIGHT);
        tokio::spawn(async move {
            while let Ok(Some(request)) = frames::read::<_, Request>(&mut reader, MAX_REQUEST).await
            {
                if requests.send(request).await.is_err() {
                    return;
                }
            }
        });
        let manifest = Manifest::decode(&self.manifest).unwrap();
        let more = u32::from(self.behaviour == Behaviour::OtherManifest);
        let full = Bitmap::full(manifest.chunk_count() + more);
        let offsets: Vec<u64> = manifest.offsets().collect();
        // What it may announce for what it is asked.
        let mut known = VecDeque::new();
        while let Some(request) = queue.recv().await {
            match request {
                Request::Open(blobs) => {
                    let mut manifest = self.manifest.clone();
                    if let Behaviour::OpensLate(after) = self.behaviour {
                        tokio::time::sleep(after).await;
                    }
                    if self.behaviour == Behaviour::OtherManifest {
                        manifest[50] ^= 1;
                    }
                    let reply = Reply::Manifest(blobs[0], manifest, full.clone());
                    frames::write(&mut writer, &reply).await?;
                }
                Request::Follow(blob) => {
                    frames::write(&mut writer, &Reply::Holds(blob, full.clone())).await?;
                }
                Request::Want { blob, chunk: want, .. } => {
                    if self.behaviour == Behaviour::Stalls {
                        std::future::pending::<()>().await;
                    }
                    if self.behaviour == Behaviour::Bloats {
                        let length = u32::try_from(MAX_REPLY).unwrap();
                        writer.write_all(&length.to_le_bytes()).await?;
                        writer.write_all(&vec![0; MAX_REPLY]).await?;
                        return writer.close().await;
                    }
                    if self.behaviour == Behaviour::Denies {
                        frames::write(&mut writer, &Reply::Missing(blob, want)).await?;
                        writer.flush().await?;
                        continue;
                    }
                    if let Some(chunk) = known.pop_front() {
                        let encoding = Encoding::Plain;
                        let head = Chunk { blob, asked: want, chunk, encoding, bytes: 0 };
                        frames::write(&mut writer, &Reply::Chunk(head)).await?;
                        if self.behaviour == Behaviour::Repeats {
                            known.push_back(chunk);
                        }
                        writer.flush().await?;
                        continue;
                    }
                    let chunk = want;
                    let link = self.link.lock().await;
                    tokio::time::sleep(self.each).await;
                    drop(link);
                    let len = manifest.chunks[chunk as usize].len;
                    let start = usize::try_from(offsets[chunk as usize]).unwrap();
                    let mut bytes = self.bytes[start..start + len as usize].to_vec();
                    let head =
                        Chunk { blob, asked: chunk, chunk, encoding: Encoding::Plain, bytes: len };
                    frames::write(&mut writer, &Reply::Chunk(head)).await?;
                    match self.behaviour {
                        Behaviour::Closes => {
                            writer.write_all(&bytes[..1000]).await?;
                            return writer.close().await;
                        }
                        Behaviour::WrongBytes => bytes[len as usize / 2] ^= 1,
                        Behaviour::Repeats => known.push_back(chunk),
                        _ => {}
                    }
                    writer.write_all(&bytes).await?;
                }
                Request::Gained(_, chunks) if self.behaviour == Behaviour::Echoes => {
                    known.extend(chunks);
                }
                Request::Cancel(..) | Request::Hold(..) | Request::Gained(..) => {}
            }
            writer.flush().await?;
        }
        Ok(())
    }
}
