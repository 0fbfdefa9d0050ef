//! Numbers as a file lays them out: by the machine that wrote it.

/// How many bytes a pointer takes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointerSize {
    Four,
    Eight,
}

impl PointerSize {
    pub(super) fn bytes(self) -> usize {
        match self {
            PointerSize::Four => 4,
            PointerSize::Eight => 8,
        }
    }
}

/// The pointer size and byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) pointer: PointerSize,
    pub(super) big_endian: bool,
}

impl Layout {
    /// The unsigned number that `bytes` (at most 8) hold.
    pub(super) fn unsigned(self, bytes: &[u8]) -> Option<u64> {
        if bytes.is_empty() || bytes.len() > 8 {
            return None;
        }
        let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        })
    }

    /// The signed number that `bytes` (at most 8) hold.
    pub(super) fn signed(self, bytes: &[u8]) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?.min(8);
        let value = self.unsigned(bytes)?;
        Some(((value << unused) as i64) >> unused)
    }

    /// The pointer at the beginning of `bytes`.
    pub(super) fn pointer(self, bytes: &[u8]) -> Option<u64> {
        self.unsigned(bytes.get(..self.pointer.bytes())?)
    }

    /// The floating-point number that `bytes` (4 or 8) hold.
    pub(super) fn float(self, bytes: &[u8]) -> Option<f64> {
        let bits = self.unsigned(bytes)?;
        match bytes.len() {
            4 => Some(f64::from(f32::from_bits(u32::try_from(bits).ok()?))),
            8 => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_and_signs() {
        let little = Layout { pointer: PointerSize::Four, big_endian: false };
        let big = Layout { pointer: PointerSize::Eight, big_endian: true };
        assert_eq!(little.signed(&[0xfe, 0xff]), Some(-2));
        assert_eq!(big.signed(&[0xff, 0xfe]), Some(-2));
        assert_eq!(little.unsigned(&[0xfe, 0xff]), Some(0xfffe));
        assert_eq!(little.signed(&[0, 1, 0, 0]), Some(256));
        assert_eq!(little.pointer(&[1, 0, 0, 0, 9]), Some(1));
        assert_eq!(big.pointer(&[0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(big.pointer(&[0; 7]), None);
        assert_eq!(little.float(&1.5f32.to_le_bytes()), Some(1.5));
        assert_eq!(big.float(&(-0.25f64).to_be_bytes()), Some(-0.25));
        assert_eq!(little.signed(&[]), None);
        assert_eq!(little.signed(&[0; 9]), None);
    }
}
