//! What travels between nodes, and what need not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use weft_tests::{Call, Farm, Random, files_in, wait_for, write_file};

const MINUTE: Duration = Duration::from_secs(60);
/// A cache's files, and the bytes of each: so many that none of them goes unseen.
const CACHE_FILES: usize = 100;
const CACHE_FILE: usize = 512 << 10;

#[test]
fn a_renamed_or_moved_file_moves_no_bytes() {
    let farm = Farm::found(2);
    let (node, other) = (farm.node(1), farm.node(2));
    _ = node.run(&["drain", node.name()]).ok();
    let padding = "# A texture's worth of bytes that stand in a scene.\n";
    let text =
        format!("echo made > \"$OUTPUT\"; exit 0\n{}", padding.repeat((4 << 20) / padding.len()));
    let scene = farm.script("first", &text);
    let render = |scene: &std::path::Path| {
        let job = farm.submit(1, scene, &["-f", "1"]);
        let document = farm.wait_for_end(&job, MINUTE);
        assert_eq!(document["frames_done"], 1, "{document:#}");
        node.bytes_sent()
    };
    let once = render(&scene);
    assert!(once > 0, "the other node has rendered it");
    let renamed = farm.folder().join("elsewhere").join("second.sh");
    fs::create_dir_all(renamed.parent().unwrap()).unwrap();
    fs::rename(&scene, &renamed).unwrap();
    let added = node.call(&["add", "--json"]).arg(&renamed).run().json();
    assert_eq!(added[0]["bytes_added"], 0, "{added}");
    let again = render(&renamed);
    // What does travel is the new tree, and it names one file.
    assert!(again - once < 64 << 10, "{} bytes were sent for another name", again - once);
    assert!(other.bytes_sent() < 1 << 20, "nor were they sent back");
}

/// An engine that notes which files it sees, in the place of Maya.
const LISTER: &str = "[engine.lister]\nbase = \"script\"\nexecutables = [\"sh\"]\nextensions = [\"ma\"]\n\
    args = [\"-c\", 'cd \"$(dirname \"$0\")\" && find . -type f | sort > \"$OUTPUT\"', \"{scene}\"]\n";

#[test]
fn a_node_fetches_the_file_of_a_cache_that_its_frame_needs() {
    let mut farm = Farm::configured(3, |_| LISTER.to_owned());
    // Two hold all of the job's files, and render nothing; the third comes to do that.
    farm.stop(3);
    for number in [1, 2] {
        _ = farm.node(1).run(&["drain", farm.node(number).name()]).ok();
    }
    let folder = farm.folder().join("project");
    let mut random = Random::seeded(9);
    let cache: Vec<PathBuf> = (1..=CACHE_FILES)
        .map(|number| {
            let file = folder.join(format!("cache/s.{number:04}.ass"));
            write_file(file, random.bytes(CACHE_FILE))
        })
        .collect();
    let scene = write_file(
        folder.join("scene.ma"),
        r#"//Maya ASCII 2023 scene
requires maya "2023";
select -ne :defaultRenderGlobals; setAttr ".an" yes; setAttr ".fs" 1; setAttr ".ef" 100;
createNode expression -n "plain"; setAttr ".ixp" -type "string" ".O[0]=frame";
connectAttr ":time1.o" "plain.tim";
createNode aiStandIn -n "crowd"; setAttr ".ufe" yes;
    setAttr ".dso" -type "string" "cache/s.####.ass";
connectAttr "plain.out[0]" "crowd.frameNumber";
"#,
    );
    let out = farm.folder().join("out");
    let options = ["-e", "lister", "-f", "7", "-o", &out.display().to_string()];
    let job = farm.submit(1, &scene, &options);
    let sent = |farm: &Farm| farm.node(1).bytes_sent() + farm.node(2).bytes_sent();
    let before = sent(&farm);
    farm.start(3);
    let document = farm.wait_for_end(&job, MINUTE);
    assert_eq!(document["frames_done"], 1, "{document:#}");
    farm.wait_for_files(&out, ["scene_0007.txt".to_owned()]);
    // Motion blur reads the frame before and the one after.
    let listed = fs::read_to_string(out.join("scene_0007.txt")).unwrap();
    let seen: Vec<&str> = listed.lines().collect();
    let needed = [6, 7, 8].map(|number| format!("./cache/s.{number:04}.ass"));
    assert_eq!(seen, [&needed[..], &["./scene.ma".to_owned()]].concat());
    // Nothing else of the cache has come, whatever the engine looked at; who holds the job has all of it.
    assert_eq!(farm.node(3).has_files(&cache), [5, 6, 7]);
    assert_eq!(farm.node(3).ask(&["store"])["partial"], 0);
    assert_eq!(farm.node(1).has_files(&cache).len(), CACHE_FILES);
    let (sent, needed) = (sent(&farm) - before, 3 * CACHE_FILE as u64);
    // What is late may be asked of the second of the two as well; the whole cache is far more than that.
    let most = 2 * needed + (1 << 20);
    assert!((needed..most).contains(&sent), "{sent} bytes were sent of {needed}");
}

#[test]
fn a_submission_to_a_far_node_that_was_killed_goes_on_from_there() {
    const SIZE: usize = 192 << 20;
    let farm = Farm::found(1);
    let home = farm.folder().join("laptop");
    let code = farm.invite(&["--role", "artist"]);
    _ = Call::new(&home, &["join", &code, "--name", "laptop"]).run().ok();
    let address = farm.node(1).address();
    let mut bytes = b"echo made > \"$OUTPUT\"; exit 0\n".to_vec();
    bytes.extend(Random::seeded(10).bytes(SIZE));
    let scene = write_file(farm.folder().join("scenes/large.sh"), bytes);
    let submission = || {
        Call::new(&home, &["--peer", &address, "--json", "submit"])
            .arg(&scene)
            .args(&["-f", "1", "-e", "script"])
    };

    let cut = submission().start();
    wait_for(MINUTE, "a part of the scene has come", || {
        let begun = files_in(&farm.node(1).home().join("store/partial"));
        let ids: Vec<&str> = begun.iter().map(String::as_str).collect();
        let told = (!ids.is_empty()).then(|| farm.node(1).ask(&[&["has"][..], &ids].concat()))?;
        (told["partial"][0]["bytes"].as_u64()? > 0).then_some(())
    });
    drop(cut);
    assert!(farm.node(1).ask(&["jobs"]).as_array().unwrap().is_empty(), "it was cut off");
    let answer = submission().within(MINUTE).run().ok().json();
    let known = answer["bytes_already_known"].as_u64().unwrap();
    assert!(known > 0, "what had come is not sent again: {answer}");
    let document = farm.wait_for_end(answer["job"].as_str().unwrap(), MINUTE);
    assert_eq!(document["frames_done"], 1, "{document:#}");
}
