//! Variants against a baseline: one row per metric, with effect, interval, p-value and verdict.
//!
//! A comparison is one metric of one variant against the baseline at one site: one phase at one
//! sweep point. Its pairs are the seeds, which both sides must have. Primary metrics were named
//! before the run. All their comparisons, over variants, phases and points, are one family, whose
//! p-values are corrected by Holm: the chance that any difference is claimed falsely stays below
//! 5 %, and so does that of any equivalence. The others are exploratory and corrected by Benjamini
//! and Hochberg, all together. In the real world fewer than
//! six pairs decide nothing. In a simulation one seed gives an exact difference, and intervals are
//! over seeds. A comparison that is looked at while it runs ([`CompareSettings::sequential`]) has a
//! confidence sequence.
//!
//! [`Refusals`] are comparisons that may not be made. [`Ranking`] compares variants among each
//! other.

mod answer;
mod doubts;
mod expectation;
mod ranking;
mod refusal;
mod sample;
mod sweep;
mod text;
mod values;
mod warnings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{self, HEADLINE, MetricDef, Scale, UnknownMetric};
use crate::point::{self, Point};
use crate::record::{Window, World};
use crate::stats::Test;
use crate::stats::verdict::Verdict;
use crate::store::{TidyRow, trials_of};

use values::{Site, ValueIndex};

pub use answer::{Context, answer};
pub use expectation::{Claim, Expectation, Outcome};
pub use ranking::{Ranked, Ranking};
pub use refusal::{Part, Refusals, Side};
pub use sweep::{At, Peak, peak};
pub(crate) use text::shown_effect;
pub use text::{table, terminal_width, to_csv};

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
    /// The difference that does not matter, as a share of the baseline's value.
    pub margin: f64,
    /// The difference that does not matter for these metrics, which are shares of one: the
    /// difference itself.
    pub absolute_margin: BTreeMap<String, f64>,
    /// Whether the question is about whole trials, and not about each phase by itself.
    pub whole: bool,
    /// Whether pairs are added until something is decided: intervals and p-values then hold however
    /// often one looks.
    pub sequential: bool,
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
            absolute_margin: BTreeMap::new(),
            whole: false,
            sequential: false,
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
    /// The baseline's mean over them: the geometric one if the effect is a share, so that the
    /// effect leads from one mean to the other.
    pub baseline_mean: f64,
    /// The variant's mean over them, of the same kind.
    pub variant_mean: f64,
    /// Whether the effect is a share of the baseline's value or a difference in the metric's unit.
    pub scale: Scale,
    /// The effect: 0.02 is two percent more, or a difference of 0.02.
    pub effect: f64,
    /// The lower end of its 95 % interval; `None` with one pair.
    pub low: Option<f64>,
    /// The upper end of its 95 % interval; `None` with one pair.
    pub high: Option<f64>,
    /// The standard deviation of one pair's difference: of the logarithm of the ratio if the effect
    /// is a share. `None` with one pair.
    #[serde(default)]
    pub sd: Option<f64>,
    /// The effect that does not matter, on the same scale.
    pub margin: f64,
    /// The corrected p-value of a difference; `None` with one pair.
    pub p: Option<f64>,
    /// The corrected p-value of a difference smaller than the margin; `None` with one pair.
    #[serde(default)]
    pub p_equivalent: Option<f64>,
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
    /// How many comparisons were corrected together.
    pub family: Family,
    /// The variants among each other: by primary metric, phase and point.
    pub rankings: Vec<Ranking>,
}

/// How many comparisons were corrected together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Of primary metrics.
    pub primary: usize,
    /// Of other metrics.
    pub exploratory: usize,
}

/// A metric to compare.
struct Asked {
    metric: &'static MetricDef,
    primary: bool,
}

/// Says that a plan's comparisons can never be decided, if so, whatever its trials give.
pub fn undecidable(seeds: usize, comparisons: usize, world: World) -> Option<String> {
    if world == World::Simulated {
        return (seeds < 2).then(|| {
            "One seed: differences are exact for it, and nothing is decided about others."
                .to_owned()
        });
    }
    let least = Test::SignFlips.pairs_min(comparisons);
    (seeds < least).then(|| {
        format!(
            "{seeds} seeds can never call a difference in the real world: up to {comparisons} \
             comparisons of primary metrics are corrected together, which needs at least {least}. \
             Equivalence can be shown with six."
        )
    })
}

/// Lists the windows worth comparing: the phases in the order of the trial, and `whole`. The load
/// is worth it only without phases.
pub fn windows(rows: &[TidyRow]) -> Vec<&str> {
    let mut all = rows.iter().map(|row| row.name.phase.as_str());
    let mut windows = phases(rows);
    windows.extend(all.find(|phase| Window::named(phase) == Window::Whole));
    windows
}

/// Lists the phases in the order of the trial; the load only if there is no other.
pub fn phases(rows: &[TidyRow]) -> Vec<&str> {
    let of = |window: Window| {
        let mut phases: Vec<&str> = Vec::new();
        for row in rows {
            let phase = row.name.phase.as_str();
            if !phases.contains(&phase) && Window::named(phase) == window {
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
    let distinct: BTreeSet<&Point> = trials_of(rows).map(|trial| &trial.point).collect();
    let mut points: Vec<&Point> = distinct.into_iter().collect();
    points.sort_by(|a, b| point::order(a, b));
    points
}

/// Lists the variants in the natural order of their names: `9 bits` before `10 bits`.
pub fn variants(rows: &[TidyRow]) -> Vec<&str> {
    let all = trials_of(rows).map(|trial| trial.variant.as_str());
    let distinct: BTreeSet<&str> = all.collect();
    let mut variants: Vec<&str> = distinct.into_iter().collect();
    variants.sort_by(|a, b| point::natural(a, b));
    variants
}

/// Compares every variant with the baseline.
///
/// # Errors
/// [`CompareError`] if a metric is unknown, a margin is out of range, or there are no two sides.
pub fn compare(rows: &[TidyRow], settings: &CompareSettings) -> Result<Comparison, CompareError> {
    compare_but(rows, settings, &Refusals::default())
}

/// A metric in a window, compared there whether or not that is where it is usually compared.
#[derive(Clone, Copy, Debug)]
pub struct AskedAt<'a> {
    /// The metric.
    pub metric: &'static MetricDef,
    /// The window.
    pub phase: &'a str,
    /// Whether the question is about it.
    pub primary: bool,
}

/// Compares one variant of an experiment without sweeps with the baseline, on the metrics in the
/// windows that are named and on no others: one row for each that both sides have, in order.
///
/// They are judged and corrected as all comparisons are, as families of their own.
pub fn compare_at(
    rows: &[TidyRow],
    settings: &CompareSettings,
    refusals: &Refusals,
    variant: &str,
    asked: &[AskedAt],
) -> Vec<CompareRow> {
    let index = ValueIndex::of(rows);
    let noisy = trials_of(rows).any(|trial| trial.world == World::Real);
    let point = Point::new();
    let phases = asked.iter().map(|asked| asked.phase);
    let site = |phase| Site {
        phase,
        point: &point,
        noisy,
        test: Test::of(settings.sequential, noisy),
    };
    let sites: Vec<Site> = phases.map(site).collect();
    let mut places = Vec::new();
    for (
        site,
        AskedAt {
            metric, primary, ..
        },
    ) in sites.iter().zip(asked)
    {
        let asked = Asked {
            metric,
            primary: *primary,
        };
        places.push(sample::sample_of(
            &index, site, variant, asked, settings, refusals,
        ));
    }
    sample::judge(&places, &settings.baseline).rows
}

/// Compares every variant with the baseline, but for what is refused.
///
/// # Errors
/// As [`compare`].
pub fn compare_but(
    rows: &[TidyRow],
    settings: &CompareSettings,
    refusals: &Refusals,
) -> Result<Comparison, CompareError> {
    for margin in settings.absolute_margin.values().chain([&settings.margin]) {
        if !(0.0..=1.0).contains(margin) {
            return Err(CompareError::Margin(*margin));
        }
    }
    let asked = asked(settings)?;
    let variants = variants(rows);
    check_sides(&variants, &settings.baseline)?;
    let index = ValueIndex::of(rows);
    let sites = sites(rows, settings.sequential);
    let mut places = Vec::new();
    for site in &sites {
        for variant in &variants {
            if *variant != settings.baseline {
                places.push(sample::sample(
                    &index, site, variant, &asked, settings, refusals,
                ));
            }
        }
    }
    let judged = sample::judge(&places, &settings.baseline);
    let found: BTreeSet<&str> = judged.rows.iter().map(|row| row.metric.as_str()).collect();
    let names = asked.iter().map(|asked| asked.metric.name);
    let missing = names
        .filter(|name| !found.contains(name))
        .map(str::to_owned)
        .collect();
    let warnings = warnings::warnings(&index, &variants, &sites, &judged.rows);
    let primary = asked
        .iter()
        .filter(|asked| asked.primary)
        .map(|asked| asked.metric);
    let mut rankings = ranking::all(&index, &sites, &variants, primary, settings, refusals);
    // Where a metric does not answer the question, its order does not, either.
    rankings.retain(|ranking| {
        let mut rows = judged.rows.iter();
        rows.any(|row| {
            row.primary
                && row.metric == ranking.metric
                && row.phase == ranking.phase
                && row.point == ranking.point
        })
    });
    Ok(Comparison {
        missing,
        warnings,
        family: judged.family,
        rankings,
        rows: judged.rows,
    })
}

/// Lists what a reader must know before the numbers, without a comparison.
pub fn warnings(rows: &[TidyRow]) -> Vec<String> {
    let sites = sites(rows, false);
    warnings::warnings(&ValueIndex::of(rows), &variants(rows), &sites, &[])
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
fn sites(rows: &[TidyRow], sequential: bool) -> Vec<Site<'_>> {
    let noisy = trials_of(rows).any(|trial| trial.world == World::Real);
    let test = Test::of(sequential, noisy);
    let points = points(rows);
    let mut sites = Vec::new();
    for phase in windows(rows) {
        for point in &points {
            sites.push(Site {
                phase,
                point,
                noisy,
                test,
            });
        }
    }
    sites
}
