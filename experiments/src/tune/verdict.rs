//! What the search saw, and what fresh seeds say: one row per metric that was asked for.

use std::collections::BTreeMap;

use super::session::{Found, WINNER};
use crate::compare::{CompareRow, Comparison, shown_effect};
use crate::formats::{Cell, Column, column};
use crate::metrics::Scale;
use crate::optimise::goal::{Goal, Measured, Sense};
use crate::stats::verdict::Verdict;
use crate::stats::{CONFIDENCE, Estimate};
use crate::store::TidyRow;

/// The name of the row of a weighted cost.
const COST: &str = "cost";

/// The winner against the baseline on one metric.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The metric and its window, or `cost`.
    pub metric: String,
    /// The metric's unit.
    pub unit: &'static str,
    /// Whether effects are shares of the baseline's value, or differences.
    pub scale: Scale,
    /// How the search saw it.
    pub seen: Pair,
    /// How fresh seeds show it.
    pub fresh: Pair,
    /// The lower end of the fresh effect's 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// What may be said by the fresh seeds.
    pub verdict: Verdict,
    /// Of a constraint: whether the winner's mean under fresh seeds keeps it.
    pub kept: Option<bool>,
}

/// Baseline, winner and the difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The baseline's mean.
    pub baseline: f64,
    /// The winner's mean.
    pub winner: f64,
    /// The winner's value against the baseline's: a share of it, or the difference.
    pub effect: f64,
}

impl Pair {
    fn of(baseline: f64, winner: f64, scale: Scale) -> Self {
        let effect = match scale {
            Scale::Relative => winner / baseline - 1.0,
            Scale::Absolute => winner - baseline,
        };
        Self {
            baseline,
            winner,
            effect,
        }
    }
}

impl Confirmed {
    /// Writes a number on the effect's scale with its unit: `+2.1 %`.
    pub fn shown(&self, effect: f64) -> String {
        shown_effect(self.scale, self.unit, effect)
    }

    /// How much of the effect that the search saw the fresh seeds do not show; negative if they
    /// show more.
    pub fn drop(&self) -> f64 {
        let sign = if self.seen.effect < 0.0 { -1.0 } else { 1.0 };
        sign * (self.seen.effect - self.fresh.effect)
    }
}

/// The columns of the table.
pub const COLUMNS: [Column<Confirmed>; 12] = [
    column("metric", |row| row.metric.clone().into()),
    column("baseline_in_search", |row| Cell::number(row.seen.baseline)),
    column("winner_in_search", |row| Cell::number(row.seen.winner)),
    column("effect_in_search", |row| Cell::number(row.seen.effect)),
    column("baseline", |row| Cell::number(row.fresh.baseline)),
    column("winner", |row| Cell::number(row.fresh.winner)),
    column("effect", |row| Cell::number(row.fresh.effect)),
    column("low", |row| Cell::number(row.low)),
    column("high", |row| Cell::number(row.high)),
    column("drop", |row| Cell::number(row.drop())),
    column("verdict", |row| row.verdict.name().into()),
    column("role", |row| match row.kept {
        None => "goal".into(),
        Some(true) => "constraint, kept".into(),
        Some(false) => "constraint, broken".into(),
    }),
];

/// The rows of every metric that the search was judged by; `rows` are those of the fresh trials,
/// `comparison` compares them.
pub fn confirmed(
    goal: &Goal,
    found: &Found,
    comparison: &Comparison,
    rows: &[TidyRow],
) -> Vec<Confirmed> {
    let Some(best) = &found.best else {
        return Vec::new();
    };
    let mut confirmed: Vec<Confirmed> = Vec::new();
    if goal.sense == Sense::Cost {
        let baseline = &found.baseline;
        let costs = [baseline, best].map(|it| goal.cost(&it.means, &baseline.means));
        if let [Some(before), Some(after)] = costs {
            let seen = Pair::of(before, after, Scale::Relative);
            confirmed.extend(fresh_cost(goal, rows, &baseline.name, seen));
        }
    }
    let means = [&found.baseline.means, &best.means];
    let terms = goal.terms.iter();
    let terms = terms.map(|term| (term.metric, term.phase.as_str(), None));
    let limits = goal.limits.iter();
    let limits = limits.map(|limit| (limit.metric, limit.phase.as_str(), Some(limit)));
    for (metric, phase, limit) in terms.chain(limits) {
        let name = format!("{}@{phase}", metric.name);
        let is_row = |row: &&CompareRow| row.metric == metric.name && row.phase == phase;
        let row = comparison.rows.iter().find(is_row);
        let values = means.map(|means| means.get(&name).copied());
        if let (Some(row), [Some(before), Some(after)]) = (row, values) {
            confirmed.push(Confirmed {
                metric: name,
                unit: metric.unit,
                scale: metric.scale,
                seen: Pair::of(before, after, metric.scale),
                fresh: Pair {
                    baseline: row.baseline_mean,
                    winner: row.variant_mean,
                    effect: row.effect,
                },
                low: row.low,
                high: row.high,
                verdict: row.verdict,
                kept: limit.map(|limit| limit.is_kept(row.variant_mean)),
            });
        }
    }
    confirmed
}

/// The cost under fresh seeds: its logarithm's difference from the baseline's has a Student
/// interval over the seeds, as a metric's has.
fn fresh_cost(goal: &Goal, rows: &[TidyRow], baseline: &str, seen: Pair) -> Option<Confirmed> {
    let mut seeds: BTreeMap<u64, [Vec<&TidyRow>; 2]> = BTreeMap::new();
    for row in rows {
        let side = if row.trial.variant == baseline {
            0
        } else if row.trial.variant == WINNER {
            1
        } else {
            continue;
        };
        seeds.entry(row.trial.seed).or_default()[side].push(row);
    }
    let weights: f64 = goal.terms.iter().map(|term| term.weight).sum();
    let logarithm = |[before, after]: &[Vec<&TidyRow>; 2]| {
        let means = |rows: &[&TidyRow]| -> Measured { goal.means(rows.iter().copied(), 1) };
        let cost = goal.cost(&means(after), &means(before))?;
        Some(libm::log(cost / weights))
    };
    let sample: Vec<f64> = seeds.values().filter_map(logarithm).collect();
    let estimate = Estimate::of(&sample)?;
    let interval = estimate.interval(CONFIDENCE);
    let share = |logarithm: f64| libm::exp(logarithm) - 1.0;
    let verdict = match (interval.excludes_zero(), estimate.mean < 0.0) {
        (true, true) => Verdict::Better,
        (true, false) => Verdict::Worse,
        (false, _) => Verdict::Undecided,
    };
    Some(Confirmed {
        metric: COST.to_owned(),
        unit: "ratio",
        scale: Scale::Relative,
        seen,
        fresh: Pair {
            baseline: weights,
            winner: weights * libm::exp(estimate.mean),
            effect: share(estimate.mean),
        },
        low: Some(share(interval.low)),
        high: Some(share(interval.high)),
        verdict,
        kept: None,
    })
}
