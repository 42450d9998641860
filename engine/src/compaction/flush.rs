//! A sealed memtable becomes a table of level 0, and its range tombstones become the version's.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::VersionFilter;
use super::new_files::NewTables;
use super::table_writer::{TableTarget, TableWriter};
use crate::directory::FileKind;
use crate::env::CpuWork;
use crate::error::Result;
use crate::limiter::Priority;
use crate::manifest::{AddedTable, Edit, Version};
use crate::memtable::{Memtable, ValueTail};
use crate::metrics::{Event, EventKind, add};
use crate::ranges::{RangeSet, RangeTombstone};
use crate::read::forget_rows;
use crate::state::{Core, OpenedFiles, ReadState, Tree};
use crate::storage::Sequence;
use crate::table::Table;
use crate::values::Garbage;

/// Entries between two waits of a background job for the CPU it used, so that a simulation
/// interleaves it with others.
pub(super) const ENTRIES_A_SLICE: u64 = 256;

/// Writes memtables to tables.
pub(crate) struct Flusher<'a> {
    pub(crate) core: &'a Core,
    pub(crate) tree: &'a Tree,
}

/// The tables that memtables became.
struct Written {
    tables: NewTables,
    added: Vec<AddedTable>,
    /// The version up to which every range tombstone has dropped all that it covers.
    swept: Sequence,
    /// What nothing points at any more.
    garbage: Garbage,
}

impl Flusher<'_> {
    /// Writes `memtable`, the oldest sealed one, to level 0, and removes its log.
    pub(crate) async fn flush(&self, memtable: &Arc<Memtable>) -> Result<()> {
        let memtables = std::slice::from_ref(memtable);
        self.flush_all(memtables, memtable.tails(), Garbage::new())
            .await?;
        let log = FileKind::Wal.path(self.core.directory(), memtable.wal);
        self.core.remove_file(&log);
        Ok(())
    }

    /// Writes `memtables`, the oldest sealed ones, the oldest first, to a table of level 0 each,
    /// and makes them live in one edit: their logs are needed until it is durable, and never again.
    /// `tails` says how far value files are filled for them, `garbage` is what nothing has ever
    /// pointed at.
    pub(crate) async fn flush_all(
        &self,
        memtables: &[Arc<Memtable>],
        tails: &[ValueTail],
        garbage: Garbage,
    ) -> Result<()> {
        let start = self.core.env().clock.now();
        let ranges = memtables.iter().filter_map(|memtable| memtable.ranges());
        let fresh: Vec<RangeTombstone> = ranges.flat_map(|ranges| ranges.tombstones()).collect();
        let before = self.tree.version().ranges.clone();
        let ranges = Arc::new(before.changed(&fresh, &BTreeSet::new()));
        let written = self.write_tables(memtables, &ranges, garbage).await?;
        let newest_range = fresh.iter().map(|tombstone| tombstone.sequence).max();
        let newest_entry = written.added.iter().map(|table| table.facts.sequence_max);
        let mut edit = Edit {
            sequence: newest_range.max(newest_entry.max()),
            added: written.added,
            values_dead: written.garbage,
            ..Edit::default()
        };
        let tables = written.tables.keep().into_iter();
        let opened = OpenedFiles {
            tables: tables.map(|table| (table.facts().id, table)).collect(),
            ..OpenedFiles::default()
        };
        self.seal_tails(tails, &mut edit).await?;
        self.tree.sync_directory().await?;
        edit.wal_min = self.oldest_log_without(memtables);
        let sizes: Vec<u64> = edit.added.iter().map(|table| table.facts.bytes).collect();
        let edit_after = |before: &Version| {
            edit.retire_ranges(before, &fresh, written.swept, &self.tree.snapshots());
            edit
        };
        let without = |state: &ReadState, version| state.without_flushed(memtables, version);
        self.tree.commit_with(edit_after, opened, without).await?;
        self.book(memtables.len() as u64, &sizes, start);
        Ok(())
    }

    /// The oldest log that is needed once `flushed` are tables.
    fn oldest_log_without(&self, flushed: &[Arc<Memtable>]) -> Option<u64> {
        let state = self.tree.load();
        let is_flushed = |it: &Arc<Memtable>| flushed.iter().any(|other| Arc::ptr_eq(other, it));
        let others = state.memtables().filter(|memtable| !is_flushed(memtable));
        others.map(|other| other.wal).min()
    }

    fn book(&self, flushes: u64, sizes: &[u64], start_nanos: u64) {
        let end_nanos = self.core.env().clock.now();
        let counters = self.core.counters();
        add(&counters.mine().flushes, flushes);
        for bytes in sizes.iter().copied() {
            add(&counters.mine().flush_bytes, bytes);
            counters.event(Event {
                start_nanos,
                end_nanos,
                kind: EventKind::Flush { bytes },
            });
        }
    }

    /// Makes durable what the tables of a flush may point at, which outlive the log; and books how
    /// far the value files are accounted for.
    async fn seal_tails(&self, tails: &[ValueTail], edit: &mut Edit) -> Result<()> {
        let version = self.tree.version();
        for tail in tails {
            let Some(state) = version.value_files.get(&tail.file) else {
                continue;
            };
            let is_new = tail.full || tail.bytes > state.facts.accounted;
            if state.is_sealed() || !is_new {
                continue;
            }
            self.tree.sync_values(&state.file).await?;
            let lost = tail.lost_from.filter(|from| *from < tail.bytes);
            if let Some(from) = lost {
                let dead = edit.values_dead.entry(tail.file).or_default();
                dead.push((from, tail.bytes));
            }
            let booked = if tail.full {
                &mut edit.values_sealed
            } else {
                &mut edit.values_accounted
            };
            booked.push((tail.file, tail.bytes));
        }
        Ok(())
    }

    /// Writes each memtable to a table, unless nothing of it is kept. Adds to `garbage`.
    async fn write_tables(
        &self,
        memtables: &[Arc<Memtable>],
        ranges: &Arc<RangeSet>,
        garbage: Garbage,
    ) -> Result<Written> {
        let mut written = Written {
            tables: NewTables::default(),
            added: Vec::new(),
            swept: Sequence::MAX,
            garbage,
        };
        for memtable in memtables {
            let mut filter = VersionFilter::new(self.tree.snapshots(), ranges.clone());
            if let Some(table) = self.write_table(memtable, &mut filter).await? {
                let facts = table.facts().clone();
                written.tables.push(table);
                written.added.push(AddedTable {
                    level: 0,
                    run: self.tree.new_number(),
                    facts,
                });
            }
            written.swept = written.swept.min(filter.swept());
            for (file, parts) in filter.garbage {
                written.garbage.entry(file).or_default().extend(parts);
            }
        }
        Ok(written)
    }

    /// Writes what `filter` keeps of `memtable` to a table. Returns None if that is nothing.
    async fn write_table(
        &self,
        memtable: &Memtable,
        filter: &mut VersionFilter,
    ) -> Result<Option<Arc<Table>>> {
        let deepest = self.tree.load().version.levels.len().saturating_sub(1);
        let clock = &self.core.env().clock;
        let mut writer = None;
        let mut work = CpuWork::default();
        for slice in memtable.slices() {
            for entry in &slice {
                // Level 0 lies above everything: a tombstone stays.
                if !filter.keeps(entry, |_| false) {
                    continue;
                }
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => {
                        let target = TableTarget {
                            level: 0,
                            deepest,
                            warming: self.core.policies().warming.clone(),
                            priority: Priority::Flush,
                        };
                        writer.insert(TableWriter::begin(self.core, self.tree, target)?)
                    }
                };
                writer.add(entry.into(), &mut None, &mut work).await?;
            }
            work.cursor_steps += slice.len() as u64;
            clock.charge(&std::mem::take(&mut work));
            clock.wait_for_cpu().await;
        }
        let table = match writer {
            Some(writer) => Some(writer.finish(&mut None, &mut work).await?),
            None => None,
        };
        forget_rows(self.core.cache(), memtable, &mut work);
        clock.charge(&work);
        Ok(table)
    }
}
