//! Hill climbing: one knob a step up or down, and it goes on as long as windows cost less.
//!
//! Source: the plainest search there is; the hand-written baseline of every study of tuning.
//! State: the knob, its direction, and the change that is being tried.
//! Cost: O(1) a window.
//! Invariants: a knob moves by one step of `factor` (by one, if it counts runs or bits) and stays
//! in its range. What did not save `min_gain` is set back, and the next knob takes its turn.
//! Weak where: costs are noisier than one step changes them, or knobs depend on one another.

use super::{Build, Change, Proposal, SelfTuner, shiftable, weight};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{Judgement, Knob, KnobFacts, Standing, TuningFacts, Verdict};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "hill-climb",
    about: "one knob a step up or down, and on as long as windows cost less",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "factor", params.factor, 1.01..=4.0)?;
        in_range(spec, "min_gain", params.min_gain, 0.0..=1.0)?;
        in_range(spec, "pause", params.pause, 0..=1_000_000)?;
        for name in &params.knobs {
            if !Knob::ALL.iter().any(|knob| knob.name() == name) {
                let known = Knob::ALL.map(Knob::name).join(", ");
                let what = format!("there is no knob `{name}`; known: {known}");
                return Err(bad(spec, "knobs", &what));
            }
        }
        Ok(Box::new(HillClimb {
            params,
            turn: 0,
            up: true,
            tried: None,
            flat: 0,
            rests_until: 0,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Names of the knobs to turn, of those that have a range; none means all of them.
    knobs: Vec<String>,
    /// The factor of a step of bytes (1.01 to 4).
    factor: f64,
    /// The share of the cost that a step must save to be followed by another one (0 to 1).
    min_gain: f64,
    /// Windows of rest once no knob has saved anything in either direction (0 to 1000000).
    pause: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            knobs: Vec::new(),
            factor: 1.25,
            min_gain: 0.005,
            pause: 50,
        }
    }
}

/// A change that is not judged yet.
#[derive(Clone, Copy)]
struct Tried {
    /// What would set it back; None if it sets something back itself.
    back: Option<Change>,
}

struct HillClimb {
    params: Params,
    /// The knob whose turn it is, among those that have a range.
    turn: usize,
    up: bool,
    tried: Option<Tried>,
    /// Directions in a row that saved nothing.
    flat: usize,
    rests_until: u64,
}

impl HillClimb {
    /// The other direction, or the next knob after both.
    fn turn(&mut self) {
        self.flat += 1;
        self.turn += usize::from(!self.up);
        self.up = !self.up;
    }

    /// Takes what became of the last change. Returns what sets it back, if it saved nothing.
    fn take(&mut self, judged: &Judgement) -> Option<Change> {
        let tried = self.tried.take()?;
        let saved = judged.after < judged.before * (1.0 - self.params.min_gain);
        match (judged.verdict, tried.back) {
            (Verdict::Kept, Some(_)) if saved => self.flat = 0,
            (Verdict::Kept, Some(back)) => {
                self.turn();
                self.tried = Some(Tried { back: None });
                return Some(back);
            }
            (_, Some(_)) => self.turn(),
            (_, None) => {}
        }
        None
    }

    /// A step of `knob`, and the step back; None at the end of its range.
    fn step_of(&self, knob: &KnobFacts, facts: &TuningFacts) -> Option<(Change, Change)> {
        let counts = matches!(knob.knob, Knob::FilterBits | Knob::Level0Trigger);
        let wanted = match (counts, self.up) {
            (true, true) => knob.value + 1.0,
            (true, false) => knob.value - 1.0,
            (false, true) => knob.value * self.params.factor,
            (false, false) => knob.value / self.params.factor,
        };
        let value = wanted.floor().clamp(knob.least, knob.most);
        if value == knob.value {
            return None;
        }
        let other = match knob.knob {
            Knob::Memtable => facts.knob(Knob::CacheSize),
            Knob::CacheSize => facts.knob(Knob::Memtable),
            _ => None,
        };
        let Some(other) = other else {
            let set = |value| Change::Set {
                knob: knob.knob,
                value,
            };
            return Some((set(value), set(knob.value)));
        };
        let bytes = (value - knob.value).abs() * weight(knob.knob, facts);
        let (from, to) = if self.up {
            (other, knob)
        } else {
            (knob, other)
        };
        let bytes = shiftable(from, to, bytes, facts);
        let shift = |from: &KnobFacts, to: &KnobFacts| Change::Shift {
            from: from.knob,
            to: to.knob,
            bytes,
        };
        (bytes > 0).then(|| (shift(from, to), shift(to, from)))
    }

    fn climb(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        let is_chosen = |knob: &&KnobFacts| {
            let names = &self.params.knobs;
            names.is_empty() || names.iter().any(|name| knob.knob.name() == name)
        };
        let knobs: Vec<&KnobFacts> = facts.knobs.iter().filter(is_chosen).collect();
        for _ in 0..2 * knobs.len() {
            if self.flat >= 2 * knobs.len() {
                self.flat = 0;
                self.rests_until = facts.window.index.saturating_add(self.params.pause);
                return None;
            }
            let knob = knobs[self.turn % knobs.len()];
            if let Some((change, back)) = self.step_of(knob, facts) {
                self.tried = Some(Tried { back: Some(back) });
                return Some(Proposal::new(change, "climb"));
            }
            self.turn();
        }
        None
    }
}

impl SelfTuner for HillClimb {
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        let judged = facts.judged.as_ref();
        let back = judged.and_then(|judged| self.take(judged));
        if let Some(back) = back {
            return Some(Proposal::new(back, "saved-nothing"));
        }
        let is_free = facts.standing == Standing::Free && facts.window.index >= self.rests_until;
        match is_free {
            true => self.climb(facts),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Climbs a hill with its least cost at a trigger of five, judged without noise.
    #[test]
    fn it_finds_the_bottom_and_rests() {
        let spec = PolicySpec::named("hill-climb").with("pause", 5);
        let mut climber = (ENTRY.build)(0, &spec).expect("in range");
        let cost = |value: f64| 10.0 + (value - 5.0).abs();
        let mut value = 1.0;
        let mut judged = None;
        let mut seen = Vec::new();
        for index in 0..60 {
            let mut facts = TuningFacts {
                knobs: vec![KnobFacts {
                    knob: Knob::Level0Trigger,
                    value,
                    least: 1.0,
                    most: 12.0,
                }],
                judged: judged.take(),
                ..TuningFacts::default()
            };
            facts.window.index = index;
            if let Some(proposal) = climber.step(&facts) {
                let Change::Set { value: next, .. } = proposal.change else {
                    panic!("{proposal:?}")
                };
                assert!((next - value).abs() <= 1.0, "one step");
                judged = Some(Judgement {
                    verdict: Verdict::Kept,
                    before: cost(value),
                    after: cost(next),
                });
                value = next;
            }
            seen.push(value);
        }
        let late = &seen[10..];
        assert!(late.iter().all(|at| (4.0..=6.0).contains(at)), "{seen:?}");
        let at_best = late.iter().filter(|at| **at == 5.0).count();
        assert!(at_best * 2 > late.len(), "{seen:?}");
    }

    #[test]
    fn a_knob_that_does_not_exist_is_refused() {
        let spec = PolicySpec::named("hill-climb").with("knobs", ["memtabel"]);
        let error = (ENTRY.build)(0, &spec).err().expect("refused");
        assert!(
            error.to_string().contains("known: memtable, cache.size"),
            "{error}"
        );
    }
}
