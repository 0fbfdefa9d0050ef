//! The smallest file that Blender could have saved: a scene with a camera and a view layer.

/// What its structs hold: types with their sizes, and the fields of each struct by type and name.
const TYPES: [(&str, u16); 6] =
    [("char", 1), ("short", 2), ("ID", 72), ("Scene", 72), ("Object", 80), ("ViewLayer", 64)];
const NAMES: [&str; 6] = ["name[66]", "pad[6]", "id", "type", "pad2[3]", "name[64]"];
const STRUCTS: [&[u16]; 4] =
    [&[2, 2, 0, 0, 0, 1], &[3, 1, 2, 2], &[4, 3, 2, 2, 1, 3, 1, 4], &[5, 1, 0, 5]];
/// What `Object.type` is of a camera.
const CAMERA: u8 = 11;

/// The file, by a version such as 405. The camera is called `Camera`, the view layer `ViewLayer`.
pub(crate) fn saved_by(version: u16) -> Vec<u8> {
    let mut file = format!("BLENDER-v{version}").into_bytes();
    let mut block = |code: &[u8; 4], address: u64, structure: u32, data: &[u8]| {
        file.extend(code);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(address.to_le_bytes());
        file.extend([structure.to_le_bytes(), 1_u32.to_le_bytes()].concat());
        file.extend(data);
    };
    let named = |name: &str, size: usize| {
        let mut data = name.as_bytes().to_vec();
        data.resize(size, 0);
        data
    };
    block(b"SC\0\0", 0x100, 1, &named("SCScene", 72));
    block(b"DATA", 0x110, 3, &named("ViewLayer", 64));
    let mut camera = named("OBCamera", 80);
    camera[72] = CAMERA;
    block(b"OB\0\0", 0x200, 2, &camera);
    block(b"DNA1", 0x300, 0, &dna());
    block(b"ENDB", 0, 0, b"");
    file
}

/// How the structs are laid out, as a file itself says it.
fn dna() -> Vec<u8> {
    let mut dna = b"SDNA".to_vec();
    for (tag, names) in [(b"NAME", NAMES), (b"TYPE", TYPES.map(|(name, _)| name))] {
        dna.extend(tag);
        dna.extend((names.len() as u32).to_le_bytes());
        for name in names {
            dna.extend(name.bytes().chain([0]));
        }
        dna.resize(dna.len().next_multiple_of(4), 0);
    }
    dna.extend(b"TLEN");
    dna.extend(TYPES.iter().flat_map(|(_, size)| size.to_le_bytes()));
    dna.resize(dna.len().next_multiple_of(4), 0);
    dna.extend(b"STRC");
    dna.extend((STRUCTS.len() as u32).to_le_bytes());
    dna.extend(STRUCTS.iter().flat_map(|numbers| numbers.iter().flat_map(|n| n.to_le_bytes())));
    dna
}
