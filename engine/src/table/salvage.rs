//! Salvage: reads the undamaged data blocks of a table that does not open or does not verify.
//!
//! If the index is readable, it says where the blocks are. Otherwise the blocks are found one after
//! the other from the start of the file: a block ends where the checksum of the bytes so far
//! follows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::{TableFacts, TableId};
use bytes::BytesMut;

use super::block::Block;
use super::format::{FOOTER_BYTES, Footer, unseal};
use super::reader::{Meta, Table};
use crate::codec::Fields;
use crate::context::ReadContext;
use crate::directory::{Files, NamedFile};
use crate::env::Fs;
use crate::error::{Error, Result};
use crate::storage::{Entry, EntryKind, check_key};

/// Bytes searched for the end of one block if no index says where it ends.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Bytes read at a time.
const PIECE_BYTES: u64 = 256 << 10;

/// The place of a data block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The block's byte range in the file.
    pub(crate) span: Range<u64>,
    /// The number of entries. None if there is no index that says it.
    pub(crate) entries: Option<u64>,
}

impl Table {
    /// Opens a table without the manifest: the table's own properties describe it.
    ///
    /// # Errors
    /// The errors of [`Table::open`].
    pub(crate) async fn discover(
        fs: Arc<dyn Fs>,
        path: &Path,
        id: TableId,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let file = Files::on(&*fs).open(path)?;
        let bytes = file.named("get the size of", file.file().bytes())?;
        let stated = Meta::read(&file, bytes, context).await?.properties;
        let facts = TableFacts {
            id,
            bytes,
            entries: stated.entries,
            deletions: stated.deletions,
            separated_bytes: stated.separated_bytes,
            smallest: stated.smallest,
            largest: stated.largest,
            sequence_min: stated.sequence_min,
            sequence_max: stated.sequence_max,
        };
        Self::open(fs, file, Arc::new(facts), context).await
    }
}

/// A damaged table's file, which is read block by block.
pub(crate) struct Salvage {
    file: NamedFile,
    bytes: u64,
    /// The data blocks that were found, in order.
    pub(crate) places: Vec<Place>,
    /// The part of the file in which more data blocks may be. None if all are known.
    pub(crate) unknown: Option<Range<u64>>,
}

impl Salvage {
    /// Finds the data blocks.
    ///
    /// It uses the index. If that is damaged, it goes from block to block until the first damaged
    /// one.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] if the table has a newer format.
    pub(crate) async fn open(
        fs: &dyn Fs,
        path: &Path,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let file = Files::on(fs).open(path)?;
        let bytes = file.named("get the size of", file.file().bytes())?;
        let mut salvage = Self {
            file,
            bytes,
            places: Vec::new(),
            unknown: None,
        };
        match salvage.indexed(context).await {
            Ok(places) => salvage.places = places,
            Err(Error::Corruption { .. }) => salvage.search(context).await?,
            Err(error) => return Err(error),
        }
        Ok(salvage)
    }

    /// Returns the data blocks that the index lists.
    async fn indexed(&self, context: &mut ReadContext<'_>) -> Result<Vec<Place>> {
        let damaged = |offset, what: &str| Error::corruption(self.file.path(), offset, what);
        let end = self
            .bytes
            .checked_sub(FOOTER_BYTES as u64)
            .ok_or_else(|| damaged(0, "there is no footer"))?;
        let footer = context.read(&self.file, end, FOOTER_BYTES).await?;
        let footer = Footer::decode(&footer, self.file.path(), end)?;
        let handle = footer.index;
        let block = context
            .read(&self.file, handle.offset, handle.bytes as usize)
            .await?;
        let block =
            unseal(&block, &mut context.work).map_err(|what| damaged(handle.offset, what))?;
        let malformed = || damaged(handle.offset, "the index is malformed");
        let mut fields = Fields::new(&block);
        let mut places = Vec::new();
        let mut start = 0u64;
        for _ in 0..fields.u32().ok_or_else(malformed)? {
            let (Some(bytes), Some(entries), Some(_)) =
                (fields.varint(), fields.varint(), fields.bytes())
            else {
                return Err(malformed());
            };
            let end = start
                .checked_add(bytes)
                .filter(|end| *end <= footer.start())
                .ok_or_else(malformed)?;
            places.push(Place {
                span: start..end,
                entries: Some(entries),
            });
            start = end;
        }
        if start != footer.start() {
            return Err(malformed());
        }
        Ok(places)
    }

    /// Finds data blocks one after the other: a block ends where its checksum follows.
    async fn search(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        let mut start = 0;
        while let Some(end) = self.end_of_block(start, context).await? {
            let place = Place {
                span: start..end,
                entries: None,
            };
            // The other blocks are sealed in the same way, but contain no entries.
            if self.entries(&place, context).await?.is_none() {
                break;
            }
            self.places.push(place);
            start = end;
        }
        self.unknown = (start < self.bytes).then_some(start..self.bytes);
        Ok(())
    }

    /// Returns the end of the block that starts at `start`; None if none is found.
    async fn end_of_block(&self, start: u64, context: &mut ReadContext<'_>) -> Result<Option<u64>> {
        let mut data = BytesMut::new();
        // `checksum` is that of the first `covered` bytes.
        let mut covered = 0;
        let mut checksum = 0;
        while data.len() < BLOCK_BYTES_MAX {
            let piece = PIECE_BYTES.min(self.bytes - start - data.len() as u64);
            if piece == 0 {
                break;
            }
            let at = start + data.len() as u64;
            let read = context.read(&self.file, at, piece as usize);
            data.extend_from_slice(&read.await?);
            while covered + 4 < data.len() {
                checksum = crc32c::crc32c_append(checksum, &data[covered..=covered]);
                covered += 1;
                if data[covered..].first_chunk() == Some(&checksum.to_le_bytes()) {
                    return Ok(Some(start + covered as u64 + 4));
                }
            }
        }
        Ok(None)
    }

    /// Returns the entries of a block; None if it is damaged.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) async fn entries(
        &self,
        place: &Place,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Vec<Entry>>> {
        let bytes = (place.span.end - place.span.start) as usize;
        let sealed = match context.read(&self.file, place.span.start, bytes).await {
            Ok(sealed) => sealed,
            Err(Error::Corruption { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(raw) = unseal(&sealed, &mut context.work) else {
            return Ok(None);
        };
        let Some(block) = Block::checked(raw) else {
            return Ok(None);
        };
        let mut entries: Vec<Entry> = Vec::with_capacity(block.len());
        for index in 0..block.len() {
            let Some(entry) = block.entry(index).filter(is_valid) else {
                return Ok(None);
            };
            let is_after = |last: &Entry| last.order(&entry).is_lt();
            if !entries.last().is_none_or(is_after) {
                return Ok(None);
            }
            entries.push(entry);
        }
        Ok(Some(entries))
    }
}

/// Returns whether a table may contain this entry.
fn is_valid(entry: &Entry) -> bool {
    check_key(&entry.key).is_ok() && (entry.kind != EntryKind::Pointer || entry.pointer().is_some())
}
