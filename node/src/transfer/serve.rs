//! Serving bytes to peers.

mod conversation;
mod kept;
mod origins;
mod queue;

use std::sync::Arc;

use weft_store::Store;

use self::conversation::Conversation;
use self::origins::Origins;
use super::Traffic;
use crate::network::gate::node_of;
use crate::network::{CHUNKS, Network};

/// Answers peers for as long as the network lives.
pub(crate) async fn serve(network: Network, store: Arc<Store>, traffic: Traffic) {
    let mut incoming = network.accept(CHUNKS);
    let origins = Origins::default();
    while let Some((peer, stream)) = incoming.recv().await {
        let Some(node) = node_of(&peer) else { continue };
        let store = Arc::clone(&store);
        let conversation = Conversation::new(node, store, traffic.clone(), origins.clone());
        tokio::spawn(async move {
            if let Err(error) = conversation.run(stream).await {
                tracing::debug!(peer = %node.short(), %error, "a transfer ended early");
            }
        });
    }
}
