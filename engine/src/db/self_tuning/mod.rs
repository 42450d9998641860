//! Self-tuning: after each window of operations the self-tuner may propose a change, and the engine
//! deals with it.
//!
//! The rules are the engine's, so that no policy can break them. A proposal is checked against the
//! operator's ranges and the memory that there is ([`rules`]), carried out as `reconfigure` does,
//! watched, and kept or taken back ([`supervisor`]). One change is under way at a time. Memory
//! shrinks before it grows: memtables that are larger than the new size are flushed in between.
//!
//! The work runs in a task of the engine. Closing waits for the step under way, which ends early
//! where it waits for a flush. Whatever step is cut by a crash, the settings on disk are those of
//! one moment of it, and the next opening has its own.

mod rules;
mod supervisor;

use std::sync::Arc;

use aura_policies::facts::{Knob, MemoryFacts, Standing, TuningFacts, Verdict, WindowStats};
use aura_policies::self_tuner::Proposal;

use self::rules::{Rules, Values, shrunk};
use self::supervisor::{Order, Supervisor};
use super::Db;
use super::windows::Windows;
use crate::config::{SelfTuningConfig, TuningMode, knob_value, set_knob};
use crate::error::{Error, Result};
use crate::metrics::{EventKind, TuningRecord, TuningStep, add};
use crate::state::Watcher;

/// Asks the self-tuner after each window of operations, until the engine is closed.
pub(super) async fn tune_itself(db: Arc<Db>) -> Result<()> {
    let Some(tuning) = db.core.opened().self_tuning.clone() else {
        return Ok(());
    };
    let mut windows = Windows::new(&db);
    let mut tuning = Tuning::new(db.clone(), tuning);
    loop {
        db.core.window_ends().wait(Watcher::SelfTuner).await;
        if db.lifecycle.is_closing() {
            return Ok(());
        }
        let limited = db.core.counters().counts().limiter_wait_nanos();
        let window = windows.end(&db);
        let waited = limited.saturating_sub(tuning.limited);
        tuning.limited = limited;
        tuning.window_ended(window, waited).await;
    }
}

/// Self-tuning of one engine.
struct Tuning {
    db: Arc<Db>,
    mode: TuningMode,
    rules: Rules,
    supervisor: Supervisor,
    /// Values that could not be set for an error, and are set as soon as that is possible.
    owed: Option<Values>,
    /// Nanoseconds that jobs had waited for the I/O limit by the end of the last window.
    limited: u64,
}

/// What became of a change of values.
enum Change {
    Done,
    /// Somebody else has changed a knob meanwhile.
    ByHand,
    /// The settings cannot be these.
    Impossible,
    /// The files could not be written.
    Failed,
}

impl Tuning {
    fn new(db: Arc<Db>, tuning: SelfTuningConfig) -> Self {
        let rules = Rules::new(db.core.opened());
        let opening = rules.values(db.core.opened());
        let now = rules.values(&db.core.config());
        Self {
            mode: tuning.mode,
            supervisor: Supervisor::new(&tuning, opening, now),
            rules,
            owed: None,
            limited: 0,
            db,
        }
    }

    fn values(&self) -> Values {
        self.rules.values(&self.db.core.config())
    }

    /// Deals with a window that has ended, in which jobs waited for `limited` nanoseconds.
    async fn window_ended(&mut self, window: WindowStats, limited: u64) {
        let config = self.db.core.config_to_keep();
        let held = config.self_tuning.as_ref().is_some_and(|it| it.hold);
        if !held && let Some(owed) = self.owed.take() {
            self.set(&owed).await;
        }
        let now = self.values();
        let by_hand = self.supervisor.is_changed(&now);
        if by_hand {
            self.rules.take_memory_of(&config);
            self.owed = None;
        }
        let mut facts = TuningFacts {
            limiter_wait_nanos: limited,
            memory: self.memory(),
            ..TuningFacts::default()
        };
        if let Some(order) = self.supervisor.see(&window, &now, held) {
            self.obey(order, window.index, &facts.memory).await;
        }
        facts.window = window;
        facts.knobs = self.rules.facts(&self.values());
        facts.judged = self.supervisor.take_judgement();
        facts.standing = match held || self.owed.is_some() {
            true => Standing::Held,
            false => self.supervisor.standing(),
        };
        let self_tuner = self.db.core.policies().self_tuner.clone();
        let proposal = self_tuner.lock().await.step(&facts);
        if let Some(proposal) = proposal {
            self.propose(proposal, &facts).await;
        }
    }

    /// Sets `next`. If the files cannot be written, it is owed.
    async fn set(&mut self, next: &Values) -> Change {
        let change = self.db.set_knobs(&self.values(), next).await;
        self.supervisor.set(self.values());
        if matches!(change, Change::Failed) {
            self.owed = Some(next.clone());
        }
        change
    }

    /// Carries out what the supervisor says.
    async fn obey(&mut self, order: Order, window: u64, memory: &MemoryFacts) {
        if let Some(set) = &order.set {
            self.set(set).await;
        }
        let mine = self.db.core.counters().mine();
        match order.step {
            TuningStep::Undone | TuningStep::Abandoned => add(&mine.self_tuning_undone, 1),
            TuningStep::FellBack => add(&mine.self_tuning_fallbacks, 1),
            _ => {}
        }
        self.record(order, window, memory);
    }

    /// Deals with a proposal.
    async fn propose(&mut self, proposal: Proposal, facts: &TuningFacts) {
        add(&self.db.core.counters().mine().self_tuning_proposed, 1);
        let now = self.values();
        let standing = match facts.standing {
            Standing::Free => Ok(()),
            Standing::Estimating => Err("cost-not-known-yet"),
            Standing::Watching => Err("another-change-is-watched"),
            Standing::Resting => Err("rests"),
            Standing::Held => Err("held"),
        };
        let checked = self.rules.after(&proposal.change, &now);
        let step = match checked.and_then(|next| standing.map(|()| next)) {
            Err(why) => (TuningStep::Refused, why),
            Ok(next) if next == now => (TuningStep::Unchanged, "holds-already"),
            Ok(_) if self.mode == TuningMode::Propose => (TuningStep::Proposed, "proposals-only"),
            Ok(next) => self.apply(proposal, &now, next).await,
        };
        let (step, why) = step;
        let mine = self.db.core.counters().mine();
        match step {
            TuningStep::Refused => add(&mine.self_tuning_refused, 1),
            TuningStep::Applied => add(&mine.self_tuning_applied, 1),
            _ => {}
        }
        let verdict = match step {
            TuningStep::Refused => Some(Verdict::Refused),
            TuningStep::Unchanged => Some(Verdict::Unchanged),
            TuningStep::Proposed => Some(Verdict::Proposed),
            _ => None,
        };
        if let Some(verdict) = verdict {
            self.supervisor.note(verdict, 0.0, 0.0);
        }
        let order = Order {
            step,
            why,
            proposal: Some(proposal),
            before: 0.0,
            after: 0.0,
            set: None,
        };
        self.record(order, facts.window.index, &facts.memory);
    }

    /// Carries a proposal out that is lawful.
    async fn apply(
        &mut self,
        proposal: Proposal,
        now: &Values,
        next: Values,
    ) -> (TuningStep, &'static str) {
        let why = match self.db.set_knobs(now, &next).await {
            Change::Done => {
                self.supervisor.begin(proposal, now.clone(), next);
                return (TuningStep::Applied, proposal.reason);
            }
            Change::ByHand => return (TuningStep::Refused, "changed-by-hand"),
            Change::Impossible => "not-possible",
            Change::Failed => "failed",
        };
        // A part of it may have been carried out.
        let is_partial = self.values() != *now;
        self.supervisor.set(self.values());
        if is_partial {
            self.set(now).await;
        }
        (TuningStep::Refused, why)
    }

    fn record(&self, order: Order, window: u64, memory: &MemoryFacts) {
        let knobs = self.values().into_iter();
        let record = TuningRecord {
            step: order.step,
            why: order.why,
            proposal: order.proposal,
            window,
            before: order.before,
            after: order.after,
            knobs: knobs.map(|(knob, value)| (knob.name(), value)).collect(),
            memory: *memory,
        };
        self.db.event_now(EventKind::SelfTuning(record));
    }

    /// The memory at this moment. The ghosts are those of the cache's size from now on. O(tables).
    fn memory(&self) -> MemoryFacts {
        let core = &self.db.core;
        let cache = core.cache().stats();
        let state = self.db.tree.load();
        let mut memory = MemoryFacts {
            total_bytes: self.rules.total_bytes(),
            memtables: core.config().memtables_max(),
            memtable_bytes: state.memtable_bytes(),
            cache_size: cache.capacity_bytes,
            cache_used: cache.memory_bytes(),
            ..MemoryFacts::default()
        };
        for (_, table) in state.version.tables() {
            let facts = table.facts();
            memory.entries += facts.entries;
            memory.data_bytes += facts.bytes;
            memory.filter_bytes += table.filter_bytes();
        }
        let room = cache.capacity_bytes.saturating_sub(cache.pinned_bytes);
        let room = room.saturating_sub(cache.metadata_bytes);
        let ghost = core.cache().ghost.as_ref();
        memory.ghost = ghost.map(|ghost| ghost.take(cache.capacity_bytes, room));
        memory
    }
}

impl Db {
    /// Sets the knobs to `next`, where `now` is in force: memory shrinks before it grows.
    async fn set_knobs(self: &Arc<Self>, now: &Values, next: &Values) -> Change {
        let first = shrunk(now, next);
        let changed = async {
            if !self.change_knobs(now, &first).await? {
                return Ok(false);
            }
            if first != *next {
                self.free_memtables(now, &first).await?;
            }
            self.change_knobs(&first, next).await
        };
        match changed.await {
            Ok(true) => Change::Done,
            Ok(false) => Change::ByHand,
            Err(Error::Config { .. } | Error::Policy { .. }) => Change::Impossible,
            Err(_) => Change::Failed,
        }
    }

    /// Sets the knobs to `next` in one change of settings. Returns whether they were `now`: if not,
    /// nothing is set.
    async fn change_knobs(&self, now: &Values, next: &Values) -> Result<bool> {
        if now == next {
            return Ok(true);
        }
        let mut as_expected = true;
        let change = |config: &mut _| {
            as_expected = now
                .iter()
                .all(|(knob, value)| knob_value(*knob, config) == *value);
            if as_expected {
                let mut changed = next
                    .iter()
                    .filter(|(knob, value)| now.get(knob) != Some(value));
                changed
                    .by_ref()
                    .for_each(|(knob, value)| set_knob(*knob, *value, config));
            }
        };
        self.core.reconfigure(change).await?;
        self.scheduler.settings_changed();
        Ok(as_expected)
    }

    /// Flushes the memtables if one is larger than it may be from now on.
    async fn free_memtables(self: &Arc<Self>, now: &Values, next: &Values) -> Result<()> {
        let (Some(before), Some(most)) = (now.get(&Knob::Memtable), next.get(&Knob::Memtable))
        else {
            return Ok(());
        };
        let state = self.tree.load();
        let is_larger = state
            .memtables()
            .any(|memtable| memtable.bytes() as f64 > *most);
        drop(state);
        match most < before && is_larger {
            true => self.flush().await,
            false => Ok(()),
        }
    }
}
