//! Specs, outcomes and controls for tests.

use std::collections::{BTreeMap, BTreeSet};

use super::control::{Action, Control};
use super::outcome::{Ending, FailureKind, Outcome};
use super::spec::{AfterTest, JobSpec, NORMAL_PRIORITY, Step};
use super::task::{FrameRun, TaskKey};
use crate::certificate::Role;
use crate::content::TreePath;
use crate::hardware::{Hardware, Needs};
use crate::ids::{BlobId, FactId, JobId, NodeId};
use crate::time::Unix;
use crate::wire::control::Advert;

pub(crate) fn node(n: u8) -> NodeId {
    NodeId([n; 32])
}

pub(crate) fn fact(n: u64) -> FactId {
    FactId(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

pub(crate) fn run(start: i32, end: i32) -> FrameRun {
    FrameRun { start, end, step: 1 }
}

/// A worker with the engine `demo`, four cores and 16 GiB.
pub(crate) fn advert(n: u8) -> Advert {
    Advert {
        node: node(n),
        name: format!("node{n}"),
        role: Role::Worker,
        revision: (1, 0),
        release: "0".into(),
        hardware: Hardware { cpu_cores: 4, ram: 1 << 34, ..Hardware::default() },
        engines: [("demo".to_owned(), "1".to_owned())].into(),
        tags: BTreeSet::new(),
        price: 0,
        addresses: Vec::new(),
    }
}

/// Frames 1 to `last` of engine `demo`, no retries.
pub(crate) fn spec(last: i32) -> JobSpec {
    JobSpec {
        nonce: [1; 16],
        name: "shot".into(),
        owner: "ada".into(),
        submitted: Unix(1000),
        inputs: BlobId([7; 32]),
        steps: vec![Step {
            name: "render".into(),
            engine: "demo".into(),
            engine_version: String::new(),
            scene: TreePath::new("shot.weft").expect("a valid path"),
            arguments: BTreeMap::new(),
            frames: vec![run(1, last)],
            tiles: (1, 1),
            frames_per_task: 1,
            output: "shot_####.png".into(),
            after: Vec::new(),
        }],
        test_frames: Vec::new(),
        after_test: AfterTest::GoOn,
        needs: Needs::default(),
        priority: NORMAL_PRIORITY,
        retries: 0,
        timeout: 0,
        fresh: false,
        check: 0,
        share: false,
    }
}

/// The same job in tiles, two a frame, with a step that joins them.
pub(crate) fn tiled(mut spec: JobSpec) -> JobSpec {
    let render = &mut spec.steps[0];
    render.tiles = (2, 1);
    let join = Step {
        name: "join".into(),
        engine: "join".into(),
        tiles: (1, 1),
        after: vec![0],
        ..render.clone()
    };
    spec.steps.push(join);
    spec
}

/// The same job with a step after it that makes two other frames, 101 and 102, of all of its.
pub(crate) fn comped(mut spec: JobSpec) -> JobSpec {
    let comp = Step {
        name: "comp".into(),
        frames: vec![run(101, 102)],
        after: vec![0],
        ..spec.steps[0].clone()
    };
    spec.steps.push(comp);
    spec
}

pub(crate) fn outcome(frame: i32, generation: u32, attempt: u32, ending: Ending) -> Outcome {
    Outcome {
        task: TaskKey::frame(frame),
        generation,
        attempt,
        term: 1,
        started: Unix(0),
        render_ms: 1500,
        peak_memory: 0,
        log: None,
        holders: vec![node(1), node(2)],
        ending,
    }
}

pub(crate) fn done() -> Ending {
    Ending::Done(Vec::new())
}

pub(crate) fn failed(message: &str) -> Ending {
    Ending::Failed { kind: FailureKind::ExitCode(1), message: message.into() }
}

pub(crate) fn control(job: JobId, version: u64, action: Action) -> Control {
    Control { job, version, at: Unix(0), by: "ada".into(), action }
}
