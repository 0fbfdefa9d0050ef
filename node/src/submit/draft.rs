//! From what is asked to what is signed.

use std::collections::BTreeMap;

use weft_protocol::content::TreePath;
use weft_protocol::hardware::{GIB, Needs, SANDBOX};
use weft_protocol::ids::BlobId;
use weft_protocol::job::spec::{AfterTest, JobSpec, MAX_RETRIES, NORMAL_PRIORITY, Step};
use weft_protocol::job::task::{runs, unfold};
use weft_protocol::schedule::plan::MAX_RUN;
use weft_protocol::settings::Profile;
use weft_scene::engine::Definition;
use weft_scene::frames;

use super::{Prepared, SubmitRequest, check, collect, invalid, tiles};
use crate::clock::unix_now;
use crate::error::{ApiError, Code};

/// How often a failed frame is tried again where nothing else was asked for.
const RETRIES: u32 = 2;

/// What tells a job from all others: what the request says, or something new.
fn nonce(said: Option<&str>) -> Result<[u8; 16], ApiError> {
    if let Some(said) = said {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(said.as_bytes()).ok();
        return bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| invalid("the nonce is not 32 hex digits; nothing was submitted"));
    }
    new_nonce()
}

/// What tells a new job from all others.
pub(crate) fn new_nonce() -> Result<[u8; 16], ApiError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| ApiError::new(Code::Failed, format!("no randomness: {error}")))?;
    Ok(nonce)
}

pub(super) fn draft(
    request: &SubmitRequest,
    (engine, shares): (&str, bool),
    frames: Vec<i64>,
    test_frames: Vec<i64>,
    output: String,
    owner: &str,
) -> Result<JobSpec, ApiError> {
    let narrow = |frames: Vec<i64>| -> Result<Vec<i32>, ApiError> {
        let narrow: Result<Vec<i32>, _> = frames.into_iter().map(i32::try_from).collect();
        narrow.map_err(|_| invalid("a frame number is too large; nothing was submitted"))
    };
    let retries = request.retries.unwrap_or(RETRIES);
    if retries > MAX_RETRIES {
        return Err(invalid(format!("at most {MAX_RETRIES} retries can be asked for")));
    }
    let together = request.frames_per_task.unwrap_or(1);
    if together as usize > MAX_RUN {
        return Err(invalid(format!(
            "one process renders at most {MAX_RUN} frames; nothing was submitted"
        ))
        .hint("Ask for fewer with --frames-per-task."));
    }
    let nonce = nonce(request.nonce.as_deref())?;
    let name = request.name.clone().unwrap_or_else(|| output.clone());
    Ok(JobSpec {
        nonce,
        name,
        owner: owner.to_owned(),
        submitted: unix_now(),
        inputs: BlobId([0; 32]),
        steps: vec![Step {
            name: "render".into(),
            engine: engine.to_owned(),
            engine_version: String::new(),
            scene: TreePath::new("scene").map_err(|error| invalid(error.to_string()))?,
            arguments: arguments(request),
            frames: runs(&narrow(frames)?),
            tiles: tiles::wanted(request)?,
            frames_per_task: together.max(1),
            output,
            after: Vec::new(),
        }],
        test_frames: runs(&narrow(test_frames)?),
        after_test: match (request.stop_after_test, request.approve_after_test) {
            (_, true) => AfterTest::AwaitApproval,
            (true, false) => AfterTest::StopIfFailed,
            (false, false) => AfterTest::GoOn,
        },
        needs: Needs::default(),
        priority: request.priority.unwrap_or(NORMAL_PRIORITY),
        retries,
        timeout: u32::try_from(request.timeout_seconds.unwrap_or(0)).unwrap_or(u32::MAX),
        fresh: request.fresh,
        check: request.check.unwrap_or(0),
        share: request.share.unwrap_or(shares),
    })
}

pub(super) fn arguments(request: &SubmitRequest) -> BTreeMap<String, String> {
    let mut arguments: BTreeMap<String, String> =
        request.args.iter().map(|(key, value)| (format!("arg.{key}"), value.clone())).collect();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            arguments.insert(key.to_owned(), value);
        }
    };
    set("camera", request.camera.clone());
    set("scene", request.scene_name.clone());
    set("view_layer", request.view_layer.clone());
    set("format", request.format.clone());
    set("scale", request.scale.map(|scale| scale.to_string()));
    set("allow_scripts", request.allow_scripts.then(|| "yes".to_owned()));
    arguments
}

/// A number of GiB in bytes, if it can be one.
pub(crate) fn bytes_of(gib: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "within 0 and 10⁹ GiB, or not used"
    )]
    (0.0..=1e9).contains(&gib).then_some((gib * GIB as f64) as u64)
}

/// What a machine needs: a profile's needs, and what is asked on top.
pub(super) fn needs(
    request: &SubmitRequest,
    profiles: &BTreeMap<String, Profile>,
) -> Result<Needs, ApiError> {
    let ram = request.ram.unwrap_or(0.0);
    let ram = bytes_of(ram).ok_or_else(|| {
        invalid(format!("{ram} GiB is no amount of memory; nothing was submitted"))
    })?;
    let profile = match &request.hardware {
        None => Profile::default(),
        Some(name) => profiles.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
            invalid(format!("there is no profile '{name}'; nothing was submitted"))
                .hint(format!("There are: {}.", known.join(", ")))
        })?,
    };
    let needs = profile.needs();
    // What a scene's own scripts do nobody knows.
    let sandbox = request.allow_scripts.then(|| SANDBOX.to_owned());
    Ok(Needs {
        ram: needs.ram.max(ram),
        cores: needs.cores.max(request.cores.unwrap_or(0)),
        gpus: needs.gpus.max(request.gpus.unwrap_or(0)),
        gpu_model: request.gpu_model.clone().unwrap_or(needs.gpu_model),
        tags: request.tags.iter().cloned().chain(sandbox).collect(),
    })
}

pub(super) fn finish(
    mut spec: JobSpec,
    scene: &TreePath,
    inputs: BlobId,
    (bytes_added, bytes_already_known): (u64, u64),
    warnings: Vec<String>,
    gathered: &collect::Gathered,
    tiled: Option<Option<&Definition>>,
) -> Result<Prepared, ApiError> {
    spec.inputs = inputs;
    spec.steps[0].scene = scene.clone();
    if let Some(definition) = tiled {
        let join = tiles::join_step(&spec.steps[0], definition);
        spec.steps.push(join);
    }
    check::add_steps(&mut spec);
    spec.check_bounds().map_err(|error| invalid(format!("{error}; nothing was submitted")))?;
    let frames: Vec<i64> = unfold(&spec.steps[0].frames).map(i64::from).collect();
    Ok(Prepared {
        spec,
        bytes_added,
        bytes_already_known,
        warnings,
        frames: frames::format(&frames),
        own_frames: false,
        files: gathered.files.len(),
        mapped: Vec::new(),
    })
}
