//! Submitting: from a scene on somebody's disk to a signed spec whose every blob is in the store.

mod check;
mod collect;
mod maya_paths;
mod own;
mod rewrite;
mod take_in;
mod tiles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weft_protocol::content::TreePath;
use weft_protocol::hardware::{GIB, Needs, SANDBOX, SHARED};
use weft_protocol::ids::BlobId;
use weft_protocol::job::spec::{
    AfterTest, COMPARE, IN_ORDER, JobSpec, MAX_RETRIES, NORMAL_PRIORITY, Step,
};
use weft_protocol::job::task::runs;
use weft_protocol::settings::Profile;
use weft_scene::analysis::Analysis;
use weft_scene::engine::{Definition, Invocation, command};
use weft_scene::frames;
use weft_store::Store;

use crate::clock::unix_now;
use crate::error::{ApiError, Code};
use crate::shared_roots::SharedRoots;

pub use collect::analyse;

/// How often a failed frame is tried again where nothing else was asked for.
const RETRIES: u32 = 2;

/// What is asked, as the API takes it. Paths are absolute, on the machine of the node that is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmitRequest {
    /// The scene file.
    pub scene: PathBuf,
    /// A frame spec; the scene's own range where none is given.
    pub frames: Option<String>,
    /// The engine; by the scene's ending where none is given.
    pub engine: Option<String>,
    /// The folder where the frames are to be written on this machine.
    pub output: Option<PathBuf>,
    /// The job's name; the scene's where none is given.
    pub name: Option<String>,
    /// Frames that go first.
    pub test_frames: Option<String>,
    /// A failed test frame fails the job.
    pub stop_after_test: bool,
    /// The rest waits for approval.
    pub approve_after_test: bool,
    /// The camera to render.
    pub camera: Option<String>,
    /// Which of the file's scenes.
    pub scene_name: Option<String>,
    /// Which view layer.
    pub view_layer: Option<String>,
    /// The file format.
    pub format: Option<String>,
    /// The size in percent.
    pub scale: Option<u32>,
    /// Arguments of the engine's.
    pub args: BTreeMap<String, String>,
    /// The words of a command of one's own, in place of a scene.
    pub command: Vec<String>,
    /// Scripts inside the scene may run.
    pub allow_scripts: bool,
    /// Further files and folders that the scene needs.
    pub assets: Vec<PathBuf>,
    /// The folder from which paths inside the job count.
    pub project: Option<PathBuf>,
    /// Maya itself is asked what its scene needs.
    pub deep: bool,
    /// The scene's MD5 must be this.
    pub expect_md5: Option<String>,
    /// Missing files are no reason not to render.
    pub ignore_missing: bool,
    /// Files are read even if they look as they did when they were taken in last.
    pub rehash: bool,
    /// The profile whose needs it has; what else is needed comes on top.
    pub hardware: Option<String>,
    /// Memory needed, in GiB.
    pub ram: Option<f64>,
    /// Cores needed.
    pub cores: Option<u32>,
    /// Graphics cards needed.
    pub gpus: Option<u32>,
    /// A part of their model's name.
    pub gpu_model: Option<String>,
    /// Tags that the node must have.
    pub tags: Vec<String>,
    /// Each task takes no more of its node than is needed, and leaves the rest to others; as the engine
    /// says where nothing is said.
    pub share: Option<bool>,
    /// 0 to 100.
    pub priority: Option<u8>,
    /// How many frames one process renders.
    pub frames_per_task: Option<u32>,
    /// Columns and rows, as `CxR`.
    pub tiles: Option<String>,
    /// How often a failed frame is tried again.
    pub retries: Option<u32>,
    /// How long an attempt may take, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Everything is rendered, also what other jobs have rendered.
    pub fresh: bool,
    /// How many percent of the frames are rendered a second time, by another node, and compared.
    pub check: Option<u8>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What the studio offers, as far as a submission depends on it.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// Engines and their versions.
    pub engines: BTreeMap<String, BTreeSet<String>>,
    /// Profiles, by name.
    pub profiles: BTreeMap<String, Profile>,
}

/// A job that is ready to be signed.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What is to be signed.
    pub spec: JobSpec,
    /// Bytes of chunks that the store did not have.
    pub bytes_added: u64,
    /// Bytes that it had.
    pub bytes_already_known: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The job's frames, as a spec.
    pub frames: String,
    /// Whether they are the scene's own, because none were named.
    pub own_frames: bool,
    /// How many files its tree has.
    pub files: usize,
}

/// How far a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Files taken in.
    pub files: usize,
    /// Files in all.
    pub files_total: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Invalid, message)
}

/// Checks a request, collects its files into the store, and says what is to be signed. Blocking.
///
/// # Errors
/// When it can't be submitted; the store may have taken in files by then, and nothing else changed.
pub fn prepare(
    request: &SubmitRequest,
    store: &Store,
    engines: &BTreeMap<String, Definition>,
    shared: &SharedRoots,
    offered: &Offered,
    owner: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, ApiError> {
    if !request.command.is_empty() {
        return own::prepare(request, store, engines, offered, owner, progress);
    }
    let scene = check_scene(&request.scene)?;
    let engine = choose_engine(request, &scene, engines, offered)?;
    let definition = engines.get(&engine);
    let analysis = analysis(request, &scene, definition)?;
    let mut frames = choose_frames(request, analysis.as_ref(), definition)?;
    // Whoever says how many go into a process knows that, or has no use for what is simulated.
    let unbaked = analysis.as_ref().is_some_and(|analysis| !analysis.unbaked.is_empty());
    let in_order = unbaked && frames.len() > 1 && request.frames_per_task.is_none();
    if in_order {
        frames.sort_unstable();
    }
    let test_frames = choose_test_frames(request, &frames)?;
    let output = output_name(&scene);
    if let Some(definition) = definition {
        check_command(request, definition, &scene, &frames, &output)?;
    }
    let split = tiles::wanted(request)?;
    let tile_warnings = tiles::check(request, &scene, split, definition, analysis.as_ref())?;
    check::check(request, split, definition)?;
    if let Some(folder) = &request.output {
        check_output(folder)?;
    }
    let wanted: Vec<i32> = frames.iter().filter_map(|frame| i32::try_from(*frame).ok()).collect();
    let needs = needs(request, &offered.profiles)?;
    let shares = definition.is_some_and(|definition| definition.shares);
    let mut spec = draft(request, (&engine, shares), frames, test_frames, output, owner)?;
    spec.needs = needs;
    let renderer = analysis.as_ref().map_or("", |analysis| &analysis.scene_info.renderer);
    if let Some(definition) = definition {
        let ability = definition.needed_ability(renderer, &request.args);
        spec.needs.tags.extend(ability.map(|ability| definition.tag_of(ability)));
    }
    if in_order {
        let step = &mut spec.steps[0];
        step.frames_per_task = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        step.arguments.insert(IN_ORDER.to_owned(), "yes".to_owned());
    }
    spec.steps[0].engine_version = version(&engine, offered);
    let inputs = collect::Inputs {
        scene: Some(&scene),
        analysis: analysis.as_ref(),
        engine: definition,
        assets: &request.assets,
        project: request.project.as_deref(),
        shared,
        scratch: &store.scratch(),
    };
    let (mut warnings, gathered) = gather(request, &inputs, &wanted)?;
    spec.needs.tags.extend(gathered.shared.iter().map(|name| format!("{SHARED}{name}")));
    // Nobody knows whether what lies there is still what an earlier job read.
    // And what a frame shows depends on where its simulation began.
    spec.fresh |= !gathered.shared.is_empty() || in_order;
    warnings.extend(tile_warnings);
    if spec.steps[0].engine_version.is_empty() {
        warnings.push(format!("no node has the engine '{engine}' just now"));
    }
    let tiled = (split != (1, 1)).then_some(definition);
    let own_frames = request.frames.is_none();
    if request.dry_run {
        let bytes: u64 = gathered.files.iter().map(|file| file.size).sum();
        let nowhere = BlobId([0; 32]);
        let sizes = (bytes, 0);
        let finished = finish(spec, &gathered.scene, nowhere, sizes, warnings, &gathered, tiled)?;
        return Ok(Prepared { own_frames, ..finished });
    }
    let (tree, added, known) = take_in::take_in(store, request, &gathered, progress)?;
    let sizes = (added, known);
    let finished = finish(spec, &gathered.scene, tree, sizes, warnings, &gathered, tiled)?;
    Ok(Prepared { own_frames, ..finished })
}

fn finish(
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
    let frames: Vec<i64> =
        weft_protocol::job::task::unfold(&spec.steps[0].frames).map(i64::from).collect();
    Ok(Prepared {
        spec,
        bytes_added,
        bytes_already_known,
        warnings,
        frames: frames::format(&frames),
        own_frames: false,
        files: gathered.files.len(),
    })
}

fn check_scene(scene: &Path) -> Result<PathBuf, ApiError> {
    let say = |what: &str| {
        invalid(format!("the scene {} {what}; nothing was submitted", scene.display()))
    };
    if !scene.is_absolute() {
        return Err(say("is not an absolute path"));
    }
    let metadata = match std::fs::metadata(scene) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(say("does not exist"));
        }
        Err(error) => return Err(say(&format!("can't be read: {error}"))),
    };
    if !metadata.is_file() {
        return Err(say("is not a file"));
    }
    if let Err(error) = std::fs::File::open(scene) {
        return Err(say(&format!("can't be read: {error}")));
    }
    std::path::absolute(scene).map_err(|error| say(&error.to_string()))
}

fn choose_engine(
    request: &SubmitRequest,
    scene: &Path,
    engines: &BTreeMap<String, Definition>,
    offered: &Offered,
) -> Result<String, ApiError> {
    let known = || {
        let names: BTreeSet<&str> =
            engines.keys().chain(offered.engines.keys()).map(String::as_str).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let name = scene.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let engine = match &request.engine {
        Some(engine) => engine.clone(),
        None => engines
            .values()
            .find(|definition| !definition.extensions.is_empty() && definition.takes(&name))
            .map(|definition| definition.name.clone())
            .ok_or_else(|| {
                invalid(format!("no engine is known for the scene '{name}'; nothing was submitted"))
                    .hint(format!("Name one with --engine. Known are: {}.", known()))
            })?,
    };
    if engine == tiles::JOIN || engine == COMPARE {
        return Err(invalid(format!("'{engine}' is no engine for scenes; nothing was submitted"))
            .hint("--tiles and --check ask for it by themselves."));
    }
    if engines.get(&engine).is_some_and(Definition::runs_commands) {
        return Err(invalid(format!("'{engine}' is no engine for scenes; nothing was submitted"))
            .hint("A command of one's own is handed in by `weft run -- COMMAND`."));
    }
    if !engines.contains_key(&engine) && !offered.engines.contains_key(&engine) {
        return Err(invalid(format!("there is no engine '{engine}'; nothing was submitted"))
            .hint(format!("Known are: {}. More can be defined in weft.toml.", known())));
    }
    if let Some(definition) = engines.get(&engine).filter(|definition| !definition.takes(&name)) {
        return Err(invalid(format!(
            "the engine '{engine}' does not take the scene '{name}', only files ending in {}; \
             nothing was submitted",
            definition.extensions.join(", ")
        )));
    }
    Ok(engine)
}

/// The version that most nodes offer would need counts; of several the greatest is taken.
fn version(engine: &str, offered: &Offered) -> String {
    offered.engines.get(engine).and_then(|versions| versions.last()).cloned().unwrap_or_default()
}

fn analysis(
    request: &SubmitRequest,
    scene: &Path,
    engine: Option<&Definition>,
) -> Result<Option<Analysis>, ApiError> {
    let (name, project) = (request.scene_name.as_deref(), request.project.as_deref());
    match collect::analyse(scene, name, project, engine, request.deep) {
        None => Ok(None),
        Some(Ok(analysis)) => Ok(Some(analysis)),
        // A program that does nothing or anything with the file need not be able to read it.
        Some(Err(_)) if request.engine.as_deref() == Some("noop") => Ok(None),
        // The error names the file.
        Some(Err(error)) => {
            Err(invalid(format!("the scene can't be read: {error}; nothing was submitted")))
        }
    }
}

fn choose_frames(
    request: &SubmitRequest,
    analysis: Option<&Analysis>,
    definition: Option<&Definition>,
) -> Result<Vec<i64>, ApiError> {
    let own = analysis.and_then(|analysis| scene_range(&analysis.scene_info));
    let spec = match request.frames.clone().or(own) {
        Some(spec) => spec,
        None => {
            return Err(invalid(
                "which frames are to be rendered is not said; nothing was submitted",
            )
            .hint("Name them with --frames, such as --frames 1-10."));
        }
    };
    let frames = frames::parse(&spec).map_err(|error| {
        invalid(format!("the frames can't be read: {error}; nothing was submitted"))
    })?;
    if let Some(definition) = definition {
        let (first, last) = (definition.frames.first, definition.frames.last);
        if let Some(frame) = frames.iter().find(|frame| !(first..=last).contains(*frame)) {
            return Err(invalid(format!(
                "the engine '{}' can't render frame {frame}, only {first} to {last}; nothing was \
                 submitted",
                definition.name
            )));
        }
    }
    Ok(frames)
}

/// The scene's own range as a frame spec, if it is known.
fn scene_range(info: &weft_scene::analysis::SceneInfo) -> Option<String> {
    Some(match info.own_frames()? {
        (start, end, 1) => format!("{start}-{end}"),
        (start, end, step) => format!("{start}-{end}x{step}"),
    })
}

fn choose_test_frames(request: &SubmitRequest, frames: &[i64]) -> Result<Vec<i64>, ApiError> {
    let Some(spec) = &request.test_frames else {
        if request.stop_after_test || request.approve_after_test {
            return Err(invalid("what follows the test frames is said, and no test frames are; nothing was submitted")
                .hint("Name them with --test-frames."));
        }
        return Ok(Vec::new());
    };
    frames::parse_test_frames(spec, frames).map_err(|error| {
        invalid(format!("the test frames can't be used: {error}; nothing was submitted"))
    })
}

/// What the outputs are named after: the scene's name without its ending.
fn output_name(scene: &Path) -> String {
    let stem = scene.file_stem().unwrap_or_default().to_string_lossy();
    weft_scene::engine::file_safe_name(&stem)
}

/// The engine must be able to do what is asked: better said now than by every frame.
fn check_command(
    request: &SubmitRequest,
    definition: &Definition,
    scene: &Path,
    frames: &[i64],
    output: &str,
) -> Result<(), ApiError> {
    let invocation = Invocation {
        weft: "weft".into(),
        scene: scene.display().to_string(),
        frames: frames[..1].to_vec(),
        start: frames.iter().min().copied().unwrap_or(0),
        end: frames.iter().max().copied().unwrap_or(0),
        work: "/work".into(),
        inputs: "/inputs".into(),
        threads: 1,
        gpus: String::new(),
        name: output.to_owned(),
        format: request.format.clone(),
        camera: request.camera.clone(),
        scene_name: request.scene_name.clone(),
        view_layer: request.view_layer.clone(),
        scale: request.scale,
        tile: None,
        allow_scripts: request.allow_scripts,
        arguments: request.args.clone(),
        command: request.command.clone(),
    };
    command(definition, &invocation)
        .map(drop)
        .map_err(|error| invalid(format!("{error}; nothing was submitted")))
}

fn check_output(folder: &Path) -> Result<(), ApiError> {
    let say = |error: &std::io::Error| {
        invalid(format!(
            "the output folder {} can't be written: {error}; nothing was submitted",
            folder.display()
        ))
    };
    if !folder.is_absolute() {
        return Err(invalid("the output folder is not an absolute path; nothing was submitted"));
    }
    std::fs::create_dir_all(folder).map_err(|error| say(&error))?;
    tempfile::NamedTempFile::new_in(folder).map_err(|error| say(&error))?;
    Ok(())
}

/// The spec but for its files and needs; `shares` says whether the engine's tasks claim shares of nodes.
fn draft(
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
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| ApiError::new(Code::Failed, format!("no randomness: {error}")))?;
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
            frames_per_task: request.frames_per_task.unwrap_or(1).max(1),
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

fn arguments(request: &SubmitRequest) -> BTreeMap<String, String> {
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
fn needs(request: &SubmitRequest, profiles: &BTreeMap<String, Profile>) -> Result<Needs, ApiError> {
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

/// What is missing is said before anything is sent; then the files are listed.
fn gather(
    request: &SubmitRequest,
    inputs: &collect::Inputs<'_>,
    frames: &[i32],
) -> Result<(Vec<String>, collect::Gathered), ApiError> {
    let analysis = inputs.analysis;
    let mut warnings = analysis.map(|analysis| analysis.warnings.clone()).unwrap_or_default();
    // What other frames of the scene lack doesn't matter to this job.
    let missing: Vec<_> = analysis.iter().flat_map(|all| all.missing_for(frames)).collect();
    let line = |missing: &&weft_scene::analysis::Missing| {
        format!("{} (asked for by {}): {}", missing.path, missing.node, missing.reason)
    };
    let required: Vec<String> = missing.iter().filter(|m| m.required).map(line).collect();
    if !required.is_empty() && !request.ignore_missing {
        let many = if required.len() == 1 { "a file" } else { "files" };
        return Err(ApiError::new(
            Code::Impossible,
            format!("{many} that the scene uses can't be found; nothing was submitted"),
        )
        .details(required)
        .hint(
            "Put them where the scene looks for them, or go on without them with --ignore-missing.",
        ));
    }
    warnings.extend(required.iter().map(|line| format!("missing, and ignored as asked: {line}")));
    let unused = missing.iter().filter(|m| !m.required);
    warnings
        .extend(unused.map(|m| format!("missing, but the render does not reach it: {}", line(m))));
    let gathered = collect::gather(inputs)?;
    warnings.extend(gathered.warnings.iter().cloned());
    Ok((warnings, gathered))
}
