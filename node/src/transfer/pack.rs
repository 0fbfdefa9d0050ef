//! Chunks as they are on the wire: compressed where that pays.

use std::cell::RefCell;

use weft_protocol::wire::transfer::Encoding;

/// A chunk is sent compressed when that saves at least an eighth of it: less is not worth the
/// other side's time.
const WORTH: usize = 8;
/// zstd's fastest ordinary level: it keeps up with a gigabit on one core.
const LEVEL: i32 = 1;
/// How much of a chunk is looked at first: bytes that do not compress are told by their middle,
/// where headers and padding are rare.
const SAMPLE: usize = 4 * 1024;
/// The entropy in bits a byte above which the look says no. Compressed and encrypted bytes have
/// 7.95 and more in a sample of this size, texts 4 to 6, floating-point numbers 7 at most.
const DENSE: f32 = 7.6;

thread_local! {
    // Making one costs more than compressing a small chunk.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A chunk as it should be sent.
pub(super) fn squeeze(bytes: Vec<u8>) -> (Encoding, Vec<u8>) {
    let middle = bytes.len().saturating_sub(SAMPLE) / 2;
    if entropy(&bytes[middle..bytes.len().min(middle + SAMPLE)]) > DENSE {
        return (Encoding::Plain, bytes);
    }
    let packed = COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            *compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        // What doesn't fit into less is not worth it.
        let most = bytes.len() - bytes.len() / WORTH;
        let mut packed = Vec::with_capacity(most);
        compressor.as_mut()?.compress_to_buffer(&bytes, &mut packed).ok()?;
        Some(packed)
    });
    match packed {
        Some(packed) if packed.len() + bytes.len() / WORTH <= bytes.len() => {
            (Encoding::Zstd, packed)
        }
        _ => (Encoding::Plain, bytes),
    }
}

/// The bytes of a chunk of `len` bytes; empty if they are not what was sent. The capacity is the
/// chunk's true length: a bomb is refused before it grows.
pub(super) fn unpack(encoding: Encoding, bytes: Vec<u8>, len: usize) -> Vec<u8> {
    match encoding {
        Encoding::Plain => bytes,
        Encoding::Zstd => DECOMPRESSOR.with_borrow_mut(|decompressor| {
            if decompressor.is_none() {
                *decompressor = zstd::bulk::Decompressor::new().ok();
            }
            let unpacked = decompressor.as_mut().map(|known| known.decompress(&bytes, len));
            unpacked.and_then(Result::ok).unwrap_or_default()
        }),
    }
}

/// Shannon's entropy of the bytes' frequencies, in bits a byte.
fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in bytes {
        counts[usize::from(*byte)] = counts[usize::from(*byte)].saturating_add(1);
    }
    let all = bytes.len() as f32;
    let bits = |count: &u16| f32::from(*count) / all * (all / f32::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise() -> Vec<u8> {
        (0..3000_u32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect()
    }

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let text = b"setAttr -k on \".tx\" 1.25;\n".repeat(4000);
        let (encoding, packed) = squeeze(text.clone());
        assert_eq!(encoding, Encoding::Zstd);
        assert!(packed.len() < text.len() / 8);
        assert_eq!(unpack(encoding, packed, text.len()), text);
        assert_eq!(squeeze(noise()), (Encoding::Plain, noise()));
        assert_eq!(squeeze(Vec::new()), (Encoding::Plain, Vec::new()));
    }

    #[test]
    fn what_looks_good_and_does_not_get_smaller_is_sent_as_it_is() {
        let mut bytes = noise();
        let middle = (bytes.len() - SAMPLE) / 2;
        bytes[middle..middle + SAMPLE].fill(7);
        assert_eq!(squeeze(bytes.clone()), (Encoding::Plain, bytes));
    }

    #[test]
    fn a_bomb_does_not_grow() {
        let (encoding, packed) = squeeze(vec![0; 1 << 20]);
        assert_eq!(unpack(encoding, packed, 1000), Vec::<u8>::new());
        assert_eq!(unpack(Encoding::Zstd, vec![1, 2, 3], 1000), Vec::<u8>::new());
    }

    #[test]
    fn entropy_tells_text_from_noise() {
        assert!(entropy(&noise()[..SAMPLE]) > DENSE);
        assert!(entropy(b"setAttr -k on \".tx\" 1.25;\n") < 5.0);
    }
}
