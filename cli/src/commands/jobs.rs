//! `weft jobs`: the list of jobs.

use crate::context::Context;
use crate::document::{self, Job, short};
use crate::error::Failure;
use crate::output::{Style, table::Table, units};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// Only one's own
    #[arg(long)]
    mine: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("jobs?all={}&mine={}", args.all, args.mine);
    let document = context.client().await?.get(&path).await?;
    let jobs: Vec<Job> = document::read(&document)?;
    context.answer(&document, |style| {
        words(
            &jobs,
            style,
            if args.all {
                "no jobs"
            } else {
                "no jobs that aren't over; --all lists those that are"
            },
        )
    })
}

fn words(jobs: &[Job], style: Style, empty: &str) -> String {
    let mut table = Table::new(&[
        "job", "name", "status", ">done", "left", "cost", "priority", "owner", "waiting",
    ])
    .paint("status", Style::status)
    .paint("job", Style::faint);
    for job in jobs {
        let failed = match job.frames_failed {
            0 => String::new(),
            failed => format!(" ({failed} failed)"),
        };
        table.row([
            short(&job.job).to_owned(),
            job.name.clone(),
            job.status.clone(),
            format!("{}/{}{failed}", job.frames_done, job.frames_total),
            job.eta_seconds.map_or(String::new(), units::duration),
            job.cost().unwrap_or_default(),
            job.priority.map_or(String::new(), |priority| priority.to_string()),
            job.owner.clone(),
            job.waiting_for.clone().unwrap_or_default(),
        ]);
    }
    table.words(style, empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_list_of_jobs_tells_what_each_is_at() {
        let document: Value = json!([
            { "job": "0123456789abcdef", "name": "shot_010", "owner": "ada@ws1", "status": "rendering",
              "frames_total": 100, "frames_done": 20, "frames_failed": 1, "priority": 50,
              "eta_seconds": 310, "cost_so_far": 0.42, "cost_expected": 2.1 },
            { "job": "fedcba9876543210", "name": "shot_020", "owner": "ada@ws1", "status": "queued",
              "frames_total": 10, "frames_done": 0, "frames_failed": 0, "priority": 50,
              "waiting_for": "the 3 nodes that fit are busy" },
        ]);
        let jobs: Vec<Job> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&jobs, Style::default(), ""), @r"
        job         name      status                  done  left        cost                priority  owner    waiting
        0123456789  shot_010  rendering  20/100 (1 failed)  5 min 10 s  0.42 of about 2.10  50        ada@ws1
        fedcba9876  shot_020  queued                  0/10                                  50        ada@ws1  the 3 nodes that fit are busy
        ");
    }
}
