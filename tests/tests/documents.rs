//! The JSON documents that scripts read: the fields that are promised, with their types. More fields
//! may stand beside them.

use std::time::Duration;

use serde_json::Value;
use weft_tests::{Farm, wait_for, write_file};

/// How long a small job may take.
const END: Duration = Duration::from_secs(60);

/// A Maya scene with a camera, and a texture that isn't there.
const MAYA: &str = r#"//Maya ASCII 2020 scene
requires maya "2020";
createNode transform -n "shot";
createNode camera -n "shotShape" -p "shot";
createNode file -n "wood";
	setAttr ".ftn" -type "string" "wood.png";
"#;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A text.
    Text,
    /// A whole number that isn't negative.
    Count,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// An id, a BLAKE3 hash: 64 hex digits.
    Id,
    /// An MD5: 32 hex digits.
    Md5,
    /// An xxHash64: a number in decimal, as a text.
    XxHash,
    /// A list of texts.
    Texts,
    /// A list.
    List,
    /// An object.
    Object,
}

use Kind::{Count, Flag, Id, List, Md5, Number, Object, Text, Texts, Whole, XxHash};

impl Kind {
    fn fits(self, value: &Value) -> bool {
        let text = value.as_str();
        let hex = |digits: usize| {
            text.is_some_and(|text| {
                let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                text.len() == digits && text.bytes().all(lower)
            })
        };
        match self {
            Text => value.is_string(),
            Count => value.is_u64(),
            Whole => value.is_i64() || value.is_u64(),
            Number => value.is_number(),
            Flag => value.is_boolean(),
            Id => hex(64),
            Md5 => hex(32),
            XxHash => text.and_then(|text| text.parse::<u64>().ok()).is_some(),
            Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            List => value.is_array(),
            Object => value.is_object(),
        }
    }
}

/// A document has these fields; those whose name ends in `?` may be null.
fn assert_fields(document: &Value, fields: &[(&str, Kind)]) {
    assert!(document.is_object(), "it is no object: {document:#}");
    for (name, kind) in fields {
        let (name, nullable) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (*name, false),
        };
        let value = document.get(name);
        let value = value.unwrap_or_else(|| panic!("'{name}' is missing: {document:#}"));
        let fits = kind.fits(value) || (nullable && value.is_null());
        assert!(fits, "'{name}' is no {kind:?}: {document:#}");
    }
}

/// A list that is not empty.
fn items(document: &Value) -> &[Value] {
    let list = document.as_array().unwrap_or_else(|| panic!("it is no list: {document:#}"));
    assert!(!list.is_empty(), "the list is empty");
    list
}

#[test]
fn the_studio_and_its_nodes() {
    let farm = Farm::found(2);
    let status = farm.node(2).ask(&["status"]);
    let fields = [
        ("node", Id),
        ("name", Text),
        ("studio", Text),
        ("leader?", Id),
        ("leader_since?", Count),
        ("term", Count),
        ("peers", Count),
    ];
    assert_fields(&status, &fields);
    assert_eq!((status["name"].as_str(), status["peers"].as_u64()), (Some("node2"), Some(1)));

    // What a node holds it tells itself; one that doesn't answer soon is done without.
    let nodes = wait_for(END, "every node tells what it holds", || {
        let nodes = farm.node(2).ask(&["nodes"]);
        items(&nodes).iter().all(|node| node["blobs_held"].is_u64()).then_some(nodes)
    });
    assert_eq!(items(&nodes).len(), 2);
    for node in items(&nodes) {
        let fields = [
            ("node", Id),
            ("name", Text),
            ("alive", Flag),
            ("leader", Flag),
            ("drained", Flag),
            ("running", Count),
            ("tasks", List),
            ("free?", Object),
            ("price_per_hour", Number),
            ("engines", Object),
            ("hardware", Object),
            ("blobs_held", Count),
            ("bytes_held", Count),
        ];
        assert_fields(node, &fields);
        let engines = node["engines"].as_object().expect("it is one");
        assert!(engines.values().all(Value::is_string) && engines.contains_key("demo"), "{node:#}");
        let fields = [
            ("os", Text),
            ("cpu_cores", Count),
            ("ram", Number),
            ("gpu_count", Count),
            ("gpu_model?", Text),
        ];
        assert_fields(&node["hardware"], &fields);
        // In GiB: no machine that renders has less than one, or bytes' worth of them.
        let ram = node["hardware"]["ram"].as_f64().expect("it is a number");
        assert!((0.2..1e5).contains(&ram), "{ram} GiB");
    }
    assert_eq!(items(&nodes).iter().filter(|node| node["leader"] == true).count(), 1);

    for profile in items(&farm.node(2).ask(&["profiles"])) {
        let fields = [
            ("name", Text),
            ("ram", Number),
            ("cores", Count),
            ("gpus", Count),
            ("gpu_model", Text),
            ("price_per_hour", Number),
            ("nodes", Count),
        ];
        assert_fields(profile, &fields);
    }
    _ = farm.node(2).run(&["limit", "demo", "3"]).ok();
    let fields = [("engine", Text), ("limit", Count), ("running", Count)];
    assert_fields(&items(&farm.node(1).ask(&["limits"]))[0], &fields);
    let report = farm.node(2).run(&["doctor", "--json"]).json();
    assert_fields(&report, &[("node?", Id), ("name?", Text), ("well", Flag), ("findings", List)]);
    for finding in items(&report["findings"]) {
        let fields = [("check", Text), ("level", Text), ("what", Text), ("mend?", Text)];
        assert_fields(finding, &fields);
    }
}

/// The fields of a job's document.
fn assert_job(job: &Value) {
    let fields = [
        ("job", Id),
        ("name", Text),
        ("owner", Text),
        ("status", Text),
        ("error_message?", Text),
        ("waiting_for?", Text),
        ("frames_total", Count),
        ("frames_done", Count),
        ("frames_failed", Count),
        ("eta_seconds?", Number),
        ("cost_so_far?", Number),
        ("cost_expected?", Number),
        ("frames", List),
    ];
    assert_fields(job, &fields);
    let statuses = [
        "queued",
        "preparing",
        "rendering",
        "paused",
        "awaiting_approval",
        "completed",
        "failed",
        "cancelled",
    ];
    assert!(statuses.iter().any(|status| job["status"] == *status), "{job:#}");
    for frame in items(&job["frames"]) {
        let fields = [
            ("frame", Whole),
            ("tile?", Count),
            ("status", Text),
            ("node?", Id),
            ("attempt", Count),
            ("generation", Count),
            ("is_test_frame", Flag),
            ("warnings", List),
            ("render_time?", Number),
            ("peak_memory?", Count),
            ("preview?", Id),
            ("output", List),
        ];
        assert_fields(frame, &fields);
        let statuses = ["pending", "assigned", "rendering", "done", "failed", "cancelled"];
        assert!(statuses.iter().any(|status| frame["status"] == *status), "{frame:#}");
        for output in frame["output"].as_array().into_iter().flatten() {
            let fields =
                [("path", Text), ("size", Count), ("id", Id), ("hash", Md5), ("xxhash", XxHash)];
            assert_fields(output, &fields);
        }
    }
}

/// A job's frames without their previews, which come when they are ready.
fn bare(job: &Value) -> Vec<Value> {
    let mut frames = items(&job["frames"]).to_vec();
    for frame in &mut frames {
        frame["preview"].take();
    }
    frames
}

#[test]
fn jobs() {
    let farm = Farm::found(2);
    let scene = farm.scene("ball", 24, 1);
    let document = |options: &[&str]| {
        farm.submission(2, &scene, options).arg("--json").within(END).run().ok().json()
    };
    let submitted = document(&["-f", "1-3"]);
    let fields = [
        ("job", Id),
        ("status", Text),
        ("copies", Count),
        ("bytes_added", Count),
        ("bytes_already_known", Count),
    ];
    assert_fields(&submitted, &fields);
    assert_eq!(submitted["copies"], 2);
    let size = std::fs::metadata(&scene).expect("it was written").len();
    assert!(submitted["bytes_added"].as_u64() >= Some(size), "{submitted:#}");
    let again = document(&["-f", "4"]);
    assert!(again["bytes_already_known"].as_u64() >= Some(size), "{again:#}");
    assert!(again["bytes_added"].as_u64() < Some(size), "{again:#}");

    let out = farm.folder().join("out").display().to_string();
    let watched = document(&["-f", "-1-2", "--test-frames", "2", "--watch", "-o", &out]);
    assert_job(&watched);
    assert_eq!(
        (watched["status"].as_str(), &watched["error_message"]),
        (Some("completed"), &Value::Null)
    );
    assert_eq!((&watched["frames_total"], &watched["frames_done"]), (&4.into(), &4.into()));
    for frame in items(&watched["frames"]) {
        assert_eq!(frame["is_test_frame"], frame["frame"] == 2, "{frame:#}");
        assert!(Id.fits(&frame["node"]) && frame["render_time"].is_number(), "{frame:#}");
        let output = &items(&frame["output"])[0];
        let path = std::path::Path::new(&out).join(output["path"].as_str().expect("it is a text"));
        let hashes = farm.node(2).call(&["hash", "--json"]).arg(&path).run().ok().json();
        let hashes = &items(&hashes)[0];
        for field in ["size", "hash", "xxhash"] {
            assert_eq!(hashes[field], output[field], "{field} of {}", path.display());
        }
    }
    let id = watched["job"].as_str().expect("it is a text");
    // It hears of the end in its own time, and of a holder that doesn't answer soon it says nothing.
    let shown = wait_for(END, "the other node knows the end, and who holds its files", || {
        let shown = farm.node(1).ask(&["job", id]);
        let told = shown["holders"].as_array().is_some_and(|holders| holders.len() == 2);
        (told && shown["status"] == "completed").then_some(shown)
    });
    assert_job(&shown);
    assert_eq!(bare(&shown), bare(&watched), "every node tells the same");
    assert_eq!(items(&shown["holders"]).len(), 2);
    for holder in items(&shown["holders"]) {
        let fields = [
            ("node", Id),
            ("node_name", Text),
            ("files", Count),
            ("files_total", Count),
            ("bytes", Count),
            ("bytes_total", Count),
        ];
        assert_fields(holder, &fields);
        // It was acknowledged on two nodes, and there are two.
        assert_eq!((&holder["files"], &holder["files_total"]), (&1.into(), &1.into()));
        assert_eq!((&holder["bytes"], &holder["bytes_total"]), (&size.into(), &size.into()));
    }
    let listed = farm.node(1).ask(&["jobs", "--all"]);
    assert_eq!(items(&listed).len(), 3);

    let fails = farm.script("fails", "echo no paint >&2; exit 1");
    let options = ["-f", "1", "--retries", "0", "--watch", "--json"];
    let failed = farm.submission(2, &fails, &options).within(END).run().ended_with(1).json();
    assert_job(&failed);
    assert_eq!((failed["status"].as_str(), &failed["frames_failed"]), (Some("failed"), &1.into()));
    let why = failed["error_message"].as_str().expect("a failed job says why");
    assert!(why.contains("no paint"), "{why}");

    let patient = farm.script("patient", "while [ ! -e \"$MARKS/go\" ]; do sleep 0.1; done");
    let job = farm.submit(2, &patient, &["-f", "1-9"]);
    _ = farm.node(2).ask(&["pause", &job]);
    let paused = farm.wait_for_job(&job, END, "the job is paused", |job| job["status"] == "paused");
    assert_job(&paused);
    assert!(paused["waiting_for"].is_string(), "{paused:#}");
    let lines = farm.node(2).start_call(&["watch", &job, "--json"]);
    wait_for(END, "watching prints a document", || lines.stdout().contains('\n').then_some(()));
    _ = farm.node(2).ask(&["cancel", &job]);
    let watched = lines.wait(END).ended_with(1).json_lines();
    watched.iter().for_each(assert_job);
    assert_eq!(watched.last().map(|job| &job["status"]), Some(&"cancelled".into()));
}

#[test]
fn scenes() {
    let farm = Farm::found(1);
    let maya = write_file(farm.folder().join("maya/shot.ma"), MAYA);
    for scene in [farm.scene("ball", 24, 1), maya.clone()] {
        let analysis = farm.node(1).call(&["analyse", "--json"]).arg(&scene).run().ok().json();
        assert_fields(&analysis, &[("scene_info", Object), ("assets", List), ("missing", List)]);
        let fields = [
            ("application", Text),
            ("application_version", Text),
            ("renderer", Text),
            ("start_frame", Number),
            ("end_frame", Number),
            ("by_frame", Number),
            ("animation", Flag),
            ("fps", Number),
            ("width", Count),
            ("height", Count),
            ("image_format", Text),
            ("all_cameras", Texts),
            ("render_cameras", Texts),
        ];
        assert_fields(&analysis["scene_info"], &fields);
    }
    // A node that is asked knows as well from where paths count.
    let project = farm.folder().join("project");
    write_file(project.join("wood.png"), "a picture");
    let nodes = farm.node(1).ask(&["nodes"]);
    let name = nodes[0]["name"].as_str().expect("a node has a name");
    for peer in [&[][..], &["--peer", name]] {
        let call = [peer, &["analyse", "--json", "--project"]].concat();
        let call = farm.node(1).call(&call).arg(&project).arg(&maya);
        let analysis = call.run().ok().json();
        assert_eq!(analysis["missing"].as_array().map(Vec::len), Some(0), "{peer:?} {analysis:#}");
    }
    let analysis = farm.node(1).call(&["analyze", "--json"]).arg(&maya).run().ok().json();
    for asset in items(&analysis["assets"]) {
        let fields = [("path", Text), ("type", Text), ("exists", Flag), ("node", Text)];
        assert_fields(asset, &fields);
    }
    for missing in items(&analysis["missing"]) {
        assert_fields(missing, &[("node", Text), ("path", Text), ("reason", Text)]);
    }
    assert_eq!(analysis["missing"][0]["path"], "wood.png");
    assert_eq!(analysis["scene_info"]["all_cameras"], serde_json::json!(["shotShape"]));
}

#[test]
fn files_and_the_store() {
    let farm = Farm::found(1);
    let hello = write_file(farm.folder().join("hello.txt"), "Hello, World!");
    let hashes = farm.node(1).call(&["hash", "--json"]).arg(&hello).run().ok().json();
    let fields =
        [("path", Text), ("size", Count), ("hash", Md5), ("xxhash", XxHash), ("blake3", Id)];
    assert_fields(&items(&hashes)[0], &fields);
    assert_eq!(hashes[0]["size"], 13);
    assert_eq!(hashes[0]["hash"], "65a8e27d8879283831b664bd8b7f0ad4");

    let add = || farm.node(1).call(&["add", "--json"]).arg(&hello).run().ok().json();
    let added = add();
    let fields = [
        ("path", Text),
        ("id", Id),
        ("size", Count),
        ("hash", Md5),
        ("xxhash", XxHash),
        ("bytes_added", Count),
    ];
    assert_fields(&items(&added)[0], &fields);
    assert_eq!(added[0]["bytes_added"], 13);
    assert_eq!(added[0]["xxhash"], hashes[0]["xxhash"]);
    assert_eq!(add()[0]["bytes_added"], 0, "it is known");

    let (id, md5) = (added[0]["id"].as_str().unwrap(), added[0]["hash"].as_str().unwrap());
    let (no_id, no_md5) = ("0".repeat(64), "0".repeat(32));
    let has = farm.node(1).ask(&["has", id, md5, &no_id, &no_md5]);
    assert_fields(&has, &[("existing", List), ("missing", Texts)]);
    assert_eq!(items(&has["existing"]).len(), 2);
    for (blob, asked) in items(&has["existing"]).iter().zip([id, md5]) {
        assert_fields(blob, &[("hash", Text), ("id", Id), ("size", Count)]);
        assert_eq!((blob["hash"].as_str(), &blob["id"]), (Some(asked), &id.into()));
    }
    assert_eq!(has["missing"], serde_json::json!([no_id, no_md5]));

    let store = farm.node(1).ask(&["store"]);
    let fields = [("blobs", Count), ("bytes", Count), ("partial", Count), ("references", List)];
    assert_fields(&store, &fields);
    assert_eq!((&store["blobs"], &store["bytes"]), (&1.into(), &13.into()));
    for reference in items(&store["references"]) {
        let fields = [
            ("id", Id),
            ("path", Text),
            ("type", Text),
            ("added_by", Text),
            ("count", Count),
            ("by", Texts),
        ];
        assert_fields(reference, &fields);
    }
}
