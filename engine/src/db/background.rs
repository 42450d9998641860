//! What runs next: one task flushes, `compaction.jobs` tasks compact, one asks the agent, one syncs on a timer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aura_policies::agent::Action;
use aura_policies::facts::{OutputRun, Plan, PlanInput, Reason, TreeShape, WindowStats};
use aura_policies::picker::report_move;
use tokio::sync::futures::Notified;

use crate::compaction::{Job, check};
use crate::config::SyncPolicy;
use crate::db::tasks::Task;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::metrics::{AgentAction, Counts, Event, EventKind, add};
use crate::models::write_registry;
use crate::state::{Inner, Jobs, OpenedFiles, Uncut};
use crate::sync::lock;
use crate::wal::LogPart;
use crate::wal::format::FILE_HEADER_BYTES;

/// Whether this build merges everything in the caller's future, which may be dropped: a canary, for
/// `scripts/canary`, which demands that the tests fail.
const CALLER_MERGES: bool = cfg!(aura_canary = "caller-merges");

impl Inner {
    /// Starts the tasks of an engine.
    ///
    /// # Errors
    /// [`Error::Closed`] if the engine is being closed.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        self.refresh_debt();
        self.limiter.set_rate(self.config().io_limit.as_u64());
        self.start_loop("flush", flushes)?;
        for _ in 0..self.config().compaction.jobs {
            self.start_loop("compaction", compactions)?;
        }
        self.start_loop("collection", collections)?;
        if self.policies().agent_is_active {
            self.start_loop("agent", agent)?;
        }
        if let SyncPolicy::Interval(interval) = self.config().wal.sync {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            // A timer outlives a closed engine by at most one interval: closing does not wait.
            let timer = sync_by_timer(Arc::downgrade(self), nanos);
            self.env.tasks.spawn("sync", Box::pin(timer));
        }
        Ok(())
    }

    /// Starts a task that runs until the engine is closed. A failure stops writes, not reads.
    fn start_loop<F>(self: &Arc<Self>, name: &'static str, work: fn(Arc<Self>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let task = Task::begin(self)?;
        let inner = self.clone();
        let run = async move {
            let _task = task;
            let uncut = Uncut::new(&inner, name);
            if let Err(error) = work(inner.clone()).await
                && !matches!(error, Error::Closed)
            {
                inner.set_poison(&error);
            }
            uncut.ended();
        };
        self.env.tasks.spawn(name, Box::pin(run));
        Ok(())
    }

    /// Flushes the oldest sealed memtable, if there is one.
    async fn flush_one(&self) -> Result<bool> {
        let Some(oldest) = self.view.load().sealed.last().cloned() else {
            return Ok(false);
        };
        lock(&self.jobs).flushing = true;
        let result = self.flush_memtable(&oldest).await;
        lock(&self.jobs).flushing = false;
        self.tree_changed();
        result.map(|()| true)
    }

    /// Does the most urgent compaction, if one is due.
    async fn compact_one(&self) -> Result<bool> {
        let Some(job) = self.next_job() else {
            return Ok(false);
        };
        let result = self.compact_job(&job).await;
        self.end_job(&job);
        result.map(|()| true)
    }

    /// Asks the layout for a plan, checks it and reserves what it names.
    fn next_job(&self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        if jobs.exclusive {
            return None;
        }
        let version = self.view.load().version.clone();
        if let Some(job) = Job::drop_hidden(&version, &jobs) {
            return Some(reserve(&mut jobs, job));
        }
        let shape = self.shape(&version, &jobs);
        let policies = self.policies();
        let mut picker = lock(&policies.picker);
        let plan = policies.layout.plan(&shape, &**picker)?;
        if let Err(what) = check(&shape, &plan) {
            add(&self.counters.mine().plans_refused, 1);
            debug_assert!(false, "{}: {plan:?}", Error::UnlawfulPlan { what });
            return None;
        }
        // What a running compaction will write there is not in the tree yet: a table moved in now could overlap it.
        if jobs.busy_levels.contains(&plan.level) {
            return None;
        }
        report_move(&mut **picker, &shape, &plan);
        Some(reserve(&mut jobs, Job::new(&version, &plan)))
    }

    fn end_job(&self, job: &Job) {
        {
            let mut jobs = lock(&self.jobs);
            for (level, table) in job.tables() {
                jobs.busy.remove(&table.facts().id);
                jobs.busy_levels.remove(&level);
            }
            jobs.busy_levels.remove(&job.level);
            jobs.compactions -= 1;
        }
        self.tree_changed();
    }

    /// Tells everybody who waits for the tree: writers, `wait_idle`, and the tasks that look for work.
    fn tree_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.refresh_debt();
        self.progress.notify_waiters();
        self.work_due.notify_waiters();
    }

    fn refresh_debt(&self) {
        let version = self.view.load().version.clone();
        let shape = self.shape(&version, &Jobs::default());
        let of_tree = self.policies().layout.debt_bytes(&shape);
        // Files that cannot be measured owe nothing.
        let of_values = self
            .value_log_state(&version)
            .map_or(0, |log| log.debt_bytes(self.config().value_log.gc_high));
        self.debt_bytes
            .store(of_tree + of_values, Ordering::Relaxed);
    }

    /// Whether nothing runs and nothing is due.
    fn is_idle(&self) -> bool {
        self.gc_looked.load(Ordering::Acquire) == self.changes.load(Ordering::Acquire)
            && self.is_idle_but_for_values()
    }

    /// The same, leaving the collection of value files aside.
    pub(crate) fn is_idle_but_for_values(&self) -> bool {
        let view = self.view.load();
        let jobs = lock(&self.jobs);
        if jobs.flushing
            || jobs.compactions > 0
            || !view.sealed.is_empty()
            || Job::drop_hidden(&view.version, &jobs).is_some()
        {
            return false;
        }
        let shape = self.shape(&view.version, &jobs);
        let due = self
            .policies()
            .layout
            .plan(&shape, lock(&self.policies().picker).as_ref());
        due.is_none_or(|plan| check(&shape, &plan).is_err())
    }

    /// Waits until nothing is left to flush or compact.
    pub(crate) async fn wait_idle(&self) -> Result<()> {
        if self.read_only {
            return self.check_open();
        }
        self.wait_until(|| self.is_idle()).await
    }

    async fn wait_until(&self, reached: impl Fn() -> bool) -> Result<()> {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if reached() {
                return Ok(());
            }
            self.check_writable()?;
            progress.await;
        }
    }

    /// Seals the active memtable and waits until everything sealed is flushed.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<()> {
        self.check_writable()?;
        let sealing = self.in_task("seal", |inner| async move { inner.seal_active().await });
        let newest = sealing.await?;
        self.wait_until_flushed(newest).await
    }

    /// Seals the active memtable, unless it is empty. Returns the number of the log of the newest
    /// memtable that is sealed.
    pub(crate) async fn seal_active(&self) -> Result<u64> {
        let mut log = self.log.lock().await;
        self.check_writable()?;
        if !self.view.load().active.is_empty() {
            self.seal(&mut log)
                .await
                .inspect_err(|error| self.set_poison(error))?;
        }
        let view = self.view.load();
        Ok(view.sealed.first().map_or(0, |memtable| memtable.wal))
    }

    /// Waits until the memtables whose logs have numbers up to `newest` are flushed.
    pub(crate) async fn wait_until_flushed(&self, newest: u64) -> Result<()> {
        self.wait_until(|| {
            let view = self.view.load();
            let is_flushed = view.sealed.iter().all(|memtable| memtable.wal > newest);
            is_flushed && !lock(&self.jobs).flushing
        })
        .await
    }

    /// Flushes, then merges everything into one run.
    pub(crate) async fn compact(self: &Arc<Self>) -> Result<()> {
        self.check_writable()?;
        if CALLER_MERGES {
            return self.flush_and_merge().await;
        }
        self.in_task(
            "compact",
            |inner| async move { inner.flush_and_merge().await },
        )
        .await
    }

    async fn flush_and_merge(&self) -> Result<()> {
        let _one_at_a_time = self.merging_all.lock().await;
        let newest = self.seal_active().await?;
        self.wait_until_flushed(newest).await?;
        let _exclusive = Exclusive::new(self);
        self.compact_everything().await
    }

    async fn compact_everything(&self) -> Result<()> {
        self.wait_until(|| lock(&self.jobs).compactions == 0)
            .await?;
        let job = {
            let mut jobs = lock(&self.jobs);
            let version = self.view.load().version.clone();
            let shape = self.shape(&version, &jobs);
            let in_shape = || {
                (!version.ranges.is_empty())
                    .then(|| plan_again(&shape))
                    .flatten()
            };
            let Some(plan) = aura_policies::layout::plan_everything(&shape).or_else(in_shape)
            else {
                return Ok(());
            };
            check(&shape, &plan).map_err(|what| Error::UnlawfulPlan { what })?;
            reserve(&mut jobs, Job::new(&version, &plan))
        };
        let result = self.compact_job(&job).await;
        self.end_job(&job);
        result
    }

    /// Stops the background tasks, waits for them, makes the logs durable and releases the
    /// directory. After a failure the logs cannot be made durable, and the error says so.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<()> {
        let mut closed = self.closed.subscribe();
        if !self.closing.swap(true, Ordering::AcqRel) {
            self.wake_all();
            let closing = Closing(self.clone());
            self.env
                .tasks
                .spawn_on_thread("close", Box::pin(closing.run()));
        }
        let lost = || Error::Interrupted { work: "closing" };
        let ended = closed.wait_for(Option::is_some).await;
        let ended = ended.map_err(|_| lost())?;
        ended.clone().unwrap_or_else(|| Err(lost()))
    }

    /// Waits for the tasks and makes the logs durable.
    async fn shut_down(&self) -> Result<()> {
        // Who leads a commit group has the logs: after this lock no group is half written.
        let synced = {
            let mut log = self.log.lock().await;
            match self.check_sound() {
                Ok(()) if !self.read_only => self.sync_log(&mut log).await,
                otherwise => otherwise,
            }
        };
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if lock(&self.jobs).tasks == 0 {
                break;
            }
            progress.await;
        }
        synced?;
        // A task that failed has left its log behind, too.
        self.check_sound()?;
        if self.read_only {
            return Ok(());
        }
        let sealed = self.sync_sealed_logs().await?;
        self.remember_logs(sealed).await
    }

    /// Notes in the manifest how far the logs are durable, if they hold anything: damage to them is
    /// not taken for a torn end.
    async fn remember_logs(&self, sealed: Vec<LogPart>) -> Result<()> {
        let mut parts = sealed;
        parts.push(*lock(&self.log_durable));
        parts.retain(|part| part.bytes > FILE_HEADER_BYTES as u64);
        if parts.is_empty() {
            return Ok(());
        }
        let edit = Edit {
            logs_durable: parts,
            ..Edit::default()
        };
        self.commit_edit(edit, OpenedFiles::default()).await
    }

    /// Makes the logs durable whose memtables will not be flushed: under `sync = never` no seal did.
    /// Returns how long they are.
    async fn sync_sealed_logs(&self) -> Result<Vec<LogPart>> {
        let view = self.view.load_full();
        let mut parts = Vec::new();
        for memtable in view.sealed.iter().rev() {
            let path = FileKind::Wal.path(&self.directory, memtable.wal);
            let file = self
                .env
                .fs
                .open(&path)
                .map_err(|error| Error::io("open", &path, error))?;
            let bytes = file
                .bytes()
                .map_err(|error| Error::io("measure", &path, error))?;
            file.sync()
                .await
                .map_err(|error| Error::io("sync", &path, error))?;
            parts.push(LogPart {
                log: memtable.wal,
                bytes,
            });
        }
        if !parts.is_empty() {
            self.sync_directory().await?;
        }
        Ok(parts)
    }

    /// Wakes every task, so that it sees that the engine is closing.
    pub(crate) fn wake_all(&self) {
        self.limiter.close();
        self.work_due.notify_waiters();
        self.window_ended.notify_one();
        self.progress.notify_waiters();
    }
}

/// Holds compactions back while everything is merged.
struct Exclusive<'a>(&'a Inner);

impl<'a> Exclusive<'a> {
    fn new(inner: &'a Inner) -> Self {
        lock(&inner.jobs).exclusive = true;
        Self(inner)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        lock(&self.0.jobs).exclusive = false;
        self.0.work_due.notify_waiters();
    }
}

/// Closing an engine, which ends even when its task does not come to its end.
struct Closing(Arc<Inner>);

impl Closing {
    async fn run(self) {
        let ended = self.0.shut_down().await;
        if !self.0.read_only {
            // A statistic: an engine that cannot write it is closed all the same.
            let registry = self.0.index_registry();
            let _ = write_registry(&self.0.env, &self.0.directory, &registry).await;
        }
        lock(&self.0.directory_lock).take();
        self.0.closed.send_replace(Some(ended));
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let lost = Err(Error::Interrupted { work: "closing" });
        self.0.closed.send_if_modified(|closed| {
            let is_lost = closed.is_none();
            if is_lost {
                *closed = Some(lost);
            }
            is_lost
        });
    }
}

/// A tree that is one run already, merged once more: so that what range tombstones hide goes.
fn plan_again(shape: &TreeShape) -> Option<Plan> {
    let (level, run) = shape
        .levels
        .iter()
        .enumerate()
        .find_map(|(level, it)| Some((level, it.runs.first()?)))?;
    let input = PlanInput {
        level,
        run: run.id,
        tables: run.tables.iter().map(|table| table.id).collect(),
    };
    Some(Plan {
        inputs: vec![input],
        level,
        run: OutputRun::New,
        reason: Reason::Manual,
        picked: None,
    })
}

fn reserve(jobs: &mut Jobs, job: Job) -> Job {
    for (level, table) in job.tables() {
        jobs.busy.insert(table.facts().id);
        jobs.busy_levels.insert(level);
    }
    jobs.busy_levels.insert(job.level);
    jobs.compactions += 1;
    job
}

async fn flushes(inner: Arc<Inner>) -> Result<()> {
    while !inner.is_closing() {
        let due = inner.work_due.notified();
        tokio::pin!(due);
        due.as_mut().enable();
        if !inner.flush_one().await? {
            sleep_unless_closing(&inner, due).await;
        }
    }
    Ok(())
}

async fn collections(inner: Arc<Inner>) -> Result<()> {
    while !inner.is_closing() {
        let due = inner.work_due.notified();
        tokio::pin!(due);
        due.as_mut().enable();
        let changes = inner.changes.load(Ordering::Acquire);
        if inner.collect_one().await? {
            inner.tree_changed();
        } else {
            inner.gc_looked.store(changes, Ordering::Release);
            inner.progress.notify_waiters();
            sleep_unless_closing(&inner, due).await;
        }
    }
    Ok(())
}

async fn compactions(inner: Arc<Inner>) -> Result<()> {
    while !inner.is_closing() {
        let due = inner.work_due.notified();
        tokio::pin!(due);
        due.as_mut().enable();
        if !inner.compact_one().await? {
            sleep_unless_closing(&inner, due).await;
        }
    }
    Ok(())
}

/// Waits for `due`, which was armed before the look for work: a wake-up between the two is not lost.
async fn sleep_unless_closing(inner: &Inner, due: std::pin::Pin<&mut Notified<'_>>) {
    if !inner.is_closing() {
        due.await;
    }
}

async fn agent(inner: Arc<Inner>) -> Result<()> {
    let mut before = Counts::default();
    let mut started = inner.env.clock.now();
    loop {
        inner.window_ended.notified().await;
        if inner.is_closing() {
            return Ok(());
        }
        let counts = inner.counters.counts();
        let window = counts.since(&before);
        let now = inner.env.clock.now();
        let stats = WindowStats {
            operations_total: inner.operations.load(Ordering::Relaxed),
            gets: window.gets,
            writes: window.puts + window.deletes + window.range_deletes,
            scans: window.scans,
            device_write_bytes: window.device_write_bytes(),
            device_read_bytes: window.device_read_bytes + window.compaction_read_bytes,
            nanos: now - started,
        };
        (before, started) = (counts, now);
        let shape = inner.shape(&inner.view.load().version, &Jobs::default());
        let actions = inner.policies().agent.lock().await.step(&stats, &shape);
        for action in actions {
            inner.carry_out(&action).await?;
        }
    }
}

impl Inner {
    /// Carries an agent's action out, if it is in range.
    async fn carry_out(&self, action: &Action) -> Result<()> {
        let Action::SetRuns { level, runs } = *action;
        if level == 0 || level > 64 || runs == 0 || runs > self.policies().layout.ratio() {
            add(&self.counters.mine().plans_refused, 1);
            return Ok(());
        }
        let before = self
            .view
            .load()
            .version
            .levels
            .get(level)
            .and_then(|level| level.runs_max);
        let edit = Edit {
            runs_max: vec![(level, runs)],
            ..Edit::default()
        };
        self.commit_edit(edit, OpenedFiles::default()).await?;
        add(&self.counters.mine().agent_actions, 1);
        let now = self.env.clock.now();
        let kind = EventKind::Agent {
            action: AgentAction::new(action, before),
        };
        self.counters.event(Event {
            start_nanos: now,
            end_nanos: now,
            kind,
        });
        self.tree_changed();
        Ok(())
    }
}

async fn sync_by_timer(inner: std::sync::Weak<Inner>, nanos: u64) {
    loop {
        let Some(clock) = inner.upgrade().map(|inner| inner.env.clock.clone()) else {
            return;
        };
        clock.sleep(nanos).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.check_writable().is_err() {
            return;
        }
        let mut log = inner.log.lock().await;
        if let Err(error) = inner.sync_log(&mut log).await {
            inner.set_poison(&error);
            return;
        }
    }
}
