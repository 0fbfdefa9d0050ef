//! How fast large scenes are read, and in how much memory: a `.blend` of many small blocks, typed and
//! untyped, a `.ma` of geometry, and one of short statements: a scene of many nodes.
//!
//! `cargo bench -p weft-scene --bench scenes -- [MIB] [FOLDER] [blend|loose|ma|nodes]`: files of MIB (default
//! 1024) are made in FOLDER (default: the system's for temporary files), read three times, and removed.
//! The `.blend` is `../shared/scenes/cube/cube.blend`, grown. The peak is that of the whole process
//! until then, and known on Linux only.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use weft_scene::{blender, maya};

/// The size of the blocks that the `.blend` is grown by.
const BLOCK: usize = 4096;

fn main() {
    let given: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = given.iter().find_map(|word| word.parse::<u64>().ok());
    let megabytes = number.unwrap_or(1024);
    let folder =
        given.iter().find(|word| word.contains('/')).map_or_else(std::env::temp_dir, PathBuf::from);
    let kinds = ["blend", "loose", "ma", "nodes"];
    let only = given.iter().find(|word| kinds.contains(&word.as_str()));
    for kind in kinds.into_iter().filter(|kind| only.is_none_or(|only| only == kind)) {
        let ending = if is_maya(kind) { "ma" } else { "blend" };
        let path = folder.join(format!("weft-bench-{kind}-{}.{ending}", std::process::id()));
        let made = match kind {
            "ma" => make_ma(&path, megabytes << 20, &geometry()),
            "nodes" => make_ma(&path, megabytes << 20, &nodes()),
            _ => make_blend(&path, megabytes << 20, kind == "loose"),
        };
        match made {
            Ok(()) => measure(kind, &path),
            Err(error) => println!("{kind}: cannot be made: {error}"),
        }
        _ = std::fs::remove_file(&path);
    }
}

fn is_maya(kind: &str) -> bool {
    matches!(kind, "ma" | "nodes")
}

fn measure(kind: &str, path: &Path) {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut seconds: Vec<f64> = (0..3)
        .map(|_| {
            let begun = Instant::now();
            let read = if is_maya(kind) { maya::analyse(path) } else { blender::analyse(path) };
            if let Err(error) = read {
                println!("{kind}: {error}");
            }
            begun.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let mib = bytes as f64 / f64::from(1 << 20);
    println!(
        "{kind}: {mib:.0} MiB in {:.2} s ({:.2} to {:.2}), {:.0} MiB/s; peak {}",
        seconds[1],
        seconds[0],
        seconds[2],
        mib / seconds[1],
        peak()
    );
}

/// The most memory that this process had, as Linux tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

/// The cube with blocks of data added to its mesh: of the struct of the longest block there, or none.
fn make_blend(path: &Path, size: u64, loose: bool) -> std::io::Result<()> {
    let cube = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/cube/cube.blend");
    let cube = std::fs::read(cube)?;
    let int = |at: usize| -> usize {
        cube.get(at..at + 4)
            .and_then(|four| four.try_into().ok())
            .map_or(0, |four| u32::from_le_bytes(four) as usize)
    };
    // 64 bits, little endian, headers of 24 bytes.
    let (mut at, mut in_mesh, mut place, mut structure, mut longest) = (12, false, 0, 0, 0);
    while at + 24 <= cube.len() && &cube[at..at + 4] != b"ENDB" {
        let (code, length) = (&cube[at..at + 4], int(at + 4));
        if code != b"DATA" {
            in_mesh = code == b"ME\0\0";
        } else if in_mesh && length > longest && int(at + 16) != 0 {
            (longest, structure) = (length, int(at + 16));
        }
        at += 24 + length;
        if in_mesh {
            place = at;
        }
    }
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&cube[..place])?;
    let mut block = b"DATA".to_vec();
    block.extend(u32::try_from(BLOCK).unwrap_or(0).to_le_bytes());
    block.extend([0; 8]);
    block.extend(u32::try_from(if loose { 0 } else { structure }).unwrap_or(0).to_le_bytes());
    block.extend(1u32.to_le_bytes());
    block.extend((0..BLOCK).map(|at| (at * 31 % 251) as u8));
    for number in 0..size / BLOCK as u64 {
        block[8..16].copy_from_slice(&(0x7f00_0000_0000 + number * 8192).to_le_bytes());
        file.write_all(&block)?;
    }
    file.write_all(&cube[place..])?;
    file.flush()
}

/// A scene of these statements, again and again.
fn make_ma(path: &Path, size: u64, statements: &str) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(b"//Maya ASCII 2024 scene\n//Codeset: UTF-8\nrequires maya \"2024\";\n")?;
    let mut written = 0;
    while written < size {
        file.write_all(statements.as_bytes())?;
        written += statements.len() as u64;
    }
    file.write_all(b"// End of bench.ma\n")?;
    file.flush()
}

/// Nodes of a few short attributes each, and what connects them.
fn nodes() -> String {
    let mut nodes = String::new();
    for node in 0..1000 {
        nodes.push_str(&format!(
            "createNode multiplyDivide -n \"rig_arm_L_scale{node}\";\n\
             \trename -uid \"5F9A1B3C-4000-D6E8-0000-{node:012X}\";\n\
             \tsetAttr \".op\" 2;\n\tsetAttr -k on \".i2\" -type \"float3\" 0.5 1 1 ;\n\
             \tsetAttr \".v\" no;\n\tsetAttr -l on -k off \".tx\";\n\
             createNode transform -n \"arm_L_{node}_GRP\" -p \"|rig|arm_L\";\n\
             \tsetAttr \".t\" -type \"double3\" {node}.25 -0.125 3.0000002 ;\n\
             \tsetAttr \".rp\" -type \"double3\" 0 0 0 ;\n\
             \taddAttr -ci true -sn \"stretch\" -ln \"stretch\" -min 0 -max 1 -at \"double\";\n"
        ));
    }
    for node in 0..1000 {
        nodes.push_str(&format!(
            "connectAttr \"rig_arm_L_scale{node}.ox\" \"arm_L_{node}_GRP.sx\";\n\
             connectAttr \"arm_L_{node}_GRP.stretch\" \"rig_arm_L_scale{node}.i1x\";\n"
        ));
    }
    nodes
}

/// Meshes as Maya writes them, with a texture now and then.
fn geometry() -> String {
    let mut mesh =
        String::from("createNode mesh -n \"bodyShape\" -p \"body\";\n\tsetAttr -k off \".v\";\n");
    mesh.push_str("\tsetAttr -s 2000 \".vt[0:1999]\"");
    for point in 0..2000 {
        let x = f64::from(point) * 0.123_456_7;
        mesh.push_str(&format!("\n\t\t{x:.7} {:.7} {:.7}", x.sin(), -x));
    }
    mesh.push_str(";\n\tsetAttr -s 500 -ch 2000 \".fc[0:499]\" -type \"polyFaces\"");
    for face in 0..500 {
        mesh.push_str(&format!(
            "\n\t\tf 4 {face} {} {} -{}\n\t\tmu 0 4 0 1 2 3",
            face + 1,
            face + 2,
            face + 3
        ));
    }
    mesh.push_str(";\ncreateNode file -n \"skin\";\n\tsetAttr \".ftn\" -type \"string\" \"sourceimages/a.png\";\n");
    for node in 0..40 {
        mesh.push_str(&format!(
            "createNode polyTweak -n \"tweak{node}\";\n\tsetAttr \".uopa\" yes;\n"
        ));
    }
    for node in 0..40 {
        mesh.push_str(&format!("connectAttr \"tweak{node}.out\" \"bodyShape{node}.i\";\n"));
    }
    mesh
}
