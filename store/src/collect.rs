//! Collection: what nobody has a reason to keep goes. Plan, then apply.

use std::collections::BTreeSet;
use std::time::Duration;

use redb::ReadableTable;
use weft_protocol::content::tree::MAX_ENCODED;
use weft_protocol::content::{Manifest, Tree};
use weft_protocol::ids::BlobId;
use weft_protocol::retention;

use crate::catalog::Tables;
use crate::error::{CatalogError, CollectError, DiskError, ReadError};
use crate::pins::{are_in_doubt, pin_in};
use crate::tables::{self, BlobRow, PartialRow, Sheet};
use crate::{Store, locked, names, now};

/// How often collection begins anew when trees are pinned while it works.
const ATTEMPTS: usize = 3;
/// How many blobs go with one commit: whoever wants to hold one of them waits for it.
const AT_ONCE: usize = 1024;

/// Something that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// The blob.
    pub blob: BlobId,
    /// Its size in bytes, as far as it has come.
    pub size: u64,
    /// Whether it is whole.
    pub whole: bool,
    /// When somebody last wanted it: when it was added, received or unpinned, in seconds since 1970.
    pub touched: u64,
}

/// What a collection would delete, or has deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The blobs: those that are whole by id, then the others by id.
    pub blobs: Vec<Doomed>,
    /// Files of blobs that the catalog doesn't know: a crash left them.
    pub strays: Vec<String>,
    /// The trees whose entries were protected while this was worked out.
    trees: BTreeSet<BlobId>,
    protected: BTreeSet<BlobId>,
}

impl Plan {
    /// How many bytes the blobs have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, doomed| sum.saturating_add(doomed.size))
    }
}

impl Store {
    /// Deletes the blobs that are neither pinned nor held, and were not touched for `grace`: when
    /// they were added, received or unpinned. A dry run only says which.
    ///
    /// A pinned tree protects what it names. Files go after the catalog has forgotten them.
    ///
    /// # Errors
    /// [`CollectError::Tree`]: a pinned tree can't be read, so nothing is deleted;
    /// [`CollectError::Changed`]: trees were pinned meanwhile, again and again;
    /// [`CollectError::PinsInDoubt`]: the disk has spoilt pins, and they aren't all set again;
    /// [`CatalogError::Spoilt`]: nobody knows what is pinned.
    pub fn collect(&self, grace: Duration, dry_run: bool) -> Result<Plan, CollectError> {
        let before = now().saturating_sub(grace.as_secs());
        if dry_run {
            return self.plan(before);
        }
        self.collect_some(before, |unwanted, _| unwanted)
    }

    /// Deletes blobs as [`collect`](Self::collect) does without a time of grace, those first that were touched
    /// longest ago, and no more of them than it takes to have room for `bytes`.
    ///
    /// # Errors
    /// As [`collect`](Self::collect)'s.
    pub fn collect_oldest(&self, bytes: u64) -> Result<Plan, CollectError> {
        self.collect_some(now(), |unwanted, gone| {
            let bytes = bytes.saturating_sub(gone);
            retention::oldest(unwanted, bytes, |doomed| (doomed.touched, doomed.size))
        })
    }

    pub(crate) fn collect_some(
        &self,
        before: u64,
        choose: impl Fn(Vec<Doomed>, u64) -> Vec<Doomed>,
    ) -> Result<Plan, CollectError> {
        let mut gone = Plan::default();
        for _ in 0..ATTEMPTS {
            let mut plan = self.plan(before)?;
            plan.blobs = choose(plan.blobs, gone.bytes());
            // A pin that a damaged page hides is a pin.
            let is_empty = plan.blobs.is_empty() && plan.strays.is_empty();
            if !is_empty && !self.catalog.is_intact()? {
                return Err(CatalogError::Spoilt.into());
            }
            let complete = self.apply(&mut plan, before)?;
            gone.blobs.append(&mut plan.blobs);
            if complete {
                self.forget_files()?;
                // Where files went there is room again.
                self.catalog.fill_reserve();
                return Ok(Plan { blobs: gone.blobs, ..plan });
            }
        }
        match gone.blobs.is_empty() {
            true => Err(CollectError::Changed),
            false => Ok(gone),
        }
    }

    /// What may go that was last touched at `before` or earlier.
    fn plan(&self, before: u64) -> Result<Plan, CollectError> {
        // What nobody receives any more may go too, once the catalog knows of it. Where that has no
        // room it is closed all the same.
        match self.close_idle(0) {
            Err(error) if !error.is_no_space() => return Err(error.into()),
            _ => {}
        }
        if self.pins_are_in_doubt()? {
            return Err(CollectError::PinsInDoubt);
        }
        let trees = self.catalog.read(|snapshot| {
            let mut trees = BTreeSet::new();
            snapshot.sheet(tables::PINS)?.scan(&[], |key, content| {
                let pin = pin_in(key, content?)?;
                if pin.tree && pin.until.is_none_or(|until| until > now()) {
                    trees.insert(pin.blob);
                }
                Ok(())
            })?;
            Ok(trees)
        })?;
        let mut protected = BTreeSet::new();
        for &tree in &trees {
            let bytes = match self.read_all(tree, MAX_ENCODED as u64) {
                Ok(bytes) => bytes,
                // It hasn't come yet, so that nothing has come on its account. Of one that was here and was spoilt
                // nobody knows what it names.
                Err(ReadError::Unknown { .. }) if !self.is_lost(tree)? => continue,
                Err(source) => {
                    return Err(CollectError::Tree { tree, source: Box::new(source) });
                }
            };
            let read =
                Tree::decode(&bytes).map_err(|source| CollectError::NotATree { tree, source })?;
            protected.extend(read.entries().values().map(|entry| entry.blob));
        }
        let mut plan = Plan { trees, protected, ..Plan::default() };
        self.catalog.read(|snapshot| {
            let pins = snapshot.sheet(tables::PINS)?;
            let may_go = |blob: &BlobId, touched: u64| -> Result<bool, CatalogError> {
                if touched > before || plan.protected.contains(blob) || self.holds.has(blob) {
                    return Ok(false);
                }
                Ok(!is_pinned(&pins, &blob.0)?)
            };
            let mut doomed = Vec::new();
            snapshot.sheet(tables::BLOBS)?.scan(&[], |key, content| {
                let blob = BlobId(tables::id_in(tables::BLOBS.0, key)?);
                // A damaged record is for verification to mend, not a reason to delete.
                let row = content.and_then(|bytes| tables::decode(tables::BLOBS.0, bytes));
                if let Ok(BlobRow { size, touched, .. }) = row
                    && may_go(&blob, touched)?
                {
                    doomed.push(Doomed { blob, size, whole: true, touched });
                }
                Ok(())
            })?;
            let manifests = snapshot.sheet(tables::MANIFESTS)?;
            snapshot.sheet(tables::PARTIAL)?.scan(&[], |key, content| {
                let blob = BlobId(tables::id_in(tables::PARTIAL.0, key)?);
                let row = content.and_then(|bytes| tables::decode(tables::PARTIAL.0, bytes));
                if let Ok(PartialRow { touched, held }) = row
                    && may_go(&blob, touched)?
                {
                    let manifest = manifests.get(key).ok().flatten();
                    let manifest = manifest.and_then(|encoded| Manifest::decode(&encoded).ok());
                    let size = manifest.map_or(0, |manifest| manifest.bytes_of(&held));
                    doomed.push(Doomed { blob, size, whole: false, touched });
                }
                Ok(())
            })?;
            plan.blobs = doomed;
            Ok(())
        })?;
        plan.strays = self.strays()?;
        Ok(plan)
    }

    /// Files under `blobs/` and `partial/` that the catalog doesn't know.
    fn strays(&self) -> Result<Vec<String>, CollectError> {
        let _publishing = locked(&self.publishing);
        let mut files = Vec::new();
        let dirs = (0..=u8::MAX).map(names::fan).chain([names::PARTIAL.to_owned()]);
        for dir in dirs {
            let listed = self.disk.list(&dir);
            let listed = listed.map_err(|error| DiskError::new(self.disk.path(&dir), error))?;
            files.extend(listed.into_iter().map(|name| (format!("{dir}/{name}"), name)));
        }
        Ok(self.catalog.read(|snapshot| {
            let blobs = snapshot.sheet(tables::BLOBS)?;
            let partial = snapshot.sheet(tables::PARTIAL)?;
            let mut strays = Vec::new();
            for (path, name) in files {
                // A name that is no blob's is not ours to delete.
                let Ok(blob) = name.parse::<BlobId>() else {
                    continue;
                };
                // One that is held may have been moved here by a finish that failed then.
                let is_begun = partial.has(&blob.0)? || self.holds.has(&blob);
                let known = match path == names::partial(&blob) {
                    true => is_begun || locked(&self.partials).has(&blob),
                    false => is_begun || blobs.has(&blob.0)?,
                };
                if !known {
                    strays.push(path);
                }
            }
            Ok(strays)
        })?)
    }

    /// Whether a file is one that the catalog doesn't know, of a blob that nobody holds.
    fn is_stray(&self, name: &str, blob: BlobId) -> Result<bool, CatalogError> {
        match name == names::partial(&blob) {
            true => {
                let sheet = tables::PARTIAL;
                let known = self.catalog.read(|snapshot| snapshot.sheet(sheet)?.has(&blob.0))?;
                Ok(!known && !locked(&self.partials).has(&blob))
            }
            false => Ok(!self.has(blob)?),
        }
    }

    /// Whether a blob was whole here, and the disk spoilt something of it.
    fn is_lost(&self, blob: BlobId) -> Result<bool, CatalogError> {
        self.catalog.read(|snapshot| snapshot.sheet(tables::LOST)?.has(&blob.0))
    }

    /// Deletes what is still unwanted of a plan, and leaves in the plan what was deleted. Says
    /// no, and leaves the rest, if trees were pinned meanwhile whose entries it doesn't know.
    fn apply(&self, plan: &mut Plan, before: u64) -> Result<bool, CollectError> {
        let mut first_error = None;
        let doomed = std::mem::take(&mut plan.blobs);
        let mut parts: Vec<&[Doomed]> = doomed.chunks(AT_ONCE).rev().collect();
        while let Some(part) = parts.pop() {
            match self.delete(part, &plan.trees, before, &mut first_error) {
                Ok(Some(gone)) => plan.blobs.extend(gone),
                Ok(None) => return first_error.map_or(Ok(false), |error| Err(error.into())),
                // There is no room to forget all at once: after the first half there is more.
                Err(error) if error.is_no_space() && part.len() > 1 => {
                    let (first, rest) = part.split_at(part.len() / 2);
                    parts.extend([rest, first]);
                }
                Err(error) => return Err(error),
            }
        }
        self.forget_losses(&plan.protected)?;
        let publishing = locked(&self.publishing);
        let mut deletion = self.holds.deletion();
        plan.strays.retain(|name| {
            let id = name.rsplit('/').next().and_then(|name| name.parse::<BlobId>().ok());
            id.is_some_and(|id| deletion.take(id) && self.is_stray(name, id).unwrap_or(false))
        });
        for name in &plan.strays {
            self.remove_file(name, &mut first_error);
        }
        drop((deletion, publishing));
        first_error.map_or(Ok(true), |error| Err(error.into()))
    }

    /// Deletes those of some blobs that are still unwanted, with one commit, and says which; none where trees are
    /// pinned that aren't known, or any pins may be.
    fn delete(
        &self,
        some: &[Doomed],
        trees: &BTreeSet<BlobId>,
        before: u64,
        first_error: &mut Option<DiskError>,
    ) -> Result<Option<Vec<Doomed>>, CollectError> {
        let publishing = locked(&self.publishing);
        let mut deletion = self.holds.deletion();
        let gone = self.catalog.free(|tables| {
            if are_in_doubt(tables)? || !trees_are_known(tables, trees)? {
                return Ok(None);
            }
            let mut gone = Vec::new();
            for doomed in some {
                let closed = || locked(&self.partials).close_unused(&doomed.blob, &self.holds);
                let unwanted = still_unwanted(tables, doomed, before)?;
                if unwanted && deletion.take(doomed.blob) && closed() {
                    forget(tables, doomed)?;
                    gone.push(doomed.clone());
                }
            }
            Ok(Some(gone))
        });
        if gone.is_err() {
            // The catalog may have been told all the same.
            some.iter().for_each(|doomed| self.opened.forget(&doomed.blob));
        }
        let gone = gone?;
        for doomed in gone.iter().flatten() {
            self.opened.forget(&doomed.blob);
            let name = if doomed.whole { names::blob } else { names::partial }(&doomed.blob);
            self.remove_file(&name, first_error);
        }
        drop((deletion, publishing));
        Ok(gone)
    }

    /// Removes a file of a blob that the catalog has forgotten. Where that fails the others go all the same; this
    /// one is a stray from now on.
    fn remove_file(&self, name: &str, first_error: &mut Option<DiskError>) {
        if let Err(error) = self.disk.remove(name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            first_error.get_or_insert(DiskError::new(self.disk.path(name), error));
        }
    }

    /// Misses no more what nobody keeps.
    fn forget_losses(&self, protected: &BTreeSet<BlobId>) -> Result<(), CatalogError> {
        if self.catalog.read(|snapshot| Ok(!snapshot.sheet(tables::LOST)?.any(&[])?))? {
            return Ok(());
        }
        self.catalog.free(|tables| {
            let mut over = Vec::new();
            tables.lost.scan(&[], |key, _| {
                let blob = BlobId(tables::id_in(tables::LOST.0, key)?);
                if !protected.contains(&blob)
                    && !tables.partial.has(key)?
                    && !is_pinned(&tables.pins, key)?
                {
                    over.push(blob);
                }
                Ok(())
            })?;
            over.iter().try_for_each(|blob| tables.lost.remove(&blob.0).map(drop))
        })
    }
}

fn still_unwanted(tables: &Tables<'_>, doomed: &Doomed, before: u64) -> Result<bool, CatalogError> {
    let key = &doomed.blob.0;
    let touched = if doomed.whole {
        tables.blobs.row::<BlobRow>(key)?.map(|row| row.touched)
    } else {
        tables.partial.row::<PartialRow>(key)?.map(|row| row.touched)
    };
    Ok(touched.is_some_and(|touched| touched <= before) && !is_pinned(&tables.pins, key)?)
}

/// Whether a blob has a pin that has not ended.
fn is_pinned<T>(pins: &Sheet<T>, key: &[u8]) -> Result<bool, CatalogError>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    let mut pinned = false;
    pins.scan(key, |key, content| {
        pinned |= is_live(key, content);
        Ok(())
    })?;
    Ok(pinned)
}

/// Whether a pin has not ended; one that can't be read hasn't.
fn is_live(key: &[u8], content: Result<&[u8], CatalogError>) -> bool {
    let pin = content.and_then(|content| pin_in(key, content));
    pin.map_or(true, |pin| pin.until.is_none_or(|until| until > now()))
}

fn trees_are_known(tables: &Tables<'_>, known: &BTreeSet<BlobId>) -> Result<bool, CatalogError> {
    let mut all = true;
    tables.pins.scan(&[], |key, content| {
        let pin = pin_in(key, content?)?;
        all &= !pin.tree || known.contains(&pin.blob) || pin.until.is_some_and(|end| end <= now());
        Ok(())
    })?;
    Ok(all)
}

/// Removes all that the catalog knows of a blob, ended pins included.
fn forget(tables: &mut Tables<'_>, doomed: &Doomed) -> Result<(), CatalogError> {
    let key = &doomed.blob.0;
    if doomed.whole {
        forget_whole(tables, &doomed.blob)?;
    } else {
        tables.partial.remove(key)?;
    }
    tables.manifests.remove(key)?;
    tables.lost.remove(key)?;
    let ended = tables.pins.page(key, None, usize::MAX)?;
    for (pin, _) in ended {
        tables.pins.remove(&pin)?;
    }
    Ok(())
}

/// Removes what the catalog knows of a blob as a whole one; its manifest stays.
pub(crate) fn forget_whole(tables: &mut Tables<'_>, blob: &BlobId) -> Result<(), CatalogError> {
    let key = &blob.0;
    if let Ok(Some(row)) = tables.blobs.row::<BlobRow>(key) {
        tables.md5.remove(&tables::join(&row.md5, key))?;
    }
    if let Ok(Some(encoded)) = tables.manifests.get(key)
        && let Ok(manifest) = Manifest::decode(&encoded)
    {
        for chunk in &manifest.chunks {
            tables.chunks.remove(&tables::join(&chunk.id.0, key))?;
        }
    }
    tables.inline.remove(key)?;
    tables.blobs.remove(key)?;
    Ok(())
}
