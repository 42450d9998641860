//! Metrics over the values of a swept key: the primary ones, and the cache's hit ratio.

use std::collections::BTreeMap;

use super::panels::{BarsDef, PanelDef};
use super::{FigureKind, INTERVALS, Page, Words, in_order, in_words, means_of};
use crate::compare::{At, Peak, peak};
use crate::formats::csv;
use crate::metrics::{self, Direction, MetricDef, Scale};
use crate::plot::chart::axis::{Axis, Tick};
use crate::plot::chart::lines::{Callout, Line, LineChart, LinePoint, panels};
use crate::point::{self, Point};

const HIT_RATIO: &str = "cache.hit_ratio";
const HIT_RATIO_BOUND: &str = "cache.bound_hit_ratio";

/// The name of a bound's line.
const BEST_POSSIBLE: &str = "best possible";

const BARS: BarsDef = BarsDef {
    kind: FigureKind::HitRatio,
    title: "Cache hit ratio",
    caption: "Hits over requests for data blocks.",
    whole: false,
    panels: &[PanelDef::new("block cache hit ratio", |metrics| {
        metrics.get(HIT_RATIO).copied()
    })
    .below(|metrics| metrics.get(HIT_RATIO_BOUND).copied())],
};

/// The sweep points at which only one key differs, whose values are numbers.
struct Swept<'a> {
    key: &'a str,
    /// The other keys of the sweep.
    others: Point,
    stops: Vec<Stop<'a>>,
}

/// A sweep point, and its value of the swept key.
struct Stop<'a> {
    point: &'a Point,
    label: &'a str,
    amount: f64,
}

/// The lines of a figure, and its numbers.
#[derive(Default)]
struct Curves<'a> {
    lines: BTreeMap<&'a str, Vec<LinePoint>>,
    bound: Vec<LinePoint>,
    rows: Vec<[String; 5]>,
}

/// One metric of one window over a swept key.
struct Curve<'a> {
    kind: FigureKind,
    metric: &'static MetricDef,
    window: &'a str,
    swept: &'a Swept<'a>,
}

impl<'a> Page<'a> {
    /// Adds the curves of primary metrics.
    pub(super) fn sweep(&mut self) {
        let points = self.points();
        let Some(key) = swept_key(&points) else {
            return self.skip(FigureKind::Sweep, "no key with several numbers is swept");
        };
        let before = self.figures.drawn.len();
        let swept = swept(key, &points);
        for metric in self.input.primary {
            let Ok(metric) = metrics::find(metric) else {
                continue;
            };
            for window in self.judged(metric) {
                self.curves(FigureKind::Sweep, metric, window, &swept);
            }
        }
        self.skip_if_none(FigureKind::Sweep, before, "no primary metric has values");
    }

    /// Adds the hit ratio over the cache's size, unless it is among the curves already; without
    /// sizes as bars.
    pub(super) fn hit_ratio(&mut self) {
        let points = self.points();
        let key = swept_key(&points).filter(|key| key.ends_with("cache.size"));
        let Some(key) = key else {
            return self.bars(&BARS);
        };
        let is_curve = |name: &str| name.starts_with("sweep.") && name.contains(HIT_RATIO);
        if self
            .figures
            .drawn
            .iter()
            .any(|figure| is_curve(&figure.name))
        {
            return;
        }
        let before = self.figures.drawn.len();
        let metric = metrics::find(HIT_RATIO).expect("the registry has it");
        for phase in self.phases() {
            self.curves(FigureKind::HitRatio, metric, phase, &swept(key, &points));
        }
        let why = "no phase asked the cache for a block";
        self.skip_if_none(FigureKind::HitRatio, before, why);
    }

    /// The windows in which a metric is judged; without a comparison, the phases.
    pub(super) fn judged(&self, metric: &MetricDef) -> Vec<&'a str> {
        let Some(comparison) = self.input.comparison else {
            return self.phases();
        };
        let has_row = |window: &&str| {
            let mut rows = comparison.rows.iter();
            rows.any(|row| row.metric == metric.name && row.phase == *window)
        };
        self.windows().into_iter().filter(has_row).collect()
    }

    /// Adds one figure for each combination of the sweep's other keys.
    fn curves(
        &mut self,
        kind: FigureKind,
        metric: &'static MetricDef,
        window: &str,
        swept: &[Swept],
    ) {
        for swept in swept {
            self.curve(&Curve {
                kind,
                metric,
                window,
                swept,
            });
        }
    }

    fn curve(&mut self, curve: &Curve) {
        let values = self.values(curve);
        if values.lines.is_empty() {
            return;
        }
        let peak = self.peak(curve, &values.lines);
        let chart = self.chart(curve, &values, peak.as_ref());
        let window = curve.window;
        let part = match curve.kind {
            FigureKind::HitRatio => window.to_owned(),
            _ => format!("{}.{window}", curve.metric.name),
        };
        let (key, metric) = (curve.swept.key, curve.metric.name);
        let mut caption = format!("{} {INTERVALS}", curve.metric.about);
        if !values.bound.is_empty() {
            caption += " Dotted: the best that any cache of the size could have done, from the \
                recorded accesses.";
        }
        caption += &peak_words(peak.as_ref());
        if chart.panels.len() > 1 {
            caption += " Thin and grey: the other variants.";
        }
        caption += &chart.coinciding();
        let header = ["variant", "point", "value", "mean", "half_width_95"];
        let words = Words {
            kind: curve.kind,
            part,
            title: format!("{metric} over {key}, {}", in_words(window)),
            subtitle: self.subtitle(&curve.swept.others),
            caption,
            csv: csv(header, values.rows),
        };
        let mut names: Vec<&str> = Vec::new();
        for line in chart.panels.iter().flat_map(|panel| &panel.lines) {
            if !names.contains(&line.variant) {
                names.push(line.variant);
            }
        }
        let styles = self.styles.and_bound(BEST_POSSIBLE);
        let scene = chart.draw(&self.frame(&words), &names, &styles);
        self.add(words, scene);
    }

    fn values(&self, curve: &Curve) -> Curves<'a> {
        let factor = factor(curve.metric);
        let mut values = Curves::default();
        for stop in &curve.swept.stops {
            let of = |metric| means_of(self.input.rows, curve.window, stop.point, metric);
            for (variant, mean) in of(curve.metric.name) {
                values.lines.entry(variant).or_default().push(LinePoint {
                    x: stop.amount,
                    y: mean.value * factor,
                    half_width: mean.half_width.map(|half| half * factor),
                });
                values.rows.push([
                    variant.to_owned(),
                    point::label(stop.point),
                    stop.amount.to_string(),
                    mean.value.to_string(),
                    mean.half_width_field(),
                ]);
            }
            if curve.metric.name != HIT_RATIO {
                continue;
            }
            // Each variant's trace has a bound of its own; they hardly differ.
            let bounds = of(HIT_RATIO_BOUND);
            let own = bounds.iter().find(|(name, _)| *name == self.input.baseline);
            if let Some((_, mean)) = own.or(bounds.first()) {
                values.bound.push(LinePoint {
                    x: stop.amount,
                    y: mean.value * factor,
                    half_width: None,
                });
                values.rows.push([
                    BEST_POSSIBLE.to_owned(),
                    point::label(stop.point),
                    stop.amount.to_string(),
                    mean.value.to_string(),
                    mean.half_width_field(),
                ]);
            }
        }
        values
    }

    /// Where the metric is best, and the knee: of the means that are ranked, if there are any.
    fn peak(&self, curve: &Curve, lines: &BTreeMap<&str, Vec<LinePoint>>) -> Option<Peak> {
        let higher = match curve.metric.direction {
            Direction::Higher => true,
            Direction::Lower => false,
            Direction::Neutral => return None,
        };
        let mut curves: BTreeMap<&str, Vec<At>> = BTreeMap::new();
        let rankings = self.input.comparison.map_or(&[][..], |it| &it.rankings[..]);
        for stop in &curve.swept.stops {
            let ranking = rankings.iter().find(|ranking| {
                ranking.metric == curve.metric.name
                    && ranking.phase == curve.window
                    && ranking.point == *stop.point
            });
            for place in ranking.into_iter().flat_map(|ranking| &ranking.places) {
                curves.entry(&place.variant).or_default().push(At {
                    label: stop.label.to_owned(),
                    amount: stop.amount,
                    mean: place.mean,
                });
            }
        }
        if curves.is_empty() {
            for (variant, points) in lines {
                let at = |point: &LinePoint| {
                    let stop = curve
                        .swept
                        .stops
                        .iter()
                        .find(|stop| stop.amount == point.x)?;
                    Some(At {
                        label: stop.label.to_owned(),
                        amount: point.x,
                        mean: point.y,
                    })
                };
                curves.insert(variant, points.iter().filter_map(at).collect());
            }
        }
        peak(&curves, higher)
    }

    fn chart(&self, curve: &Curve, values: &Curves<'a>, peak: Option<&Peak>) -> LineChart<'a> {
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for point in values.lines.values().flatten().chain(&values.bound) {
            let half = point.half_width.unwrap_or(0.0);
            low = low.min(point.y - half);
            high = high.max(point.y + half);
        }
        if is_share(curve.metric) {
            low = low.max(0.0);
            high = high.min(100.0);
        }
        let mut lines: Vec<Line> = in_order(values.lines.clone())
            .into_iter()
            .map(|(variant, points)| Line {
                variant,
                points,
                thin: false,
            })
            .collect();
        if !values.bound.is_empty() {
            lines.push(Line {
                variant: BEST_POSSIBLE,
                points: values.bound.clone(),
                thin: false,
            });
        }
        let mut panels = panels(lines, &[self.input.baseline, BEST_POSSIBLE]);
        for panel in &mut panels {
            panel.callouts = callouts(&panel.lines, peak);
        }
        let tick = |stop: &Stop| Tick::new(stop.amount, stop.label);
        let unit = if is_share(curve.metric) {
            "%"
        } else {
            curve.metric.unit
        };
        LineChart {
            x: Axis::stops(
                curve.swept.key,
                curve.swept.stops.iter().map(tick).collect(),
            ),
            y: Axis::linear(format!("{} ({unit})", curve.metric.name), low, high),
            panels,
            marked: true,
        }
    }
}

/// The rings of the best point and the knee, if the variant that has them is among the lines.
fn callouts(lines: &[Line], peak: Option<&Peak>) -> Vec<Callout> {
    let Some(peak) = peak else {
        return Vec::new();
    };
    let Some(line) = lines.iter().find(|line| line.variant == peak.variant) else {
        return Vec::new();
    };
    let marked = [("best", Some(&peak.best)), ("knee", peak.knee.as_ref())];
    let callout = |(label, at): (&'static str, Option<&At>)| {
        let at = at?;
        let point = line.points.iter().find(|point| point.x == at.amount)?;
        Some(Callout {
            x: point.x,
            y: point.y,
            label,
        })
    };
    marked.into_iter().filter_map(callout).collect()
}

fn peak_words(peak: Option<&Peak>) -> String {
    let Some(peak) = peak else {
        return String::new();
    };
    let Peak {
        variant,
        best,
        knee,
    } = peak;
    let mut words = format!(" Best: {variant} at {}.", best.label);
    if let Some(knee) = knee {
        words += &format!(
            " Knee: at {} it has nearly all of what there is to gain.",
            knee.label
        );
    }
    words
}

/// What values are multiplied with on the axis: shares of one are in percent.
fn factor(metric: &MetricDef) -> f64 {
    if is_share(metric) { 100.0 } else { 1.0 }
}

fn is_share(metric: &MetricDef) -> bool {
    metric.unit == "ratio" && metric.scale == Scale::Absolute
}

/// The key with the most different numbers, if one has several.
fn swept_key<'a>(points: &[&'a Point]) -> Option<&'a str> {
    let mut best: Option<(&str, usize)> = None;
    for (key, _) in points.first()?.iter() {
        let amounts: Option<Vec<f64>> = points
            .iter()
            .map(|point| point::amount(point.get(key)?))
            .collect();
        let Some(mut amounts) = amounts else {
            continue;
        };
        amounts.sort_by(f64::total_cmp);
        amounts.dedup();
        if amounts.len() > best.map_or(1, |(_, most)| most) {
            best = Some((key, amounts.len()));
        }
    }
    best.map(|(key, _)| key)
}

/// Groups sweep points by their keys other than `key`.
fn swept<'a>(key: &'a str, points: &[&'a Point]) -> Vec<Swept<'a>> {
    let mut all: Vec<Swept> = Vec::new();
    for point in points {
        let mut others = (*point).clone();
        let Some(amount) = others.remove(key).and_then(|value| point::amount(&value)) else {
            continue;
        };
        let stop = Stop {
            point,
            label: &point[key],
            amount,
        };
        match all.iter_mut().find(|swept| swept.others == others) {
            Some(swept) => swept.stops.push(stop),
            None => all.push(Swept {
                key,
                others,
                stops: vec![stop],
            }),
        }
    }
    all.retain(|swept| swept.stops.len() > 1);
    for swept in &mut all {
        swept.stops.sort_by(|a, b| a.amount.total_cmp(&b.amount));
    }
    all.sort_by(|a, b| point::order(&a.others, &b.others));
    all
}
