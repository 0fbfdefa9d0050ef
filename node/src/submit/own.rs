//! Commands of artists' own, in place of a scene.

use std::collections::BTreeMap;
use std::path::Path;

use weft_protocol::ids::BlobId;
use weft_scene::engine::{Definition, file_safe_name};
use weft_scene::frames;
use weft_store::Store;

use super::{Offered, Prepared, Progress, SubmitRequest, collect, invalid, take_in};
use crate::error::ApiError;
use crate::own_command::{self, ENGINE, MAX_WORD, MAX_WORDS};
use crate::shared_roots::SharedRoots;

/// Checks a command, collects its files into the store, and says what is to be signed.
pub(super) fn prepare(
    request: &SubmitRequest,
    store: &Store,
    engines: &BTreeMap<String, Definition>,
    offered: &Offered,
    owner: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, ApiError> {
    check(request)?;
    let program = Path::new(&request.command[0]).file_stem().unwrap_or_default().to_string_lossy();
    let output = file_safe_name(request.name.as_deref().unwrap_or(&program));
    let spec = request.frames.clone().unwrap_or_else(|| "1".to_owned());
    let request = &SubmitRequest { frames: Some(spec), check: None, ..request.clone() };
    let definition = engines.get(ENGINE).filter(|definition| definition.runs_commands());
    let definition = definition.ok_or_else(|| {
        invalid(format!("weft.toml has an engine '{ENGINE}' of its own; nothing was submitted"))
            .hint("Give that one another name.")
    })?;
    let frames = super::choose_frames(request, None, Some(definition))?;
    let test_frames = super::choose_test_frames(request, &frames)?;
    super::check_command(request, definition, Path::new("/none"), &frames, (1, 1), &output)?;
    if let Some(folder) = &request.output {
        super::check_output(folder)?;
    }
    let needs = super::needs(request, &offered.profiles)?;
    let mut warnings = warnings(request, &frames);
    let mut spec =
        super::draft(request, (ENGINE, definition.shares), frames, test_frames, output, owner)?;
    spec.needs = needs;
    spec.steps[0].name = "run".into();
    spec.steps[0].engine_version = super::version(ENGINE, offered);
    spec.steps[0].arguments = own_command::encode(&request.command);
    let project = request.project.as_deref();
    let gathered = collect::gather(&collect::Inputs {
        scene: None,
        analysis: None,
        engine: None,
        engines,
        assets: &request.assets,
        project,
        // What a command reads is named, and so travels.
        shared: &SharedRoots::default(),
        scratch: &store.scratch(),
    })?;
    warnings.extend(gathered.warnings.iter().cloned());
    let (tree, bytes) = if request.dry_run {
        let bytes = gathered.files.iter().map(|file| file.size).sum();
        (BlobId([0; 32]), (bytes, 0))
    } else {
        let (tree, added, known) = take_in::take_in(store, request, &gathered, progress)?;
        (tree, (added, known))
    };
    super::finish(spec, &gathered.scene, tree, bytes, warnings, &gathered, None)
}

fn check(request: &SubmitRequest) -> Result<(), ApiError> {
    let refuse = |why: String| Err(invalid(format!("{why}; nothing was submitted")));
    if !request.scene.as_os_str().is_empty() {
        return refuse("the request names a scene and a command".to_owned());
    }
    if request.command.len() > MAX_WORDS {
        return refuse(format!("a command has at most {MAX_WORDS} words")).map_err(|error| {
            error.hint("Put them into a script, and hand that in with --assets.")
        });
    }
    match request.command.iter().find(|word| word.len() > MAX_WORD) {
        None => Ok(()),
        Some(word) => {
            let begins: String = word.chars().take(40).collect();
            refuse(format!(
                "a word of a command has at most {MAX_WORD} bytes, and {begins}… has more"
            ))
            .map_err(|error| error.hint("Put it into a script, and hand that in with --assets."))
        }
    }
}

fn warnings(request: &SubmitRequest, wanted: &[i64]) -> Vec<String> {
    let same = wanted.len() > 1 && !request.command.iter().any(|word| word.contains("{frame"));
    let said = same.then(|| {
        let frames = frames::format(wanted);
        format!("no word of the command has {{frame}} in it: it does the same for each of {frames}")
    });
    said.into_iter().collect()
}
