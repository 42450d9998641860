//! One open table: its filter and index in memory or through the cache, its blocks through the cache.
//!
//! A point read asks the filter, then the index for the blocks that can hold the key, then those blocks, and returns a
//! slice of one. With everything in the cache it allocates nothing and takes one lock of one cache shard a block.
//!
//! Whoever holds a table can read it: one that a compaction has replaced is marked obsolete and its file removed when
//! the last holder lets go.

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_policies::cache::BlockKind;
use aura_policies::facts::TableFacts;
use aura_policies::filter::Filter;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::block::Block;
use super::format::{FOOTER_BYTES, Footer, Handle, Properties, unseal};
use crate::cache::{BlockId, CacheKey, Object, Pin, RowPlace};
use crate::config::Metadata;
use crate::context::ReadContext;
use crate::env::{CpuWork, File, Fs};
use crate::error::{Error, Result};
use crate::index::{Candidates, IndexReport, Lookups, TableIndex};
use crate::storage::{Entry, Sequence};

/// Bytes that a sequential reader asks the device for at a time.
const WINDOW_BYTES: u64 = 256 << 10;

/// The hash of a user key that filters are built over and asked with.
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A stretch of a table's file that holds blocks which are no data blocks.
struct Stretch<'a> {
    path: &'a Path,
    start: u64,
    data: Bytes,
}

impl<'a> Stretch<'a> {
    async fn read(
        file: &dyn File,
        path: &'a Path,
        bytes: Range<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let data = context
            .read(file, path, bytes.start, (bytes.end - bytes.start) as usize)
            .await?;
        Ok(Self {
            path,
            start: bytes.start,
            data,
        })
    }

    fn damaged(&self, handle: Handle, what: &str) -> Error {
        Error::corruption(self.path, handle.offset, what)
    }

    fn open(&self, handle: Handle, work: &mut CpuWork) -> Result<Bytes, &'static str> {
        let at = (handle.offset - self.start) as usize;
        unseal(&self.data.slice(at..at + handle.bytes as usize), work)
    }

    /// The index, and why its model is not used, where the table has one.
    fn index(
        &self,
        footer: &Footer,
        properties: &Properties,
        work: &mut CpuWork,
    ) -> Result<(TableIndex, Option<Error>)> {
        let index = self
            .open(footer.index, work)
            .map_err(|what| self.damaged(footer.index, what))?;
        // What stays in memory is copied, so as not to hold the fence keys with it.
        let model = (footer.model.bytes > 0).then(|| match self.open(footer.model, work) {
            Ok(model) => Ok(Bytes::copy_from_slice(&model)),
            Err(what) => Err(format!("the stored model cannot be read: {what}")),
        });
        let has_model = model.is_some();
        let index = TableIndex::open(&index, &properties.indexed(), model)
            .filter(|index| index.end() == footer.start())
            .ok_or_else(|| self.damaged(footer.index, "the index is malformed"))?;
        let refused = index.report().refused.clone().filter(|_| has_model);
        Ok((index, refused.map(|why| self.damaged(footer.model, &why))))
    }

    fn filter(
        &self,
        footer: &Footer,
        properties: &Properties,
        work: &mut CpuWork,
    ) -> Result<Box<dyn Filter>> {
        let encoded = self
            .open(footer.filter, work)
            .map_err(|what| self.damaged(footer.filter, what))?;
        let filter =
            aura_policies::filter::decode(&properties.filter, Bytes::copy_from_slice(&encoded));
        filter.ok_or_else(|| {
            self.damaged(
                footer.filter,
                "the filter is none of the kind the table names",
            )
        })
    }
}

/// All of a table that is no data block, read and checked.
pub(super) struct Meta {
    pub(super) footer: Footer,
    pub(super) properties: Properties,
    pub(super) index: TableIndex,
    pub(super) filter: Option<Box<dyn Filter>>,
    /// Why the model is not used, where the table has one.
    pub(super) model_fault: Option<Error>,
}

impl Meta {
    /// Reads it from a file of `bytes` bytes: the footer, and in a second read everything between the data blocks and
    /// the footer.
    pub(super) async fn read(
        file: &dyn File,
        path: &Path,
        bytes: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let footer_at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| {
            Error::corruption(path, 0, "the file is shorter than the footer of a table")
        })?;
        let footer = context.read(file, path, footer_at, FOOTER_BYTES).await?;
        let footer = Footer::decode(&footer, path, footer_at)?;
        let stretch = Stretch::read(file, path, footer.start()..footer_at, context).await?;
        let work = &mut context.work;
        let damaged = |what: &str| stretch.damaged(footer.properties, what);
        let properties = stretch.open(footer.properties, work).map_err(damaged)?;
        let properties = Properties::decode(&properties)
            .ok_or_else(|| damaged("the properties are malformed"))?;
        let (index, model_fault) = stretch.index(&footer, &properties, work)?;
        let has_filter = footer.filter.bytes > 0;
        let filter = has_filter
            .then(|| stretch.filter(&footer, &properties, work))
            .transpose()?;
        Ok(Self {
            footer,
            properties,
            index,
            filter,
            model_fault,
        })
    }
}

/// The index or filter of an open table: in memory of its own, or in the cache.
enum Part<T: ?Sized> {
    Pinned(Arc<T>),
    Cached,
}

/// The same, for a reader.
pub(super) enum Lent<'a, T: ?Sized> {
    Pinned(&'a Arc<T>),
    Cached(Arc<T>),
}

impl<T: ?Sized> Lent<'_, T> {
    /// To keep.
    pub(super) fn share(self) -> Arc<T> {
        match self {
            Self::Pinned(part) => part.clone(),
            Self::Cached(part) => part,
        }
    }
}

impl<T: ?Sized> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Pinned(part) => part,
            Self::Cached(part) => part,
        }
    }
}

/// The newest version of a key in a table, and the data block that holds it.
pub(crate) struct Found {
    /// The version; it may be a tombstone.
    pub(crate) entry: Entry,
    /// Where the block lies.
    pub(crate) span: Range<u64>,
}

/// An entry's place in a table.
pub(super) struct Position {
    /// The number of its block.
    pub(super) number: usize,
    /// Where that lies.
    pub(super) span: Range<u64>,
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
    footer: Footer,
    properties: Properties,
    index: Part<TableIndex>,
    /// None where the table has no filter.
    filter: Option<Part<dyn Filter>>,
    index_report: IndexReport,
    filter_bytes: u64,
    blocks: usize,
    /// What it keeps in memory, charged to the cache.
    _pin: Option<Pin>,
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
        let bytes = file
            .bytes()
            .map_err(|error| Error::io("ask the size of", &path, error))?;
        if bytes != facts.bytes {
            let what = format!(
                "the file has {bytes} bytes where the manifest states {}",
                facts.bytes
            );
            return Err(Error::corruption(&path, bytes.min(facts.bytes), what));
        }
        let Meta {
            footer,
            properties,
            index,
            filter,
            model_fault,
        } = Meta::read(&*file, &path, bytes, context).await?;
        context.stats.model_fallbacks += u64::from(model_fault.is_some());
        if !describes(&facts, &properties, bytes) {
            return Err(Error::corruption(
                &path,
                index.end(),
                "this is not the table that the manifest describes",
            ));
        }
        let (index_report, blocks) = (index.report().clone(), index.blocks());
        let filter_bytes = filter.as_ref().map_or(0, |filter| filter.memory_bytes());
        let pinned = context.cache.placement() == Metadata::Pinned;
        let (index, filter) = (Arc::new(index), filter.map(Arc::<dyn Filter>::from));
        let mut table = Self {
            facts,
            path,
            file,
            fs,
            footer,
            properties,
            index: Part::Cached,
            filter: filter.is_some().then_some(Part::Cached),
            filter_bytes,
            blocks,
            _pin: pinned.then(|| context.cache.pin(index_report.memory_bytes + filter_bytes)),
            index_report,
            lookups: Lookups::new(context.clock.now()),
            obsolete: AtomicBool::new(false),
        };
        if pinned {
            table.index = Part::Pinned(index);
            table.filter = filter.map(Part::Pinned);
        } else {
            context.cache.put_metadata(
                &table.part(BlockKind::Index, footer.index),
                Object::Index(index),
            );
            if let Some(filter) = filter {
                context.cache.put_metadata(
                    &table.part(BlockKind::Filter, footer.filter),
                    Object::Filter(filter),
                );
            }
        }
        Ok(table)
    }

    /// The name in the cache of a part of the file.
    fn part(&self, kind: BlockKind, handle: Handle) -> CacheKey<'static> {
        CacheKey::part(
            kind,
            BlockId {
                file: self.facts.id,
                offset: handle.offset,
            },
        )
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
        self.filter_bytes
    }

    /// Bytes of memory that its index uses.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.index_report.memory_bytes
    }

    /// What its index is and takes.
    pub(crate) fn index_report(&self) -> &IndexReport {
        &self.index_report
    }

    /// How often its index was asked.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// What the cache may hold of it: its data blocks, its index and its filter. Reads the index where it is not held.
    pub(crate) async fn cached_names(
        &self,
        context: &mut ReadContext<'_>,
    ) -> Result<Vec<CacheKey<'static>>> {
        let index = self.index(context).await?;
        let spans = (0..index.blocks()).filter_map(|number| index.span(number));
        let mut names: Vec<_> = spans.map(|span| self.data(&span)).collect();
        names.push(self.part(BlockKind::Index, self.footer.index));
        names.push(self.part(BlockKind::Filter, self.footer.filter));
        Ok(names)
    }

    /// The index.
    pub(super) async fn index(
        &self,
        context: &mut ReadContext<'_>,
    ) -> Result<Lent<'_, TableIndex>> {
        if let Part::Pinned(index) = &self.index {
            return Ok(Lent::Pinned(index));
        }
        let Footer { model, index, .. } = self.footer;
        let name = self.part(BlockKind::Index, index);
        if let Some((Object::Index(index), _)) = context.ask(&name) {
            return Ok(Lent::Cached(index));
        }
        let start = if model.bytes > 0 {
            model.offset
        } else {
            index.offset
        };
        let bytes = start..index.offset + u64::from(index.bytes);
        let stretch = Stretch::read(&*self.file, &self.path, bytes, context).await?;
        let (index, _) = stretch.index(&self.footer, &self.properties, &mut context.work)?;
        let index = Arc::new(index);
        self.offer(&name, &Object::Index(index.clone()), context);
        Ok(Lent::Cached(index))
    }

    /// The filter; None where the table has none.
    async fn filter(&self, context: &mut ReadContext<'_>) -> Result<Option<Lent<'_, dyn Filter>>> {
        match &self.filter {
            None => return Ok(None),
            Some(Part::Pinned(filter)) => return Ok(Some(Lent::Pinned(filter))),
            Some(Part::Cached) => {}
        }
        let handle = self.footer.filter;
        let name = self.part(BlockKind::Filter, handle);
        if let Some((Object::Filter(filter), _)) = context.ask(&name) {
            return Ok(Some(Lent::Cached(filter)));
        }
        let bytes = handle.offset..handle.offset + u64::from(handle.bytes);
        let stretch = Stretch::read(&*self.file, &self.path, bytes, context).await?;
        let filter: Arc<dyn Filter> = stretch
            .filter(&self.footer, &self.properties, &mut context.work)?
            .into();
        self.offer(&name, &Object::Filter(filter.clone()), context);
        Ok(Some(Lent::Cached(filter)))
    }

    /// Offers the cache what was just read, unless no version holds the table any more.
    fn offer(&self, name: &CacheKey<'_>, object: &Object, context: &mut ReadContext<'_>) {
        if !self.obsolete.load(Ordering::Acquire) {
            context.offer(name, object, 1);
        }
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
    ) -> Result<Option<Found>> {
        context.stats.tables_probed += 1;
        if let Some(filter) = self.filter(context).await? {
            context.stats.filter_probes += 1;
            context.work.filter_probes += 1;
            if !filter.may_contain(hash) {
                context.stats.filter_negatives += 1;
                return Ok(None);
            }
        }
        let index = self.index(context).await?;
        if let Some(position) = self
            .lower_bound(&index, key, snapshot, true, context)
            .await?
        {
            context.work.comparisons += 1;
            if position.block.key(position.entry) == Some(key) {
                let entry = self.entry(&position)?;
                return Ok(Some(Found {
                    entry,
                    span: position.span,
                }));
            }
        }
        context.stats.filter_false_positives += u64::from(self.filter.is_some());
        Ok(None)
    }

    /// The newest version of `key` in the block that a row has named, without filter and index.
    ///
    /// # Errors
    /// [`Error::Corruption`] or [`Error::Io`].
    pub(crate) async fn get_at(
        &self,
        place: &RowPlace,
        key: &[u8],
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        let span = place.block.offset..place.block.offset + u64::from(place.bytes);
        let block = self.block(&span, context).await?;
        let entry = block.lower_bound(key, Sequence::MAX, &mut context.work);
        let entry = entry.ok_or_else(|| self.damaged(span.start, "an entry is malformed"))?;
        if entry == block.len() || block.key(entry) != Some(key) {
            return Ok(None);
        }
        self.entry(&Position {
            number: 0,
            span,
            block,
            entry,
        })
        .map(Some)
    }

    /// The place of the first entry not before (`key`, `sequence`) in internal order; None where all are before. A
    /// `point` look-up wants the versions of `key` only: where there are none, it may stop early with None.
    pub(super) async fn lower_bound(
        &self,
        index: &TableIndex,
        key: &[u8],
        sequence: Sequence,
        point: bool,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Position>> {
        context.stats.index_lookups += 1;
        let candidates = index.candidates(key, point, &mut context.work);
        let before = context.stats.index_probes;
        let found = self
            .examine(index, candidates, key, sequence, point, context)
            .await?;
        let present = found
            .as_ref()
            .is_some_and(|it| !point || it.block.key(it.entry) == Some(key));
        self.lookups
            .count(present, context.stats.index_probes - before);
        Ok(found)
    }

    /// Looks into the candidates, from the likely one outwards by halves. What a block holds says on which side of it to go
    /// on, beyond the candidates too where they turn out to be wrong.
    pub(super) async fn examine(
        &self,
        index: &TableIndex,
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
        while !(point && span.is_empty()) && next < index.blocks() {
            let bytes = self.span(index, next)?;
            let block = self.block(&bytes, context).await?;
            context.stats.index_probes += 1;
            let entry = match index.within(&candidates, next) {
                Some(within) => block.lower_bound_in(within, key, sequence, &mut context.work),
                None => block.lower_bound(key, sequence, &mut context.work),
            };
            let entry = entry.ok_or_else(|| self.damaged(bytes.start, "an entry is malformed"))?;
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
                let position = Position {
                    number: next,
                    span: bytes,
                    block,
                    entry,
                };
                if entry == 0
                    && next <= span.start
                    && !start_is_known
                    && position.block.key(0) != Some(key)
                {
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
        entry.ok_or_else(|| self.damaged(position.span.start, "an entry is malformed"))
    }

    /// Data blocks.
    pub(super) fn block_count(&self) -> usize {
        self.blocks
    }

    /// The data block at `span`, from the cache or the device.
    ///
    /// # Errors
    /// [`Error::Corruption`] or [`Error::Io`].
    pub(super) async fn block(
        &self,
        span: &Range<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        let name = self.data(span);
        if let Some((Object::Bytes(data), _)) = context.ask(&name) {
            return Block::new(data)
                .ok_or_else(|| self.damaged(span.start, "the cached block is malformed"));
        }
        let sealed = context
            .read(
                &*self.file,
                &self.path,
                span.start,
                (span.end - span.start) as usize,
            )
            .await?;
        let block = self.unseal(span, &sealed, &mut context.work)?;
        self.offer(&name, &Object::Bytes(block.data().clone()), context);
        Ok(block)
    }

    /// Data block `number`, from the window where it lies there; else the window is moved to start with it. The cache
    /// is neither asked nor filled.
    pub(super) async fn block_in(
        &self,
        index: &TableIndex,
        window: &mut Window,
        number: usize,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        let span = self.span(index, number)?;
        let end = window.start + window.data.len() as u64;
        if span.start < window.start || span.end > end {
            let stretch = index.stretch(number, WINDOW_BYTES);
            let bytes = (stretch.end - stretch.start) as usize;
            // The old window's memory goes first, unless entries still share it.
            window.data = Bytes::new();
            window.data = context
                .read(&*self.file, &self.path, stretch.start, bytes)
                .await?;
            window.start = stretch.start;
        }
        let at = (span.start - window.start) as usize;
        let sealed = window.data.slice(at..at + (span.end - span.start) as usize);
        let block = self.unseal(&span, &sealed, &mut context.work)?;
        if let Some(inputs) = &mut context.inputs {
            context.work.cache_probes += 1;
            inputs.add(
                block.key(0).unwrap_or_default(),
                block.key(block.len() - 1).unwrap_or_default(),
                block.data().len() as u64,
                context.cache.peek(&self.data(&span)).map(|(_, hits)| hits),
            );
        }
        Ok(block)
    }

    fn unseal(&self, span: &Range<u64>, sealed: &Bytes, work: &mut CpuWork) -> Result<Block> {
        let data = unseal(sealed, work).map_err(|what| self.damaged(span.start, what))?;
        Block::checked(data).ok_or_else(|| self.damaged(span.start, "it is malformed"))
    }

    /// Where data block `number` lies.
    pub(super) fn span(&self, index: &TableIndex, number: usize) -> Result<Range<u64>> {
        index
            .span(number)
            .ok_or_else(|| self.damaged(index.end(), "the table has no block of that number"))
    }

    fn data(&self, span: &Range<u64>) -> CacheKey<'static> {
        CacheKey::part(
            BlockKind::Data,
            BlockId {
                file: self.facts.id,
                offset: span.start,
            },
        )
    }

    /// The error for damage in the data block at `offset`.
    pub(super) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corruption(&self.path, offset, format!("a data block: {what}"))
    }

    /// Reads everything that is no data block again, from the device.
    pub(super) async fn read_meta(&self, context: &mut ReadContext<'_>) -> Result<Meta> {
        Meta::read(&*self.file, &self.path, self.facts.bytes, context).await
    }
}

/// Whether `facts` describe a table of `bytes` bytes with these properties.
fn describes(facts: &TableFacts, properties: &Properties, bytes: u64) -> bool {
    let stated = TableFacts {
        id: facts.id,
        bytes,
        entries: properties.entries,
        deletions: properties.deletions,
        separated_bytes: properties.separated_bytes,
        smallest: properties.smallest.clone(),
        largest: properties.largest.clone(),
        sequence_min: properties.sequence_min,
        sequence_max: properties.sequence_max,
    };
    stated == *facts
}

impl Drop for Table {
    fn drop(&mut self) {
        if *self.obsolete.get_mut() {
            // A file that stays is in no version: the next open of the database removes it.
            let _ = self.fs.remove(&self.path);
        }
    }
}
