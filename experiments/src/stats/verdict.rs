//! The verdict on a difference: one word, and a remark if one is needed.

use serde::{Deserialize, Serialize};

use super::{Estimate, LEVEL, PAIRS_MIN, PAIRS_TO_DECIDE_MAX};
use crate::metrics::Direction;
use crate::names::named_enum;

named_enum! {
    /// What may be said of a difference.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Verdict {
        /// The variant is better.
        Better = "better",
        /// The variant is worse.
        Worse = "worse",
        /// The difference is smaller than the margin.
        Equivalent = "equivalent",
        /// There is a difference, in a metric of which neither direction is better.
        Different = "different",
        /// Nothing can be said yet.
        Undecided = "undecided",
        /// One seed of a deterministic world: exact, and nothing about other seeds.
        Exact = "exact",
        /// No policy acted in which the two differ.
        Inactive = "inactive",
        /// Too little happened of what the metric depends on.
        NotMeasured = "not measured",
    }
}

/// A verdict with its remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why no more can be said; empty if nothing needs saying.
    pub note: String,
}

impl Judgement {
    /// A verdict with a remark.
    pub fn new(verdict: Verdict, note: impl Into<String>) -> Self {
        Self {
            verdict,
            note: note.into(),
        }
    }
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// One difference per pair.
    pub sample: &'a [f64],
    /// The p-value after correction. Not read with fewer than two pairs.
    pub p: f64,
    /// The difference that does not matter, on the sample's scale.
    pub margin: f64,
    /// Whether more is better.
    pub direction: Direction,
    /// Whether the world adds noise of its own, so that fewer than six pairs decide nothing.
    pub noisy: bool,
}

impl Question<'_> {
    /// Judges the difference.
    pub fn judge(&self) -> Judgement {
        let Some(estimate) = Estimate::of(self.sample) else {
            return if self.noisy {
                Judgement::new(Verdict::Undecided, "one sample")
            } else {
                Judgement::new(Verdict::Exact, "exact for this seed")
            };
        };
        if self.noisy && estimate.n < PAIRS_MIN {
            let note = format!("{} pairs; at least {PAIRS_MIN} are needed", estimate.n);
            return Judgement::new(Verdict::Undecided, note);
        }
        if estimate.mean == 0.0 && estimate.sd == 0.0 {
            return Judgement::new(Verdict::Equivalent, "identical in every pair");
        }
        if estimate.interval(1.0 - 2.0 * LEVEL).is_within(self.margin) {
            return Judgement::new(Verdict::Equivalent, "");
        }
        if self.p < LEVEL && estimate.interval(1.0 - LEVEL).excludes_zero() {
            return Judgement::new(self.decided(estimate.mean > 0.0), "");
        }
        let note = match estimate.pairs_to_decide(self.margin) {
            Some(pairs) => format!("about {} pairs would decide", pairs.max(estimate.n + 1)),
            None => format!("more than {PAIRS_TO_DECIDE_MAX} pairs would be needed"),
        };
        Judgement::new(Verdict::Undecided, note)
    }

    fn decided(&self, more: bool) -> Verdict {
        match (self.direction, more) {
            (Direction::Neutral, _) => Verdict::Different,
            (Direction::Higher, true) | (Direction::Lower, false) => Verdict::Better,
            (Direction::Higher, false) | (Direction::Lower, true) => Verdict::Worse,
        }
    }
}
