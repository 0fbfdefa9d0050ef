//! The one loop: what happens goes into the machine, and its commands become effects.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use weft_protocol::clocks;
use weft_protocol::fact::{Fact, Kind};
use weft_protocol::ids::{FactId, JobId, NodeId};
use weft_protocol::machine::{Command, Input, TICK};
use weft_protocol::replicate::Goods;
use weft_protocol::wire::control::{FACT_BATCH, Message};
use weft_protocol::worker::Event;
use weft_store::Batch;

use crate::clock::{local_minute, unix_now};
use crate::network::News;
use crate::network::swarm::SwarmNews;
use crate::reuse;
use crate::shared::Shared;

/// The name under which the highest term is kept in the catalog.
pub(crate) const TERM: &str = "term";
/// How much of what happened goes into the machine at once: whoever asks it something waits for so much.
const AT_ONCE: usize = 64;
/// How often nodes that are known and not connected are dialled.
const REDIAL: Duration = Duration::from_secs(2);

/// A write that waits for the disk.
struct Write {
    token: u64,
    term: Option<u64>,
    facts: Vec<Fact>,
}

impl Write {
    /// Whether all it does is to remove jobs, which makes room.
    fn removes(&self) -> bool {
        self.term.is_none() && self.facts.iter().all(|fact| fact.kind() == Kind::REMOVAL)
    }
}

/// Drives one node until it is told to stop.
pub(crate) struct Driver {
    node: Arc<Shared>,
    writes: mpsc::Sender<Write>,
    next_dial: tokio::time::Instant,
    next_clock: tokio::time::Instant,
    /// Something was set that this node's advert may have to say.
    set: bool,
    within_hours: bool,
}

impl Driver {
    pub(crate) fn new(node: Arc<Shared>) -> Self {
        let (writes, queue) = mpsc::channel(1024);
        let writer = Arc::clone(&node);
        tokio::task::spawn_blocking(move || write_all(&writer, queue));
        let next_dial = tokio::time::Instant::now();
        Self { node, writes, next_dial, next_clock: next_dial, set: false, within_hours: true }
    }

    /// Runs until `inputs` closes.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut news: mpsc::Receiver<News>,
    ) {
        let commands = self.node.introduce();
        self.obey(commands).await;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut happened, mut told) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.step(Input::Tick).await;
                    self.keep_standing().await;
                    self.tell_clock().await;
                    self.dial();
                }
                count = inputs.recv_many(&mut happened, AT_ONCE) => match count {
                    0 => return,
                    _ => self.steps(happened.drain(..)).await,
                },
                count = news.recv_many(&mut told, AT_ONCE) => match count {
                    0 => return,
                    _ => {
                        // Some of it asks the machine: that must not wait for itself.
                        let news: Vec<Input> =
                            told.drain(..).map(|told| heard(&self.node, told)).collect();
                        self.steps(news).await;
                    }
                },
            }
        }
    }

    async fn step(&mut self, input: Input) {
        self.steps([input]).await;
    }

    async fn steps(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let commands = self.node.handle(inputs);
        self.obey(commands).await;
    }

    /// Tells the machine what was set for this node, and whether it is within its hours.
    async fn keep_standing(&mut self) {
        if std::mem::take(&mut self.set)
            && let Some(advert) = self.node.advert_anew()
        {
            self.step(Input::Advert(Box::new(advert))).await;
        }
        let within = self.node.hours().is_none_or(|hours| hours.contain(local_minute()));
        if within != self.within_hours {
            self.within_hours = within;
            tracing::info!(within, "this node's hours");
            self.step(Input::WithinHours(within)).await;
        }
    }

    /// Tells the machine what the wall clock says, now and then.
    async fn tell_clock(&mut self) {
        let now = tokio::time::Instant::now();
        if now >= self.next_clock {
            self.next_clock = now + clocks::PERIOD;
            self.step(Input::Clock(unix_now())).await;
        }
    }

    async fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Send(to, message) => self.node.network.send(&to, message),
                Command::SendFacts(to, ids) => self.send_facts(to, ids),
                Command::Gossip(message) => self.node.network.publish(message),
                Command::Write { token, term, facts } => {
                    // The writer lives as long as this loop does.
                    let _ = self.writes.send(Write { token, term, facts }).await;
                }
                Command::Forget(job, obsolete) => self.forget(job, obsolete),
                Command::Work(event) => self.work(event),
                Command::Store { from, token, goods, job } => self.keep(from, token, goods, job),
                Command::Answer(request, answer) => self.node.answer(request, answer),
                Command::Changed(job) => self.node.changed(job),
                Command::LetGo(job) => {
                    tracing::info!(job = %job.short(), "a job that is over has been kept for as long as was set: it is removed");
                }
                Command::Seek(job) => drop(tokio::spawn(reuse::seek(Arc::clone(&self.node), job))),
                Command::TakeOver(job, tasks) => {
                    let tasks = tasks.into_iter().collect();
                    drop(tokio::spawn(reuse::take_over_here(Arc::clone(&self.node), job, tasks)));
                }
                Command::LeaderChanged => {
                    self.node.leader_changed();
                    // In a large studio nobody is connected to it yet.
                    self.next_dial = tokio::time::Instant::now();
                }
                Command::Set => self.set = true,
                Command::Close(node, why) => {
                    tracing::warn!(node = %node.short(), why, "a connection is closed");
                    if self.node.is_revoked(&node) {
                        self.node.network.gate().revoke(node);
                    }
                    self.node.network.close(node);
                }
            }
        }
    }

    /// Does what the worker's machine asks. What an attempt works on is known by then.
    fn work(&self, event: Event) {
        let job = event.job();
        let task = match &event {
            Event::Prepare { attempt, .. } => Some(attempt.task),
            Event::Start { lease, .. } => Some(lease.attempt.task),
            Event::Kill(_) | Event::Stop(_) => None,
        };
        let sources = task.and_then(|task| self.node.sources(&job, &task)).unwrap_or_default();
        let peers = self.node.connected();
        self.node.renderer.act(event, self.node.spec(&job), sources, peers);
    }

    fn send_facts(&self, to: NodeId, ids: Vec<FactId>) {
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || {
            let (mut batch, mut size) = (Vec::new(), 0);
            for id in ids {
                let Ok(Some(bytes)) = node.store.get_fact(id) else {
                    continue;
                };
                size += bytes.len();
                batch.push(bytes);
                if size >= FACT_BATCH {
                    let full = std::mem::take(&mut batch);
                    node.network.send(&to, Message::Facts(None, full));
                    size = 0;
                }
            }
            if !batch.is_empty() {
                node.network.send(&to, Message::Facts(None, batch));
            }
        });
    }

    fn forget(&self, job: JobId, obsolete: Vec<FactId>) {
        self.node.renderer.forget(&job);
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || {
            let mut batch = Batch::new().unpin_reason(crate::pins::job(&job));
            for fact in obsolete {
                batch = batch.remove_fact(fact);
            }
            if let Err(error) = node.store.commit(&batch) {
                tracing::warn!(%error, "what a removed job leaves could not be deleted");
            }
        });
    }

    /// Fetches and pins what a peer asks to keep.
    fn keep(&self, from: NodeId, token: u64, goods: Goods, job: JobId) {
        let node = Arc::clone(&self.node);
        tokio::spawn(async move {
            let kept = node.keep(&[from], &goods, &job).await;
            let _ = node.inputs.send(Input::Stored(from, token, kept)).await;
        });
    }

    /// Dials nodes that are known and not connected.
    fn dial(&mut self) {
        let now = tokio::time::Instant::now();
        if now < self.next_dial {
            return;
        }
        self.next_dial = now + REDIAL;
        for (node, addresses) in self.node.contacts() {
            self.node.dial(node, &addresses);
        }
    }
}

/// What the network tells, as the machine takes it.
fn heard(node: &Shared, told: News) -> Input {
    match told {
        News::Message(from, message) => Input::Message(from, message),
        News::Swarm(SwarmNews::Connected(chain)) => {
            tracing::info!(peer = %chain.leaf.statement.name, node = %chain.leaf.statement.subject.short(), "connected");
            Input::Connected(chain)
        }
        News::Swarm(SwarmNews::Disconnected(node)) => {
            tracing::info!(node = %node.short(), "disconnected");
            Input::Disconnected(node)
        }
        News::Swarm(SwarmNews::Gossip(from, message)) => Input::Gossip(from, message),
        News::Swarm(SwarmNews::Listening(address)) => {
            Input::Advert(Box::new(node.listening(address)))
        }
    }
}

/// The one writer: it takes whatever waits, commits it with one sync, and says so. Removals have a commit
/// of their own: on a full disk they succeed where the others fail.
fn write_all(node: &Shared, mut queue: mpsc::Receiver<Write>) {
    let mut on_disk = 0;
    while let Some(first) = queue.blocking_recv() {
        let mut writes = vec![first];
        while let Ok(next) = queue.try_recv() {
            writes.push(next);
        }
        let (removals, others): (Vec<_>, Vec<_>) = writes.into_iter().partition(Write::removes);
        for (writes, batch) in [(removals, Batch::new().making_room()), (others, Batch::new())] {
            if !write_some(node, writes, batch, &mut on_disk) {
                return;
            }
        }
    }
}

/// Commits writes, and says of each whether it is on the disk. Whether anybody listens still.
fn write_some(node: &Shared, writes: Vec<Write>, mut batch: Batch, on_disk: &mut u64) -> bool {
    for fact in writes.iter().flat_map(|write| &write.facts) {
        batch = batch.put_fact(fact.id(), fact.as_bytes().to_vec());
    }
    // Whatever order the writes come in, the term on the disk never falls. One that is there is written again where
    // the disk may have spoilt it.
    let terms = writes.iter().filter_map(|write| write.term);
    let highest = terms.max().filter(|term| *term >= *on_disk);
    if let Some(term) = highest {
        batch = batch.put_meta(TERM, term.to_le_bytes().to_vec());
    }
    let committed = if batch.is_empty() { Ok(()) } else { node.store.commit(&batch) };
    match &committed {
        Ok(()) => *on_disk = highest.unwrap_or(*on_disk),
        Err(error) => {
            tracing::error!(%error, "the catalog could not be written: nothing of it took effect");
        }
    }
    writes.into_iter().all(|write| {
        let input = match &committed {
            Ok(()) => Input::Written(write.token),
            Err(error) => Input::WriteFailed(write.token, error.to_string()),
        };
        node.inputs.blocking_send(input).is_ok()
    })
}
