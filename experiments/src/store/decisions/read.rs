//! `decisions.jsonl` read back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::facts::WindowStats;
use aura_policies::mix::Mix;
use aura_policies::referee::Referee;
use serde::Deserialize;

use super::effect::{Seen, add_effects};
use super::{Decided, Maker, REFUSED};
use crate::files;
use crate::folders::TrialFolder;
use crate::store::{Result, parse};

/// What every line has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    phase: Cow<'a, str>,
    end_nanos: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
}

/// The decisions of a line that is a window.
#[derive(Deserialize)]
struct Decisions {
    decisions: Vec<AgentLine>,
}

/// An agent's decision as it was written. Each action has some of the fields.
#[derive(Deserialize)]
struct AgentLine {
    action: String,
    level: Option<u64>,
    runs: Option<f64>,
    transition: Option<String>,
    from: Option<u64>,
    to: Option<f64>,
    picker: Option<PolicySpec>,
    bits: Option<f64>,
    bytes: Option<f64>,
    reason: String,
    outcome: String,
}

/// A step of self-tuning as it was written.
#[derive(Deserialize)]
struct TunerLine {
    step: String,
    why: String,
    proposal: Option<ProposalLine>,
    window: u64,
    before: Option<f64>,
    after: Option<f64>,
}

/// What a self-tuner proposed.
#[derive(Deserialize)]
struct ProposalLine {
    change: String,
    knob: Option<String>,
    value: Option<f64>,
    from: Option<String>,
    to: Option<String>,
    bytes: Option<f64>,
}

/// Reads what was decided in a trial, in order; nothing if the trial has no decision log.
///
/// # Errors
/// [`StoreError::File`](crate::store::StoreError::File) or
/// [`StoreError::Damaged`](crate::store::StoreError::Damaged).
pub(in crate::store) fn read_decisions(folder: &TrialFolder) -> Result<Vec<Decided>> {
    let path = folder.decisions();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut log = Log::default();
    for line in files::read(&path)?.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let head: Head = parse(&path, line)?;
        match &*head.event {
            "window" => {
                let Decisions { decisions } = parse(&path, line)?;
                log.window(&head, &parse(&path, line)?, decisions);
            }
            "self-tuning" => log.step(&head, parse(&path, line)?),
            // An event that only another version keeps here.
            _ => {}
        }
    }
    Ok(log.finish())
}

/// A setting of a tree: the action, and where it sets what.
type Place = (String, Option<u64>, Option<String>);

/// What was read so far.
#[derive(Default)]
struct Log {
    referee: Referee,
    windows: Vec<Seen>,
    decided: Vec<Decided>,
    /// How many windows each decision had seen.
    seen: Vec<usize>,
    /// The value last set in each place.
    set: BTreeMap<Place, f64>,
}

impl Log {
    fn window(&mut self, head: &Head, facts: &WindowStats, decisions: Vec<AgentLine>) {
        let cost = self.referee.judge(facts).map(|judged| judged.cost);
        self.windows.push(Seen {
            phase: head.phase.clone().into_owned(),
            mix: Mix::of(facts),
            operations: facts.operations(),
            cost,
        });
        for line in decisions {
            let mut decided = line.decided(head, facts);
            decided.cost_before = cost;
            self.push(decided);
        }
    }

    fn step(&mut self, head: &Head, line: TunerLine) {
        self.push(line.decided(head));
    }

    /// Takes a decision in, with the value that it replaces.
    fn push(&mut self, mut decided: Decided) {
        let place = decided.place();
        decided.previous = place
            .as_ref()
            .and_then(|place| self.set.get(place).copied());
        if let (Some(place), Some(value), true) = (place, decided.value, decided.is_set()) {
            self.set.insert(place, value);
        }
        self.decided.push(decided);
        self.seen.push(self.windows.len());
    }

    fn finish(mut self) -> Vec<Decided> {
        add_effects(&mut self.decided, &self.seen, &self.windows);
        self.decided
    }
}

impl Decided {
    /// Which setting it is about; `None` if it sets none.
    fn place(&self) -> Option<Place> {
        let action = self.action.as_deref()?;
        let detail = match action {
            "merge" | "shift" | "hold" => return None,
            "set" => self.detail.clone(),
            _ => None,
        };
        Some((action.to_owned(), self.level, detail))
    }

    /// Whether its value holds from now on, or held already.
    fn is_set(&self) -> bool {
        match self.maker {
            Maker::Agent => self.outcome != REFUSED,
            Maker::SelfTuner => self.outcome == "applied",
        }
    }
}

impl AgentLine {
    fn decided(self, head: &Head, facts: &WindowStats) -> Decided {
        let level = match self.action.as_str() {
            "merge" => self.from,
            "set-level0-trigger" => Some(0),
            _ => self.level,
        };
        Decided {
            maker: Maker::Agent,
            phase: head.phase.clone().into_owned(),
            window: facts.index,
            operations: Some(facts.operations_total),
            at_nanos: head.end_nanos,
            level,
            value: self.runs.or(self.to).or(self.bits).or(self.bytes),
            previous: None,
            detail: self
                .transition
                .or_else(|| self.picker.map(|picker| picker.to_string())),
            action: Some(self.action),
            reason: self.reason,
            outcome: self.outcome,
            cost_before: None,
            cost_after: None,
            effect_windows: None,
        }
    }
}

impl TunerLine {
    fn decided(self, head: &Head) -> Decided {
        // A cost of 0 was not measured.
        let measured = |cost: Option<f64>| cost.filter(|cost| *cost > 0.0);
        let proposal = self.proposal;
        let value = proposal.as_ref().and_then(|it| it.value.or(it.bytes));
        let (action, detail) = match proposal {
            None => (None, None),
            Some(it) => {
                let shift = it
                    .from
                    .zip(it.to)
                    .map(|(from, to)| format!("{from} to {to}"));
                (Some(it.change), it.knob.or(shift))
            }
        };
        Decided {
            maker: Maker::SelfTuner,
            phase: head.phase.clone().into_owned(),
            window: self.window,
            operations: None,
            at_nanos: head.end_nanos,
            action,
            level: None,
            value,
            previous: None,
            detail,
            reason: self.why,
            outcome: self.step,
            cost_before: measured(self.before),
            cost_after: measured(self.after),
            effect_windows: None,
        }
    }
}
