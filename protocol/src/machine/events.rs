//! What the parts of a machine find out: each to the others that it concerns, and to the shell.

use super::{AfterWrite, Command, Machine, Order};
use crate::election;
use crate::ids::JobId;
use crate::leader::Leader;
use crate::membership::{self, Liveness};
use crate::replicate;
use crate::time::Time;
use crate::wire::control::Message;
use crate::wire::gossip;

impl Machine {
    pub(super) fn membership_events(&mut self, now: Time, events: Vec<membership::Event>) {
        for event in events {
            match event {
                membership::Event::Send(to, message) => self.send(to, message),
                membership::Event::Changed(node, Liveness::Dead) => {
                    if let Some(leader) = &mut self.leader {
                        leader.lose(&node);
                    }
                    if self.connected.contains(&node) {
                        self.out.push(Command::Close(node, "it has been silent for too long"));
                    }
                    let events = self.replicator.disconnected(now, &node);
                    self.replicator_events(now, events);
                }
                membership::Event::Changed(..) => {
                    if let Some(leader) = &mut self.leader {
                        leader.touch();
                    }
                }
            }
        }
    }

    pub(super) fn election_events(&mut self, now: Time, events: Vec<election::Event>) {
        for event in events {
            match event {
                election::Event::Send(to, message) => self.send(to, message),
                election::Event::Write(term) => {
                    let token = self.token();
                    let after = AfterWrite { term: Some(term), ..AfterWrite::nothing() };
                    self.writes.insert(token, after);
                    self.out.push(Command::Write { token, term: Some(term), facts: Vec::new() });
                }
                election::Event::Lead(claim) => {
                    let leader = Leader::new(claim.term, now).knowing(&self.absent);
                    self.leader = Some(leader.after(self.led.replace(claim.leader)));
                    let jobs: Vec<JobId> = self.ledger.jobs.iter().map(|(id, ..)| id).collect();
                    for job in jobs {
                        self.seek(now, job);
                    }
                    for node in self.connected.clone() {
                        self.send(node, Message::Claim(claim.clone()));
                    }
                    self.out.push(Command::Gossip(gossip::Message::Claim(claim.clone())));
                    self.show_to_all();
                    self.followed(now, claim.term);
                }
                election::Event::Follow(claim) => {
                    self.leader = None;
                    self.led = Some(claim.leader);
                    self.followed(now, claim.term);
                }
                election::Event::Lost => {
                    self.leader = None;
                    self.out.push(Command::LeaderChanged);
                }
            }
        }
    }

    pub(super) fn followed(&mut self, now: Time, term: u64) {
        // Who lost its leader for a moment and found it again has followed it all along.
        if self.follows.is_none_or(|(of, _)| of != term) {
            self.follows = Some((term, now));
        }
        self.worker.follow(term);
        self.out.push(Command::LeaderChanged);
        self.report(now);
    }

    pub(super) fn replicator_events(&mut self, now: Time, events: Vec<replicate::Event>) {
        for event in events {
            match event {
                replicate::Event::Send(to, message) => self.send(to, message),
                replicate::Event::Over(token, holder) => match self.orders.remove(&token) {
                    Some(Order::Request(request, job, goods)) => {
                        if holder.is_none() {
                            self.lonely.put(job, goods);
                        }
                        let copies = std::iter::once(self.me).chain(holder).collect();
                        self.out.push(Command::Answer(request, Ok(copies)));
                    }
                    Some(Order::Outcome(attempt, outcome)) => {
                        self.conclude(attempt, *outcome, holder);
                    }
                    Some(Order::TakenOver(job, taken)) => {
                        self.take_over(job, taken, holder);
                    }
                    Some(Order::MakeGood(job, goods)) if holder.is_none() => {
                        self.lonely.put(job, goods);
                    }
                    Some(Order::MakeGood(..)) => self.make_good(now),
                    None => {}
                },
            }
        }
    }
}
