//! Following a job until it is over, through restarts of the node that tells about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Lines, segment};
use crate::context::Context;
use crate::document::{self, Job};
use crate::error::Failure;

/// How long a node that went away is waited for: a restart takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// A job's documents, each time that it changes.
pub(crate) struct Follow<'a> {
    context: &'a Context,
    client: Arc<Client>,
    job: String,
    lines: Option<Lines>,
    /// Since when the node does not answer.
    lost: Option<Instant>,
    over: bool,
}

impl<'a> Follow<'a> {
    /// Begins to follow a job.
    pub(crate) async fn new(
        context: &'a Context,
        client: Arc<Client>,
        job: &str,
    ) -> Result<Self, Failure> {
        let lines = Some(client.lines(&path(job)).await?);
        Ok(Self { context, client, job: job.to_owned(), lines, lost: None, over: false })
    }

    /// The way to the node, which is another one after it was lost.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The job, by its id once that is known.
    pub(crate) fn job(&self) -> &str {
        &self.job
    }

    /// The job's document when it changes; none once it is over. Nothing is lost when the caller
    /// stops waiting and asks again.
    pub(crate) async fn next(&mut self) -> Result<Option<(Value, Job)>, Failure> {
        while !self.over {
            let Some(lines) = &mut self.lines else {
                self.find_again().await?;
                continue;
            };
            match lines.next().await {
                Ok(Some(value)) => {
                    let job: Job = document::read(&value)?;
                    // A name or `last` may soon mean another job.
                    self.job.clone_from(&job.job);
                    self.lost = None;
                    self.over = job.is_over();
                    return Ok(Some((value, job)));
                }
                // The node ends, or the job was removed: asking again tells.
                Ok(None) => self.lose(),
                Err(failure) if failure.is_unreachable() => self.lose(),
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    fn lose(&mut self) {
        self.lines = None;
        self.lost.get_or_insert_with(Instant::now);
    }

    async fn find_again(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(PAUSE).await;
        let found = async {
            let client = Arc::new(self.context.client().await?);
            let lines = client.lines(&path(&self.job)).await?;
            Ok::<_, Failure>((client, lines))
        };
        match found.await {
            Ok((client, lines)) => {
                self.client = client;
                self.lines = Some(lines);
                Ok(())
            }
            Err(failure)
                if failure.is_unreachable()
                    && self.lost.is_some_and(|since| since.elapsed() < PATIENCE) =>
            {
                Ok(())
            }
            Err(failure) if failure.is_unreachable() => Err(failure.and(&format!(
                "The job goes on as long as another node of the studio is there; from one of them, \
                 `weft watch {}` follows it.",
                document::short(&self.job)
            ))),
            Err(failure) => Err(failure),
        }
    }
}

fn path(job: &str) -> String {
    format!("jobs/{}/watch", segment(job))
}
