//! The hashes that other tools know files by.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::Xxh64;

/// How much is read at once, in bytes.
const STEP: usize = 1 << 20;

/// The hashes of one file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHashes {
    /// Its size in bytes.
    pub size: u64,
    /// Its MD5, in lower-case hex.
    pub md5: String,
    /// Its xxHash64 with seed 0, in decimal.
    pub xxh64: String,
    /// The BLAKE3 hash of its bytes, in lower-case hex. It is not a blob's id, which is the hash
    /// of a manifest.
    pub blake3: String,
}

/// MD5 and xxHash64 of bytes as they come.
pub(crate) struct Sums {
    md5: Md5,
    xxh64: Xxh64,
}

impl Sums {
    pub(crate) fn new() -> Self {
        Self { md5: Md5::new(), xxh64: Xxh64::new(0) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.xxh64.update(bytes);
    }

    pub(crate) fn finish(self) -> ([u8; 16], u64) {
        (self.md5.finalize().into(), self.xxh64.digest())
    }
}

/// Hashes what `source` gives, in one read.
///
/// # Errors
/// What reading it reports.
pub fn hash_reader(mut source: impl Read) -> io::Result<FileHashes> {
    let mut sums = Sums::new();
    let mut blake3 = blake3::Hasher::new();
    let mut buffer = vec![0; STEP];
    let mut size = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sums.update(&buffer[..read]);
        blake3.update(&buffer[..read]);
        size += read as u64;
    }
    let (md5, xxh64) = sums.finish();
    Ok(FileHashes {
        size,
        md5: md5_hex(&md5),
        xxh64: xxh64.to_string(),
        blake3: blake3.finalize().to_hex().to_string(),
    })
}

/// Hashes a file in one read. It needs no store.
///
/// # Errors
/// What opening or reading it reports.
pub fn hash_file(path: &Path) -> io::Result<FileHashes> {
    hash_reader(File::open(path)?)
}

/// An MD5 as people write it.
#[must_use]
pub fn md5_hex(md5: &[u8; 16]) -> String {
    data_encoding::HEXLOWER.encode(md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources of the values: RFC 1321 (MD5), the xxHash repository's and the xxhash Python
    /// package's documentation (xxHash64), BLAKE3's `test_vectors.json` (the first 32 bytes).
    #[test]
    fn published_vectors_hold() {
        let hello = hash_reader(&b"Hello, World!"[..]).unwrap();
        assert_eq!(hello.md5, "65a8e27d8879283831b664bd8b7f0ad4");
        assert_eq!(hello.size, 13);
        let empty = hash_reader(&b""[..]).unwrap();
        assert_eq!(empty.md5, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(empty.xxh64, 0xef46_db37_51d8_e999_u64.to_string());
        assert_eq!(
            empty.blake3,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(hash_reader(&b"abc"[..]).unwrap().md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hash_reader(&b"abc"[..]).unwrap().xxh64, 0x44bc_2cf5_ad77_0999_u64.to_string());
        // BLAKE3's vectors are over the bytes 0, 1, …, 250, 0, 1, …
        let pattern: Vec<u8> = (0..1025_u32).map(|n| (n % 251) as u8).collect();
        assert_eq!(
            hash_reader(&pattern[..1]).unwrap().blake3,
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
        );
        assert_eq!(
            hash_reader(&pattern[..]).unwrap().blake3,
            "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"
        );
    }
}
