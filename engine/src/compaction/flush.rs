//! A sealed memtable becomes a table of level 0, and its range tombstones become the version's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_policies::facts::{TableFacts, TableId};
use aura_policies::filter::FilterFacts;
use aura_policies::warming::{Asks, Warming};

use crate::cache::Inputs;
use crate::compaction::VersionFilter;
use crate::compaction::new_files::{NewFile, NewTables};
use crate::compaction::warm::warm;
use crate::directory::FileKind;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::index::{IndexUse, Refusal};
use crate::limiter::Priority;
use crate::manifest::{AddedTable, Edit, Version};
use crate::memtable::{Memtable, ValueTail};
use crate::metrics::{Event, EventKind, add};
use crate::ranges::RangeTombstone;
use crate::state::{Inner, OpenedFiles, ReadState};
use crate::storage::{Entry, Sequence};
use crate::table::{Built, Table, TableBuilder, TableOptions};
use crate::values::Garbage;

/// Entries between two waits of a background job for the CPU it used, so that a simulation interleaves it with others.
pub(crate) const ENTRIES_A_SLICE: u64 = 256;

/// A table being written, with its number.
pub(crate) struct TableWriter {
    id: TableId,
    level: usize,
    from_flush: bool,
    warming: Arc<dyn Warming>,
    builder: TableBuilder,
    path: PathBuf,
    file: Arc<dyn crate::env::File>,
    unfinished: NewFile,
    /// Who asks for its I/O, and the bytes that were granted.
    priority: Priority,
    granted: u64,
}

impl Inner {
    /// Begins a table for `level` of a tree whose deepest level is `deepest`; the first level's are flushed.
    pub(crate) fn begin_table(
        &self,
        level: usize,
        deepest: usize,
        warming: &Arc<dyn Warming>,
        priority: Priority,
    ) -> Result<TableWriter> {
        let id = self.new_number();
        let path = FileKind::Table.path(&self.directory, id);
        let file = self
            .env
            .fs
            .create(&path)
            .map_err(|error| Error::io("create", &path, error))?;
        let unfinished = NewFile::new(&self.env.fs, &path);
        let table = &self.config().table;
        let options = TableOptions {
            block_bytes: table.block.as_u64() as usize,
            compression: table.compression,
            filter: self.policies().filter.clone(),
            filter_name: table.filter.policy.clone(),
            index: self.index_for(level, deepest)?,
            facts: FilterFacts { level, deepest },
            keeps_cuts: warming.asks() != Asks::Nothing,
        };
        let builder = TableBuilder::new(file.clone(), path.clone(), Arc::new(options));
        // Compactions never write to level 0: a plan that would is refused.
        let (from_flush, warming) = (level == 0, warming.clone());
        Ok(TableWriter {
            id,
            level,
            from_flush,
            warming,
            builder,
            path,
            file,
            unfinished,
            priority,
            granted: 0,
        })
    }

    /// Writes `memtable`, the oldest sealed one, to level 0.
    pub(crate) async fn flush_memtable(&self, memtable: &Arc<Memtable>) -> Result<()> {
        self.flush_memtables(
            std::slice::from_ref(memtable),
            memtable.tails(),
            Garbage::new(),
        )
        .await?;
        self.remove_file(&FileKind::Wal.path(&self.directory, memtable.wal));
        Ok(())
    }

    /// Writes `memtables`, the oldest sealed ones, the oldest first, to a table of level 0 each, and makes them live in one
    /// edit: their logs are needed until it is durable, and never again. `tails` is how far value files are filled for them,
    /// `garbage` what nothing has ever pointed at.
    pub(crate) async fn flush_memtables(
        &self,
        memtables: &[Arc<Memtable>],
        tails: &[ValueTail],
        garbage: Garbage,
    ) -> Result<()> {
        let start = self.env.clock.now();
        let ranges = memtables.iter().filter_map(|memtable| memtable.ranges());
        let fresh: Vec<RangeTombstone> = ranges.flat_map(|ranges| ranges.tombstones()).collect();
        let before = self.view.load().version.ranges.clone();
        let ranges = Arc::new(before.changed(&fresh, &BTreeSet::new()));
        let newest = fresh.iter().map(|tombstone| tombstone.sequence).max();
        let mut edit = Edit {
            values_dead: garbage,
            sequence: newest,
            ..Edit::default()
        };
        let mut tables = NewTables::default();
        let mut swept = Sequence::MAX;
        for memtable in memtables {
            let mut retain = VersionFilter::new(self.snapshots(), ranges.clone());
            if let Some(table) = self.write_table(memtable, &mut retain).await? {
                let facts = table.facts().clone();
                edit.sequence = edit.sequence.max(Some(facts.sequence_max));
                tables.push(table);
                edit.added.push(AddedTable {
                    level: 0,
                    run: self.new_number(),
                    facts,
                });
            }
            swept = swept.min(retain.swept());
            for (file, parts) in retain.garbage {
                edit.values_dead.entry(file).or_default().extend(parts);
            }
        }
        let tables = tables.keep().into_iter();
        let opened = OpenedFiles {
            tables: tables.map(|table| (table.facts().id, table)).collect(),
            ..OpenedFiles::default()
        };
        self.seal_tails(tails, &mut edit).await?;
        self.sync_directory().await?;
        let flushed =
            |memtable: &Arc<Memtable>| memtables.iter().any(|other| Arc::ptr_eq(other, memtable));
        let view = self.view.load();
        let others = view.memtables().filter(|memtable| !flushed(memtable));
        edit.wal_min = others.map(|other| other.wal).min();
        drop(view);
        let sizes: Vec<u64> = edit.added.iter().map(|table| table.facts.bytes).collect();
        let settled = |before: &Version| {
            edit.retire_ranges(before, &fresh, swept, &self.snapshots());
            edit
        };
        let without = |view: &ReadState, version| ReadState {
            active: view.active.clone(),
            sealed: view
                .sealed
                .iter()
                .filter(|memtable| !flushed(memtable))
                .cloned()
                .collect(),
            version: Arc::new(version),
        };
        self.commit_edit_with(settled, opened, without).await?;
        self.book_flushes(memtables.len() as u64, &sizes, start);
        Ok(())
    }

    fn book_flushes(&self, flushes: u64, sizes: &[u64], start_nanos: u64) {
        let end_nanos = self.env.clock.now();
        add(&self.counters.mine().flushes, flushes);
        for bytes in sizes.iter().copied() {
            add(&self.counters.mine().flush_bytes, bytes);
            self.counters.event(Event {
                start_nanos,
                end_nanos,
                kind: EventKind::Flush { bytes },
            });
        }
    }

    /// Makes durable what the tables of a flush may point at, which outlive the log; and books how far the files are settled.
    async fn seal_tails(&self, tails: &[ValueTail], edit: &mut Edit) -> Result<()> {
        let version = self.view.load().version.clone();
        let files = tails
            .iter()
            .filter_map(|tail| Some((tail, version.value_files.get(&tail.file)?)));
        for (tail, state) in files.filter(|(tail, state)| {
            !state.is_sealed() && (tail.full || tail.bytes > state.facts.accounted)
        }) {
            state.file.sync().await?;
            let settled = if tail.full {
                &mut edit.values_sealed
            } else {
                &mut edit.values_accounted
            };
            settled.push((tail.file, tail.bytes));
        }
        Ok(())
    }

    /// Writes what `retain` keeps of `memtable` to a table, if that is anything.
    async fn write_table(
        &self,
        memtable: &Memtable,
        retain: &mut VersionFilter,
    ) -> Result<Option<Arc<Table>>> {
        let deepest = self.view.load().version.levels.len().saturating_sub(1);
        let mut writer = None;
        let mut work = CpuWork::default();
        for (entries, entry) in (1..).zip(memtable.iter()) {
            // Level 0 lies above everything: a tombstone stays.
            if retain.keeps(&entry, |_| false) {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => writer.insert(self.begin_table(
                        0,
                        deepest,
                        &self.policies().warming,
                        Priority::Flush,
                    )?),
                };
                writer.add(self, &entry, &mut None, &mut work).await?;
            }
            if u64::is_multiple_of(entries, ENTRIES_A_SLICE) {
                self.env.clock.charge(&std::mem::take(&mut work));
                self.env.clock.wait_for_cpu().await;
            }
        }
        let table = match writer {
            Some(writer) => Some(writer.finish(self, &mut None, &mut work).await?.1),
            None => None,
        };
        self.forget_rows(memtable, &mut work);
        self.env.clock.charge(&work);
        Ok(table)
    }

    /// Makes the entries of new files durable.
    pub(crate) async fn sync_directory(&self) -> Result<()> {
        let synced = self.env.fs.sync_directory(&self.directory).await;
        synced.map_err(|error| Error::io("sync", &self.directory, error))
    }

    /// Removes a file that nothing refers to. One that cannot be removed now goes when the directory is next opened.
    pub(crate) fn remove_file(&self, path: &Path) {
        let _ = self.env.fs.remove(path);
    }
}

impl TableWriter {
    /// Adds the next entry in internal order. `inputs` are the blocks that a compaction has read.
    pub(crate) async fn add(
        &mut self,
        inner: &Inner,
        entry: &Entry,
        inputs: &mut Option<Inputs>,
        work: &mut CpuWork,
    ) -> Result<()> {
        self.builder.add(entry, work).await?;
        let appended = self.builder.appended_bytes();
        if appended > self.granted {
            inner.limit_io(self.priority, appended - self.granted).await;
            self.granted = appended;
        }
        let cuts = self.builder.take_cuts();
        warm(
            &inner.cache,
            &*self.warming,
            (self.id, self.level, self.from_flush),
            cuts,
            inputs,
        );
        Ok(())
    }

    /// Bytes written so far, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.builder.file_bytes()
    }

    /// Ends the table, makes it durable and opens it.
    pub(crate) async fn finish(
        self,
        inner: &Inner,
        inputs: &mut Option<Inputs>,
        work: &mut CpuWork,
    ) -> Result<(Arc<TableFacts>, Arc<Table>)> {
        let path = self.path;
        let built: Built = self.builder.finish(work).await?;
        inner
            .limit_io(self.priority, built.bytes - self.granted)
            .await;
        warm(
            &inner.cache,
            &*self.warming,
            (self.id, self.level, self.from_flush),
            built.cuts,
            inputs,
        );
        self.file
            .sync()
            .await
            .map_err(|error| Error::io("sync", &path, error))?;
        self.file.finish();
        let mine = inner.counters.mine();
        if built.index.used == IndexUse::Model || built.index.refusal.is_some() {
            add(&mine.index_trained_keys, built.index.keys);
            add(&mine.index_training_nanos, built.index.training_nanos);
        }
        if let Some(reason) = built.index.refusal {
            add(&mine.index_refused, 1);
            let counter = match reason {
                Refusal::Declined => &mine.index_declined,
                Refusal::Wrong | Refusal::Unreadable => &mine.index_wrong,
                Refusal::TooLarge => &mine.index_too_large,
                Refusal::TooWide => &mine.index_too_wide,
            };
            add(counter, 1);
        }
        let facts = Arc::new(TableFacts {
            id: self.id,
            bytes: built.bytes,
            entries: built.entries,
            deletions: built.deletions,
            separated_bytes: built.separated_bytes,
            smallest: built.smallest,
            largest: built.largest,
            sequence_min: built.sequence_min,
            sequence_max: built.sequence_max,
        });
        let mut context = inner.context();
        let table = Table::open(
            inner.env.fs.clone(),
            self.file,
            path,
            facts.clone(),
            &mut context,
        )
        .await?;
        context.charge();
        self.unfinished.keep();
        Ok((facts, Arc::new(table)))
    }
}
