//! Writes the tables of a repair.

use std::path::Path;
use std::sync::Arc;

use aura_policies::filter::FilterFacts;

use super::Repair;
use crate::compaction::NewFile;
use crate::directory::{FileKind, Files, NamedFile};
use crate::env::Env;
use crate::error::Result;
use crate::index::IndexBuild;
use crate::storage::EntryRef;
use crate::table::{Table, TableBuilder, TableOptions};

/// What the names of tables that are not yet whole end with.
const UNWRITTEN: &str = ".repair";

/// Removes the unfinished tables that an interrupted repair has left: they take space that this one
/// may need. One that cannot be removed does no harm.
pub(super) fn remove_unwritten(env: &Env, directory: &Path) -> Result<()> {
    for name in Files::of(env).list(directory)? {
        let whole = name.strip_suffix(UNWRITTEN).and_then(FileKind::parse);
        if matches!(whole, Some((FileKind::Table, _))) {
            let _ = env.fs.remove(&directory.join(name));
        }
    }
    Ok(())
}

/// Writes entries, given in internal order, to tables. A new table begins when the last one is
/// full, but never between two versions of a key.
pub(super) struct TableSink {
    level: usize,
    writer: Option<Writer>,
    /// The key that was added last; empty before the first.
    last: Vec<u8>,
    tables: Vec<Arc<Table>>,
}

struct Writer {
    number: u64,
    builder: TableBuilder,
    file: NamedFile,
    unfinished: NewFile,
}

impl TableSink {
    /// Creates a sink for tables of `level`.
    pub(super) fn new(level: usize) -> Self {
        Self {
            level,
            writer: None,
            last: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Adds the next entry.
    pub(super) async fn add(&mut self, repair: &mut Repair<'_>, entry: EntryRef<'_>) -> Result<()> {
        let bytes_max = repair.config.table.size.as_u64();
        let writer = self.writer.as_ref();
        let full = writer.is_some_and(|it| it.builder.file_bytes() >= bytes_max);
        if full && self.last != entry.key {
            self.end_table(repair).await?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.begin(repair)?);
        }
        self.last.clear();
        self.last.extend_from_slice(entry.key);
        let writer = self.writer.as_mut().expect("just begun");
        writer.builder.add(entry, &mut repair.context.work).await
    }

    fn begin(&self, repair: &mut Repair<'_>) -> Result<Writer> {
        let number = repair.number();
        // It is not a table's name, so the next repair ignores what a crash leaves of it.
        let name = format!("{}{UNWRITTEN}", FileKind::Table.name(number));
        let path = repair.directory.join(name);
        let file = Files::of(repair.env).create(&path)?;
        let unfinished = NewFile::new(&repair.env.fs, &path);
        let table = repair.config.table.at(self.level);
        let policies = repair.policies.tables(self.level);
        let options = TableOptions {
            block_bytes: table.block.as_u64() as usize,
            compression: table.compression,
            filter: policies.filter.clone(),
            filter_name: table.filter.policy.clone(),
            index: IndexBuild {
                policy: policies.index.clone(),
                spec: table.index.clone(),
                gate: repair.config.table.index_gate,
                clock: repair.env.clock.clone(),
            },
            facts: FilterFacts {
                level: self.level,
                deepest: self.level.max(1),
                // The tree is not known before all its tables are written.
                levels: Vec::new(),
            },
            keeps_cuts: false,
        };
        let builder = TableBuilder::new(file.clone(), Arc::new(options));
        Ok(Writer {
            number,
            builder,
            file,
            unfinished,
        })
    }

    /// Finishes the table, syncs it, and gives it its final name. That name is not yet durable, and
    /// the repair removes the table if it fails.
    async fn end_table(&mut self, repair: &mut Repair<'_>) -> Result<()> {
        let Some(Writer {
            number,
            builder,
            file,
            unfinished,
        }) = self.writer.take()
        else {
            return Ok(());
        };
        builder.finish(&mut repair.context.work).await?;
        file.sync().await?;
        let named = FileKind::Table.path(repair.directory, number);
        Files::of(repair.env).rename(file.path(), &named)?;
        unfinished.keep();
        let fs = repair.env.fs.clone();
        let unopened = NewFile::new(&fs, &named);
        let table = Table::discover(fs, &named, number, &mut repair.context).await?;
        unopened.keep();
        repair.context.charge();
        let table = Arc::new(table);
        repair.new_tables.push(table.clone());
        self.tables.push(table);
        Ok(())
    }

    /// Finishes the last table. Returns all tables.
    pub(super) async fn finish(mut self, repair: &mut Repair<'_>) -> Result<Vec<Arc<Table>>> {
        self.end_table(repair).await?;
        Ok(self.tables)
    }
}
