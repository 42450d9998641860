//! The cache's hit ratio: over its size if a sweep varies it, else as bars.

use std::collections::BTreeMap;

use bytesize::ByteSize;

use super::panels::{BarsDef, PanelDef};
use super::{FigureKind, INTERVALS, Page, Words, in_order, means};
use crate::formats::csv;
use crate::plot::chart::axis::{Axis, Tick};
use crate::plot::chart::lines::{Line, LineChart, LinePoint, Panel};
use crate::point::{self, Point};

const CAPTION: &str = "Hits over requests for data blocks.";

const BARS: BarsDef = BarsDef {
    kind: FigureKind::HitRatio,
    title: "Cache hit ratio",
    caption: CAPTION,
    whole: false,
    panels: &[PanelDef::new("block cache hit ratio", |metrics| {
        metrics.get("cache.hit_ratio").copied()
    })],
};

/// The sweep points at which only the cache's size differs.
struct SizeCurve<'a> {
    /// The key of the size.
    key: &'a str,
    /// The other keys of the sweep.
    others: Point,
    sizes: Vec<SizePoint<'a>>,
}

/// A sweep point, and the size of its cache.
struct SizePoint<'a> {
    point: &'a Point,
    label: &'a str,
    bytes: f64,
}

/// The lines of a figure, and its numbers.
#[derive(Default)]
struct Curves<'a> {
    lines: BTreeMap<&'a str, Vec<LinePoint>>,
    rows: Vec<[String; 5]>,
}

impl<'a> Page<'a> {
    pub(super) fn hit_ratio(&mut self) {
        let points = self.points();
        let Some(key) = points.first().and_then(|point| size_key(point)) else {
            return self.bars(&BARS);
        };
        if points.len() < 2 {
            return self.bars(&BARS);
        }
        let before = self.figures.drawn.len();
        for phase in self.phases() {
            for curve in size_curves(key, &points) {
                self.hit_ratio_over(phase, &curve);
            }
        }
        let why = "no phase asked the cache for a block";
        self.skip_if_none(FigureKind::HitRatio, before, why);
    }

    /// Adds the figure of one phase, and one combination of the sweep's other keys.
    fn hit_ratio_over(&mut self, phase: &str, curve: &SizeCurve) {
        let curves = self.curves(phase, curve);
        if curves.lines.is_empty() {
            return;
        }
        let header = [
            "variant",
            "point",
            "cache_bytes",
            "hit_ratio",
            "half_width_95",
        ];
        let words = Words {
            kind: FigureKind::HitRatio,
            part: phase.to_owned(),
            title: format!("Cache hit ratio over cache size, phase {phase}"),
            subtitle: self.subtitle(&curve.others),
            caption: format!("{CAPTION} {INTERVALS}"),
            csv: csv(header, curves.rows),
        };
        let lines = in_order(curves.lines);
        let variants: Vec<&str> = lines.iter().map(|(variant, _)| *variant).collect();
        let chart = chart(curve, lines);
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles);
        self.add(words, scene);
    }

    fn curves(&self, phase: &str, curve: &SizeCurve) -> Curves<'a> {
        let mut curves = Curves::default();
        for size in &curve.sizes {
            let means = means(self.input.rows, phase, size.point, |metrics| {
                metrics.get("cache.hit_ratio").copied()
            });
            for (variant, mean) in means {
                curves.lines.entry(variant).or_default().push(LinePoint {
                    x: size.bytes,
                    y: mean.value * 100.0,
                    half_width: mean.half_width.map(|half| half * 100.0),
                });
                curves.rows.push([
                    variant.to_owned(),
                    point::label(size.point),
                    size.bytes.to_string(),
                    mean.value.to_string(),
                    mean.half_width_field(),
                ]);
            }
        }
        curves
    }
}

/// The key of a sweep point that is the size of a cache.
fn size_key(point: &Point) -> Option<&str> {
    point
        .iter()
        .find(|(key, value)| cache_size(key, value).is_some())
        .map(|(key, _)| key.as_str())
}

/// The bytes of a sweep's value, if its key is the size of a cache.
fn cache_size(key: &str, value: &str) -> Option<f64> {
    let bytes = value.parse::<ByteSize>().ok()?.as_u64();
    (key.ends_with("cache.size") && bytes > 0).then_some(bytes as f64)
}

/// Groups sweep points by their other keys.
fn size_curves<'a>(key: &'a str, points: &[&'a Point]) -> Vec<SizeCurve<'a>> {
    let mut curves: Vec<SizeCurve> = Vec::new();
    for point in points {
        let mut others = (*point).clone();
        let Some(value) = others.remove(key) else {
            continue;
        };
        let Some(bytes) = cache_size(key, &value) else {
            continue;
        };
        let size = SizePoint {
            point,
            label: &point[key],
            bytes,
        };
        match curves.iter_mut().find(|curve| curve.others == others) {
            Some(curve) => curve.sizes.push(size),
            None => curves.push(SizeCurve {
                key,
                others,
                sizes: vec![size],
            }),
        }
    }
    curves.sort_by(|a, b| point::order(&a.others, &b.others));
    curves
}

fn chart<'a>(curve: &SizeCurve, lines: Vec<(&'a str, Vec<LinePoint>)>) -> LineChart<'a> {
    let mut low = 100.0_f64;
    let mut high = 0.0_f64;
    for point in lines.iter().flat_map(|(_, points)| points) {
        let half = point.half_width.unwrap_or(0.0);
        low = low.min(point.y - half);
        high = high.max(point.y + half);
    }
    let line = |(variant, points)| Line {
        variant,
        points,
        thin: false,
    };
    let tick = |size: &SizePoint| Tick::new(size.bytes, size.label);
    LineChart {
        x: Axis::sizes(
            format!("{} (logarithmic)", curve.key),
            curve.sizes.iter().map(tick).collect(),
        ),
        y: Axis::linear("block cache hit ratio (%)", low.max(0.0), high.min(100.0)),
        panels: vec![Panel {
            lines: lines.into_iter().map(line).collect(),
            ..Panel::default()
        }],
        marked: true,
    }
}
