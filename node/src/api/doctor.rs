//! What is wrong on this machine, as its daemon knows.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};
use weft_protocol::ids::NodeId;

use super::nodes::{ask, closed_of};
use super::studio::refusals;
use super::{State, documents};
use crate::clock::unix_now;
use crate::doctor::{Daemon, Facts, Level, Up, judge};
use crate::shared::Shared;

/// How many peers are asked for the time.
const CLOCKS: usize = 16;

pub(super) async fn examine(node: State) -> Json<Value> {
    let up = up(&node).await;
    let weft = std::path::Path::new("weft");
    let facts =
        Facts::gather(&node.home, weft, Daemon::Up(up), Some((&node.engines, &node.sandbox))).await;
    let findings = judge(&facts);
    let well = findings.iter().all(|finding| finding.level != Level::Problem);
    Json(json!({ "node": node.me, "name": node.name, "well": well, "findings": findings }))
}

async fn up(node: &Shared) -> Up {
    let clocks = clocks(node).await;
    let machine = node.machine();
    let name = |id: &NodeId| documents::name(&machine, id);
    let members = &machine.ledger.members;
    let refusals = refusals(node, &machine).into_iter();
    Up {
        leader: machine.election.claim().map(|claim| name(&claim.leader)),
        peers: machine.connected().len(),
        others: members.iter().filter(|member| member.subject != node.me).count(),
        clocks,
        refused_by: refusals.map(|(peer, why)| (name(&peer), why)).collect(),
        listening: node.addresses(),
        closed: closed_of(&machine, &node.me, node.now()),
    }
}

/// By how much peers' clocks are ahead, in milliseconds. What a question takes both ways is halved.
async fn clocks(node: &Shared) -> BTreeMap<String, i64> {
    let peers: Vec<(NodeId, String)> = {
        let machine = node.machine();
        let peers = machine.connected().iter().take(CLOCKS);
        peers.map(|peer| (*peer, documents::name(&machine, peer))).collect()
    };
    let asked = peers.into_iter().map(|(peer, name)| async move {
        let (before, begun) = (unix_now().0, std::time::Instant::now());
        let health = ask(node, &peer, "/health").await.ok()?;
        let half: Duration = begun.elapsed() / 2;
        let here = i64::try_from(before + u64::try_from(half.as_millis()).ok()?).ok()?;
        Some((name, health["time_ms"].as_i64()?.saturating_sub(here)))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}
