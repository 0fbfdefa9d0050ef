//! The bytes of the catalog's records never change: docs/store.md promises them.

use data_encoding::HEXLOWER;
use redb::ReadableTable;
use serde::Serialize;
use weft_protocol::content::Bitmap;

use super::*;
use crate::tables::{
    self, BlobRow, ChunkRow, Looks, Name, PartialRow, PinRow, Place, RememberedRow,
};

/// A record as it lies in the catalog, its checksum after a space.
fn record(scratch: &Scratch, name: Name, key: &[u8], row: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let written = scratch.catalog.write(|tables| {
        let sheet = tables.sheet(name);
        sheet.put_row(key, row)?;
        bytes = sheet.table.get(key).unwrap().unwrap().value().to_vec();
        Ok(())
    });
    written.unwrap();
    let (content, sum) = bytes.split_at(bytes.len() - 8);
    format!("{} {}", HEXLOWER.encode(content), HEXLOWER.encode(sum))
}

#[test]
fn records_never_change() {
    let scratch = Scratch::new();
    let key = [0x11; 32];
    let blob = BlobRow {
        place: Place::Inline,
        size: 300,
        md5: [0x22; 16],
        xxh64: 0x0123_4567_89ab_cdef,
        touched: 1_700_000_000,
    };
    let expected = "01ac0222222222222222222222222222222222ef9bafcdf8acd1910180e2cfaa06";
    assert_eq!(record(&scratch, tables::BLOBS, &key, &blob), format!("{expected} BLOBSUM"));
    let chunk = ChunkRow { index: 1, offset: 262_144, len: 65_536 };
    let chunk = record(&scratch, tables::CHUNKS, &[key, [0x33; 32]].concat(), &chunk);
    assert_eq!(chunk, "01808010808004 CHUNKSUM");
    let mut held = Bitmap::new(10);
    held.set(0);
    held.set(9);
    let partial = PartialRow { held, touched: 1_700_000_000 };
    let partial = record(&scratch, tables::PARTIAL, &key, &partial);
    assert_eq!(partial, "0a02010280e2cfaa06 PARTSUM");
    let pin = PinRow { tree: true, since: 1_700_000_000, until: Some(1_700_000_001) };
    let pin = record(&scratch, tables::PINS, &[&key[..], b"job/1"].concat(), &pin);
    assert_eq!(pin, "0180e2cfaa060181e2cfaa06 PINSUM");
    let looks = Looks { size: 300, modified: 5, changed: -1, device: 2, inode: 3 };
    let remembered = RememberedRow { looks, blob: BlobId(key) };
    let remembered = record(&scratch, tables::REMEMBERED, b"/a", &remembered);
    assert_eq!(remembered, format!("ac020a010203{} REMSUM", "11".repeat(32)));
}
