//! Scans: a merge of everything, cut down to what a snapshot sees.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use aura_policies::cache::BlockKind as CacheKind;

use super::merge::MergingIterator;
use super::snapshot::Pin;
use crate::cache::{BlockId, CacheKey, Caller};
use crate::context::ReadContext;
use crate::env::{BoxFuture, spawn_all};
use crate::error::Result;
use crate::metrics::add;
use crate::ranges::RangeView;
use crate::state::{Inner, ReadState};
use crate::storage::{Direction, Entry, EntryKind, Key, Range, Sequence, Value, successor};

/// Rows in a row that a range delete hides before a scan looks for a way past the rest: a seek costs as much as some steps.
const HIDDEN_ROWS_MAX: u32 = 8;

/// Rows whose values a scan reads ahead at the most, all at the same time; it begins with one and doubles.
const AHEAD_ROWS_MAX: usize = 16;

/// Bytes of values in the value log after which it reads no further ahead.
const AHEAD_BYTES_MAX: u64 = 4 << 20;

/// A scan: ask it for the next row until there is none. It sees the state of the moment it was made, and pins the
/// memtables and tables it reads.
pub struct Scan {
    inner: Arc<Inner>,
    view: Arc<ReadState>,
    snapshot: Sequence,
    ranges: RangeView,
    /// Keeps the versions of an explicit snapshot from being dropped while the scan reads.
    _pin: Option<Arc<Pin>>,
    range: Range,
    direction: Direction,
    fill_cache: bool,
    /// Objects it has asked the cache for.
    scanned: u32,
    merge: MergingIterator,
    started: bool,
    /// Rows that were read ahead.
    ahead: VecDeque<Result<(Key, Value)>>,
    /// How many are read ahead next.
    depth: usize,
    /// Rows that may still be asked for.
    left: usize,
    /// The merge has come to the end.
    ended: bool,
    done: bool,
}

impl Scan {
    pub(crate) fn new(
        inner: Arc<Inner>,
        snapshot: Sequence,
        pin: Option<Arc<Pin>>,
        view: Arc<ReadState>,
        range: Range,
        direction: Direction,
    ) -> Self {
        let mut merge = MergingIterator::new(direction);
        view.memtables()
            .for_each(|memtable| merge.add_memtable(memtable.clone()));
        for (number, level) in view.version.levels.iter().enumerate() {
            level
                .runs
                .iter()
                .for_each(|run| merge.add_run(run.clone(), number, false));
        }
        Self {
            inner,
            snapshot,
            // Whoever makes a scan has read the sequence number.
            ranges: view.ranges(),
            view,
            _pin: pin,
            range,
            direction,
            fill_cache: true,
            scanned: 0,
            merge,
            started: false,
            ahead: VecDeque::new(),
            depth: 1,
            left: usize::MAX,
            ended: false,
            done: false,
        }
    }

    /// The same scan, of at most `rows` rows: it reads no value ahead that lies beyond.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.left = rows;
        self
    }

    /// The same scan, leaving the cache as it is.
    #[must_use]
    pub fn without_filling_the_cache(mut self) -> Self {
        self.fill_cache = false;
        self
    }

    /// The next row in the scan's direction; None at the end.
    ///
    /// # Errors
    /// I/O errors and corruption; the scan ends with them.
    pub async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if self.done {
            return Ok(None);
        }
        let inner = self.inner.clone();
        let row = match self.ahead.pop_front() {
            Some(row) => row.map(Some),
            None if self.ended || self.left == 0 => Ok(None),
            None => {
                let mut context = self.context(&inner);
                let row = self.read(&mut context).await;
                self.scanned = context.scanned;
                inner.finish(&mut context);
                row
            }
        };
        self.done = !matches!(row, Ok(Some(_)));
        if let Ok(Some((key, value))) = &row {
            self.left -= 1;
            add(&inner.counters.mine().scan_rows, 1);
            add(
                &inner.counters.mine().user_read_bytes,
                (key.len() + value.len()) as u64,
            );
        }
        row
    }

    fn context<'a>(&self, inner: &'a Inner) -> ReadContext<'a> {
        let mut context = inner.context();
        (context.fill_cache, context.caller, context.scanned) =
            (self.fill_cache, Caller::Scan, self.scanned);
        context
    }

    /// Reads the next row; where its value lies in the value log, the next few.
    async fn read(&mut self, context: &mut ReadContext<'_>) -> Result<Option<(Key, Value)>> {
        let Some(first) = self.next_entry(context).await? else {
            self.ended = true;
            return Ok(None);
        };
        let depth = self.depth.min(self.left);
        let Some(pointer) = first.pointer() else {
            return self.row(first, context).await.map(Some);
        };
        self.depth = (self.depth * 2).min(AHEAD_ROWS_MAX);
        let (mut entries, mut bytes, mut failure) =
            (vec![first], u64::from(pointer.stored_bytes), None);
        while entries.len() < depth && bytes < AHEAD_BYTES_MAX && !self.ended && failure.is_none() {
            match self.next_entry(context).await {
                Ok(Some(entry)) => {
                    bytes += entry
                        .pointer()
                        .map_or(0, |pointer| u64::from(pointer.stored_bytes));
                    entries.push(entry);
                }
                Ok(None) => self.ended = true,
                Err(error) => failure = Some(error),
            }
        }
        let fetched = self.fetch(&entries).await;
        context.scanned += fetched.iter().flatten().count() as u32;
        for (entry, value) in entries.into_iter().zip(fetched) {
            let row = match value {
                Some(value) => value.map(|value| (entry.key, value)),
                None => self.row(entry, context).await,
            };
            self.ahead.push_back(row);
        }
        self.ahead.extend(failure.map(Err));
        self.ahead.pop_front().transpose()
    }

    /// The row of an entry that is no tombstone.
    async fn row(&self, entry: Entry, context: &mut ReadContext<'_>) -> Result<(Key, Value)> {
        let key = entry.key.clone();
        let value = self
            .inner
            .value_of(&self.view.version, entry, context)
            .await?;
        Ok((key, value.expect("only tombstones have none")))
    }

    /// The values in the value log that the cache does not hold, read at the same time, where they are several.
    async fn fetch(&self, entries: &[Entry]) -> Vec<Option<Result<Value>>> {
        let mut values: Vec<Option<Result<Value>>> = entries.iter().map(|_| None).collect();
        let mut reads: Vec<BoxFuture<'static, Result<Value>>> = Vec::new();
        let mut places = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let Some(pointer) = entry.pointer() else {
                continue;
            };
            let name = CacheKey::part(
                CacheKind::Value,
                BlockId {
                    file: pointer.file,
                    offset: pointer.offset,
                },
            );
            let Some(state) = self.view.version.value_files.get(&pointer.file).cloned() else {
                continue;
            };
            if self.inner.cache.peek(&name).is_some() {
                continue;
            }
            let (inner, key) = (self.inner.clone(), entry.key.clone());
            let (fill_cache, caller, scanned) = (
                self.fill_cache,
                Caller::Scan,
                self.scanned + places.len() as u32,
            );
            places.push(place);
            reads.push(Box::pin(async move {
                let mut context = inner.context();
                (context.fill_cache, context.caller, context.scanned) =
                    (fill_cache, caller, scanned);
                let value = state.get(&key, &pointer, &mut context).await;
                inner.finish(&mut context);
                value
            }));
        }
        if reads.len() > 1 {
            let read = spawn_all(&*self.inner.env.tasks, "read ahead", reads).await;
            places
                .into_iter()
                .zip(read)
                .for_each(|(place, value)| values[place] = Some(value));
        }
        values
    }

    /// The next entry that is seen and is no tombstone.
    async fn next_entry(&mut self, context: &mut ReadContext<'_>) -> Result<Option<Entry>> {
        if !self.started {
            self.started = true;
            self.seek(context).await?;
        }
        let mut hidden = 0;
        loop {
            let newest = match self.direction {
                Direction::Forward => self.newest_forward(context).await?,
                Direction::Reverse => self.newest_reverse(context).await?,
            };
            let Some(entry) = newest else { return Ok(None) };
            let tombstone = self
                .ranges
                .newest(&entry.key, self.snapshot, &mut context.work);
            if let Some((floor, fragment)) =
                tombstone.filter(|(sequence, _)| entry.sequence < *sequence)
            {
                hidden += 1;
                if hidden == HIDDEN_ROWS_MAX {
                    hidden = 0;
                    self.merge.skip(fragment, floor, context).await?;
                }
                continue;
            }
            hidden = 0;
            if entry.kind != EntryKind::Delete {
                return Ok(Some(entry));
            }
        }
    }

    async fn seek(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        context.work.operations += 1;
        add(&self.inner.counters.mine().scans, 1);
        self.inner.count_operation();
        // A reverse merge starts below a key; the smallest key above an included bound is the bound and a zero byte.
        let start: Option<Key> = match (self.direction, &self.range.start, &self.range.end) {
            (Direction::Forward, Bound::Unbounded, _)
            | (Direction::Reverse, _, Bound::Unbounded) => None,
            (Direction::Forward, Bound::Included(key), _)
            | (Direction::Reverse, _, Bound::Excluded(key)) => Some(key.clone()),
            (Direction::Forward, Bound::Excluded(key), _)
            | (Direction::Reverse, _, Bound::Included(key)) => Some(successor(key)),
        };
        self.merge.seek(start.as_deref(), context).await
    }

    /// Whether the scan goes on at `key`.
    fn covers(&self, key: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => self.range.before_end(key),
            Direction::Reverse => self.range.after_start(key),
        }
    }

    /// The newest visible version of the next key; the merge is left at the key after it.
    async fn newest_forward(&mut self, context: &mut ReadContext<'_>) -> Result<Option<Entry>> {
        let mut newest: Option<Entry> = None;
        while let Some(entry) = self.merge.entry() {
            match &newest {
                Some(found) if found.key != entry.key => break,
                Some(_) => {}
                None if !self.covers(&entry.key) => break,
                None if entry.sequence <= self.snapshot => newest = Some(entry.clone()),
                None => {}
            }
            context.work.comparisons += 1;
            self.merge.step(context).await?;
        }
        Ok(newest)
    }

    /// As `newest_forward`, where a key's versions come oldest first.
    async fn newest_reverse(&mut self, context: &mut ReadContext<'_>) -> Result<Option<Entry>> {
        let mut newest: Option<Entry> = None;
        while let Some(entry) = self.merge.entry() {
            match &newest {
                Some(found) if found.key != entry.key => break,
                None if !self.covers(&entry.key) => break,
                _ if entry.sequence <= self.snapshot => newest = Some(entry.clone()),
                _ => {}
            }
            context.work.comparisons += 1;
            self.merge.step(context).await?;
        }
        Ok(newest)
    }
}
