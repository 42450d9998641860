//! What the parts of one open engine share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use aura_policies::agent::Agent;
use aura_policies::facts::{TableId, TreeShape};
use aura_policies::filter::FilterPolicy;
use aura_policies::gc::GcPolicy;
use aura_policies::index::IndexPolicy;
use aura_policies::layout::Layout;
use aura_policies::picker::Picker;
use aura_policies::placement::Placement;
use aura_policies::separation::Separation;
use aura_policies::tuner::IndexTuner;
use aura_policies::warming::Warming;
use tokio::sync::{Notify, watch};

use crate::cache::BlockCache;
use crate::config::{EngineConfig, Reconfigure};
use crate::context::ReadContext;
use crate::directory::write_settings;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::limiter::Limiter;
use crate::manifest::{Edit, Manifest, Version};
use crate::memtable::Memtable;
use crate::metrics::{Counters, add};
use crate::models::IndexBook;
use crate::ranges::RangeView;
use crate::recovery::RecoveryReport;
use crate::storage::Sequence;
use crate::sync::lock;
use crate::values::ValueFile;
use crate::wal::LogPart;
use crate::write::{CommitQueue, Log};

/// What a reader sees: swapped whole, never changed.
pub(crate) struct ReadState {
    /// The memtable that takes writes.
    pub(crate) active: Arc<Memtable>,
    /// Full memtables that wait for their flush, the newest first.
    pub(crate) sealed: Vec<Arc<Memtable>>,
    /// The live files.
    pub(crate) version: Arc<Version>,
}

impl ReadState {
    /// An empty memtable over the `sealed` ones, the oldest first, and those over the files.
    pub(crate) fn new(active: Memtable, sealed: &[Arc<Memtable>], version: Version) -> Self {
        let sealed = sealed.iter().rev().cloned().collect();
        Self {
            active: Arc::new(active),
            sealed,
            version: Arc::new(version),
        }
    }

    /// The same memtables over other files.
    pub(crate) fn with_version(&self, version: Version) -> Self {
        Self {
            active: self.active.clone(),
            sealed: self.sealed.clone(),
            version: Arc::new(version),
        }
    }

    /// The memtables, the newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.sealed)
    }

    /// The range tombstones. To be called after the sequence number was read: then it holds all up to that.
    pub(crate) fn ranges(&self) -> RangeView {
        let flushed = Some(&self.version.ranges)
            .filter(|ranges| !ranges.is_empty())
            .cloned();
        RangeView::new(
            self.memtables()
                .filter_map(|memtable| memtable.ranges())
                .chain(flushed),
        )
    }
}

/// The policies of an engine. Clones share them.
#[derive(Clone)]
pub(crate) struct Policies {
    pub(crate) layout: Arc<dyn Layout>,
    pub(crate) picker: Arc<Mutex<Box<dyn Picker>>>,
    pub(crate) agent: Arc<tokio::sync::Mutex<Box<dyn Agent>>>,
    pub(crate) agent_is_active: bool,
    pub(crate) filter: Arc<dyn FilterPolicy>,
    pub(crate) index: Arc<dyn IndexPolicy>,
    pub(crate) tuner: Arc<dyn IndexTuner>,
    pub(crate) separation: Arc<dyn Separation>,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) gc: Arc<Mutex<Box<dyn GcPolicy>>>,
    pub(crate) warming: Arc<dyn Warming>,
}

impl Policies {
    /// Builds every policy that `config` names.
    pub(crate) fn build(config: &EngineConfig) -> Result<Self> {
        use aura_policies as p;
        let named = |key: &'static str| {
            move |source| Error::Policy {
                key: key.to_owned(),
                source,
            }
        };
        let (compaction, table, value_log) = (&config.compaction, &config.table, &config.value_log);
        let agent =
            p::agent::build(&compaction.agent, config.seed).map_err(named("compaction.agent"))?;
        let picker = p::picker::build(&compaction.picker).map_err(named("compaction.picker"))?;
        let gc = p::gc::build(&value_log.gc).map_err(named("value_log.gc"))?;
        Ok(Self {
            layout: p::layout::build(&compaction.layout)
                .map_err(named("compaction.layout"))?
                .into(),
            picker: Arc::new(Mutex::new(picker)),
            agent_is_active: agent.is_active(),
            agent: Arc::new(tokio::sync::Mutex::new(agent)),
            filter: p::filter::build(&table.filter)
                .map_err(named("table.filter"))?
                .into(),
            index: p::index::build(&table.index)
                .map_err(named("table.index"))?
                .into(),
            tuner: p::tuner::build(&table.index_tuner)
                .map_err(named("table.index_tuner"))?
                .into(),
            separation: p::separation::build(&value_log.separation)
                .map_err(named("value_log.separation"))?
                .into(),
            placement: p::placement::build(&value_log.placement)
                .map_err(named("value_log.placement"))?
                .into(),
            gc: Arc::new(Mutex::new(gc)),
            warming: p::warming::build(&config.cache.warming)
                .map_err(named("cache.warming"))?
                .into(),
        })
    }

    /// The policies of `next`, where these are those of `config`: what is named alike stays, with what it has learned.
    fn changed(&self, config: &EngineConfig, next: &EngineConfig) -> Result<Self> {
        let mut policies = Self::build(next)?;
        (policies.agent, policies.tuner) = (self.agent.clone(), self.tuner.clone());
        if config.compaction.picker == next.compaction.picker {
            policies.picker = self.picker.clone();
        }
        if config.value_log.placement == next.value_log.placement {
            policies.placement = self.placement.clone();
        }
        if config.value_log.gc == next.value_log.gc {
            policies.gc = self.gc.clone();
        }
        if config.cache.warming == next.cache.warming {
            policies.warming = self.warming.clone();
        }
        Ok(policies)
    }
}

/// What background jobs and snapshots agree on, behind one short lock.
#[derive(Default)]
pub(crate) struct Jobs {
    /// Tables that running compactions read.
    pub(crate) busy: BTreeSet<TableId>,
    /// Levels that running compactions read or write.
    pub(crate) busy_levels: BTreeSet<usize>,
    /// Compactions running.
    pub(crate) compactions: usize,
    /// Whether a flush runs.
    pub(crate) flushing: bool,
    /// Value files on disk that are being collected.
    pub(crate) collecting: BTreeSet<u64>,
    /// Background tasks alive.
    pub(crate) tasks: usize,
    /// Whether compactions are held back, because the user's own is about to run.
    pub(crate) exclusive: bool,
    /// Snapshots held, by sequence number.
    pub(crate) snapshots: BTreeMap<Sequence, usize>,
}

/// One open engine.
pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) directory: PathBuf,
    pub(crate) config: ArcSwap<EngineConfig>,
    pub(crate) policies: ArcSwap<Policies>,
    /// Held while settings are changed.
    pub(crate) reconfiguring: tokio::sync::Mutex<()>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) counters: Counters,
    /// How fast the background may use the device.
    pub(crate) limiter: Limiter,
    /// What is remembered of the indexes of tables that are gone.
    pub(crate) index_book: IndexBook,

    /// What readers see.
    pub(crate) view: ArcSwap<ReadState>,
    /// The largest sequence number that readers see.
    pub(crate) published: AtomicU64,
    /// The next number of a file or run.
    pub(crate) next_number: AtomicU64,

    /// Writers waiting for the next commit group.
    pub(crate) queue: Mutex<CommitQueue>,
    /// Values separated since the engine was opened.
    pub(crate) separated: AtomicU64,
    /// What opening it found and did.
    pub(crate) recovery: Mutex<RecoveryReport>,
    /// The logs; held by the leader of a commit group.
    pub(crate) log: tokio::sync::Mutex<Log>,
    /// The manifest; held while an edit is made durable and takes effect.
    pub(crate) manifest: tokio::sync::Mutex<Manifest>,

    pub(crate) jobs: Mutex<Jobs>,
    /// Background work may be due.
    pub(crate) work_due: Notify,
    /// A background job ended, or the view changed.
    pub(crate) progress: Notify,
    /// A window of operations ended.
    pub(crate) window_ended: Notify,
    /// Bytes of compaction debt, and of garbage to collect, when the tree last changed.
    pub(crate) debt_bytes: AtomicU64,
    /// The part of the value log that is garbage, in millionths, while files are collected for it; 0 while none are.
    pub(crate) garbage_ppm: AtomicU64,
    /// Changes of the tree, and of what works on it.
    pub(crate) changes: AtomicU64,
    /// How many of them there were when the collector last found nothing due.
    pub(crate) gc_looked: AtomicU64,
    /// Operations since the engine was opened; counted only when an agent listens.
    pub(crate) operations: AtomicU64,

    /// Held by the task that merges everything, so that one does at a time.
    pub(crate) merging_all: tokio::sync::Mutex<()>,
    /// How far the log that is being written is known to be on the device.
    pub(crate) log_durable: Mutex<LogPart>,

    /// Whether nothing is ever written.
    pub(crate) read_only: bool,
    /// The engine is being closed.
    pub(crate) closing: AtomicBool,
    /// How closing ended, once it has.
    pub(crate) closed: watch::Sender<Option<Result<()>>>,
    /// The failure after which no write is taken.
    pub(crate) poison: Mutex<Option<Arc<Error>>>,
    /// Whether `poison` is set: what the write path looks at.
    pub(crate) poisoned: AtomicBool,

    /// Held until the engine is closed: no other opens the directory.
    pub(crate) directory_lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Inner {
    /// A context for reading.
    pub(crate) fn context(&self) -> ReadContext<'_> {
        ReadContext::new(&self.cache, &*self.env.clock)
    }

    /// The view of now and the largest sequence number published: the view covers all of it, and every file that it points at.
    pub(crate) fn view_of_now(&self) -> (Arc<ReadState>, Sequence) {
        loop {
            // The sequence number afterwards: it covers all that the view's tables hold.
            let view = self.view.load_full();
            let published = self.published.load(Ordering::Acquire);
            if Arc::ptr_eq(&view, &self.view.load()) {
                return (view, published);
            }
        }
    }

    /// The settings of now.
    pub(crate) fn config(&self) -> Guard<Arc<EngineConfig>> {
        self.config.load()
    }

    /// The policies of now.
    pub(crate) fn policies(&self) -> Guard<Arc<Policies>> {
        self.policies.load()
    }

    /// Takes other settings. Those in the directory are replaced first.
    ///
    /// # Errors
    /// A policy that cannot be built, a value out of range, or I/O errors; then nothing has changed.
    pub(crate) async fn reconfigure(self: &Arc<Self>, change: &Reconfigure) -> Result<()> {
        self.check_open()?;
        self.check_not_read_only()?;
        let change = change.clone();
        self.in_task("reconfigure", |inner| async move {
            let _one_at_a_time = inner.reconfiguring.lock().await;
            inner.take_settings(&change).await
        })
        .await
    }

    async fn take_settings(&self, change: &Reconfigure) -> Result<()> {
        let config = self.config.load_full();
        let mut next = EngineConfig::clone(&config);
        change.apply(&mut next);
        next.validate()?;
        let policies = self.policies().changed(&config, &next)?;
        write_settings(&self.env, &self.directory, &next).await?;
        self.cache.reconfigure(&next.cache)?;
        self.limiter.set_rate(next.io_limit.as_u64());
        self.policies.store(Arc::new(policies));
        self.config.store(Arc::new(next));
        // What was not due may be due now.
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.work_due.notify_waiters();
        Ok(())
    }

    /// Books what a context counted and charges its work.
    pub(crate) fn finish(&self, context: &mut ReadContext<'_>) {
        self.counters.book_read(&context.stats);
        context.charge();
    }

    /// A number for a new file or run.
    pub(crate) fn new_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Replaces the view. Callers hold the manifest lock or lead the commit group, and both go through `jobs`.
    pub(crate) fn change_view(&self, change: impl FnOnce(&ReadState) -> ReadState) {
        let _serial = lock(&self.jobs);
        let next = change(&self.view.load());
        self.view.store(Arc::new(next));
    }

    /// Makes `edit` durable, then lets readers see the version after it.
    ///
    /// # Errors
    /// As [`Self::commit_edit_with`].
    pub(crate) async fn commit_edit(&self, edit: Edit, opened: OpenedFiles) -> Result<()> {
        self.commit_edit_with(|_| edit, opened, ReadState::with_version)
            .await
    }

    /// Makes the edit durable that `edit` makes for the version in force, then lets readers see it. Value files that hold only
    /// garbage after it leave with it. `change` makes the next view of the current one and the new version.
    ///
    /// # Errors
    /// A manifest that cannot be written poisons the engine: whether the edit will be read back is not known.
    pub(crate) async fn commit_edit_with(
        &self,
        edit: impl FnOnce(&Version) -> Edit,
        opened: OpenedFiles,
        change: impl FnOnce(&ReadState, Version) -> ReadState,
    ) -> Result<()> {
        let mut manifest = self.manifest.lock().await;
        // An edit after one that failed would lie behind a torn record, where nothing is read back.
        self.check_sound()?;
        // Only under this lock does the version change.
        let before = self.view.load().version.clone();
        let mut edit = edit(&before);
        edit.next_number = Some(self.next_number.load(Ordering::Relaxed));
        let durable = *lock(&self.log_durable);
        if durable.bytes > 0 && edit.logs_durable.is_empty() {
            edit.logs_durable.push(durable);
        }
        let unlawful = |what| Error::UnlawfulPlan { what };
        let mut after = edit
            .apply(&before, &opened.tables, &opened.values)
            .map_err(unlawful)?;
        edit.values_removed = after.values_without_frames(&edit)?;
        edit.values_removed
            .iter()
            .for_each(|file| drop(after.value_files.remove(file)));
        // If this is cut short, memory and manifest tell two stories.
        let uncut = Uncut::new(self, "an edit of the manifest");
        let written = self.log_edit(&mut manifest, &edit, &after).await;
        add(
            &self.counters.mine().manifest_bytes,
            written.inspect_err(|error| self.set_poison(error))?,
        );
        let mut gone = before.values_gone(&after);
        // What a collection copied may have become garbage to the last byte.
        let unused = |file: &&Arc<ValueFile>| !after.values_on_disk().contains_key(&file.number);
        gone.extend(opened.values.values().filter(unused).cloned());
        let reclaimed = gone.iter().map(|file| file.bytes().unwrap_or(0)).sum();
        add(&self.counters.mine().gc_reclaimed_bytes, reclaimed);
        let sealed: Vec<Arc<ValueFile>> = edit
            .values_sealed
            .iter()
            .filter_map(|(number, _)| Some(after.value_files.get(number)?.file.clone()))
            .collect();
        self.change_view(|view| change(view, after));
        uncut.ended();
        sealed.iter().for_each(|file| file.finish());
        // They go when their last reader lets go.
        gone.iter().for_each(|file| file.set_obsolete());
        Ok(())
    }

    async fn log_edit(&self, manifest: &mut Manifest, edit: &Edit, after: &Version) -> Result<u64> {
        let written = manifest.append(edit).await?;
        let rolled = if manifest.is_long() {
            add(&self.counters.mine().manifest_rolls, 1);
            manifest
                .roll(&self.env, &self.directory, self.new_number(), after)
                .await?
        } else {
            0
        };
        Ok(written + rolled)
    }

    /// No write is taken from now on.
    pub(crate) fn set_poison(&self, cause: &Error) {
        lock(&self.poison).get_or_insert_with(|| Arc::new(cause.clone()));
        self.poisoned.store(true, Ordering::Release);
        self.progress.notify_waiters();
    }

    /// Refuses writes after a failure or a close, and if the engine only reads.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_not_read_only()?;
        self.check_sound()?;
        self.check_open()
    }

    /// Refuses changes after a failure.
    pub(crate) fn check_sound(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            let cause = lock(&self.poison).clone().expect("set before the flag");
            return Err(Error::Poisoned { cause });
        }
        Ok(())
    }

    /// Refuses changes if the engine only reads.
    pub(crate) fn check_not_read_only(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// Refuses calls after a close.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closing() {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Whether the engine is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The tree as policies see it, with everything busy that a running compaction touches.
    pub(crate) fn shape(&self, version: &Version, jobs: &Jobs) -> TreeShape {
        let mut shape = version.shape(
            self.config().compaction.level0_trigger,
            self.config().base_bytes(),
        );
        shape.busy.clone_from(&jobs.busy);
        for level in &jobs.busy_levels {
            let tables = shape
                .levels
                .get(*level)
                .into_iter()
                .flat_map(|it| &it.runs)
                .flat_map(|run| &run.tables);
            let ids: Vec<_> = tables.map(|table| table.id).collect();
            shape.busy.extend(ids);
        }
        shape
    }

    /// The snapshots held, in order.
    pub(crate) fn snapshots(&self) -> Vec<Sequence> {
        lock(&self.jobs).snapshots.keys().copied().collect()
    }

    /// Counts an operation towards the agent's window.
    pub(crate) fn count_operation(&self) {
        if self.policies().agent_is_active {
            let operations = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
            if operations.is_multiple_of(self.config().compaction.agent_window) {
                self.window_ended.notify_one();
            }
        }
    }
}

/// Files that an edit adds, open.
#[derive(Default)]
pub(crate) struct OpenedFiles {
    /// Tables by number.
    pub(crate) tables: BTreeMap<TableId, Arc<crate::table::Table>>,
    /// Value files by number on disk.
    pub(crate) values: BTreeMap<u64, Arc<ValueFile>>,
}

/// Poisons the engine if work is cut short that must not be: when the runtime that runs its task
/// ends while the engine lives on.
pub(crate) struct Uncut<'a> {
    inner: &'a Inner,
    work: &'static str,
    ended: bool,
}

impl<'a> Uncut<'a> {
    /// Work that begins now.
    pub(crate) fn new(inner: &'a Inner, work: &'static str) -> Self {
        Self {
            inner,
            work,
            ended: false,
        }
    }

    /// The work has come to its end.
    pub(crate) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Uncut<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.inner
                .set_poison(&Error::Interrupted { work: self.work });
        }
    }
}
