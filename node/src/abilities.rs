//! What engines can do on this machine beyond being there, found by trying: EEVEE needs a graphics system, which
//! a machine without a display may have or not.
//!
//! It is tried once, some time after the node has started and while it renders nothing. That something works is
//! remembered for as long as the engine's program and version stay the same; what didn't is tried again at the
//! next start, when somebody may have mended it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weft_protocol::machine::Input;
use weft_scene::engine::{Ability, Definition};

use crate::engines::Found;
use crate::shared::Shared;

/// How long after its start a node begins to try, where nothing else is set: whoever starts one wants it to render
/// first.
const AFTER: Duration = Duration::from_secs(45);
/// How long a node that renders waits until it looks again.
const AGAIN: Duration = Duration::from_secs(15);

/// Tells what is known, then tries the rest, and ends.
pub(crate) async fn run(node: Arc<Shared>) {
    let mut untried = Vec::new();
    for (definition, found) in usable(&node) {
        let Some(program) = found.program else { continue };
        for ability in definition.abilities.clone() {
            let tag = definition.tag_of(&ability);
            let name = format!("ability {tag}");
            let mark = mark(&definition, &ability, &program, &found.version);
            match node.store.get_meta(&name) {
                Ok(Some(known)) if known == mark.as_bytes() => tell(&node, tag).await,
                _ => untried.push((definition.clone(), ability, program.clone(), name, mark)),
            }
        }
    }
    if untried.is_empty() {
        return;
    }
    tokio::time::sleep(node.config.node.trials_after.map_or(AFTER, Duration::from_secs)).await;
    for (definition, ability, program, name, mark) in untried {
        while !node.renderer.is_idle() {
            tokio::time::sleep(AGAIN).await;
        }
        let tag = definition.tag_of(&ability);
        match node.renderer.try_ability(&definition, &ability, &program).await {
            Ok(()) => {
                tracing::info!(tag, "it was tried, and works here");
                let (store, name) = (Arc::clone(&node.store), name);
                let kept = move || store.put_meta(&name, mark.as_bytes());
                if !matches!(tokio::task::spawn_blocking(kept).await, Ok(Ok(()))) {
                    tracing::warn!(tag, "that it works could not be remembered");
                }
                tell(&node, tag).await;
            }
            Err(why) => {
                let why = why.lines().next().unwrap_or_default();
                tracing::info!(tag, why, "it was tried, and does not work here");
            }
        }
    }
}

/// The engines that were found here.
fn usable(node: &Shared) -> Vec<(Definition, Found)> {
    let found = node.engines.iter().filter_map(|(name, found)| {
        Some((node.config.engines.get(name)?.clone(), found.as_ref().ok()?.clone()))
    });
    found.collect()
}

/// What must stay the same for what was tried to hold.
fn mark(definition: &Definition, ability: &Ability, program: &Path, version: &str) -> String {
    let trial = definition.trial(ability);
    let how = blake3::hash(format!("{trial:?}").as_bytes());
    format!("{} {version} {how}", program.display())
}

async fn tell(node: &Shared, tag: String) {
    if let Some(advert) = node.found(tag) {
        // The driver outlives this; when it is gone, so is the daemon.
        let _ = node.inputs.send(Input::Advert(Box::new(advert))).await;
    }
}
