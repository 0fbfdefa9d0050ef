//! Certificates renew themselves: from half of its life on, a member asks any connected admin.

use std::sync::Arc;
use std::time::Duration;

use futures::AsyncWriteExt;
use weft_protocol::certificate::{Chain, MAX_CHAIN, Role};
use weft_protocol::fact::Body;
use weft_protocol::ids::NodeId;
use weft_protocol::replicate::Goods;
use weft_protocol::sign::Ed25519;

use crate::clock::unix_now;
use crate::network::gate::node_of;
use crate::network::{RENEW, frames};
use crate::shared::Shared;
use crate::studio::certify;

/// How often a node looks whether it is time.
const PERIOD: Duration = Duration::from_secs(3600);

/// Renews this node's certificate in time, and others' where this node is an admin's.
pub(crate) async fn run(node: Arc<Shared>) {
    tokio::join!(answer(&node), ask_in_time(&node));
}

async fn ask_in_time(node: &Shared) {
    let mut every = tokio::time::interval(PERIOD);
    loop {
        every.tick().await;
        let chain = node.chain();
        // Admins' certificates are the root's to renew: `weft recover` does that.
        if chain.leaf.statement.role == Role::Admin || !chain.leaf.past_half_life(unix_now()) {
            continue;
        }
        let admins: Vec<NodeId> = {
            let machine = node.machine();
            let is_admin = |peer: &&NodeId| {
                machine.ledger.members.get(peer).is_some_and(|member| member.role == Role::Admin)
            };
            machine.connected().iter().filter(is_admin).copied().collect()
        };
        for admin in admins {
            match ask(node, &admin).await {
                Ok(()) => {
                    tracing::info!(admin = %admin.short(), "the certificate was renewed");
                    break;
                }
                Err(why) => tracing::warn!(admin = %admin.short(), %why, "not renewed"),
            }
        }
    }
}

async fn ask(node: &Shared, admin: &NodeId) -> Result<(), String> {
    let mut stream = node.network.open(admin, RENEW).await.map_err(|error| error.to_string())?;
    let chain: Chain = frames::read(&mut stream, MAX_CHAIN)
        .await
        .map_err(|error| error.to_string())?
        .ok_or("the admin's node does not renew it")?;
    let statement = chain
        .verify(&node.studio.id, &node.me, unix_now(), &Ed25519)
        .map_err(|error| error.to_string())?;
    if statement.expires <= node.chain().leaf.statement.expires {
        return Err("what came ends no later".into());
    }
    node.renew(chain.clone()).map_err(|error| error.to_string())?;
    let body = Body::Certificate(Box::new(chain));
    node.author(vec![body], Vec::new(), Goods::default()).await.map(drop)
}

/// An admin's node signs connected members' certificates anew, with the role that they have.
async fn answer(node: &Shared) {
    let mut incoming = node.network.accept(RENEW);
    while let Some((peer, mut stream)) = incoming.recv().await {
        let chain = node_of(&peer).and_then(|peer| renewed(node, &peer));
        if let Some(chain) = chain {
            let _ = frames::write(&mut stream, &chain).await;
        }
        let _ = stream.close().await;
    }
}

fn renewed(node: &Shared, peer: &NodeId) -> Option<Chain> {
    let ours = node.chain();
    if ours.leaf.statement.role != Role::Admin {
        return None;
    }
    let statement = node.machine().ledger.members.get(peer)?.clone();
    if statement.role == Role::Admin {
        return None;
    }
    let (role, name) = (statement.role, &statement.name);
    let leaf = certify(node.studio.id, &node.keys, *peer, role, name, unix_now());
    Some(Chain { leaf, admin: Some(ours.leaf) })
}
