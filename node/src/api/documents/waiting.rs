//! Why a job does not go on, for people.

use weft_protocol::job::control::Action;
use weft_protocol::job::status::{Activity, Status};
use weft_protocol::job::table::Job;
use weft_protocol::time::Unix;

use super::Live;
use crate::clock::unix_now;

/// When something was, for people; machines' clocks differ by some seconds.
fn ago(at: Unix, now: Unix) -> String {
    let seconds = now.0.saturating_sub(at.0) / 1000;
    let (number, unit) = match seconds {
        0..60 => return "a moment ago".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

/// Why a job does not go on.
pub(super) fn waiting_for(job: &Job, status: Status, live: &Live) -> Option<String> {
    match status {
        Status::Paused => {
            let paused = job.controls().rev().find(|(control, _)| control.action == Action::Pause);
            Some(paused.map_or_else(
                || "paused".to_owned(),
                |(control, _)| format!("paused by {} {}", control.by, ago(control.at, unix_now())),
            ))
        }
        Status::AwaitingApproval => Some("approval of its test frames (weft approve)".to_owned()),
        Status::Queued | Status::Preparing | Status::Rendering if live.leases.is_empty() => {
            live.waiting.clone().or_else(|| Some("a node to take it".to_owned()))
        }
        // Nothing of it is rendered just now, whether some of it is done already or not.
        Status::Preparing | Status::Rendering
            if matches!(live.activity(), Activity { preparing: 1.., rendering: 0 }) =>
        {
            Some("its files to arrive where it will be rendered".to_owned())
        }
        // Some of it runs. That the rest waits for the nodes' turn is no news.
        Status::Rendering if live.waits_for_more => live.waiting.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use weft_protocol::fact::Body;
    use weft_protocol::ids::{FactId, JobId, NodeId};
    use weft_protocol::job::control::Control;
    use weft_protocol::job::table::Jobs;
    use weft_protocol::job::task::TaskKey;
    use weft_protocol::wire::control::Phase;

    use super::*;

    #[test]
    fn each_reason_is_said_where_it_is_the_one() {
        let (id, node) = (JobId([1; 32]), NodeId([2; 32]));
        let mut jobs = Jobs::new();
        let at = Unix(unix_now().0 - 120_000);
        let paused = Control { job: id, version: 1, at, by: "ada".into(), action: Action::Pause };
        jobs.apply(FactId([3; 32]), node, &Body::Control(paused));
        let job = jobs.get(&id).expect("one fact of it is known");
        let live = |phases: &[Phase], waiting: Option<&str>, waits_for_more| Live {
            leases: (1..)
                .map(TaskKey::frame)
                .zip(phases.iter().map(|phase| (node, 0, 1, *phase)))
                .collect(),
            waiting: waiting.map(str::to_owned),
            waits_for_more,
            ..Live::default()
        };
        let (files, full) =
            (Phase::Preparing, "of the nodes that fit 2 have a disk that takes nothing");
        let renders = Phase::Rendering(0);
        let arrive = Some("its files to arrive where it will be rendered");
        for (status, live, said) in [
            (Status::Queued, live(&[], None, false), Some("a node to take it")),
            (Status::Queued, live(&[], Some(full), true), Some(full)),
            (Status::Rendering, live(&[], None, false), Some("a node to take it")),
            (Status::Preparing, live(&[files], None, false), arrive),
            (Status::Preparing, live(&[files], Some(full), true), arrive),
            // Some of it is done, and nobody renders any more of it so far.
            (Status::Rendering, live(&[files, files], Some(full), true), arrive),
            (Status::Rendering, live(&[files, renders], None, false), None),
            (Status::Rendering, live(&[Phase::Finishing], None, false), None),
            (Status::Rendering, live(&[renders], Some(full), true), Some(full)),
            (Status::Rendering, live(&[renders], Some("the one node is busy"), false), None),
            (Status::Paused, live(&[renders], None, false), Some("paused by ada 2 minutes ago")),
            (
                Status::AwaitingApproval,
                live(&[], None, false),
                Some("approval of its test frames (weft approve)"),
            ),
            (Status::Completed, live(&[], None, false), None),
            (Status::Failed, live(&[], Some(full), true), None),
            (Status::Cancelled, live(&[renders], Some(full), true), None),
        ] {
            assert_eq!(waiting_for(job, status, &live).as_deref(), said, "{status:?}: {live:?}");
        }
    }

    #[test]
    fn how_long_ago_something_was_is_said_in_words() {
        let said = |seconds: u64| ago(Unix(5_000_000), Unix(5_000_000 + seconds * 1000));
        for (seconds, words) in [
            (0, "a moment ago"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (7200, "2 hours ago"),
            (90_000, "1 day ago"),
        ] {
            assert_eq!(said(seconds), words);
        }
        assert_eq!(ago(Unix(9000), Unix(5000)), "a moment ago", "by another clock");
    }
}
