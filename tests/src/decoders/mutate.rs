//! Bytes that are nearly right: what a disk, a wire or a liar makes of good ones.

use crate::Random;

/// Values that lengths and counters trip over.
const AWKWARD: [u8; 6] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

/// The bytes with one to four changes: a bit flipped, a byte replaced, a piece doubled, left out, cut off,
/// overwritten with another, or a number that claims to be huge put in.
#[must_use]
pub fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = place(&bytes, random);
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = AWKWARD[random.below(6) as usize],
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 => {
                let piece = piece(&bytes, random);
                let to = place(&bytes, random);
                let copied = bytes[piece].to_vec();
                bytes.splice(to..to, copied);
            }
            4 => {
                let piece = piece(&bytes, random);
                bytes.drain(piece);
            }
            5 => bytes.truncate(at),
            6 => {
                let (from, to) = (piece(&bytes, random), at);
                let copied = bytes[from].to_vec();
                let end = bytes.len().min(to + copied.len());
                bytes.splice(to..end, copied);
            }
            // As long as postcard's longest number: 2⁶⁴ - 1 of whatever follows.
            _ => {
                let huge = [0xff; 9].into_iter().chain([0x01]);
                bytes.splice(at..at, huge);
            }
        }
    }
    bytes
}

/// A place between bytes, the one after the last included.
fn place(bytes: &[u8], random: &mut Random) -> usize {
    random.below(bytes.len() as u64 + 1) as usize
}

/// A piece of up to 64 bytes.
fn piece(bytes: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let from = place(bytes, random);
    from..bytes.len().min(from + random.below(64) as usize)
}
