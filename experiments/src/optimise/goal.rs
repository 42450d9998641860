//! What a search improves, and what it must keep: from the metrics of a point's trials to an
//! outcome.
//!
//! Values are means over the seeds, geometric ones where values are compared by their ratio, as in
//! comparisons. The score is a logarithm there: a search sees shares, not units. A value of zero,
//! which has no logarithm, counts as a billionth of the baseline's.

use std::collections::BTreeMap;

use super::search::Outcome;
use crate::metrics::{Direction, MetricDef, Scale};
use crate::stats;
use crate::store::TidyRow;

/// The least share of the baseline's value that scores distinguish from zero.
const LEAST_SHARE: f64 = 1e-9;

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

/// Which values of a metric are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Those up to the end.
    AtMost,
    /// Those from the end on.
    AtLeast,
}

/// Where a limit lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// At this value.
    Value(f64),
    /// At this many times the baseline's value, under equal seeds.
    TimesBaseline(f64),
}

/// A limit on a metric.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The metric.
    pub metric: &'static MetricDef,
    /// The window.
    pub phase: String,
    /// Which values are kept.
    pub bound: Bound,
    /// Where it lies.
    pub end: End,
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
    named_by(metric.name, phase)
}

fn named_by(metric: &str, phase: &str) -> String {
    format!("{metric}@{phase}")
}

impl Term {
    /// The metric and its window.
    pub fn name(&self) -> String {
        named(self.metric, &self.phase)
    }

    /// Whether values are scored by their ratio, beside this value of the baseline: one scale for
    /// all points of a search.
    fn is_ratio(&self, baseline: f64) -> bool {
        self.metric.scale == Scale::Relative && baseline > 0.0
    }
}

impl Limit {
    /// The metric and its window.
    pub fn name(&self) -> String {
        named(self.metric, &self.phase)
    }

    /// By how much a value breaks the limit; zero or less if it keeps it. `baseline` is the
    /// baseline's value.
    fn excess(&self, value: f64, baseline: f64) -> f64 {
        let end = match self.end {
            End::Value(end) => end,
            End::TimesBaseline(times) => times * baseline,
        };
        let over = if self.metric.scale == Scale::Relative && end > 0.0 {
            libm::log(value.max(end * LEAST_SHARE) / end)
        } else {
            value - end
        };
        match self.bound {
            Bound::AtMost => over,
            Bound::AtLeast => -over,
        }
    }

    /// Whether a value keeps the limit, beside this value of the baseline.
    pub fn is_kept(&self, value: f64, baseline: f64) -> bool {
        self.excess(value, baseline) <= 0.0
    }
}

/// Why a point has no outcome.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Lack {
    /// Some trial has no value.
    #[error("no value of {}", .0.join(", "))]
    Missing(Vec<String>),
    /// A cost takes a ratio to nothing.
    #[error(
        "{name} is {value} under the baseline: a cost takes each metric's ratio to the baseline's \
         value, which must be above zero"
    )]
    NoRatio {
        /// The metric and its window.
        name: String,
        /// The baseline's value.
        value: f64,
    },
    /// A value is no number.
    #[error("the score is not a finite number")]
    NotFinite,
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
                let name = named_by(&row.name.metric, &row.name.phase);
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
    ///
    /// # Errors
    /// [`Lack`] if a value is missing, or allows no score.
    pub fn outcome(&self, means: &Measured, baseline: &Measured) -> Result<Outcome, Lack> {
        let names = self.names().into_iter();
        let lacking = |name: &String| !means.contains_key(name) || !baseline.contains_key(name);
        let missing: Vec<String> = names.filter(lacking).collect();
        if !missing.is_empty() {
            return Err(Lack::Missing(missing));
        }
        let excess = self.limits.iter().map(|limit| {
            let name = limit.name();
            limit.excess(means[&name], baseline[&name])
        });
        let excess: Vec<f64> = excess.collect();
        let score = self.score(means, baseline)?;
        if score.is_finite() && excess.iter().all(|excess| excess.is_finite()) {
            Ok(Outcome::Measured { score, excess })
        } else {
            Err(Lack::NotFinite)
        }
    }

    /// The score of a point that has all values.
    fn score(&self, means: &Measured, baseline: &Measured) -> Result<f64, Lack> {
        if self.sense == Sense::Cost {
            let least = self.weights() * LEAST_SHARE;
            return Ok(libm::log(self.cost(means, baseline)?.max(least)));
        }
        let term = &self.terms[0];
        let (value, before) = (means[&term.name()], baseline[&term.name()]);
        let small = if term.is_ratio(before) {
            libm::log(value.max(before * LEAST_SHARE))
        } else {
            value
        };
        Ok(if self.sense == Sense::Minimize {
            small
        } else {
            -small
        })
    }

    /// What the baseline costs.
    pub fn weights(&self) -> f64 {
        self.terms.iter().map(|term| term.weight).sum()
    }

    /// The weighted sum of the terms' ratios to the baseline.
    ///
    /// # Errors
    /// [`Lack`] if a value is missing, or the baseline's is not above zero.
    pub fn cost(&self, means: &Measured, baseline: &Measured) -> Result<f64, Lack> {
        let mut cost = 0.0;
        for term in &self.terms {
            let name = term.name();
            let (Some(value), Some(before)) = (means.get(&name), baseline.get(&name)) else {
                return Err(Lack::Missing(vec![name]));
            };
            if *before <= 0.0 {
                let value = *before;
                return Err(Lack::NoRatio { name, value });
            }
            cost += term.weight
                * match term.metric.direction {
                    Direction::Higher => before / value.max(before * LEAST_SHARE),
                    Direction::Lower | Direction::Neutral => value / before,
                };
        }
        Ok(cost)
    }

    /// What the means of a point would be at full size, if they moved as the baseline's do: `part`
    /// are the baseline's at the size of the point, `whole` those at full size. A point that did a
    /// ninth of the operations can so be held against limits and costs of all of them.
    pub fn at_full_size(&self, means: &Measured, part: &Measured, whole: &Measured) -> Measured {
        let mut moved = Measured::new();
        for (metric, phase) in self.all() {
            let name = named(metric, phase);
            let values = [means, part, whole].map(|means| means.get(&name).copied());
            if let [Some(value), Some(part), Some(whole)] = values {
                // Shares of one move by their difference; counts and times by their ratio.
                let is_share = metric.scale == Scale::Absolute && metric.unit == "ratio";
                let value = if !is_share && part > 0.0 && whole > 0.0 {
                    value * (whole / part)
                } else {
                    value + (whole - part)
                };
                moved.insert(name, value);
            }
        }
        moved
    }

    /// The value of a point as tables and figures show it, in the unit of [`label`](Self::label).
    pub fn shown(&self, means: &Measured, baseline: &Measured) -> Option<f64> {
        match self.sense {
            Sense::Cost => self.cost(means, baseline).ok(),
            _ => means.get(&self.terms[0].name()).copied(),
        }
    }

    /// A score in the unit of [`label`](Self::label).
    pub fn unscored(&self, score: f64, baseline: &Measured) -> f64 {
        let small = if self.sense == Sense::Maximize {
            -score
        } else {
            score
        };
        let before = baseline.get(&self.terms[0].name()).copied();
        let is_ratio = self.terms[0].is_ratio(before.unwrap_or(0.0));
        if self.sense == Sense::Cost || is_ratio {
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
        assert_eq!(
            goal.outcome(&lacking, &baseline),
            Err(Lack::Missing(vec!["read.latency_p99_us@run".to_owned()]))
        );
        // Zero of what should be small is best, of what should be large worst; both are numbers.
        let score = |means: &Measured| goal.outcome(means, &baseline).expect("a score").feasible();
        assert!(score(&means(1000.0, 0.0)) < score(&means(1000.0, 1e-3)));
        assert!(score(&means(0.0, 10.0)) > score(&means(1.0, 10.0)));
        let nothing = goal.outcome(&baseline, &means(1000.0, 0.0));
        let why = nothing.expect_err("a ratio to zero").to_string();
        assert!(
            why.contains("read.latency_p99_us@run is 0 under the baseline"),
            "{why}"
        );
    }

    fn latency(sense: Sense, limits: Vec<Limit>) -> Goal {
        Goal {
            sense,
            terms: vec![term("read.latency_p99_us", 1.0)],
            limits,
        }
    }

    #[test]
    fn zero_keeps_its_place_among_values_that_are_compared_by_ratio() {
        let at = |value| measured(&[("read.latency_p99_us", value)]);
        let limit = |bound, end| Limit {
            metric: metrics::find("read.latency_p99_us").expect("a known metric"),
            phase: "run".to_owned(),
            bound,
            end,
        };
        for baseline in [0.0, 5.0] {
            let goal = latency(Sense::Minimize, Vec::new());
            let score = |value| {
                let outcome = goal.outcome(&at(value), &at(baseline)).expect("a score");
                outcome.feasible().expect("there is no limit")
            };
            assert!(
                score(0.0) < score(0.5) && score(0.5) < score(5.0),
                "{baseline}"
            );
            let back = goal.unscored(score(0.5), &at(baseline));
            assert!((back - 0.5).abs() < 1e-12, "{baseline}: {back}");
        }
        let at_least = limit(Bound::AtLeast, End::Value(4.0));
        let broken = |value| at_least.excess(value, 1.0);
        assert!(broken(0.0).is_finite() && broken(0.0) > broken(1.0) && broken(4.0) == 0.0);
        // A limit that hangs on the baseline moves with it.
        let most = limit(Bound::AtMost, End::TimesBaseline(1.5));
        assert!(most.is_kept(15.0, 10.0) && !most.is_kept(15.0, 9.0));
    }

    #[test]
    fn a_part_is_held_against_limits_of_the_whole_as_the_baseline_moves() {
        let goal = Goal {
            sense: Sense::Minimize,
            terms: vec![term("device.read_bytes", 1.0), term("cache.hit_ratio", 1.0)],
            limits: Vec::new(),
        };
        let at = |bytes, hits| measured(&[("device.read_bytes", bytes), ("cache.hit_ratio", hits)]);
        let moved = goal.at_full_size(&at(2.0, 0.5), &at(1.0, 0.25), &at(9.0, 0.5));
        assert_eq!(moved, at(18.0, 0.75));
    }

    #[test]
    fn limits_are_broken_by_shares_and_the_larger_value_wins_a_maximum() {
        let limit = Limit {
            metric: metrics::find("read.latency_p99_us").expect("a known metric"),
            phase: "run".to_owned(),
            bound: Bound::AtMost,
            end: End::Value(10.0),
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
            goal.outcome(&means, &means).expect("a score")
        };
        let (slow, fast, late) = (outcome(1.0, 9.0), outcome(2.0, 10.0), outcome(9.0, 10.1));
        assert!(fast.feasible() < slow.feasible(), "a score is minimised");
        assert_eq!(late.feasible(), None);
        assert!(fast.order(&late).is_lt() && late.order(&outcome(9.0, 11.0)).is_lt());
        let score = fast.feasible().expect("it keeps the limit");
        let baseline = measured(&[("run.throughput_ops", 1.0)]);
        assert!((goal.unscored(score, &baseline) - 2.0).abs() < 1e-12);
    }
}
