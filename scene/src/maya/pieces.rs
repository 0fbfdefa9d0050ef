//! A string that is written in pieces: `( "C:/a/long/" + "path.exr" )`.

/// The longest group that is held back to see whether its pieces make a path, in bytes.
const MAX_HELD: usize = 256 * 1024;

/// What stands between two parentheses, held back until they close.
#[derive(Default)]
pub(super) struct Group {
    /// What it is written as if its pieces are no path together.
    pub(super) held: Vec<u8>,
    /// How many strings of it were changed by themselves.
    pub(super) changed: usize,
    /// Its strings, one behind the other.
    joined: Vec<u8>,
    strings: usize,
    depth: usize,
    /// Whether there is something else between its strings than `+` and space.
    other: bool,
}

impl Group {
    /// Takes a byte outside of its strings; says whether it closes the group.
    pub(super) fn code(&mut self, byte: u8) -> bool {
        match byte {
            b'(' => self.depth += 1,
            b')' => self.depth = self.depth.saturating_sub(1),
            b'+' | b'"' => {}
            byte => self.other |= !byte.is_ascii_whitespace(),
        }
        self.depth == 0
    }

    /// Takes a whole string of it, as it is written.
    pub(super) fn string(&mut self, string: &[u8]) {
        self.strings += 1;
        self.joined.extend_from_slice(string);
    }

    /// Whether it is too long to be held back any longer.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() > MAX_HELD
    }

    /// The string that its pieces make.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (self.strings > 1 && !self.other).then_some(&self.joined)
    }
}
