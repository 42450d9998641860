//! What the search saw, and what fresh seeds say: one row per metric that was asked for.
//!
//! Search and confirmation ask for equal metrics in equal windows. The verdict is that of every
//! comparison ([`compare_at`](crate::compare::compare_at)): what is improved is the primary metric,
//! what a cost is made of and what is kept are looked at beside it. A weighted cost is a metric of
//! its own, made for each seed from that seed's two trials.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::session::Found;
use crate::compare::{AskedAt, CompareRow, shown_effect};
use crate::config::WINNER;
use crate::formats::{Cell, Column, column};
use crate::metrics::{Class, Debt, Direction, MetricDef, Scale};
use crate::optimise::goal::{Goal, Measured, Sense};
use crate::stats::verdict::Verdict;
use crate::store::{RowName, TidyRow};

/// The window of a weighted cost, whose terms have windows of their own.
const OF_COST: &str = aura_workloads::names::WHOLE;

/// A weighted cost as a metric.
static COST: MetricDef = MetricDef {
    name: "cost",
    unit: "ratio",
    class: Class::Timed,
    direction: Direction::Lower,
    scale: Scale::Relative,
    debt: Debt::Unmoved,
    need: None,
    towards: None,
    about: "The weighted sum of ratios to the baseline.",
    value: |_| None,
};

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
    /// Why no more may be said; empty if nothing needs saying.
    pub note: String,
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
    /// The winner's value against the baseline's: a share of it, or the difference. `None` if it
    /// were a share of zero.
    pub effect: Option<f64>,
}

impl Pair {
    fn of(baseline: f64, winner: f64, scale: Scale) -> Self {
        let effect = match scale {
            Scale::Relative => (baseline > 0.0).then(|| winner / baseline - 1.0),
            Scale::Absolute => Some(winner - baseline),
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
    pub fn drop(&self) -> Option<f64> {
        let (seen, fresh) = (self.seen.effect?, self.fresh.effect?);
        let sign = if seen < 0.0 { -1.0 } else { 1.0 };
        Some(sign * (seen - fresh))
    }
}

/// The columns of the table.
pub const COLUMNS: [Column<Confirmed>; 13] = [
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
    column("note", |row| row.note.clone().into()),
];

/// What the fresh trials are asked for: the goal first, then what a cost is made of, then what is
/// kept.
pub fn asked(goal: &Goal) -> Vec<AskedAt<'_>> {
    let is_cost = goal.sense == Sense::Cost;
    let cost = is_cost.then_some(AskedAt {
        metric: &COST,
        phase: OF_COST,
        primary: true,
    });
    let terms = goal.terms.iter().map(|term| AskedAt {
        metric: term.metric,
        phase: &term.phase,
        primary: !is_cost,
    });
    let limits = goal.limits.iter().map(|limit| AskedAt {
        metric: limit.metric,
        phase: &limit.phase,
        primary: false,
    });
    cost.into_iter().chain(terms).chain(limits).collect()
}

/// The rows of the fresh trials, and among those of each trial its cost: the winner's against the
/// baseline's under the same seed. Without a cost, the rows as they are.
pub fn with_cost(goal: &Goal, baseline: &str, rows: Vec<TidyRow>) -> Vec<TidyRow> {
    if goal.sense != Sense::Cost {
        return rows;
    }
    let trials = || rows.chunk_by(|a, b| Arc::ptr_eq(&a.trial, &b.trial));
    let means = |rows: &[TidyRow]| -> Measured { goal.means(rows.iter(), 1) };
    let of_baseline = trials().filter(|rows| rows[0].trial.variant == baseline);
    let baselines: BTreeMap<u64, Measured> = of_baseline
        .map(|rows| (rows[0].trial.seed, means(rows)))
        .collect();
    let mut all = Vec::with_capacity(rows.len());
    for rows in trials() {
        all.extend_from_slice(rows);
        let trial = &rows[0].trial;
        let before = baselines.get(&trial.seed);
        let cost = before.and_then(|before| goal.cost(&means(rows), before).ok());
        all.extend(cost.map(|value| TidyRow {
            trial: trial.clone(),
            name: Arc::new(RowName {
                phase: OF_COST.to_owned(),
                metric: COST.name.to_owned(),
                unit: COST.unit.to_owned(),
                class: COST.class.within(trial.world),
            }),
            value,
        }));
    }
    all
}

/// The rows of every metric that the search was judged by; `compared` are those that were asked for
/// of the fresh trials.
pub fn confirmed(goal: &Goal, found: &Found, compared: &[CompareRow]) -> Vec<Confirmed> {
    let Some(best) = &found.best else {
        return Vec::new();
    };
    let before = &found.baseline.means;
    let mut confirmed = Vec::new();
    let asked = asked(goal);
    let first_limit = asked.len() - goal.limits.len();
    for (at, asked) in asked.iter().enumerate() {
        let is_row = |row: &&CompareRow| {
            row.metric == asked.metric.name && row.phase == asked.phase && row.variant == WINNER
        };
        let Some(row) = compared.iter().find(is_row) else {
            continue;
        };
        let is_cost = asked.metric.name == COST.name;
        let name = format!("{}@{}", row.metric, row.phase);
        let seen = [before, &best.means].map(|means| match is_cost {
            true => goal.cost(means, before).ok(),
            false => means.get(&name).copied(),
        });
        let [Some(seen_before), Some(seen_after)] = seen else {
            continue;
        };
        let limit = at.checked_sub(first_limit).map(|at| &goal.limits[at]);
        confirmed.push(Confirmed {
            metric: if is_cost { row.metric.clone() } else { name },
            unit: asked.metric.unit,
            scale: row.scale,
            seen: Pair::of(seen_before, seen_after, row.scale),
            fresh: Pair {
                baseline: row.baseline_mean,
                winner: row.variant_mean,
                effect: Some(row.effect),
            },
            low: row.low,
            high: row.high,
            verdict: row.verdict,
            note: row.note.clone(),
            kept: limit.map(|limit| limit.is_kept(row.variant_mean, row.baseline_mean)),
        });
    }
    confirmed
}
