//! Carrying a plan out: read, merge, drop what nobody can see, write, swap.

use std::sync::Arc;

use aura_policies::facts::{LEVELS_COUNTED, Reason};
use aura_policies::warming::{Asks, Warming};

use super::flush::ENTRIES_A_SLICE;
use super::job::{Job, JobKind};
use super::new_files::NewTables;
use super::table_writer::{TableTarget, TableWriter};
use super::values::Values;
use super::{Scheduler, VersionFilter};
use crate::cache::{CacheKey, Inputs};
use crate::context::ReadContext;
use crate::env::timed;
use crate::error::{Error, Result};
use crate::manifest::{AddedTable, Edit, Version};
use crate::metrics::{Event, EventKind, add};
use crate::read::MergingIterator;
use crate::state::{Core, Lifecycle, OpenedFiles, ReadState, Tree};
use crate::storage::{Direction, EntryRef, Sequence};
use crate::table::Table;
use crate::values::{Garbage, ValueFile};

/// A compaction to carry out.
pub(crate) struct Compaction<'a> {
    pub(crate) core: &'a Core,
    pub(crate) tree: &'a Tree,
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) job: &'a Job,
}

/// What takes the place of the tables that are read.
#[derive(Default)]
struct Outcome {
    tables: Vec<Arc<Table>>,
    /// Value files, with their bytes.
    values: Vec<(Arc<ValueFile>, u64)>,
    /// Entries that were dropped.
    dropped: u64,
    /// What nothing points at any more.
    garbage: Garbage,
    /// The version up to which every range tombstone has dropped all that it covers.
    swept: Sequence,
}

impl Compaction<'_> {
    /// Does the compaction, and lets readers see the result.
    pub(crate) async fn run(&self) -> Result<()> {
        let start_nanos = self.core.env().clock.now();
        let warming = self.core.policies().warming.clone();
        let outcome = match self.job.kind {
            JobKind::Move => Outcome {
                tables: self.job.tables().map(|(_, table)| table.clone()).collect(),
                ..Outcome::default()
            },
            JobKind::Drop => Outcome::default(),
            JobKind::Merge => {
                let clock = &*self.core.env().clock;
                let (outcome, polled_nanos) = timed(clock, self.merge(&warming)).await;
                let mine = self.core.counters().mine();
                add(&mine.compaction_cpu_nanos, polled_nanos);
                outcome?
            }
        };
        let stays = self.job.kind == JobKind::Move || !warming.drops_dead();
        let dead = match stays {
            true => Vec::new(),
            false => self.cached_names().await,
        };
        self.swap(&outcome).await?;
        for name in &dead {
            self.core.cache().remove(name);
        }
        self.book(&outcome, start_nanos);
        Ok(())
    }

    fn book(&self, outcome: &Outcome, start_nanos: u64) {
        let job = self.job;
        let mine = self.core.counters().mine();
        let mut read_bytes = 0;
        let mut write_bytes = 0;
        match job.kind {
            JobKind::Move => add(&mine.compaction_moves, 1),
            JobKind::Drop => {
                add(&mine.tables_dropped, job.tables().count() as u64);
                return;
            }
            JobKind::Merge => {
                add(&mine.compactions, 1);
                read_bytes = job.bytes();
                write_bytes = outcome.tables.iter().map(|it| it.facts().bytes).sum();
            }
        }
        let source = job.inputs.first().map_or(0, |(level, _)| *level);
        let of_level = &mine.level_compaction_bytes[source.min(LEVELS_COUNTED - 1)];
        add(of_level, write_bytes);
        if job.reason == Reason::Agent {
            add(&mine.agent_bytes, write_bytes);
        }
        add(&mine.compaction_read_bytes, read_bytes);
        add(&mine.compaction_write_bytes, write_bytes);
        add(&mine.compaction_dropped, outcome.dropped);
        self.core.counters().event(Event {
            start_nanos,
            end_nanos: self.core.env().clock.now(),
            kind: EventKind::Compaction {
                reason: job.reason,
                level: job.level,
                read_bytes,
                write_bytes,
            },
        });
    }

    /// What the cache may hold of the tables that are read. Of a table whose index cannot be read,
    /// it ages out.
    async fn cached_names(&self) -> Vec<CacheKey<'static>> {
        let mut context = self.core.context().in_background();
        let mut names = Vec::new();
        for (_, table) in self.job.tables() {
            names.extend(table.cached_names(&mut context).await.unwrap_or_default());
        }
        context.charge();
        names
    }

    async fn merge(&self, warming: &Arc<dyn Warming>) -> Result<Outcome> {
        let job = self.job;
        let levels = self.tree.load().version.levels.len();
        let mut context = self.core.context().in_background();
        context.inputs = (warming.asks() == Asks::Overlaps).then(Inputs::default);
        let mut merge = MergingIterator::new(Direction::Forward);
        for (level, run) in &job.inputs {
            merge.add_run(run.clone(), *level, true);
        }
        merge.seek(None, &mut context).await?;
        let target = TableTarget {
            level: job.level,
            deepest: levels.saturating_sub(1).max(job.level),
            warming: warming.clone(),
            priority: job.priority(),
        };
        let mut output = Output::new(self.core, self.tree, target);
        let mut values = Values::new(self.core, self.tree, self.scheduler)?;
        let mut filter = VersionFilter::new(self.tree.snapshots(), job.ranges.clone());
        let mut seen = 0u64;
        // What its tables write is granted as they are written.
        let mut granted = 0;
        while let Some(entry) = merge.entry() {
            if filter.keeps(entry, |key| job.nothing_below(key)) {
                let garbage = &mut filter.garbage;
                let rewritten = values.rewrite(entry, garbage, &mut context).await?;
                let entry = rewritten.as_ref().map_or(entry, EntryRef::from);
                output.add(entry, &mut context).await?;
            }
            merge.step(&mut context).await?;
            seen += 1;
            if seen.is_multiple_of(ENTRIES_A_SLICE) {
                context.charge();
                self.core.env().clock.wait_for_cpu().await;
                let used = context.stats.device_read_bytes + values.moved_bytes;
                self.core.limit_io(job.priority(), used - granted).await;
                granted = used;
                if self.lifecycle.is_closing() {
                    return Err(Error::Closed);
                }
            }
        }
        output.end_table(&mut context).await?;
        context.charge();
        let used = context.stats.device_read_bytes + values.moved_bytes;
        self.core.limit_io(job.priority(), used - granted).await;
        let cpu_nanos = context.charged_nanos;
        add(&self.core.counters().mine().compaction_cpu_nanos, cpu_nanos);
        let values = values.finish().await?;
        self.tree.sync_directory().await?;
        Ok(Outcome {
            tables: output.tables.keep(),
            values,
            dropped: filter.dropped,
            swept: filter.swept(),
            garbage: filter.garbage,
        })
    }

    /// Replaces the inputs by the outputs in one edit.
    async fn swap(&self, outcome: &Outcome) -> Result<()> {
        let job = self.job;
        let run = job.run.unwrap_or_else(|| self.tree.new_number());
        let mut edit = Edit {
            removed: job
                .tables()
                .map(|(level, table)| (level, table.facts().id))
                .collect(),
            values_dead: outcome.garbage.clone(),
            ..Edit::default()
        };
        let mut opened = OpenedFiles::default();
        for table in &outcome.tables {
            let facts = table.facts().clone();
            opened.tables.insert(facts.id, table.clone());
            edit.added.push(AddedTable {
                level: job.level,
                run,
                facts,
            });
        }
        for (file, bytes) in &outcome.values {
            opened.values.insert(file.number, file.clone());
            edit.values_opened.push(file.number);
            edit.values_sealed.push((file.number, *bytes));
        }
        let edit_after = |before: &Version| {
            edit.retire_ranges(before, &[], outcome.swept, &self.tree.snapshots());
            edit
        };
        self.tree
            .commit_with(edit_after, opened, ReadState::with_version)
            .await?;
        if job.kind != JobKind::Move {
            let now = self.core.env().clock.now();
            for (level, table) in job.tables() {
                self.core.index_book().retire(level, table, now);
                table.mark_obsolete();
            }
        }
        Ok(())
    }
}

/// The tables a merge writes: a new one whenever the last is full, never between two versions of a
/// key.
struct Output<'a> {
    core: &'a Core,
    tree: &'a Tree,
    target: TableTarget,
    writer: Option<TableWriter<'a>>,
    /// The key that was added last; empty before the first.
    last: Vec<u8>,
    tables: NewTables,
}

impl<'a> Output<'a> {
    fn new(core: &'a Core, tree: &'a Tree, target: TableTarget) -> Self {
        Self {
            core,
            tree,
            target,
            writer: None,
            last: Vec::new(),
            tables: NewTables::default(),
        }
    }

    async fn add(&mut self, entry: EntryRef<'_>, context: &mut ReadContext<'_>) -> Result<()> {
        let table_bytes = self.core.config().table.size.as_u64();
        let is_full = self
            .writer
            .as_ref()
            .is_some_and(|it| it.bytes() >= table_bytes);
        if is_full && self.last != entry.key {
            self.end_table(context).await?;
        }
        self.last.clear();
        self.last.extend_from_slice(entry.key);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let target = self.target.clone();
                let writer = TableWriter::begin(self.core, self.tree, target)?;
                self.writer.insert(writer)
            }
        };
        writer
            .add(entry, &mut context.inputs, &mut context.work)
            .await
    }

    async fn end_table(&mut self, context: &mut ReadContext<'_>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            let table = writer
                .finish(&mut context.inputs, &mut context.work)
                .await?;
            self.tables.push(table);
            context.charge();
        }
        Ok(())
    }
}
