//! Writes the tables of a repair.

use std::path::PathBuf;
use std::sync::Arc;

use aura_policies::filter::FilterFacts;

use super::Repair;
use crate::directory::{FileKind, Files};
use crate::env::File;
use crate::error::{Error, Result};
use crate::index::IndexBuild;
use crate::storage::{Entry, Key};
use crate::table::{Table, TableBuilder, TableOptions};

/// Extension of tables that are not yet whole.
pub(super) const UNWRITTEN: &str = ".sst.repair";

/// Writes entries, given in internal order, to tables. A new table begins when the last one is
/// full, but never between two versions of a key.
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
    /// Creates a sink for tables of `level`.
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
        let bytes_max = repair.config.table.size.as_u64();
        let writer = self.writer.as_ref();
        let full = writer.is_some_and(|it| it.builder.file_bytes() >= bytes_max);
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
        // It is not a table's name, so the next repair ignores what a crash leaves of it.
        let path = repair.directory.join(format!("{number:06}{UNWRITTEN}"));
        let (file, path) = Files::of(repair.env).create(&path)?.into_parts();
        let table = &repair.config.table;
        let policies = &repair.policies;
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

    /// Finishes the table, syncs it, and gives it its final name. That name is not yet durable.
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
        Files::of(repair.env).rename(&path, &named)?;
        let fs = repair.env.fs.clone();
        let table = Table::discover(fs, named, number, &mut repair.context).await?;
        repair.context.charge();
        self.tables.push(Arc::new(table));
        Ok(())
    }

    /// Finishes the last table. Returns all tables.
    pub(super) async fn finish(mut self, repair: &mut Repair<'_>) -> Result<Vec<Arc<Table>>> {
        self.end_table(repair).await?;
        Ok(self.tables)
    }
}
