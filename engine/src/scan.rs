//! Scans: a merge of everything, cut down to what a snapshot sees.

use std::ops::Bound;
use std::sync::Arc;

use crate::cache::Caller;
use crate::context::ReadContext;
use crate::error::Result;
use crate::merge::Merge;
use crate::metrics::add;
use crate::ranges::RangeView;
use crate::snapshot::Pin;
use crate::state::{Inner, View};
use crate::storage::{Direction, Entry, Key, Kind, Range, Sequence, Value, successor};

/// Rows in a row that a range delete hides before a scan looks for a way past the rest: a seek costs as much as some steps.
const HIDDEN_ROWS_MAX: u32 = 8;

/// A scan: ask it for the next row until there is none. It sees the state of the moment it was made, and pins the
/// memtables and tables it reads.
pub struct Scan {
    inner: Arc<Inner>,
    view: Arc<View>,
    snapshot: Sequence,
    ranges: RangeView,
    /// Keeps the versions of an explicit snapshot from being dropped while the scan reads.
    _pin: Option<Arc<Pin>>,
    range: Range,
    direction: Direction,
    fill_cache: bool,
    /// Objects it has asked the cache for.
    scanned: u32,
    merge: Merge,
    started: bool,
    done: bool,
}

impl Scan {
    pub(crate) fn new(
        inner: Arc<Inner>,
        snapshot: Sequence,
        pin: Option<Arc<Pin>>,
        view: Arc<View>,
        range: Range,
        direction: Direction,
    ) -> Self {
        let mut merge = Merge::new(direction);
        view.memtables().for_each(|memtable| merge.add_memtable(memtable.clone()));
        for (number, level) in view.version.levels.iter().enumerate() {
            level.runs.iter().for_each(|run| merge.add_run(run.clone(), number, false));
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
            done: false,
        }
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
        let mut context = inner.context();
        (context.fill_cache, context.caller, context.scanned) = (self.fill_cache, Caller::Scan, self.scanned);
        let row = self.advance(&mut context).await;
        self.scanned = context.scanned;
        self.done = !matches!(row, Ok(Some(_)));
        if let Ok(Some((key, value))) = &row {
            add(&inner.counters.mine().scan_rows, 1);
            add(&inner.counters.mine().user_read_bytes, (key.len() + value.len()) as u64);
        }
        inner.finish(&mut context);
        row
    }

    async fn advance(&mut self, context: &mut ReadContext<'_>) -> Result<Option<(Key, Value)>> {
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
            let tombstone = self.ranges.newest(&entry.key, self.snapshot, &mut context.work);
            if let Some((floor, fragment)) = tombstone.filter(|(sequence, _)| entry.sequence < *sequence) {
                hidden += 1;
                if hidden == HIDDEN_ROWS_MAX {
                    hidden = 0;
                    self.merge.skip(fragment, floor, context).await?;
                }
                continue;
            }
            hidden = 0;
            if entry.kind == Kind::Delete {
                continue;
            }
            let key = entry.key.clone();
            let value = self.inner.value_of(&self.view.version, entry, context).await?;
            return Ok(value.map(|value| (key, value)));
        }
    }

    async fn seek(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        context.work.operations += 1;
        add(&self.inner.counters.mine().scans, 1);
        self.inner.count_operation();
        // A reverse merge starts below a key; the smallest key above an included bound is the bound and a zero byte.
        let start: Option<Key> = match (self.direction, &self.range.start, &self.range.end) {
            (Direction::Forward, Bound::Unbounded, _) | (Direction::Reverse, _, Bound::Unbounded) => None,
            (Direction::Forward, Bound::Included(key), _) | (Direction::Reverse, _, Bound::Excluded(key)) => {
                Some(key.clone())
            }
            (Direction::Forward, Bound::Excluded(key), _) | (Direction::Reverse, _, Bound::Included(key)) => {
                Some(successor(key))
            }
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
