//! What is measured: the registry of metrics, and how each is computed from a phase of a trial.
//!
//! A metric's name is dotted, with the unit last (`read.latency_p99_us`). Comparing and plotting
//! obey its class (is it counted or timed?), its direction (is more better?) and its scale (are two
//! values compared by their ratio or by their difference?). A metric that is undefined in a phase,
//! such as a hit ratio without requests, has no row there.
//!
//! To add a metric, add one entry to `registry.rs`: its value is a function of [`PhaseFacts`].

pub mod activity;
mod phase;
mod recovery;
mod registry;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::nearest::nearest;
use crate::record::{MetricRow, TrialResult, World};

pub use phase::PhaseFacts;
pub use registry::HEADLINE;
pub(crate) use registry::OF_BOUND;
use registry::{OF_ENGINE, OF_TRIAL};

/// Where a metric's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A counter.
    Counted,
    /// A clock.
    Timed,
}

impl Class {
    /// How exact the metric is in a world.
    pub fn within(self, world: World) -> Exactness {
        match (self, world) {
            (Self::Counted, _) => Exactness::Exact,
            (Self::Timed, World::Simulated) => Exactness::Simulated,
            (Self::Timed, World::Real) => Exactness::Noisy,
        }
    }

    /// The class in listings: how exact the metric is in a simulation, and in the real world if
    /// that differs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counted => "exact",
            Self::Timed => "simulated or noisy",
        }
    }
}

named_enum! {
    /// How exact a metric's values are in the world of their trial.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Exactness {
        /// A count.
        Exact = "exact",
        /// Virtual time: the same in every run of a seed.
        Simulated = "simulated",
        /// Wall time.
        Noisy = "noisy",
    }
}

named_enum! {
    /// Whether more is better.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub enum Direction {
        /// More is better.
        Higher = "higher",
        /// Less is better.
        Lower = "lower",
        /// Neither is better.
        Neutral = "neutral",
    }
}

named_enum! {
    /// How two values are compared.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Scale {
        /// By their ratio: values are positive.
        Relative = "relative",
        /// By their difference: values may be zero, or are shares of one.
        Absolute = "absolute",
    }
}

/// How a metric takes work that a window puts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debt {
    /// The metric does not depend on it.
    Unmoved,
    /// The metric looks better for it: the window neither waits for that work nor does it.
    Flattered,
    /// The metric includes it as far as that is known. The whole trial, drained, is where it is
    /// compared.
    Charged,
}

/// How much must happen in a window before a metric says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The metrics that count it; their sum counts.
    pub counted_by: &'static [&'static str],
    /// The smallest sum that will do, on one side of a comparison.
    pub least: u64,
    /// What is counted, in words.
    pub what: &'static str,
}

/// One metric: what it means, how it is compared, and how it is computed.
#[derive(Clone, Copy, Debug)]
pub struct MetricDef {
    /// The dotted name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Counted or timed.
    pub class: Class,
    /// Whether more is better.
    pub direction: Direction,
    /// How two values are compared.
    pub scale: Scale,
    /// How it takes work that is put off.
    pub debt: Debt,
    /// What must happen before it says anything; `None` if a single operation will do.
    pub need: Option<Need>,
    /// The level that it is measured towards, if there is one.
    pub towards: Option<&'static Level>,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Computes the value in a phase; `None` if it is undefined there.
    pub value: fn(&PhaseFacts) -> Option<f64>,
}

/// A level that a metric is measured towards.
#[derive(Debug, PartialEq, Eq)]
pub struct Level {
    /// The metric that the level is a share of: two sides are compared only where it is the same.
    pub metric: &'static str,
    /// The metric that says whether the level was reached: 1, or 0. Then the value that is measured
    /// is as much as there was time for, and the true one is larger.
    pub reached: &'static str,
}

/// A metric's name that is not in the registry.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown metric {name}; nearest: {}", nearest.join(", "))]
pub struct UnknownMetric {
    /// The unknown name.
    pub name: String,
    /// The known names most like it.
    pub nearest: Vec<&'static str>,
}

/// Iterates over every metric, in the order of tables.
pub fn all() -> impl Iterator<Item = &'static MetricDef> {
    OF_TRIAL.iter().chain(OF_ENGINE).copied().flatten()
}

/// Finds a metric by its name.
///
/// # Errors
/// [`UnknownMetric`] with the three nearest names.
pub fn find(name: &str) -> Result<&'static MetricDef, UnknownMetric> {
    all()
        .find(|metric| metric.name == name)
        .ok_or_else(|| UnknownMetric {
            name: name.to_owned(),
            nearest: nearest(name, all().map(|metric| metric.name)),
        })
}

/// Returns a metric's position in the registry; unknown ones come last.
pub fn rank(name: &str) -> usize {
    all()
        .position(|metric| metric.name == name)
        .unwrap_or(usize::MAX)
}

/// Iterates over the metrics that engines' counters give, in the order of tables. The others are
/// measured whatever the engine.
pub fn of_engine() -> impl Iterator<Item = &'static MetricDef> {
    OF_ENGINE.iter().copied().flatten()
}

/// Computes a trial's metrics: phases in order, and within each the registry's order. A metric that
/// the engine does not give has no row.
pub fn derive(trial: &TrialResult) -> Vec<MetricRow> {
    let mut rows = Vec::new();
    let given = || of_engine().filter(|metric| trial.measures.gives(metric.name));
    for phase in PhaseFacts::of(trial) {
        for metric in OF_TRIAL.iter().copied().flatten().chain(given()) {
            let Some(value) = (metric.value)(&phase).filter(|value| value.is_finite()) else {
                continue;
            };
            rows.push(MetricRow {
                phase: phase.measure.name.clone(),
                metric: metric.name.to_owned(),
                value,
                unit: metric.unit.to_owned(),
            });
        }
    }
    rows
}
