//! What the background does now, what is due next, and what it owes.
//!
//! The scheduler chooses jobs and keeps two from touching the same tables. It does none of them:
//! the tasks in `db/background.rs` do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aura_policies::facts::{Plan, TableId, TableReads, TreeShape};
use aura_policies::layout::plan_everything;
use aura_policies::picker::{Asks, report_move};

use super::value_log::ValueLogState;
use super::wishes::Wishes;
use super::{Job, check};
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::metrics::add;
use crate::state::{Core, Lifecycle, Tree};
use crate::storage::Sequence;
use crate::sync::lock;
use crate::table::Table;

/// The jobs that run. Nothing is chosen while this is looked at by somebody else.
#[derive(Default)]
pub(super) struct Jobs {
    /// Tables that running compactions read.
    busy: BTreeSet<TableId>,
    /// Levels that running compactions read or write.
    pub(super) busy_levels: BTreeSet<usize>,
    /// Compactions running.
    compactions: usize,
    /// The log of the memtable that is being flushed.
    flushing: Option<u64>,
    /// Value files on disk that are being collected, or cannot be.
    collecting: BTreeSet<u64>,
    /// Whether compactions are held back, because the user's own is about to run.
    exclusive: bool,
    /// What an agent wants.
    pub(super) wishes: Wishes,
}

impl Jobs {
    /// Marks what `job` touches as busy.
    fn reserve(&mut self, job: Job) -> Job {
        for (level, table) in job.tables() {
            self.busy.insert(table.facts().id);
            self.busy_levels.insert(level);
        }
        self.busy_levels.insert(job.level);
        self.compactions += 1;
        job
    }

    /// Gives back what `job` touched.
    fn release(&mut self, job: &Job) {
        for (level, table) in job.tables() {
            self.busy.remove(&table.facts().id);
            self.busy_levels.remove(&level);
        }
        self.busy_levels.remove(&job.level);
        self.compactions -= 1;
    }
}

/// Chooses background jobs, and says how far the background is behind.
pub(crate) struct Scheduler {
    pub(super) core: Arc<Core>,
    pub(super) tree: Arc<Tree>,
    pub(super) lifecycle: Arc<Lifecycle>,
    /// Held while a job is chosen and reserved, and while one is given back.
    pub(super) jobs: Mutex<Jobs>,
    /// Bytes of compaction debt when the tree last changed.
    tree_debt: AtomicU64,
    /// Bytes of garbage to collect when the tree last changed.
    value_debt: AtomicU64,
    /// The part of the value log that is garbage, in millionths, while files are collected for it;
    /// 0 while none are.
    garbage_ppm: AtomicU64,
    /// Changes of the tree, and of what works on it.
    changes: AtomicU64,
    /// `changes` when the collector last found nothing due.
    gc_looked: AtomicU64,
    /// How often tables were asked by the end of the last window of reads.
    asked: Mutex<Asked>,
}

/// How often tables were asked by the end of a window, so that what is due does not change while
/// nobody is woken to look.
#[derive(Default)]
struct Asked {
    /// The windows that had ended; None before the first look.
    windows: Option<u64>,
    reads: BTreeMap<TableId, TableReads>,
}

impl Scheduler {
    /// A scheduler of a tree on which nothing works yet.
    pub(crate) fn new(core: Arc<Core>, tree: Arc<Tree>, lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            core,
            tree,
            lifecycle,
            jobs: Mutex::new(Jobs::default()),
            tree_debt: AtomicU64::new(0),
            value_debt: AtomicU64::new(0),
            garbage_ppm: AtomicU64::new(0),
            changes: AtomicU64::new(1),
            gc_looked: AtomicU64::new(0),
            asked: Mutex::default(),
        }
    }

    /// The tree as policies see it, whatever runs.
    pub(crate) fn shape(&self) -> TreeShape {
        self.shape_of(&self.tree.version(), &Jobs::default())
    }

    /// The tree as policies see it, with everything busy that a running compaction touches.
    fn shape_of(&self, version: &Version, jobs: &Jobs) -> TreeShape {
        let config = self.core.config();
        let mut shape = version.shape(self.core.level0_trigger(), config.base_bytes());
        self.core.overrides().show(&mut shape);
        shape.busy.clone_from(&jobs.busy);
        for level in &jobs.busy_levels {
            let level = shape.levels.get(*level).into_iter();
            let tables = level.flat_map(|it| &it.runs).flat_map(|run| &run.tables);
            let ids: Vec<_> = tables.map(|table| table.id).collect();
            shape.busy.extend(ids);
        }
        shape.oldest_snapshot = self.tree.oldest_snapshot();
        self.answer_picker(&mut shape, version);
        shape
    }

    /// Adds what the picker wants to know of the tables of `version`.
    fn answer_picker(&self, shape: &mut TreeShape, version: &Version) {
        match self.core.policies().picker_asks {
            Asks::Nothing => {}
            Asks::Reads => shape.reads = self.reads(version),
            Asks::Misses => {
                let windows = Some(self.core.read_windows().ended());
                let mut asked = lock(&self.asked);
                if asked.windows != windows {
                    let reads = self.reads(version);
                    *asked = Asked { windows, reads };
                }
                shape.reads.clone_from(&asked.reads);
            }
            Asks::Deletions => {
                let tables = version.tables().map(|(_, table)| table);
                let known = |table: &Arc<Table>| Some((table.facts().id, table.oldest_deletion()?));
                shape.oldest_deletions.extend(tables.filter_map(known));
            }
        }
    }

    /// How often the tables of `version` were asked so far.
    fn reads(&self, version: &Version) -> BTreeMap<TableId, TableReads> {
        let now = self.core.env().clock.now();
        let reads = version.tables().map(|(_, table)| {
            let lookups = table.lookups().read(now);
            let reads = TableReads {
                lookups: lookups.found + lookups.absent,
                misses: lookups.absent,
                life_nanos: lookups.life_nanos,
            };
            (table.facts().id, reads)
        });
        reads.collect()
    }

    /// Chooses the most urgent compaction and reserves what it touches; None if nothing is due.
    ///
    /// A merge that an agent has asked for comes first. Otherwise the layout proposes a plan. A
    /// plan that is not lawful is counted, and nothing is done.
    pub(crate) fn next_compaction(&self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        if jobs.exclusive {
            return None;
        }
        let version = self.tree.version();
        if let Some(job) = self.drop_hidden(&version, &jobs) {
            return Some(jobs.reserve(job));
        }
        let shape = self.shape_of(&version, &jobs);
        if let Some(plan) = jobs.next_merge(&shape)
            && self.is_lawful(&shape, &plan)
        {
            return Some(jobs.reserve(Job::new(&version, &plan)));
        }
        if jobs.wishes.is_held(|| self.presses(&version)) {
            return None;
        }
        let policies = self.core.policies();
        let mut picker = lock(&policies.picker);
        let plan = policies.layout.plan(&shape, &**picker)?;
        if !self.is_lawful(&shape, &plan) || jobs.wishes.wait_for(&plan) {
            return None;
        }
        // What a running compaction will write there is not in the tree yet: a table moved in now
        // could overlap it.
        if jobs.busy_levels.contains(&plan.level) {
            return None;
        }
        report_move(&mut **picker, &shape, &plan);
        let picked = u64::from(plan.picked.is_some());
        add(&self.core.counters().mine().compaction_picks, picked);
        Some(jobs.reserve(Job::new(&version, &plan)))
    }

    /// Whether `plan` may be carried out. One that may not is counted.
    fn is_lawful(&self, shape: &TreeShape, plan: &Plan) -> bool {
        let checked = check(shape, plan);
        if let Err(what) = &checked {
            add(&self.core.counters().mine().plans_refused, 1);
            let what = what.clone();
            debug_assert!(false, "{}: {plan:?}", Error::UnlawfulPlan { what });
        }
        checked.is_ok()
    }

    fn drop_hidden(&self, version: &Version, jobs: &Jobs) -> Option<Job> {
        Job::drop_hidden(version, &jobs.busy_levels, || {
            self.tree.oldest_snapshot().unwrap_or(Sequence::MAX)
        })
    }

    /// Chooses the merge of everything into one run, and reserves it; None if the tree is one run
    /// already and range tombstones hide nothing in it.
    ///
    /// # Errors
    /// [`Error::UnlawfulPlan`] if another compaction runs.
    pub(crate) fn merge_of_everything(&self) -> Result<Option<Job>> {
        let mut jobs = lock(&self.jobs);
        let version = self.tree.version();
        let shape = self.shape_of(&version, &jobs);
        let mut plan = plan_everything(&shape);
        if plan.is_none() && !version.ranges.is_empty() {
            plan = super::job::plan_again(&shape);
        }
        let Some(plan) = plan else { return Ok(None) };
        check(&shape, &plan).map_err(|what| Error::UnlawfulPlan { what })?;
        Ok(Some(jobs.reserve(Job::new(&version, &plan))))
    }

    /// Gives back what a compaction touched; it has ended.
    pub(crate) fn end_compaction(&self, job: &Job) {
        lock(&self.jobs).release(job);
        self.tree_changed();
    }

    /// Notes that the memtable whose log has the number `log` is being flushed.
    pub(crate) fn begin_flush(&self, log: u64) {
        lock(&self.jobs).flushing = Some(log);
    }

    /// Notes that the flush has ended.
    pub(crate) fn end_flush(&self) {
        lock(&self.jobs).flushing = None;
        self.tree_changed();
    }

    /// Value files on disk that are being collected, or cannot be.
    pub(super) fn collecting(&self) -> BTreeSet<u64> {
        lock(&self.jobs).collecting.clone()
    }

    /// Reserves value files for a collection. `share` of the value log is garbage: writers wait for
    /// less only while something is done for it, so they never wait in vain.
    pub(super) fn begin_collection(&self, victims: &BTreeSet<u64>, share: f64) {
        self.garbage_ppm
            .store((share * 1e6) as u64, Ordering::Relaxed);
        lock(&self.jobs).collecting.extend(victims);
    }

    /// Gives the value files of a collection back, unless they are `damaged`: those are not copied
    /// again, for what is sound in them can still be read where it is.
    pub(super) fn end_collection(&self, victims: &BTreeSet<u64>, damaged: bool) {
        self.garbage_ppm.store(0, Ordering::Relaxed);
        let mut jobs = lock(&self.jobs);
        if !damaged {
            jobs.collecting.retain(|file| !victims.contains(file));
        }
    }

    /// Notes that the collector found nothing due at `changes`.
    pub(crate) fn nothing_to_collect(&self, changes: u64) {
        self.gc_looked.store(changes, Ordering::Release);
        self.lifecycle.signals().progressed();
    }

    /// The number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Wakes everybody who waits for the tree: writers, `wait_idle`, and the tasks that look for
    /// work.
    pub(crate) fn tree_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.refresh_debt();
        self.lifecycle.signals().progressed();
        self.lifecycle.signals().work_is_due();
    }

    /// Wakes the tasks that look for work: what was not due may be due under other settings.
    pub(crate) fn settings_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.lifecycle.signals().work_is_due();
    }

    /// Measures again how far the background is behind.
    pub(crate) fn refresh_debt(&self) {
        let version = self.tree.version();
        let shape = self.shape_of(&version, &Jobs::default());
        let policies = self.core.policies();
        let of_tree = policies
            .layout
            .debt_bytes(&shape, lock(&policies.picker).as_ref());
        let gc_high = self.core.config().value_log.gc_high;
        // Files that cannot be measured owe nothing.
        let of_values = ValueLogState::of(&version).map_or(0, |log| log.debt_bytes(gc_high));
        self.tree_debt.store(of_tree, Ordering::Relaxed);
        self.value_debt.store(of_values, Ordering::Relaxed);
    }

    /// Bytes of compaction debt, and of garbage to collect, when the tree last changed.
    pub(crate) fn debt_bytes(&self) -> u64 {
        self.tree_debt.load(Ordering::Relaxed) + self.value_debt.load(Ordering::Relaxed)
    }

    /// The debt that writers are slowed down for: garbage is part of it only while it is collected.
    /// Where no collector takes it, nobody would ever pay it.
    pub(crate) fn pressing_debt_bytes(&self) -> u64 {
        match self.garbage_ppm() {
            0 => self.tree_debt.load(Ordering::Relaxed),
            _ => self.debt_bytes(),
        }
    }

    /// The part of the value log that is garbage, in millionths, while files are collected for it;
    /// 0 while none are.
    pub(crate) fn garbage_ppm(&self) -> u64 {
        self.garbage_ppm.load(Ordering::Relaxed)
    }

    /// Whether nothing runs and nothing is due.
    pub(crate) fn is_idle(&self) -> bool {
        self.gc_looked.load(Ordering::Acquire) == self.changes() && self.is_idle_but_for_values()
    }

    /// Whether nothing runs and nothing is due, except the collection of value files.
    pub(super) fn is_idle_but_for_values(&self) -> bool {
        let state = self.tree.load();
        let jobs = lock(&self.jobs);
        if jobs.flushing.is_some()
            || jobs.compactions > 0
            || !state.sealed.is_empty()
            || self.drop_hidden(&state.version, &jobs).is_some()
        {
            return false;
        }
        let shape = self.shape_of(&state.version, &jobs);
        if jobs.wishes.has_merge(&shape) {
            return false;
        }
        let policies = self.core.policies();
        let due = policies
            .layout
            .plan(&shape, lock(&policies.picker).as_ref());
        due.is_none_or(|plan| check(&shape, &plan).is_err())
    }

    /// Waits until nothing is left to flush, compact or collect. An engine that only reads has
    /// nothing to wait for.
    pub(crate) async fn wait_idle(&self) -> Result<()> {
        if self.lifecycle.is_read_only() {
            return self.lifecycle.check_open();
        }
        let _nothing_is_held = self.end_hold_for_good();
        self.wait_until(|| self.is_idle()).await
    }

    /// Waits until the memtables whose logs have numbers up to `newest` are flushed.
    pub(crate) async fn wait_until_flushed(&self, newest: u64) -> Result<()> {
        self.wait_until(|| {
            let state = self.tree.load();
            let is_flushed = state.sealed.iter().all(|memtable| memtable.wal > newest);
            // A later flush may go on for ever, one after the other.
            let ended = lock(&self.jobs).flushing.is_none_or(|log| log > newest);
            is_flushed && ended
        })
        .await
    }

    /// Holds other compactions back until the guard is dropped. Those that run go on.
    pub(crate) fn hold_compactions(&self) -> Exclusive<'_> {
        lock(&self.jobs).exclusive = true;
        Exclusive(self)
    }

    /// Waits until no compaction runs.
    pub(crate) async fn wait_for_compactions(&self) -> Result<()> {
        self.wait_until(|| lock(&self.jobs).compactions == 0).await
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) -> Result<()> {
        let signals = self.lifecycle.signals();
        let waited = signals.wait_until(|| {
            let is_reached = reached();
            if !is_reached {
                self.lifecycle.check_writable()?;
            }
            Ok(is_reached)
        });
        waited.await
    }
}

/// Holds compactions back while everything is merged.
pub(crate) struct Exclusive<'a>(&'a Scheduler);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        lock(&self.0.jobs).exclusive = false;
        self.0.lifecycle.signals().work_is_due();
    }
}
