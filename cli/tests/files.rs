//! What is done with files, and needs no node: `hash`, `verify`, `analyse`, `demo-render`.

mod common;

use std::path::Path;

use common::Place;
use serde_json::json;

const HELLO_MD5: &str = "65a8e27d8879283831b664bd8b7f0ad4";

fn place_with_hello() -> Place {
    let place = Place::new();
    place.write("hello", "Hello, World!");
    place
}

#[test]
fn hash_tells_what_other_tools_tell() {
    let place = place_with_hello();
    place.write("empty", "");
    // Of nothing: RFC 1321 (MD5), the xxHash specification and BLAKE3's test vectors. Of the text: MD5
    // by md5sum, xxHash64 by a few lines of Python after the specification; its BLAKE3 is only kept
    // from changing.
    let expected = json!([
        {
            "path": "hello", "size": 13, "hash": HELLO_MD5,
            "xxhash": "14166825759134442623",
            "blake3": "288a86a79f20a3d6dccdca7713beaed178798296bdfa7913fa2a62d9727bf8f8",
        },
        {
            "path": "empty", "size": 0, "hash": "d41d8cd98f00b204e9800998ecf8427e",
            "xxhash": "17241709254077376921",
            "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        },
    ]);
    assert_eq!(place.weft(&["hash", "--json", "hello", "empty"]).json(), expected);
    insta::assert_snapshot!(place.weft(&["hash", "hello"]).stdout, @r"
    hello  13 B
      md5     65a8e27d8879283831b664bd8b7f0ad4
      xxh64   14166825759134442623
      blake3  288a86a79f20a3d6dccdca7713beaed178798296bdfa7913fa2a62d9727bf8f8
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_told_or_refused_and_nothing_breaks_off() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = place_with_hello();
    let strange = place.path().join(std::ffi::OsStr::from_bytes(b"hel\xfflo"));
    std::fs::rename(place.path().join("hello"), &strange).unwrap();
    let with = |args: &[&str]| {
        let output = place.command(args).arg(&strange).output();
        common::Ran::from(output.expect("weft runs"))
    };
    let path = with(&["hash", "--json"]).json()[0]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("hel\u{fffd}lo"), "{path}");
    for args in [&["add"][..], &["submit", "-f", "1"], &["demo", "--output"]] {
        let refused = with(args);
        refused.assert_fails(2, &["hel\u{fffd}lo' is not text in UTF-8", "nothing was changed"]);
    }

    // What would break off only once the studio is founded would keep its recovery key to itself.
    let home = place.path().join(std::ffi::OsStr::from_bytes(b"ho\xffme"));
    for args in [&["init", "--studio", "Pictures"][..], &["join", "code"]] {
        let refused = place.command(args).env("WEFT_HOME", &home).output().unwrap();
        common::Ran::from(refused).assert_fails(2, &["nothing was changed", "WEFT_HOME"]);
    }
    assert!(!home.exists());
    // One that was founded before it got its name goes on.
    let key =
        place.weft(&["init", "--json", "--studio", "Pictures"]).json()["recovery_key"].clone();
    std::fs::rename(place.path().join("home"), &home).unwrap();
    let recovered = place
        .command(&["recover", "--json", key.as_str().unwrap()])
        .env("WEFT_HOME", &home)
        .output();
    let told = common::Ran::from(recovered.unwrap()).json()["home"].as_str().unwrap().to_owned();
    assert!(told.ends_with("ho\u{fffd}me"), "{told}");
}

#[test]
fn hash_refuses_what_is_no_file() {
    let place = place_with_hello();
    place.weft(&["hash", "hello", "gone"]).assert_fails(2, &["'gone' can't be read"]);
    place.weft(&["hash", "."]).assert_fails(2, &["'.' can't be read"]);
    place.weft(&["hash"]).assert_fails(2, &["<FILE>"]);
}

#[test]
fn verify_says_which_hash_differs() {
    let place = place_with_hello();
    let upper = HELLO_MD5.to_uppercase();
    let same = place.weft(&["verify", "hello", "--md5", &upper, "--xxh64", "14166825759134442623"]);
    assert_eq!((same.status, same.stdout.as_str()), (0, "hello: MD5, xxHash64 as expected\n"));

    let other = "0".repeat(32);
    let differs =
        place.weft(&["verify", "hello", "--md5", &other, "--xxh64", "14166825759134442623"]);
    differs.assert_fails(1, &["its MD5 differs", &other, HELLO_MD5]);
    assert!(!differs.stderr.contains("xxHash64"), "{differs:?}");

    let script = place.weft(&["verify", "--json", "hello", "--blake3", &"0".repeat(64)]);
    script.assert_fails(1, &["its BLAKE3 differs"]);
    let document: serde_json::Value = serde_json::from_str(&script.stdout).unwrap();
    assert_eq!(document["matches"], false);
    assert_eq!(document["mismatches"][0]["hash"], "blake3");
    assert_eq!(document["hash"], HELLO_MD5);
}

#[test]
fn verify_wants_something_to_compare_with() {
    let place = place_with_hello();
    place.weft(&["verify", "hello"]).assert_fails(2, &["--md5"]);
    place.weft(&["verify", "hello", "--md5", "xyz"]).assert_fails(2, &["32 hex digits"]);
    place.weft(&["verify", "gone", "--md5", HELLO_MD5]).assert_fails(2, &["'gone' can't be read"]);
}

#[test]
fn the_built_in_scene_can_be_printed_analysed_and_rendered() {
    let place = Place::new();
    let scene = place.weft(&["demo", "--scene"]);
    assert_eq!(scene.status, 0);
    place.write("mine.weft", &scene.stdout);

    let document = place.weft(&["analyse", "--json", "mine.weft"]).json();
    let info = &document["scene_info"];
    assert_eq!((&info["application"], &info["renderer"]), (&json!("weft"), &json!("demo")));
    assert_eq!((&info["start_frame"], &info["end_frame"]), (&json!(1), &json!(24)));
    assert_eq!(info["by_frame"], 1);
    assert_eq!(document["missing"], json!([]));
    assert_eq!(place.weft(&["analyze", "--json", "mine.weft"]).json(), document);

    let render = |output: &str, threads: &str| {
        place.weft(&[
            "demo-render",
            "--scene",
            "mine.weft",
            "--frame",
            "3",
            "--output",
            output,
            "--threads",
            threads,
            "--width",
            "32",
            "--height",
            "18",
            "--samples",
            "1",
        ])
    };
    let rendered = render("a.png", "1");
    assert_eq!(rendered.status, 0, "{rendered:?}");
    assert_eq!(rendered.stdout.lines().last(), Some("progress 18/18"));
    assert_eq!(render("b.png", "2").status, 0);
    let [a, b] = ["a.png", "b.png"].map(|name| std::fs::read(place.path().join(name)).unwrap());
    assert_eq!(a, b, "threads change no pixel");
    // The header of a PNG file: its signature, then the width and height of the first chunk.
    assert_eq!(&a[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(&a[16..24], [0, 0, 0, 32, 0, 0, 0, 18]);
}

#[test]
fn analyse_reads_what_blender_wrote() {
    let scene = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenes/cube/cube.blend");
    if !scene.exists() {
        assert!(std::env::var_os("WEFT_REQUIRE_SCENES").is_none(), "{scene:?} is missing");
        println!("skipped: {} is not there", scene.display());
        return;
    }
    let place = Place::new();
    let document = place.weft(&["analyse", "--json", scene.to_str().expect("UTF-8")]).json();
    let info = &document["scene_info"];
    assert_eq!((&info["application"], &info["renderer"]), (&json!("Blender"), &json!("CYCLES")));
    assert_eq!((&info["start_frame"], &info["end_frame"]), (&json!(1), &json!(10)));
    assert_eq!((&info["width"], &info["height"]), (&json!(320), &json!(180)));
    assert_eq!(document["assets"][0]["type"], "image");
    assert_eq!(document["missing"], json!([]));
}

#[test]
fn a_missing_texture_is_listed_and_stops_the_render() {
    let place = Place::new();
    let scene = place.weft(&["demo", "--scene"]).stdout;
    let textured = scene.replacen(
        "[materials.studio]",
        "[materials.gone]\nkind = \"matte\"\ntexture = \"gone.png\"\n\n[materials.studio]",
        1,
    );
    place.write("s.weft", &textured);
    let document = place.weft(&["analyse", "--json", "s.weft"]).json();
    assert_eq!(document["assets"][0]["exists"], false);
    assert_eq!(document["missing"][0]["path"], "gone.png");
    let words = place.weft(&["analyse", "s.weft"]).stdout;
    assert!(words.contains("missing") && words.contains("gone.png"), "{words}");
    let render = ["demo-render", "--scene", "s.weft", "--frame", "1", "--output", "o.png"];
    place.weft(&render).assert_fails(1, &["error: ", "gone.png"]);
    assert!(!place.path().join("o.png").exists());
}

#[test]
fn analyse_says_why_a_file_is_no_scene() {
    let place = Place::new();
    place.write("bad.blend", "this is no scene");
    place.write("bad.ma", "this is no scene");
    place.write("bad.weft", "colour = [");
    place.write("other.obj", "o");
    for name in ["bad.blend", "bad.ma", "bad.weft"] {
        place.weft(&["analyse", name]).assert_fails(2, &["error: "]);
    }
    place.weft(&["analyse", "gone.blend"]).assert_fails(2, &["gone.blend"]);
    place
        .weft(&["analyse", "other.obj"])
        .assert_fails(2, &["a .obj file", ".blend, .ma and .weft"]);
    place.write("scene.mb", "FOR8");
    place.weft(&["analyse", "scene.mb"]).assert_fails(2, &["Maya binary"]);
}

#[test]
fn demo_render_refuses_what_it_cant_draw() {
    let place = Place::new();
    place.write("bad.weft", "colour = [");
    let render = |scene: &str, more: &[&str]| {
        let mut args = vec!["demo-render", "--scene", scene, "--frame", "-1", "--output", "o.png"];
        args.extend(more);
        place.weft(&args)
    };
    render("gone.weft", &[]).assert_fails(1, &["error: gone.weft can't be read"]);
    render("bad.weft", &[]).assert_fails(1, &["error: "]);
    place.write("good.weft", &place.weft(&["demo", "--scene"]).stdout);
    render("good.weft", &["--width", "0"]).assert_fails(2, &["the width must be 1 to 8192"]);
}
