//! The DNA block: the memory layout of every struct in the file, as its writer had them.
//!
//! | part | contents |
//! |---|---|
//! | `SDNA` | – |
//! | `NAME` | i32 count, then NUL-terminated field names with their pointers and array sizes, padded to 4 |
//! | `TYPE` | i32 count, then NUL-terminated type names, padded to 4 |
//! | `TLEN` | the size of each type, u16, padded to 4 |
//! | `STRC` | i32 count, then for each struct u16 type, u16 fields, and (u16 type, u16 name) for each field |

use std::collections::HashMap;
use std::sync::Arc;

use crate::analysis::AnalyseError;

use super::number::Layout;

/// The most structs inside structs that are followed: Blender's own go 5 deep.
const MAX_NESTING: usize = 16;
/// The most pointers of one struct that are followed: Blender's own have some hundreds.
const MAX_POINTERS: usize = 16 * 1024;

/// One field of a struct.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Without pointers and array sizes.
    pub(super) name: Arc<str>,
    /// An index for [`Dna::type_name`].
    pub(super) type_index: usize,
    /// Bytes from the beginning of the struct.
    pub(super) offset: usize,
    /// Bytes, of all its elements together.
    pub(super) size: usize,
    /// How many elements, 1 if it is no array.
    pub(super) elements: usize,
    pub(super) is_pointer: bool,
}

/// One struct.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) type_index: usize,
    pub(super) size: usize,
    pub(super) fields: Vec<Field>,
}

/// A pointer inside a struct, embedded structs included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Bytes from the beginning of the outermost struct.
    pub(super) offset: usize,
    /// An index for [`Dna::type_name`].
    pub(super) target: usize,
}

/// All structs of a file.
#[derive(Debug)]
pub(super) struct Dna {
    types: Vec<String>,
    structures: Vec<Structure>,
    by_type: HashMap<usize, usize>,
}

impl Dna {
    /// Parses the contents of the DNA block, which begins at `position` of the file.
    pub(super) fn parse(bytes: &[u8], position: u64, layout: Layout) -> Result<Self, AnalyseError> {
        let mut cursor = Cursor { bytes, at: 0, layout };
        match cursor.dna() {
            Some(dna) => Ok(dna),
            None => Err(AnalyseError::corrupt(
                position + cursor.at as u64,
                "the description of the file's own structure (DNA) is damaged",
            )),
        }
    }

    pub(super) fn type_name(&self, type_index: usize) -> &str {
        self.types.get(type_index).map_or("", String::as_str)
    }

    /// Whether the file knows a type of this name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.types.iter().any(|known| known == name)
    }

    /// The struct that block headers call `index`.
    pub(super) fn structure(&self, index: u32) -> Option<&Structure> {
        self.structures.get(usize::try_from(index).ok()?)
    }

    pub(super) fn name_of(&self, structure: &Structure) -> &str {
        self.type_name(structure.type_index)
    }

    /// The struct with this type, unless it is a plain number or unknown to the file.
    pub(super) fn structure_of_type(&self, type_index: usize) -> Option<&Structure> {
        self.structures.get(*self.by_type.get(&type_index)?)
    }

    /// Finds a field by its path of names, such as `r.im_format.imtype`. Its offset counts from
    /// the outermost struct.
    pub(super) fn field(&self, structure: &Structure, path: &str) -> Option<Field> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let field = structure.fields.iter().find(|field| &*field.name == name)?;
        let Some(rest) = rest else {
            return Some(field.clone());
        };
        if field.is_pointer {
            return None;
        }
        let mut inner = self.field(self.structure_of_type(field.type_index)?, rest)?;
        inner.offset += field.offset;
        Some(inner)
    }

    /// Whether a struct is a datablock: `ID` itself, or one that begins with an `ID`.
    pub(super) fn is_id(&self, structure: &Structure) -> bool {
        self.name_of(structure) == "ID"
            || structure
                .fields
                .first()
                .is_some_and(|field| !field.is_pointer && self.type_name(field.type_index) == "ID")
    }

    /// All pointers of a struct, embedded structs included, except what `leave_out` names by the
    /// name of a struct and of its field.
    pub(super) fn pointers(
        &self,
        structure: &Structure,
        leave_out: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Pointer> {
        let mut found = Vec::new();
        self.collect_pointers(structure, 0, 0, leave_out, &mut found);
        found
    }

    fn collect_pointers(
        &self,
        structure: &Structure,
        base: usize,
        depth: usize,
        leave_out: &dyn Fn(&str, &str) -> bool,
        found: &mut Vec<Pointer>,
    ) {
        if depth > MAX_NESTING {
            return;
        }
        let owner = self.name_of(structure);
        for field in &structure.fields {
            if leave_out(owner, &field.name) {
                continue;
            }
            let inner =
                if field.is_pointer { None } else { self.structure_of_type(field.type_index) };
            // An empty struct can hold itself any number of times: it must not be entered.
            if field.size == 0 || !field.is_pointer && inner.is_none() {
                continue;
            }
            let each = field.size / field.elements.max(1);
            for element in 0..field.elements {
                if found.len() >= MAX_POINTERS {
                    return;
                }
                let offset = base + field.offset + element * each;
                match inner {
                    Some(inner) => {
                        let before = found.len();
                        self.collect_pointers(inner, offset, depth + 1, leave_out, found);
                        if found.len() == before {
                            break; // The other elements have no pointers either.
                        }
                    }
                    None => found.push(Pointer { offset, target: field.type_index }),
                }
            }
        }
    }
}

/// A field's name, taken apart.
struct FieldName {
    base: Arc<str>,
    elements: usize,
    is_pointer: bool,
}

/// Takes `*next`, `mat[4][4]` or `(*func)()` apart. `None` if array sizes make no sense.
fn field_name(text: &str) -> Option<FieldName> {
    let is_pointer = text.starts_with('*') || text.starts_with('(');
    let base_end = text.find('[').unwrap_or(text.len());
    let mut elements = 1usize;
    for dimension in text[base_end..].split('[').skip(1) {
        let size: usize = dimension.strip_suffix(']')?.parse().ok()?;
        elements = elements.checked_mul(size)?;
    }
    let base = text[..base_end].trim_start_matches(['*', '(']);
    let base = base.split(')').next().unwrap_or(base);
    Some(FieldName { base: base.into(), elements, is_pointer })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
}

impl Cursor<'_> {
    fn dna(&mut self) -> Option<Dna> {
        self.expect(b"SDNA")?;
        let names = self.names(b"NAME")?;
        let types = self.names(b"TYPE")?;
        self.align();
        self.expect(b"TLEN")?;
        let mut lengths = Vec::with_capacity(types.len());
        for _ in 0..types.len() {
            lengths.push(self.short()?);
        }
        self.align();
        self.expect(b"STRC")?;
        let count = self.count(4)?;
        let names: Vec<FieldName> =
            names.iter().map(|name| field_name(name)).collect::<Option<_>>()?;
        let mut structures = Vec::with_capacity(count);
        let mut by_type = HashMap::with_capacity(count);
        for index in 0..count {
            let structure = self.structure(&names, &lengths)?;
            by_type.insert(structure.type_index, index);
            structures.push(structure);
        }
        Some(Dna { types, structures, by_type })
    }

    fn structure(&mut self, names: &[FieldName], lengths: &[usize]) -> Option<Structure> {
        let type_index = self.short()?;
        let size = *lengths.get(type_index)?;
        let count = self.short()?;
        let mut fields = Vec::with_capacity(count.min(self.left() / 4));
        let mut offset = 0usize;
        for _ in 0..count {
            let field_type = self.short()?;
            let name = names.get(self.short()?)?;
            let each = if name.is_pointer {
                self.layout.pointer.bytes()
            } else {
                *lengths.get(field_type)?
            };
            let size_in_bytes = each.checked_mul(name.elements)?;
            fields.push(Field {
                name: name.base.clone(),
                type_index: field_type,
                offset,
                size: size_in_bytes,
                elements: name.elements,
                is_pointer: name.is_pointer,
            });
            offset = offset.checked_add(size_in_bytes)?;
            if offset > size {
                return None;
            }
        }
        Some(Structure { type_index, size, fields })
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn expect(&mut self, tag: &[u8; 4]) -> Option<()> {
        (self.bytes.get(self.at..self.at + 4)? == tag).then(|| self.at += 4)
    }

    fn short(&mut self) -> Option<usize> {
        let layout = self.layout;
        layout.unsigned(self.take(2)?).and_then(|value| usize::try_from(value).ok())
    }

    /// How many things follow, each at least `size` bytes long: never more than could be there.
    fn count(&mut self, size: usize) -> Option<usize> {
        let layout = self.layout;
        let count = usize::try_from(layout.signed(self.take(4)?)?).ok()?;
        (count <= self.left() / size).then_some(count)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4).min(self.bytes.len());
    }

    fn names(&mut self, tag: &[u8; 4]) -> Option<Vec<String>> {
        self.align();
        self.expect(tag)?;
        let count = self.count(1)?;
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let rest = &self.bytes[self.at..];
            let length = rest.iter().position(|&byte| byte == 0)?;
            names.push(String::from_utf8_lossy(&rest[..length]).into_owned());
            self.at += length + 1;
        }
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_come_apart() {
        for (text, base, elements, is_pointer) in [
            ("flag", "flag", 1, false),
            ("*next", "next", 1, true),
            ("**mat", "mat", 1, true),
            ("*mtex[18]", "mtex", 18, true),
            ("mat[4][4]", "mat", 16, false),
            ("(*func)()", "func", 1, true),
        ] {
            let name = field_name(text).expect(text);
            assert_eq!(
                (&*name.base, name.elements, name.is_pointer),
                (base, elements, is_pointer),
                "{text}"
            );
        }
        assert!(field_name("a[x]").is_none());
        assert!(field_name("a[99999999999][99999999999]").is_none());
    }
}
