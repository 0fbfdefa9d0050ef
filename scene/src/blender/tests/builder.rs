//! Puts `.blend` files together by hand, in every layout: 32 and 64 bits, both byte orders, both kinds
//! of headers. Blender itself has long written only one of them.

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub(super) pointer: usize,
    pub(super) big_endian: bool,
    pub(super) large_headers: bool,
}

pub(super) const STYLES: [Style; 5] = [
    Style { pointer: 4, big_endian: false, large_headers: false },
    Style { pointer: 8, big_endian: false, large_headers: false },
    Style { pointer: 4, big_endian: true, large_headers: false },
    Style { pointer: 8, big_endian: true, large_headers: false },
    Style { pointer: 8, big_endian: false, large_headers: true },
];

/// The structs of the made-up files: name, then the types and names of fields.
const STRUCTS: &[(&str, &[(&str, &str)])] = &[
    ("Link", &[("Link", "*next"), ("Link", "*prev")]),
    (
        "ID",
        &[
            ("void", "*next"),
            ("void", "*prev"),
            ("Library", "*lib"),
            ("char", "name[66]"),
            ("char", "pad[6]"),
        ],
    ),
    ("Library", &[("ID", "id"), ("char", "name[240]"), ("Library", "*archive_parent_library")]),
    (
        "RenderData",
        &[
            ("int", "sfra"),
            ("int", "efra"),
            ("int", "xsch"),
            ("int", "ysch"),
            ("short", "size"),
            ("short", "frs_sec"),
            ("float", "frs_sec_base"),
            ("short", "imtype"),
            ("short", "pad"),
            ("int", "frame_step"),
            ("char", "engine[32]"),
        ],
    ),
    ("Scene", &[("ID", "id"), ("Object", "*camera"), ("Base", "*base"), ("RenderData", "r")]),
    ("Base", &[("Base", "*next"), ("Object", "*object")]),
    (
        "Object",
        &[("ID", "id"), ("short", "type"), ("short", "pad"), ("int", "pad2"), ("void", "*data")],
    ),
    ("Mesh", &[("ID", "id"), ("Material", "**mat")]),
    ("Material", &[("ID", "id"), ("Image", "*image")]),
    (
        "Image",
        &[
            ("ID", "id"),
            ("char", "name[240]"),
            ("short", "source"),
            ("short", "pad[3]"),
            ("PackedFile", "*packedfile"),
        ],
    ),
    ("FileGlobal", &[("Scene", "*curscene")]),
    (
        "ImageUser",
        &[
            ("Scene", "*scene"),
            ("int", "framenr"),
            ("int", "frames"),
            ("int", "offset"),
            ("int", "sfra"),
            ("char", "cycl"),
            ("char", "pad"),
            ("short", "flag"),
            ("int", "pad2"),
        ],
    ),
    ("NodeTexImage", &[("ImageUser", "iuser")]),
    ("ListBase", &[("void", "*first"), ("void", "*last")]),
    ("bNodeTree", &[("ID", "id")]),
    (
        "bNode",
        &[("ID", "*id"), ("void", "*storage"), ("char", "idname[64]"), ("ListBase", "inputs")],
    ),
    (
        "bNodeSocket",
        &[("bNodeSocket", "*next"), ("void", "*default_value"), ("char", "identifier[64]")],
    ),
    ("bNodeSocketValueString", &[("int", "subtype"), ("int", "pad"), ("char", "value[1024]")]),
    ("FCurve", &[("char", "*rna_path")]),
    ("ImageView", &[("ImageView", "*next"), ("char", "name[64]"), ("char", "filepath[240]")]),
    ("CustomDataExternal", &[("char", "filename[240]")]),
    ("OceanModifierData", &[("char", "cachepath[240]"), ("char", "cached"), ("char", "pad[7]")]),
    (
        "CacheFile",
        &[("ID", "id"), ("char", "filepath[240]"), ("char", "is_sequence"), ("char", "pad[7]")],
    ),
    ("CacheFileLayer", &[("char", "filepath[240]"), ("int", "flag"), ("int", "pad2")]),
    ("NodesModifierData", &[("char", "*bake_directory"), ("void", "*bakes")]),
    ("NodesModifierBake", &[("char", "*directory"), ("void", "*packed")]),
    ("ViewLayer", &[("char", "name[64]"), ("IDProperty", "*id_properties")]),
    ("IDPropertyData", &[("ListBase", "group"), ("int", "val"), ("int", "val2")]),
    (
        "IDProperty",
        &[
            ("IDProperty", "*next"),
            ("char", "type"),
            ("char", "pad[7]"),
            ("char", "name[64]"),
            ("IDPropertyData", "data"),
        ],
    ),
];

const TYPES: &[(&str, usize)] =
    &[("char", 1), ("short", 2), ("int", 4), ("float", 4), ("void", 0), ("PackedFile", 0)];

/// Builds a file block by block.
pub(super) struct Builder {
    pub(super) style: Style,
    pub(super) bytes: Vec<u8>,
}

/// A value for a field.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
}

impl Builder {
    pub(super) fn new(style: Style) -> Self {
        let bytes = if style.large_headers {
            b"BLENDER17-01v0502".to_vec()
        } else {
            let bits = if style.pointer == 4 { '_' } else { '-' };
            let endian = if style.big_endian { 'V' } else { 'v' };
            format!("BLENDER{bits}{endian}249").into_bytes()
        };
        Self { style, bytes }
    }

    pub(super) fn number(&self, value: i64, size: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..size].to_vec();
        if self.style.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn size_of(&self, name: &str) -> usize {
        if let Some((_, size)) = TYPES.iter().find(|(known, _)| *known == name) {
            return *size;
        }
        let (_, fields) = STRUCTS.iter().find(|(known, _)| *known == name).unwrap();
        fields.iter().map(|(kind, field)| self.field_size(kind, field)).sum()
    }

    fn field_size(&self, kind: &str, field: &str) -> usize {
        let each = if field.starts_with('*') { self.style.pointer } else { self.size_of(kind) };
        let count = field
            .split_once('[')
            .map_or(1, |(_, count)| count.trim_end_matches(']').parse().unwrap());
        each * count
    }

    /// The offset, type and size of a field, by a path such as `id.name`.
    fn find(&self, name: &str, path: &str) -> (usize, &'static str, usize) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let (_, fields) = STRUCTS.iter().find(|(known, _)| *known == name).unwrap();
        let mut offset = 0;
        for (kind, field) in *fields {
            let base = field.trim_start_matches('*').split('[').next().unwrap();
            let size = self.field_size(kind, field);
            if base == first {
                return match rest {
                    Some(rest) => {
                        let (inner, kind, size) = self.find(kind, rest);
                        (offset + inner, kind, size)
                    }
                    None => (offset, kind, size),
                };
            }
            offset += size;
        }
        panic!("{name} has no {path}")
    }

    pub(super) fn block(
        &mut self,
        code: &str,
        address: i64,
        structure: usize,
        count: i64,
        data: &[u8],
    ) {
        let mut tag = code.as_bytes().to_vec();
        while tag.len() < 4 {
            let at = if self.style.big_endian { 0 } else { tag.len() };
            tag.insert(at, 0);
        }
        let length = data.len() as i64;
        let (structure, pointer) = (structure as i64, self.style.pointer);
        let numbers = if self.style.large_headers {
            vec![(structure, 4), (address, 8), (length, 8), (count, 8)]
        } else {
            vec![(length, 4), (address, pointer), (structure, 4), (count, 4)]
        };
        self.bytes.extend(tag);
        for (value, size) in numbers {
            let number = self.number(value, size);
            self.bytes.extend(number);
        }
        self.bytes.extend_from_slice(data);
    }

    /// A block with one struct, its fields set as told.
    pub(super) fn put(
        &mut self,
        code: &str,
        address: i64,
        name: &str,
        fields: &[(&str, Value<'_>)],
    ) {
        let mut data = vec![0; self.size_of(name)];
        for (path, value) in fields {
            let (offset, _, size) = self.find(name, path);
            let bytes = match value {
                Value::Int(value) => self.number(*value, size),
                Value::Float(value) => self.number(i64::from(value.to_bits()), 4),
                Value::Text(text) => text.as_bytes().to_vec(),
            };
            data[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        let number = STRUCTS.iter().position(|(known, _)| *known == name).unwrap();
        self.block(code, address, number, 1, &data);
    }

    fn dna(&self) -> Vec<u8> {
        let mut names: Vec<&str> = Vec::new();
        let mut types: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        types.extend(STRUCTS.iter().map(|(name, _)| *name));
        let mut structs = self.number(STRUCTS.len() as i64, 4);
        for (name, fields) in STRUCTS {
            let type_index =
                |name: &str| types.iter().position(|known| *known == name).unwrap() as i64;
            structs.extend(self.number(type_index(name), 2));
            structs.extend(self.number(fields.len() as i64, 2));
            for (kind, field) in *fields {
                let known = names.iter().position(|known| known == field).unwrap_or_else(|| {
                    names.push(field);
                    names.len() - 1
                });
                structs.extend(self.number(type_index(kind), 2));
                structs.extend(self.number(known as i64, 2));
            }
        }
        let mut dna = b"SDNA".to_vec();
        for (tag, list) in [(b"NAME", &names), (b"TYPE", &types)] {
            dna.extend(tag);
            dna.extend(self.number(list.len() as i64, 4));
            for name in list {
                dna.extend(name.as_bytes());
                dna.push(0);
            }
            dna.resize(dna.len().next_multiple_of(4), 0);
        }
        dna.extend(b"TLEN");
        for name in &types {
            dna.extend(self.number(self.size_of(name) as i64, 2));
        }
        dna.resize(dna.len().next_multiple_of(4), 0);
        dna.extend(b"STRC");
        dna.extend(structs);
        dna
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let dna = self.dna();
        self.block("DNA1", 0, 0, 1, &dna);
        self.block("ENDB", 0, 0, 0, &[]);
        self.bytes
    }
}
