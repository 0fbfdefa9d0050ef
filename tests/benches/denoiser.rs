//! A Blender that has the denoiser, which Debian's lacks: Blender as a Python module, with `bpy/blender.py` in
//! place of its program. Whole frames are what they are by hand; tiles of a denoised scene are refused, and
//! without the denoiser they make the very picture.
//!
//! `pip install 'bpy==4.5.*'` (Python 3.11; 350 MB), then
//! `WEFT_BPY_PYTHON=/path/to/python cargo bench -p weft-tests --bench denoiser -- [--strict]`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use weft_tests::bench::daemon::{self, Daemon};
use weft_tests::bench::figures::{Verdict, given};

/// Makes a scene that is denoised.
const MAKE: &str = r#"
import bpy, sys
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 8, True
scene.cycles.use_adaptive_sampling = False
scene.render.resolution_x, scene.render.resolution_y = 160, 90
scene.render.resolution_percentage = 100
text = bpy.data.texts.new("rig.py")
text.write("print('RAN')")
text.use_module = True
bpy.ops.wm.save_as_mainfile(filepath=PATH)
"#;
/// Without dither, as tiles are rendered.
const PLAIN: &str = "import bpy; bpy.context.scene.render.dither_intensity = 0";
const SHARP: &str = "import bpy; bpy.context.scene.cycles.use_denoising = False";
/// The left half alone.
const HALF: &str = "import bpy\nrender = bpy.context.scene.render\n\
                    render.use_border = render.use_crop_to_border = True\nrender.border_max_x = 0.5";

fn main() {
    if given("--list") || given("--test") {
        return;
    }
    let python = std::env::var("WEFT_BPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = tempfile::Builder::new().prefix("weft-denoiser-").tempdir().expect("room");
    let folder = folder.path();
    let Some((blender, places)) = blender(&python, folder) else {
        println!(
            "{python} has no bpy: pip install 'bpy==4.5.*', and name its python in WEFT_BPY_PYTHON"
        );
        std::process::exit(i32::from(given("--strict")));
    };
    let scene = folder.join("denoised.blend");
    let make = MAKE.replace("PATH", &format!("{:?}", scene.display().to_string()));
    run(Command::new(&blender).args(["--factory-startup", "-b", "--python-expr", &make]));
    let hand = |name: &str, set: &[&str]| {
        let mut command = Command::new(&blender);
        command.args(["--factory-startup", "-b"]).arg(&scene);
        command.arg("-o").arg(folder.join(format!("{name}_####"))).args(["-F", "PNG", "-x", "1"]);
        set.iter().for_each(|set| _ = command.args(["--python-expr", set]));
        let begun = Instant::now();
        run(command.args(["-f", "1"]));
        println!("by hand, {name}: {:.1} s", begun.elapsed().as_secs_f64());
        picture(&folder.join(format!("{name}_0001.png")))
    };
    let (denoised, again) = (hand("denoised", &[]), hand("again", &[]));
    let (smooth, half) = (hand("smooth", &[PLAIN]), hand("half", &[PLAIN, HALF]));
    let sharp = hand("sharp", &[PLAIN, SHARP]);

    let mut daemons = vec![Daemon::local(folder, "one")];
    let readable: Vec<String> = places.iter().map(|place| format!("{place:?}")).collect();
    daemons[0].configure(&format!(
        "[engine.blender]\nexecutables = [{:?}]\nreadable = [{}]\n",
        blender.display().to_string(),
        readable.join(", ")
    ));
    daemon::found(&mut daemons);
    let node = &daemons[0];
    let version = node.json(&["engines", "--json"]);
    println!("{}", version.to_string().chars().take(400).collect::<String>());
    let scene = scene.display().to_string();
    let submit = |name: &str, options: &[&str]| {
        let out = folder.join(name).display().to_string();
        let call = ["submit", &scene, "-f", "1", "--watch", "--json", "-o", &out];
        let begun = Instant::now();
        let said = node.call(&[&call[..], options].concat());
        println!("weft, {name}: {:.1} s", begun.elapsed().as_secs_f64());
        (picture(&folder.join(name).join("denoised_0001.png")), said)
    };
    let (whole, said) = submit("whole", &[]);
    let (tiled, _) = submit("tiled", &["--tiles", "3x2", "--arg", "denoising=off"]);
    let mut refused = node.start_call(&["submit", &scene, "-f", "1", "--tiles", "2x2"]);
    let status = refused.wait().expect("it ends").code();
    let mut why = String::new();
    if let Some(mut stderr) = refused.stderr.take() {
        _ = std::io::Read::read_to_string(&mut stderr, &mut why);
    }
    println!("{}", why.trim());

    let mut verdict = Verdict::default();
    verdict.at_most(
        "pixels of a denoised frame that differ from run to run",
        differing(&denoised, &again),
        0.0,
    );
    verdict.at_most(
        "pixels of a whole denoised frame that differ from by hand",
        differing(&whole, &denoised),
        0.0,
    );
    let left =
        Picture { rows: smooth.rows.iter().map(|row| row[..row.len() / 2].to_vec()).collect() };
    verdict.at_least(
        "pixels of a half that differ when it is denoised alone",
        differing(&half, &left),
        1.0,
    );
    verdict.at_most(
        "exit status of tiles with the denoiser, less 2",
        f64::from(status.unwrap_or(-1) - 2).abs(),
        0.0,
    );
    verdict.at_least(
        "whether the way out is said",
        f64::from(u8::from(why.contains("denoising=off"))),
        1.0,
    );
    verdict.at_most(
        "pixels that differ of a frame in 3 × 2 tiles without the denoiser",
        differing(&tiled, &sharp),
        0.0,
    );
    let warned = said.contains("rig.py");
    println!(
        "a script that was blocked is {}in the job's document at its end",
        if warned { "" } else { "not yet " }
    );
    verdict.end();
}

/// A program that stands in for Blender's, and the folders that it reads; none without the module.
fn blender(python: &str, folder: &Path) -> Option<(PathBuf, Vec<String>)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpy/blender.py");
    let ask =
        "import bpy, os, sys; print('\\n'.join([sys.prefix, sys.base_prefix, sys.executable]))";
    let output = Command::new(python).args(["-c", ask]).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut places: Vec<String> = said.lines().map(str::to_owned).collect();
    let executable = places.pop().filter(|_| output.status.success())?;
    places.push(script.parent()?.display().to_string());
    let program = folder.join("blender");
    let text = format!("#!/bin/sh\nexec '{executable}' '{}' \"$@\"\n", script.display());
    std::fs::write(&program, text).expect("it can be written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("it can be made a program");
    }
    places.push(program.display().to_string());
    Some((program, places))
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A picture's rows, of pixels.
struct Picture {
    rows: Vec<Vec<Vec<u8>>>,
}

fn picture(path: &Path) -> Picture {
    let file =
        std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG file");
    let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    let info = reader.next_frame(&mut bytes).expect("it is whole");
    let pixel = info.line_size / info.width as usize;
    let row = |row: &[u8]| row.chunks(pixel).map(<[u8]>::to_vec).collect();
    Picture { rows: bytes[..info.buffer_size()].chunks(info.line_size).map(row).collect() }
}

/// How many pixels differ; all of them where the sizes do.
fn differing(one: &Picture, other: &Picture) -> f64 {
    let size = |picture: &Picture| (picture.rows.len(), picture.rows.first().map_or(0, Vec::len));
    if size(one) != size(other) {
        return f64::INFINITY;
    }
    let pairs = one.rows.iter().flatten().zip(other.rows.iter().flatten());
    pairs.filter(|(one, other)| one != other).count() as f64
}
