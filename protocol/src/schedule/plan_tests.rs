use super::*;
use crate::fact::{Body, Outcomes};
use crate::hardware::{GIB, Hardware, Needs};
use crate::job::samples::{fact, failed, node, outcome, run, spec};
use crate::schedule::NodeView;

fn machine(ram: u64) -> NodeView {
    NodeView {
        hardware: Hardware { cpu_cores: 8, ram: ram * GIB, ..Hardware::default() },
        engines: [("demo".to_owned(), "1".to_owned())].into(),
        renders: true,
        idle: true,
        ..NodeView::default()
    }
}

fn view(nodes: impl IntoIterator<Item = (u8, NodeView)>) -> View {
    let nodes = nodes.into_iter().map(|(n, view)| (node(n), view)).collect();
    View { nodes, ..View::default() }
}

fn submit(jobs: &mut Jobs, spec: JobSpec) -> JobId {
    let id = spec.id();
    jobs.apply(fact(u64::from(spec.nonce[0])), node(1), &Body::Spec(Box::new(spec)));
    id
}

fn frames(plan: &Plan) -> Vec<i32> {
    plan.assignments.iter().map(|assignment| assignment.attempt.task.frame).collect()
}

#[test]
fn frames_go_to_idle_nodes_in_order() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(9));
    let mut view = view([(1, machine(16)), (2, machine(16)), (3, machine(16))]);
    view.leased.insert(id, [TaskKey::frame(1)].into());
    view.nodes.get_mut(&node(1)).unwrap().idle = false;
    let plan = plan(&view, &jobs);
    assert_eq!(frames(&plan), [2, 3]);
    assert_eq!(plan.waiting[&id], Waiting::Busy { fitting: 3 });
}

#[test]
fn inputs_that_are_there_and_a_lower_price_decide() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, spec(1));
    let cheap = NodeView { price: 5, ..machine(16) };
    let dear = NodeView { price: 9, ..machine(16) };
    let view_of = |a: &NodeView, b: &NodeView| view([(1, a.clone()), (2, b.clone())]);
    assert_eq!(plan(&view_of(&dear, &cheap), &jobs).assignments[0].node, node(2));
    let near = NodeView { holds: [id].into(), ..dear };
    assert_eq!(plan(&view_of(&near, &cheap), &jobs).assignments[0].node, node(1));
}

#[test]
fn what_no_node_has_is_said_with_the_best_there_is() {
    let mut jobs = Jobs::new();
    let needs = Needs { ram: 64 * GIB, cores: 4, ..Needs::default() };
    let id = submit(&mut jobs, JobSpec { needs, ..spec(1) });
    let plan = plan(&view([(1, machine(16)), (2, machine(32))]), &jobs);
    let why = "64 GiB of RAM are asked, and the largest node has 32 GiB".to_owned();
    assert_eq!(plan.waiting[&id], Waiting::NoNodeFits(why));
    assert!(plan.assignments.is_empty());
}

#[test]
fn a_retry_avoids_the_node_that_failed_while_another_fits() {
    let mut jobs = Jobs::new();
    let id = submit(&mut jobs, JobSpec { retries: 3, ..spec(1) });
    let outcomes = vec![outcome(1, 0, 1, failed("x"))];
    jobs.apply(fact(99), node(1), &Body::Outcomes(Outcomes { job: id, outcomes }));
    let both = view([(1, machine(16)), (2, machine(16))]);
    let assignment = &plan(&both, &jobs).assignments[0];
    assert_eq!((assignment.node, assignment.attempt.attempt), (node(2), 2));
    // Where it is the only one, it tries again.
    assert_eq!(plan(&view([(1, machine(16))]), &jobs).assignments[0].node, node(1));
}

#[test]
fn priority_then_turns_between_owners_then_age() {
    let mut jobs = Jobs::new();
    let job = |nonce: u8, owner: &str, priority: u8, submitted: u64| JobSpec {
        nonce: [nonce; 16],
        owner: owner.into(),
        priority,
        submitted: crate::time::Unix(submitted),
        ..spec(9)
    };
    let first = submit(&mut jobs, job(1, "ada", 50, 1));
    let second = submit(&mut jobs, job(2, "bob", 50, 2));
    let view = view((1..=4).map(|n| (n, machine(16))));
    let owners: Vec<JobId> = plan(&view, &jobs).assignments.iter().map(|a| a.attempt.job).collect();
    assert_eq!(owners, [first, second, first, second]);
    let urgent = submit(&mut jobs, job(3, "ada", 90, 3));
    let jobs_served: BTreeSet<JobId> =
        plan(&view, &jobs).assignments.iter().map(|a| a.attempt.job).collect();
    assert_eq!(jobs_served, BTreeSet::from([urgent]));
}

#[test]
fn test_frames_alone_start_first() {
    let mut jobs = Jobs::new();
    submit(&mut jobs, JobSpec { test_frames: vec![run(7, 7)], ..spec(9) });
    let plan = plan(&view([(1, machine(16)), (2, machine(16))]), &jobs);
    assert_eq!(frames(&plan), [7]);
    assert!(plan.waiting.is_empty(), "it waits for its test frames, not for nodes");
}
