//! Serving bytes to peers.

use std::io;
use std::sync::Arc;

use futures::{AsyncWriteExt, StreamExt};
use weft_protocol::ids::BlobId;
use weft_protocol::wire::transfer::{Encoding, MAX_REQUEST, MAX_WHOLE, Reply, Request};
use weft_store::Store;

use super::Traffic;
use crate::network::{CHUNKS, Network, Stream, frames};

/// A chunk is sent compressed when that saves at least an eighth of it: less is not worth the
/// other side's time.
const WORTH: usize = 8;
/// zstd's fastest ordinary level: it keeps up with a gigabit on one core.
const LEVEL: i32 = 1;
/// How much of a chunk is tried first: bytes that do not compress are told by their beginning.
const SAMPLE: usize = 16 * 1024;

/// Answers peers for as long as the network lives.
pub(crate) async fn serve(network: Network, store: Arc<Store>, traffic: Traffic) {
    let Some(mut incoming) = network.accept(CHUNKS) else {
        return;
    };
    while let Some((_, stream)) = incoming.next().await {
        let (store, traffic) = (Arc::clone(&store), traffic.clone());
        tokio::spawn(async move {
            if let Err(error) = answer(stream, store, traffic).await {
                tracing::debug!(%error, "a transfer ended early");
            }
        });
    }
}

async fn answer(mut stream: Stream, store: Arc<Store>, traffic: Traffic) -> io::Result<()> {
    while let Some(request) = frames::read::<_, Request>(&mut stream, MAX_REQUEST).await? {
        let store = Arc::clone(&store);
        let reply = tokio::task::spawn_blocking(move || reply(&store, request))
            .await
            .map_err(io::Error::other)?;
        if let Reply::Chunk(_, _, _, bytes) | Reply::Whole(_, _, bytes) = &reply {
            traffic.sent(bytes.len());
        }
        frames::write(&mut stream, &reply).await?;
        stream.flush().await?;
    }
    stream.close().await
}

fn reply(store: &Store, request: Request) -> Reply {
    match request {
        Request::Open(blob) => open(store, blob).unwrap_or(Reply::Unknown(blob)),
        Request::Want(blob, index) => match store.read_chunk(blob, index) {
            Ok(bytes) => {
                let (encoding, bytes) = squeeze(bytes);
                Reply::Chunk(blob, index, encoding, bytes)
            }
            Err(error) => {
                tracing::debug!(%error, "a chunk was asked that can't be served");
                Reply::Missing(blob, index)
            }
        },
    }
}

fn open(store: &Store, blob: BlobId) -> Option<Reply> {
    let manifest = store.manifest_bytes(blob).ok()??;
    let info = store.info(blob).ok()?;
    if info.as_ref().is_some_and(|info| info.size <= MAX_WHOLE) {
        let bytes = store.read_all(blob, MAX_WHOLE).ok()?;
        return Some(Reply::Whole(blob, manifest, bytes));
    }
    let have = store.have(blob).ok()??;
    Some(Reply::Manifest(blob, manifest, have))
}

fn squeeze(bytes: Vec<u8>) -> (Encoding, Vec<u8>) {
    let pays = |plain: &[u8]| {
        let packed = zstd::bulk::compress(plain, LEVEL).ok()?;
        (packed.len() + plain.len() / WORTH < plain.len()).then_some(packed)
    };
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    if pays(sample).is_none() {
        return (Encoding::Plain, bytes);
    }
    match pays(&bytes) {
        Some(packed) => (Encoding::Zstd, packed),
        None => (Encoding::Plain, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let text = b"setAttr -k on \".tx\" 1.25;\n".repeat(4000);
        let (encoding, packed) = squeeze(text.clone());
        assert_eq!(encoding, Encoding::Zstd);
        assert!(packed.len() < text.len() / 8);
        let noise: Vec<u8> =
            (0..3000_u32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
        assert_eq!(squeeze(noise.clone()), (Encoding::Plain, noise));
    }
}
