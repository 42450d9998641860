//! Variants against a baseline: one row a metric, with effect, interval, corrected p-value and verdict.
//!
//! A comparison is one variant against the baseline at one point of the sweep in one phase; its pairs are the seeds both
//! have. Primary metrics were named before the run and are corrected by Holm within a comparison; the rest is exploratory
//! and corrected by Benjamini and Hochberg. In the real world fewer than six pairs decide nothing; in a simulation one
//! seed gives an exact difference, and seeds are what intervals are over.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{self, HEADLINE, MetricDef, Scale, UnknownMetric};
use crate::record::World;
use crate::stats::{self, Estimate, Question, Verdict};
use crate::store::{Point, TidyRow, order_points, point_label};

mod text;

pub use text::{answer, digits, shown, shown_mean, shown_p, significant, table, to_csv};

/// The phase that fills the database. It is compared only where there is no other.
pub const LOAD_PHASE: &str = "load";

/// Debt at the end of a phase, over bytes written in it, from which its numbers flatter the variant.
const DEBT_SHARE_MAX: f64 = 0.05;

/// What is compared, and what counts as equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareSettings {
    /// The variant that others are compared with.
    pub baseline: String,
    /// The metrics that the question is about, named before the run.
    pub primary: Vec<String>,
    /// Metrics that are looked at besides.
    pub also: Vec<String>,
    /// A difference that does not matter: a share of the baseline's value, or for shares of one the difference itself.
    pub margin: f64,
}

impl Default for CompareSettings {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            baseline: String::new(),
            primary: names(&["run.throughput_ops"]),
            also: names(HEADLINE),
            margin: 0.02,
        }
    }
}

/// Why nothing can be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// A metric nobody knows.
    #[error(transparent)]
    UnknownMetric(#[from] UnknownMetric),
    /// No trial of the baseline.
    #[error("no finished trial of the baseline {name:?}; there are {}", variants.join(", "))]
    NoBaseline {
        /// The name.
        name: String,
        /// The variants that have trials.
        variants: Vec<String>,
    },
    /// Nothing to compare it with.
    #[error("the baseline {0:?} is the only variant with finished trials")]
    OnlyBaseline(String),
    /// The margin makes no sense.
    #[error("compare.margin: {0} is outside 0 to 1")]
    Margin(f64),
}

/// One metric of one variant against the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareRow {
    /// The metric's dotted name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Whether the question is about it.
    pub primary: bool,
    /// The phase.
    pub phase: String,
    /// The sweep's point.
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
    /// The lower end of its 95 % interval; None with one pair.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The effect that does not matter, on the same scale.
    pub margin: f64,
    /// The corrected p-value; None with one pair.
    pub p: Option<f64>,
    /// What may be said.
    pub verdict: Verdict,
    /// Why no more may be said.
    pub note: String,
}

/// The outcome of comparing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// One row a metric and comparison; by phase, point and variant, primary metrics first.
    pub rows: Vec<CompareRow>,
    /// Asked for, and without a value in any comparison.
    pub missing: Vec<String>,
    /// What a reader of the numbers must know first.
    pub warnings: Vec<String>,
}

/// Values by seed.
type Values = BTreeMap<u64, f64>;

/// Every value by variant, phase, point and metric.
struct Index<'a>(BTreeMap<(&'a str, &'a str, &'a Point, &'a str), Values>);

impl<'a> Index<'a> {
    fn of(rows: &'a [TidyRow]) -> Self {
        let mut index: BTreeMap<_, Values> = BTreeMap::new();
        for row in rows {
            let key = (
                row.variant.as_str(),
                row.phase.as_str(),
                &row.point,
                row.metric.as_str(),
            );
            index.entry(key).or_default().insert(row.seed, row.value);
        }
        Self(index)
    }

    fn values<'b>(
        &'b self,
        variant: &'b str,
        side: &'b Side,
        metric: &'b str,
    ) -> Option<&'b Values> {
        self.0.get(&(variant, side.phase, side.point, metric))
    }

    /// Whether any seed of the variant was overloaded there.
    fn overloaded(&self, variant: &str, side: &Side) -> bool {
        self.values(variant, side, "run.overloaded")
            .is_some_and(|values| values.values().any(|value| *value > 0.0))
    }

    /// The mean debt at the end over the mean bytes written.
    fn debt_share(&self, variant: &str, side: &Side) -> Option<f64> {
        let mean = |metric| {
            let values: Vec<f64> = self
                .values(variant, side, metric)?
                .values()
                .copied()
                .collect();
            Some(stats::mean(&values))
        };
        Some(mean("debt.bytes")? / mean("device.write_bytes")?).filter(|share| share.is_finite())
    }
}

/// Where a comparison is made.
struct Side<'a> {
    phase: &'a str,
    point: &'a Point,
    noisy: bool,
}

/// The phases worth comparing, in the order of the trial.
pub fn phases(rows: &[TidyRow]) -> Vec<&str> {
    let mut phases: Vec<&str> = Vec::new();
    for row in rows {
        if !phases.contains(&row.phase.as_str()) {
            phases.push(&row.phase);
        }
    }
    if phases.len() > 1 {
        phases.retain(|phase| *phase != LOAD_PHASE);
    }
    phases
}

/// The sweep's points in order.
pub fn points(rows: &[TidyRow]) -> Vec<&Point> {
    let mut points: Vec<&Point> = rows.iter().map(|row| &row.point).collect();
    points.sort_by(|a, b| order_points(a, b));
    points.dedup();
    points
}

/// The variants, sorted by name.
pub fn variants(rows: &[TidyRow]) -> Vec<&str> {
    let mut variants: Vec<&str> = rows.iter().map(|row| row.variant.as_str()).collect();
    variants.sort_unstable();
    variants.dedup();
    variants
}

/// Compares every variant with the baseline.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(rows: &[TidyRow], settings: &CompareSettings) -> Result<Comparison, CompareError> {
    if !(0.0..=1.0).contains(&settings.margin) {
        return Err(CompareError::Margin(settings.margin));
    }
    let mut asked: Vec<(&MetricDef, bool)> = Vec::new();
    let named = settings
        .primary
        .iter()
        .map(|name| (name, true))
        .chain(settings.also.iter().map(|name| (name, false)));
    for (name, primary) in named {
        let metric = metrics::find(name)?;
        if !asked.iter().any(|(other, _)| other.name == metric.name) {
            asked.push((metric, primary));
        }
    }
    let variants = variants(rows);
    let name = settings.baseline.clone();
    if !variants.contains(&name.as_str()) {
        return Err(CompareError::NoBaseline {
            name,
            variants: variants.into_iter().map(str::to_owned).collect(),
        });
    }
    if variants.len() == 1 {
        return Err(CompareError::OnlyBaseline(name));
    }
    let index = Index::of(rows);
    let noisy = rows.iter().any(|row| row.world == World::Real);
    let mut sides = Vec::new();
    for phase in phases(rows) {
        sides.extend(points(rows).into_iter().map(|point| Side {
            phase,
            point,
            noisy,
        }));
    }
    let mut comparison = Comparison::default();
    for side in &sides {
        for variant in variants
            .iter()
            .filter(|variant| **variant != settings.baseline)
        {
            comparison
                .rows
                .extend(against(&index, side, variant, &asked, settings));
        }
    }
    comparison.warnings = warnings(&index, &variants, &sides, &comparison.rows);
    let absent = |(metric, _): &&(&MetricDef, bool)| {
        !comparison.rows.iter().any(|row| row.metric == metric.name)
    };
    comparison.missing = asked
        .iter()
        .filter(absent)
        .map(|(metric, _)| metric.name.to_owned())
        .collect();
    Ok(comparison)
}

/// What a reader must know before the numbers, one warning a kind.
fn warnings(index: &Index, variants: &[&str], sides: &[Side], rows: &[CompareRow]) -> Vec<String> {
    let mut warnings = Vec::new();
    let overloaded: Vec<String> = variants
        .iter()
        .flat_map(|variant| sides.iter().map(move |side| (variant, side)))
        .filter(|(variant, side)| index.overloaded(variant, side))
        .map(|(variant, side)| format!("{variant} {}", place(side.phase, side.point)))
        .collect();
    if !overloaded.is_empty() {
        warnings.push(format!(
            "Overloaded, so that the backlog kept growing and latencies tell the length of the run: {}.",
            overloaded.join("; ")
        ));
    }
    let debt = |variant: &&str| {
        let most = sides
            .iter()
            .filter_map(|side| index.debt_share(variant, side))
            .fold(0.0, f64::max);
        (most > DEBT_SHARE_MAX).then(|| format!("{variant} {} %", digits(most * 100.0, 2)))
    };
    let debts: Vec<String> = variants.iter().filter_map(debt).collect();
    if !debts.is_empty() {
        warnings.push(format!(
            "Ended with unpaid compaction debt, as a share of the bytes written in the phase (at its most): {}. Write \
             amplification and throughput flatter them by what is still to be paid.",
            debts.join(", ")
        ));
    }
    let few = |row: &CompareRow| (2..stats::PAIRS_MIN).contains(&row.pairs);
    if sides.iter().all(|side| !side.noisy) && rows.iter().any(few) {
        warnings.push(format!(
            "Fewer than {} seeds: p-values are Student's, since sign flips of so few pairs cannot reach 5 %.",
            stats::PAIRS_MIN
        ));
    }
    warnings
}

/// `in phase run at engine.cache.size=32MiB`.
fn place(phase: &str, point: &Point) -> String {
    match point.is_empty() {
        true => format!("in phase {phase}"),
        false => format!("in phase {phase} at {}", point_label(point)),
    }
}

/// One comparison: a variant against the baseline in one place.
fn against(
    index: &Index,
    side: &Side,
    variant: &str,
    asked: &[(&MetricDef, bool)],
    settings: &CompareSettings,
) -> Vec<CompareRow> {
    let mut samples = Vec::new();
    for (metric, primary) in asked {
        let baseline = index.values(&settings.baseline, side, metric.name);
        if let (Some(baseline), Some(values)) = (baseline, index.values(variant, side, metric.name))
        {
            let shared = baseline
                .iter()
                .filter_map(|(seed, a)| Some((*a, *values.get(seed)?)));
            let pairs: Vec<(f64, f64)> = shared.collect();
            if !pairs.is_empty() {
                samples.push(Sample::of(metric, *primary, &pairs, settings.margin));
            }
        }
    }
    let corrected = corrected(&samples, side.noisy);
    let overloaded = index.overloaded(variant, side) || index.overloaded(&settings.baseline, side);
    let row = |(sample, p): (&Sample, Option<f64>)| {
        let question = Question {
            sample: &sample.differences,
            p: p.unwrap_or(1.0),
            margin: sample.margin,
            direction: sample.metric.direction,
            noisy: side.noisy,
        };
        let (mut verdict, mut note) = question.verdict();
        if overloaded && sample.metric.name.contains(".latency_") {
            (verdict, note) = (
                Verdict::Undecided,
                "overloaded: the backlog kept growing".to_owned(),
            );
        }
        sample.row(side, variant, &settings.baseline, (p, verdict, note))
    };
    samples.iter().zip(corrected).map(row).collect()
}

/// The samples' p-values: by Holm over the primary metrics, by Benjamini and Hochberg over the others.
fn corrected(samples: &[Sample], noisy: bool) -> Vec<Option<f64>> {
    let mut corrected = vec![None; samples.len()];
    for primary in [true, false] {
        let family = samples
            .iter()
            .enumerate()
            .filter(|(_, sample)| sample.primary == primary);
        let with_p = family.filter_map(|(place, sample)| {
            Some((place, stats::p_value(&sample.differences, noisy)?))
        });
        let (places, p): (Vec<usize>, Vec<f64>) = with_p.unzip();
        let adjusted = if primary {
            stats::holm(&p)
        } else {
            stats::benjamini_hochberg(&p)
        };
        places
            .into_iter()
            .zip(adjusted)
            .for_each(|(place, p)| corrected[place] = Some(p));
    }
    corrected
}

struct Sample<'a> {
    metric: &'a MetricDef,
    primary: bool,
    scale: Scale,
    differences: Vec<f64>,
    margin: f64,
    means: (f64, f64),
}

impl<'a> Sample<'a> {
    fn of(metric: &'a MetricDef, primary: bool, pairs: &[(f64, f64)], margin: f64) -> Self {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let means = (stats::mean(&a), stats::mean(&b));
        // A ratio needs values above zero, which a metric that "cannot be zero" may still fail to have in some run.
        let positive = pairs.iter().all(|(a, b)| *a > 0.0 && *b > 0.0);
        let scale = if positive {
            metric.scale
        } else {
            Scale::Absolute
        };
        let difference = |(a, b): &(f64, f64)| match scale {
            Scale::Relative => (b / a).ln(),
            Scale::Absolute => b - a,
        };
        let margin = match (scale, metric.unit) {
            (Scale::Relative, _) => margin.ln_1p(),
            (Scale::Absolute, "ratio") => margin,
            (Scale::Absolute, _) => margin * means.0.abs(),
        };
        Self {
            metric,
            primary,
            scale,
            differences: pairs.iter().map(difference).collect(),
            margin,
            means,
        }
    }

    fn row(
        &self,
        side: &Side,
        variant: &str,
        baseline: &str,
        outcome: (Option<f64>, Verdict, String),
    ) -> CompareRow {
        let effect = |difference: f64| match self.scale {
            Scale::Relative => difference.exp_m1(),
            Scale::Absolute => difference,
        };
        let interval = Estimate::of(&self.differences).map(|estimate| estimate.interval(0.95));
        let (p, verdict, note) = outcome;
        CompareRow {
            metric: self.metric.name.to_owned(),
            unit: self.metric.unit.to_owned(),
            primary: self.primary,
            phase: side.phase.to_owned(),
            point: side.point.clone(),
            baseline: baseline.to_owned(),
            variant: variant.to_owned(),
            pairs: self.differences.len(),
            baseline_mean: self.means.0,
            variant_mean: self.means.1,
            scale: self.scale,
            effect: effect(stats::mean(&self.differences)),
            low: interval.map(|(low, _)| effect(low)),
            high: interval.map(|(_, high)| effect(high)),
            margin: effect(self.margin),
            p,
            verdict,
            note,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::metrics::Measured;

    /// One value in phase `run`.
    pub(crate) fn tidy(
        variant: &str,
        seed: u64,
        world: World,
        metric: &str,
        value: f64,
    ) -> TidyRow {
        let def = metrics::find(metric).expect("the test names known metrics");
        TidyRow {
            trial: format!("{variant}-{seed}"),
            variant: variant.to_owned(),
            point: Point::new(),
            seed,
            world,
            phase: "run".to_owned(),
            metric: metric.to_owned(),
            value,
            unit: def.unit.to_owned(),
            class: Measured::Exact,
        }
    }

    fn settings(primary: &[&str], also: &[&str]) -> CompareSettings {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        CompareSettings {
            baseline: "lru".to_owned(),
            primary: names(primary),
            also: names(also),
            margin: 0.005,
        }
    }

    /// `lru` at 0.5 and `sieve` higher by 0.02 and a little by seed.
    fn hit_ratios(seeds: u64, world: World) -> Vec<TidyRow> {
        let pair = |seed: u64| {
            let base = 0.5 + 0.01 * seed as f64;
            let better = base + 0.02 + 0.001 * (seed % 3) as f64;
            [("lru", base), ("sieve", better)]
                .map(|(name, value)| tidy(name, seed, world, "cache.hit_ratio", value))
        };
        (0..seeds).flat_map(pair).collect()
    }

    #[test]
    fn seeds_are_paired_and_the_sentence_says_so() {
        let rows = hit_ratios(10, World::Simulated);
        let comparison =
            compare(&rows, &settings(&["cache.hit_ratio"], &[])).expect("two variants");
        let [row] = comparison.rows.as_slice() else {
            panic!("one metric, one variant: {comparison:?}")
        };
        assert_eq!(
            (row.verdict, row.pairs, row.scale),
            (Verdict::Better, 10, Scale::Absolute)
        );
        // Between seeds the base moves by 0.09; within a pair the difference moves by 0.002 only.
        let (low, high) = (row.low.expect("ten pairs"), row.high.expect("ten pairs"));
        assert!(low > 0.02 && high < 0.022, "{low} {high}");
        assert_eq!(row.p, Some(2.0 / 1024.0));
        assert_eq!(
            answer(&comparison),
            "On cache.hit_ratio, sieve is better than lru by +2.09 pp [+2.03, +2.15] (10 pairs)."
        );
    }

    #[test]
    fn one_seed_of_a_simulation_is_exact_and_of_the_real_world_is_one_sample() {
        let of = |world| {
            let comparison = compare(&hit_ratios(1, world), &settings(&["cache.hit_ratio"], &[]))
                .expect("a pair");
            let row = comparison.rows[0].clone();
            (row.verdict, row.note, row.low, row.p)
        };
        assert_eq!(
            of(World::Simulated),
            (Verdict::Exact, "exact for this seed".to_owned(), None, None)
        );
        assert_eq!(
            of(World::Real),
            (Verdict::Undecided, "one sample".to_owned(), None, None)
        );
    }

    #[test]
    fn five_pairs_decide_in_a_simulation_and_not_in_the_real_world() {
        let of = |world| {
            let comparison = compare(&hit_ratios(5, world), &settings(&["cache.hit_ratio"], &[]))
                .expect("pairs");
            (
                comparison.rows[0].verdict,
                comparison.rows[0].note.clone(),
                comparison.warnings.len(),
            )
        };
        assert_eq!(
            of(World::Simulated),
            (Verdict::Better, String::new(), 1),
            "the warning: p is Student's"
        );
        assert_eq!(
            of(World::Real),
            (
                Verdict::Undecided,
                "5 pairs; at least 6 are needed".to_owned(),
                0
            )
        );
    }

    #[test]
    fn latency_is_compared_by_its_ratio_and_lower_is_better() {
        let pair = |seed: u64| {
            let base = 100.0 * (1 + seed) as f64;
            [("lru", base), ("sieve", base * 1.1)]
                .map(|(name, value)| tidy(name, seed, World::Real, "read.latency_p99_us", value))
        };
        let rows: Vec<TidyRow> = (0..6).flat_map(pair).collect();
        let comparison =
            compare(&rows, &settings(&["read.latency_p99_us"], &[])).expect("six pairs");
        let row = &comparison.rows[0];
        assert_eq!((row.verdict, row.scale), (Verdict::Worse, Scale::Relative));
        assert!((row.effect - 0.1).abs() < 1e-9, "{}", row.effect);
        assert_eq!(row.effect_label(), "+10 % [+10, +10]");
    }

    #[test]
    fn primary_metrics_are_corrected_apart_from_the_others() {
        let mut rows = Vec::new();
        for seed in 0..6 {
            for (metric, effect) in [
                ("cache.hit_ratio", 0.1),
                ("tree.runs", 1.0),
                ("stall.count", 2.0),
            ] {
                rows.push(tidy("lru", seed, World::Simulated, metric, 0.2));
                rows.push(tidy(
                    "sieve",
                    seed,
                    World::Simulated,
                    metric,
                    0.2 + effect + 0.001 * seed as f64,
                ));
            }
        }
        let alone = compare(
            &rows,
            &settings(&["cache.hit_ratio"], &["tree.runs", "stall.count"]),
        )
        .expect("pairs");
        let p: Vec<_> = alone.rows.iter().map(|row| row.p).collect();
        assert_eq!(p, [Some(0.03125), Some(0.03125), Some(0.03125)]);
        let together =
            compare(&rows, &settings(&["cache.hit_ratio", "tree.runs"], &[])).expect("pairs");
        assert_eq!(together.rows[0].p, Some(0.0625));
        assert_eq!(
            together.rows[0].verdict,
            Verdict::Undecided,
            "two claims need more than six pairs"
        );
    }

    #[test]
    fn an_overloaded_side_gets_no_verdict_on_latency() {
        let mut rows = Vec::new();
        for seed in 0..8 {
            for (variant, latency, overloaded) in
                [("lru", 100.0, 0.0), ("sieve", 50.0 + seed as f64, 1.0)]
            {
                rows.push(tidy(
                    variant,
                    seed,
                    World::Simulated,
                    "read.latency_p99_us",
                    latency,
                ));
                rows.push(tidy(
                    variant,
                    seed,
                    World::Simulated,
                    "run.overloaded",
                    overloaded,
                ));
            }
        }
        let comparison = compare(&rows, &settings(&["read.latency_p99_us"], &[])).expect("pairs");
        assert_eq!(comparison.rows[0].verdict, Verdict::Undecided);
        assert!(
            comparison.warnings[0].contains("length of the run: sieve in phase run."),
            "{:?}",
            comparison.warnings
        );
    }

    #[test]
    fn unpaid_debt_is_said() {
        let mut rows = hit_ratios(2, World::Simulated);
        rows.push(tidy("sieve", 0, World::Simulated, "debt.bytes", 30.0));
        rows.push(tidy(
            "sieve",
            0,
            World::Simulated,
            "device.write_bytes",
            100.0,
        ));
        let comparison = compare(&rows, &settings(&["cache.hit_ratio"], &[])).expect("pairs");
        assert!(
            comparison.warnings[0].contains("at its most): sieve 30 %."),
            "{:?}",
            comparison.warnings
        );
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let rows = hit_ratios(2, World::Simulated);
        let mut wrong = settings(&["cache.hit_ratoi"], &[]);
        assert!(matches!(
            compare(&rows, &wrong),
            Err(CompareError::UnknownMetric(_))
        ));
        wrong = settings(&["cache.hit_ratio"], &["write.amplification"]);
        assert_eq!(
            compare(&rows, &wrong).expect("pairs").missing,
            ["write.amplification"]
        );
        wrong.baseline = "arc".to_owned();
        let error = compare(&rows, &wrong)
            .expect_err("no such variant")
            .to_string();
        assert_eq!(
            error,
            "no finished trial of the baseline \"arc\"; there are lru, sieve"
        );
        let only: Vec<TidyRow> = rows
            .iter()
            .filter(|row| row.variant == "lru")
            .cloned()
            .collect();
        let error = compare(&only, &settings(&["cache.hit_ratio"], &[])).expect_err("one variant");
        assert_eq!(error, CompareError::OnlyBaseline("lru".to_owned()));
        wrong.margin = f64::NAN;
        assert!(matches!(
            compare(&rows, &wrong),
            Err(CompareError::Margin(_))
        ));
    }

    #[test]
    fn load_is_compared_only_where_there_is_nothing_else() {
        let mut rows = hit_ratios(2, World::Simulated);
        rows.iter_mut()
            .for_each(|row| row.phase = LOAD_PHASE.to_owned());
        assert_eq!(phases(&rows), [LOAD_PHASE]);
        rows.extend(hit_ratios(2, World::Simulated));
        assert_eq!(phases(&rows), ["run"]);
    }

    #[test]
    fn several_variants_are_told_by_verdict() {
        let mut rows = Vec::new();
        for seed in 0..6 {
            for (variant, value) in [("lru", 0.5), ("arc", 0.54), ("sieve", 0.53), ("fifo", 0.5)] {
                rows.push(tidy(
                    variant,
                    seed,
                    World::Simulated,
                    "cache.hit_ratio",
                    value,
                ));
            }
        }
        let comparison = compare(&rows, &settings(&["cache.hit_ratio"], &[])).expect("pairs");
        let said = answer(&comparison);
        assert!(
            said.starts_with("On cache.hit_ratio against lru: better: arc +4 pp"),
            "{said}"
        );
        assert!(
            said.contains(", sieve +3 pp") && said.contains("; equivalent: fifo 0 pp"),
            "{said}"
        );
    }

    #[test]
    fn a_sweep_is_summed_up_by_places() {
        let mut rows = Vec::new();
        for (size, gain) in [("32MiB", 0.03), ("128MiB", 0.0)] {
            for seed in 0..6 {
                for (variant, value) in [("lru", 0.5), ("sieve", 0.5 + gain)] {
                    let mut row = tidy(variant, seed, World::Simulated, "cache.hit_ratio", value);
                    row.point
                        .insert("engine.cache.size".to_owned(), size.to_owned());
                    rows.push(row);
                }
            }
        }
        let comparison = compare(&rows, &settings(&["cache.hit_ratio"], &[])).expect("pairs");
        assert_eq!(
            answer(&comparison),
            "On cache.hit_ratio, sieve against lru is better in 1, equivalent in 1 of 2 places: 0 to +3 pp."
        );
        let table = table(&comparison.rows);
        assert!(
            table.contains("engine.cache.size=32MiB") && table.contains("equivalent"),
            "{table}"
        );
        let csv = to_csv(&comparison.rows);
        assert_eq!(csv.lines().count(), 3);
        assert!(
            csv.starts_with("metric,phase,point,baseline,variant,"),
            "{csv}"
        );
    }
}
