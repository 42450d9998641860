//! What every part of an open engine works with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::{Overrides, Policies, ReadWindows, WindowEnds};
use crate::cache::BlockCache;
use crate::config::{EngineConfig, IndexReads};
use crate::context::ReadContext;
use crate::directory::{Files, write_settings};
use crate::env::{CpuWork, Env};
use crate::error::{Error, Result};
use crate::latency::{Class, Latencies, LatencyCounts};
use crate::limiter::{Limiter, Priority};
use crate::metrics::{Counters, Event, EventKind, Telemetry, TimedOperation, Timing, add};
use crate::models::IndexBook;

/// The engine's world, its settings, its cache and its counters.
pub(crate) struct Core {
    env: Env,
    directory: PathBuf,
    /// Replaced whole. A call goes on with the settings that it has loaded.
    config: ArcSwap<EngineConfig>,
    /// Built from `config`, and replaced just before it.
    policies: ArcSwap<Policies>,
    /// How reads use the window of a learned index. It is fixed, so that a read need not load the
    /// settings.
    index_reads: IndexReads,
    /// Held while settings are changed: one change follows the other.
    reconfiguring: tokio::sync::Mutex<()>,
    cache: Arc<BlockCache>,
    counters: Counters,
    /// What is observed beyond the counters.
    telemetry: Telemetry,
    /// How fast the background may use the device.
    limiter: Limiter,
    /// What is remembered of the indexes of tables that are gone.
    index_book: IndexBook,
    /// The most bytes of memory for data so far.
    memory_peak: AtomicU64,
    /// How long operations take. None unless somebody watches windows of them.
    latencies: Option<Latencies>,
    /// What the agent has set beside the settings.
    overrides: Overrides,
    /// Where windows of operations end. No change of settings brings another watcher.
    window_ends: WindowEnds,
    /// Where windows of point reads end.
    read_windows: ReadWindows,
    /// The settings with which the engine was opened.
    opened: Arc<EngineConfig>,
}

impl Core {
    /// A core in `directory` of the world `env`. The background's I/O is not limited yet.
    pub(crate) fn new(
        env: Env,
        directory: PathBuf,
        config: EngineConfig,
        policies: Policies,
        cache: Arc<BlockCache>,
        index_book: IndexBook,
        telemetry: Telemetry,
    ) -> Self {
        let agent_window = config.compaction.agent_window;
        let tuning = config.self_tuning.as_ref();
        let tuning = tuning.filter(|_| policies.self_tuner_is_active);
        let window_ends = WindowEnds::new(
            policies.agent_is_active.then_some(agent_window),
            tuning.map(|tuning| tuning.window),
        );
        let read_windows = ReadWindows::default();
        read_windows.watch(policies.read_window(&config));
        let config = Arc::new(config);
        Self {
            env,
            directory,
            index_reads: config.table.index_reads,
            config: ArcSwap::new(config.clone()),
            policies: ArcSwap::from_pointee(policies),
            reconfiguring: tokio::sync::Mutex::new(()),
            cache,
            counters: Counters::new(&telemetry),
            telemetry,
            limiter: Limiter::default(),
            index_book,
            memory_peak: AtomicU64::new(0),
            latencies: window_ends.are_watched().then(Latencies::new),
            overrides: Overrides::default(),
            window_ends,
            read_windows,
            opened: config,
        }
    }

    /// Files, time and tasks.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The database's directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The settings in force.
    pub(crate) fn config(&self) -> Guard<Arc<EngineConfig>> {
        self.config.load()
    }

    /// The settings in force, to be kept.
    pub(crate) fn config_to_keep(&self) -> Arc<EngineConfig> {
        self.config.load_full()
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> Guard<Arc<Policies>> {
        self.policies.load()
    }

    /// The cache.
    pub(crate) fn cache(&self) -> &BlockCache {
        &self.cache
    }

    /// The counters and events.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is observed beyond the counters.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Begins an operation, which may be one that is timed.
    pub(crate) fn begin(&self, operation: TimedOperation) -> Timing {
        self.counters.begin(operation, &*self.env.clock)
    }

    /// Ends an operation.
    pub(crate) fn end(&self, timing: &Timing) {
        self.counters.end(timing, &*self.env.clock);
    }

    /// Counts a failure of the background. It is an event, which says after how long the work is
    /// tried again, if it is.
    pub(crate) fn note_failure(&self, work: &'static str, error: &Error, retry: Option<u64>) {
        add(&self.counters.mine().background_errors, 1);
        self.event_of_failure(work, error, retry);
    }

    /// Records that work failed.
    pub(crate) fn event_of_failure(&self, work: &'static str, error: &Error, retry: Option<u64>) {
        let kind = EventKind::Failure {
            work,
            error: error.to_string(),
            retry_nanos: retry,
        };
        self.counters.event_at(self.env.clock.now(), kind);
    }

    /// What is remembered of the indexes of tables that are gone.
    pub(crate) fn index_book(&self) -> &IndexBook {
        &self.index_book
    }

    /// Notes how much memory is used now that the memtables have `memtable_bytes`. Returns the most
    /// that was ever noted.
    pub(crate) fn note_memory(&self, memtable_bytes: u64) -> u64 {
        let now = memtable_bytes + self.cache.stats().memory_bytes();
        self.memory_peak.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// A context for reading.
    pub(crate) fn context(&self) -> ReadContext<'_> {
        ReadContext {
            index_reads: self.index_reads,
            ..ReadContext::new(&self.cache, &*self.env.clock)
        }
    }

    /// Adds what a context counted to the counters, and charges its work.
    pub(crate) fn finish(&self, context: &mut ReadContext<'_>) {
        self.counters.book_read(&context.stats);
        context.charge();
    }

    /// Takes other settings. Those in the directory are replaced first.
    ///
    /// # Errors
    /// A fixed setting, a policy that cannot be built, a value out of range, or I/O errors; then
    /// nothing has changed.
    pub(crate) async fn reconfigure(&self, change: impl FnOnce(&mut EngineConfig)) -> Result<()> {
        let start_nanos = self.env.clock.now();
        let _one_at_a_time = self.reconfiguring.lock().await;
        let config = self.config.load_full();
        let mut next = EngineConfig::clone(&config);
        change(&mut next);
        config.check_change(&next)?;
        let settings = config.differences(&next)?;
        let policies = self.policies().changed(&config, &next)?;
        write_settings(&self.env, &self.directory, &next).await?;
        self.cache.reconfigure(&next.cache)?;
        self.limit_io_by(&next, &policies);
        self.read_windows.watch(policies.read_window(&next));
        self.policies.store(Arc::new(policies));
        self.config.store(Arc::new(next));
        self.counters.event(Event {
            start_nanos,
            end_nanos: self.env.clock.now(),
            kind: EventKind::Reconfiguration { settings },
        });
        Ok(())
    }

    /// Replaces policies as an agent asks. The settings stay as they are.
    ///
    /// # Errors
    /// Those of `change`; then nothing has changed.
    pub(crate) async fn change_policies(
        &self,
        change: impl FnOnce(&Policies) -> Result<Policies>,
    ) -> Result<()> {
        let _one_at_a_time = self.reconfiguring.lock().await;
        let policies = change(&self.policies())?;
        self.read_windows
            .watch(policies.read_window(&self.config()));
        self.policies.store(Arc::new(policies));
        Ok(())
    }

    /// What the agent has set beside the settings.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Runs in level 0 that start a merge.
    pub(crate) fn level0_trigger(&self) -> u32 {
        let config = self.config();
        let compaction = &config.compaction;
        self.overrides
            .level0_trigger(compaction.level0_trigger, compaction.level0_slowdown)
    }

    /// Limits the background's I/O as the settings say, from now on.
    pub(crate) fn begin_limiting_io(&self) {
        self.limit_io_by(&self.config(), &self.policies());
    }

    /// Limits the background's I/O as `config` says and the limiter of `policies` decides.
    fn limit_io_by(&self, config: &EngineConfig, policies: &Policies) {
        let limit = config.io_limit.as_u64();
        let now = self.env.clock.now();
        let user_bytes = self.counters.user_file_bytes();
        self.limiter.set(limit, &policies.limiter, now, user_bytes);
    }

    /// Limits the background's I/O no more, for good: who waits for it goes on.
    pub(crate) fn end_limiting_io(&self) {
        self.limiter.close();
    }

    /// Waits until the background may have used `bytes` of the device more, and counts how long.
    pub(crate) async fn limit_io(&self, priority: Priority, bytes: u64) {
        let user_bytes = || self.counters.user_file_bytes();
        let clock = &*self.env.clock;
        let waited = self.limiter.take(clock, priority, bytes, &user_bytes).await;
        if waited > 0 {
            let mine = self.counters.mine();
            let counter = match priority {
                Priority::Flush => &mine.limiter_flush_nanos,
                Priority::Level0 => &mine.limiter_level0_nanos,
                Priority::Collection => &mine.limiter_collection_nanos,
                Priority::Deep => &mine.limiter_deep_nanos,
            };
            add(counter, waited);
        }
    }

    /// Makes the names of new files durable.
    pub(crate) async fn sync_directory(&self) -> Result<()> {
        Files::of(&self.env).sync_directory(&self.directory).await
    }

    /// Removes a file that nothing refers to. One that cannot be removed now is removed when the
    /// directory is next opened.
    pub(crate) fn remove_file(&self, path: &Path) {
        let _ = self.env.fs.remove(path);
    }

    /// The time at which an operation begins; None unless somebody watches windows.
    pub(crate) fn begin_timing(&self) -> Option<u64> {
        self.latencies.as_ref().map(|_| self.env.clock.now())
    }

    /// Notes how long an operation took that began at `begun`. `charged` is the CPU work whose time
    /// has not passed yet in a simulation.
    pub(crate) fn end_timing(&self, class: Class, begun: Option<u64>, charged: &CpuWork) {
        if let Some(begun) = begun {
            self.end_timing_at(class, begun, self.env.clock.now(), charged);
        }
    }

    /// Notes the same of an operation that ended at `ended`.
    pub(crate) fn end_timing_at(&self, class: Class, begun: u64, ended: u64, charged: &CpuWork) {
        if let Some(latencies) = &self.latencies {
            let waited = ended.saturating_sub(begun);
            latencies.add(class, waited + self.env.clock.cost_nanos(charged));
        }
    }

    /// Copies how long operations took so far. O(buckets).
    pub(crate) fn latencies(&self) -> LatencyCounts {
        let latencies = self.latencies.as_ref();
        latencies.map(Latencies::counts).unwrap_or_default()
    }

    /// Counts an operation towards the windows that are watched.
    pub(crate) fn count_operation(&self) {
        self.window_ends.count(1);
    }

    /// Counts `count` operations towards the windows that are watched.
    pub(crate) fn count_operations(&self, count: u64) {
        self.window_ends.count(count);
    }

    /// Where windows of point reads end.
    pub(crate) fn read_windows(&self) -> &ReadWindows {
        &self.read_windows
    }

    /// Where windows of operations end.
    pub(crate) fn window_ends(&self) -> &WindowEnds {
        &self.window_ends
    }

    /// The settings with which the engine was opened.
    pub(crate) fn opened(&self) -> &EngineConfig {
        &self.opened
    }
}
