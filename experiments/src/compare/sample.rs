//! One comparison: a variant against the baseline at one site, metric by metric.

use super::doubts::Doubts;
use super::values::{Site, ValueIndex, Values};
use super::{Asked, CompareRow, CompareSettings, Family, Refusals, text};
use crate::metrics::{Debt, MetricDef, Scale};
use crate::record::Window;
use crate::stats::verdict::{Judgement, Question, Verdict};
use crate::stats::{self, CONFIDENCE, Claims, Estimate, ShapeKind, Test};

/// A variant against the baseline at one site: its samples, not yet judged.
pub(super) struct Place<'a> {
    site: &'a Site<'a>,
    variant: &'a str,
    samples: Vec<Sample<'a>>,
    doubts: Doubts<'a>,
}

/// Samples every metric that both sides have.
pub(super) fn sample<'a>(
    index: &'a ValueIndex<'a>,
    site: &'a Site<'a>,
    variant: &'a str,
    asked: &'a [Asked],
    settings: &'a CompareSettings,
    refusals: &Refusals,
) -> Place<'a> {
    let refused = refusals.of(variant, site.point);
    let mut samples = Vec::new();
    for Asked { metric, primary } in asked {
        let Some(primary) = role(metric, *primary, site, settings, index) else {
            continue;
        };
        let asked = Asked { metric, primary };
        samples.extend(Sample::at(
            index,
            site,
            variant,
            asked,
            settings,
            refused.cloned(),
        ));
    }
    Place {
        site,
        variant,
        samples,
        doubts: Doubts::of(index, site, variant, settings),
    }
}

/// Samples one metric at a site, whether the site is where it is usually compared or not.
pub(super) fn sample_of<'a>(
    index: &'a ValueIndex<'a>,
    site: &'a Site<'a>,
    variant: &'a str,
    asked: Asked,
    settings: &'a CompareSettings,
    refusals: &Refusals,
) -> Place<'a> {
    let refused = refusals.of(variant, site.point).cloned();
    let sample = Sample::at(index, site, variant, asked, settings, refused);
    Place {
        site,
        variant,
        samples: sample.into_iter().collect(),
        doubts: Doubts::of(index, site, variant, settings),
    }
}

/// Judges all places: p-values are corrected over all of them, primary metrics by Holm and the
/// others by Benjamini and Hochberg; those of differences and of equivalences apart.
pub(super) fn judge(places: &[Place], baseline: &str) -> Judged {
    let claims = |primary: bool| -> Vec<Claims> {
        let samples = places.iter().flat_map(|place| &place.samples);
        let family = samples.filter(|sample| sample.primary == primary);
        family.filter_map(|sample| sample.p).collect()
    };
    let primary = claims(true);
    let exploratory = claims(false);
    let family = Family {
        primary: primary.len(),
        exploratory: exploratory.len(),
    };
    let mut primary = Claims::corrected(&primary, stats::holm).into_iter();
    let mut exploratory = Claims::corrected(&exploratory, stats::benjamini_hochberg).into_iter();
    let mut rows = Vec::new();
    for place in places {
        for sample in &place.samples {
            let corrected = sample.p.and_then(|_| {
                if sample.primary {
                    primary.next()
                } else {
                    exploratory.next()
                }
            });
            rows.push(place.row(sample, baseline, corrected, family));
        }
    }
    Judged { rows, family }
}

/// The rows of a comparison, and the families they were corrected in.
pub(super) struct Judged {
    pub(super) rows: Vec<CompareRow>,
    pub(super) family: Family,
}

impl Place<'_> {
    fn row(
        &self,
        sample: &Sample,
        baseline: &str,
        p: Option<Claims>,
        family: Family,
    ) -> CompareRow {
        let comparisons = if sample.primary { family.primary } else { 1 };
        let judgement = sample
            .refused()
            .or_else(|| self.doubts.about(sample.metric))
            .unwrap_or_else(|| {
                let judged = sample.judge(p, self.site, comparisons);
                self.doubts.qualified(sample.metric, judged)
            });
        sample.row(self.site, self.variant, baseline, p, judgement)
    }
}

/// Why two sides have no verdict: one of them has seeds that the other lacks.
fn unpaired(baseline: &Values, variant: &Values) -> Option<String> {
    let only = |one: &Values, other: &Values| {
        let seeds = one.keys().filter(|seed| !other.contains_key(*seed));
        seeds.map(u64::to_string).collect::<Vec<_>>()
    };
    let missing = only(baseline, variant);
    let surplus = only(variant, baseline);
    let mut parts = Vec::new();
    for (side, seeds) in [("variant", missing), ("baseline", surplus)] {
        if !seeds.is_empty() {
            parts.push(format!(
                "the {side} has no value under seed {}",
                few(&seeds)
            ));
        }
    }
    (!parts.is_empty()).then(|| format!("unequal seeds: {}", parts.join("; ")))
}

/// The first few of a list, and how many more there are.
fn few(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = items[..items.len().min(SHOWN)].join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether a metric is compared at a site, and if so whether the question is about it there.
///
/// Costs with their debt paid are what the question is about in `whole`; windows show them, too.
/// What debt flatters is shown in both, and asked of the windows or, if the settings say so, of
/// `whole`. All else belongs to the windows.
fn role(
    metric: &MetricDef,
    primary: bool,
    site: &Site,
    settings: &CompareSettings,
    index: &ValueIndex,
) -> Option<bool> {
    let in_whole = Window::named(site.phase) == Window::Whole;
    let asks_whole = match metric.debt {
        Debt::Charged => true,
        Debt::Flattered => settings.whole,
        Debt::Unmoved if in_whole => return None,
        Debt::Unmoved => false,
    };
    Some(primary && in_whole == (asks_whole && index.has_whole()))
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

/// The paired differences of one metric.
struct Sample<'a> {
    metric: &'a MetricDef,
    primary: bool,
    /// Why it may not be judged.
    refused: Option<String>,
    /// The p-values before correction; `None` if nothing is tested.
    p: Option<Claims>,
    /// Seeds that both sides have.
    pairs: usize,
    scale: Scale,
    /// Logarithms of ratios, or plain differences, as the scale says.
    differences: Vec<f64>,
    /// The margin on the scale of the differences.
    margin: f64,
    baseline_mean: f64,
    variant_mean: f64,
}

impl<'a> Sample<'a> {
    /// The sample of a metric at a site, tested unless it is `refused`; `None` if a side has no
    /// value.
    fn at(
        index: &ValueIndex,
        site: &Site,
        variant: &str,
        Asked { metric, primary }: Asked,
        settings: &CompareSettings,
        refused: Option<String>,
    ) -> Option<Self> {
        let baseline = index.values(&settings.baseline, site, metric.name)?;
        let values = index.values(variant, site, metric.name)?;
        let mut sample = Self::of(metric, &paired(&baseline, &values), settings);
        sample.primary = primary;
        sample.refused = refused.or_else(|| unpaired(&baseline, &values));
        sample.p = sample.tested(site);
        Some(sample)
    }

    /// The sample of an exploratory metric that may be compared.
    fn of(metric: &'a MetricDef, pairs: &[Pair], settings: &CompareSettings) -> Self {
        let baseline: Vec<f64> = pairs.iter().map(|pair| pair.baseline).collect();
        let variant: Vec<f64> = pairs.iter().map(|pair| pair.variant).collect();
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
        // The effect is then what leads from one mean to the other.
        let mean = match scale {
            Scale::Relative => stats::geometric_mean,
            Scale::Absolute => stats::mean,
        };
        let baseline_mean = mean(&baseline);
        Self {
            metric,
            primary: false,
            refused: None,
            p: None,
            pairs: pairs.len(),
            scale,
            differences: pairs.iter().map(difference).collect(),
            margin: match scale {
                Scale::Relative => settings.margin.ln_1p(),
                Scale::Absolute => match settings.absolute_margin.get(metric.name) {
                    Some(margin) => *margin,
                    None => settings.margin * baseline_mean.abs(),
                },
            },
            baseline_mean,
            variant_mean: mean(&variant),
        }
    }

    /// The p-values before correction; `None` if nothing is tested.
    fn tested(&self, site: &Site) -> Option<Claims> {
        if self.refused.is_some() {
            return None;
        }
        let constant = self.differences.windows(2).all(|pair| pair[0] == pair[1]);
        // Small counts differ by the same in every pair by chance, too.
        let test = match self.metric.unit {
            "count" if constant && site.test == Test::Student => Test::SignFlips,
            _ => site.test,
        };
        let estimate = Estimate::of(&self.differences)?;
        Some(Claims {
            difference: test.p_value(&self.differences)?,
            equivalence: site.test.equivalence_p(&estimate, self.margin),
        })
    }

    /// Why the sides may not be compared.
    fn refused(&self) -> Option<Judgement> {
        let reason = self.refused.as_ref()?;
        Some(Judgement::new(Verdict::Refused, reason))
    }

    fn judge(&self, p: Option<Claims>, site: &Site, comparisons: usize) -> Judgement {
        let nothing = Claims {
            difference: 1.0,
            equivalence: 1.0,
        };
        let mut judgement = Question {
            sample: &self.differences,
            p: p.unwrap_or(nothing),
            margin: self.margin,
            direction: self.metric.direction,
            test: site.test,
            comparisons,
        }
        .judge();
        if let Some(shape) = stats::shape(&self.differences) {
            let words = match shape.kind {
                ShapeKind::Skewed => "skewed differences",
                ShapeKind::HeavyTailed => "single differences far from the others",
            };
            let median = self.effect(shape.median);
            let separator = if judgement.note.is_empty() { "" } else { "; " };
            judgement.note += &format!("{separator}{words}: {}", self.median(median));
        }
        judgement
    }

    /// A number on the scale of the differences as an effect: a share, or a difference.
    fn effect(&self, difference: f64) -> f64 {
        match self.scale {
            Scale::Relative => difference.exp_m1(),
            Scale::Absolute => difference,
        }
    }

    fn median(&self, effect: f64) -> String {
        let shown = text::shown_effect(self.scale, self.metric.unit, effect);
        format!("their median is {shown}")
    }

    fn row(
        &self,
        site: &Site,
        variant: &str,
        baseline: &str,
        p: Option<Claims>,
        judgement: Judgement,
    ) -> CompareRow {
        let estimate = Estimate::of(&self.differences).filter(|_| self.refused.is_none());
        let interval = estimate.and_then(|it| site.test.interval(&it, CONFIDENCE));
        CompareRow {
            metric: self.metric.name.to_owned(),
            unit: self.metric.unit.to_owned(),
            primary: self.primary,
            phase: site.phase.to_owned(),
            point: site.point.clone(),
            baseline: baseline.to_owned(),
            variant: variant.to_owned(),
            pairs: self.pairs,
            baseline_mean: finite(self.baseline_mean),
            variant_mean: finite(self.variant_mean),
            scale: self.scale,
            effect: finite(self.effect(stats::mean(&self.differences))),
            low: interval.map(|interval| self.effect(interval.low)),
            high: interval.map(|interval| self.effect(interval.high)),
            sd: estimate.map(|estimate| estimate.sd),
            margin: finite(self.effect(self.margin)),
            p: p.map(|claims| claims.difference),
            p_equivalent: p.map(|claims| claims.equivalence),
            verdict: judgement.verdict,
            note: judgement.note,
        }
    }
}

/// A mean without a value is written as zero: JSON has no other number for it.
fn finite(mean: f64) -> f64 {
    if mean.is_finite() { mean } else { 0.0 }
}
