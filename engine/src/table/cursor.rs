//! Cursors over a table's entries in internal order, in both directions.
//!
//! Scans read block by block through the cache. Compactions and other jobs that read a whole table
//! use a sequential cursor instead: it reads many blocks at once and leaves the cache to the
//! workload.

use std::sync::Arc;

use super::block::EntryPlace;
use super::reader::{Position, Table, Window};
use crate::context::ReadContext;
use crate::error::Result;
use crate::index::TableIndex;
use crate::storage::{Direction, Entry, EntryRef, Sequence};

/// A cursor over a table. It stands at an entry or nowhere.
///
/// After it has moved past either end, or after an error, it stands nowhere and must seek again.
pub(crate) struct TableCursor {
    table: Arc<Table>,
    /// The table's index. None before the first move.
    index: Option<Arc<TableIndex>>,
    /// The blocks that a sequential cursor has read ahead. None for a cursor that reads through the
    /// cache.
    window: Option<Window>,
    position: Option<Position>,
    /// Where the entry lies in the block of `position`. None if the cursor stands nowhere.
    current: Option<EntryPlace>,
}

impl TableCursor {
    /// Creates a cursor that stands nowhere and reads block by block through the cache.
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self {
            table,
            index: None,
            window: None,
            position: None,
            current: None,
        }
    }

    /// Creates a cursor for jobs that read a table from one end to the other.
    ///
    /// It reads many blocks at a time and does not use the cache, except for the block that a
    /// `seek` searches for.
    pub(crate) fn sequential(table: Arc<Table>) -> Self {
        Self {
            window: Some(Window::default()),
            ..Self::new(table)
        }
    }

    /// Returns the entry that the cursor stands at.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        let position = self.position.as_ref()?;
        Some(position.block.at(self.current.as_ref()?))
    }

    /// Returns the key and the sequence number of the entry that the cursor stands at.
    pub(crate) fn version(&self) -> Option<(&[u8], Sequence)> {
        let position = self.position.as_ref()?;
        Some(position.block.version_at(self.current.as_ref()?))
    }

    /// Returns the entry that the cursor stands at, to be kept.
    pub(crate) fn entry_to_keep(&self) -> Option<Entry> {
        let position = self.position.as_ref()?;
        Some(position.block.share(self.current.as_ref()?))
    }

    /// Moves to the first entry not before (`key`, `sequence`) in internal order.
    ///
    /// # Errors
    /// This and all other moves fail with [`Error::Corruption`](crate::error::Error) or
    /// [`Error::Io`](crate::error::Error).
    pub(crate) async fn seek(
        &mut self,
        key: &[u8],
        sequence: Sequence,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        self.leave();
        let index = self.index(context).await?;
        let found = self
            .table
            .lower_bound(&index, key, sequence, false, context)
            .await?;
        match found {
            Some(position) => self.arrive(position),
            None => Ok(()),
        }
    }

    /// Moves to the first entry.
    pub(crate) async fn seek_first(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        self.leave();
        let position = self.load(0, context).await?;
        self.arrive(position)
    }

    /// Moves to the last entry.
    pub(crate) async fn seek_last(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        self.leave();
        self.enter_last(self.table.block_count() - 1, context).await
    }

    /// Moves to the last entry whose user key is below `key`: the oldest version of the next
    /// smaller key.
    pub(crate) async fn seek_before(
        &mut self,
        key: &[u8],
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        self.leave();
        let index = self.index(context).await?;
        let found = self
            .table
            .lower_bound(&index, key, Sequence::MAX, false, context)
            .await?;
        match found {
            Some(position) => {
                self.position = Some(position);
                self.prev(context).await
            }
            None => self.seek_last(context).await,
        }
    }

    /// Moves to the next entry, or in reverse to the previous one, if that lies in the block at
    /// hand. Returns whether it did; if not, the cursor stands where it stood.
    pub(crate) fn step_in_block(&mut self, direction: Direction) -> Result<bool> {
        let Some(position) = &mut self.position else {
            return Ok(false);
        };
        let entry = match direction {
            Direction::Forward => position.entry + 1,
            Direction::Reverse => position.entry.wrapping_sub(1),
        };
        if entry >= position.block.len() {
            return Ok(false);
        }
        position.entry = entry;
        match self.table.place(position) {
            Ok(place) => {
                self.current = Some(place);
                Ok(true)
            }
            Err(error) => {
                self.leave();
                Err(error)
            }
        }
    }

    /// Moves to the next entry.
    pub(crate) async fn next(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if self.step_in_block(Direction::Forward)? {
            return Ok(());
        }
        let Some(position) = self.leave() else {
            return Ok(());
        };
        let number = position.number + 1;
        if number == self.table.block_count() {
            return Ok(());
        }
        // Release the block before the next one is read.
        drop(position);
        let position = self.load(number, context).await?;
        self.arrive(position)
    }

    /// Moves to the previous entry.
    pub(crate) async fn prev(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if self.step_in_block(Direction::Reverse)? {
            return Ok(());
        }
        let Some(position) = self.leave() else {
            return Ok(());
        };
        if position.number == 0 {
            return Ok(());
        }
        self.enter_last(position.number - 1, context).await
    }

    /// Moves to the last entry of block `number`.
    async fn enter_last(&mut self, number: usize, context: &mut ReadContext<'_>) -> Result<()> {
        let mut position = self.load(number, context).await?;
        position.entry = position.block.len() - 1;
        self.arrive(position)
    }

    /// Returns the table's index, and keeps it for later moves.
    async fn index(&mut self, context: &mut ReadContext<'_>) -> Result<Arc<TableIndex>> {
        if self.index.is_none() {
            self.index = Some(self.table.index(context).await?.share());
        }
        Ok(self.index.clone().expect("it was just set"))
    }

    /// Reads block `number` and returns the position of its first entry.
    async fn load(&mut self, number: usize, context: &mut ReadContext<'_>) -> Result<Position> {
        let index = self.index(context).await?;
        let span = self.table.span(&index, number)?;
        let block = match &mut self.window {
            Some(window) => self.table.block_in(&index, window, number, context).await?,
            None => self.table.block(&span, context).await?,
        };
        Ok(Position {
            number,
            span,
            block,
            entry: 0,
        })
    }

    /// Leaves the current position and returns it.
    fn leave(&mut self) -> Option<Position> {
        self.current = None;
        self.position.take()
    }

    /// Moves to a position.
    fn arrive(&mut self, position: Position) -> Result<()> {
        self.current = Some(self.table.place(&position)?);
        self.position = Some(position);
        Ok(())
    }
}
