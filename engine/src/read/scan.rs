//! Scans: a merge of everything, cut down to what a snapshot sees.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use aura_policies::cache::BlockKind;
use bytes::Bytes;

use super::Reader;
use super::merge::MergingIterator;
use super::snapshot::Pin;
use crate::cache::{BlockId, CacheKey, Caller};
use crate::context::ReadContext;
use crate::env::{BoxFuture, CpuWork, spawn_all};
use crate::error::Result;
use crate::latency::Class;
use crate::metrics::{TimedOperation, add};
use crate::ranges::RangeView;
use crate::state::{Core, ReadState};
use crate::storage::{Direction, Entry, EntryKind, Key, Range, Sequence, Value, successor};
use crate::values::ReadyValue;
use crate::values::format::frame_bytes;

/// Consecutive hidden rows after which the scan seeks instead of stepping: a seek costs as much as
/// some steps.
const HIDDEN_ROWS_MAX: u32 = 8;

/// Rows whose values a scan reads ahead at most, all at the same time; it begins with one and
/// doubles.
const AHEAD_ROWS_MAX: usize = 16;

/// Bytes of values in the value log after which it reads no further ahead.
const AHEAD_BYTES_MAX: u64 = 4 << 20;

/// Bytes of values that need no wait after which it reads no further ahead: the next ones shall
/// find memory that is still in the CPU's cache.
const READY_BYTES: usize = 64 << 10;

/// How far a scan has come in the blocks that are loaded.
enum Advance {
    /// To this entry, which is seen and is no tombstone.
    Row(Entry),
    /// To an entry behind which a block must be loaded.
    Load,
    /// Past many rows that range deletes hide, of which this key is the last.
    Hidden(Key),
    /// To the end.
    End,
}

/// A scan: ask it for the next row until it has no more. It sees the state of the moment it was
/// made, and pins the memtables and tables it reads.
pub struct Scan {
    reader: Reader,
    state: Arc<ReadState>,
    snapshot: Sequence,
    ranges: RangeView,
    /// Keeps the versions of an explicit snapshot from being dropped while the scan reads.
    _pin: Option<Arc<Pin>>,
    range: Range,
    direction: Direction,
    fill_cache: bool,
    /// Objects it has asked the cache for.
    scanned: u32,
    /// CPU work of rows that were there, not yet charged.
    work: CpuWork,
    merge: MergingIterator,
    /// Whether the merge stands at the next row.
    started: bool,
    /// Whether the scan was counted.
    counted: bool,
    /// When it was first asked for a row; None unless an agent listens.
    begun: Option<u64>,
    /// When the last call for a row ended, if an agent listens.
    asked_until: u64,
    /// Whether a read has begun and not ended: the future that reads was dropped, if the next one
    /// finds it so.
    reading: bool,
    /// The key of the row returned last.
    last: Option<Vec<u8>>,
    /// What a call found that could not return it without waiting.
    found: Option<Advance>,
    /// Whether the merge stands at an entry that is done with.
    passing: bool,
    /// The key whose older versions a forward scan passes over; empty at first.
    passed: Vec<u8>,
    /// The newest version that a reverse scan has seen of the key it stands at.
    newest: Option<Entry>,
    /// Rows hidden by range deletes since the last one that was not.
    hidden: u32,
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
    /// A scan of `state`, which was loaded before `snapshot` or covers it.
    pub(super) fn new(
        reader: Reader,
        state: Arc<ReadState>,
        snapshot: Sequence,
        range: Range,
        direction: Direction,
    ) -> Self {
        Self {
            reader,
            merge: merge_of(&state, direction),
            snapshot,
            ranges: state.ranges(),
            state,
            _pin: None,
            range,
            direction,
            fill_cache: true,
            scanned: 0,
            work: CpuWork::default(),
            started: false,
            counted: false,
            begun: None,
            asked_until: 0,
            reading: false,
            last: None,
            found: None,
            passing: false,
            passed: Vec::new(),
            newest: None,
            hidden: 0,
            ahead: VecDeque::new(),
            depth: 1,
            left: usize::MAX,
            ended: false,
            done: false,
        }
    }

    /// Keeps `pin` for as long as the scan reads.
    pub(super) fn pinned(mut self, pin: Arc<Pin>) -> Self {
        self._pin = Some(pin);
        self
    }

    /// Returns at most `rows` more rows, and from now on reads no value ahead that lies beyond.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.left = rows;
        self
    }

    /// Leaves the cache as it is: what is read from the device does not enter it.
    #[must_use]
    pub fn without_filling_the_cache(mut self) -> Self {
        self.fill_cache = false;
        self
    }

    /// The next row in the scan's direction; None at the end.
    ///
    /// Rows share memory with their neighbours: one that is kept for long keeps a block, or 64 KiB
    /// of values, with it. Copy such rows.
    ///
    /// The future may be dropped at any poll; the next call returns the row that it would have
    /// returned.
    ///
    /// # Errors
    /// I/O errors and corruption; the scan ends with them.
    pub async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if self.done {
            return Ok(None);
        }
        let timing = self.reader.core.begin(TimedOperation::ScanStep);
        self.begun = self.begun.or_else(|| self.reader.core.begin_timing());
        let row = match self.next_loaded() {
            Some(row) => row,
            None => self.next_waiting().await,
        };
        self.reader.core.end(&timing);
        self.done = !matches!(row, Ok(Some(_)));
        if let Ok(Some((key, value))) = &row {
            self.left -= 1;
            self.work.scan_rows += 1;
            let last = self.last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
            let mine = self.reader.core.counters().mine();
            add(&mine.scan_rows, 1);
            add(&mine.user_read_bytes, (key.len() + value.len()) as u64);
        }
        if self.begun.is_some() {
            self.asked_until = self.reader.core.env().clock.now();
        }
        row
    }

    /// The next row, if the blocks that are loaded hold it with its value. It is most rows, and so
    /// does without futures and without counters of reads.
    fn next_loaded(&mut self) -> Option<Result<Option<(Key, Value)>>> {
        if self.left == 0 {
            return Some(Ok(None));
        }
        if let Some(row) = self.ahead.pop_front() {
            return Some(row.map(Some));
        }
        let stands = self.started && !self.reading;
        if !stands || self.ended || self.found.is_some() {
            return None;
        }
        let mut work = std::mem::take(&mut self.work);
        let advance = self.advance(&mut work);
        self.work = work;
        match advance {
            Ok(Advance::Row(entry)) if entry.kind == EntryKind::Put => {
                Some(Ok(Some((entry.key, entry.value))))
            }
            Ok(advance) => {
                self.found = Some(advance);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// The next row; it may have to be waited for.
    async fn next_waiting(&mut self) -> Result<Option<(Key, Value)>> {
        if self.ended && !self.reading {
            return Ok(None);
        }
        let core = self.reader.core.clone();
        let mut context = self.context(&core);
        if self.reading {
            self.rewind();
        }
        self.reading = true;
        let row = self.read(&mut context).await;
        self.reading = false;
        self.scanned = context.scanned;
        core.finish(&mut context);
        row
    }

    /// Goes back to the row returned last: the read that was dropped may have taken any number of
    /// steps.
    fn rewind(&mut self) {
        self.merge = merge_of(&self.state, self.direction);
        self.started = false;
        self.ended = false;
        self.found = None;
        self.passing = false;
        self.passed.clear();
        self.newest = None;
        self.hidden = 0;
        if let Some(last) = self.last.take() {
            let last = Bound::Excluded(last.into());
            match self.direction {
                Direction::Forward => self.range.start = last,
                Direction::Reverse => self.range.end = last,
            }
        }
    }

    fn context<'a>(&mut self, core: &'a Core) -> ReadContext<'a> {
        let mut context = core.context();
        context.work = std::mem::take(&mut self.work);
        context.fill_cache = self.fill_cache;
        context.caller = Caller::Scan;
        context.scanned = self.scanned;
        context
    }

    /// Reads the next row; if its value lies in the value log, the next few.
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
        let Some(first) = self.read_ready(first, depth, context) else {
            return self.ahead.pop_front().transpose();
        };
        let mut entries = vec![first];
        let mut bytes = u64::from(pointer.stored_bytes);
        let mut failure = None;
        while entries.len() < depth && bytes < AHEAD_BYTES_MAX && !self.ended && failure.is_none() {
            match self.next_entry(context).await {
                Ok(Some(entry)) => {
                    let pointer = entry.pointer();
                    bytes += pointer.map_or(0, |pointer| u64::from(pointer.stored_bytes));
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
        let version = &self.state.version;
        let content = entry.into_content();
        let value = self
            .reader
            .value_of(version, &key, content, context)
            .await?;
        Ok((key, value.expect("only tombstones have no value")))
    }

    /// Reads rows ahead, at most `rows_max`, for as long as their values need no wait and no block
    /// must be loaded. The values share one buffer. Returns `first` if its own must be waited for.
    fn read_ready(
        &mut self,
        first: Entry,
        rows_max: usize,
        context: &mut ReadContext<'_>,
    ) -> Option<Entry> {
        let stored = first.pointer().map_or(0, |it| it.stored_bytes);
        let frame = frame_bytes(first.key.len(), stored).min(READY_BYTES);
        let mut buffer = Vec::with_capacity((frame * rows_max).min(READY_BYTES + frame));
        let mut rows = Vec::with_capacity(rows_max);
        let mut next = first;
        let mut failure = None;
        loop {
            match self.ready(&next, &mut buffer, context) {
                Some(Ok(value)) => rows.push((next.key, value)),
                Some(Err(error)) => failure = Some(error),
                None if rows.is_empty() => return Some(next),
                None => self.found = Some(Advance::Row(next)),
            }
            let goes_on = failure.is_none() && self.found.is_none();
            if !goes_on || rows.len() >= rows_max || buffer.len() >= READY_BYTES {
                break;
            }
            match self.advance(&mut context.work) {
                Ok(Advance::Row(entry)) => next = entry,
                Ok(advance) => {
                    self.found = Some(advance);
                    break;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let buffer = Bytes::from(buffer);
        let rows = rows.into_iter();
        let rows = rows.map(|(key, value)| Ok((key, value.within(&buffer))));
        self.ahead.extend(rows.chain(failure.map(Err)));
        None
    }

    /// The value of an entry in the value log, if that needs no wait: it is cached, or the system
    /// has it in memory.
    fn ready(
        &self,
        entry: &Entry,
        buffer: &mut Vec<u8>,
        context: &mut ReadContext<'_>,
    ) -> Option<Result<ReadyValue>> {
        let pointer = entry.pointer()?;
        let file = self.state.version.value_files.get(&pointer.file)?;
        file.get_ready(&entry.key, &pointer, buffer, context)
    }

    /// The values in the value log that the cache does not hold, read at the same time; None for
    /// each other entry, and for all if there is only one to read.
    async fn fetch(&self, entries: &[Entry]) -> Vec<Option<Result<Value>>> {
        let mut values: Vec<Option<Result<Value>>> = entries.iter().map(|_| None).collect();
        let mut reads: Vec<BoxFuture<'static, Result<Value>>> = Vec::new();
        let mut places = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let Some(pointer) = entry.pointer() else {
                continue;
            };
            let Some(file) = self.state.version.value_files.get(&pointer.file).cloned() else {
                continue;
            };
            let id = BlockId {
                file: pointer.file,
                offset: pointer.offset,
            };
            let name = CacheKey::part(BlockKind::Value, id);
            let core = self.reader.core.clone();
            if core.cache().peek(&name).is_some() {
                continue;
            }
            let key = entry.key.clone();
            let fill_cache = self.fill_cache;
            let scanned = self.scanned + places.len() as u32;
            places.push(place);
            reads.push(Box::pin(async move {
                let mut context = core.context();
                context.fill_cache = fill_cache;
                context.caller = Caller::Scan;
                context.scanned = scanned;
                let value = file.get(&key, &pointer, &mut context).await;
                core.finish(&mut context);
                value
            }));
        }
        if reads.len() > 1 {
            let tasks = &*self.reader.core.env().tasks;
            let read = spawn_all(tasks, "read ahead", reads).await;
            for (place, value) in places.into_iter().zip(read) {
                values[place] = Some(value);
            }
        }
        values
    }

    /// The next entry that is seen and is no tombstone.
    async fn next_entry(&mut self, context: &mut ReadContext<'_>) -> Result<Option<Entry>> {
        if !self.started {
            self.seek(context).await?;
            self.started = true;
        }
        loop {
            let advance = match self.found.take() {
                Some(found) => found,
                None => self.advance(&mut context.work)?,
            };
            match advance {
                Advance::Row(entry) => return Ok(Some(entry)),
                Advance::Load => self.pass(context).await?,
                Advance::Hidden(key) => {
                    if self.passing {
                        self.pass(context).await?;
                    }
                    let tombstone = self.ranges.newest(&key, self.snapshot, &mut context.work);
                    if let Some((floor, fragment)) = tombstone {
                        self.merge.skip(fragment, floor, context).await?;
                    }
                }
                Advance::End => return Ok(None),
            }
        }
    }

    /// Moves the merge past an entry that is done with.
    async fn pass(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        self.merge.step(context).await?;
        self.passing = false;
        Ok(())
    }

    /// Goes on to the next entry that is seen and is no tombstone, or until a block must be loaded.
    fn advance(&mut self, work: &mut CpuWork) -> Result<Advance> {
        loop {
            let advance = match self.direction {
                Direction::Forward => self.newest_forward(work)?,
                Direction::Reverse => self.newest_reverse(work)?,
            };
            let Advance::Row(entry) = advance else {
                return Ok(advance);
            };
            let tombstone = self.ranges.newest(&entry.key, self.snapshot, work);
            if tombstone.is_some_and(|(sequence, _)| entry.sequence < sequence) {
                self.hidden += 1;
                if self.hidden == HIDDEN_ROWS_MAX {
                    self.hidden = 0;
                    return Ok(Advance::Hidden(entry.key));
                }
                continue;
            }
            self.hidden = 0;
            if entry.kind != EntryKind::Delete {
                return Ok(Advance::Row(entry));
            }
        }
    }

    async fn seek(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if !self.counted {
            self.counted = true;
            context.work.operations += 1;
            add(&self.reader.core.counters().mine().scans, 1);
            self.reader.core.count_operation();
        }
        // A reverse merge starts below a key; the smallest key above an included bound is the bound
        // and a zero byte.
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

    /// The newest visible version of the next key. The merge is left at it, so that no block is
    /// loaded for a row that nobody asks for.
    fn newest_forward(&mut self, work: &mut CpuWork) -> Result<Advance> {
        loop {
            if self.passing && !self.merge.step_loaded(work)? {
                return Ok(Advance::Load);
            }
            self.passing = false;
            let Some((key, sequence)) = self.merge.version() else {
                return Ok(Advance::End);
            };
            work.comparisons += 1;
            // No key is empty.
            let is_older = key == self.passed;
            if !is_older && !self.covers(key) {
                return Ok(Advance::End);
            }
            let is_newest = !is_older && sequence <= self.snapshot;
            self.passing = true;
            if is_newest && let Some(entry) = self.merge.entry_to_keep() {
                self.passed.clear();
                self.passed.extend_from_slice(&entry.key);
                return Ok(Advance::Row(entry));
            }
        }
    }

    /// As `newest_forward`, where a key's versions come oldest first. The merge is left behind
    /// them.
    fn newest_reverse(&mut self, work: &mut CpuWork) -> Result<Advance> {
        loop {
            if self.passing && !self.merge.step_loaded(work)? {
                return Ok(Advance::Load);
            }
            self.passing = false;
            let next = self.merge.version();
            let ends = match (&self.newest, next) {
                (Some(newest), Some((key, _))) => newest.key != key,
                (None, Some((key, _))) => !self.covers(key),
                (_, None) => true,
            };
            if ends {
                return Ok(self.newest.take().map_or(Advance::End, Advance::Row));
            }
            work.comparisons += 1;
            if next.is_some_and(|(_, sequence)| sequence <= self.snapshot) {
                self.newest = self.merge.entry_to_keep();
            }
            self.passing = true;
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        let core = &self.reader.core;
        // One whose first row was never reached took no time that says anything.
        if let Some(begun) = self.begun.filter(|begun| *begun <= self.asked_until) {
            core.end_timing_at(Class::Scan, begun, self.asked_until, &self.work);
        }
        core.env().clock.charge(&self.work);
    }
}

/// A merge of all that `state` holds, which stands nowhere yet.
fn merge_of(state: &ReadState, direction: Direction) -> MergingIterator {
    let mut merge = MergingIterator::new(direction);
    for memtable in state.memtables() {
        merge.add_memtable(memtable.clone());
    }
    for (number, level) in state.version.levels.iter().enumerate() {
        for run in &level.runs {
            merge.add_run(run.clone(), number, false);
        }
    }
    merge
}
