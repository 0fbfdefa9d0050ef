//! What each kept blob is, and for whom it is kept: `weft store`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weft_protocol::content::Tree;
use weft_protocol::content::tree::MAX_ENCODED as MAX_TREE;
use weft_protocol::ids::BlobId;
use weft_store::{Batch, CatalogError, Pin, Store};

use crate::pins::{self, Part};
use crate::shared::Shared;

/// Under which name the catalog remembers what a user added: its path, and who did.
fn added(blob: &BlobId) -> String {
    format!("{}{blob}", pins::ADDED)
}

/// Keeps a file that a user added, and remembers what it was.
pub(super) fn keep(batch: Batch, blob: BlobId, path: &str, owner: &str) -> Batch {
    // Neither has a line end: an owner is a user's and a machine's name.
    let remembered = format!("{owner}\n{path}");
    batch.pin(blob, pins::USER).put_meta(added(&blob), remembered.into_bytes())
}

/// What a blob is.
#[derive(Clone)]
struct Known {
    path: String,
    kind: &'static str,
    added_by: String,
}

/// What a job's facts say of blobs, and which trees it has by their owners.
#[derive(Default)]
pub(super) struct FromJobs {
    known: BTreeMap<BlobId, Known>,
    /// Trees of inputs, with the job's scenes.
    trees: BTreeMap<BlobId, (Vec<String>, String)>,
}

impl FromJobs {
    /// Collects what all jobs say.
    pub(super) fn of(node: &Shared) -> Self {
        let mut all = Self::default();
        for (_, job, spec) in node.machine().ledger.jobs.iter() {
            let mut say = |blob: BlobId, path: &str, kind| {
                let known = Known { path: path.to_owned(), kind, added_by: spec.owner.clone() };
                all.known.entry(blob).or_insert(known);
            };
            let of_frame = |frame| format!("{} frame {frame}", spec.name);
            pins::each(job, spec, |blob, part| match part {
                Part::Inputs => say(blob, &spec.name, "tree"),
                Part::Output(path) => say(blob, path, "output"),
                Part::Preview(frame) => say(blob, &of_frame(frame), "preview"),
                Part::Log(frame) => say(blob, &of_frame(frame), "log"),
            });
            let scenes = spec.steps.iter().map(|step| step.scene.as_str().to_owned()).collect();
            all.trees.insert(spec.inputs, (scenes, spec.owner.clone()));
        }
        all
    }
}

fn tree_of(store: &Store, pin: &Pin) -> Option<Tree> {
    let bytes = pin.tree.then(|| store.read_all(pin.blob, MAX_TREE as u64))?;
    Tree::decode(&bytes.ok()?).ok()
}

/// What a blob is kept for, by itself or by the trees that name it.
pub(super) fn reasons(store: &Store, blob: BlobId) -> Result<BTreeSet<String>, CatalogError> {
    let keeps = |pin: &Pin| {
        let names_it = |tree: Tree| tree.entries().values().any(|entry| entry.blob == blob);
        pin.blob == blob || tree_of(store, pin).is_some_and(names_it)
    };
    let pins = store.all_pins()?.into_iter().filter(keeps);
    Ok(pins.map(|pin| pin.reason).collect())
}

/// Every blob that is kept for something, with what it is, where that is known.
pub(super) fn list(store: &Store, mut jobs: FromJobs) -> Result<Vec<Value>, CatalogError> {
    let mut by: BTreeMap<BlobId, Vec<String>> = BTreeMap::new();
    for pin in store.all_pins()? {
        if let Some(tree) = tree_of(store, &pin) {
            let (scenes, owner) = jobs.trees.get(&pin.blob).cloned().unwrap_or_default();
            for (path, entry) in tree.entries() {
                let path = path.as_str();
                let kind = if scenes.iter().any(|scene| scene == path) { "scene" } else { "asset" };
                let known = Known { path: path.to_owned(), kind, added_by: owner.clone() };
                jobs.known.entry(entry.blob).or_insert(known);
                by.entry(entry.blob).or_default().push(pin.reason.clone());
            }
        }
        by.entry(pin.blob).or_default().push(pin.reason);
    }
    let mut references = Vec::with_capacity(by.len());
    for (blob, mut reasons) in by {
        // A tree may name a blob more than once.
        reasons.sort();
        reasons.dedup();
        let known = match jobs.known.remove(&blob) {
            Some(known) => Some(known),
            None => by_hand(store, &blob)?,
        };
        references.push(json!({
            "id": blob,
            "path": known.as_ref().map(|known| &known.path),
            "type": known.as_ref().map(|known| known.kind),
            "added_by": known.as_ref().map(|known| &known.added_by),
            "count": reasons.len(),
            "by": reasons,
        }));
    }
    Ok(references)
}

fn by_hand(store: &Store, blob: &BlobId) -> Result<Option<Known>, CatalogError> {
    let remembered = store.get_meta(&added(blob))?;
    let remembered = remembered.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(remembered.and_then(|text| {
        let (owner, path) = text.split_once('\n')?;
        Some(Known { path: path.to_owned(), kind: "file", added_by: owner.to_owned() })
    }))
}
