//! What a search improves, and what it must keep: from the metrics of a point's trials to an
//! outcome.
//!
//! Values are means over the seeds, geometric ones where values are compared by their ratio, as in
//! comparisons. The score is a logarithm there: a search sees shares, not units.

use std::collections::BTreeMap;

use super::search::Outcome;
use crate::metrics::{Direction, MetricDef, Scale};
use crate::stats;
use crate::store::TidyRow;

/// What is improved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// The only term is made small.
    Minimize,
    /// The only term is made large.
    Maximize,
    /// The weighted sum of the terms' ratios to the baseline is made small.
    Cost,
}

/// A metric in a window.
#[derive(Clone, Debug)]
pub struct Term {
    /// The metric.
    pub metric: &'static MetricDef,
    /// The window: a phase, or `whole`.
    pub phase: String,
    /// Its part in a cost.
    pub weight: f64,
}

/// The end of a range that a metric must stay in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The largest value.
    AtMost(f64),
    /// The smallest value.
    AtLeast(f64),
}

/// A limit on a metric.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The metric.
    pub metric: &'static MetricDef,
    /// The window.
    pub phase: String,
    /// The limit.
    pub bound: Bound,
}

/// What a search improves and keeps.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is done with the terms.
    pub sense: Sense,
    /// At least one.
    pub terms: Vec<Term>,
    /// What must be kept.
    pub limits: Vec<Limit>,
}

/// A metric in a window, by name.
pub type Measured = BTreeMap<String, f64>;

/// The name of a metric in a window.
fn named(metric: &MetricDef, phase: &str) -> String {
    format!("{}@{phase}", metric.name)
}

impl Term {
    /// The metric and its window.
    pub fn name(&self) -> String {
        named(self.metric, &self.phase)
    }
}

impl Limit {
    /// The metric and its window.
    pub fn name(&self) -> String {
        named(self.metric, &self.phase)
    }

    /// By how much a value breaks the limit; zero or less if it keeps it.
    fn excess(&self, value: f64) -> f64 {
        let (value, limit, sign) = match self.bound {
            Bound::AtMost(limit) => (value, limit, 1.0),
            Bound::AtLeast(limit) => (value, limit, -1.0),
        };
        if self.metric.scale == Scale::Relative && value > 0.0 && limit > 0.0 {
            sign * libm::log(value / limit)
        } else {
            sign * (value - limit)
        }
    }

    /// Whether a value keeps the limit.
    pub fn is_kept(&self, value: f64) -> bool {
        self.excess(value) <= 0.0
    }
}

impl Goal {
    /// The metrics in their windows, each once: terms first.
    fn all(&self) -> Vec<(&'static MetricDef, &str)> {
        let terms = self.terms.iter().map(|it| (it.metric, it.phase.as_str()));
        let limits = self.limits.iter().map(|it| (it.metric, it.phase.as_str()));
        terms.chain(limits).collect()
    }

    /// The names of all metrics in their windows.
    pub fn names(&self) -> Vec<String> {
        let all = self.all().into_iter();
        all.map(|(metric, phase)| named(metric, phase)).collect()
    }

    /// The means of a point's metrics over `seeds` trials, by name; without those that some trial
    /// has no value of.
    pub fn means<'a>(&self, rows: impl Iterator<Item = &'a TidyRow>, seeds: usize) -> Measured {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let all = self.all();
        for row in rows {
            let asked = all
                .iter()
                .any(|(metric, phase)| row.name.metric == metric.name && row.name.phase == *phase);
            if asked {
                let name = format!("{}@{}", row.name.metric, row.name.phase);
                values.entry(name).or_default().push(row.value);
            }
        }
        let mut means = Measured::new();
        for (metric, phase) in all {
            let name = named(metric, phase);
            if let Some(values) = values.get(&name).filter(|values| values.len() == seeds) {
                means.insert(name, mean(metric, values));
            }
        }
        means
    }

    /// What comes of a point with these means; `baseline` are those of the baseline.
    pub fn outcome(&self, means: &Measured, baseline: &Measured) -> Outcome {
        let value = |name: String| means.get(&name).copied();
        let limits = self.limits.iter();
        let excess = limits.map(|limit| Some(limit.excess(value(limit.name())?)));
        let excess: Option<Vec<f64>> = excess.collect();
        match (self.score(means, baseline), excess) {
            (Some(score), Some(excess)) if score.is_finite() => Outcome::Measured { score, excess },
            _ => Outcome::Failed,
        }
    }

    fn score(&self, means: &Measured, baseline: &Measured) -> Option<f64> {
        if self.sense == Sense::Cost {
            return Some(libm::log(self.cost(means, baseline)?));
        }
        let term = &self.terms[0];
        let value = *means.get(&term.name())?;
        let small = if term.metric.scale == Scale::Relative && value > 0.0 {
            libm::log(value)
        } else {
            value
        };
        Some(if self.sense == Sense::Minimize {
            small
        } else {
            -small
        })
    }

    /// The weighted sum of the terms' ratios to the baseline.
    pub fn cost(&self, means: &Measured, baseline: &Measured) -> Option<f64> {
        let mut cost = 0.0;
        for term in &self.terms {
            let (value, before) = (means.get(&term.name())?, baseline.get(&term.name())?);
            if *value <= 0.0 || *before <= 0.0 {
                return None;
            }
            cost += term.weight
                * match term.metric.direction {
                    Direction::Higher => before / value,
                    Direction::Lower | Direction::Neutral => value / before,
                };
        }
        Some(cost)
    }

    /// The value of a point as tables and figures show it, in the unit of [`label`](Self::label).
    pub fn shown(&self, means: &Measured, baseline: &Measured) -> Option<f64> {
        match self.sense {
            Sense::Cost => self.cost(means, baseline),
            _ => means.get(&self.terms[0].name()).copied(),
        }
    }

    /// A score in the unit of [`label`](Self::label).
    pub fn unscored(&self, score: f64) -> f64 {
        let small = if self.sense == Sense::Maximize {
            -score
        } else {
            score
        };
        let relative = self.terms[0].metric.scale == Scale::Relative;
        if self.sense == Sense::Cost || relative {
            libm::exp(small)
        } else {
            small
        }
    }

    /// What is improved, with its unit.
    pub fn label(&self) -> String {
        match self.sense {
            Sense::Cost => "cost".to_owned(),
            _ => format!("{} ({})", self.terms[0].name(), self.terms[0].metric.unit),
        }
    }
}

fn mean(metric: &MetricDef, values: &[f64]) -> f64 {
    if metric.scale == Scale::Relative && values.iter().all(|value| *value > 0.0) {
        let logarithms: Vec<f64> = values.iter().map(|value| libm::log(*value)).collect();
        libm::exp(stats::mean(&logarithms))
    } else {
        stats::mean(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;

    fn term(name: &str, weight: f64) -> Term {
        Term {
            metric: metrics::find(name).expect("a known metric"),
            phase: "run".to_owned(),
            weight,
        }
    }

    fn measured(values: &[(&str, f64)]) -> Measured {
        let named = values
            .iter()
            .map(|(name, value)| (format!("{name}@run"), *value));
        named.collect()
    }

    #[test]
    fn a_cost_takes_ratios_to_the_baseline_the_right_way_up() {
        let goal = Goal {
            sense: Sense::Cost,
            terms: vec![
                term("run.throughput_ops", 2.0),
                term("read.latency_p99_us", 1.0),
            ],
            limits: Vec::new(),
        };
        let means = |speed, latency| {
            measured(&[
                ("run.throughput_ops", speed),
                ("read.latency_p99_us", latency),
            ])
        };
        let baseline = means(1000.0, 10.0);
        let cost = |means: &Measured| goal.cost(means, &baseline).expect("all are there");
        assert_eq!(cost(&baseline), 3.0);
        assert_eq!(cost(&means(2000.0, 10.0)), 2.0);
        assert_eq!(cost(&means(1000.0, 20.0)), 4.0);
        let lacking = measured(&[("run.throughput_ops", 1.0)]);
        assert_eq!(goal.outcome(&lacking, &baseline), Outcome::Failed);
    }

    #[test]
    fn limits_are_broken_by_shares_and_the_larger_value_wins_a_maximum() {
        let limit = Limit {
            metric: metrics::find("read.latency_p99_us").expect("a known metric"),
            phase: "run".to_owned(),
            bound: Bound::AtMost(10.0),
        };
        let goal = Goal {
            sense: Sense::Maximize,
            terms: vec![term("run.throughput_ops", 1.0)],
            limits: vec![limit],
        };
        let outcome = |speed, latency| {
            let means = measured(&[
                ("run.throughput_ops", speed),
                ("read.latency_p99_us", latency),
            ]);
            goal.outcome(&means, &means)
        };
        let (slow, fast, late) = (outcome(1.0, 9.0), outcome(2.0, 10.0), outcome(9.0, 10.1));
        assert!(fast.feasible() < slow.feasible(), "a score is minimised");
        assert_eq!(late.feasible(), None);
        assert!(fast.order(&late).is_lt() && late.order(&outcome(9.0, 11.0)).is_lt());
        let score = fast.feasible().expect("it keeps the limit");
        assert!((goal.unscored(score) - 2.0).abs() < 1e-12);
    }
}
