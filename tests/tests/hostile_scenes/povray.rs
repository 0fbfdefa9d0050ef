//! POV-Ray scenes that read and write files of the machine, and an INI file that runs a shell.

use weft_tests::{installed, write_file};

use crate::{END, Prey, assert_goes_on, farm, log, run};

const REST: &str = "camera { location <0, 1, -4> look_at 0 }\nlight_source { <2, 4, -3> rgb 1 }\n\
                    sphere { 0, 1 pigment { rgb 1 } }\n";

#[test]
fn a_povray_scene_gets_nowhere() {
    if !installed("povray") {
        return;
    }
    let Some(farm) = farm("auto", 2.0) else { return };
    let prey = Prey::of(&farm);
    let (home, outside) = (prey.home(), prey.outside());
    for (name, text) in [
        // Put together, so that what reads the scene when it is submitted does not find them.
        ("include", format!("#include concat(\"{home}\", \"/secret.inc\")\n")),
        (
            "read",
            format!(
                "#declare Name = concat(\"{home}\", \"/secret.txt\");\n#fopen Secret Name read\n#read (Secret, Word)\n#debug Word\n"
            ),
        ),
        (
            "write",
            format!("#fopen File \"{outside}\" write\n#write (File, \"hostile\")\n#fclose File\n"),
        ),
        (
            "append",
            format!("#fopen File \"{outside}\" append\n#write (File, \"hostile\")\n#fclose File\n"),
        ),
    ] {
        let text = format!("#version 3.7;\nglobal_settings {{ assumed_gamma 1.0 }}\n{text}{REST}");
        let scene = write_file(farm.folder().join("scenes").join(name).with_extension("pov"), text);
        let size = ["--arg", "width=16", "--arg", "height=12"];
        let options = [&["-f", "1", "--retries", "0"], &size[..]].concat();
        let job = farm.wait_for_end(&farm.submit(1, &scene, &options), END);
        assert_eq!(job["status"], "failed", "{name}: {job:#}");
        let why = job["error_message"].as_str().unwrap_or_default();
        assert!(why.contains("Error") && why.contains("open"), "{name}: {why}");
        prey.assert_untouched(&log(&farm, &job));
    }
    // INI files may name programs to run. As an engine POV-Ray gets none; as a command it does, in here.
    let shell =
        format!("sh -c 'echo hostile >{outside}; cat {home}/secret.txt; sleep {} &'", prey.mark);
    let ini = format!(
        "Input_File_Name=scene.pov\nPre_Scene_Command={shell}\nWidth=16\nHeight=12\nDisplay=off\n"
    );
    let ini = write_file(farm.folder().join("evil/evil.ini"), ini);
    let scene = format!("#version 3.7;\nglobal_settings {{ assumed_gamma 1.0 }}\n{REST}");
    let scene = write_file(farm.folder().join("evil/scene.pov"), scene);
    let assets = [ini.display().to_string(), scene.display().to_string()];
    let options = ["--retries", "0", "--assets", &assets[0], "--assets", &assets[1]];
    let job = run(&farm, &options, &["povray", "{inputs}/evil.ini", "+L{inputs}", "+Oout.png"]);
    prey.assert_untouched(&log(&farm, &job));
    assert_goes_on(&farm);
}
