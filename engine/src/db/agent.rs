//! The agent, asked after each window of operations: what it sees, and the log of what it decides.

use std::collections::VecDeque;
use std::sync::Arc;

use aura_policies::agent::{Action, Decision, Transition};
use aura_policies::facts::{Outcome, StallNanos, WindowStats};

use super::Db;
use crate::error::Result;
use crate::latency::{Class, LatencyCounts};
use crate::metrics::{Counts, DecisionMade, Event, EventKind, add};

/// Windows after which setting something back is no reversal any more.
const REVERSAL_WINDOWS: u64 = 5;

/// Shows the agent each window of operations, and carries out what it answers.
pub(super) async fn ask_agent(db: Arc<Db>) -> Result<()> {
    let mut windows = Windows::new(&db);
    let mut changes = Changes::default();
    loop {
        db.core.wait_for_window().await;
        if db.lifecycle.is_closing() {
            return Ok(());
        }
        db.scheduler.end_hold();
        let facts = Arc::new(windows.end(&db));
        let shape = db.scheduler.shape();
        let agent = db.core.policies().agent.clone();
        let decisions = agent.lock().await.step(&facts, &shape);
        let mut made = Vec::with_capacity(decisions.len());
        for decision in decisions {
            made.push(db.decide(decision, &facts, &mut changes).await?);
        }
        windows.outcomes = made.iter().map(|made| made.outcome).collect();
        let decisions = made;
        db.event_now(EventKind::Window { facts, decisions });
    }
}

impl Db {
    /// Carries a decision out, counts it and records it.
    async fn decide(
        &self,
        decision: Decision,
        facts: &WindowStats,
        changes: &mut Changes,
    ) -> Result<DecisionMade> {
        let carried_out = self.carry_out(&decision.action).await?;
        let outcome = carried_out.outcome;
        let is_reversal = changes.note(facts.index, &decision.action, carried_out.undo);
        let mine = self.core.counters().mine();
        match outcome {
            Outcome::Done => add(&mine.agent_actions, 1),
            Outcome::Refused => add(&mine.agent_refused, 1),
            Outcome::Unchanged => {}
        }
        if is_reversal {
            add(&mine.agent_reversals, 1);
        }
        let made = DecisionMade { decision, outcome };
        self.event_now(EventKind::Agent {
            made: made.clone(),
            window: facts.index,
            operations: facts.operations(),
            nanos: facts.nanos,
            debt_bytes: facts.debt_bytes,
        });
        Ok(made)
    }

    /// Records an event of this moment.
    fn event_now(&self, kind: EventKind) {
        let now = self.core.env().clock.now();
        self.core.counters().event(Event {
            start_nanos: now,
            end_nanos: now,
            kind,
        });
    }
}

/// What was changed in the last windows.
#[derive(Default)]
struct Changes {
    /// The windows, each with the action that would undo what was changed after it.
    undo: VecDeque<(u64, Action)>,
}

impl Changes {
    /// Notes a change of a setting after window `index`. Returns whether it sets back what was
    /// changed a few windows before.
    fn note(&mut self, index: u64, action: &Action, undo: Option<Action>) -> bool {
        let Some(undo) = undo else {
            return false;
        };
        let is_old = |(at, _): &(u64, Action)| index - at > REVERSAL_WINDOWS;
        while self.undo.front().is_some_and(is_old) {
            self.undo.pop_front();
        }
        let setting = setting_of(action);
        let is_reversal = self.undo.iter().any(|(_, undo)| *undo == setting);
        self.undo.push_back((index, setting_of(&undo)));
        is_reversal
    }
}

/// An action without the way in which it comes about.
fn setting_of(action: &Action) -> Action {
    let mut action = action.clone();
    if let Action::SetRuns { transition, .. } = &mut action {
        *transition = Transition::default();
    }
    action
}

/// Where the window begins that goes on.
struct Windows {
    index: u64,
    started: u64,
    counts: Counts,
    latencies: LatencyCounts,
    /// What became of the decisions after the window before.
    outcomes: Vec<Outcome>,
}

impl Windows {
    /// The first window begins now.
    fn new(db: &Db) -> Self {
        Self {
            index: 0,
            started: db.core.env().clock.now(),
            counts: Counts::default(),
            latencies: LatencyCounts::default(),
            outcomes: Vec::new(),
        }
    }

    /// Ends the window, and begins the next one.
    fn end(&mut self, db: &Db) -> WindowStats {
        let counts = db.core.counters().counts();
        let latencies = db.core.latencies();
        let now = db.core.env().clock.now();
        let mut stats = stats_of(&counts.since(&self.counts));
        stats.index = self.index;
        stats.operations_total = db.core.operations();
        stats.nanos = now - self.started;
        stats.debt_bytes = db.scheduler.debt_bytes();
        stats.get_latency = latencies.since(&self.latencies, Class::Get);
        stats.write_latency = latencies.since(&self.latencies, Class::Write);
        stats.scan_latency = latencies.since(&self.latencies, Class::Scan);
        stats.outcomes = std::mem::take(&mut self.outcomes);
        self.index += 1;
        self.started = now;
        self.counts = counts;
        self.latencies = latencies;
        stats
    }
}

/// What the counters say about a window. Reads of the background are in no counter of reads.
fn stats_of(window: &Counts) -> WindowStats {
    WindowStats {
        gets: window.gets,
        gets_found: window.gets_found,
        writes: window.puts + window.deletes + window.range_deletes,
        deletes: window.deletes + window.range_deletes,
        scans: window.scans,
        scan_rows: window.scan_rows,
        user_write_bytes: window.user_write_bytes,
        memtable_hits: window.memtable_hits,
        tables_probed: window.tables_probed,
        filter_probes: window.filter_probes,
        filter_negatives: window.filter_negatives,
        filter_false_positives: window.filter_false_positives,
        get_device_reads: window.get_device_reads,
        block_hits: window.block_hits,
        block_misses: window.block_misses,
        scan_hits: window.scan_hits,
        scan_misses: window.scan_misses,
        level_hits: window.level_hits,
        level_misses: window.level_misses,
        device_write_bytes: window.device_write_bytes(),
        device_read_bytes: window.device_read_bytes
            + window.compaction_read_bytes
            + window.gc_read_bytes,
        wal_bytes: window.wal_bytes,
        value_log_bytes: window.value_log_bytes,
        flushes: window.flushes,
        flush_bytes: window.flush_bytes,
        compactions: window.compactions + window.compaction_moves,
        compaction_read_bytes: window.compaction_read_bytes,
        compaction_write_bytes: window.compaction_write_bytes,
        level_compaction_bytes: window.level_compaction_bytes,
        compaction_dropped: window.compaction_dropped,
        stalls: StallNanos {
            memtables: window.stall_memtables_nanos,
            level0_runs: window.stall_level0_nanos,
            debt: window.stall_debt_nanos,
            garbage: window.stall_garbage_nanos,
            agent: window.stall_agent_nanos,
        },
        ..WindowStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(runs: u32, transition: Transition) -> Action {
        Action::SetRuns {
            level: 1,
            runs,
            transition,
        }
    }

    #[test]
    fn a_reversal_sets_back_what_was_changed_a_few_windows_before() {
        let mut changes = Changes::default();
        let up = limit(4, Transition::Greedy);
        let down = limit(2, Transition::Lazy);
        assert!(!changes.note(10, &up, Some(down.clone())));
        assert!(!changes.note(11, &Action::Hold, None));
        assert!(changes.note(15, &down, Some(up.clone())));
        assert!(!changes.note(21, &up, Some(down)), "six windows later");
    }
}
