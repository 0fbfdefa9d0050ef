//! Pins: the reasons for blobs to stay.

use weft_protocol::ids::BlobId;

use crate::catalog::Tables;
use crate::error::CatalogError;
use crate::publish::touch;
use crate::tables::{self, PinRow};
use crate::{Batch, Store, now};

/// Under which name the catalog remembers that it may have lost pins.
const IN_DOUBT: &str = "store/pins-in-doubt";

/// The longest reason, and the longest name of a value, in bytes.
const LONGEST_NAME: usize = 512;

/// A reason for a blob to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The blob.
    pub blob: BlobId,
    /// Why, in words that only the caller reads.
    pub reason: String,
    /// Whether all that the blob, a tree, names stays too.
    pub tree: bool,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Until when, in seconds since 1970; without end if `None`.
    pub until: Option<u64>,
}

/// A pin to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPin {
    pub(crate) blob: BlobId,
    pub(crate) reason: String,
    pub(crate) tree: bool,
    pub(crate) until: Option<u64>,
}

/// Refuses names that are too long for a key.
pub(crate) fn check_length(name: &str) -> Result<(), CatalogError> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(CatalogError::TooLong(name.chars().take(40).collect()))
}

/// Remembers that pins may be lost.
pub(crate) fn doubt(tables: &mut Tables<'_>) -> Result<(), CatalogError> {
    tables.meta.put(IN_DOUBT.as_bytes(), &[])
}

/// Whether pins may be lost.
pub(crate) fn are_in_doubt(tables: &Tables<'_>) -> Result<bool, CatalogError> {
    tables.meta.has(IN_DOUBT.as_bytes())
}

pub(crate) fn put_pin(tables: &mut Tables<'_>, pin: &NewPin) -> Result<(), CatalogError> {
    check_length(&pin.reason)?;
    let key = tables::join(&pin.blob.0, pin.reason.as_bytes());
    // Who pins a tree as a mere file for the same reason takes nothing from it: what it names stays.
    let before = tables.pins.row::<PinRow>(&key).ok().flatten();
    let tree = pin.tree
        || before.is_some_and(|row| row.tree && row.until.is_none_or(|until| until > now()));
    tables.pins.put_row(&key, &PinRow { tree, since: now(), until: pin.until })
}

/// Takes a pin away. The blob's time of grace begins now.
pub(crate) fn remove_pin(
    tables: &mut Tables<'_>,
    blob: &BlobId,
    reason: &str,
) -> Result<(), CatalogError> {
    if tables.pins.remove(&tables::join(&blob.0, reason.as_bytes()))? {
        match touch(tables, blob) {
            // Such a blob's record is for verification to name.
            Err(CatalogError::Damaged { .. }) => {}
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn remove_reason(tables: &mut Tables<'_>, reason: &str) -> Result<(), CatalogError> {
    let mut blobs = Vec::new();
    tables.pins.scan(&[], |key, _| {
        let blob = BlobId(tables::id_in(tables::PINS.0, key)?);
        if &key[blob.0.len()..] == reason.as_bytes() {
            blobs.push(blob);
        }
        Ok(())
    })?;
    blobs.iter().try_for_each(|blob| remove_pin(tables, blob, reason))
}

/// Reads a pin from its entry.
pub(crate) fn pin_in(key: &[u8], content: &[u8]) -> Result<Pin, CatalogError> {
    let blob = BlobId(tables::id_in(tables::PINS.0, key)?);
    let reason = String::from_utf8_lossy(&key[blob.0.len()..]).into_owned();
    let PinRow { tree, since, until } = tables::decode(tables::PINS.0, content)?;
    Ok(Pin { blob, reason, tree, since, until })
}

impl Store {
    /// Whether the disk has spoilt pins, of which nobody here knows which they were. Nothing is collected until
    /// whoever set them has done so again and [said so](Self::pins_are_set).
    ///
    /// # Errors
    /// When the catalog can't be read.
    pub fn pins_are_in_doubt(&self) -> Result<bool, CatalogError> {
        self.catalog.read(|snapshot| snapshot.sheet(tables::META)?.has(IN_DOUBT.as_bytes()))
    }

    /// All pins are set again that the disk may have spoilt.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn pins_are_set(&self) -> Result<(), CatalogError> {
        self.commit(&Batch::new().remove_meta(IN_DOUBT))
    }

    /// Keeps a blob, here or still to come, for a reason. It is durable when this returns. A
    /// second pin of the same reason takes the first one's place.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn pin(&self, blob: BlobId, reason: &str) -> Result<(), CatalogError> {
        self.commit(&Batch::new().pin(blob, reason))
    }

    /// Keeps a tree and all blobs that it names.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn pin_tree(&self, tree: BlobId, reason: &str) -> Result<(), CatalogError> {
        self.commit(&Batch::new().pin_tree(tree, reason))
    }

    /// Keeps a blob until a moment, in seconds since 1970.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn pin_until(&self, blob: BlobId, reason: &str, until: u64) -> Result<(), CatalogError> {
        self.commit(&Batch::new().pin_until(blob, reason, until))
    }

    /// Takes a pin away, if there is one. The blob's time of grace begins then.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn unpin(&self, blob: BlobId, reason: &str) -> Result<(), CatalogError> {
        self.commit(&Batch::new().unpin(blob, reason))
    }

    /// Takes all pins of a reason away.
    ///
    /// # Errors
    /// When the catalog can't be written.
    pub fn unpin_reason(&self, reason: &str) -> Result<(), CatalogError> {
        self.commit(&Batch::new().unpin_reason(reason))
    }

    /// Takes those of these pins away that are as they were when they were listed: one that was set anew since
    /// then stays. Each blob's time of grace begins then.
    ///
    /// # Errors
    /// When the catalog can't be written; then none of them was taken away.
    pub fn unpin_listed(&self, pins: &[Pin]) -> Result<(), CatalogError> {
        if pins.is_empty() {
            return Ok(());
        }
        self.catalog.free(|tables| {
            for pin in pins {
                let key = tables::join(&pin.blob.0, pin.reason.as_bytes());
                let now =
                    tables.pins.get(&key)?.map(|content| pin_in(&key, &content)).transpose()?;
                if now.as_ref() == Some(pin) {
                    remove_pin(tables, &pin.blob, &pin.reason)?;
                }
            }
            Ok(())
        })
    }

    /// A blob's pins, by reason, ended ones among them.
    ///
    /// # Errors
    /// When the catalog can't be read, or one of them is damaged.
    pub fn pins(&self, blob: BlobId) -> Result<Vec<Pin>, CatalogError> {
        self.pins_from(&blob.0)
    }

    /// All pins, by blob and reason.
    ///
    /// # Errors
    /// When the catalog can't be read, or one of them is damaged.
    pub fn all_pins(&self) -> Result<Vec<Pin>, CatalogError> {
        self.pins_from(&[])
    }

    fn pins_from(&self, prefix: &[u8]) -> Result<Vec<Pin>, CatalogError> {
        let mut pins = Vec::new();
        self.catalog.read(|snapshot| {
            snapshot.sheet(tables::PINS)?.scan(prefix, |key, content| {
                pins.push(pin_in(key, content?)?);
                Ok(())
            })
        })?;
        Ok(pins)
    }
}
