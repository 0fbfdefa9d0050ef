//! One struct's bytes, read by the names of its fields.

use super::dna::{Dna, Field, Structure};
use super::number::Layout;

/// The bytes of one struct, and what the DNA says about them.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) dna: &'a Dna,
    pub(super) structure: &'a Structure,
    pub(super) bytes: &'a [u8],
    pub(super) layout: Layout,
}

impl<'a> Record<'a> {
    /// The name of the struct.
    pub(super) fn name(&self) -> &'a str {
        self.dna.name_of(self.structure)
    }

    fn field(&self, path: &str) -> Option<(Field, &'a [u8])> {
        let field = self.dna.field(self.structure, path)?;
        let bytes = self.bytes.get(field.offset..field.offset.checked_add(field.size)?)?;
        Some((field, bytes))
    }

    /// A whole number of whichever size.
    pub(super) fn int(&self, path: &str) -> Option<i64> {
        let (field, bytes) = self.field(path)?;
        if field.is_pointer || field.elements != 1 {
            return None;
        }
        match self.dna.type_name(field.type_index) {
            "uchar" | "ushort" | "uint32_t" | "uint8_t" | "uint16_t" | "ulong" | "uint64_t" => {
                i64::try_from(self.layout.unsigned(bytes)?).ok()
            }
            "float" | "double" => None,
            _ => self.layout.signed(bytes),
        }
    }

    /// A floating-point number.
    pub(super) fn float(&self, path: &str) -> Option<f64> {
        let (field, bytes) = self.field(path)?;
        match self.dna.type_name(field.type_index) {
            "float" | "double" if !field.is_pointer && field.elements == 1 => {
                self.layout.float(bytes)
            }
            _ => None,
        }
    }

    /// The text in an array of char, up to its NUL.
    pub(super) fn text(&self, path: &str) -> Option<&'a [u8]> {
        let (field, bytes) = self.field(path)?;
        let is_text = !field.is_pointer && self.dna.type_name(field.type_index) == "char";
        is_text.then(|| until_nul(bytes))
    }

    /// A pointer: an old address, 0 for none.
    pub(super) fn pointer(&self, path: &str) -> Option<u64> {
        let (field, bytes) = self.field(path)?;
        field.is_pointer.then(|| self.layout.pointer(bytes))?
    }
}

/// The bytes before the first NUL, or all of them.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}
