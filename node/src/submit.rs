//! Submitting: from a scene on somebody's disk to a signed spec whose every blob is in the store.

mod check;
mod choices;
mod collect;
mod draft;
mod in_turn;
mod maya_paths;
mod names;
mod own;
mod request;
mod rewrite;
mod take_in;
mod tiles;
mod version;

use std::collections::BTreeMap;
use std::path::Path;

use weft_protocol::hardware::SHARED;
use weft_protocol::ids::BlobId;
use weft_protocol::job::spec::{IN_ORDER, VIEWS};
use weft_scene::analysis::Analysis;
use weft_scene::engine::{Definition, Invocation, command};
use weft_store::Store;

use crate::error::{ApiError, Code};
use crate::shared_roots::SharedRoots;

use choices::{
    check_output, check_scene, choose_engine, choose_frames, choose_test_frames, in_own_format,
    views,
};
use draft::{draft, finish, needs};
use version::{version, version_for};

pub use collect::{Asked, analyse, reader};
pub(crate) use draft::{bytes_of, new_nonce};
pub use request::{Offered, Prepared, Progress, SubmitRequest};
pub(crate) use tiles::tile;

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
    names::check_job(request)?;
    if !request.command.is_empty() {
        return own::prepare(request, store, engines, offered, owner, progress);
    }
    let scene = check_scene(&request.scene)?;
    let engine = choose_engine(request, &scene, engines, offered)?;
    let definition = engines.get(&engine);
    let mut analysis = analysis(request, &scene, definition, engines)?;
    if let Some(analysis) = &mut analysis {
        collect::follow_named(analysis, &request.assets, definition, engines)?;
    }
    names::check_scene(request, analysis.as_ref(), definition)?;
    let (request, format_warning) = &in_own_format(request, analysis.as_ref(), definition)?;
    let (engine_version, version_warning) =
        version_for(analysis.as_ref(), (&engine, definition), offered)?;
    let mut frames = choose_frames(request, analysis.as_ref(), definition)?;
    // Whoever says how many go into a process knows that, or has no use for what is simulated.
    let unbaked = analysis.as_ref().is_some_and(|analysis| !analysis.unbaked.is_empty());
    let in_order = unbaked && frames.len() > 1 && request.frames_per_task.is_none();
    if in_order {
        frames.sort_unstable();
    }
    let test_frames = choose_test_frames(request, &frames)?;
    let output = output_name(&scene);
    let split = tiles::wanted(request)?;
    let tile_warnings = tiles::check(request, &scene, split, definition, analysis.as_ref())?;
    if let Some(definition) = definition {
        check_command(request, definition, &scene, &frames, split, &output)?;
    }
    check::check(request, split, definition)?;
    if let Some(folder) = &request.output {
        check_output(folder)?;
    }
    let wanted: Vec<i32> = frames.iter().filter_map(|frame| i32::try_from(*frame).ok()).collect();
    let needs = needs(request, &offered.profiles)?;
    let shares = definition.is_some_and(|definition| definition.shares);
    let mut spec = draft(request, (&engine, shares), frames, test_frames, output, owner)?;
    spec.needs = needs;
    if let Some(definition) = definition {
        let renderers =
            analysis.as_ref().map(|all| (&*all.scene_info.renderer, &all.other_renderers[..]));
        let (renderer, others) = renderers.unwrap_or_default();
        let abilities = definition.needed_abilities(renderer, others, &request.args);
        spec.needs.tags.extend(abilities.map(|ability| definition.tag_of(ability)));
    }
    if in_order {
        let step = &mut spec.steps[0];
        step.frames_per_task = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        step.arguments.insert(IN_ORDER.to_owned(), "yes".to_owned());
    }
    if let Some(views) = views(analysis.as_ref())? {
        spec.steps[0].arguments.insert(VIEWS.to_owned(), views);
    }
    spec.steps[0].engine_version = engine_version;
    let inputs = collect::Inputs {
        scene: Some(&scene),
        analysis: analysis.as_ref(),
        engine: definition,
        engines,
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
    warnings.extend(format_warning.clone());
    warnings.extend(version_warning);
    if spec.steps[0].engine_version.is_empty() {
        warnings.push(format!("no node has the engine '{engine}' just now"));
    }
    let tiled = (split != (1, 1)).then_some(definition);
    let own_frames = request.frames.is_none();
    let mapped = analysis.as_ref().map(|analysis| analysis.mapped.clone()).unwrap_or_default();
    if request.dry_run {
        take_in::check(request, &gathered)?;
        let bytes: u64 = gathered.files.iter().map(|file| file.size).sum();
        let nowhere = BlobId([0; 32]);
        let sizes = (bytes, 0);
        let finished = finish(spec, &gathered.scene, nowhere, sizes, warnings, &gathered, tiled)?;
        return Ok(Prepared { own_frames, mapped, ..finished });
    }
    let (tree, added, known) = take_in::take_in(store, request, &gathered, progress)?;
    let sizes = (added, known);
    let finished = finish(spec, &gathered.scene, tree, sizes, warnings, &gathered, tiled)?;
    Ok(Prepared { own_frames, mapped, ..finished })
}

fn analysis(
    request: &SubmitRequest,
    scene: &Path,
    engine: Option<&Definition>,
    engines: &BTreeMap<String, Definition>,
) -> Result<Option<Analysis>, ApiError> {
    let asked = Asked {
        scene_name: request.scene_name.as_deref(),
        project: request.project.as_deref(),
        deep: request.deep,
        arguments: Some(&request.args),
    };
    match collect::analyse(scene, asked, engine, engines) {
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
    split: (u16, u16),
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
        views: Vec::new(),
        tile: tiles::tile(split, 0),
        allow_scripts: request.allow_scripts,
        arguments: request.args.clone(),
        command: request.command.clone(),
    };
    command(definition, &invocation)
        .map(drop)
        .map_err(|error| invalid(format!("{error}; nothing was submitted")))
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
    warnings.extend(
        unused.map(|m| format!("missing, but nothing shows that the render reads it: {}", line(m))),
    );
    let gathered = collect::gather(inputs)?;
    warnings.extend(gathered.warnings.iter().cloned());
    Ok((warnings, gathered))
}
