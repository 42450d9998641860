//! A sealed memtable becomes a table of level 0.

use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::{TableFacts, TableId};
use aura_policies::filter::FilterFacts;
use aura_policies::warming::{Asks, Warming};

use crate::env::Work;
use crate::error::{Error, Result};
use crate::index::{IndexUse, Refusal};
use crate::limiter::Priority;
use crate::memtable::Memtable;
use crate::metrics::{Event, EventKind, add};
use crate::retain::Retain;
use crate::sst::{Built, Table, TableBuilder, TableOptions};
use crate::state::{Inner, OpenedFiles, View};
use crate::storage::{Entry, Kind};
use crate::version::{AddedTable, Edit, FileKind, Version};
use crate::warm::{Inputs, warm};

/// Entries between two waits of a background job for the CPU it used, so that a simulation interleaves it with others.
pub(crate) const ENTRIES_A_SLICE: u64 = 256;

/// A table being written, with its number.
pub(crate) struct TableWriter {
    id: TableId,
    level: usize,
    from_flush: bool,
    warming: Arc<dyn Warming>,
    builder: TableBuilder,
    file: Arc<dyn crate::env::File>,
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
        let file = self.env.fs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let table = &self.config.table;
        let options = TableOptions {
            block_bytes: table.block.as_u64() as usize,
            compression: table.compression,
            filter: self.policies.filter.clone(),
            filter_name: table.filter.policy.clone(),
            index: self.index_for(level, deepest)?,
            facts: FilterFacts { level, deepest },
            keeps_cuts: warming.asks() != Asks::Nothing,
        };
        let builder = TableBuilder::new(file.clone(), path, Arc::new(options));
        // Compactions never write to level 0: a plan that would is refused.
        let (from_flush, warming) = (level == 0, warming.clone());
        Ok(TableWriter { id, level, from_flush, warming, builder, file, priority, granted: 0 })
    }

    /// Removes the value files that hold only garbage, and books what `garbage` adds.
    pub(crate) fn book_garbage(&self, edit: &mut Edit, version: &Version, retain: &Retain) {
        for (file, state) in &version.value_files {
            let more = retain.garbage.get(file).copied().unwrap_or(0);
            let payload = |bytes: u64| bytes.saturating_sub(crate::vlog::format::MAGIC.len() as u64);
            match state.sealed_bytes {
                Some(bytes) if state.garbage_bytes + more >= payload(bytes) => edit.values_removed.push(*file),
                _ if more > 0 => edit.values_garbage.push((*file, more)),
                _ => {}
            }
        }
    }

    /// Files that an edit removes go when their last reader lets go.
    pub(crate) fn retire_values(&self, edit: &Edit, version: &Version) {
        for file in &edit.values_removed {
            if let Some(state) = version.value_files.get(file) {
                state.file.set_obsolete();
            }
        }
    }

    /// Writes `memtable`, the oldest sealed one, to level 0.
    pub(crate) async fn flush_memtable(&self, memtable: &Arc<Memtable>) -> Result<()> {
        let start = self.env.clock.now();
        let version = self.view.load().version.clone();
        let mut retain = Retain::new(self.snapshots());
        let deepest = version.levels.len().saturating_sub(1);
        let mut writer = self.begin_table(0, deepest, &self.warming(), Priority::Flush)?;
        let mut pointers = false;
        let mut work = Work::default();
        let mut entries = 0;
        for entry in memtable.iter() {
            // Level 0 lies above everything: a tombstone stays.
            if retain.keeps(&entry, |_| false) {
                pointers |= entry.kind == Kind::Pointer;
                writer.add(self, &entry, &mut None, &mut work).await?;
                entries += 1;
            }
            if (entries + retain.dropped).is_multiple_of(ENTRIES_A_SLICE) {
                self.env.clock.charge(&std::mem::take(&mut work));
                self.env.clock.settle().await;
            }
        }
        let (facts, table) = writer.finish(self, &mut None, &mut work).await?;
        self.forget_rows(memtable, &mut work);
        self.env.clock.charge(&work);
        if pointers {
            // The table outlives the log: what it points at must be as durable as it is.
            for state in version.value_files.values().filter(|state| state.sealed_bytes.is_none()) {
                state.file.sync().await?;
            }
        }
        self.sync_directory().await?;
        let view = self.view.load();
        let next = view.memtables().filter(|other| !Arc::ptr_eq(other, memtable)).map(|other| other.wal).min();
        let run = self.new_number();
        let bytes = facts.bytes;
        let mut edit = Edit {
            wal_min: next,
            sequence: Some(facts.sequence_max),
            added: vec![AddedTable { level: 0, run, facts }],
            ..Edit::default()
        };
        self.book_garbage(&mut edit, &view.version, &retain);
        self.retire_values(&edit, &view.version);
        drop(view);
        let opened = OpenedFiles { tables: [(table.facts().id, table)].into(), ..OpenedFiles::default() };
        self.commit_edit(edit, opened, |view, version| View {
            active: view.active.clone(),
            sealed: view.sealed.iter().filter(|other| !Arc::ptr_eq(other, memtable)).cloned().collect(),
            version: Arc::new(version),
        })
        .await?;
        add(&self.counters.mine().flushes, 1);
        add(&self.counters.mine().flush_bytes, bytes);
        let end_nanos = self.env.clock.now();
        self.counters.event(Event { start_nanos: start, end_nanos, kind: EventKind::Flush { bytes } });
        // After a recovery several memtables come from one log, which goes with the last of them.
        if next.is_some_and(|next| memtable.wal < next) {
            self.remove_file(&FileKind::Wal.path(&self.directory, memtable.wal));
        }
        Ok(())
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
        work: &mut Work,
    ) -> Result<()> {
        self.builder.add(entry, work).await?;
        let appended = self.builder.appended_bytes();
        if appended > self.granted {
            inner.limit_io(self.priority, appended - self.granted).await;
            self.granted = appended;
        }
        let cuts = self.builder.take_cuts();
        warm(&inner.cache, &*self.warming, (self.id, self.level, self.from_flush), cuts, inputs);
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
        work: &mut Work,
    ) -> Result<(Arc<TableFacts>, Arc<Table>)> {
        let path = FileKind::Table.path(&inner.directory, self.id);
        let built: Built = self.builder.finish(work).await?;
        inner.limit_io(self.priority, built.bytes - self.granted).await;
        warm(&inner.cache, &*self.warming, (self.id, self.level, self.from_flush), built.cuts, inputs);
        self.file.sync().await.map_err(|error| Error::io("sync", &path, error))?;
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
        let table = Table::open(inner.env.fs.clone(), self.file, path, facts.clone(), &mut context).await?;
        context.charge();
        Ok((facts, Arc::new(table)))
    }
}
