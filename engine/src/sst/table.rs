//! One open table: its filter and index in memory, its blocks through the cache.
//!
//! A point read asks the filter, then the index for the blocks that can hold the key, then those blocks, and returns a
//! slice of one. With every block in the cache it allocates nothing and takes one lock of one cache shard a block.
//!
//! Whoever holds a table can read it: one that a compaction has replaced is marked obsolete and its file removed when
//! the last holder lets go.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_policies::facts::TableFacts;
use aura_policies::filter::Filter;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::block::Block;
use super::format::{FOOTER_BYTES, Footer, Handle, Properties, unseal};
use crate::cache::BlockId;
use crate::context::ReadContext;
use crate::env::{File, Fs, Work};
use crate::error::{Error, Result};
use crate::index::{Candidates, IndexReport, Lookups, TableIndex};
use crate::storage::{Entry, Sequence};

/// Bytes that a sequential reader asks the device for at a time.
const WINDOW_BYTES: u64 = 256 << 10;

/// The hash of a user key that filters are built over and asked with.
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// All of a table that is no data block, read and checked.
pub(super) struct Meta {
    pub(super) properties: Properties,
    pub(super) index: TableIndex,
    pub(super) filter: Option<Box<dyn Filter>>,
    /// Why the model is not used, where the table has one.
    pub(super) model_fault: Option<Error>,
}

impl Meta {
    /// Reads it from a file of `bytes` bytes: the footer, and in a second read everything between the data blocks and
    /// the footer.
    pub(super) async fn read(file: &dyn File, path: &Path, bytes: u64, context: &mut ReadContext<'_>) -> Result<Self> {
        let footer_at = bytes
            .checked_sub(FOOTER_BYTES as u64)
            .ok_or_else(|| Error::corruption(path, 0, "the file is shorter than the footer of a table"))?;
        let footer = context.read(file, path, footer_at, FOOTER_BYTES).await?;
        let footer = Footer::decode(&footer, path, footer_at)?;
        let start = footer.start();
        let body = context.read(file, path, start, (footer_at - start) as usize).await?;
        let damaged = |handle: Handle, what: &str| Error::corruption(path, handle.offset, what);
        let mut open = |handle: Handle| {
            let at = (handle.offset - start) as usize;
            unseal(&body.slice(at..at + handle.bytes as usize), &mut context.work)
        };
        let properties = open(footer.properties).map_err(|what| damaged(footer.properties, what))?;
        let properties = Properties::decode(&properties)
            .ok_or_else(|| damaged(footer.properties, "the properties are malformed"))?;
        let index = open(footer.index).map_err(|what| damaged(footer.index, what))?;
        // What stays in memory is copied, so as not to hold the fence keys with it.
        let model = (footer.model.bytes > 0).then(|| match open(footer.model) {
            Ok(model) => Ok(Bytes::copy_from_slice(&model)),
            Err(what) => Err(format!("the stored model cannot be read: {what}")),
        });
        let has_model = model.is_some();
        let index = TableIndex::open(&index, &properties, model)
            .filter(|index| index.end() == start)
            .ok_or_else(|| damaged(footer.index, "the index is malformed"))?;
        let model_fault = index.report().refused.clone().filter(|_| has_model).map(|why| damaged(footer.model, &why));
        let filter = if footer.filter.bytes > 0 {
            let encoded = open(footer.filter).map_err(|what| damaged(footer.filter, what))?;
            let filter = aura_policies::filter::decode(&properties.filter, Bytes::copy_from_slice(&encoded));
            Some(filter.ok_or_else(|| damaged(footer.filter, "the filter is none of the kind the table names"))?)
        } else {
            None
        };
        Ok(Self { properties, index, filter, model_fault })
    }
}

/// An entry's place in a table.
pub(super) struct Position {
    /// The number of its block.
    pub(super) number: usize,
    /// The block.
    pub(super) block: Block,
    /// Its number in the block.
    pub(super) entry: usize,
}

/// A stretch of data blocks, read at once.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    data: Bytes,
}

/// One open table.
pub(crate) struct Table {
    facts: Arc<TableFacts>,
    path: PathBuf,
    file: Arc<dyn File>,
    fs: Arc<dyn Fs>,
    index: TableIndex,
    filter: Option<Box<dyn Filter>>,
    lookups: Lookups,
    obsolete: AtomicBool,
}

impl Table {
    /// Opens the table that `facts` describe, in `file` at `path` of `fs`.
    ///
    /// # Errors
    /// [`Error::Corruption`] where the file is damaged or not the one described, [`Error::Format`] where it is of a
    /// newer format, [`Error::Io`] where it cannot be read. A damaged model is no error: fence pointers serve.
    pub(crate) async fn open(
        fs: Arc<dyn Fs>,
        file: Arc<dyn File>,
        path: PathBuf,
        facts: Arc<TableFacts>,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let bytes = file.bytes().map_err(|error| Error::io("ask the size of", &path, error))?;
        if bytes != facts.bytes {
            let what = format!("the file has {bytes} bytes where the manifest states {}", facts.bytes);
            return Err(Error::corruption(&path, bytes.min(facts.bytes), what));
        }
        let Meta { properties, index, filter, model_fault } = Meta::read(&*file, &path, bytes, context).await?;
        context.stats.model_fallbacks += u64::from(model_fault.is_some());
        let stated = TableFacts {
            id: facts.id,
            bytes,
            entries: properties.entries,
            deletions: properties.deletions,
            separated_bytes: properties.separated_bytes,
            smallest: properties.smallest,
            largest: properties.largest,
            sequence_min: properties.sequence_min,
            sequence_max: properties.sequence_max,
        };
        if stated != *facts {
            return Err(Error::corruption(&path, index.end(), "this is not the table that the manifest describes"));
        }
        let lookups = Lookups::new(context.clock.now());
        Ok(Self { facts, path, file, fs, index, filter, lookups, obsolete: AtomicBool::new(false) })
    }

    /// What policies see of it.
    pub(crate) fn facts(&self) -> &Arc<TableFacts> {
        &self.facts
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of memory that its filter uses.
    pub(crate) fn filter_bytes(&self) -> u64 {
        self.filter.as_ref().map_or(0, |filter| filter.memory_bytes())
    }

    /// Bytes of memory that its index uses.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.index.report().memory_bytes
    }

    /// What its index is and takes.
    pub(crate) fn index_report(&self) -> &IndexReport {
        self.index.report()
    }

    /// How often its index was asked.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// The addresses of its data blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockId> {
        (0..self.index.blocks()).filter_map(|number| self.index.span(number)).map(|span| self.block_id(&span))
    }

    /// Says that no version holds it any more: its file goes with the last holder, its blocks enter the cache no more.
    pub(crate) fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The newest version of `key` not newer than `snapshot`, a tombstone included. `hash` is [`hash_key`] of the key.
    ///
    /// # Errors
    /// [`Error::Corruption`] or [`Error::Io`].
    pub(crate) async fn get(
        &self,
        key: &[u8],
        hash: u64,
        snapshot: Sequence,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        context.stats.tables_probed += 1;
        if let Some(filter) = &self.filter {
            context.stats.filter_probes += 1;
            context.work.filter_probes += 1;
            if !filter.may_contain(hash) {
                context.stats.filter_negatives += 1;
                return Ok(None);
            }
        }
        if let Some(position) = self.lower_bound(key, snapshot, true, context).await? {
            context.work.comparisons += 1;
            if position.block.key(position.entry) == Some(key) {
                return self.entry(&position).map(Some);
            }
        }
        context.stats.filter_false_positives += u64::from(self.filter.is_some());
        Ok(None)
    }

    /// The place of the first entry not before (`key`, `sequence`) in internal order; None where all are before. A
    /// `point` look-up wants the versions of `key` only: where there are none, it may stop early with None.
    pub(super) async fn lower_bound(
        &self,
        key: &[u8],
        sequence: Sequence,
        point: bool,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Position>> {
        context.stats.index_lookups += 1;
        let candidates = self.index.candidates(key, point, &mut context.work);
        let before = context.stats.index_probes;
        let found = self.examine(candidates, key, sequence, point, context).await?;
        let present = found.as_ref().is_some_and(|it| !point || it.block.key(it.entry) == Some(key));
        self.lookups.count(present, context.stats.index_probes - before);
        Ok(found)
    }

    /// Looks into the candidates, from the likely one outwards by halves. What a block holds says on which side of it to go
    /// on, beyond the candidates too where they turn out to be wrong.
    pub(super) async fn examine(
        &self,
        candidates: Candidates,
        key: &[u8],
        sequence: Sequence,
        point: bool,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Position>> {
        let (mut span, mut next) = (candidates.span.clone(), candidates.likely);
        let mut best = None;
        // Whether the block before the span is known to end before the key.
        let mut start_is_known = point || candidates.exact;
        while !(point && span.is_empty()) && next < self.index.blocks() {
            let block = self.block(next, context).await?;
            context.stats.index_probes += 1;
            let entry = match self.index.within(&candidates, next) {
                Some(within) => block.lower_bound_in(within, key, sequence, &mut context.work),
                None => block.lower_bound(key, sequence, &mut context.work),
            };
            let entry = entry.ok_or_else(|| self.damaged(next, "an entry is malformed"))?;
            if entry == block.len() {
                // All of it is before. The next block matters to a point look-up beyond the candidates only where it
                // goes on with versions of the key.
                (span.start, start_is_known) = (next + 1, true);
                if span.is_empty() && best.is_none() {
                    if point && block.key(entry - 1) != Some(key) {
                        return Ok(None);
                    }
                    span.end = span.start + 1;
                }
            } else {
                let position = Position { number: next, block, entry };
                if entry == 0 && next <= span.start && !start_is_known && position.block.key(0) != Some(key) {
                    // The first entry of all candidates may not be the first of all.
                    span.start = next.saturating_sub(1);
                    start_is_known = next <= 1;
                }
                if entry > 0 || next <= span.start {
                    return Ok(Some(position));
                }
                span.end = next;
                best = Some(position);
            }
            if span.is_empty() {
                break;
            }
            next = Candidates::middle(&span);
        }
        Ok(best)
    }

    /// The entry at a place.
    pub(super) fn entry(&self, position: &Position) -> Result<Entry> {
        let entry = position.block.entry(position.entry);
        entry.ok_or_else(|| self.damaged(position.number, "an entry is malformed"))
    }

    /// Data blocks.
    pub(super) fn block_count(&self) -> usize {
        self.index.blocks()
    }

    /// Data block `number`, from the cache or the device.
    ///
    /// # Errors
    /// [`Error::Corruption`] or [`Error::Io`].
    pub(crate) async fn block(&self, number: usize, context: &mut ReadContext<'_>) -> Result<Block> {
        let span = self.span(number)?;
        let id = self.block_id(&span);
        context.work.cache_probes += 1;
        if let Some(data) = context.cache.get(id) {
            context.stats.block_hits += 1;
            return Block::new(data).ok_or_else(|| self.damaged(number, "the cached block is malformed"));
        }
        context.stats.block_misses += 1;
        let sealed = context.read(&*self.file, &self.path, span.start, (span.end - span.start) as usize).await?;
        let block = self.unseal(number, &sealed, &mut context.work)?;
        if context.fill_cache && !self.obsolete.load(Ordering::Acquire) {
            context.cache.insert(id, block.data().clone());
        }
        Ok(block)
    }

    /// Data block `number`, from the window where it lies there; else the window is moved to start with it. The cache
    /// is neither asked nor filled.
    pub(super) async fn block_in(
        &self,
        window: &mut Window,
        number: usize,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        let span = self.span(number)?;
        let end = window.start + window.data.len() as u64;
        if span.start < window.start || span.end > end {
            let stretch = self.index.stretch(number, WINDOW_BYTES);
            let bytes = (stretch.end - stretch.start) as usize;
            // The old window's memory goes first, unless entries still share it.
            window.data = Bytes::new();
            window.data = context.read(&*self.file, &self.path, stretch.start, bytes).await?;
            window.start = stretch.start;
        }
        let at = (span.start - window.start) as usize;
        let sealed = window.data.slice(at..at + (span.end - span.start) as usize);
        self.unseal(number, &sealed, &mut context.work)
    }

    fn unseal(&self, number: usize, sealed: &Bytes, work: &mut Work) -> Result<Block> {
        let data = unseal(sealed, work).map_err(|what| self.damaged(number, what))?;
        Block::checked(data).ok_or_else(|| self.damaged(number, "a data block is malformed"))
    }

    fn span(&self, number: usize) -> Result<Range<u64>> {
        self.index.span(number).ok_or_else(|| self.damaged(number, "the table has no such block"))
    }

    fn block_id(&self, span: &Range<u64>) -> BlockId {
        BlockId { file: self.facts.id, offset: span.start }
    }

    /// The error for damage in data block `number`.
    pub(super) fn damaged(&self, number: usize, what: &str) -> Error {
        let offset = self.index.span(number).map_or(self.index.end(), |span| span.start);
        Error::corruption(&self.path, offset, format!("data block {number}: {what}"))
    }

    /// Reads everything that is no data block again, from the device.
    pub(super) async fn read_meta(&self, context: &mut ReadContext<'_>) -> Result<Meta> {
        Meta::read(&*self.file, &self.path, self.facts.bytes, context).await
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if *self.obsolete.get_mut() {
            // A file that stays is in no version: the next open of the database removes it.
            let _ = self.fs.remove(&self.path);
        }
    }
}
