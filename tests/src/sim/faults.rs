//! What goes wrong: storms, in which things fail, and calms, in which they must come right again.

use super::clock::{MILLI, Moment, SECOND};
use super::event::{Event, Mend};
use super::world::World;

/// How many storms there are.
pub(super) const STORMS: usize = 3;
/// How long the calm between two storms is at least: longer than whatever must have come right.
const CALM: Moment = 120 * SECOND;

impl World {
    /// Lays out storms and calms over the time that there is.
    pub(super) fn plan_weather(&mut self, span: Moment) {
        let first = 15 * SECOND;
        let each = span.saturating_sub(first) / STORMS as u64;
        for storm in 0..STORMS {
            let begins = first + each * storm as u64;
            self.after(begins, Event::Weather(2 * storm));
            let ends = begins + each.saturating_sub(CALM).max(each / 2);
            self.after(ends, Event::Weather(2 * storm + 1));
        }
    }

    /// Even numbers begin storms, odd ones end them.
    pub(super) fn weather(&mut self, number: usize) {
        if number.is_multiple_of(2) {
            self.trace.say(self.now, || "a storm begins".into());
            self.calm_since = None;
            self.after(0, Event::Fault);
            self.after(SECOND, Event::Lie);
            return;
        }
        self.trace.say(self.now, || "the storm is over".into());
        self.over = number + 1 == 2 * STORMS;
        self.calm_since = Some(self.now);
        self.network.heal();
        for node in 0..self.nodes.len() {
            self.mend(Mend::Resume(node));
            self.mend(Mend::Space(node));
            self.mend(Mend::Lag(node));
            self.mend(Mend::Engine(node));
            self.mend(Mend::Start(node));
        }
        self.confess();
        if self.over {
            self.settle_jobs();
            self.settle_settings();
        }
    }

    pub(super) fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Start(node) => self.start(node),
            Mend::Resume(node) => self.resume(node),
            Mend::Space(node) => self.nodes[node].disk.full = false,
            Mend::Lag(node) => self.nodes[node].lag = MILLI,
            Mend::Engine(node) => self.nodes[node].broken = false,
            Mend::Ways(ways) => {
                for (from, to) in ways {
                    let way = self.network.way(from, to);
                    (way.cut, way.loss, way.twice, way.jumbled) = (false, 0, 0, false);
                    way.delay = (MILLI / 10, MILLI);
                }
            }
        }
    }

    fn resume(&mut self, number: usize) {
        if !std::mem::replace(&mut self.nodes[number].paused, false) {
            return;
        }
        self.trace.event(self.now, number, 13, &[1]);
        self.trace.say(self.now, || format!("node{number} goes on"));
        let inbox = std::mem::take(&mut self.nodes[number].inbox);
        let forgets = self.planted == Some(super::planted::Planted::TimerForgets);
        // Whether the tick or what has waited comes first is chance.
        let delay = if self.random.below(2) == 0 { 0 } else { 2 * MILLI };
        if self.nodes[number].machine.is_some() && !forgets {
            self.chore(delay, number, super::node::Chore::Tick);
            self.chore(delay + MILLI, number, super::node::Chore::Dial);
        }
        for (at, event) in inbox.into_iter().enumerate() {
            self.after(1 + at as u64, event);
        }
    }

    /// Something fails, for a while.
    pub(super) fn fault(&mut self) {
        if self.calm_since.is_some() {
            return;
        }
        let pause = self.between(2 * SECOND, 40 * SECOND);
        self.after(pause, Event::Fault);
        self.record.faults += 1;
        let number = self.random.below(self.nodes.len());
        let brief = self.between(SECOND / 2, 8 * SECOND);
        let long = self.between(SECOND, 60 * SECOND);
        let lasts = if self.random.below(3) == 0 { long } else { brief };
        match self.random.below(13) {
            0 | 1 => self.crash(number, lasts, false),
            2 => self.crash(number, lasts, true),
            3 => self.crash_leader(lasts),
            4 => self.pause(number, lasts),
            5 => {
                self.trace.say(self.now, || format!("the disk of node{number} is full"));
                self.nodes[number].disk.full = true;
                self.after(lasts, Event::Mend(Mend::Space(number)));
            }
            6 => {
                // Busy: its ticks come late.
                self.nodes[number].lag = self.between(100 * MILLI, 900 * MILLI);
                self.after(lasts, Event::Mend(Mend::Lag(number)));
            }
            7 => self.one_way(number, lasts),
            8 => self.partition(lasts),
            9 => self.isolate(number, lasts),
            10 => self.weaken(lasts),
            11 => {
                self.trace.say(self.now, || format!("the engine of node{number} is broken"));
                self.nodes[number].broken = true;
                self.after(60 * SECOND + lasts, Event::Mend(Mend::Engine(number)));
            }
            _ => self.everybody_dies(lasts),
        }
    }

    fn crash(&mut self, number: usize, lasts: Moment, power: bool) {
        self.stop(number, power);
        // A clock may be set while the machine is off, backwards as well.
        if power && self.random.below(4) == 0 {
            self.nodes[number].clock.set(&mut self.random);
        }
        self.after(lasts, Event::Mend(Mend::Start(number)));
    }

    fn crash_leader(&mut self, lasts: Moment) {
        let leads = self.up().find(|(.., machine)| machine.election.leads());
        if let Some(number) = leads.map(|(number, ..)| number) {
            let power = self.random.below(2) == 0;
            self.crash(number, lasts, power);
        }
    }

    fn pause(&mut self, number: usize, lasts: Moment) {
        if self.nodes[number].machine.is_some() && !self.nodes[number].paused {
            self.trace.event(self.now, number, 13, &[0]);
            self.trace.say(self.now, || format!("node{number} stands still"));
            self.nodes[number].paused = true;
            self.after(lasts, Event::Mend(Mend::Resume(number)));
        }
    }

    fn cut(&mut self, ways: Vec<(usize, usize)>, lasts: Moment) {
        self.trace.say(self.now, || format!("cut: {ways:?}"));
        for (from, to) in &ways {
            self.network.way(*from, *to).cut = true;
            self.doom_links(*from, *to);
        }
        self.after(lasts, Event::Mend(Mend::Ways(ways)));
    }

    fn one_way(&mut self, number: usize, lasts: Moment) {
        let other = self.random.below(self.nodes.len());
        if other != number {
            self.cut(vec![(number, other)], lasts);
        }
    }

    fn isolate(&mut self, number: usize, lasts: Moment) {
        let others = (0..self.nodes.len()).filter(|other| *other != number);
        let ways = others.flat_map(|other| [(number, other), (other, number)]).collect();
        self.cut(ways, lasts);
    }

    fn partition(&mut self, lasts: Moment) {
        let side = self.random.next();
        let on = |node: usize| side >> node & 1;
        let all = 0..self.nodes.len();
        let pairs = all.clone().flat_map(|one| all.clone().map(move |other| (one, other)));
        let ways = pairs.filter(|(one, other)| on(*one) != on(*other)).collect();
        self.cut(ways, lasts);
    }

    /// Some ways lose, delay, double and reorder.
    fn weaken(&mut self, lasts: Moment) {
        let count = self.nodes.len();
        let mut ways = Vec::new();
        for _ in 0..1 + self.random.below(2 * count) {
            let (from, to) = (self.random.below(count), self.random.below(count));
            let (loss, twice) = (self.random.next() % 2000, self.random.next() % 1000);
            let most = self.between(MILLI, 600 * MILLI);
            let jumbled = self.random.below(2) == 0;
            let way = self.network.way(from, to);
            (way.loss, way.twice, way.jumbled) = (loss, twice, jumbled);
            way.delay = (MILLI / 10, most);
            ways.push((from, to));
        }
        self.trace.say(self.now, || format!("weakened: {ways:?}"));
        self.after(lasts, Event::Mend(Mend::Ways(ways)));
    }

    fn everybody_dies(&mut self, lasts: Moment) {
        if self.random.below(3) > 0 {
            return;
        }
        for number in 0..self.nodes.len() {
            let extra = self.between(0, 5 * SECOND);
            self.crash(number, lasts + extra, true);
        }
    }
}
