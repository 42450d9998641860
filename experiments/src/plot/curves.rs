//! Miss-ratio curves: policies over the size of a cache, with the bounds drawn apart and the room
//! below them shaded.
//!
//! A figure with two dozen lines shows nothing. The policies that rank best over the sizes are
//! drawn with a look of their own, the others thin and grey behind them; their numbers are in the
//! CSV beside the figure.

use super::Figure;
use super::chart::axis::Axis;
use super::chart::lines::{FloorPoint, Line, LineChart, LinePoint, Panel};
use super::chart::style::{Frame, Styles};
use crate::formats::csv;

/// One policy or bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The name.
    pub name: String,
    /// Whether it is a bound.
    pub bound: bool,
    /// The points, one per size.
    pub points: Vec<CurvePoint>,
}

/// A curve at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    /// The size as it was written.
    pub size: String,
    /// The size in objects or bytes.
    pub capacity: u64,
    /// The size in the unit of the x axis.
    pub x: f64,
    /// The share of requests, or of bytes, that missed.
    pub ratio: f64,
    /// Half the width of the ratio's 95 % interval; `None` if it is exact.
    pub half_width: Option<f64>,
}

/// The words of a figure of curves.
pub struct CurveWords<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// The title.
    pub title: &'a str,
    /// Which trace, how many requests.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// What the x axis shows, with its unit.
    pub x_label: &'a str,
    /// What the y axis shows.
    pub y_label: &'a str,
    /// The policy drawn in grey and solid.
    pub baseline: &'a str,
}

/// Policies that get a look of their own.
pub(super) const NAMED_MAX: usize = 7;

/// The y axis begins at zero unless the least ratio is more than this share of the largest.
const CUT_ABOVE: f64 = 0.6;

/// Draws curves; `None` without a point.
pub fn draw_curves(words: &CurveWords, curves: &[Curve]) -> Option<Figure> {
    let capacities = capacities(curves.iter());
    if capacities.is_empty() {
        return None;
    }
    let bounds: Vec<&str> = curves
        .iter()
        .filter(|curve| curve.bound)
        .map(|curve| curve.name.as_str())
        .collect();
    let named = best_ranked(curves, &capacities, words.baseline);
    let behind = |curve: &Curve| !curve.bound && !named.contains(&curve.name.as_str());
    let others = curves.iter().filter(|curve| behind(curve)).count();
    let background = format!("{others} others");

    let mut lines: Vec<Line> = Vec::new();
    for curve in curves {
        let thin = behind(curve);
        lines.push(Line {
            variant: if thin { &background } else { &curve.name },
            points: line_points(curve),
            thin,
        });
    }
    // The background is drawn first, the bounds last.
    lines.sort_by_key(|line| (!line.thin, bounds.contains(&line.variant)));
    let mut legend: Vec<&str> = bounds.clone();
    legend.extend(&named);
    if others > 0 {
        legend.push(&background);
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let mut subtitle = words.subtitle.to_owned();
    if points().any(|point| point.half_width.is_some()) {
        subtitle += "; upright lines: 95 % intervals";
    }
    let frame = Frame {
        title: words.title,
        subtitle: &subtitle,
        provenance: words.provenance,
    };
    let styles = Styles::with_bounds(&named, words.baseline, &bounds, &background);
    let chart = chart(words, curves, lines);
    Some(Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption:
            "Black: bounds that no policy passes; the room below the lowest is shaded. Upright \
                  lines: 95 % intervals."
                .to_owned(),
        csv: to_csv(curves),
        scene: chart.draw(&frame, &legend, &styles),
    })
}

fn chart<'a>(words: &CurveWords, curves: &[Curve], lines: Vec<Line<'a>>) -> LineChart<'a> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let least = |of: fn(&CurvePoint) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&CurvePoint) -> f64| points().map(of).fold(0.0, f64::max);
    let low = least(|point| point.ratio);
    let high = most(|point| point.ratio);
    // Curves that are close together far from zero would be one.
    let (from, y_label) = if low > CUT_ABOVE * high {
        (low, format!("{}, not from zero", words.y_label))
    } else {
        (0.0, words.y_label.to_owned())
    };
    LineChart {
        x: Axis::logarithmic(words.x_label, least(|point| point.x), most(|point| point.x)),
        y: Axis::linear(y_label, from * 100.0, high * 100.0),
        panels: vec![Panel {
            lines,
            floor: floor(curves),
            ..Panel::default()
        }],
        marked: true,
    }
}

/// The sizes of curves in order, each once.
fn capacities<'a>(curves: impl Iterator<Item = &'a Curve>) -> Vec<u64> {
    let points = curves.flat_map(|curve| &curve.points);
    let mut capacities: Vec<u64> = points.map(|point| point.capacity).collect();
    capacities.sort_unstable();
    capacities.dedup();
    capacities
}

fn line_points(curve: &Curve) -> Vec<LinePoint> {
    let point = |point: &CurvePoint| LinePoint {
        x: point.x,
        y: point.ratio * 100.0,
        half_width: point.half_width.map(|half| half * 100.0),
    };
    let mut points: Vec<LinePoint> = curve.points.iter().map(point).collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    points
}

/// A curve's ratio at a size; infinite if it has none there.
fn ratio_at(curve: &Curve, capacity: u64) -> f64 {
    let point = curve.points.iter().find(|point| point.capacity == capacity);
    point.map_or(f64::INFINITY, |point| point.ratio)
}

/// Returns the policies with the least sum of ranks over the sizes, and the baseline, sorted by
/// name.
fn best_ranked<'a>(curves: &'a [Curve], capacities: &[u64], baseline: &str) -> Vec<&'a str> {
    let policies: Vec<&Curve> = curves.iter().filter(|curve| !curve.bound).collect();
    let rank = |curve: &Curve| -> usize {
        let better = |capacity: &u64| {
            let own = ratio_at(curve, *capacity);
            let rivals = policies.iter();
            rivals
                .filter(|rival| ratio_at(rival, *capacity) < own)
                .count()
        };
        capacities.iter().map(better).sum()
    };
    let mut ranked = policies.clone();
    ranked.sort_by_cached_key(|curve| (curve.name != baseline, rank(curve), curve.name.clone()));
    ranked.truncate(NAMED_MAX);
    let mut named: Vec<&str> = ranked
        .into_iter()
        .map(|curve| curve.name.as_str())
        .collect();
    named.sort_unstable();
    named
}

/// The lowest bound at each size that has one.
fn floor(curves: &[Curve]) -> Vec<FloorPoint> {
    let bounds = || curves.iter().filter(|curve| curve.bound);
    let lowest = |capacity: u64| {
        let ratios = bounds().map(|bound| ratio_at(bound, capacity));
        let points = || bounds().flat_map(|curve| &curve.points);
        let at_size = points().find(|point| point.capacity == capacity);
        FloorPoint {
            x: at_size.map_or(capacity as f64, |point| point.x),
            y: ratios.fold(f64::INFINITY, f64::min) * 100.0,
        }
    };
    capacities(bounds()).into_iter().map(lowest).collect()
}

fn to_csv(curves: &[Curve]) -> String {
    let mut rows = Vec::new();
    for curve in curves {
        let arm = if curve.bound { "bound" } else { "policy" };
        for point in &curve.points {
            let half = point.half_width;
            rows.push([
                arm.to_owned(),
                curve.name.clone(),
                point.size.clone(),
                point.capacity.to_string(),
                point.ratio.to_string(),
                half.map_or_else(String::new, |half| half.to_string()),
            ]);
        }
    }
    let header = [
        "arm",
        "name",
        "size",
        "capacity",
        "miss_ratio",
        "half_width",
    ];
    csv(header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, bound: bool, ratios: [f64; 2]) -> Curve {
        let point = |(size, ratio): (u64, f64)| CurvePoint {
            size: format!("{size}%"),
            capacity: size * 100,
            x: size as f64,
            ratio,
            half_width: None,
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
        for number in 0..9 {
            let ratio = 0.6 + 0.01 * f64::from(number);
            curves.push(curve(&format!("p{number}"), false, [ratio, 0.3]));
        }
        let named = best_ranked(&curves, &[100, 1000], "lru");
        assert_eq!(named, ["lru", "p0", "p1", "p2", "p3", "p4", "p5"]);
        let floor_point = |x, y| FloorPoint { x, y };
        assert_eq!(
            floor(&curves),
            [floor_point(1.0, 50.0), floor_point(10.0, 20.0)]
        );
        let figure = draw_curves(&words(), &curves).expect("it has points");
        let svg = figure.svg().expect("it can be drawn");
        for word in [
            "3 others", "min", "p0", "\n1\n", "\n10\n", "\n0\n", "a trace",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("p7") && !svg.contains("NaN") && !svg.contains("interval"));
        assert_eq!(figure.csv.lines().count(), 1 + 2 * curves.len());
    }

    #[test]
    fn cut_axes_and_intervals_are_said() {
        let mut curves = vec![curve("lru", false, [0.95, 0.9])];
        curves[0].points[0].half_width = Some(0.01);
        let figure = draw_curves(&words(), &curves).expect("it has points");
        let svg = figure.svg().expect("it can be drawn");
        assert!(svg.contains("not from zero") && svg.contains("upright lines: 95 % intervals"));
    }

    #[test]
    fn without_a_point_there_is_no_figure() {
        assert!(draw_curves(&words(), &[]).is_none());
    }
}
