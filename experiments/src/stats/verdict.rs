//! The verdict on a difference: one word, and a remark if one is needed.

use serde::{Deserialize, Serialize};

use super::{Claims, Estimate, Interval, LEVEL, PAIRS_TO_DECIDE_MAX, Test};
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
        /// The two sides may not be compared.
        Refused = "refused",
    }
}

impl Verdict {
    /// The name without blanks, as a class of a style sheet: `not-measured`.
    pub fn class(self) -> String {
        self.name().replace(' ', "-")
    }

    /// Whether a difference is claimed.
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Better | Self::Worse | Self::Different)
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
    /// The p-values after correction. Not read with fewer than two pairs.
    pub p: Claims,
    /// The difference that does not matter, on the sample's scale.
    pub margin: f64,
    /// Whether more is better.
    pub direction: Direction,
    /// How the p-value of a difference was found.
    pub test: Test,
    /// How many comparisons the p-values were corrected for.
    pub comparisons: usize,
}

impl Question<'_> {
    /// Judges the difference.
    pub fn judge(&self) -> Judgement {
        let Some(estimate) = Estimate::of(self.sample) else {
            return match self.test {
                Test::SignFlips | Test::Anytime => Judgement::new(Verdict::Undecided, "one sample"),
                Test::Student => Judgement::new(Verdict::Exact, "exact for this seed"),
            };
        };
        let least = self.test.pairs_min(1);
        if estimate.n < least {
            let note = format!("{} pairs; at least {least} are needed", estimate.n);
            return Judgement::new(Verdict::Undecided, note);
        }
        if estimate.mean == 0.0 && estimate.sd == 0.0 {
            return Judgement::new(Verdict::Equivalent, "identical in every pair");
        }
        if self.p.equivalence < LEVEL {
            return Judgement::new(Verdict::Equivalent, "");
        }
        let interval = self.test.interval(&estimate, 1.0 - LEVEL);
        if self.p.difference < LEVEL && interval.is_some_and(Interval::excludes_zero) {
            return Judgement::new(self.decided(estimate.mean > 0.0), "");
        }
        Judgement::new(Verdict::Undecided, self.what_would_decide(&estimate))
    }

    fn what_would_decide(&self, estimate: &Estimate) -> String {
        let least = self.test.pairs_min(self.comparisons);
        let enough = estimate.pairs_to_decide(self.test, self.margin, self.comparisons, least);
        match enough {
            Some(pairs) => format!("about {} pairs would decide", pairs.max(estimate.n + 1)),
            None => format!("more than {PAIRS_TO_DECIDE_MAX} pairs would be needed"),
        }
    }

    fn decided(&self, more: bool) -> Verdict {
        match (self.direction, more) {
            (Direction::Neutral, _) => Verdict::Different,
            (Direction::Higher, true) | (Direction::Lower, false) => Verdict::Better,
            (Direction::Higher, false) | (Direction::Lower, true) => Verdict::Worse,
        }
    }
}
