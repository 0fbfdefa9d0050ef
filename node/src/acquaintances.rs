//! What other nodes told of themselves, kept so that those which are off are known after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weft_protocol::ids::NodeId;
use weft_protocol::machine::Machine;
use weft_protocol::wire;
use weft_protocol::wire::control::Advert;
use weft_protocol::wire::gossip::{MAX_MESSAGE, Message};
use weft_store::{Batch, Store};

use crate::shared::Shared;

/// How often it is looked whether somebody told something new.
const LOOK: Duration = Duration::from_secs(2);

/// The name under which a node's advert is kept in the catalog: as gossip carries it.
fn name(node: &NodeId) -> String {
    format!("advert/{node}")
}

/// Tells a machine, before it starts, of the members that were known when it last ran.
pub(crate) fn recall(machine: &mut Machine, store: &Store) {
    let me = machine.me();
    let members: Vec<NodeId> = machine.ledger.members.iter().map(|m| m.subject).collect();
    for member in members.into_iter().filter(|member| *member != me) {
        // What can't be read is told anew by its node when that comes.
        let Ok(Some(bytes)) = store.get_meta(&name(&member)) else { continue };
        if let Ok(Message::Advert(advert)) = wire::decode(&bytes, MAX_MESSAGE)
            && advert.node == member
        {
            machine.absent.insert(member, *advert);
        }
    }
}

/// Writes down what others tell of themselves, for as long as the daemon runs.
pub(crate) async fn keep(node: Arc<Shared>) {
    let mut every = tokio::time::interval(LOOK);
    let mut kept = node.machine().absent.clone();
    loop {
        every.tick().await;
        let news: BTreeMap<NodeId, Advert> = {
            let machine = node.machine();
            let others = machine.adverts.iter().filter(|(id, _)| **id != node.me);
            let changed = others.filter(|(id, advert)| kept.get(*id) != Some(*advert));
            changed.map(|(id, advert)| (*id, advert.clone())).collect()
        };
        if news.is_empty() {
            continue;
        }
        let batch = news.iter().fold(Batch::new(), |batch, (id, advert)| {
            let message = Message::Advert(Box::new(advert.clone()));
            batch.put_meta(name(id), wire::encode(&message))
        });
        let store = Arc::clone(&node.store);
        match tokio::task::spawn_blocking(move || store.commit(&batch)).await {
            Ok(Ok(())) => kept.extend(news),
            Ok(Err(error)) => tracing::debug!(%error, "what nodes told could not be kept"),
            Err(error) => tracing::debug!(%error, "what nodes told could not be kept"),
        }
    }
}
