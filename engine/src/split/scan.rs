//! A scan of a split database: the scans of both sides, merged by key.

use std::sync::Arc;

use super::moment::Pair;
use crate::db::api::Cursor;
use crate::error::Result;
use crate::read::Scan;
use crate::state::Lifecycle;
use crate::storage::{Direction, Key, Range, Value};

/// The next row of a side.
enum Head {
    /// It has not been asked for.
    Unknown,
    Row(Key, Value),
    End,
}

/// A scan of both sides: ask it for the next row until it has no more. It sees one moment, at which
/// each batch is whole. It reads at most one row of each side ahead.
pub struct SplitScan {
    sides: [Scan; 2],
    heads: [Head; 2],
    direction: Direction,
    /// Rows that may still be asked for.
    left: usize,
    /// Keeps the directory locked while it reads.
    _lifecycle: Arc<Lifecycle>,
}

impl SplitScan {
    pub(super) fn new(
        pair: &Pair,
        lifecycle: &Arc<Lifecycle>,
        range: Range,
        direction: Direction,
    ) -> Self {
        Self {
            sides: [
                pair[0].scan(range.clone(), direction),
                pair[1].scan(range, direction),
            ],
            heads: [Head::Unknown, Head::Unknown],
            direction,
            left: usize::MAX,
            _lifecycle: lifecycle.clone(),
        }
    }

    /// The side with the next row; None at the end. Both heads are known.
    fn next_side(&self) -> Option<usize> {
        match &self.heads {
            [Head::Row(zero, _), Head::Row(one, _)] => {
                // A key belongs to one side: they are never equal.
                let zero_is_first = (zero < one) == (self.direction == Direction::Forward);
                Some(usize::from(!zero_is_first))
            }
            [Head::Row(..), _] => Some(0),
            [_, Head::Row(..)] => Some(1),
            _ => None,
        }
    }

    /// The next row in the scan's direction; None at the end, and after an error.
    ///
    /// # Errors
    /// Those of [`Scan::next`].
    pub async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if self.left == 0 {
            return Ok(None);
        }
        for (scan, head) in self.sides.iter_mut().zip(&mut self.heads) {
            if !matches!(head, Head::Unknown) {
                continue;
            }
            // A future that is dropped here leaves the head unknown, and the scan where it was.
            match scan.next().await {
                Ok(Some((key, value))) => *head = Head::Row(key, value),
                Ok(None) => *head = Head::End,
                Err(error) => {
                    self.left = 0;
                    return Err(error);
                }
            }
        }
        let Some(side) = self.next_side() else {
            return Ok(None);
        };
        self.left -= 1;
        match std::mem::replace(&mut self.heads[side], Head::Unknown) {
            Head::Row(key, value) => Ok(Some((key, value))),
            Head::Unknown | Head::End => Ok(None),
        }
    }

    /// Returns at most `rows` more rows, and from now on reads no value ahead that lies beyond.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.left = rows;
        self.sides = self.sides.map(|side| side.limit(rows));
        self
    }
}

impl Cursor for SplitScan {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        Self::next(self).await
    }

    fn limit(self, rows: usize) -> Self {
        Self::limit(self, rows)
    }
}
