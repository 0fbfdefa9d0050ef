//! What is taken in: noise, as compressed textures are, and Maya ASCII, as scenes are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Marsaglia's xorshift64 (shifts 13, 7, 17).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Writes a file of noise.
pub(crate) fn noise(path: &Path, seed: u64, length: u64) {
    let mut noise = Noise::new(seed);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let mut left = length;
    while left > 0 {
        let word = noise.next().to_le_bytes();
        let take = left.min(8) as usize;
        file.write_all(&word[..take]).expect("room for the material");
        left -= take as u64;
    }
    file.flush().expect("room for the material");
}

/// A Maya scene of some length, as its lines.
pub(crate) fn maya(length: u64) -> Vec<u8> {
    let mut noise = Noise::new(7);
    let mut text = b"//Maya ASCII 2024 scene\nrequires maya \"2024\";\ncurrentUnit -l centimeter -a degree -t film;\n".to_vec();
    let mut mesh = 0;
    while (text.len() as u64) < length {
        mesh += 1;
        let head = format!(
            "createNode mesh -n \"meshShape{mesh}\" -p \"mesh{mesh}\";\n\tsetAttr -k off \".v\";\n\tsetAttr -s 64 \".vt\";\n"
        );
        text.extend_from_slice(head.as_bytes());
        for line in 0..64 {
            let number = |word: u64| (word % 2_000_000) as f64 / 1e5 - 10.0;
            let (x, y, z) = (number(noise.next()), number(noise.next()), number(noise.next()));
            writeln!(text, "\tsetAttr \".vt[{line}]\" -type \"float3\" {x:.5} {y:.5} {z:.5} ;")
                .expect("writing to memory");
        }
    }
    text.truncate(length as usize);
    text
}

/// The beginning of the line at or after a place.
pub(crate) fn line_at(text: &[u8], place: usize) -> usize {
    text[place..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| place + end + 1)
}
