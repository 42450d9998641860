//! Carrying a plan out: read, merge, drop what nobody can see, write, swap.

use std::sync::Arc;

use aura_policies::warming::{Asks, Warming};

use super::job::{Job, JobKind};
use super::values::Values;
use crate::cache::{CacheKey, Inputs};
use crate::compaction::VersionFilter;
use crate::compaction::flush::{ENTRIES_A_SLICE, TableWriter};
use crate::compaction::new_files::NewTables;
use crate::context::ReadContext;
use crate::env::timed;
use crate::error::Result;
use crate::limiter::Priority;
use crate::manifest::{AddedTable, Edit, Version};
use crate::metrics::{Event, EventKind, add};
use crate::read::MergingIterator;
use crate::state::{Inner, OpenedFiles, ReadState};
use crate::storage::{Direction, Entry};
use crate::table::Table;
use crate::values::ValueFile;

/// What a merge wrote.
struct Merged {
    tables: Vec<Arc<Table>>,
    /// Value files, with their bytes.
    values: Vec<(Arc<ValueFile>, u64)>,
    retain: VersionFilter,
}

impl Inner {
    /// Does one compaction, and lets readers see the result.
    pub(crate) async fn compact_job(&self, job: &Job) -> Result<()> {
        let start_nanos = self.env.clock.now();
        let warming = self.policies().warming.clone();
        let as_they_are = |tables| Merged {
            tables,
            values: Vec::new(),
            retain: VersionFilter::new(Vec::new(), Default::default()),
        };
        let merged = match job.kind {
            JobKind::Move => as_they_are(job.tables().map(|(_, table)| table.clone()).collect()),
            JobKind::Drop => as_they_are(Vec::new()),
            JobKind::Merge => {
                let (merged, polled_nanos) =
                    timed(&*self.env.clock, self.merge_tables(job, &warming)).await;
                add(&self.counters.mine().compaction_cpu_nanos, polled_nanos);
                merged?
            }
        };
        let stays = job.kind == JobKind::Move || !warming.drops_dead();
        let dead = if stays {
            Vec::new()
        } else {
            self.cached_names(job).await
        };
        self.swap(job, &merged).await?;
        dead.iter().for_each(|name| self.cache.remove(name));
        let mine = self.counters.mine();
        let (mut read_bytes, mut write_bytes) = (0, 0);
        match job.kind {
            JobKind::Move => add(&mine.compaction_moves, 1),
            JobKind::Drop => {
                add(&mine.tables_dropped, job.tables().count() as u64);
                return Ok(());
            }
            JobKind::Merge => {
                add(&mine.compactions, 1);
                read_bytes = job.bytes();
                write_bytes = merged.tables.iter().map(|table| table.facts().bytes).sum();
            }
        }
        add(&mine.compaction_read_bytes, read_bytes);
        add(&mine.compaction_write_bytes, write_bytes);
        add(&mine.compaction_dropped, merged.retain.dropped);
        let end_nanos = self.env.clock.now();
        let kind = EventKind::Compaction {
            reason: job.reason,
            level: job.level,
            read_bytes,
            write_bytes,
        };
        self.counters.event(Event {
            start_nanos,
            end_nanos,
            kind,
        });
        Ok(())
    }

    /// What the cache may hold of the tables that are read. One whose index cannot be read ages out.
    async fn cached_names(&self, job: &Job) -> Vec<CacheKey<'static>> {
        let mut context = self.context().in_background();
        let mut names = Vec::new();
        for (_, table) in job.tables() {
            names.extend(table.cached_names(&mut context).await.unwrap_or_default());
        }
        context.charge();
        names
    }

    async fn merge_tables(&self, job: &Job, warming: &Arc<dyn Warming>) -> Result<Merged> {
        let levels = self.view.load().version.levels.len();
        let deepest = levels.saturating_sub(1).max(job.level);
        let mut context = self.context().in_background();
        context.inputs = (warming.asks() == Asks::Overlaps).then(Inputs::default);
        let mut merge = MergingIterator::new(Direction::Forward);
        for (level, run) in &job.inputs {
            merge.add_run(run.clone(), *level, true);
        }
        merge.seek(None, &mut context).await?;
        let (writer, last, tables) = (None, None, NewTables::default());
        let priority = job.priority();
        let mut output = Output {
            inner: self,
            warming,
            level: job.level,
            deepest,
            priority,
            writer,
            last,
            tables,
        };
        let mut values = Values::new(self)?;
        let mut retain = VersionFilter::new(self.snapshots(), job.ranges.clone());
        // What its tables write is granted as they are written.
        let (mut seen, mut granted) = (0u64, 0);
        while let Some(entry) = merge.entry() {
            if retain.keeps(entry, |key| job.nothing_below(key)) {
                let garbage = &mut retain.garbage;
                let settled = values.settle(entry, garbage, &mut context).await?;
                let entry = settled.as_ref().unwrap_or(entry);
                output.add(entry, &mut context).await?;
            }
            merge.step(&mut context).await?;
            seen += 1;
            if seen.is_multiple_of(ENTRIES_A_SLICE) {
                context.charge();
                self.env.clock.wait_for_cpu().await;
                let used = context.stats.device_read_bytes + values.moved_bytes;
                self.limit_io(priority, used - granted).await;
                granted = used;
                if self.is_closing() {
                    return Err(crate::Error::Closed);
                }
            }
        }
        output.end_table(&mut context).await?;
        context.charge();
        let used = context.stats.device_read_bytes + values.moved_bytes;
        self.limit_io(priority, used - granted).await;
        let cpu_nanos = context.charged_nanos;
        add(&self.counters.mine().compaction_cpu_nanos, cpu_nanos);
        let values = values.finish().await?;
        self.sync_directory().await?;
        Ok(Merged {
            tables: output.tables.keep(),
            values,
            retain,
        })
    }

    /// Replaces the inputs by the outputs in one edit.
    async fn swap(&self, job: &Job, merged: &Merged) -> Result<()> {
        let run = job.run.unwrap_or_else(|| self.new_number());
        let mut edit = Edit {
            removed: job
                .tables()
                .map(|(level, table)| (level, table.facts().id))
                .collect(),
            added: merged
                .tables
                .iter()
                .map(|table| AddedTable {
                    level: job.level,
                    run,
                    facts: table.facts().clone(),
                })
                .collect(),
            values_opened: merged.values.iter().map(|(file, _)| file.number).collect(),
            values_sealed: merged
                .values
                .iter()
                .map(|(file, bytes)| (file.number, *bytes))
                .collect(),
            values_dead: merged.retain.garbage.clone(),
            ..Edit::default()
        };
        let tables = merged
            .tables
            .iter()
            .map(|table| (table.facts().id, table.clone()))
            .collect();
        let values = merged
            .values
            .iter()
            .map(|(file, _)| (file.number, file.clone()))
            .collect();
        let settled = |before: &Version| {
            edit.retire_ranges(before, &[], merged.retain.swept(), &self.snapshots());
            edit
        };
        self.commit_edit_with(
            settled,
            OpenedFiles { tables, values },
            ReadState::with_version,
        )
        .await?;
        if job.kind != JobKind::Move {
            let now = self.env.clock.now();
            for (level, table) in job.tables() {
                self.index_book.retire(level, table, now);
                table.mark_obsolete();
            }
        }
        Ok(())
    }
}

/// The tables a merge writes: a new one whenever the last is full, never between two versions of a key.
struct Output<'a> {
    inner: &'a Inner,
    warming: &'a Arc<dyn Warming>,
    level: usize,
    deepest: usize,
    priority: Priority,
    writer: Option<TableWriter>,
    last: Option<crate::Key>,
    tables: NewTables,
}

impl Output<'_> {
    async fn add(&mut self, entry: &Entry, context: &mut ReadContext<'_>) -> Result<()> {
        let full = self
            .writer
            .as_ref()
            .is_some_and(|it| it.bytes() >= self.inner.config().table.size.as_u64());
        if full && self.last.as_ref() != Some(&entry.key) {
            self.end_table(context).await?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.inner.begin_table(
                self.level,
                self.deepest,
                self.warming,
                self.priority,
            )?);
        }
        self.last = Some(entry.key.clone());
        let writer = self.writer.as_mut().expect("just begun");
        writer
            .add(self.inner, entry, &mut context.inputs, &mut context.work)
            .await
    }

    async fn end_table(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            let (_, table) = writer
                .finish(self.inner, &mut context.inputs, &mut context.work)
                .await?;
            self.tables.push(table);
            context.charge();
        }
        Ok(())
    }
}
