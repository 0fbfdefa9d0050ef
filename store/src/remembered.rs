//! What is remembered of files that were taken in goes with their blobs.

use weft_protocol::ids::BlobId;

use crate::Store;
use crate::error::CatalogError;
use crate::tables::{self, RememberedRow};

/// How many records are looked at at once, and go with one commit.
const PAGE: usize = 1024;

impl Store {
    /// Forgets the files whose blobs are not here any more: nothing asks for them, and nobody comes back to a folder
    /// that was deleted.
    pub(crate) fn forget_files(&self) -> Result<(), CatalogError> {
        let mut last: Option<Vec<u8>> = None;
        loop {
            let (mut gone, mut met) = (Vec::new(), 0);
            self.catalog.read(|snapshot| {
                let blobs = snapshot.sheet(tables::BLOBS)?;
                let page = snapshot.sheet(tables::REMEMBERED)?.page(&[], last.as_deref(), PAGE)?;
                met = page.len();
                last = page.last().map(|(path, _)| path.clone());
                for (path, content) in page {
                    if let Some(blob) = blob_of(content)
                        && !blobs.has(&blob.0)?
                    {
                        gone.push((path, blob));
                    }
                }
                Ok(())
            })?;
            if !gone.is_empty() {
                self.catalog.free(|tables| {
                    for (path, blob) in &gone {
                        // It may have been taken in again meanwhile.
                        let now: Option<RememberedRow> = tables.remembered.row(path)?;
                        if now.is_some_and(|row| row.blob == *blob) && !tables.blobs.has(&blob.0)? {
                            tables.remembered.remove(path)?;
                        }
                    }
                    Ok(())
                })?;
            }
            if met < PAGE {
                return Ok(());
            }
        }
    }
}

/// The blob of a record; none of a damaged one, which is for verification to name.
fn blob_of(content: Result<Vec<u8>, CatalogError>) -> Option<BlobId> {
    let row = content.and_then(|content| tables::decode(tables::REMEMBERED.0, &content));
    row.ok().map(|row: RememberedRow| row.blob)
}
