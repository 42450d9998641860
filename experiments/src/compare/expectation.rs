//! What a config expects, written down before the run, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CompareRow;
use super::answer::listed;
use crate::names::named_enum;
use crate::point::{self, Point};
use crate::stats::verdict::Verdict;

named_enum! {
    /// A verdict that may be expected.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub enum Claim {
        /// The variant is better than the baseline.
        Better = "better",
        /// The variant is worse than the baseline.
        Worse = "worse",
        /// The two differ by less than the margin.
        Equivalent = "equivalent",
    }
}

/// A part of the hypothesis that the run decides: a verdict on a primary metric.
///
/// It holds for each of its variants, in each phase and at each point that it does not rule out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The primary metric.
    pub metric: String,
    /// The variants, none of which is the baseline.
    pub variants: Vec<String>,
    /// The verdict.
    pub verdict: Claim,
    /// The phase. Default: every phase in which the metric is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The sweep points, by the values of some swept keys as tables show them, such as
    /// `{ "engine.cache.size" = "512KiB" }`. Default: all points.
    #[serde(default, skip_serializing_if = "Point::is_empty")]
    pub at: Point,
}

impl Expectation {
    /// Whether it speaks of `point`.
    pub fn is_of_point(&self, point: &Point) -> bool {
        let mut asked = self.at.iter();
        asked.all(|(key, value)| point.get(key) == Some(value))
    }

    /// Whether it speaks of a comparison.
    pub fn is_of(&self, row: &CompareRow) -> bool {
        let in_phase = self.phase.as_ref().is_none_or(|phase| *phase == row.phase);
        row.primary
            && row.metric == self.metric
            && self.variants.contains(&row.variant)
            && in_phase
            && self.is_of_point(&row.point)
    }
}

/// What came of expectations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Verdicts that are as expected.
    pub held: usize,
    /// Verdicts that are not, in words.
    pub failed: Vec<String>,
    /// What is not decided, in words.
    pub open: Vec<String>,
}

impl Outcome {
    /// Holds expectations against the rows of a comparison.
    pub fn of(expectations: &[Expectation], rows: &[CompareRow]) -> Self {
        let mut outcome = Self::default();
        for expectation in expectations {
            let found: Vec<&CompareRow> =
                rows.iter().filter(|row| expectation.is_of(row)).collect();
            if found.is_empty() {
                let variants = expectation.variants.join(", ");
                let open = format!("{variants} on {} (no value)", expectation.metric);
                outcome.open.push(open);
            }
            for row in found {
                outcome.add(row, expectation.verdict);
            }
        }
        outcome
    }

    fn add(&mut self, row: &CompareRow, expected: Claim) {
        match row.verdict {
            verdict if verdict.name() == expected.name() => self.held += 1,
            Verdict::Better | Verdict::Worse | Verdict::Equivalent | Verdict::Different => {
                self.failed.push(described(row, expected));
            }
            _ => self.open.push(described(row, expected)),
        }
    }

    /// How many verdicts were expected.
    pub fn all(&self) -> usize {
        self.held + self.failed.len() + self.open.len()
    }
}

/// Says how many of the expectations held, and which failed or were not decided. `rows` hold the
/// comparisons.
pub(super) fn outcome(expectations: &[Expectation], rows: &[CompareRow]) -> Option<String> {
    if expectations.is_empty() {
        return None;
    }
    let outcome = Outcome::of(expectations, rows);
    let all = outcome.all();
    let mut words = match outcome.held {
        1 if all == 1 => "What was expected held.".to_owned(),
        held if held == all => format!("All {all} expected verdicts held."),
        held => format!("Of {all} expected verdicts {held} held."),
    };
    if !outcome.failed.is_empty() {
        words += &format!(" Failed: {}.", listed(&outcome.failed));
    }
    if !outcome.open.is_empty() {
        words += &format!(" Not decided: {}.", listed(&outcome.open));
    }
    Some(words)
}

/// A row that is not as expected.
fn described(row: &CompareRow, expected: Claim) -> String {
    let mut place = row.phase.clone();
    if !row.point.is_empty() {
        place = format!("{place} {}", point::label(&row.point));
    }
    format!(
        "{} on {} in {place}: {}, not {} ({})",
        row.variant,
        row.metric,
        row.verdict.name(),
        expected.name(),
        row.effect_with_unit()
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{compared, values};
    use super::super::{Context, answer};
    use super::*;
    use crate::record::World;

    #[test]
    fn expectations_hold_fail_or_stay_open() {
        let lru = [0.50, 0.51, 0.49, 0.50, 0.52, 0.48];
        let near = [0.481, 0.53, 0.47, 0.52, 0.50, 0.50];
        let arc = [0.60, 0.612, 0.59, 0.601, 0.62, 0.581];
        let sides: [(&str, &[f64]); 3] = [("lru", &lru), ("near", &near), ("arc", &arc)];
        let rows = values("cache.hit_ratio", World::Simulated, &sides);
        let comparison = compared(&rows, "cache.hit_ratio");
        let expect = |variants: &[&str], verdict: Claim, phase: Option<&str>| Expectation {
            metric: "cache.hit_ratio".to_owned(),
            variants: variants.iter().map(|it| (*it).to_owned()).collect(),
            verdict,
            phase: phase.map(str::to_owned),
            at: Point::new(),
        };
        let said = |expectations: &[Expectation]| {
            let context = Context {
                expectations,
                ..Context::default()
            };
            let answer = answer(&comparison, context);
            let line = answer.lines().find(|line| line.contains("expected"));
            line.expect("a line on what was expected").to_owned()
        };
        let held = expect(&["arc"], Claim::Better, Some("run"));
        assert_eq!(said(std::slice::from_ref(&held)), "What was expected held.");
        let both = expect(&["arc", "near"], Claim::Equivalent, None);
        let elsewhere = expect(&["arc"], Claim::Better, Some("load"));
        assert_eq!(
            said(&[held, both, elsewhere]),
            "Of 4 expected verdicts 1 held. Failed: arc on cache.hit_ratio in run: better, not \
             equivalent (+10.1 pp). Not decided: near on cache.hit_ratio in run: undecided, not \
             equivalent (+0.0167 pp), arc on cache.hit_ratio (no value)."
        );
    }
}
