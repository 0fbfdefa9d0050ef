//! Facts and other records: exact bytes that are durable when a call returns.

use std::collections::{BTreeSet, VecDeque};

use weft_protocol::ids::{BlobId, FactId};

use crate::Store;
use crate::catalog::Tables;
use crate::error::CatalogError;
use crate::pins::{NewPin, check_length, put_pin, remove_pin, remove_reason};
use crate::tables;

/// How many facts are read from the catalog at once.
const PAGE: usize = 1024;

/// Changes that are made together or not at all, with one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    facts: Vec<(FactId, Vec<u8>)>,
    removed_facts: Vec<FactId>,
    meta: Vec<(String, Option<Vec<u8>>)>,
    pins: Vec<NewPin>,
    unpins: Vec<(BlobId, String)>,
    unpinned_reasons: Vec<String>,
    makes_room: bool,
}

impl Batch {
    /// No changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.only_removes()
            && self.removed_facts.is_empty()
            && self.meta.is_empty()
            && self.unpins.is_empty()
            && self.unpinned_reasons.is_empty()
    }

    /// Notes that all this is a step to more room, such as a fact that removes a job: on a full disk
    /// it may use what the store keeps for that. What only takes away always may.
    #[must_use]
    pub fn making_room(mut self) -> Self {
        self.makes_room = true;
        self
    }

    fn only_removes(&self) -> bool {
        let sets = |(_, value): &(_, Option<_>)| value.is_some();
        self.facts.is_empty() && self.pins.is_empty() && !self.meta.iter().any(sets)
    }

    /// Keeps a fact's exact bytes.
    #[must_use]
    pub fn put_fact(mut self, id: FactId, bytes: impl Into<Vec<u8>>) -> Self {
        self.facts.push((id, bytes.into()));
        self
    }

    /// Removes a fact.
    #[must_use]
    pub fn remove_fact(mut self, id: FactId) -> Self {
        self.removed_facts.push(id);
        self
    }

    /// Sets a named value.
    #[must_use]
    pub fn put_meta(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.meta.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a named value.
    #[must_use]
    pub fn remove_meta(mut self, name: impl Into<String>) -> Self {
        self.meta.push((name.into(), None));
        self
    }

    /// Pins a blob, as [`Store::pin`] does.
    #[must_use]
    pub fn pin(mut self, blob: BlobId, reason: impl Into<String>) -> Self {
        self.pins.push(NewPin { blob, reason: reason.into(), tree: false, until: None });
        self
    }

    /// Pins a tree and all that it names, as [`Store::pin_tree`] does.
    #[must_use]
    pub fn pin_tree(mut self, tree: BlobId, reason: impl Into<String>) -> Self {
        self.pins.push(NewPin { blob: tree, reason: reason.into(), tree: true, until: None });
        self
    }

    /// Pins a blob until a moment in seconds since 1970, as [`Store::pin_until`] does.
    #[must_use]
    pub fn pin_until(mut self, blob: BlobId, reason: impl Into<String>, until: u64) -> Self {
        self.pins.push(NewPin { blob, reason: reason.into(), tree: false, until: Some(until) });
        self
    }

    /// Takes a pin away.
    #[must_use]
    pub fn unpin(mut self, blob: BlobId, reason: impl Into<String>) -> Self {
        self.unpins.push((blob, reason.into()));
        self
    }

    /// Takes all pins of a reason away.
    #[must_use]
    pub fn unpin_reason(mut self, reason: impl Into<String>) -> Self {
        self.unpinned_reasons.push(reason.into());
        self
    }
}

impl Store {
    /// Makes all changes of a batch, with one commit: removals first, so that a pin may take
    /// another's place. They are durable when this returns.
    ///
    /// # Errors
    /// When the catalog can't be written; then none of them was made.
    pub fn commit(&self, batch: &Batch) -> Result<(), CatalogError> {
        if batch.is_empty() {
            return Ok(());
        }
        let change = |tables: &mut Tables<'_>| {
            for id in &batch.removed_facts {
                tables.facts.remove(&id.0)?;
            }
            for (id, bytes) in &batch.facts {
                tables.facts.put(&id.0, bytes)?;
            }
            for (name, value) in &batch.meta {
                check_length(name)?;
                match value {
                    Some(value) => tables.meta.put(name.as_bytes(), value)?,
                    None => {
                        tables.meta.remove(name.as_bytes())?;
                    }
                }
            }
            for reason in &batch.unpinned_reasons {
                remove_reason(tables, reason)?;
            }
            for (blob, reason) in &batch.unpins {
                remove_pin(tables, blob, reason)?;
            }
            for pin in &batch.pins {
                put_pin(tables, pin)?;
            }
            Ok(())
        };
        match batch.makes_room || batch.only_removes() {
            true => self.catalog.free(change),
            false => self.catalog.write(change),
        }
    }

    /// Keeps the exact bytes of facts; they are durable when this returns. That an id is its
    /// bytes' hash is for the caller to know.
    ///
    /// # Errors
    /// When the catalog can't be written; then none of them was kept.
    pub fn put_facts(&self, facts: &[(FactId, &[u8])]) -> Result<(), CatalogError> {
        if facts.is_empty() {
            return Ok(());
        }
        self.catalog
            .write(|tables| facts.iter().try_for_each(|(id, bytes)| tables.facts.put(&id.0, bytes)))
    }

    /// A fact's exact bytes.
    ///
    /// # Errors
    /// When the catalog can't be read, or the record is damaged.
    pub fn get_fact(&self, id: FactId) -> Result<Option<Vec<u8>>, CatalogError> {
        self.catalog.read(|snapshot| snapshot.sheet(tables::FACTS)?.get(&id.0))
    }

    /// All facts, by id. They are read some at a time: what is put or removed meanwhile may be
    /// among them or not. A damaged one is an error in its place; the rest follows.
    #[must_use]
    pub fn all_facts(&self) -> Facts<'_> {
        Facts { store: self, page: VecDeque::new(), last: None, over: false }
    }

    /// Those of some facts that are not here, or damaged.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn lacks_facts(&self, mut ids: BTreeSet<FactId>) -> Result<BTreeSet<FactId>, CatalogError> {
        for fact in self.all_facts() {
            match fact {
                Ok((id, _)) => drop(ids.remove(&id)),
                Err(CatalogError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ids)
    }

    /// Removes facts; they stay removed when this returns.
    ///
    /// # Errors
    /// When the catalog can't be written; then none of them was removed.
    pub fn remove_facts(&self, ids: &[FactId]) -> Result<(), CatalogError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.catalog.free(|tables| {
            for id in ids {
                tables.facts.remove(&id.0)?;
            }
            Ok(())
        })
    }

    /// Sets a named value, such as the term; it is durable when this returns.
    ///
    /// # Errors
    /// When the catalog can't be written; then it was not set.
    pub fn put_meta(&self, name: &str, value: &[u8]) -> Result<(), CatalogError> {
        self.commit(&Batch::new().put_meta(name, value))
    }

    /// A named value.
    ///
    /// # Errors
    /// When the catalog can't be read, or the record is damaged.
    pub fn get_meta(&self, name: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        self.catalog.read(|snapshot| snapshot.sheet(tables::META)?.get(name.as_bytes()))
    }

    /// The named values whose names begin with a prefix, in the order of their names. Damaged ones are left out.
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn metas(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, CatalogError> {
        let mut found = Vec::new();
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::META)?.scan(prefix.as_bytes(), |name, value| {
                if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), value) {
                    found.push((name.to_owned(), value.to_vec()));
                }
                Ok(())
            })
        })?;
        Ok(found)
    }
}

/// The facts of a store, from [`Store::all_facts`].
#[derive(Debug)]
pub struct Facts<'s> {
    store: &'s Store,
    page: VecDeque<tables::Entry>,
    last: Option<Vec<u8>>,
    over: bool,
}

impl Iterator for Facts<'_> {
    type Item = Result<(FactId, Vec<u8>), CatalogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.over {
            let after = self.last.as_deref();
            let page = self
                .store
                .catalog
                .read(|snapshot| snapshot.sheet(tables::FACTS)?.page(&[], after, PAGE));
            match page {
                Ok(page) => {
                    self.over = page.len() < PAGE;
                    self.last = page.last().map(|(key, _)| key.clone());
                    self.page = page.into();
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        let (key, content) = self.page.pop_front()?;
        Some(content.and_then(|bytes| Ok((FactId(tables::id_in(tables::FACTS.0, &key)?), bytes))))
    }
}
