//! `weft watch`: follow a job until it is over.

mod live;

use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use crate::context::Context;
use crate::document::{Job, short};
use crate::download::Downloads;
use crate::error::Failure;
use crate::follow::Follow;
use crate::output::progress::{At, Progress, Unit};
use crate::output::{plain_line, units};
use crate::signals;

/// How often what is known is shown again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "The exit status tells how the job ended: 0 if it completed, 1 otherwise.")]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let client = Arc::new(context.client().await?);
    let mut follow = Follow::new(context, client, &args.job).await?;
    let mut tell = Tell::new(context);
    let mut print = |document: &Value, job: &Job, progress: &mut Progress| {
        tell.tell(job, progress);
        if context.json() { context.document(document) } else { Ok(()) }
    };
    let (_, job) = tokio::select! {
        watched = watch(&mut follow, None, &mut print) => watched?,
        () = signals::interrupted() => return Err(detached(context, follow.job())),
    };
    if !context.json() {
        context.print(&said(&job))?;
    }
    verdict(&job)
}

/// What is done with each document.
pub(crate) type Each<'a> = dyn FnMut(&Value, &Job, &mut Progress) -> Result<(), Failure> + 'a;

/// Tells people of each frame that ends; scripts read the documents.
#[derive(Debug)]
pub(crate) struct Tell {
    live: live::Live,
    people: bool,
}

impl Tell {
    pub(crate) fn new(context: &Context) -> Self {
        Self { live: live::Live::default(), people: !context.json() }
    }

    pub(crate) fn tell(&mut self, job: &Job, progress: &mut Progress) {
        for line in self.live.lines(job).into_iter().filter(|_| self.people) {
            progress.line(&line);
        }
    }
}

/// Follows a job until it is over, with progress for people, and brings its files if asked to.
pub(crate) async fn watch(
    follow: &mut Follow<'_>,
    mut downloads: Option<&mut Downloads>,
    each: &mut Each<'_>,
) -> Result<(Value, Job), Failure> {
    let mut progress = Progress::new(Unit::Frames);
    let mut last: Option<(Value, Job)> = None;
    let mut again = tokio::time::interval(AGAIN);
    loop {
        let brought = async {
            match &mut downloads {
                Some(downloads) => downloads.next().await,
                None => None,
            }
        };
        tokio::select! {
            next = follow.next() => match next? {
                Some((document, job)) => {
                    show(&mut progress, &job);
                    each(&document, &job, &mut progress)?;
                    if let Some(downloads) = &mut downloads {
                        job.outputs().for_each(|output| downloads.want(follow.client(), output));
                    }
                    last = Some((document, job));
                }
                None => break,
            },
            Some(fetched) = brought => { fetched?; }
            // Where nothing changes for long, that is worth a line too.
            _ = again.tick() => if let Some((_, job)) = &last {
                show(&mut progress, job);
            },
        }
    }
    while let Some(downloads) = &mut downloads
        && let Some(fetched) = downloads.next().await
    {
        fetched?;
    }
    last.ok_or_else(|| Failure::failed("the node told nothing about the job."))
}

/// Shows where a job is.
pub(crate) fn show(progress: &mut Progress, job: &Job) {
    let left = job.frames_total.saturating_sub(job.frames_done + job.frames_failed);
    // Nodes count whole frames a minute and whole seconds; the larger number is the better one.
    let by_minute = job.rate_per_minute.filter(|rate| *rate >= 10.0).map(|rate| rate / 60.0);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let by_time = job.eta_seconds.filter(|eta| *eta >= 1.0).map(|eta| left as f64 / eta);
    let at = At {
        done: job.frames_done,
        total: job.frames_total,
        rate: by_minute.or(by_time),
        left: job.eta_seconds,
    };
    let mut notes = Vec::new();
    if job.frames_failed > 0 {
        notes.push(format!("{} failed", job.frames_failed));
    }
    match live::at_work(job) {
        Some(who) => notes.push(who),
        None if job.frames_running > 0 => notes.push(format!("{} running", job.frames_running)),
        None => {}
    }
    notes.extend(job.waiting_for.as_ref().map(|what| format!("waiting: {what}")));
    notes.extend(job.cost().map(|cost| format!("cost {cost}")));
    progress.show(at, &notes.join(", "));
}

/// The person wants to do something else; the job isn't touched.
pub(crate) fn detached(context: &Context, job: &str) -> Failure {
    context.note(&format!(
        "Detached; the job goes on. `{}` follows it again.",
        context.call(&format!("watch {}", short(job)))
    ));
    Failure::told(Failure::DETACHED)
}

/// How a job ended, in a sentence.
pub(crate) fn said(job: &Job) -> String {
    let time = job.render_seconds.filter(|seconds| *seconds > 0.0);
    let time = time.map_or(String::new(), |seconds| {
        format!(" in {} of render time", units::duration(seconds))
    });
    let cost = job.cost().map_or(String::new(), |cost| format!(", for {cost}"));
    let warnings = job.warnings.iter().map(|line| format!("\nwarning: {}", plain_line(line)));
    format!(
        "{}: {}, {} of {} frames{time}{cost}{}",
        job.label(),
        job.status,
        job.frames_done,
        job.frames_total,
        warnings.collect::<String>()
    )
}

/// The exit status that a job's end stands for.
pub(crate) fn verdict(job: &Job) -> Result<(), Failure> {
    let id = short(&job.job);
    match job.status.as_str() {
        "completed" => Ok(()),
        "cancelled" => Err(Failure::failed(format!(
            "the job was cancelled; what is done is kept, and `weft outputs {id} --to DIR` fetches it."
        ))),
        _ => {
            let why = job.error_message.as_deref().unwrap_or("not every frame could be rendered");
            Err(Failure::failed(format!(
                "the job failed: {}. What is done is kept. `weft job {id}` shows which frames failed, \
                 `weft logs {id} FRAME` why, and `weft retry {id}` renders only those.",
                why.trim_end_matches('.')
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str, why: Option<&str>) -> Job {
        Job {
            job: "0123456789abcdef".into(),
            name: "shot_010".into(),
            status: status.into(),
            frames_done: 9,
            frames_total: 10,
            render_seconds: Some(75.2),
            error_message: why.map(str::to_owned),
            ..Job::default()
        }
    }

    #[test]
    fn a_jobs_end_decides_the_status() {
        let done = job("completed", None);
        insta::assert_snapshot!(said(&done), @"shot_010 (0123456789): completed, 9 of 10 frames in 1 min 15 s of render time");
        assert!(verdict(&done).is_ok());
        let failed = verdict(&job("failed", Some("frame 4: no memory."))).unwrap_err();
        insta::assert_snapshot!(failed.message(), @"the job failed: frame 4: no memory. What is done is kept. `weft job 0123456789` shows which frames failed, `weft logs 0123456789 FRAME` why, and `weft retry 0123456789` renders only those.");
        let cancelled = verdict(&job("cancelled", None)).unwrap_err();
        insta::assert_snapshot!(cancelled.message(), @"the job was cancelled; what is done is kept, and `weft outputs 0123456789 --to DIR` fetches it.");
    }
}
