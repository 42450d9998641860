//! One open table. Its filter and index are pinned in memory or go through the cache; its blocks go
//! through the cache.
//!
//! A point read probes the filter, gets the blocks that can contain the key from the index,
//! searches these blocks, and returns a slice of one. If everything is in the cache, it allocates
//! nothing and takes one lock of one cache shard per block.
//!
//! Tables are shared by reference counts. A compaction marks the tables that it has replaced as
//! obsolete; the file is removed when the last holder drops its table, so that running reads can
//! finish.

use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aura_policies::cache::BlockKind;
use aura_policies::facts::TableFacts;
use aura_policies::filter::Filter;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::block::{Block, EntryPlace};
use super::format::{FOOTER_BYTES, Footer, Handle, Properties, unseal};
use crate::cache::{BlockId, CacheKey, Object, Pin, RowPlace};
use crate::config::{IndexReads, Metadata};
use crate::context::ReadContext;
use crate::directory::NamedFile;
use crate::env::{CpuWork, Fs};
use crate::error::{Error, Result};
use crate::index::{Candidates, IndexReport, Lookups, TableIndex};
use crate::storage::{Entry, Sequence};

/// Bytes that a sequential reader reads from the device at a time.
const WINDOW_BYTES: u64 = 256 << 10;

/// Returns the hash of a user key that filters are built and probed with.
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A part of a table's file, in memory, that contains blocks other than data blocks.
struct Stretch<'a> {
    path: &'a Path,
    start: u64,
    data: Bytes,
}

impl<'a> Stretch<'a> {
    /// Reads the range `bytes` of the file.
    async fn read(
        file: &'a NamedFile,
        bytes: Range<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let data = context
            .read(file, bytes.start, (bytes.end - bytes.start) as usize)
            .await?;
        Ok(Self {
            path: file.path(),
            start: bytes.start,
            data,
        })
    }

    /// Returns the error for damage in a block.
    fn damaged(&self, handle: Handle, what: &str) -> Error {
        Error::corruption(self.path, handle.offset, what)
    }

    /// Returns the raw bytes of a block.
    fn open(&self, handle: Handle, work: &mut CpuWork) -> Result<Bytes, &'static str> {
        let at = (handle.offset - self.start) as usize;
        unseal(&self.data.slice(at..at + handle.bytes as usize), work)
    }

    /// Returns the index and, if the table has a model that cannot be used, the reason.
    fn index(
        &self,
        footer: &Footer,
        properties: &Properties,
        work: &mut CpuWork,
    ) -> Result<(TableIndex, Option<Error>)> {
        let index = self
            .open(footer.index, work)
            .map_err(|what| self.damaged(footer.index, what))?;
        // The model is copied, so that it does not keep the whole stretch in memory.
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

    /// Returns the filter, which the table must have.
    fn filter(
        &self,
        footer: &Footer,
        properties: &Properties,
        work: &mut CpuWork,
    ) -> Result<Box<dyn Filter>> {
        let encoded = self
            .open(footer.filter, work)
            .map_err(|what| self.damaged(footer.filter, what))?;
        let encoded = Bytes::copy_from_slice(&encoded);
        aura_policies::filter::decode(&properties.filter, encoded).ok_or_else(|| {
            let what = "the filter is not of the kind that the properties name";
            self.damaged(footer.filter, what)
        })
    }
}

/// Everything in a table's file but the data blocks, read and checked.
pub(super) struct Meta {
    pub(super) footer: Footer,
    pub(super) properties: Properties,
    pub(super) index: TableIndex,
    pub(super) filter: Option<Box<dyn Filter>>,
    /// The reason why the table's model is not used. None if it is used, or if there is no model.
    pub(super) model_fault: Option<Error>,
}

impl Meta {
    /// Reads a file of `bytes` bytes with two reads: the footer, then everything between the data
    /// blocks and the footer.
    pub(super) async fn read(
        file: &NamedFile,
        bytes: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let footer_at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| {
            Error::corruption(file.path(), 0, "the file is shorter than a table's footer")
        })?;
        let footer = context.read(file, footer_at, FOOTER_BYTES).await?;
        let footer = Footer::decode(&footer, file.path(), footer_at)?;
        let stretch = Stretch::read(file, footer.start()..footer_at, context).await?;
        let work = &mut context.work;
        let damaged = |what: &str| stretch.damaged(footer.properties, what);
        let properties = stretch.open(footer.properties, work).map_err(damaged)?;
        let properties = Properties::decode(&properties)
            .ok_or_else(|| damaged("the properties are malformed"))?;
        let (index, model_fault) = stretch.index(&footer, &properties, work)?;
        let filter = if footer.filter.bytes > 0 {
            Some(stretch.filter(&footer, &properties, work)?)
        } else {
            None
        };
        Ok(Self {
            footer,
            properties,
            index,
            filter,
            model_fault,
        })
    }
}

/// The storage of an open table's index or filter.
enum Part<T: ?Sized> {
    /// In memory, for as long as the table is open.
    Pinned(Arc<T>),
    /// In the cache, or only in the file.
    Cached,
}

/// An index or filter lent to a reader.
pub(super) enum Lent<'a, T: ?Sized> {
    /// Borrowed from the table.
    Pinned(&'a Arc<T>),
    /// Shared with the cache.
    Cached(Arc<T>),
}

impl<T: ?Sized> Lent<'_, T> {
    /// Returns an owned handle.
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

/// The result of a point read: the newest visible version of a key, and its data block.
pub(crate) struct Found {
    /// The version, which may be a tombstone.
    pub(crate) entry: Entry,
    /// The block's byte range in the file.
    pub(crate) span: Range<u64>,
}

/// The position of an entry in a table.
pub(super) struct Position {
    /// The number of the block.
    pub(super) number: usize,
    /// The block's byte range in the file.
    pub(super) span: Range<u64>,
    /// The block.
    pub(super) block: Block,
    /// The entry's number in the block.
    pub(super) entry: usize,
}

/// Adjacent data blocks that a sequential reader has read at once.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    data: Bytes,
}

/// One open table.
pub(crate) struct Table {
    facts: Arc<TableFacts>,
    file: NamedFile,
    fs: Arc<dyn Fs>,
    footer: Footer,
    properties: Properties,
    index: Part<TableIndex>,
    /// None if the table has no filter.
    filter: Option<Part<dyn Filter>>,
    index_report: IndexReport,
    filter_bytes: u64,
    blocks: usize,
    /// The charge for a pinned index and filter to the cache's budget.
    _pin: Option<Pin>,
    lookups: Lookups,
    /// The sequence number of the oldest tombstone, if this engine has written the table.
    oldest_deletion: OnceLock<Sequence>,
    obsolete: AtomicBool,
}

impl Table {
    /// Opens the table that `facts` describe, in `file` of `fs`.
    ///
    /// A damaged model is not an error: the table then uses fence pointers.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the file is damaged or is another table, [`Error::Format`] if it
    /// has a newer format, [`Error::Io`] if it cannot be read.
    pub(crate) async fn open(
        fs: Arc<dyn Fs>,
        file: NamedFile,
        facts: Arc<TableFacts>,
        context: &mut ReadContext<'_>,
    ) -> Result<Self> {
        let bytes = file.named("get the size of", file.file().bytes())?;
        if bytes != facts.bytes {
            let what = format!(
                "the file has {bytes} bytes, but the manifest says {}",
                facts.bytes
            );
            return Err(Error::corruption(file.path(), bytes.min(facts.bytes), what));
        }
        let Meta {
            footer,
            properties,
            index,
            filter,
            model_fault,
        } = Meta::read(&file, bytes, context).await?;
        context.stats.model_fallbacks += u64::from(model_fault.is_some());
        if !describes(&facts, &properties, bytes) {
            return Err(Error::corruption(
                file.path(),
                index.end(),
                "this is not the table that the manifest describes",
            ));
        }
        let index_report = index.report().clone();
        let blocks = index.blocks();
        let filter_bytes = filter.as_ref().map_or(0, |filter| filter.memory_bytes());
        let pinned = context.cache.placement() == Metadata::Pinned;
        let index = Arc::new(index);
        let filter = filter.map(Arc::<dyn Filter>::from);
        let mut table = Self {
            facts,
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
            oldest_deletion: OnceLock::new(),
            obsolete: AtomicBool::new(false),
        };
        if pinned {
            table.index = Part::Pinned(index);
            table.filter = filter.map(Part::Pinned);
        } else {
            let name = table.part(BlockKind::Index, footer.index);
            context.cache.put_metadata(&name, Object::Index(index));
            if let Some(filter) = filter {
                let name = table.part(BlockKind::Filter, footer.filter);
                context.cache.put_metadata(&name, Object::Filter(filter));
            }
        }
        Ok(table)
    }

    /// Returns the cache key of a block other than a data block.
    fn part(&self, kind: BlockKind, handle: Handle) -> CacheKey<'static> {
        CacheKey::part(
            kind,
            BlockId {
                file: self.facts.id,
                offset: handle.offset,
            },
        )
    }

    /// Notes the sequence number of the oldest tombstone, which only its writer knows.
    pub(crate) fn set_oldest_deletion(&self, sequence: Sequence) {
        // Once set, it stays: the table never changes.
        let _ = self.oldest_deletion.set(sequence);
    }

    /// Returns the sequence number of the oldest tombstone, if it is known.
    pub(crate) fn oldest_deletion(&self) -> Option<Sequence> {
        self.oldest_deletion.get().copied()
    }

    /// Returns the facts that policies see.
    pub(crate) fn facts(&self) -> &Arc<TableFacts> {
        &self.facts
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the bytes of memory that the filter uses.
    pub(crate) fn filter_bytes(&self) -> u64 {
        self.filter_bytes
    }

    /// Returns the bytes of memory that the index uses.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.index_report.memory_bytes
    }

    /// Returns the kind and cost of the index.
    pub(crate) fn index_report(&self) -> &IndexReport {
        &self.index_report
    }

    /// Returns the counters of look-ups in the index.
    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Returns the keys of everything that the cache may hold of the table: data blocks, index and
    /// filter.
    ///
    /// It reads the index if the index is neither pinned nor in the cache.
    pub(crate) async fn cached_names(
        &self,
        context: &mut ReadContext<'_>,
    ) -> Result<Vec<CacheKey<'static>>> {
        let index = self.index(context).await?;
        let mut names = Vec::with_capacity(index.blocks() + 2);
        for number in 0..index.blocks() {
            if let Some(span) = index.span(number) {
                names.push(self.data(&span));
            }
        }
        names.push(self.part(BlockKind::Index, self.footer.index));
        names.push(self.part(BlockKind::Filter, self.footer.filter));
        Ok(names)
    }

    /// Returns the index, from memory, the cache or the file.
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
        let stretch = Stretch::read(&self.file, bytes, context).await?;
        let (index, _) = stretch.index(&self.footer, &self.properties, &mut context.work)?;
        let index = Arc::new(index);
        self.offer(&name, &Object::Index(index.clone()), context);
        Ok(Lent::Cached(index))
    }

    /// Returns the filter, from memory, the cache or the file; None if the table has no filter.
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
        let stretch = Stretch::read(&self.file, bytes, context).await?;
        let filter: Arc<dyn Filter> = stretch
            .filter(&self.footer, &self.properties, &mut context.work)?
            .into();
        self.offer(&name, &Object::Filter(filter.clone()), context);
        Ok(Some(Lent::Cached(filter)))
    }

    /// Offers an object that was just read to the cache, unless the table is obsolete.
    fn offer(&self, name: &CacheKey<'_>, object: &Object, context: &mut ReadContext<'_>) {
        if !self.obsolete.load(Ordering::Acquire) {
            context.offer(name, object, 1);
        }
    }

    /// Marks the table as obsolete: no current version contains it.
    ///
    /// From now on its blocks do not enter the cache. The file is removed when the last holder
    /// drops the table.
    pub(crate) fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// Returns the newest version of `key` that is not newer than `snapshot`; it may be a
    /// tombstone.
    ///
    /// `hash` is the key's [`hash_key`].
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
            context.work.solution_probes += u64::from(filter.is_solution());
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

    /// Returns the newest version of `key` in the block that a row names, without filter and index.
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

    /// Returns the position of the first entry not before (`key`, `sequence`) in internal order;
    /// None if all are before.
    ///
    /// A `point` look-up needs only versions of `key`, and may stop early with None if there is no
    /// such version.
    pub(super) async fn lower_bound(
        &self,
        index: &TableIndex,
        key: &[u8],
        sequence: Sequence,
        point: bool,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Position>> {
        context.stats.index_lookups += 1;
        context.stats.model_lookups += u64::from(index.is_model());
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

    /// Searches the candidate blocks, beginning with the likely one and halving the rest.
    ///
    /// The entries of a block say on which side of it to continue. If the candidates are wrong, the
    /// search continues outside of them.
    pub(super) async fn examine(
        &self,
        index: &TableIndex,
        candidates: Candidates,
        key: &[u8],
        sequence: Sequence,
        point: bool,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Position>> {
        let mut span = candidates.span.clone();
        let mut next = candidates.likely;
        let mut best = None;
        let mut fetched = None;
        // Whether all blocks before the span are known to end before the key.
        let mut start_is_known = point || candidates.exact;
        while !(point && span.is_empty()) && next < index.blocks() {
            let bytes = self.span(index, next)?;
            let block = if context.index_reads == IndexReads::Window && candidates.span.len() > 1 {
                // Boxed, so that the future of a read stays small where the setting is off.
                let within = candidates.span.clone();
                Box::pin(self.block_in_one(index, within, next, &mut fetched, context)).await?
            } else {
                self.block(&bytes, context).await?
            };
            context.stats.index_probes += 1;
            let entry = match index.within(&candidates, next) {
                Some(within) => block.lower_bound_in(within, key, sequence, &mut context.work),
                None => block.lower_bound(key, sequence, &mut context.work),
            };
            let entry = entry.ok_or_else(|| self.damaged(bytes.start, "an entry is malformed"))?;
            if entry == block.len() {
                // All entries are before. Beyond the candidates, a point look-up needs the next
                // block only if this one ends with a version of the key.
                span.start = next + 1;
                start_is_known = true;
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
                    // An earlier block, outside the candidates, may contain the entry.
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

    /// Returns where in its block the entry at a position lies.
    pub(super) fn place(&self, position: &Position) -> Result<EntryPlace> {
        let place = position.block.place(position.entry);
        place.ok_or_else(|| self.damaged(position.span.start, "an entry is malformed"))
    }

    /// Returns the entry at a position.
    pub(super) fn entry(&self, position: &Position) -> Result<Entry> {
        let entry = position.block.entry(position.entry);
        entry.ok_or_else(|| self.damaged(position.span.start, "an entry is malformed"))
    }

    /// Returns the number of data blocks.
    pub(super) fn block_count(&self) -> usize {
        self.blocks
    }

    /// Returns the data block at `span`, from the cache or the device.
    ///
    /// # Errors
    /// [`Error::Corruption`] or [`Error::Io`].
    pub(super) async fn block(
        &self,
        span: &Range<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        if let Some(block) = self.cached(span, context)? {
            return Ok(block);
        }
        let sealed = context
            .read(&self.file, span.start, (span.end - span.start) as usize)
            .await?;
        self.enter(span, &sealed, context)
    }

    /// Returns the data block at `span` from the cache; None if it is not there.
    fn cached(&self, span: &Range<u64>, context: &mut ReadContext<'_>) -> Result<Option<Block>> {
        let Some((Object::Bytes(data), _)) = context.ask(&self.data(span)) else {
            return Ok(None);
        };
        let block = Block::new(data);
        let malformed = || self.damaged(span.start, "the cached block is malformed");
        block.ok_or_else(malformed).map(Some)
    }

    /// Opens the data block that was just read at `span`, and offers it to the cache.
    fn enter(
        &self,
        span: &Range<u64>,
        sealed: &Bytes,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        let block = self.unseal(span, sealed, &mut context.work)?;
        let object = Object::Bytes(block.data().clone());
        self.offer(&self.data(span), &object, context);
        Ok(block)
    }

    /// Returns data block `number` of the blocks `within`, from the cache or from `fetched`. If it
    /// is in neither, all of `within` is read at once into `fetched`, unless it is too large.
    ///
    /// Blocks that no look-up asks for are not offered to the cache.
    async fn block_in_one(
        &self,
        index: &TableIndex,
        within: Range<usize>,
        number: usize,
        fetched: &mut Option<Window>,
        context: &mut ReadContext<'_>,
    ) -> Result<Block> {
        let span = self.span(index, number)?;
        let whole = self.span(index, within.start)?.start..self.span(index, within.end - 1)?.end;
        if !within.contains(&number) || whole.end - whole.start > WINDOW_BYTES {
            return self.block(&span, context).await;
        }
        if let Some(block) = self.cached(&span, context)? {
            return Ok(block);
        }
        if fetched.is_none() {
            let bytes = (whole.end - whole.start) as usize;
            let data = context.read(&self.file, whole.start, bytes).await?;
            let start = whole.start;
            *fetched = Some(Window { start, data });
        }
        let at = (span.start - whole.start) as usize;
        let bytes = (span.end - span.start) as usize;
        let sealed = fetched.as_ref().map(|window| &window.data[at..at + bytes]);
        // A copy, so that a cached block does not keep the whole window in memory.
        let sealed = Bytes::copy_from_slice(sealed.unwrap_or_default());
        context.work.bytes_copied += bytes as u64;
        self.enter(&span, &sealed, context)
    }

    /// Returns data block `number` from `window`. If it is not there, the window is read again and
    /// starts with it.
    ///
    /// The cache is neither probed nor filled.
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
            // Release the old window before the read. Entries that share it keep its memory.
            window.data = Bytes::new();
            window.data = context.read(&self.file, stretch.start, bytes).await?;
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

    /// Opens and checks a data block.
    fn unseal(&self, span: &Range<u64>, sealed: &Bytes, work: &mut CpuWork) -> Result<Block> {
        let data = unseal(sealed, work).map_err(|what| self.damaged(span.start, what))?;
        Block::checked(data).ok_or_else(|| self.damaged(span.start, "it is malformed"))
    }

    /// Returns the byte range of data block `number`.
    pub(super) fn span(&self, index: &TableIndex, number: usize) -> Result<Range<u64>> {
        index
            .span(number)
            .ok_or_else(|| self.damaged(index.end(), "the table has no block of that number"))
    }

    /// Returns the cache key of the data block at `span`.
    fn data(&self, span: &Range<u64>) -> CacheKey<'static> {
        CacheKey::part(
            BlockKind::Data,
            BlockId {
                file: self.facts.id,
                offset: span.start,
            },
        )
    }

    /// Returns the error for damage in the data block at `offset`.
    pub(super) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corruption(self.path(), offset, format!("a data block: {what}"))
    }

    /// Reads everything but the data blocks again, from the device.
    pub(super) async fn read_meta(&self, context: &mut ReadContext<'_>) -> Result<Meta> {
        Meta::read(&self.file, self.facts.bytes, context).await
    }
}

/// Returns whether `facts` describe a table of `bytes` bytes with these properties.
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
            // If this fails, the file stays. No version contains it, so the next open of the
            // database removes it.
            let _ = self.fs.remove(self.file.path());
        }
    }
}
