//! Variants against a baseline: one row per metric, with effect, interval, p-value and verdict.
//!
//! A comparison is one variant against the baseline at one site: one phase at one sweep point. Its
//! pairs are the seeds that both sides have. Primary metrics were named before the run, and their
//! p-values are corrected by Holm within a comparison; the others are exploratory and corrected by
//! Benjamini and Hochberg. In the real world fewer than six pairs decide nothing. In a simulation
//! one seed gives an exact difference, and intervals are over seeds.

mod doubts;
mod provenance;
mod sample;
mod text;
mod values;
mod warnings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{self, HEADLINE, MetricDef, Scale, UnknownMetric};
use crate::point::{self, Point};
use crate::record::{Window, World};
use crate::stats::verdict::Verdict;
use crate::store::TidyRow;

use sample::judge;
use values::{Site, ValueIndex};

pub use provenance::provenance;
pub use text::{answer, table, to_csv};

/// What is compared, and what counts as equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareSettings {
    /// The variant that the others are compared with.
    pub baseline: String,
    /// The metrics that the question is about, named before the run.
    pub primary: Vec<String>,
    /// Further metrics to look at.
    pub also: Vec<String>,
    /// The difference that does not matter: a share of the baseline's value, or for shares of one
    /// the difference itself.
    pub margin: f64,
    /// What each variant sets: dotted key to value. From it follows whose policies differ.
    #[serde(skip)]
    pub overrides: BTreeMap<String, Point>,
}

impl Default for CompareSettings {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            baseline: String::new(),
            primary: names(&["run.throughput_ops"]),
            also: names(HEADLINE),
            margin: 0.02,
            overrides: BTreeMap::new(),
        }
    }
}

/// Why nothing can be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// A metric is not in the registry.
    #[error(transparent)]
    UnknownMetric(#[from] UnknownMetric),
    /// The baseline has no trial.
    #[error("no finished trial of the baseline {name:?}; there are {}", variants.join(", "))]
    NoBaseline {
        /// The baseline's name.
        name: String,
        /// The variants that have trials.
        variants: Vec<String>,
    },
    /// No other variant has a trial.
    #[error("the baseline {0:?} is the only variant with finished trials")]
    OnlyBaseline(String),
    /// The margin is out of range.
    #[error("compare.margin: {0} is outside 0 to 1")]
    Margin(f64),
}

/// One metric of one variant against the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareRow {
    /// The metric's dotted name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// Whether the question is about it.
    pub primary: bool,
    /// The phase.
    pub phase: String,
    /// The sweep point.
    pub point: Point,
    /// The baseline's name.
    pub baseline: String,
    /// The variant's name.
    pub variant: String,
    /// Pairs: seeds that both have.
    pub pairs: usize,
    /// The baseline's mean over them.
    pub baseline_mean: f64,
    /// The variant's mean over them.
    pub variant_mean: f64,
    /// Whether the effect is a share of the baseline's value or a difference in the metric's unit.
    pub scale: Scale,
    /// The effect: 0.02 is two percent more, or a difference of 0.02.
    pub effect: f64,
    /// The lower end of its 95 % interval; `None` with one pair.
    pub low: Option<f64>,
    /// The upper end of its 95 % interval; `None` with one pair.
    pub high: Option<f64>,
    /// The effect that does not matter, on the same scale.
    pub margin: f64,
    /// The corrected p-value; `None` with one pair.
    pub p: Option<f64>,
    /// What may be said.
    pub verdict: Verdict,
    /// Why no more may be said; empty if nothing needs saying.
    pub note: String,
}

/// The outcome of comparing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// One row per metric and comparison: by phase, point and variant, primary metrics first.
    pub rows: Vec<CompareRow>,
    /// Metrics that were asked for and have a value in no comparison.
    pub missing: Vec<String>,
    /// What a reader must know before the numbers.
    pub warnings: Vec<String>,
}

/// A metric to compare.
struct Asked {
    metric: &'static MetricDef,
    primary: bool,
}

/// Lists the windows worth comparing: the phases in the order of the trial, and `whole`. The load
/// is worth it only without phases.
pub fn windows(rows: &[TidyRow]) -> Vec<&str> {
    let whole = rows
        .iter()
        .find(|row| Window::named(&row.phase) == Window::Whole);
    let mut windows = phases(rows);
    windows.extend(whole.map(|row| row.phase.as_str()));
    windows
}

/// Lists the phases in the order of the trial; the load only if there is no other.
pub fn phases(rows: &[TidyRow]) -> Vec<&str> {
    let of = |window: Window| {
        let mut phases: Vec<&str> = Vec::new();
        for row in rows {
            let phase = row.phase.as_str();
            if Window::named(phase) == window && !phases.contains(&phase) {
                phases.push(phase);
            }
        }
        phases
    };
    let phases = of(Window::Phase);
    if phases.is_empty() {
        of(Window::Load)
    } else {
        phases
    }
}

/// Lists the sweep points in order.
pub fn points(rows: &[TidyRow]) -> Vec<&Point> {
    let mut points: Vec<&Point> = rows.iter().map(|row| &row.point).collect();
    points.sort_by(|a, b| point::order(a, b));
    points.dedup();
    points
}

/// Lists the variants, sorted by name.
pub fn variants(rows: &[TidyRow]) -> Vec<&str> {
    let mut variants: Vec<&str> = rows.iter().map(|row| row.variant.as_str()).collect();
    variants.sort_unstable();
    variants.dedup();
    variants
}

/// Compares every variant with the baseline.
///
/// # Errors
/// [`CompareError`] if a metric is unknown, the margin is out of range, or there are no two sides.
pub fn compare(rows: &[TidyRow], settings: &CompareSettings) -> Result<Comparison, CompareError> {
    if !(0.0..=1.0).contains(&settings.margin) {
        return Err(CompareError::Margin(settings.margin));
    }
    let asked = asked(settings)?;
    let variants = variants(rows);
    check_sides(&variants, &settings.baseline)?;
    let index = ValueIndex::of(rows);
    let sites = sites(rows);
    let mut comparison = Comparison::default();
    for site in &sites {
        for variant in &variants {
            if *variant != settings.baseline {
                let judged = judge(&index, site, variant, &asked, settings);
                comparison.rows.extend(judged);
            }
        }
    }
    comparison.warnings = warnings::warnings(&index, &variants, &sites, &comparison.rows);
    for Asked { metric, .. } in asked {
        if !comparison.rows.iter().any(|row| row.metric == metric.name) {
            comparison.missing.push(metric.name.to_owned());
        }
    }
    Ok(comparison)
}

/// The metrics to compare, each once, primary ones first.
fn asked(settings: &CompareSettings) -> Result<Vec<Asked>, UnknownMetric> {
    let mut asked: Vec<Asked> = Vec::new();
    for (names, primary) in [(&settings.primary, true), (&settings.also, false)] {
        for name in names {
            let metric = metrics::find(name)?;
            if !asked.iter().any(|other| other.metric.name == metric.name) {
                asked.push(Asked { metric, primary });
            }
        }
    }
    Ok(asked)
}

/// Checks that the baseline and another variant have trials.
fn check_sides(variants: &[&str], baseline: &str) -> Result<(), CompareError> {
    if !variants.contains(&baseline) {
        return Err(CompareError::NoBaseline {
            name: baseline.to_owned(),
            variants: variants.iter().map(|name| (*name).to_owned()).collect(),
        });
    }
    if variants.len() == 1 {
        return Err(CompareError::OnlyBaseline(baseline.to_owned()));
    }
    Ok(())
}

/// Every window at every point.
fn sites(rows: &[TidyRow]) -> Vec<Site<'_>> {
    let noisy = rows.iter().any(|row| row.world == World::Real);
    let points = points(rows);
    let mut sites = Vec::new();
    for phase in windows(rows) {
        for point in &points {
            sites.push(Site {
                phase,
                point,
                noisy,
            });
        }
    }
    sites
}
