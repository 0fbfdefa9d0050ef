//! Results of other jobs, taken over.

use super::*;
use crate::job::note::{Note, What};
use crate::job::table::{Done, Job};

const PREVIEW: BlobId = BlobId([3; 32]);
const KEY: [u8; 32] = [4; 32];

impl World {
    /// What a node's shell answers when it is asked to seek stored results. That it is over it says once
    /// all of them are facts, which here nobody waits for.
    pub(super) fn sought(&self, node: NodeId, job: JobId) -> Vec<(NodeId, Input)> {
        let tasks: Vec<TaskKey> = self.stored.iter().map(|frame| TaskKey::frame(*frame)).collect();
        let note = |task: &TaskKey| Note { task: *task, generation: 0, what: What::Key(KEY) };
        let results = self.stored.iter().map(|frame| outcome(*frame, 0, 0, done()));
        let taken = Input::TakenOver {
            job,
            results: results.collect(),
            notes: tasks.iter().map(note).collect(),
            blobs: vec![PREVIEW],
            holders: Vec::new(),
        };
        let all = [Input::Sought(job, tasks.into_iter().collect()), taken];
        let told = if self.endless { 1 } else { all.len() };
        all.into_iter().take(told).map(|input| (node, input)).collect()
    }

    fn job(&self, node: NodeId, job: &JobId) -> &Job {
        self.nodes[&node].ledger.jobs.get(job).expect("the job is known")
    }
}

/// Every node knows of stored frames 1 to 9, on two disks; only the tenth was rendered.
fn assert_taken_over(world: &World, job: &JobId) {
    assert_eq!(world.statuses(job), BTreeSet::from([Some(Status::Completed)]));
    let frames: Vec<i32> = world.starts.iter().map(|(_, frame)| *frame).collect();
    assert_eq!(frames, [10]);
    for node in world.all() {
        let job = world.job(node, job);
        for frame in 1..=9 {
            let task = job.task(&TaskKey::frame(frame)).unwrap();
            let done: Done<'_> = task.done().unwrap();
            assert!(done.is_taken_over() && done.holders.len() == 2, "{done:?}");
            assert!(!world.artists.contains(&done.author), "an artist's machine signs no results");
            assert_eq!(task.noted().key, Some(KEY));
        }
        assert_eq!(job.ended().count(), 1);
    }
}

#[test]
fn stored_results_are_taken_over_before_anything_is_handed_out() {
    let mut world = World::new(3);
    world.stored = (1..=9).collect();
    world.run(Duration::from_secs(5));
    let submitter = world.all()[0];
    let (job, _) = world.submit(submitter, spec(10));
    world.run(Duration::from_secs(3));
    assert_taken_over(&world, &job);
    assert!(world.nodes.values().all(|m| m.queues().iter().all(|(_, length)| *length == 0)));
}

#[test]
fn a_leader_whose_machine_does_not_render_has_another_seek() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let mut world = World::with_artists(3, [leader].into());
    world.stored = (1..=9).collect();
    world.run(Duration::from_secs(5));
    assert_eq!(world.leader(), leader, "artists lead as well");
    let submitter = world.all().into_iter().find(|node| *node != leader).expect("two others");
    let (job, _) = world.submit(submitter, spec(10));
    world.run(Duration::from_secs(3));
    assert_taken_over(&world, &job);
}

#[test]
fn a_node_takes_over_for_its_leader_only_what_lies_on_its_disk() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let leader = world.leader();
    let [one, other] =
        world.all().into_iter().filter(|node| *node != leader).collect::<Vec<_>>()[..]
    else {
        unreachable!("three nodes")
    };
    let (job, tasks) = (JobId([9; 32]), vec![TaskKey::frame(7)]);
    for (from, obeys) in [(leader, true), (other, false)] {
        let now = world.now;
        let machine = world.nodes.get_mut(&from).expect("it runs");
        let commands = machine.handle(now, Input::Entrusted(one, job, tasks.clone()));
        let message = commands.into_iter().find_map(|command| match command {
            Command::Send(to, message) if to == one => Some(message),
            _ => None,
        });
        let message = message.expect("it is asked");
        let machine = world.nodes.get_mut(&one).expect("it runs");
        let commands = machine.handle(now, Input::Message(from, message));
        let asked = commands.iter().any(|command| matches!(command, Command::TakeOver(..)));
        assert_eq!(asked, obeys);
    }
}

#[test]
fn a_job_of_which_nobody_tells_goes_on_after_a_while() {
    let mut world = World::new(1);
    world.run(Duration::from_secs(5));
    let node = world.leader();
    // A search that never ends: its word is that some are being brought.
    (world.stored, world.endless) = (vec![2], true);
    _ = world.submit(node, spec(2));
    world.run(Duration::from_secs(5));
    assert_eq!(world.starts, [(node, 1)]);
    world.run(crate::leader::SEEK);
    assert_eq!(world.starts, [(node, 1), (node, 2)]);
}
