//! Submitting, over the API.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_protocol::fact::{Body as FactBody, Delivery, Fact};
use weft_protocol::ids::{JobId, NodeId};
use weft_protocol::job::spec::{JobSpec, Step};
use weft_protocol::job::task::unfold;
use weft_protocol::machine::Machine;
use weft_protocol::membership::Liveness;
use weft_protocol::replicate::Goods;
use weft_protocol::schedule::{NodeView, feasible};
use weft_protocol::sign::Ed25519;

use super::stream::{self, Pieces};
use super::{Access, Answer, State};
use crate::error::{ApiError, Code};
use crate::shared::Shared;
use crate::submit::{self, Offered, Prepared, SubmitRequest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnalyseRequest {
    path: PathBuf,
    /// Which of the file's scenes.
    #[serde(default)]
    scene_name: Option<String>,
    /// The folder from which relative paths count.
    #[serde(default)]
    project: Option<PathBuf>,
    /// Maya itself is asked what its scene needs.
    #[serde(default)]
    deep: bool,
}

pub(super) async fn analyse(
    axum::extract::State(node): State,
    access: Access,
    Json(request): Json<AnalyseRequest>,
) -> Answer {
    access.require_user("analysing a file")?;
    let analysed = super::store::blocking(move || {
        let path = request.path.display().to_string();
        let name = request.path.file_name().unwrap_or_default().to_string_lossy();
        let engine = submit::reader(&node.config.engines, &name);
        let asked = submit::Asked {
            scene_name: request.scene_name.as_deref(),
            project: request.project.as_deref(),
            deep: request.deep,
            arguments: None,
        };
        match submit::analyse(&request.path, asked, engine, &node.config.engines) {
            Some(Ok(analysis)) => Ok(analysis),
            Some(Err(error)) => Err(ApiError::new(Code::Invalid, format!("{path}: {error}"))),
            None => Err(ApiError::new(
                Code::Invalid,
                format!(
                    "{path} is no kind of scene that weft reads (.blend, .ma, .weft, and what an \
                     engine's definition has patterns for)"
                ),
            )),
        }
    });
    Ok(Json(analysed.await?).into_response())
}

/// Whether a node is there, and has said since this one was started what it has.
fn is_here(machine: &Machine, node: &NodeId) -> bool {
    machine.adverts.contains_key(node) && machine.membership.liveness(node) != Liveness::Dead
}

/// The engines of the nodes that are there, their versions, and the studio's profiles.
fn offered(node: &Shared) -> Offered {
    let machine = node.machine();
    let profiles = machine.ledger.settings.profiles();
    let mut offered = Offered { profiles, ..Offered::default() };
    for advert in machine.known().filter(|advert| advert.role.renders()) {
        let versions =
            if is_here(&machine, &advert.node) { &mut offered.engines } else { &mut offered.away };
        for (engine, version) in &advert.engines {
            versions.entry(engine.clone()).or_default().insert(version.clone());
        }
    }
    offered
}

/// Refuses what no node could ever take; gives the names of those that can.
fn check_studio(node: &Shared, spec: &JobSpec) -> Result<Vec<String>, ApiError> {
    let (names, views): (Vec<String>, Vec<NodeView>) = {
        let machine = node.machine();
        let view = |advert: &weft_protocol::wire::control::Advert| NodeView {
            hardware: advert.hardware.clone(),
            engines: advert.engines.clone(),
            tags: advert.tags.clone(),
            price: advert.price,
            renders: advert.role.renders(),
            ..NodeView::default()
        };
        machine.known().map(|advert| (advert.name.clone(), view(advert))).unzip()
    };
    for step in &spec.steps {
        if let Some(why) = feasible::explain(spec, step, views.iter()) {
            return Err(ApiError::new(
                Code::Impossible,
                format!("the studio can't do this: {why}; nothing was submitted"),
            )
            .details(feasible::requirements(spec, step, views.iter()))
            .hint(match lacking(node, spec, step, &views) {
                Some(hint) => hint,
                None if step.engine == crate::own_command::ENGINE => {
                    "A node runs members' own commands where its weft.toml says so: `[run]` with \
                     `allow = true`. `weft nodes` shows which do, by the engine 'command'."
                        .to_owned()
                }
                None => "`weft nodes` shows what there is.".to_owned(),
            }));
        }
    }
    let fits = |view: &&NodeView| {
        spec.steps.iter().all(|step| feasible::unfit(spec, step, view).is_none())
    };
    let fitting = names.into_iter().zip(&views).filter(|(_, view)| fits(view));
    Ok(fitting.map(|(name, _)| name).collect())
}

/// How many of the nodes that fit may take work now, by their names.
fn there(node: &Shared, fitting: &[String]) -> usize {
    let machine = node.machine();
    let takes_work = |advert: &&weft_protocol::wire::control::Advert| {
        is_here(&machine, &advert.node)
            && machine.ledger.settings.drained(&advert.node).is_none()
            && fitting.contains(&advert.name)
    };
    machine.known().filter(takes_work).count()
}

/// What a person should know who wants frames checked that one node alone can render.
fn unchecked(spec: &JobSpec, fitting: &[String]) -> Option<String> {
    let [only] = fitting else { return None };
    (spec.check > 0).then(|| {
        format!(
            "no node but {only} fits: unless another comes, it renders the frames that are checked a second \
             time itself, and a node agrees with itself"
        )
    })
}

/// What to do where no node was found to be able to do what a job takes.
fn lacking(node: &Shared, spec: &JobSpec, step: &Step, views: &[NodeView]) -> Option<String> {
    let definition = node.config.engines.get(&step.engine)?;
    let mut needed = definition.abilities.iter().filter(|ability| {
        let tag = definition.tag_of(ability);
        spec.needs.tags.contains(&tag) && !views.iter().any(|view| view.tags.contains(&tag))
    });
    needed.next().map(|ability| ability.hint.clone())
}

/// What something like a job took before: which job that was, and the seconds that this one will take if its
/// frames take as long on so many nodes. Like it is the last one of the same engine, scene and tiles, of those with the
/// same arguments where there are any.
fn expected(node: &Shared, spec: &JobSpec, nodes: usize) -> Option<(JobId, u64)> {
    let step = spec.steps.first()?;
    let machine = node.machine();
    let jobs = machine.ledger.jobs.iter();
    let timed = jobs.filter_map(|(id, job, other)| {
        Some((likeness(step, other.steps.first()?)?, other.submitted, id, job.mean_ms(1)?))
    });
    let (_, _, id, mean) = timed.max()?;
    let (columns, rows) = step.tiles;
    let tasks = unfold(&step.frames).count() as u64 * u64::from(columns) * u64::from(rows);
    let rounds = tasks.div_ceil((nodes as u64).max(1));
    Some((id, rounds.saturating_mul(mean).div_ceil(1000)))
}

/// Whether another step renders the same scene by the same engine, and whether it does so in the same way.
fn likeness(step: &Step, other: &Step) -> Option<bool> {
    let name = |step: &Step| step.scene.as_str().rsplit('/').next().map(str::to_owned);
    let alike = (&step.engine, step.tiles) == (&other.engine, other.tiles);
    (alike && name(step) == name(other)).then(|| step.arguments == other.arguments)
}

/// Answers with lines of progress and, last, the result or the error.
pub(super) async fn submit(
    axum::extract::State(node): State,
    access: Access,
    Json(request): Json<SubmitRequest>,
) -> Answer {
    access.require_user("submitting files")?;
    if request.scene.as_os_str().is_empty() && request.command.is_empty() {
        let why = "the request names no scene and no command; nothing was submitted";
        return Err(ApiError::new(Code::Invalid, why));
    }
    let (sender, receiver) = stream::channel(64);
    let progress = sender.clone();
    tokio::spawn(async move {
        let last = match run(&node, request, progress).await {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": error }),
        };
        let _ = sender.send(stream::line(&last)).await;
    });
    Ok(stream::lines(receiver))
}

async fn run(
    node: &Arc<Shared>,
    request: SubmitRequest,
    progress: Pieces,
) -> Result<Value, ApiError> {
    let dry_run = request.dry_run;
    let (output, keep) = (request.output.clone(), request.keep);
    let (worker, engines, offered) = (Arc::clone(node), node.config.engines.clone(), offered(node));
    let owner = super::jobs::owner(node);
    let asker = progress.clone();
    // What is taken in is kept until the job has pinned it.
    let _intake = node.store.intake();
    let nonce_said = request.nonce.is_some();
    let mut prepared = super::store::blocking(move || {
        let mut told = std::time::Instant::now();
        let config = &worker.config;
        submit::prepare(
            &request,
            &worker.store,
            &engines,
            &config.shared_roots,
            &offered,
            &owner,
            &mut |at| {
                if told.elapsed().as_millis() >= 100 {
                    told = std::time::Instant::now();
                    let _ = progress.try_send(stream::line(&json!({ "progress": at })));
                }
            },
        )
    })
    .await?;
    let fitting = check_studio(node, &prepared.spec)?;
    prepared.warnings.extend(unchecked(&prepared.spec, &fitting));
    if dry_run {
        let expected = expected(node, &prepared.spec, there(node, &fitting));
        let mut plan = result(&prepared, "not submitted", 0, &fitting);
        plan["expected_seconds"] = json!(expected.map(|(_, seconds)| seconds));
        plan["like"] = json!(expected.map(|(job, _)| job));
        return Ok(plan);
    }
    // Whoever asks a second time, because the first answer never came, gets the job that there is: what follows is
    // done again, and changes nothing.
    if nonce_said && let Some(known) = submitted_before(node, &prepared.spec) {
        prepared.spec = known;
    }
    // Reading may have taken long. Whoever has ended the command since, and was told of no job, will submit it again.
    if asker.is_closed() {
        tracing::info!(name = %prepared.spec.name, "who was submitting a job has gone: it was not submitted");
        let why = "who asked has gone; nothing was submitted";
        return Err(ApiError::new(Code::Failed, why));
    }
    let job = prepared.spec.id();
    let goods = hold(node, &prepared.spec, job).await?;
    let mut bodies = vec![FactBody::Spec(Box::new(prepared.spec.clone()))];
    bodies.extend(output.map(|folder| {
        FactBody::Delivery(Delivery { job, node: node.me, folder: folder.display().to_string() })
    }));
    bodies.extend(keep.map(|keep| crate::keep::of_new_job(job, super::jobs::owner(node), keep)));
    let copies = node.author(bodies, Vec::new(), goods).await.map_err(|why| {
        ApiError::new(Code::Failed, format!("{why}; nothing was submitted"))
            .hint("mend what it names and submit again, or submit to another node with --peer")
    })?;
    let mut answer = result(&prepared, "queued", copies.len(), &fitting);
    answer["job"] = json!(job);
    Ok(answer)
}

/// The job of the same nonce and owner, if there is one.
fn submitted_before(node: &Shared, spec: &JobSpec) -> Option<JobSpec> {
    let machine = node.machine();
    let same = |known: &&JobSpec| known.nonce == spec.nonce && known.owner == spec.owner;
    machine.ledger.jobs.iter().map(|(_, _, known)| known).find(same).cloned()
}

/// Pins a job's inputs here before anything promises to keep them.
async fn hold(node: &Arc<Shared>, spec: &JobSpec, job: JobId) -> Result<Goods, ApiError> {
    let goods = Goods { trees: vec![spec.inputs], ..Goods::default() };
    let kept = node.keep(&[], &goods, &job).await;
    kept.map_err(|why| ApiError::new(Code::Failed, format!("{why}; nothing was submitted")))?;
    Ok(goods)
}

fn result(prepared: &Prepared, status: &str, copies: usize, fitting: &[String]) -> Value {
    json!({
        "job": null,
        "name": prepared.spec.name,
        "status": status,
        "copies": copies,
        "bytes_added": prepared.bytes_added,
        "bytes_already_known": prepared.bytes_already_known,
        "files": prepared.files,
        "frames": prepared.frames,
        "own_frames": prepared.own_frames,
        "engine": prepared.spec.steps[0].engine,
        "engine_version": prepared.spec.steps[0].engine_version,
        "mapped": prepared.mapped,
        "warnings": prepared.warnings,
        "nodes_fitting": fitting.len(),
        "nodes": fitting,
    })
}

/// A job that a member signed elsewhere, whose files that member serves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// The facts, as hex.
    pub(crate) facts: Vec<String>,
}

pub(super) async fn submit_signed(
    node: State,
    access: Access,
    Json(request): Json<Signed>,
) -> Answer {
    let invalid = |why: &str| ApiError::new(Code::Invalid, format!("{why}; nothing was submitted"));
    let mut facts = Vec::new();
    for text in &request.facts {
        let bytes = data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| invalid("a record is not hex"))?;
        let fact = Fact::from_bytes(bytes).map_err(|error| invalid(&error.to_string()))?;
        fact.verify(&node.studio.id, &Ed25519).map_err(|error| invalid(&error.to_string()))?;
        facts.push(fact);
    }
    let specs = facts.iter().filter_map(|fact| match fact.body() {
        Ok(Some(FactBody::Spec(spec))) => Some(*spec),
        _ => None,
    });
    let [spec]: [JobSpec; 1] =
        specs.collect::<Vec<_>>().try_into().map_err(|_| invalid("there is not one job in it"))?;
    let fitting = check_studio(&node, &spec)?;
    let job = spec.id();
    let from: Vec<_> = match access {
        Access::Peer(peer) => vec![peer],
        Access::Local | Access::Token => Vec::new(),
    };
    let goods = Goods { trees: vec![spec.inputs], ..Goods::default() };
    node.keep(&from, &goods, &job)
        .await
        .map_err(|why| ApiError::new(Code::Failed, format!("{why}; nothing was submitted")))?;
    let copies = node.author(Vec::new(), facts, goods).await.map_err(|why| {
        ApiError::new(Code::Failed, format!("{why}; nothing was submitted"))
            .hint("mend what it names and submit again, or submit to another node with --peer")
    })?;
    let document = json!({
        "job": job, "name": spec.name, "status": "queued",
        "copies": copies.len(), "nodes_fitting": fitting.len(), "nodes": fitting,
    });
    Ok(Json(document).into_response())
}

#[cfg(test)]
mod tests {
    use weft_protocol::content::TreePath;

    use super::*;

    #[test]
    fn a_job_is_most_like_one_with_its_arguments() {
        let step = |engine: &str, scene: &str, arguments: &[(&str, &str)], tiles| Step {
            name: "render".to_owned(),
            engine: engine.to_owned(),
            engine_version: String::new(),
            scene: TreePath::new(scene).unwrap(),
            arguments: arguments.iter().map(|(key, to)| ((*key).into(), (*to).into())).collect(),
            frames: Vec::new(),
            tiles,
            frames_per_task: 1,
            output: String::new(),
            after: Vec::new(),
        };
        let half = [("scale", "50")];
        let wanted = step("blender", "a/cube.blend", &half, (1, 1));
        for (other, like) in [
            (step("blender", "b/cube.blend", &half, (1, 1)), Some(true)),
            (step("blender", "a/cube.blend", &[], (1, 1)), Some(false)),
            (step("blender", "a/cube.blend", &half, (2, 2)), None),
            (step("povray", "a/cube.blend", &half, (1, 1)), None),
            (step("blender", "a/ball.blend", &half, (1, 1)), None),
        ] {
            assert_eq!(likeness(&wanted, &other), like, "{other:?}");
        }
    }
}
