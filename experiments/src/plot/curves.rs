//! Miss-ratio curves: policies over the size of a cache, with the bounds drawn apart and the room below them shaded.
//!
//! A figure with two dozen lines shows nothing. The policies that rank best over the sizes are drawn with a look of their own,
//! the others thin and grey behind them; their numbers are in the CSV beside the figure.

use super::axis::Axis;
use super::lines::{Line, LineChart, LinePoint, Panel};
use super::style::{Frame, Styles};
use super::{Figure, PlotError};
use crate::store::csv;

/// One policy or bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Whether it is a bound.
    pub bound: bool,
    /// By size.
    pub points: Vec<CurvePoint>,
}

/// A curve at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    /// The size as it was asked for.
    pub size: String,
    /// The size in objects or bytes.
    pub capacity: u64,
    /// The share of requests, or of bytes, that missed.
    pub ratio: f64,
    /// Its standard error, where the trace was sampled.
    pub standard_error: Option<f64>,
}

/// The words of a figure.
pub struct CurveWords<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// The title.
    pub title: &'a str,
    /// What trace, how many requests.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// What is on the x axis, with its unit.
    pub x_label: &'a str,
    /// What is on the y axis.
    pub y_label: &'a str,
    /// The policy drawn in grey and solid.
    pub baseline: &'a str,
}

/// Policies that get a look of their own.
const NAMED_MAX: usize = 7;

/// Draws curves; None without a point.
///
/// # Errors
/// [`PlotError::Drawing`].
pub fn draw_curves(words: &CurveWords, curves: &[Curve]) -> Result<Option<Figure>, PlotError> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let capacities: Vec<u64> = sorted(points().map(|point| point.capacity));
    if capacities.is_empty() {
        return Ok(None);
    }
    let named = best_ranked(curves, &capacities, words.baseline);
    let others = curves
        .iter()
        .filter(|curve| !curve.bound && !named.contains(&curve.name.as_str()))
        .count();
    let background = format!("{others} others");
    let bounds: Vec<&str> = curves
        .iter()
        .filter(|curve| curve.bound)
        .map(|curve| curve.name.as_str())
        .collect();
    let styles = Styles::with_bounds(&named, words.baseline, &bounds, &background);
    let mut legend: Vec<&str> = bounds.clone();
    legend.extend(&named);
    legend.extend((others > 0).then_some(background.as_str()));

    let mut lines: Vec<Line> = Vec::new();
    for curve in curves {
        let behind = !curve.bound && !named.contains(&curve.name.as_str());
        let variant = if behind { &background } else { &curve.name };
        lines.push(Line {
            variant,
            points: line_points(curve),
            thin: behind,
        });
    }
    // What stands in the background is drawn first, the bounds last.
    lines.sort_by_key(|line| (!line.thin, bounds.contains(&line.variant)));
    let label = |capacity: &u64| {
        points()
            .find(|point| point.capacity == *capacity)
            .map(|point| point.size.clone())
    };
    let ticks = capacities
        .iter()
        .map(|capacity| (*capacity as f64, label(capacity).unwrap_or_default()))
        .collect();
    let (low, high) = points().fold((1.0_f64, 0.0_f64), |(low, high), at| {
        (low.min(at.ratio), high.max(at.ratio))
    });
    let chart = LineChart {
        x: Axis::sizes(words.x_label, ticks),
        y: Axis::linear(words.y_label, low * 100.0, high * 100.0),
        panels: vec![Panel {
            lines,
            floor: floor(curves),
            ..Panel::default()
        }],
        marked: true,
    };
    let frame = Frame {
        title: words.title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let scene = chart.draw(&frame, &legend, &styles)?;
    Ok(Some(Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption: "Black: bounds that no policy passes; the room below the lowest is shaded."
            .to_owned(),
        csv: to_csv(curves),
        scene,
    }))
}

fn sorted(capacities: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut capacities: Vec<u64> = capacities.collect();
    capacities.sort_unstable();
    capacities.dedup();
    capacities
}

fn line_points(curve: &Curve) -> Vec<LinePoint> {
    let point = |point: &CurvePoint| LinePoint {
        x: point.capacity as f64,
        y: point.ratio * 100.0,
        // Twice the standard error: about 95 %.
        half_width: point.standard_error.map(|error| error * 200.0),
    };
    let mut points: Vec<LinePoint> = curve.points.iter().map(point).collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    points
}

/// The policies with the least sum of ranks over the sizes, and the baseline; sorted by name.
fn best_ranked<'a>(curves: &'a [Curve], capacities: &[u64], baseline: &str) -> Vec<&'a str> {
    let policies: Vec<&Curve> = curves.iter().filter(|curve| !curve.bound).collect();
    let ratio = |curve: &Curve, capacity: u64| {
        let point = curve.points.iter().find(|point| point.capacity == capacity);
        point.map_or(f64::INFINITY, |point| point.ratio)
    };
    let rank = |curve: &Curve| -> usize {
        let better = |capacity: &u64| {
            let own = ratio(curve, *capacity);
            policies
                .iter()
                .filter(|other| ratio(other, *capacity) < own)
                .count()
        };
        capacities.iter().map(better).sum()
    };
    let mut ranked: Vec<(bool, usize, &str)> = policies
        .iter()
        .map(|curve| (curve.name != baseline, rank(curve), curve.name.as_str()))
        .collect();
    ranked.sort_unstable();
    let mut named: Vec<&str> = ranked
        .into_iter()
        .take(NAMED_MAX)
        .map(|(.., name)| name)
        .collect();
    named.sort_unstable();
    named
}

/// The lowest bound at each size where there is one.
fn floor(curves: &[Curve]) -> Vec<(f64, f64)> {
    let points = || {
        curves
            .iter()
            .filter(|curve| curve.bound)
            .flat_map(|curve| &curve.points)
    };
    let lowest = |capacity: &u64| {
        let ratios = points()
            .filter(|point| point.capacity == *capacity)
            .map(|point| point.ratio);
        (
            *capacity as f64,
            ratios.fold(f64::INFINITY, f64::min) * 100.0,
        )
    };
    sorted(points().map(|point| point.capacity))
        .iter()
        .map(lowest)
        .collect()
}

fn to_csv(curves: &[Curve]) -> String {
    let rows = curves.iter().flat_map(|curve| {
        curve.points.iter().map(|point| {
            let arm = if curve.bound { "bound" } else { "policy" }.to_owned();
            let error = point
                .standard_error
                .map_or_else(String::new, |error| error.to_string());
            [
                arm,
                curve.name.clone(),
                point.size.clone(),
                point.capacity.to_string(),
                point.ratio.to_string(),
                error,
            ]
        })
    });
    csv(
        [
            "arm",
            "name",
            "size",
            "capacity",
            "miss_ratio",
            "standard_error",
        ],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, bound: bool, ratios: [f64; 2]) -> Curve {
        let point = |(size, ratio): (u64, f64)| CurvePoint {
            size: format!("{size}%"),
            capacity: size * 100,
            ratio,
            standard_error: None,
        };
        Curve {
            name: name.to_owned(),
            bound,
            points: [1, 10].into_iter().zip(ratios).map(point).collect(),
        }
    }

    fn words() -> CurveWords<'static> {
        CurveWords {
            name: "miss-ratio",
            title: "Miss ratio",
            subtitle: "a trace",
            provenance: "AuraDB",
            x_label: "objects",
            y_label: "miss ratio (%)",
            baseline: "lru",
        }
    }

    #[test]
    fn the_best_and_the_baseline_are_named_and_the_bounds_stand_apart() {
        let mut curves = vec![
            curve("min", true, [0.5, 0.2]),
            curve("lru", false, [0.95, 0.9]),
        ];
        curves.extend(
            (0..9).map(|i| curve(&format!("p{i}"), false, [0.6 + 0.01 * f64::from(i), 0.3])),
        );
        let named = best_ranked(&curves, &[100, 1000], "lru");
        assert_eq!(named, ["lru", "p0", "p1", "p2", "p3", "p4", "p5"]);
        assert_eq!(floor(&curves), [(100.0, 50.0), (1000.0, 20.0)]);
        let figure = draw_curves(&words(), &curves)
            .expect("it can be drawn")
            .expect("it has points");
        let svg = figure.svg().expect("it can be drawn");
        for word in ["3 others", "min", "p0", "1%", "10%", "a trace"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("p7") && !svg.contains("NaN"));
        assert_eq!(figure.csv.lines().count(), 1 + 2 * curves.len());
    }

    #[test]
    fn without_a_point_there_is_no_figure() {
        assert!(
            draw_curves(&words(), &[])
                .expect("nothing is drawn")
                .is_none()
        );
    }
}
