//! Real messages, one or more for each decoder: what the committed corpus is made of.

use std::collections::{BTreeMap, BTreeSet};

use weft_protocol::certificate::{Certificate, Chain, Role, Statement};
use weft_protocol::claim::Portion;
use weft_protocol::content::{Bitmap, ChunkRef, Manifest, Tree, TreeEntry, TreePath};
use weft_protocol::election::Claim;
use weft_protocol::fact::digest::Summary;
use weft_protocol::fact::{Body, Delivery, Fact, Outcomes, Removal, Revocation};
use weft_protocol::hardware::{GIB, Gpu, Hardware, Needs};
use weft_protocol::ids::{BlobId, ChunkId, FactId, JobId, NodeId, StudioId};
use weft_protocol::job::control::{Action, Control};
use weft_protocol::job::keep::{End, Ended, Keep};
use weft_protocol::job::note::{Comparison, Note, Notes, What};
use weft_protocol::job::outcome::{Ending, FailureKind, Outcome, OutputFile};
use weft_protocol::job::spec::{AfterTest, JobSpec, Step};
use weft_protocol::job::task::{FrameRun, TaskKey};
use weft_protocol::job::warning::{Warned, Warnings};
use weft_protocol::membership::{Liveness, Update};
use weft_protocol::settings::{Change, Hours, NodeChange, OnReturn, Setting, shipped};
use weft_protocol::sign::KeyPair;
use weft_protocol::time::Unix;
use weft_protocol::wire::control::{
    Advert, AttemptKey, Claimed, Closed, Lease, Message, Phase, Report, Standing, Sync,
};
use weft_protocol::wire::gate::{Answer, Credential, Refused, Sealed, Studio, Welcome};
use weft_protocol::wire::invite::{Code, Record};
use weft_protocol::wire::transfer::{Chunk, Encoding, Reply, Request};
use weft_protocol::wire::{self, gossip};

/// Real encodings, each with its target's name and its own.
#[must_use]
pub fn samples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut all = facts();
    all.extend(at_the_gate());
    all.extend(records());
    all.extend(contents());
    all.extend(
        controls().into_iter().map(|(name, message)| ("control", name, wire::encode(&message))),
    );
    all.extend(
        gossips().into_iter().map(|(name, message)| ("gossip", name, wire::encode(&message))),
    );
    all.extend(
        requests().into_iter().map(|(name, message)| ("request", name, wire::encode(&message))),
    );
    all.extend(
        replies().into_iter().map(|(name, message)| ("reply", name, wire::encode(&message))),
    );
    all
}

fn root() -> KeyPair {
    KeyPair::from_secret(&[9; 32])
}

fn member() -> KeyPair {
    KeyPair::from_secret(&[1; 32])
}

fn studio() -> StudioId {
    StudioId(root().public().0)
}

fn certificate(issuer: &KeyPair, subject: &KeyPair, role: Role) -> Certificate {
    let statement = Statement {
        studio: studio(),
        subject: subject.public(),
        issuer: issuer.public(),
        role,
        name: "workstation-7".into(),
        issued: Unix(1_700_000_000_000),
        expires: Unix(1_800_000_000_000),
    };
    Certificate::sign(statement, issuer)
}

/// A member's chain over an admin.
pub(super) fn chain() -> Chain {
    let admin = KeyPair::from_secret(&[2; 32]);
    Chain {
        leaf: certificate(&admin, &member(), Role::Worker),
        admin: Some(certificate(&root(), &admin, Role::Admin)),
    }
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a good path")
}

fn runs() -> Vec<FrameRun> {
    vec![FrameRun { start: 1, end: 10, step: 1 }, FrameRun { start: 30, end: -20, step: -5 }]
}

fn spec() -> JobSpec {
    let step = Step {
        name: "render".into(),
        engine: "blender".into(),
        engine_version: "4.2".into(),
        scene: path("shots/010/shot.blend"),
        arguments: BTreeMap::from([("camera".to_owned(), "Camera.001".to_owned())]),
        frames: runs(),
        tiles: (2, 2),
        frames_per_task: 1,
        output: "beauty.####.exr".into(),
        after: Vec::new(),
    };
    let join = Step { name: "join".into(), after: vec![0], tiles: (1, 1), ..step.clone() };
    JobSpec {
        nonce: [5; 16],
        name: "shot 010".into(),
        owner: "ada".into(),
        submitted: Unix(1_700_000_000_000),
        inputs: BlobId([4; 32]),
        steps: vec![step, join],
        test_frames: vec![FrameRun { start: 1, end: 2, step: 1 }],
        after_test: AfterTest::AwaitApproval,
        needs: Needs {
            ram: 8 * GIB,
            cores: 4,
            gpus: 1,
            gpu_model: "RTX".into(),
            tags: BTreeSet::from(["lab".to_owned()]),
        },
        priority: 70,
        retries: 2,
        timeout: 3600,
        fresh: false,
        check: 0,
        share: false,
    }
}

fn attempt() -> AttemptKey {
    AttemptKey { job: JobId([7; 32]), task: TaskKey::frame(7), generation: 1, attempt: 2 }
}

fn outcomes() -> Outcomes {
    let file = OutputFile {
        path: path("beauty.0007.exr"),
        blob: BlobId([6; 32]),
        size: 1_234_567,
        md5: [8; 16],
        xxh64: 0x0123_4567_89ab_cdef,
    };
    let failed =
        Ending::Failed { kind: FailureKind::ExitCode(-11), message: "out of memory".into() };
    let outcome = |ending| Outcome {
        term: 3,
        log: Some(BlobId([3; 32])),
        holders: vec![NodeId([1; 32]), NodeId([2; 32])],
        ..attempt().outcome(ending, Unix(1_700_000_000_000), 61_000)
    };
    let outcomes = vec![outcome(Ending::Done(vec![file])), outcome(failed)];
    Outcomes { job: JobId([7; 32]), outcomes }
}

fn bodies() -> Vec<(&'static str, &'static str, Body)> {
    let job = JobId([7; 32]);
    let control =
        |action| Body::Control(Control { job, version: 4, at: Unix(5), by: "ada".into(), action });
    let retry = Action::Retry { step: 0, frames: runs(), generation: 2 };
    let revocation = Revocation { node: NodeId([3; 32]), reason: "it was stolen".into() };
    let setting =
        |change| Body::Setting(Setting { version: 4, at: Unix(5), by: "ada".into(), change });
    let of_node = |change| setting(Change::Node(NodeId([3; 32]), change));
    let profile = shipped().remove("high_performance");
    let comparison = Comparison {
        first: NodeId([1; 32]),
        second: NodeId([2; 32]),
        alike: true,
        pixels: 1920 * 1080,
        differing: 7,
        largest: 31_250,
    };
    let notes = [
        What::Preview(BlobId([6; 32])),
        What::Key([5; 32]),
        What::TakenOver(JobId([8; 32])),
        What::Compared(comparison),
    ];
    let notes = notes.map(|what| Note { task: TaskKey::frame(-7), generation: 1, what }).to_vec();
    let warned = |task, texts: &[&str]| Warned {
        task,
        generation: 1,
        texts: texts.iter().map(ToString::to_string).collect(),
    };
    let warned = vec![
        warned(TaskKey::frame(-7), &["scripts disabled for \"shot.blend\"", "ünï"]),
        warned(TaskKey { tile: 3, ..TaskKey::frame(8) }, &["a texture is missing"]),
    ];
    let end = |ended| Body::End(End { job, round: [7; 8], ended });
    let delivery = Delivery { job, node: member().public(), folder: "/srv/out/shot 010".into() };
    vec![
        ("fact_certificate", "chain", Body::Certificate(Box::new(chain()))),
        ("fact_revocation", "stolen", Body::Revocation(revocation)),
        ("fact_setting", "drained", of_node(NodeChange::Drained(true))),
        ("fact_setting", "forgiven", of_node(NodeChange::Forgiven(Unix(1_700_000_000_000)))),
        ("fact_setting", "price", of_node(NodeChange::Price(Some(1500)))),
        ("fact_setting", "cores", of_node(NodeChange::Cores(None))),
        ("fact_setting", "tags", of_node(NodeChange::Tags(Some(["lab".to_owned()].into())))),
        (
            "fact_setting",
            "hours",
            of_node(NodeChange::Hours(Some(Hours { from: 1140, until: 480 }))),
        ),
        ("fact_setting_2", "on_return", of_node(NodeChange::OnReturn(Some(OnReturn::Requeue)))),
        ("fact_setting", "profile", setting(Change::Profile("big".into(), profile))),
        ("fact_setting", "limit", setting(Change::Limit("blender".into(), Some(5)))),
        ("fact_setting_3", "keep", setting(Change::Keep(Some(30 * 86_400)))),
        ("fact_spec", "blender", Body::Spec(Box::new(spec()))),
        ("fact_spec_2", "fresh", Body::Spec(Box::new(JobSpec { fresh: true, ..spec() }))),
        ("fact_spec_3", "share", Body::Spec(Box::new(JobSpec { share: true, ..spec() }))),
        ("fact_control", "pause", control(Action::Pause)),
        ("fact_control", "retry", control(retry)),
        ("fact_control", "priority", control(Action::Priority(90))),
        ("fact_control_2", "keep", control(Action::Keep(Keep::For(86_400)))),
        ("fact_control_2", "forever", control(Action::Keep(Keep::ForEver))),
        ("fact_outcomes", "two", Body::Outcomes(outcomes())),
        ("fact_delivery", "folder", Body::Delivery(delivery)),
        ("fact_removal", "job", Body::Removal(Removal { job })),
        ("fact_notes", "each", Body::Notes(Notes { job, notes })),
        ("fact_end", "delivered", end(Ended::Delivered)),
        ("fact_end", "over", end(Ended::Over(Unix(1_700_000_000_000)))),
        ("fact_warnings", "two", Body::Warnings(Warnings { job, warned })),
    ]
}

fn signed(body: &Body) -> Fact {
    Fact::sign(&studio(), body, &member())
}

fn facts() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut all = vec![("chain", "member", chain().encode())];
    for (target, name, body) in bodies() {
        all.push((target, name, body.encode()));
        if !all.iter().any(|(kind, known, _)| *kind == "fact" && *known == target) {
            all.push(("fact", target, signed(&body).as_bytes().to_vec()));
        }
    }
    let unknown = Fact::sign_raw(&studio(), 900, 7, None, b"from the future", &member());
    all.push(("fact", "unknown_kind", unknown.as_bytes().to_vec()));
    all
}

fn some_manifest() -> Manifest {
    let chunks = vec![
        ChunkRef { id: ChunkId([1; 32]), len: 300_000 },
        ChunkRef { id: ChunkId([2; 32]), len: 70_001 },
    ];
    Manifest { size: 370_001, md5: [3; 16], xxh64: 4, chunks }
}

fn some_tree() -> Tree {
    let entry = |frames| TreeEntry { blob: BlobId([4; 32]), size: 9, frames };
    let entries = BTreeMap::from([
        (path("caches/smoke.0007.vdb"), entry(Some(runs()))),
        (path("shot.blend"), entry(None)),
        (path("textures/wood 01.exr"), entry(None)),
        (path("ünï/日本.png"), entry(None)),
    ]);
    Tree::new(entries).expect("a good tree")
}

fn some_bitmap() -> Bitmap {
    let mut bitmap = Bitmap::new(21);
    for index in [0, 7, 8, 20] {
        bitmap.set(index);
    }
    bitmap
}

fn contents() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let empty = Manifest { size: 0, md5: [0; 16], xxh64: 0, chunks: Vec::new() };
    vec![
        ("manifest", "two_chunks", some_manifest().encode()),
        ("manifest", "empty", empty.encode()),
        ("tree", "project", some_tree().encode()),
        ("tree", "empty", Tree::default().encode()),
        ("bitmap", "some", wire::encode(&some_bitmap())),
        ("bitmap", "full", wire::encode(&Bitmap::full(9))),
        ("chunk", "stored", packed(5, &[0x29, 0, 0, b'h', b'e', b'l', b'l', b'o'])),
        ("chunk", "repeated", packed(200, &[0x43, 6, 0, b'x'])),
    ]
}

/// A zstd frame of at most 255 bytes in one block, made by hand: what the library writes may change with its
/// version. Before it stands the length that the manifest says.
fn packed(len: u8, block: &[u8]) -> Vec<u8> {
    // Magic number; one segment, whose length is one byte; that byte.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, len];
    [&u32::from(len).to_le_bytes()[..], &frame, block].concat()
}

fn advert() -> Advert {
    Advert {
        node: member().public(),
        name: "workstation-7".into(),
        role: Role::Worker,
        revision: (1_700_000_000_000, 2),
        release: "0.1.0".into(),
        hardware: Hardware {
            os: "linux".into(),
            arch: "x86_64".into(),
            cpu_model: "Threadripper".into(),
            cpu_cores: 64,
            ram: 128 * GIB,
            gpus: vec![Gpu { model: "RTX 4090".into(), memory: 24 * GIB }],
        },
        engines: BTreeMap::from([("blender".to_owned(), "4.2.1".to_owned())]),
        tags: BTreeSet::from(["lab".to_owned()]),
        price: 1500,
        addresses: vec!["/ip4/192.168.1.7/tcp/7920".into()],
    }
}

fn claim() -> Claim {
    Claim::sign(&studio(), 3, &member())
}

fn controls() -> Vec<(&'static str, Message)> {
    let node = member().public();
    let update = Update { node, liveness: Liveness::Suspect, incarnation: 2 };
    let known = vec![(node, vec!["/ip4/10.0.0.1/tcp/7920".to_owned()])];
    let report = Report {
        seq: 9,
        assigned: 4,
        running: vec![(attempt(), 3, Phase::Rendering(412)), (attempt(), 3, Phase::Preparing)],
        held: vec![BlobId([4; 32])],
    };
    let lease = Lease { attempt: attempt(), cores: 8, ram: 8 * GIB, gpus: vec![0, 1] };
    let run = Message::AssignRun {
        term: 3,
        seq: 4,
        lease: lease.clone(),
        more: vec![AttemptKey { attempt: 2, ..attempt() }],
        providers: vec![node],
    };
    let fact = signed(&bodies()[1].2).as_bytes().to_vec();
    let refused = [("blender".to_owned(), "no seat is free".to_owned())].into();
    let standing = Standing { closed: Some(Closed::Hours), refused };
    let keep = Message::Keep {
        token: 5,
        blobs: vec![BlobId([4; 32]), BlobId([5; 32])],
        trees: vec![BlobId([4; 32])],
        job: JobId([7; 32]),
        facts: vec![fact.clone()],
    };
    let portion = Portion { cores: 4, ram: 8 * GIB, gpus: [1, 2].into() };
    let children = Summary::Children(vec![(0, [1; 8]), (255, [2; 8])]);
    vec![
        ("hello", Message::Hello { advert: Box::new(advert()), claim: Some(claim()), known }),
        ("ping", Message::Ping(1, vec![update])),
        ("ack", Message::Ack(1, vec![update, update])),
        ("ping_for", Message::PingFor(2, node)),
        ("ack_for", Message::AckFor(2, node)),
        ("ask_lost", Message::AskLost(3)),
        ("lost", Message::Lost(3, true, 4)),
        ("claim", Message::Claim(claim())),
        ("report", Message::Report(Box::new(report))),
        ("reported", Message::Reported(9, 3)),
        ("assign", Message::Assign { term: 3, seq: 4, lease, providers: vec![node] }),
        ("assign_run", run),
        ("facts", Message::Facts(Some(6), vec![fact.clone(), fact])),
        ("facts_stored", Message::FactsStored(6)),
        ("keep", keep),
        ("keeping", Message::Keeping(5)),
        ("kept", Message::Kept(5, Err("the disk is full".into()))),
        ("sync_root", Message::Sync(Sync::Root([1; 8]))),
        ("sync_children", Message::Sync(Sync::Summary(vec![1, 2], children))),
        ("sync_ids", Message::Sync(Sync::Summary(vec![1], Summary::Ids(vec![FactId([1; 32])])))),
        ("sync_ask", Message::Sync(Sync::Ask(vec![vec![1], vec![1, 2]]))),
        ("clock", Message::Clock(Unix(1_700_000_000_000))),
        ("standing", Message::Standing(standing)),
        ("claims", Message::Claims(9, vec![Claimed { claim: portion, of: vec![0, 1] }])),
        ("seek", Message::Sought(JobId([7; 32]), None)),
        ("sought", Message::Sought(JobId([7; 32]), Some(vec![TaskKey::frame(7)]))),
        ("take_over", Message::TakeOver(JobId([7; 32]), vec![TaskKey::frame(7)])),
        ("sync_want", Message::Sync(Sync::Want(vec![FactId([1; 32]), FactId([2; 32])]))),
    ]
}

fn gossips() -> Vec<(&'static str, gossip::Message)> {
    let fact = signed(&bodies()[1].2);
    let node = member().public();
    vec![
        ("facts", gossip::Message::Facts(vec![fact.as_bytes().to_vec()])),
        ("announce", gossip::Message::Announce(node, vec![fact.id()])),
        ("claim", gossip::Message::Claim(claim())),
        ("advert", gossip::Message::Advert(Box::new(advert()))),
    ]
}

fn requests() -> Vec<(&'static str, Request)> {
    let blob = BlobId([4; 32]);
    vec![
        ("open", Request::Open(vec![blob, BlobId([5; 32])])),
        ("follow", Request::Follow(blob)),
        ("want", Request::Want { blob, chunk: 300, exact: true }),
        ("cancel", Request::Cancel(blob, 300)),
        ("hold", Request::Hold(blob, some_bitmap())),
        ("gained", Request::Gained(blob, vec![1, 2, 300])),
    ]
}

fn replies() -> Vec<(&'static str, Reply)> {
    let blob = BlobId([4; 32]);
    let chunk = Chunk { blob, asked: 300, chunk: 301, encoding: Encoding::Zstd, bytes: 70_000 };
    vec![
        ("manifest", Reply::Manifest(blob, some_manifest().encode(), some_bitmap())),
        ("whole", Reply::Whole(blob, some_manifest().encode(), b"small".to_vec())),
        ("chunk", Reply::Chunk(chunk)),
        ("unknown", Reply::Unknown(blob)),
        ("missing", Reply::Missing(blob, 300)),
        ("holds", Reply::Holds(blob, Bitmap::full(21))),
        ("gained", Reply::Gained(blob, vec![1, 2, 300])),
        ("spared", Reply::Spared(blob, 300)),
    ]
}

fn at_the_gate() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let backup = Sealed { nonce: [1; 24], bytes: vec![2; 48] };
    let studio = Studio { id: studio(), name: "Moving Pictures".into(), backup: backup.clone() };
    let joined = Answer::Joined(Box::new(Welcome { chain: chain(), studio: studio.clone() }));
    let join = Credential::Join { secret: [3; 16], name: "workstation-7".into() };
    let code = Code {
        studio: studio.id,
        issuer: member().public(),
        secret: [3; 16],
        expires: Unix(1_700_000_000_000),
        addresses: vec!["/ip4/192.168.1.7/tcp/7920".into()],
    };
    let for_workers =
        Record { role: Role::Worker, expires: code.expires, uses_left: 5, root: None };
    let for_an_admin = Record {
        role: Role::Admin,
        uses_left: 1,
        root: Some(backup.clone()),
        ..for_workers.clone()
    };
    let refused = Answer::Refused("the certificate has expired".into());
    vec![
        ("studio", "founded", wire::encode(&studio)),
        ("gate_credential", "member", wire::encode(&Credential::Member(Box::new(chain())))),
        ("gate_credential", "join", wire::encode(&join)),
        ("gate_answer", "member", wire::encode(&Answer::Member(Box::new(chain())))),
        ("gate_answer", "refused", wire::encode(&refused)),
        ("gate_answer", "spent", wire::encode(&Answer::JoinRefused(Refused::Spent))),
        ("gate_answer", "joined", wire::encode(&joined)),
        ("invite", "code", code.write().into_bytes()),
        ("invite_record", "workers", wire::encode(&for_workers)),
        ("invite_record", "admin", wire::encode(&for_an_admin)),
    ]
}

/// Records as `docs/store.md` has them, spelled out: the store's own types are its own.
fn records() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let record = |key: &[u8], content: Vec<u8>| [&[key.len() as u8][..], key, &content].concat();
    let (blob, now) = ([4; 32], 1_700_000_000_u64);
    let looks =
        (5_u64, 1_700_000_000_000_000_000_i128, 1_700_000_000_000_000_001_i128, 66_u64, 7_u64);
    let place_of_file = 0_u8;
    let row = (place_of_file, 370_001_u64, [3_u8; 16], 4_u64, now);
    vec![
        ("record_manifests", "two_chunks", record(&blob, some_manifest().encode())),
        ("record_blobs", "file", record(&blob, wire::encode(&row))),
        ("record_inline", "small", record(&blob, b"small".to_vec())),
        (
            "record_chunks",
            "second",
            record(&[4; 64], wire::encode(&(1_u32, 300_000_u64, 70_001_u32))),
        ),
        ("record_md5", "blob", record(&[3; 48], Vec::new())),
        ("record_partial", "some", record(&blob, wire::encode(&(some_bitmap(), now)))),
        (
            "record_pins",
            "job",
            record(&[&blob[..], b"job/0707"].concat(), wire::encode(&(true, now, None::<u64>))),
        ),
        (
            "record_pins",
            "lease",
            record(&[&blob[..], b"lease"].concat(), wire::encode(&(false, now, Some(now)))),
        ),
        (
            "record_facts",
            "spec",
            record(&blob, signed(&Body::Spec(Box::new(spec()))).as_bytes().to_vec()),
        ),
        ("record_meta", "term", record(b"term", 7_u64.to_le_bytes().to_vec())),
        (
            "record_remembered",
            "file",
            record(b"/srv/shot.blend", wire::encode(&(looks, BlobId(blob)))),
        ),
        ("record_lost", "blob", record(&blob, wire::encode(&now))),
    ]
}
