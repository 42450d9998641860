//! Walks a table's entries in internal order, both ways.

use std::sync::Arc;

use super::reader::{Position, Table, Window};
use crate::context::ReadContext;
use crate::error::Result;
use crate::index::TableIndex;
use crate::storage::{Entry, Sequence};

/// A place in a table, or none. A cursor that has run off either end, or met an error, must seek again.
pub(crate) struct TableCursor {
    table: Arc<Table>,
    /// The table's index, from the first move on.
    index: Option<Arc<TableIndex>>,
    /// What a sequential cursor has read ahead; None for one that goes through the cache.
    window: Option<Window>,
    position: Option<Position>,
    current: Option<Entry>,
}

impl TableCursor {
    /// A cursor that is nowhere yet and reads block by block through the cache.
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self {
            table,
            index: None,
            window: None,
            position: None,
            current: None,
        }
    }

    /// A cursor for jobs that read a table from one end to the other: it asks the device for many blocks at a time and
    /// leaves the cache alone, but for the block that a `seek` in the middle looks for.
    pub(crate) fn sequential(table: Arc<Table>) -> Self {
        Self {
            window: Some(Window::default()),
            ..Self::new(table)
        }
    }

    /// The entry it stands at.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.current.as_ref()
    }

    /// Goes to the first entry not before (`key`, `sequence`).
    ///
    /// # Errors
    /// As of all its moves: [`Error::Corruption`](crate::error::Error) or [`Error::Io`](crate::error::Error).
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
        found.map_or(Ok(()), |position| self.arrive(position))
    }

    /// Goes to the first entry.
    pub(crate) async fn seek_first(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        self.leave();
        let position = self.load(0, context).await?;
        self.arrive(position)
    }

    /// Goes to the last entry.
    pub(crate) async fn seek_last(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        self.leave();
        self.enter_last(self.table.block_count() - 1, context).await
    }

    /// Goes to the last entry whose user key is below `key`: the oldest version of the next smaller one.
    pub(crate) async fn seek_before(
        &mut self,
        key: &[u8],
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        self.leave();
        let index = self.index(context).await?;
        match self
            .table
            .lower_bound(&index, key, Sequence::MAX, false, context)
            .await?
        {
            Some(position) => {
                self.position = Some(position);
                self.prev(context).await
            }
            None => self.seek_last(context).await,
        }
    }

    /// Goes one entry on.
    pub(crate) async fn next(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        let Some(mut position) = self.leave() else {
            return Ok(());
        };
        position.entry += 1;
        if position.entry == position.block.len() {
            let number = position.number + 1;
            if number == self.table.block_count() {
                return Ok(());
            }
            position = self.load(number, context).await?;
        }
        self.arrive(position)
    }

    /// Goes one entry back.
    pub(crate) async fn prev(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        let Some(mut position) = self.leave() else {
            return Ok(());
        };
        match (position.entry, position.number) {
            (0, 0) => Ok(()),
            (0, number) => self.enter_last(number - 1, context).await,
            _ => {
                position.entry -= 1;
                self.arrive(position)
            }
        }
    }

    async fn enter_last(&mut self, number: usize, context: &mut ReadContext<'_>) -> Result<()> {
        let mut position = self.load(number, context).await?;
        position.entry = position.block.len() - 1;
        self.arrive(position)
    }

    async fn index(&mut self, context: &mut ReadContext<'_>) -> Result<Arc<TableIndex>> {
        if self.index.is_none() {
            self.index = Some(self.table.index(context).await?.share());
        }
        Ok(self.index.clone().expect("just put there"))
    }

    /// The first entry of a block.
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

    fn leave(&mut self) -> Option<Position> {
        self.current = None;
        self.position.take()
    }

    fn arrive(&mut self, position: Position) -> Result<()> {
        self.current = Some(self.table.entry(&position)?);
        self.position = Some(position);
        Ok(())
    }
}
