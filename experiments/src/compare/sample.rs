//! One comparison: a variant against the baseline at one site, metric by metric.

use super::doubts::Doubts;
use super::values::{Site, ValueIndex, Values};
use super::{Asked, CompareRow, CompareSettings};
use crate::metrics::{Debt, MetricDef, Scale};
use crate::record::Window;
use crate::stats::verdict::{Judgement, Question};
use crate::stats::{self, CONFIDENCE, Estimate};

/// Judges every metric that both sides have.
pub(super) fn judge(
    index: &ValueIndex,
    site: &Site,
    variant: &str,
    asked: &[Asked],
    settings: &CompareSettings,
) -> Vec<CompareRow> {
    let mut samples = Vec::new();
    for Asked { metric, primary } in asked {
        let Some(primary) = role(metric, *primary, site, index) else {
            continue;
        };
        let baseline = index.values(&settings.baseline, site, metric.name);
        let values = index.values(variant, site, metric.name);
        if let (Some(baseline), Some(values)) = (baseline, values) {
            let pairs = paired(baseline, values);
            if !pairs.is_empty() {
                samples.push(Sample::of(metric, primary, &pairs, settings.margin));
            }
        }
    }
    let corrected = corrected(&samples, site.noisy);
    let doubts = Doubts::of(index, site, variant, settings);
    let mut rows = Vec::new();
    for (sample, p) in samples.iter().zip(corrected) {
        let doubt = doubts.about(sample.metric);
        let judgement = doubt.unwrap_or_else(|| sample.judge(p, site.noisy));
        rows.push(sample.row(site, variant, &settings.baseline, p, judgement));
    }
    rows
}

/// Whether a metric is compared at a site, and if so whether the question is about it there.
///
/// Costs with their debt paid are what the question is about in `whole`; windows show them, too.
/// What debt flatters is shown in `whole` beside the windows. All else belongs to the windows.
fn role(metric: &MetricDef, primary: bool, site: &Site, index: &ValueIndex) -> Option<bool> {
    let in_whole = Window::named(site.phase) == Window::Whole;
    match metric.debt {
        Debt::Charged if in_whole => Some(primary),
        Debt::Charged => Some(primary && !index.has_whole()),
        Debt::Flattered => Some(primary && !in_whole),
        Debt::Unmoved => (!in_whole).then_some(primary),
    }
}

/// The two values of one seed.
struct Pair {
    baseline: f64,
    variant: f64,
}

/// The seeds that both sides have.
fn paired(baseline: &Values, variant: &Values) -> Vec<Pair> {
    let pair = |(seed, value): (&u64, &f64)| {
        Some(Pair {
            baseline: *value,
            variant: *variant.get(seed)?,
        })
    };
    baseline.iter().filter_map(pair).collect()
}

/// Returns the samples' p-values, corrected: by Holm over the primary metrics, by Benjamini and
/// Hochberg over the others.
fn corrected(samples: &[Sample], noisy: bool) -> Vec<Option<f64>> {
    let mut corrected = vec![None; samples.len()];
    for primary in [true, false] {
        let mut places = Vec::new();
        let mut family = Vec::new();
        for (place, sample) in samples.iter().enumerate() {
            if sample.primary != primary {
                continue;
            }
            if let Some(p) = stats::p_value(&sample.differences, noisy) {
                places.push(place);
                family.push(p);
            }
        }
        let adjusted = if primary {
            stats::holm(&family)
        } else {
            stats::benjamini_hochberg(&family)
        };
        for (place, p) in places.into_iter().zip(adjusted) {
            corrected[place] = Some(p);
        }
    }
    corrected
}

/// The paired differences of one metric.
struct Sample<'a> {
    metric: &'a MetricDef,
    primary: bool,
    scale: Scale,
    /// Logarithms of ratios, or plain differences, as the scale says.
    differences: Vec<f64>,
    /// The margin on the scale of the differences.
    margin: f64,
    baseline_mean: f64,
    variant_mean: f64,
}

impl<'a> Sample<'a> {
    fn of(metric: &'a MetricDef, primary: bool, pairs: &[Pair], margin: f64) -> Self {
        let baseline: Vec<f64> = pairs.iter().map(|pair| pair.baseline).collect();
        let variant: Vec<f64> = pairs.iter().map(|pair| pair.variant).collect();
        let baseline_mean = stats::mean(&baseline);
        // A ratio needs values above zero, and a metric that is never zero by its definition may
        // still be zero in some run.
        let positive = pairs
            .iter()
            .all(|pair| pair.baseline > 0.0 && pair.variant > 0.0);
        let scale = if positive {
            metric.scale
        } else {
            Scale::Absolute
        };
        let difference = |pair: &Pair| match scale {
            Scale::Relative => (pair.variant / pair.baseline).ln(),
            Scale::Absolute => pair.variant - pair.baseline,
        };
        Self {
            metric,
            primary,
            scale,
            differences: pairs.iter().map(difference).collect(),
            margin: match (scale, metric.unit) {
                (Scale::Relative, _) => margin.ln_1p(),
                (Scale::Absolute, "ratio") => margin,
                (Scale::Absolute, _) => margin * baseline_mean.abs(),
            },
            baseline_mean,
            variant_mean: stats::mean(&variant),
        }
    }

    fn judge(&self, p: Option<f64>, noisy: bool) -> Judgement {
        Question {
            sample: &self.differences,
            p: p.unwrap_or(1.0),
            margin: self.margin,
            direction: self.metric.direction,
            noisy,
        }
        .judge()
    }

    fn row(
        &self,
        site: &Site,
        variant: &str,
        baseline: &str,
        p: Option<f64>,
        judgement: Judgement,
    ) -> CompareRow {
        let effect = |difference: f64| match self.scale {
            Scale::Relative => difference.exp_m1(),
            Scale::Absolute => difference,
        };
        let interval =
            Estimate::of(&self.differences).map(|estimate| estimate.interval(CONFIDENCE));
        CompareRow {
            metric: self.metric.name.to_owned(),
            unit: self.metric.unit.to_owned(),
            primary: self.primary,
            phase: site.phase.to_owned(),
            point: site.point.clone(),
            baseline: baseline.to_owned(),
            variant: variant.to_owned(),
            pairs: self.differences.len(),
            baseline_mean: self.baseline_mean,
            variant_mean: self.variant_mean,
            scale: self.scale,
            effect: effect(stats::mean(&self.differences)),
            low: interval.map(|interval| effect(interval.low)),
            high: interval.map(|interval| effect(interval.high)),
            margin: effect(self.margin),
            p,
            verdict: judgement.verdict,
            note: judgement.note,
        }
    }
}
