//! What runs next: one task flushes, `compaction.jobs` tasks compact, one asks the agent, one syncs on a timer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aura_policies::agent::Action;
use aura_policies::facts::{OutputRun, Plan, PlanInput, Reason, TreeShape, WindowStats};
use aura_policies::picker::report_move;
use tokio::sync::futures::Notified;

use crate::compactor::{Job, check};
use crate::config::SyncPolicy;
use crate::error::{Error, Result};
use crate::index::write_registry;
use crate::metrics::{AgentAction, Counts, Event, EventKind, add};
use crate::state::{Inner, Jobs, OpenedFiles, lock};
use crate::version::{Edit, FileKind};

impl Inner {
    /// Starts the tasks of an engine.
    pub(crate) fn start(self: &Arc<Self>) {
        self.refresh_debt();
        self.limiter.set_rate(self.config().io_limit.as_u64());
        let spawn = |name, task: crate::env::BoxFuture<'static, ()>| {
            lock(&self.jobs).tasks += 1;
            self.env.tasks.spawn(name, task);
        };
        spawn("flush", Box::pin(run(self.clone(), flushes)));
        for _ in 0..self.config().compaction.jobs {
            spawn("compaction", Box::pin(run(self.clone(), compactions)));
        }
        spawn("collection", Box::pin(run(self.clone(), collections)));
        if self.policies().agent_is_active {
            spawn("agent", Box::pin(run(self.clone(), agent)));
        }
        if let SyncPolicy::Interval(interval) = self.config().wal.sync {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            // A timer outlives a closed engine by at most one interval: nobody waits for it.
            self.env
                .tasks
                .spawn("sync", Box::pin(sync_by_timer(Arc::downgrade(self), nanos)));
        }
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
    pub(crate) async fn flush(&self) -> Result<()> {
        self.check_writable()?;
        {
            let mut log = self.log.lock().await;
            if !self.view.load().active.is_empty() {
                self.seal(&mut log)
                    .await
                    .inspect_err(|error| self.set_poison(error))?;
            }
        }
        self.wait_until(|| self.view.load().sealed.is_empty() && !lock(&self.jobs).flushing)
            .await
    }

    /// Flushes, then merges everything into one run.
    pub(crate) async fn compact(&self) -> Result<()> {
        self.flush().await?;
        // Let go of even when the caller is dropped meanwhile: no compaction would start any more.
        struct Exclusive<'a>(&'a Inner);
        impl Drop for Exclusive<'_> {
            fn drop(&mut self) {
                lock(&self.0.jobs).exclusive = false;
                self.0.work_due.notify_waiters();
            }
        }
        lock(&self.jobs).exclusive = true;
        let _exclusive = Exclusive(self);
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

    /// Stops the background tasks and waits for them; makes the logs durable. After a failure it cannot, and says so.
    pub(crate) async fn close(&self) -> Result<()> {
        if self.closing.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.wake_all();
        // Whoever leads a commit group has the logs: after this lock no group is half written.
        let synced = {
            let mut log = self.log.lock().await;
            match self.check_sound() {
                Ok(()) => self.sync_log(&mut log).await,
                failed => failed,
            }
        };
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if lock(&self.jobs).tasks == 0 {
                let synced = match synced {
                    Ok(()) => self.sync_sealed_logs().await,
                    failed => failed,
                };
                // A statistic: that it cannot be written is no failure.
                let _ = write_registry(&self.env, &self.directory, &self.index_registry()).await;
                lock(&self.directory_lock).take();
                return synced;
            }
            progress.await;
        }
    }

    /// Makes the logs durable whose memtables nobody flushes any more: under `sync = never` no seal did.
    async fn sync_sealed_logs(&self) -> Result<()> {
        // A flush that failed has left its log behind, too.
        self.check_sound()?;
        let view = self.view.load_full();
        if view.sealed.is_empty() {
            return Ok(());
        }
        for memtable in view.sealed.iter().rev() {
            let path = FileKind::Wal.path(&self.directory, memtable.wal);
            let file = self
                .env
                .fs
                .open(&path)
                .map_err(|error| Error::io("open", &path, error))?;
            file.sync()
                .await
                .map_err(|error| Error::io("sync", &path, error))?;
        }
        self.sync_directory().await
    }

    /// Wakes every task, so that it sees that the engine is closing.
    pub(crate) fn wake_all(&self) {
        self.limiter.close();
        self.work_due.notify_waiters();
        self.window_ended.notify_one();
        self.progress.notify_waiters();
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

/// Runs a task's loop; a failure stops writes, not reads.
async fn run<F: Future<Output = Result<()>>>(inner: Arc<Inner>, task: fn(Arc<Inner>) -> F) {
    if let Err(error) = task(inner.clone()).await
        && !matches!(error, Error::Closed)
    {
        inner.set_poison(&error);
    }
    lock(&inner.jobs).tasks -= 1;
    inner.progress.notify_waiters();
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
