//! Scans of RocksDB.
//!
//! An iterator lends its rows until it moves on, and the trait's rows are to be kept. So rows are
//! copied, a chunk of them into one buffer, which their keys and values share.

use std::collections::VecDeque;
use std::sync::Arc;

use aura_engine::{Cursor, Direction, Key, Range, Result, Value};
use bytes::Bytes;
use rocksdb::{DB, DBRawIteratorWithThreadMode};

use super::Shared;
use crate::common;
use crate::tally::ScanTally;

/// The most rows of a chunk, and the bytes at which it is full.
const CHUNK_ROWS: usize = 128;
const CHUNK_BYTES: usize = 64 << 10;

type RawIterator<'a> = DBRawIteratorWithThreadMode<'a, DB>;

self_cell::self_cell!(
    /// An iterator with the database that it reads.
    struct OpenIterator {
        owner: Arc<Shared>,
        #[not_covariant]
        dependent: RawIterator,
    }
);

/// The rows of a range, as of the call of `scan`.
pub struct Rows {
    /// `None` at the end.
    iterator: Option<OpenIterator>,
    range: Range,
    direction: Direction,
    /// Rows that may still be read.
    left: usize,
    chunk: Chunk,
    /// Why there are no rows.
    refused: Option<aura_engine::Error>,
    tally: ScanTally,
}

/// Rows that were read and not yet returned.
#[derive(Default)]
struct Chunk {
    bytes: Bytes,
    /// The lengths of keys and values.
    lengths: VecDeque<(usize, usize)>,
}

impl Rows {
    pub(super) fn of(shared: &Arc<Shared>, range: Range, direction: Direction) -> Self {
        let refused = shared.closed.check().err();
        let is_open = refused.is_none() && !common::is_empty(&range);
        let open = || {
            OpenIterator::new(shared.clone(), |shared| {
                let mut iterator = shared.db.raw_iterator();
                seek(&mut iterator, &range, direction);
                iterator
            })
        };
        Self {
            iterator: is_open.then(open),
            range,
            direction,
            left: usize::MAX,
            chunk: Chunk::default(),
            refused,
            tally: ScanTally::new(&shared.tally),
        }
    }

    /// Reads the next chunk.
    fn fill(&mut self) -> Result<()> {
        let Some(open) = &mut self.iterator else {
            return Ok(());
        };
        let (range, direction) = (&self.range, self.direction);
        let most = self.left.min(CHUNK_ROWS);
        let mut buffer = Vec::new();
        let mut lengths = VecDeque::new();
        let read = open.with_dependent_mut(|shared, iterator| {
            while lengths.len() < most && buffer.len() < CHUNK_BYTES {
                let row = iterator
                    .item()
                    .filter(|(key, _)| is_within(range, direction, key));
                let Some((key, value)) = row else {
                    let status = iterator.status();
                    return status.map(|()| false).map_err(shared.fails("scan"));
                };
                if lengths.is_empty() {
                    let row_bytes = key.len() + value.len();
                    buffer.reserve((most * row_bytes).min(CHUNK_BYTES + row_bytes));
                }
                buffer.extend_from_slice(key);
                buffer.extend_from_slice(value);
                lengths.push_back((key.len(), value.len()));
                match direction {
                    Direction::Forward => iterator.next(),
                    Direction::Reverse => iterator.prev(),
                }
            }
            Ok(true)
        });
        self.left -= lengths.len();
        self.chunk = Chunk {
            bytes: Bytes::from(buffer),
            lengths,
        };
        if !matches!(read, Ok(true)) || self.left == 0 {
            self.iterator = None;
        }
        read.map(drop)
    }
}

/// Goes to the first row of a range.
fn seek(iterator: &mut RawIterator<'_>, range: &Range, direction: Direction) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match (direction, &range.start, &range.end) {
        (Direction::Forward, Unbounded, _) => iterator.seek_to_first(),
        (Direction::Forward, Included(start) | Excluded(start), _) => iterator.seek(start),
        (Direction::Reverse, _, Unbounded) => iterator.seek_to_last(),
        (Direction::Reverse, _, Included(end) | Excluded(end)) => iterator.seek_for_prev(end),
    }
    let bound = match direction {
        Direction::Forward => &range.start,
        Direction::Reverse => &range.end,
    };
    if let Excluded(bound) = bound
        && iterator.key().is_some_and(|key| key == &bound[..])
    {
        match direction {
            Direction::Forward => iterator.next(),
            Direction::Reverse => iterator.prev(),
        }
    }
}

/// Whether the scan has not yet left the range.
fn is_within(range: &Range, direction: Direction, key: &[u8]) -> bool {
    match direction {
        Direction::Forward => range.before_end(key),
        Direction::Reverse => range.after_start(key),
    }
}

impl Cursor for Rows {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        if self.chunk.lengths.is_empty() {
            self.fill()?;
        }
        let Some((key, value)) = self.chunk.lengths.pop_front() else {
            return Ok(None);
        };
        self.tally.row(value);
        let key = self.chunk.bytes.split_to(key);
        Ok(Some((key, self.chunk.bytes.split_to(value))))
    }

    fn limit(mut self, rows: usize) -> Self {
        let read = self.chunk.lengths.len();
        self.chunk.lengths.truncate(rows);
        self.left = self.left.min(rows.saturating_sub(read));
        if self.left == 0 {
            self.iterator = None;
        }
        self
    }
}
