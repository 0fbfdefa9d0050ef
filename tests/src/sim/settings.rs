//! What people set: nodes drained or taken back, prices, profiles, how many tasks run at once; and who uses a machine when.

use weft_protocol::fact::Body;
use weft_protocol::hardware::GIB;
use weft_protocol::job::trouble::{Trouble, benched};
use weft_protocol::machine::Input;
use weft_protocol::replicate::Goods;
use weft_protocol::settings::{Change, NodeChange, OnReturn, Profile, Setting};

use super::clock::SECOND;
use super::node::{Chore, ENGINE};
use super::world::World;

/// How much higher than what it saw the version is that somebody chooses who means to have the last word.
const EMPHASIS: u64 = 1000;

impl World {
    /// Somebody sets something.
    pub(super) fn set_something(&mut self, number: usize) {
        let other = self.nodes[self.random.below(self.nodes.len())].id;
        let small = u32::try_from(self.random.below(4)).unwrap_or(0);
        let some = (small > 0).then_some(small);
        let seconds = 60 + u32::try_from(self.random.below(1200)).unwrap_or(0);
        let change = match self.random.below(22) {
            10 | 11 => return self.somebody_returns(),
            14..17 => return self.hours_end(),
            17.. => return self.forgive(number),
            12 | 13 => Change::Keep((small > 0).then_some(seconds)),
            0..3 => Change::Node(other, NodeChange::Drained(true)),
            3..6 => Change::Node(other, NodeChange::Drained(false)),
            6 => Change::Node(other, NodeChange::Price(some)),
            // None would keep all work from being done for as long as nobody changes it.
            7 | 8 => Change::Limit(ENGINE.into(), some),
            _ => {
                let profile = |cores| Profile { cores, ram: 4 * GIB, ..Profile::default() };
                Change::Profile("basic".into(), some.map(profile))
            }
        };
        self.trace.say(self.now, || format!("node{number} sets {change:?}"));
        self.set(number, vec![change], 0);
    }

    /// Somebody comes back to their machine, and leaves it again.
    fn somebody_returns(&mut self) {
        let number = self.random.below(self.nodes.len());
        let what = match self.random.below(2) {
            0 => OnReturn::Finish,
            _ => OnReturn::Requeue,
        };
        self.trace.say(self.now, || format!("somebody uses node{number}: {what:?}"));
        let stays = self.between(3 * SECOND, 30 * SECOND);
        self.chore(0, number, Chore::Tell(Box::new(Input::InUse(Some(what)))));
        self.chore(stays, number, Chore::Tell(Box::new(Input::InUse(None))));
    }

    /// A machine comes to the end of its own hours, and to where they begin.
    fn hours_end(&mut self) {
        let number = self.random.below(self.nodes.len());
        self.trace.say(self.now, || format!("node{number} is outside its hours"));
        let lasts = self.between(3 * SECOND, 30 * SECOND);
        self.chore(0, number, Chore::Tell(Box::new(Input::WithinHours(false))));
        self.chore(lasts, number, Chore::Tell(Box::new(Input::WithinHours(true))));
    }

    /// Somebody takes a node back that failed where others did not.
    fn forgive(&mut self, number: usize) {
        let Some(machine) = &self.nodes[number].machine else { return };
        let benched = benched(&machine.ledger.jobs, &machine.ledger.settings);
        let last = |troubles: &Vec<Trouble>| troubles.iter().map(|trouble| trouble.started).max();
        let first = benched.iter().find_map(|(node, troubles)| Some((*node, last(troubles)?)));
        let Some((node, until)) = first else { return };
        let change = Change::Node(node, NodeChange::Forgiven(until));
        self.trace.say(self.now, || format!("node{number} sets {change:?}"));
        self.set(number, vec![change], 0);
    }

    fn set(&mut self, number: usize, changes: Vec<Change>, emphasis: u64) {
        let Some(machine) = &self.nodes[number].machine else { return };
        let settings = &machine.ledger.settings;
        let at = self.nodes[number].clock.wall(self.now);
        let body = |change: Change| {
            let version = settings.next_version(&change) + emphasis;
            Body::Setting(Setting { version, at, by: "ada".into(), change })
        };
        let bodies = changes.into_iter().map(body).collect();
        self.ask(number, None, bodies, Vec::new(), Goods::default());
    }

    /// At the end every node takes work again, also those of whose draining nobody here has heard yet.
    pub(super) fn settle_settings(&mut self) {
        let Some(number) = self.up().map(|(number, ..)| number).next() else { return };
        let undrained = |id| Change::Node(id, NodeChange::Drained(false));
        let mut changes: Vec<Change> = self.nodes.iter().map(|node| undrained(node.id)).collect();
        changes.push(Change::Limit(ENGINE.into(), None));
        self.set(number, changes, EMPHASIS);
    }
}
