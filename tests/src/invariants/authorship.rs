//! Only what its author may write and did sign takes effect.
//!
//! Design, rule 1: "Everything that matters is a fact, signed by whoever may author it." The rights
//! are stated here a second time, on purpose: `weft_protocol::ledger` is what is checked.

use std::collections::BTreeSet;

use weft_protocol::certificate::Role;
use weft_protocol::fact::{Body, Fact};
use weft_protocol::ids::FactId;

use super::Invariant;
use crate::sim::{Notice, World};

/// Facts that were found to be good.
#[derive(Default)]
pub(super) struct Authorship(BTreeSet<FactId>);

fn check(world: &World, fact: &Fact) -> Result<(), String> {
    let author = fact.author();
    if fact.verify(&world.studio, &world.check).is_err() {
        return Err(format!("{fact:?} was not signed by {author:?}"));
    }
    let Some(number) = world.node(&author) else {
        return Err(format!("{fact:?} is by {author:?}, who is no member"));
    };
    let role = world.nodes[number].role();
    let may = match fact.body() {
        Err(_) => false,
        Ok(None) => true,
        Ok(Some(Body::Certificate(chain))) => {
            chain.verify_signatures(&world.studio, &world.check).is_ok()
        }
        Ok(Some(Body::Revocation(_))) => role == Role::Admin,
        Ok(Some(Body::Outcomes(_) | Body::Notes(_) | Body::Warnings(_))) => role != Role::Artist,
        Ok(Some(Body::Delivery(delivery))) => delivery.node == author,
        Ok(Some(
            Body::Spec(_) | Body::Control(_) | Body::Removal(_) | Body::Setting(_) | Body::End(_),
        )) => true,
    };
    match may {
        true => Ok(()),
        false => Err(format!("{fact:?} is not {role:?} node{number}'s to write")),
    }
}

impl Invariant for Authorship {
    fn name(&self) -> &'static str {
        "only its author's word counts"
    }

    fn notice(&mut self, world: &World, notice: &Notice) -> Result<(), String> {
        if let Notice::Committed { node, facts, .. } = notice {
            for fact in facts {
                if self.0.insert(fact.id()) {
                    check(world, fact).map_err(|how| format!("on node{node}'s disk: {how}"))?;
                }
            }
        }
        Ok(())
    }
}
