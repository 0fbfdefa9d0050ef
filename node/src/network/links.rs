//! One long stream of control messages in each direction between connected peers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::AsyncWriteExt;
use tokio::sync::mpsc;
use weft_protocol::ids::NodeId;
use weft_protocol::wire::control::{MAX_MESSAGE, Message};

use super::gate::{node_of, peer_of};
use super::streams::Control;
use super::{CONTROL, News, frames};

/// How many messages wait for one peer before more are dropped.
const QUEUE: usize = 1024;

/// The links to all connected peers.
#[derive(Clone)]
pub(super) struct Links {
    control: Control,
    queues: Arc<Mutex<BTreeMap<NodeId, mpsc::Sender<Message>>>>,
}

impl Links {
    /// Takes in what peers send, from now on.
    pub(super) fn start(control: Control, news: mpsc::Sender<News>) -> Self {
        let mut incoming = control.accept(CONTROL);
        tokio::spawn(async move {
            while let Some((peer, stream)) = incoming.recv().await {
                if let Some(node) = node_of(&peer) {
                    tokio::spawn(listen(node, stream, news.clone()));
                }
            }
        });
        Self { control, queues: Arc::default() }
    }

    /// A peer is connected: messages to it have a way from now on.
    pub(super) fn up(&self, node: NodeId) {
        let (sender, queue) = mpsc::channel(QUEUE);
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(node, sender);
        tokio::spawn(talk(self.control.clone(), node, queue));
    }

    /// A peer is gone.
    pub(super) fn down(&self, node: &NodeId) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    pub(super) fn send(&self, to: &NodeId, message: Message) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(to)
            && queue.try_send(message).is_err()
        {
            tracing::debug!(to = %to.short(), "a message was dropped: its queue is full");
        }
    }
}

/// Writes a peer's messages, over a new stream when the old one breaks.
async fn talk(control: Control, node: NodeId, mut queue: mpsc::Receiver<Message>) {
    let Some(peer) = peer_of(&node) else { return };
    let mut unsent: Option<Message> = None;
    while !queue.is_closed() {
        let Ok(mut stream) = control.open(&peer, CONTROL).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        loop {
            let message = match unsent.take() {
                Some(message) => message,
                None => match queue.recv().await {
                    Some(message) => message,
                    None => return,
                },
            };
            let sent = async {
                frames::write(&mut stream, &message).await?;
                while let Ok(next) = queue.try_recv() {
                    frames::write(&mut stream, &next).await?;
                }
                stream.flush().await
            };
            if sent.await.is_err() {
                unsent = Some(message);
                break;
            }
        }
    }
}

/// Reads what a peer sends until it says something that is no message.
async fn listen(node: NodeId, mut stream: libp2p::Stream, news: mpsc::Sender<News>) {
    loop {
        match frames::read::<_, Message>(&mut stream, MAX_MESSAGE).await {
            Ok(Some(message)) => {
                if news.send(News::Message(node, message)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(from = %node.short(), %error, "a stream of messages ended");
                return;
            }
        }
    }
}
