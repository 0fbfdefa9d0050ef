//! Serving bytes to peers.

mod conversation;
mod guests;
mod kept;
mod origins;
mod queue;

use std::sync::Arc;

use weft_store::Store;

use self::conversation::Conversation;
use self::guests::Guests;
use self::origins::Origins;
use super::Traffic;
use crate::network::gate::node_of;
use crate::network::{CHUNKS, Network};

/// Answers peers for as long as the network lives.
pub(crate) async fn serve(network: Network, store: Arc<Store>, traffic: Traffic) {
    let mut incoming = network.accept(CHUNKS);
    let (origins, guests) = (Origins::default(), Guests::default());
    while let Some((peer, stream)) = incoming.recv().await {
        let Some(node) = node_of(&peer) else { continue };
        // Dropping the stream resets it: the peer learns of it, and may come again.
        let Some(visit) = guests.admit(node) else {
            tracing::debug!(peer = %node.short(), "it has too many transfers at once: one was turned away");
            continue;
        };
        let (store, traffic, origins) = (Arc::clone(&store), traffic.clone(), origins.clone());
        tokio::spawn(async move {
            let Some(seat) = visit.seat().await else { return };
            let conversation = Conversation::new(node, store, traffic, origins, seat);
            if let Err(error) = conversation.run(stream).await {
                tracing::debug!(peer = %node.short(), %error, "a transfer ended early");
            }
        });
    }
}
