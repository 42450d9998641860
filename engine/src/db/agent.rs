//! The agent, asked after each window of operations: what it sees, and the log of what it decides.

use std::collections::VecDeque;
use std::sync::Arc;

use aura_policies::agent::{Action, Decision, Transition};
use aura_policies::facts::{Outcome, WindowStats};

use super::Db;
use super::windows::Windows;
use crate::error::Result;
use crate::metrics::{DecisionMade, EventKind, add};
use crate::state::Watcher;

/// Windows after which setting something back is no reversal any more.
const REVERSAL_WINDOWS: u64 = 5;

/// Shows the agent each window of operations, and carries out what it answers.
pub(super) async fn ask_agent(db: Arc<Db>) -> Result<()> {
    let mut windows = Windows::new(&db);
    let mut changes = Changes::default();
    loop {
        db.core.window_ends().wait(Watcher::Agent).await;
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
