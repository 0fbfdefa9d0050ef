//! The blobs that are added, fetched and lost.

use std::sync::OnceLock;

use weft_protocol::content::{Manifest, Tree, TreeEntry, TreePath};
use weft_protocol::ids::BlobId;

use crate::tests::{Scratch, for_a_peer, noise};

/// A blob, as the one who adds it has it, and as a peer sends it.
pub(super) struct Piece {
    pub(super) id: BlobId,
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Vec<u8>,
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Piece {
    pub(super) fn count(&self) -> u32 {
        Manifest::decode(&self.manifest).unwrap().chunk_count()
    }
}

/// A tree, of the two pieces after it.
pub(super) const TREE: usize = 0;
/// The pieces that the tree names.
pub(super) const LEAVES: std::ops::Range<usize> = 1..3;
/// Pieces that are put in place with one commit and one sync of everything.
pub(super) const MANY: std::ops::Range<usize> = 9..43;

/// All pieces.
pub(super) fn pieces() -> &'static [Piece] {
    static PIECES: OnceLock<Vec<Piece>> = OnceLock::new();
    PIECES.get_or_init(|| {
        let scratch = Scratch::new();
        let long = noise(1, 2_400_000);
        let mut similar = long[..1_200_000].to_vec();
        similar.splice(500_000..500_000, *b"inserted");
        let mut twice = noise(2, 200_000);
        twice.extend_from_within(..);
        let mut all = vec![
            noise(3, 300),
            noise(4, 150_000),
            noise(5, 9_000),
            noise(6, 20_000),
            long,
            similar,
            twice,
            vec![0; 3_200_000],
        ];
        all.extend(MANY.map(|n| noise(n as u64, 17_000 + n)));
        let entries = (LEAVES.zip(&all)).map(|(n, bytes)| {
            let blob = scratch.ingest_bytes(bytes).unwrap().id;
            let entry = TreeEntry { blob, size: bytes.len() as u64, frames: None };
            (TreePath::new(n.to_string()).unwrap(), entry)
        });
        let tree = Tree::new(entries.collect()).unwrap().encode();
        all.insert(TREE, tree);
        let mut pieces = Vec::new();
        for bytes in all {
            let id = scratch.ingest_bytes(&bytes).unwrap().id;
            let (manifest, chunks) = for_a_peer(&scratch, id);
            pieces.push(Piece { id, bytes, manifest, chunks });
        }
        pieces
    })
}
