//! Reading a database's pages past the database: records on any page that looks like a leaf.
//!
//! A leaf has (little-endian, redb's design.md): 1 (one byte), a byte, the number of its records
//! (2), the end of each key (4 each), the end of each value (4 each), counted from the page's
//! beginning; then the keys, then the values. Leaves that are in use no more are found as well.
//! Whoever reads them believes only records that carry their checksum.

use std::io;

use crate::disk::DiskFile;

/// Pages begin at its multiples, in bytes.
const PAGE: usize = 4096;

/// The longest leaf that is looked at, in bytes: with one long manifest, of some 10 GB.
const LONGEST: usize = 2 << 20;

/// Calls `each` with every key and value that may be one.
///
/// # Errors
/// When the file can't be read, and what `each` reports.
pub(crate) fn each_record<E: From<io::Error>>(
    file: &dyn DiskFile,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let length = file.len()?;
    let mut page = Vec::new();
    for start in (0..length).step_by(PAGE) {
        let rest = usize::try_from(length - start).unwrap_or(usize::MAX);
        page.resize(rest.min(PAGE), 0);
        file.read_at(start, &mut page)?;
        let count = match page[..] {
            [1, _, low, high, ..] => usize::from(u16::from_le_bytes([low, high])),
            _ => continue,
        };
        let keys = 4 + 8 * count;
        if count == 0 || keys > page.len() {
            continue;
        }
        let ends: Vec<usize> = page[4..keys]
            .chunks_exact(4)
            .map(|end| end.iter().rev().fold(0, |end, byte| end << 8 | usize::from(*byte)))
            .collect();
        let last = ends[2 * count - 1];
        if last > page.len() && last <= LONGEST.min(rest) {
            page.resize(last, 0);
            file.read_at(start, &mut page)?;
        }
        for n in 0..count {
            let key_start = if n == 0 { keys } else { ends[n - 1] };
            // The values begin where the keys end.
            let (key, value) =
                (page.get(key_start..ends[n]), page.get(ends[count + n - 1]..ends[count + n]));
            if let (Some(key), Some(value)) = (key, value) {
                each(key, value)?;
            }
        }
    }
    Ok(())
}
