//! The tables that a repair writes.

use std::path::PathBuf;
use std::sync::Arc;

use aura_policies::filter::FilterFacts;

use super::Repair;
use crate::directory::FileKind;
use crate::env::File;
use crate::error::{Error, Result};
use crate::index::IndexBuild;
use crate::storage::{Entry, Key};
use crate::table::{Table, TableBuilder, TableOptions};

/// How the names of tables end until they are whole.
pub(super) const UNWRITTEN: &str = ".sst.repair";

/// Takes entries in internal order: a new table whenever the last is full, never between two versions of a key.
pub(super) struct TableSink {
    level: usize,
    writer: Option<Writer>,
    last: Option<Key>,
    tables: Vec<Arc<Table>>,
}

struct Writer {
    number: u64,
    builder: TableBuilder,
    file: Arc<dyn File>,
    path: PathBuf,
}

impl TableSink {
    /// Tables for `level`.
    pub(super) fn new(level: usize) -> Self {
        Self {
            level,
            writer: None,
            last: None,
            tables: Vec::new(),
        }
    }

    /// Adds the next entry.
    pub(super) async fn add(&mut self, repair: &mut Repair<'_>, entry: &Entry) -> Result<()> {
        let full = self
            .writer
            .as_ref()
            .is_some_and(|it| it.builder.file_bytes() >= repair.config.table.size.as_u64());
        if full && self.last.as_ref() != Some(&entry.key) {
            self.end_table(repair).await?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.begin(repair)?);
        }
        self.last = Some(entry.key.clone());
        let writer = self.writer.as_mut().expect("just begun");
        writer.builder.add(entry, &mut repair.context.work).await
    }

    fn begin(&self, repair: &mut Repair<'_>) -> Result<Writer> {
        let number = repair.number();
        // No name of a table: what a crash leaves of it is nothing to the next repair.
        let path = repair.directory.join(format!("{number:06}{UNWRITTEN}"));
        let file = repair
            .env
            .fs
            .create(&path)
            .map_err(|error| Error::io("create", &path, error))?;
        let (table, policies) = (&repair.config.table, &repair.policies);
        let options = TableOptions {
            block_bytes: table.block.as_u64() as usize,
            compression: table.compression,
            filter: policies.filter.clone(),
            filter_name: table.filter.policy.clone(),
            index: IndexBuild {
                policy: policies.index.clone(),
                spec: table.index.clone(),
                gate: table.index_gate,
                clock: repair.env.clock.clone(),
            },
            facts: FilterFacts {
                level: self.level,
                deepest: self.level.max(1),
            },
            keeps_cuts: false,
        };
        let builder = TableBuilder::new(file.clone(), path.clone(), Arc::new(options));
        Ok(Writer {
            number,
            builder,
            file,
            path,
        })
    }

    /// Makes the table durable, but for its name, and gives it that.
    async fn end_table(&mut self, repair: &mut Repair<'_>) -> Result<()> {
        let Some(Writer {
            number,
            builder,
            file,
            path,
        }) = self.writer.take()
        else {
            return Ok(());
        };
        builder.finish(&mut repair.context.work).await?;
        file.sync()
            .await
            .map_err(|error| Error::io("sync", &path, error))?;
        let named = FileKind::Table.path(repair.directory, number);
        repair
            .env
            .fs
            .rename(&path, &named)
            .map_err(|error| Error::io("rename", &path, error))?;
        let table =
            Table::discover(repair.env.fs.clone(), named, number, &mut repair.context).await?;
        repair.context.charge();
        self.tables.push(Arc::new(table));
        Ok(())
    }

    /// Ends the last table; all of them.
    pub(super) async fn finish(mut self, repair: &mut Repair<'_>) -> Result<Vec<Arc<Table>>> {
        self.end_table(repair).await?;
        Ok(self.tables)
    }
}
