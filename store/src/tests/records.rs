//! The bytes of the catalog's records never change: docs/store.md promises them.

use data_encoding::HEXLOWER;
use redb::ReadableTable;
use serde::Serialize;
use weft_protocol::content::Bitmap;

use super::*;
use crate::tables::{
    self, BlobRow, ChunkRow, Looks, LostRow, Name, PartialRow, PinRow, Place, RememberedRow,
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
    let chunk = ChunkRow { index: 1, offset: 262_144, len: 65_536 };
    let mut held = Bitmap::new(10);
    held.set(0);
    held.set(9);
    let partial = PartialRow { held, touched: 1_700_000_000 };
    let pin = PinRow { tree: true, since: 1_700_000_000, until: Some(1_700_000_001) };
    let looks = Looks { size: 300, modified: 5, changed: -1, device: 2, inode: 3 };
    let remembered = RememberedRow { looks, blob: BlobId(key) };
    let records = [
        record(&scratch, tables::BLOBS, &key, &blob),
        record(&scratch, tables::CHUNKS, &[key, [0x33; 32]].concat(), &chunk),
        record(&scratch, tables::PARTIAL, &key, &partial),
        record(&scratch, tables::LOST, &key, &LostRow { since: 1_700_000_000 }),
        record(&scratch, tables::PINS, &[&key[..], b"job/1"].concat(), &pin),
        record(&scratch, tables::REMEMBERED, b"/a", &remembered),
    ];
    let remembered = format!("ac020a010203{} 82332ed9ef746987", "11".repeat(32));
    let expected = [
        "01ac0222222222222222222222222222222222ef9bafcdf8acd1910180e2cfaa06 02a5a7a51f83b46d",
        "01808010808004 fd2a947cb771df01",
        "0a02010280e2cfaa06 dda3d08874701197",
        "80e2cfaa06 b567bd0f3c786250",
        "0180e2cfaa060181e2cfaa06 d8de7febdc3e3f58",
        &remembered,
    ];
    assert_eq!(records, expected);
}
