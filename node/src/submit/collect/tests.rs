//! Scenes and files on the disk, and what of them goes along.

use super::*;

fn gather_all(
    scene: Option<&Path>,
    analysis: Option<&Analysis>,
    engine: Option<&Definition>,
    assets: &[PathBuf],
    project: Option<&Path>,
) -> Result<Gathered, ApiError> {
    gather_by(&known(engine), scene, analysis, engine, assets, project)
}

/// The same where these engines are known.
fn gather_by(
    engines: &BTreeMap<String, Definition>,
    scene: Option<&Path>,
    analysis: Option<&Analysis>,
    engine: Option<&Definition>,
    assets: &[PathBuf],
    project: Option<&Path>,
) -> Result<Gathered, ApiError> {
    let shared = &SharedRoots::default();
    let scratch = &std::env::temp_dir();
    gather(&Inputs { scene, analysis, engine, engines, assets, project, shared, scratch })
}

fn known(engine: Option<&Definition>) -> BTreeMap<String, Definition> {
    engine.map(|engine| (engine.name.clone(), engine.clone())).into_iter().collect()
}

fn analysed(scene: &Path, engine: Option<&Definition>) -> Analysis {
    analyse(scene, Asked::default(), engine, &known(engine)).unwrap().unwrap()
}

/// Makes files that nobody reads.
fn lay(base: &Path, files: &[&str]) {
    for file in files {
        let file = base.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "x").unwrap();
    }
}

#[test]
fn files_keep_their_places_relative_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["shots/a/scene.pov", "lib/tex/wood.png", "lib/tex/deep/x.png"]);
    let scene = base.join("shots/a/scene.pov");
    let gathered = gather_all(Some(&scene), None, None, &[base.join("lib/tex")], None).unwrap();
    let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["lib/tex/deep/x.png", "lib/tex/wood.png", "shots/a/scene.pov"]);
    assert_eq!(gathered.scene.as_str(), "shots/a/scene.pov");
    let outside =
        gather_all(Some(&scene), None, None, &[base.join("lib")], Some(&base.join("shots")));
    assert!(outside.unwrap_err().message.contains("outside the project"));
    assert!(gather_all(Some(&scene), None, None, &[base.join("nowhere")], None).is_err());
    // Without a scene what is named is found under its name.
    let gathered = gather_all(None, None, None, &[base.join("lib/tex")], None).unwrap();
    let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["tex/deep/x.png", "tex/wood.png"]);
    assert!(gather_all(None, None, None, &[], None).unwrap().files.is_empty());
}

#[test]
fn files_of_a_maya_sequence_carry_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let scene = base.join("scenes/shot.ma");
    std::fs::create_dir_all(base.join("sourceimages")).unwrap();
    std::fs::create_dir_all(base.join("scenes")).unwrap();
    let text = "//Maya ASCII 2024 scene\n\
        createNode file -n \"run\"; setAttr \".ufe\" yes;\n\
        setAttr \".ftn\" -type \"string\" \"sourceimages/f.0001.png\";\n\
        createNode expression -n \"e\"; setAttr \".ixp\" -type \"string\" \".O[0]=frame\";\n\
        select -ne :defaultRenderGlobals; setAttr \".an\" yes; setAttr \".fs\" 1; setAttr \".ef\" 3;\n\
        connectAttr \"e.out[0]\" \"run.fe\";\n// End of shot.ma\n";
    std::fs::write(&scene, text).unwrap();
    for number in [1, 3] {
        std::fs::write(base.join(format!("sourceimages/f.000{number}.png")), "x").unwrap();
    }
    let analysis = analysed(&scene, None);
    let missing = |frame: i32| -> Vec<String> {
        analysis.missing_for(&[frame]).map(|one| one.path.clone()).collect()
    };
    assert_eq!(missing(1), Vec::<String>::new());
    assert_eq!(missing(2), ["sourceimages/f.0002.png"]);
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
    let files: Vec<_> = gathered
        .files
        .iter()
        .map(|file| {
            (file.path.as_str(), file.frames.as_ref().map(|runs| (runs[0].start, runs[0].end)))
        })
        .collect();
    assert_eq!(
        files,
        [
            ("scenes/shot.ma", None),
            ("sourceimages/f.0001.png", Some((0, 2))),
            ("sourceimages/f.0003.png", Some((2, 4))),
        ]
    );
}

/// Whatever way a text scene spells its files, its copy leads to them.
#[test]
fn paths_in_text_scenes_lead_to_what_travels() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["lib/Wood.PNG", "lib/a.png", "shots/near.png"]);
    let scene = base.join("shots/a.pov");
    let text = format!(
        "image_map {{ png \"../LIB/wood.png\" }}\nimage_map {{ png \"{}/lib/a.png\" }}\n\
         image_map {{ png \"..\\lib\\a.png\" }}\nimage_map {{ png \"near.png\" }}\n",
        base.display()
    );
    std::fs::write(&scene, text).unwrap();
    let engine = weft_scene::engine::shipped().remove("povray").unwrap();
    let analysis = analysed(&scene, Some(&engine));
    assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
    let gathered = gather_all(Some(&scene), Some(&analysis), Some(&engine), &[], None).unwrap();
    let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["lib/Wood.PNG", "lib/a.png", "shots/a.pov", "shots/near.png"]);
    let copy = gathered.files[2].rewritten.as_ref().unwrap();
    assert_eq!(
        std::fs::read_to_string(copy).unwrap(),
        "image_map { png \"../lib/Wood.PNG\" }\nimage_map { png \"../lib/a.png\" }\n\
         image_map { png \"../lib/a.png\" }\nimage_map { png \"near.png\" }\n"
    );
    assert_eq!(gathered.warnings.len(), 1);
}

/// POV-Ray looks beside the scene, also for what an include names.
#[test]
fn paths_in_what_a_text_scene_includes_lead_to_what_travels() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["lib/a.png"]);
    std::fs::create_dir_all(base.join("shots/inc")).unwrap();
    let scene = base.join("shots/a.pov");
    std::fs::write(&scene, "#include \"inc/set.inc\"\n").unwrap();
    let set = |path: &str| format!("image_map {{ png \"{path}\" }}\n");
    let absolute = base.join("lib/a.png").display().to_string();
    std::fs::write(base.join("shots/inc/set.inc"), set(&absolute)).unwrap();
    let engine = weft_scene::engine::shipped().remove("povray").unwrap();
    let analysis = analysed(&scene, Some(&engine));
    let gathered = gather_all(Some(&scene), Some(&analysis), Some(&engine), &[], None).unwrap();
    assert_eq!(copy_of(&gathered, "shots/inc/set.inc"), Some(set("../lib/a.png")));
    assert_eq!(copy_of(&gathered, "shots/a.pov"), None);
}

/// Whatever way a Maya scene spells its files, its copy names them as they lie in the project.
#[test]
fn paths_in_maya_scenes_lead_to_what_travels() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let show = base.join("show");
    lay(
        &base,
        &["show/tex/wood.1001.exr", "show/tex/wood.1002.exr", "lib/Rust.png", "lib/plain.png"],
    );
    std::fs::create_dir_all(show.join("scenes")).unwrap();
    std::fs::write(show.join("workspace.mel"), "").unwrap();
    let texture = |name: &str, path: &str| {
        format!("createNode file -n \"{name}\";\n\tsetAttr \".ftn\" -type \"string\" \"{path}\";\n")
    };
    let head = "//Maya ASCII 2024 scene\n";
    let set =
        format!("{head}{}// End of set.ma\n", texture("rust", "Z:/old/show//../lib/rust.PNG"));
    std::fs::write(show.join("scenes/set.ma"), &set).unwrap();
    let shot = format!(
        "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" \"{0}/scenes/set.ma\";\n{1}{2}{3}// End of shot.ma\n",
        show.display(),
        texture("wood", &format!("{}//tex/wood.<UDIM>.exr", show.display())),
        texture("plain", &format!("{}/lib/plain.png", base.display()).replace('/', "\\\\")),
        texture("near", "tex/wood.1001.exr"),
    );
    let scene = show.join("scenes/shot.ma");
    std::fs::write(&scene, &shot).unwrap();
    let analysis = analysed(&scene, None);
    assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
    let copy = |path: &str| {
        let file = gathered.files.iter().find(|file| file.path.as_str() == path).unwrap();
        std::fs::read_to_string(file.rewritten.as_ref().unwrap()).unwrap()
    };
    let set = format!("{head}{}// End of set.ma\n", texture("rust", "lib/Rust.png"));
    assert_eq!(copy("show/scenes/set.ma"), set);
    let shot = format!(
        "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" \"show/scenes/set.ma\";\n{}{}{}// End of shot.ma\n",
        texture("wood", "show/tex/wood.<UDIM>.exr"),
        texture("plain", "lib/plain.png"),
        texture("near", "show/tex/wood.1001.exr"),
    );
    assert_eq!(copy("show/scenes/shot.ma"), shot);
    // In the project's own folder a path that counts from it stays.
    let near = format!("{head}{}// End of near.ma\n", texture("near", "tex/wood.1001.exr"));
    std::fs::write(&scene, &near).unwrap();
    let analysis = analysed(&scene, None);
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], Some(&show)).unwrap();
    assert!(gathered.files.iter().all(|file| file.rewritten.is_none()));
}

/// Drives and shares of other machines, in a scene, in one that it references, and in pieces.
#[test]
fn maya_scenes_find_what_lies_on_other_machines_drives() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["p/Show/tex/wood.1001.exr", "p/Show/tex/wood.1002.exr", "srv/lib/rust.png"]);
    let texture = |name: &str, path: &str| {
        format!("createNode file -n \"{name}\";\n\tsetAttr \".ftn\" -type \"string\" {path};\n")
    };
    let head = "//Maya ASCII 2024 scene\n";
    let set = |rust: &str| format!("{head}{}// End of set.ma\n", texture("rust", rust));
    std::fs::write(base.join("p/Show/set.ma"), set("\"//SRV01/lib/rust.png\"")).unwrap();
    let shot = |reference: &str, wood: &str, gone: &str| {
        format!(
            "{head}file -r -ns \"set\" -rfn \"setRN\" -typ \"mayaAscii\" {reference};\n{}{}// End of \
             shot.ma\n",
            texture("wood", wood),
            texture("gone", gone)
        )
    };
    let scene = base.join("work/shot.ma");
    std::fs::create_dir_all(scene.parent().unwrap()).unwrap();
    let gone = "\"q:/tex/gone.png\"";
    let spelled =
        shot("\"P:/show/set.ma\"", "( \"p:/SHOW\" \n\t\t+ \"/tex/wood.<UDIM>.exr\" )", gone);
    std::fs::write(&scene, spelled).unwrap();
    let engine = format!(
        "[engine.maya]\nexecutables = [\"Render\"]\nextensions = [\"ma\"]\nargs = [\"{{scene}}\"]\n\
         [engine.maya.paths]\n'P:\\' = '{0}/p'\n'\\\\srv01' = '{0}/srv'\n'Q:\\' = '{0}/q'\n'R:\\' = '/r'\n",
        base.display()
    );
    let engine = weft_scene::engine::parse(&engine, "test").unwrap().remove("maya").unwrap();
    assert_eq!(reader(&BTreeMap::from([("maya".into(), engine.clone())]), "A.MA"), Some(&engine));
    let analysis = analysed(&scene, Some(&engine));
    let missing: Vec<&str> = analysis.missing.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(missing, ["q:/tex/gone.png"]);
    let mapped = |from: &str, to: &str, exists, paths, found| Mapped {
        from: from.into(),
        to: base.join(to),
        exists,
        paths,
        found,
    };
    let told = [
        mapped("//srv01", "srv", true, 1, 1),
        mapped("p:", "p", true, 2, 2),
        mapped("q:", "q", false, 1, 0),
    ];
    assert_eq!(analysis.mapped, told);
    assert!(
        analysis.warnings.iter().any(|said| said.contains("q:") && said.contains("isn't there")),
        "{:?}",
        analysis.warnings
    );
    let gathered = gather_all(Some(&scene), Some(&analysis), Some(&engine), &[], None).unwrap();
    let copy = |path: &str| {
        let file = gathered.files.iter().find(|file| file.path.as_str() == path).unwrap();
        std::fs::read_to_string(file.rewritten.as_ref().unwrap()).unwrap()
    };
    assert_eq!(gathered.files.len(), 5);
    assert_eq!(
        copy("work/shot.ma"),
        shot("\"p/Show/set.ma\"", "(\"p/Show/tex/wood.<UDIM>.exr\")", gone)
    );
    assert_eq!(copy("p/Show/set.ma"), set("\"srv/lib/rust.png\""));
}

/// Nobody but Maya writes binary scenes: a script that goes along tells it where their folders are.
#[test]
fn maya_is_told_of_the_folders_that_a_binary_scene_names() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["work/shot.mb", "p/tex/wood.png", "work/near.png", "p/tex/Odd.png"]);
    let scene = base.join("work/shot.mb");
    let paths = weft_scene::PathMap::new([("P:".to_owned(), base.join("p"))]);
    let file = |name: &str, path: &str| {
        format!(r#"{{"type": "file", "name": "{name}", "files": [["fileTextureName", "{path}"]]}}"#)
    };
    let answer = format!(
        r#"{{"version": "2024", "time_unit": "film", "nodes": [{}, {}, {}]}}"#,
        file("wood", "P:/tex/wood.png"),
        file("odd", "P:/tex/odd.PNG"),
        file("near", "work/near.png")
    );
    let answer = answer.as_bytes();
    let analysis = maya::read_answer(&scene, Some(&base), paths, answer).unwrap();
    assert!(analysis.missing.is_empty(), "{:?}", analysis.missing);
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], Some(&base)).unwrap();
    let files: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    let script = ".weft-maya/userSetup.py";
    assert_eq!(files, ["p/tex/Odd.png", "p/tex/wood.png", "work/near.png", "work/shot.mb", script]);
    let said = std::fs::read_to_string(&gathered.files[4].source).unwrap();
    assert!(said.contains(r#"{"P:/tex":"p/tex"}"#), "{said}");
    let warned = |warning: &&String| warning.contains("1 path(s)") && warning.contains("odd.PNG");
    assert_eq!(gathered.warnings.iter().filter(warned).count(), 1, "{:?}", gathered.warnings);
}

/// What lies on the studio's file server stays there, and the copy of the scene leads to it.
#[test]
fn files_in_a_shared_root_are_referred_to() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["mnt/lib/wood.png", "mnt/shots/near.png", "local/own.png", "mnt/shots/named.png"]);
    let scene = base.join("mnt/shots/a.pov");
    let text = |wood: &str, near: &str, own: &str| {
        let line = |path: &str| format!("image_map {{ png \"{path}\" }}\n");
        [wood, near, own, "named.png"].map(line).concat()
    };
    let own = format!("{}/local/own.png", base.display());
    std::fs::write(&scene, text("../lib/wood.png", "near.png", &own)).unwrap();
    let engine = weft_scene::engine::shipped().remove("povray").unwrap();
    let analysis = analysed(&scene, Some(&engine));
    let roots = BTreeMap::from([("projects".to_owned(), base.join("mnt"))]);
    let roots = SharedRoots::try_from(roots).unwrap();
    let named = [base.join("mnt/shots/named.png")];
    let gathered = gather(&Inputs {
        scene: Some(&scene),
        analysis: Some(&analysis),
        engine: Some(&engine),
        engines: &known(Some(&engine)),
        assets: &named,
        project: None,
        shared: &roots,
        scratch: &std::env::temp_dir(),
    })
    .unwrap();
    let paths: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["local/own.png", "mnt/shots/a.pov", "mnt/shots/named.png"]);
    assert_eq!(gathered.shared, BTreeSet::from(["projects".to_owned()]));
    let copy = std::fs::read_to_string(gathered.files[1].rewritten.as_ref().unwrap()).unwrap();
    let way = |inner: &str| format!("../../.weft-shared/projects/{inner}");
    assert_eq!(copy, text(&way("lib/wood.png"), &way("shots/near.png"), "../../local/own.png"));
}

/// Engines whose scenes are stand-ins and layers of others.
fn renderers() -> BTreeMap<String, Definition> {
    let arnold = include_str!("../../../../scene/engines/examples/arnold.toml");
    let husk = include_str!("../../../../scene/engines/examples/husk.toml");
    let mut engines = weft_scene::engine::parse(arnold, "arnold").unwrap();
    engines.extend(weft_scene::engine::parse(husk, "husk").unwrap());
    engines
}

/// A Maya scene with nodes of these types, each with an attribute that names a file.
fn maya_scene(base: &Path, nodes: &[(&str, &str, &str)]) -> PathBuf {
    let scene = base.join("show/scenes/shot.ma");
    std::fs::create_dir_all(scene.parent().unwrap()).unwrap();
    std::fs::write(base.join("show/workspace.mel"), "").unwrap();
    let node = |(number, (kind, attribute, path)): (usize, &(&str, &str, &str))| {
        format!(
            "createNode {kind} -n \"n{number}\"; setAttr \".{attribute}\" -type \"string\" \"{path}\";\n"
        )
    };
    let body: String = nodes.iter().enumerate().map(node).collect();
    std::fs::write(&scene, format!("//Maya ASCII 2024 scene\n{body}// End of shot.ma\n")).unwrap();
    scene
}

fn copy_of(gathered: &Gathered, path: &str) -> Option<String> {
    let file = gathered.files.iter().find(|file| file.path.as_str() == path).unwrap();
    file.rewritten.as_ref().map(|copy| std::fs::read_to_string(copy).unwrap())
}

/// A stand-in in Maya names textures, another stand-in and a stage, which has layers.
#[test]
fn what_stand_ins_name_travels() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["lib/skin.tx", "lib/bark.png", "show/cache/near.tx", "show/sourceimages/own.tx"]);
    let node = |kind: &str, name: &str| format!("{kind}\n{{\n filename \"{name}\"\n}}\n");
    let crowd = |skin: &str| {
        let lost = node("image", "/gone/eye.tx");
        [
            node("image", skin),
            node("image", "near.tx"),
            lost,
            node("procedural", "deep.ass"),
            node("usd", "set.usda"),
        ]
        .concat()
    };
    let write = |name: &str, text: String| {
        std::fs::write(base.join("show/cache").join(name), text).unwrap()
    };
    write("crowd.ass", crowd(&format!("{}/lib/skin.tx", base.display())));
    write("crowd.0001.ass", node("image", "sourceimages/own.tx"));
    write("crowd.0002.ass", node("image", "sourceimages/own.tx"));
    // Each names the other.
    write("deep.ass", [node("procedural", "crowd.ass"), node("image", "deep.ass")].concat());
    write("set.usda", "#usda 1.0\n( subLayers = [@./geo.usda@, @bin.usdc@] )\n".into());
    write(
        "geo.usda",
        format!(
            "#usda 1.0\n( subLayers = [@set.usda@] )\n{{ asset a = @{}/lib/bark.png@ }}\n",
            base.display()
        ),
    );
    write("bin.usdc", "PXR-USDC\0\0".into());
    let scene = maya_scene(
        &base,
        &[("aiStandIn", "dso", "cache/crowd.ass"), ("aiStandIn", "dso", "cache/crowd.####.ass")],
    );
    let engines = renderers();
    let analysis = analyse(&scene, Asked::default(), None, &engines).unwrap().unwrap();
    let missing: Vec<(&str, &str, bool)> =
        analysis.missing.iter().map(|one| (&*one.path, &*one.node, one.required)).collect();
    assert_eq!(missing, [("/gone/eye.tx", "n0, crowd.ass, line 11", true)]);
    let own = analysis.assets.iter().filter(|asset| asset.path == "sourceimages/own.tx");
    assert_eq!(own.count(), 1, "the frames of a sequence name the same");
    let unread = |warning: &&String| warning.contains("1 file(s)") && warning.contains("bin.usdc");
    assert_eq!(analysis.warnings.iter().filter(unread).count(), 1, "{:?}", analysis.warnings);
    let gathered = gather_by(&engines, Some(&scene), Some(&analysis), None, &[], None).unwrap();
    let files: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    let cache = [
        "bin.usdc",
        "crowd.0001.ass",
        "crowd.0002.ass",
        "crowd.ass",
        "deep.ass",
        "geo.usda",
        "near.tx",
        "set.usda",
    ];
    let mut all = vec!["lib/bark.png".to_owned(), "lib/skin.tx".to_owned()];
    all.extend(cache.map(|name| format!("show/cache/{name}")));
    all.extend(["show/scenes/shot.ma".to_owned(), "show/sourceimages/own.tx".to_owned()]);
    assert_eq!(files, all);
    // Copies lead to them, each from its own folder, and Maya's from the project.
    assert_eq!(copy_of(&gathered, "show/cache/crowd.ass").unwrap(), crowd("../../lib/skin.tx"));
    assert!(copy_of(&gathered, "show/cache/geo.usda").unwrap().contains("@../../lib/bark.png@"));
    assert_eq!(copy_of(&gathered, "show/cache/set.usda"), None);
    let maya = copy_of(&gathered, "show/scenes/shot.ma").unwrap();
    assert!(maya.contains("\"show/cache/crowd.####.ass\""), "{maya}");

    // Where nothing says how they name files, that is said, once.
    let analysis = analysed(&scene, None);
    assert_eq!((analysis.assets.len(), analysis.missing.len()), (2, 0));
    let [warning] = &analysis.warnings[..] else { panic!("{:?}", analysis.warnings) };
    assert!(warning.contains("3 file(s)") && warning.contains("--assets"), "{warning}");
}

/// A stage on a drive of other machines, which a binary scene's file names by that drive.
#[test]
fn what_layers_name_is_found_on_other_machines_drives() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["p/tex/wood.png"]);
    std::fs::write(base.join("p/set.usda"), "#usda 1.0\n{ asset a = @P:/TEX/wood.png@ }\n")
        .unwrap();
    let scene = maya_scene(&base, &[("mayaUsdProxyShape", "filePath", "P:/set.usda")]);
    let text = format!(
        "[engine.maya]\nexecutables = [\"Render\"]\nextensions = [\"ma\"]\nargs = [\"{{scene}}\"]\n\
         [engine.maya.paths]\n'P:\\' = '{}/p'\n",
        base.display()
    );
    let mut engines = renderers();
    engines.extend(weft_scene::engine::parse(&text, "test").unwrap());
    let maya = &engines["maya"];
    let analysis = analyse(&scene, Asked::default(), Some(maya), &engines).unwrap().unwrap();
    assert_eq!(analysis.missing, []);
    assert_eq!((analysis.mapped[0].paths, analysis.mapped[0].found), (2, 2));
    let gathered =
        gather_by(&engines, Some(&scene), Some(&analysis), Some(maya), &[], None).unwrap();
    assert!(copy_of(&gathered, "p/set.usda").unwrap().contains("@tex/wood.png@"));
}

/// A studio's colours are tables that lie beside the configuration.
#[test]
fn a_colour_configuration_brings_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    lay(&base, &["aces/luts/a.spi1d", "aces/luts/film/b.cube", "aces/readme.txt"]);
    let config = base.join("aces/config.ocio");
    std::fs::write(&config, "ocio_profile_version: 2\nsearch_path:\n  - luts\nroles: {}\n")
        .unwrap();
    let named = config.display().to_string();
    let scene = maya_scene(&base, &[("colorManagementGlobals", "cfp", &named)]);
    let analysis = analysed(&scene, None);
    assert_eq!(analysis.warnings, Vec::<String>::new());
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
    let files: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        files,
        ["aces/config.ocio", "aces/luts/a.spi1d", "aces/luts/film/b.cube", "show/scenes/shot.ma"]
    );
    assert!(copy_of(&gathered, "show/scenes/shot.ma").unwrap().contains("\"aces/config.ocio\""));
    // Those that lie elsewhere, by paths that lead nowhere on another machine.
    lay(&base, &["lib/c.cube", "lib/luts/d.csp"]);
    let far = base.join("lib").display().to_string();
    let text = format!(
        "search_path: [luts, {far}/luts, {own}]\nlooks:\n  - !<FileTransform> {{src: {far}/c.cube}}\n",
        own = base.join("aces").display()
    );
    std::fs::write(&config, &text).unwrap();
    let analysis = analysed(&scene, None);
    assert_eq!(analysis.warnings, Vec::<String>::new());
    let gathered = gather_all(Some(&scene), Some(&analysis), None, &[], None).unwrap();
    let files: Vec<&str> = gathered.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files.iter().filter(|file| file.starts_with("lib/")).count(), 2, "{files:?}");
    assert_eq!(
        copy_of(&gathered, "aces/config.ocio").unwrap(),
        "search_path: [luts, ../lib/luts, .]\nlooks:\n  - !<FileTransform> {src: ../lib/c.cube}\n"
    );
    std::fs::write(&config, "search_path: $SHOW/luts\n").unwrap();
    let warnings = analysed(&scene, None).warnings;
    assert!(warnings[0].contains("$SHOW/luts") && warnings[0].contains("--assets"), "{warnings:?}");
    // One that no scene names is named with its folder.
    std::fs::write(&config, &text).unwrap();
    let plain = maya_scene(&base, &[]);
    let mut analysis = analysed(&plain, None);
    let assets = [base.join("aces")];
    follow_named(&mut analysis, &assets, None, &known(None)).unwrap();
    let named = gather_all(Some(&plain), Some(&analysis), None, &assets, None).unwrap();
    let with = |gathered: &Gathered| copy_of(gathered, "aces/config.ocio").unwrap();
    assert_eq!(with(&named), with(&gathered));
    assert!(named.files.iter().any(|file| file.path.as_str() == "lib/luts/d.csp"));
}
