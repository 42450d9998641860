//! How latency is distributed: the share of operations done within a time, and the share in each
//! range of times. Bands are intervals over the seeds, point by point.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{FigureKind, Mean, Page, Words};
use crate::formats::csv;
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::{Band, BandPoint, Line, LineChart, LinePoint, Panel, panels};
use crate::point::Point;
use crate::store::HistogramKey;

/// The quantile at which the axis ends: beyond it single operations decide.
const END: f64 = 0.9999;

/// The latencies at which shares are taken.
const STEPS: usize = 120;

/// The ranges of a histogram.
const RANGES: usize = 40;

/// The share of operations between two latencies in microseconds, `from` excluded.
#[derive(Clone, Copy)]
struct Share {
    from: f64,
    to: f64,
    mean: Mean,
}

/// One variant's shares.
struct Shares<'a> {
    variant: &'a str,
    shares: Vec<Share>,
}

impl<'a> Page<'a> {
    /// Adds the shares of operations done within a time.
    pub(super) fn ecdf(&mut self) {
        self.distributions(FigureKind::Ecdf);
    }

    /// Adds the shares of operations in ranges of times.
    pub(super) fn histogram(&mut self) {
        self.distributions(FigureKind::Histogram);
    }

    fn distributions(&mut self, kind: FigureKind) {
        let before = self.figures.drawn.len();
        for (key, point) in self.histogram_places() {
            let seeds = self.histograms(&key, point);
            if !seeds.is_empty() {
                self.distribution(kind, &key, point, &seeds);
            }
        }
        self.skip_if_none(kind, before, "no trial has latency histograms");
    }

    /// The histograms of each variant, one a seed.
    fn histograms(
        &self,
        key: &HistogramKey,
        point: &Point,
    ) -> Vec<(&'a str, Vec<&'a Histogram<u64>>)> {
        let mut found = Vec::new();
        for (variant, trials) in self.trials(point) {
            let of_trials = trials.iter().filter_map(|trial| trial.latency.get(key));
            let histograms: Vec<_> = of_trials.filter(|it| !it.is_empty()).collect();
            if !histograms.is_empty() {
                found.push((variant, histograms));
            }
        }
        found
    }

    fn distribution(
        &mut self,
        kind: FigureKind,
        key: &HistogramKey,
        point: &Point,
        seeds: &[(&'a str, Vec<&Histogram<u64>>)],
    ) {
        let all = || seeds.iter().flat_map(|(_, histograms)| histograms.iter());
        let least = all().map(|it| it.min_nz()).min().unwrap_or(1).max(1);
        let most = all().map(|it| it.value_at_quantile(END)).max().unwrap_or(1);
        let ends = ends(kind, least, most.max(least + 1));
        let shares: Vec<Shares> = seeds
            .iter()
            .map(|(variant, histograms)| Shares {
                variant,
                shares: shares(kind, histograms, &ends),
            })
            .collect();
        let chart = chart(kind, &shares, self.input.baseline);
        let (title, meaning) = match kind {
            FigureKind::Ecdf => (
                "within a time",
                "The share of operations done within a time.",
            ),
            _ => (
                "by range",
                "The share of operations in each range of latency.",
            ),
        };
        let others = if chart.panels.len() > 1 {
            " Thin and grey: the other variants."
        } else {
            ""
        };
        let op = key.class.name();
        let words = Words {
            kind,
            part: format!("{}.{op}", key.phase),
            title: format!("Latency of {op} operations {title}, phase {}", key.phase),
            subtitle: self.subtitle(point),
            caption: format!(
                "{meaning} Times count from when an operation was due. Mean over the seeds; bands \
                 are 95 % Student intervals over them, point by point. The axis ends at the \
                 99.99th percentile.{others}{}",
                chart.coinciding()
            ),
            csv: numbers(&shares),
        };
        let variants: Vec<&str> = shares.iter().map(|shares| shares.variant).collect();
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles);
        self.add(words, scene);
    }
}

/// The latencies in nanoseconds at which ranges end, the first one's start before them; evenly
/// spaced on a logarithmic axis.
fn ends(kind: FigureKind, least: u64, most: u64) -> Vec<u64> {
    let steps = if kind == FigureKind::Ecdf {
        STEPS
    } else {
        RANGES
    };
    let ratio = most as f64 / least as f64;
    let end = |step: usize| {
        let share = step as f64 / steps as f64;
        (least as f64 * ratio.powf(share)).round() as u64
    };
    let mut ends: Vec<u64> = (0..=steps).map(end).collect();
    ends.insert(0, least - 1);
    ends.dedup();
    ends
}

/// The shares of one variant over its seeds.
fn shares(kind: FigureKind, histograms: &[&Histogram<u64>], ends: &[u64]) -> Vec<Share> {
    let counts_below: Vec<Vec<f64>> = histograms
        .iter()
        .map(|histogram| shares_up_to(histogram, ends))
        .collect();
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let share = |at: usize| {
        let of_seed = |shares: &Vec<f64>| match kind {
            FigureKind::Ecdf => shares[at],
            _ => shares[at] - shares[at - 1],
        };
        let of_seeds: Vec<f64> = counts_below.iter().map(of_seed).collect();
        Some(Share {
            from: micros(ends[at - 1]),
            to: micros(ends[at]),
            mean: Mean::of(&of_seeds)?,
        })
    };
    (1..ends.len()).filter_map(share).collect()
}

/// The shares of a histogram's values up to each of `ends`, which ascend.
fn shares_up_to(histogram: &Histogram<u64>, ends: &[u64]) -> Vec<f64> {
    let mut recorded = histogram.iter_recorded().peekable();
    let mut count = 0;
    let mut shares = Vec::with_capacity(ends.len());
    for end in ends {
        while let Some(value) = recorded.next_if(|value| value.value_iterated_to() <= *end) {
            count += value.count_since_last_iteration();
        }
        shares.push(count as f64 / histogram.len() as f64);
    }
    shares
}

fn chart<'a>(kind: FigureKind, shares: &[Shares<'a>], baseline: &str) -> LineChart<'a> {
    let line = |shares: &Shares<'a>| Line {
        variant: shares.variant,
        points: points(kind, &shares.shares),
        thin: false,
    };
    let lines: Vec<Line> = shares.iter().map(line).collect();
    let mut bands = BTreeMap::new();
    for Shares { variant, shares } in shares {
        if shares.iter().any(|share| share.mean.half_width > Some(0.0)) {
            bands.insert(*variant, band(kind, shares));
        }
    }
    let tops = bands.values().flatten().map(|point| point.high);
    let tops = tops.chain(
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.y),
    );
    let top = match kind {
        FigureKind::Ecdf => 100.0,
        _ => tops.fold(0.0, f64::max),
    };
    let all = || shares.iter().flat_map(|shares| &shares.shares);
    let from = all().map(|share| share.to).fold(f64::INFINITY, f64::min);
    let to = all().map(|share| share.to).fold(0.0, f64::max);
    let mut panels = panels(lines, &[baseline]);
    for panel in &mut panels {
        panel.bands = bands_of(panel, &bands);
    }
    let y = match kind {
        FigureKind::Ecdf => "operations done (%)",
        _ => "operations in the range (%)",
    };
    LineChart {
        x: Axis::logarithmic("latency (\u{b5}s, logarithmic)", from.max(1e-3), to),
        y: Axis::linear(y, 0.0, top),
        panels,
        marked: false,
    }
}

/// The bands of the variants that a panel has in colour.
fn bands_of<'a>(panel: &Panel<'a>, bands: &BTreeMap<&'a str, Vec<BandPoint>>) -> Vec<Band<'a>> {
    let shown = panel.lines.iter().filter(|line| !line.thin);
    let band = |line: &Line<'a>| {
        Some(Band {
            variant: line.variant,
            points: bands.get(line.variant)?.clone(),
        })
    };
    shown.filter_map(band).collect()
}

/// The places of a share: its end, or both ends of its range, so that a histogram has steps.
fn places(kind: FigureKind, share: &Share) -> Vec<f64> {
    match kind {
        FigureKind::Ecdf => vec![share.to],
        _ => vec![share.from.max(1e-3), share.to],
    }
}

fn points(kind: FigureKind, shares: &[Share]) -> Vec<LinePoint> {
    let of_share = |share: &Share| {
        let point = |x| LinePoint {
            x,
            y: share.mean.value * 100.0,
            half_width: None,
        };
        places(kind, share)
            .into_iter()
            .map(point)
            .collect::<Vec<_>>()
    };
    shares.iter().flat_map(of_share).collect()
}

fn band(kind: FigureKind, shares: &[Share]) -> Vec<BandPoint> {
    let of_share = |share: &Share| {
        let half = share.mean.half_width.unwrap_or(0.0);
        let point = |x| BandPoint {
            x,
            low: (share.mean.value - half).max(0.0) * 100.0,
            high: (share.mean.value + half).min(1.0) * 100.0,
        };
        places(kind, share)
            .into_iter()
            .map(point)
            .collect::<Vec<_>>()
    };
    shares.iter().flat_map(of_share).collect()
}

fn numbers(shares: &[Shares]) -> String {
    let row = |variant: &str, share: &Share| {
        [
            variant.to_owned(),
            share.from.to_string(),
            share.to.to_string(),
            share.mean.value.to_string(),
            share.mean.half_width_field(),
        ]
    };
    let of_variant = |Shares { variant, shares }: &Shares| {
        shares
            .iter()
            .map(|share| row(variant, share))
            .collect::<Vec<_>>()
    };
    let header = ["variant", "from_us", "to_us", "share", "half_width_95"];
    csv(header, shares.iter().flat_map(of_variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits are allowed");
        for value in values {
            histogram.record(*value).expect("the histogram grows");
        }
        histogram
    }

    #[test]
    fn shares_rise_to_one_and_ranges_add_up_to_it() {
        let seeds = [histogram(&[10, 20, 30, 40]), histogram(&[10, 20, 30, 1000])];
        let seeds: Vec<&Histogram<u64>> = seeds.iter().collect();
        let within = ends(FigureKind::Ecdf, 10, 1001);
        let ecdf = shares(FigureKind::Ecdf, &seeds, &within);
        assert!(
            ecdf.windows(2)
                .all(|pair| pair[0].mean.value <= pair[1].mean.value)
        );
        assert_eq!(ecdf.first().map(|share| share.mean.value), Some(0.25));
        assert_eq!(ecdf.last().map(|share| share.mean.value), Some(1.0));
        let ranges = shares(
            FigureKind::Histogram,
            &seeds,
            &ends(FigureKind::Histogram, 10, 1001),
        );
        let sum: f64 = ranges.iter().map(|share| share.mean.value).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let last = ranges.last().expect("a range");
        assert_eq!(
            last.mean.value, 0.125,
            "one of four operations of one of two seeds"
        );
        assert!(
            last.mean.half_width > Some(1.0),
            "two seeds are far from sure"
        );
        let equal = ranges.first().expect("a range").mean;
        assert_eq!((equal.value, equal.half_width), (0.25, Some(0.0)));
    }
}
