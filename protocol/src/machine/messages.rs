//! What other nodes say: each message to the part that it is for.

use super::{Command, Machine};
use crate::election;
use crate::fact::Kind;
use crate::ids::{FactId, NodeId};
use crate::replicate::Goods;
use crate::time::Time;
use crate::wire::control::{MAX_SOUGHT, Message, Sync};
use crate::wire::gossip;
use crate::worker::Grant;

impl Machine {
    pub(super) fn message(&mut self, now: Time, from: NodeId, message: Message) {
        match message {
            Message::Hello { advert, claim, known } => {
                _ = self.learn_advert(from, *advert, true);
                // Where an old connection outlives its node, or a message is lost, what this node
                // said of itself never came.
                if known.iter().all(|(node, _)| *node != self.me) {
                    self.hello(from);
                }
                self.learn_contacts(now, from, known);
                if let Some(claim) = claim {
                    self.claimed(now, claim);
                }
            }
            Message::Ping(..) | Message::Ack(..) | Message::PingFor(..) | Message::AckFor(..) => {
                let events = self.membership.message(now, from, &message);
                self.membership_events(now, events);
            }
            Message::AskLost(term) => {
                let events = self.election.asked(now, from, term);
                let sees_one = events
                    .iter()
                    .any(|event| matches!(event, election::Event::Send(_, Message::Claim(_))));
                self.election_events(now, events);
                if sees_one {
                    // Who asks may have lost it for not knowing where it is: that comes with this.
                    self.hello(from);
                }
            }
            Message::Lost(term, lost, highest) => {
                let events = self.election.answered(now, from, term, lost, highest);
                self.election_events(now, events);
            }
            Message::Claim(claim) => {
                if claim.leader == from
                    && let Some(better) = self.election.outranks(&claim).cloned()
                {
                    self.send(from, Message::Claim(better));
                }
                self.claimed(now, claim);
            }
            Message::Report(report) => self.take_report(now, from, &report),
            Message::Reported(term, _) => {
                self.election.heard_leader(now, &from, term);
                if self.election.obeys(&from, term) {
                    let events = self.worker.adopted(now, term, &self.ledger.jobs);
                    self.worker_events(now, events);
                }
            }
            Message::Assign { term, seq, lease, providers } => {
                self.assigned(now, from, Grant { term, seq, lease, more: Vec::new(), providers });
            }
            Message::AssignRun { term, seq, lease, more, providers } => {
                self.assigned(now, from, Grant { term, seq, lease, more, providers });
            }
            Message::Facts(token, facts) => self.take_facts(from, token, facts),
            Message::FactsStored(token) => {
                if self.reported.get(&token).is_some_and(|(node, ..)| *node == from) {
                    self.settle(now, token);
                }
            }
            Message::Keep { token, blobs, trees, job, facts } => {
                self.asked_to_keep(now, from, token, job, Goods { blobs, trees, facts });
            }
            Message::Keeping(token) => self.replicator.keeping(now, from, token),
            Message::Kept(token, kept) => {
                let events = self.replicator.kept(now, from, token, kept.is_ok());
                self.replicator_events(now, events);
            }
            Message::Sync(sync) => self.sync(now, from, sync),
            Message::Sought(job, None) => {
                let leads = self.election.leader() == Some(from);
                if leads {
                    self.out.push(Command::Seek(job));
                }
            }
            Message::Sought(job, Some(bringing)) => {
                self.sought(now, job, bringing.into_iter().collect());
            }
            Message::TakeOver(job, mut tasks) => {
                if self.election.leader() == Some(from) {
                    tasks.truncate(MAX_SOUGHT);
                    self.out.push(Command::TakeOver(job, tasks));
                }
            }
            Message::Clock(clock) => self.clocks.heard(now, from, clock),
            Message::Claims(report, claims) => {
                if let Some(leader) = &mut self.leader {
                    leader.claims(from, report, claims);
                }
            }
            Message::Standing(standing) => {
                if let Some(leader) = &mut self.leader {
                    leader.standing(from, standing);
                }
            }
        }
    }

    pub(super) fn gossip(&mut self, now: Time, from: NodeId, message: gossip::Message) {
        // Whoever has a key signs gossip, and members pass it on. Of who is no member yet only that counts which
        // proves itself: its certificate may be among it.
        let is_member = self.ledger.members.get(&from).is_some();
        match message {
            gossip::Message::Facts(facts) => {
                let mut facts = self.parse(from, facts);
                facts.retain(|fact| is_member || fact.kind() == Kind::CERTIFICATE);
                self.take_parsed(from, None, facts);
            }
            _ if !is_member => {}
            gossip::Message::Announce(holder, ids) => {
                let missing: Vec<FactId> =
                    ids.into_iter().filter(|id| !self.ledger.ids().contains(id)).collect();
                if !missing.is_empty() {
                    self.send(holder, Message::Sync(Sync::Want(missing)));
                }
            }
            gossip::Message::Claim(claim) => self.claimed(now, claim),
            gossip::Message::Advert(advert) => {
                let news = self.learn_advert(from, *advert, false);
                self.show_itself(now, from, news);
            }
        }
    }

    pub(super) fn claimed(&mut self, now: Time, claim: election::Claim) {
        // Only a member that may render or steer leads: its certificate must be known here.
        if self.ledger.members.get(&claim.leader).is_some() {
            let events = self.election.claimed(now, claim, self.verifier.as_ref());
            self.election_events(now, events);
        }
    }
}
