//! A Blender file with scripts that run when it is opened, and drivers.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use weft_tests::{Farm, installed, wait_for, write_file};

use crate::{END, Prey, assert_goes_on, farm, log};

/// Makes the file: a cube whose place is driven by what a script does that registers itself.
const MAKE: &str = r#"
import bpy, sys
script, target = sys.argv[sys.argv.index("--") + 1:]
text = bpy.data.texts.new("try.py")
text.write(open(script).read())
text.use_module = True
cube = bpy.data.objects["Cube"]
driver = cube.driver_add("location", 0).driver
driver.expression = "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0](['touch', '%s']) and 1.0" % OUTSIDE
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y = 16, 12
bpy.ops.wm.save_as_mainfile(filepath=target)
"#;

fn scene(farm: &Farm, prey: &Prey) -> PathBuf {
    let place = "import bpy\nINPUT, WHOLE = bpy.data.filepath, True\n".to_owned();
    let script = write_file(farm.folder().join("make/try.py"), place + &prey.script());
    let make = write_file(farm.folder().join("make/make.py"), prey.python() + MAKE);
    let target = farm.folder().join("scenes/hostile.blend");
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let mut blender = Command::new("blender");
    blender.args(["--factory-startup", "-b", "--python-exit-code", "1", "--python"]);
    blender.arg(make).arg("--").arg(script).arg(&target).stdin(Stdio::null());
    let output = blender.output().expect("Blender can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && target.is_file(), "{said}");
    // Making it runs nothing of it, or the rest would prove nothing.
    prey.assert_untouched("");
    target
}

/// What is shown on a job's frame, once something is.
fn warned(farm: &Farm, job: &Value) -> String {
    let job = job["job"].as_str().unwrap();
    wait_for(END, "the frame has warnings, or a preview", || {
        let frame = farm.node(1).ask(&["job", job])["frames"][0].clone();
        // Both are signed together.
        let warnings = frame["warnings"].to_string();
        (frame["preview"].is_string() || warnings != "[]").then_some(warnings)
    })
}

#[test]
fn scripts_in_a_blender_file_stay_off_or_get_nowhere() {
    if !installed("blender") {
        return;
    }
    let Some(farm) = farm("auto", 2.0) else { return };
    let prey = Prey::of(&farm);
    let scene = scene(&farm, &prey);
    let render = |more: &[&str]| {
        let options = [&["-f", "1", "--retries", "0"], more].concat();
        let job = farm.wait_for_end(&farm.submit(1, &scene, &options), END);
        assert_eq!(job["status"], "completed", "{job:#}\n{}", log(&farm, &job));
        (log(&farm, &job), warned(&farm, &job))
    };
    let (said, warned) = render(&[]);
    assert!(!said.contains("TRIED"), "scripts ran: {said}");
    assert!(said.contains("scripts disabled") || said.contains("auto-execution"), "{said}");
    assert!(warned.contains("scripts disabled") && warned.contains("try.py"), "{warned}");
    prey.assert_untouched(&said);

    let whole = farm.node(1).ask(&["hardware"])["sandbox"]["whole"] == true;
    if whole {
        let (said, _) = render(&["--allow-scripts"]);
        assert!(said.matches("TRIED ").count() >= 13, "not everything was tried: {said}");
        prey.assert_untouched(&said);
    } else {
        let options = ["-f", "1", "--allow-scripts"];
        let refused = farm.submission(1, &scene, &options).run().ended_with(5);
        assert!(refused.stderr.contains("must run in a sandbox"), "{}", refused.stderr);
    }
    assert_goes_on(&farm);
}

#[test]
fn scripts_run_nowhere_without_a_sandbox() {
    let farm =
        Farm::configured(1, |_| "[node]\nsandbox = \"off\"\ntags = [\"sandbox\"]\n".to_owned());
    let options = ["-f", "1", "--allow-scripts"];
    let refused = farm.submission(1, &farm.scene("any", 8, 1), &options).run().ended_with(5);
    assert!(
        refused.stderr.contains("must run in a sandbox, and no node has one"),
        "{}",
        refused.stderr
    );
    assert_eq!(farm.node(1).ask(&["hardware"])["sandbox"]["protection"], "none");
}
