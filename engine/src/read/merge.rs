//! Merges many sorted sources into one, in either direction.
//!
//! Scans and compactions read memtables and runs through a merging iterator, as in LevelDB: a
//! binary heap of cursors whose top is at the next entry.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::context::ReadContext;
use crate::env::CpuWork;
use crate::error::Result;
use crate::manifest::Run;
use crate::memtable::{Memtable, Start};
use crate::ranges::Fragment;
use crate::storage::{Direction, Entry, EntryRef, Sequence};
use crate::table::{Table, TableCursor};

/// Entries copied from a memtable at first. Each copy costs one search, so the next is twice as
/// long.
const MEMTABLE_SLICE_MIN: usize = 4;

/// The most entries copied from a memtable at a time.
const MEMTABLE_SLICE_MAX: usize = 128;

/// A cursor over a memtable. It copies a few entries at a time, so that it holds no node of the
/// memtable.
struct MemtableCursor {
    memtable: Arc<Memtable>,
    /// The copied entries. The cursor stands at the end if it is empty.
    slice: Vec<Entry>,
    /// The number of the cursor's entry.
    at: usize,
    /// How many entries are copied next.
    next_slice: usize,
}

impl MemtableCursor {
    /// A cursor that stands nowhere.
    fn new(memtable: Arc<Memtable>) -> Self {
        Self {
            memtable,
            slice: Vec::new(),
            at: 0,
            next_slice: MEMTABLE_SLICE_MIN,
        }
    }

    fn entry(&self) -> Option<&Entry> {
        self.slice.get(self.at)
    }

    /// Moves to the first entry of a walk from `start`.
    fn seek(&mut self, start: Start<'_>, work: &mut CpuWork) {
        self.next_slice = MEMTABLE_SLICE_MIN;
        self.slice = self.memtable.walk(start, self.next_slice);
        self.at = 0;
        work.memtable_steps += self.next_slice as u64;
    }

    fn step(&mut self, direction: Direction, work: &mut CpuWork) {
        work.memtable_steps += 1;
        self.at += 1;
        if self.at < self.slice.len() {
            return;
        }
        if let Some(last) = self.slice.last() {
            let start = match direction {
                Direction::Forward => Start::After(&last.key, last.sequence),
                Direction::Reverse => Start::Before(&last.key, last.sequence),
            };
            self.next_slice = (self.next_slice * 2).min(MEMTABLE_SLICE_MAX);
            self.slice = self.memtable.walk(start, self.next_slice);
            self.at = 0;
        }
    }
}

/// A cursor over a sorted run, one table after the other.
struct RunCursor {
    run: Arc<Run>,
    level: u8,
    /// The number of the cursor's table.
    at: usize,
    cursor: Option<TableCursor>,
    sequential: bool,
}

impl RunCursor {
    /// Replaces the cursor by a new one over table `at`.
    fn open(&mut self, at: usize) -> &mut TableCursor {
        self.at = at;
        let table = self.run.tables[at].clone();
        let cursor = if self.sequential {
            TableCursor::sequential(table)
        } else {
            TableCursor::new(table)
        };
        self.cursor.insert(cursor)
    }

    fn entry(&self) -> Option<EntryRef<'_>> {
        self.cursor.as_ref().and_then(|cursor| cursor.entry())
    }

    /// Moves to the first entry at or after `key`; without a key, to the first entry.
    async fn seek_forward(
        &mut self,
        key: Option<&[u8]>,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        context.level = Some(self.level);
        let tables = &self.run.tables;
        let at = key.map_or(0, |key| {
            tables.partition_point(|table| *table.facts().largest < *key)
        });
        context.work.comparisons += u64::from(tables.len().max(1).ilog2()) + 1;
        if at == tables.len() {
            self.cursor = None;
            return Ok(());
        }
        let cursor = self.open(at);
        match key {
            Some(key) => cursor.seek(key, Sequence::MAX, context).await,
            None => cursor.seek_first(context).await,
        }
    }

    /// Moves to the last entry whose key is below `key`; without a key, to the last entry.
    async fn seek_backward(
        &mut self,
        key: Option<&[u8]>,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        context.level = Some(self.level);
        let tables = &self.run.tables;
        let end = key.map_or(tables.len(), |key| {
            tables.partition_point(|table| *table.facts().smallest < *key)
        });
        context.work.comparisons += u64::from(tables.len().max(1).ilog2()) + 1;
        if end == 0 {
            self.cursor = None;
            return Ok(());
        }
        let cursor = self.open(end - 1);
        match key {
            Some(key) => cursor.seek_before(key, context).await,
            None => cursor.seek_last(context).await,
        }
    }

    /// Moves past the keys of `fragment`, if it stands at one, inside tables whose entries are all
    /// older than `floor`.
    async fn skip(
        &mut self,
        fragment: &Fragment,
        floor: Sequence,
        direction: Direction,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        if !self
            .entry()
            .is_some_and(|entry| fragment.contains(entry.key))
        {
            return Ok(());
        }
        context.level = Some(self.level);
        let run = self.run.clone();
        let at = self.at;
        let is_old = |table: &Table| table.facts().sequence_max < floor;
        match direction {
            Direction::Forward => {
                let inside =
                    |table: &Table| is_old(table) && fragment.before_end(&table.facts().largest);
                let past = run.tables[at..]
                    .iter()
                    .take_while(|table| inside(table))
                    .count();
                match run.tables.get(at + past) {
                    None => self.cursor = None,
                    Some(table) if is_old(table) => {
                        self.open(at + past)
                            .seek(&fragment.end, Sequence::MAX, context)
                            .await?;
                    }
                    Some(_) if past > 0 => self.open(at + past).seek_first(context).await?,
                    Some(_) => {}
                }
            }
            Direction::Reverse => {
                let inside =
                    |table: &Table| is_old(table) && *table.facts().smallest >= *fragment.start;
                let past = run.tables[..=at]
                    .iter()
                    .rev()
                    .take_while(|table| inside(table))
                    .count();
                match at.checked_sub(past) {
                    None => self.cursor = None,
                    Some(at) if is_old(&run.tables[at]) => {
                        self.open(at).seek_before(&fragment.start, context).await?;
                    }
                    Some(at) if past > 0 => self.open(at).seek_last(context).await?,
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, direction: Direction, context: &mut ReadContext<'_>) -> Result<()> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        context.level = Some(self.level);
        match direction {
            Direction::Forward => cursor.next(context).await?,
            Direction::Reverse => cursor.prev(context).await?,
        }
        if cursor.entry().is_some() {
            return Ok(());
        }
        match direction {
            Direction::Forward if self.at + 1 < self.run.tables.len() => {
                self.open(self.at + 1).seek_first(context).await
            }
            Direction::Reverse if self.at > 0 => self.open(self.at - 1).seek_last(context).await,
            _ => {
                self.cursor = None;
                Ok(())
            }
        }
    }
}

/// One sorted source of a merge.
enum Source {
    Memtable(MemtableCursor),
    Run(RunCursor),
}

impl Source {
    fn entry(&self) -> Option<EntryRef<'_>> {
        match self {
            Self::Memtable(cursor) => cursor.entry().map(EntryRef::from),
            Self::Run(cursor) => cursor.entry(),
        }
    }

    fn version(&self) -> Option<(&[u8], Sequence)> {
        match self {
            Self::Memtable(cursor) => cursor.entry().map(|it| (&it.key[..], it.sequence)),
            Self::Run(cursor) => cursor.cursor.as_ref()?.version(),
        }
    }

    fn entry_to_keep(&self) -> Option<Entry> {
        match self {
            Self::Memtable(cursor) => cursor.entry().cloned(),
            Self::Run(cursor) => cursor.cursor.as_ref()?.entry_to_keep(),
        }
    }

    async fn seek(
        &mut self,
        key: Option<&[u8]>,
        direction: Direction,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        match (self, direction) {
            (Self::Memtable(cursor), direction) => {
                let start = match (key, direction) {
                    (Some(key), Direction::Forward) => Start::At(key, Sequence::MAX),
                    (None, Direction::Forward) => Start::First,
                    (Some(key), Direction::Reverse) => Start::Before(key, Sequence::MAX),
                    (None, Direction::Reverse) => Start::Last,
                };
                cursor.seek(start, &mut context.work);
                Ok(())
            }
            (Self::Run(cursor), Direction::Forward) => cursor.seek_forward(key, context).await,
            (Self::Run(cursor), Direction::Reverse) => cursor.seek_backward(key, context).await,
        }
    }

    /// Moves to the next entry, if that needs no block to be loaded. Returns whether it did.
    fn step_loaded(&mut self, direction: Direction, work: &mut CpuWork) -> Result<bool> {
        match self {
            Self::Memtable(cursor) => {
                cursor.step(direction, work);
                Ok(true)
            }
            Self::Run(cursor) => match &mut cursor.cursor {
                Some(cursor) => cursor.step_in_block(direction),
                None => Ok(false),
            },
        }
    }

    async fn step(&mut self, direction: Direction, context: &mut ReadContext<'_>) -> Result<()> {
        match self {
            Self::Memtable(cursor) => {
                cursor.step(direction, &mut context.work);
                Ok(())
            }
            Self::Run(cursor) => cursor.step(direction, context).await,
        }
    }
}

/// An iterator over several sources in internal order, or in its reverse.
pub(crate) struct MergingIterator {
    direction: Direction,
    sources: Vec<Source>,
    /// The numbers of the sources that have an entry, as a binary heap with the next entry on top.
    heap: Vec<usize>,
    /// The place in the heap of the entry that comes after the top's, if it is known.
    second: Option<usize>,
}

impl MergingIterator {
    /// Creates an iterator without sources.
    pub(crate) fn new(direction: Direction) -> Self {
        Self {
            direction,
            sources: Vec::new(),
            heap: Vec::new(),
            second: None,
        }
    }

    /// Adds a memtable.
    pub(crate) fn add_memtable(&mut self, memtable: Arc<Memtable>) {
        self.sources
            .push(Source::Memtable(MemtableCursor::new(memtable)));
    }

    /// Adds a run of `level`. If `sequential`, it is read far ahead and without the cache.
    pub(crate) fn add_run(&mut self, run: Arc<Run>, level: usize, sequential: bool) {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        self.sources.push(Source::Run(RunCursor {
            run,
            level,
            at: 0,
            cursor: None,
            sequential,
        }));
    }

    /// Moves to the first entry at or after `key`, or in reverse to the last entry before it.
    ///
    /// Without a key, it moves to the first entry in its direction.
    pub(crate) async fn seek(
        &mut self,
        key: Option<&[u8]>,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        for source in &mut self.sources {
            source.seek(key, self.direction, context).await?;
        }
        self.build_heap(&mut context.work);
        Ok(())
    }

    /// Moves past keys of `fragment` in tables whose entries are all older than `floor`.
    ///
    /// It skips whole tables and parts of tables without reading them. Other entries of the
    /// fragment remain.
    pub(crate) async fn skip(
        &mut self,
        fragment: &Fragment,
        floor: Sequence,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        for source in &mut self.sources {
            if let Source::Run(cursor) = source {
                cursor
                    .skip(fragment, floor, self.direction, context)
                    .await?;
            }
        }
        self.build_heap(&mut context.work);
        Ok(())
    }

    /// Builds the heap from all sources that have an entry.
    fn build_heap(&mut self, work: &mut CpuWork) {
        self.heap = (0..self.sources.len())
            .filter(|source| self.sources[*source].version().is_some())
            .collect();
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at, work);
        }
        self.second = None;
    }

    /// Returns the entry that the iterator stands at.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        self.heap.first().and_then(|top| self.sources[*top].entry())
    }

    /// Returns the key and the sequence number of the entry that the iterator stands at.
    pub(crate) fn version(&self) -> Option<(&[u8], Sequence)> {
        let top = self.heap.first()?;
        self.sources[*top].version()
    }

    /// Returns the entry that the iterator stands at, to be kept: it shares the memory of a block.
    pub(crate) fn entry_to_keep(&self) -> Option<Entry> {
        let top = self.heap.first()?;
        self.sources[*top].entry_to_keep()
    }

    /// Moves to the next entry. O(log sources) comparisons; one if the source stays the same.
    pub(crate) async fn step(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if self.step_loaded(&mut context.work)? {
            return Ok(());
        }
        let Some(top) = self.heap.first().copied() else {
            return Ok(());
        };
        self.sources[top].step(self.direction, context).await?;
        context.work.cursor_steps += 1;
        self.order_top(&mut context.work);
        Ok(())
    }

    /// Moves to the next entry, if that needs no block to be loaded. Returns whether it did; if
    /// not, the iterator stands where it stood.
    pub(crate) fn step_loaded(&mut self, work: &mut CpuWork) -> Result<bool> {
        let Some(top) = self.heap.first().copied() else {
            return Ok(false);
        };
        if !self.sources[top].step_loaded(self.direction, work)? {
            return Ok(false);
        }
        work.cursor_steps += 1;
        self.order_top(work);
        Ok(true)
    }

    /// Restores the heap after its top has moved.
    fn order_top(&mut self, work: &mut CpuWork) {
        if self.sources[self.heap[0]].version().is_none() {
            self.heap.swap_remove(0);
            self.second = None;
            return self.sift_down(0, work);
        }
        // As long as the top stays the top, the heap below it does not change.
        let second = match self.second {
            Some(second) => second,
            None => {
                let Some(second) = self.first_child(0, work) else {
                    return;
                };
                self.second = Some(second);
                second
            }
        };
        work.comparisons += 1;
        if self.order(second, 0) == Ordering::Less {
            self.heap.swap(0, second);
            self.sift_down(second, work);
            self.second = None;
        }
    }

    /// Returns the place of the smaller child of a place in the heap; None if it has no child.
    fn first_child(&self, at: usize, work: &mut CpuWork) -> Option<usize> {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if right < self.heap.len() {
            work.comparisons += 1;
            let is_right = self.order(right, left) == Ordering::Less;
            return Some(if is_right { right } else { left });
        }
        (left < self.heap.len()).then_some(left)
    }

    /// Restores the heap below `at`.
    fn sift_down(&mut self, mut at: usize, work: &mut CpuWork) {
        while let Some(child) = self.first_child(at, work) {
            work.comparisons += 1;
            if self.order(child, at) != Ordering::Less {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    /// Compares the entries at two places of the heap, in the direction of the iterator.
    fn order(&self, a: usize, b: usize) -> Ordering {
        let version = |at: usize| {
            self.sources[self.heap[at]]
                .version()
                .expect("only sources with an entry are in the heap")
        };
        let ((key_a, sequence_a), (key_b, sequence_b)) = (version(a), version(b));
        let order = key_a.cmp(key_b).then(sequence_b.cmp(&sequence_a));
        match self.direction {
            Direction::Forward => order,
            Direction::Reverse => order.reverse(),
        }
    }
}
