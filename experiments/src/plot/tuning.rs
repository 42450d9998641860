//! Figures of a search: how the best point improved, and how the outcome depends on each knob. The
//! curve of a training is one of their kind.

use super::Figure;
use super::chart::axis::{Axis, Tick};
use super::chart::lines::{Callout, Line, LineChart, LinePoint, Panel};
use super::chart::style::{Frame, Styles};
use crate::formats::csv;

const BASELINE: &str = "baseline";
const BEST: &str = "best so far";
const EACH: &str = "each point";
const UNTRAINED: &str = "untrained";
const LEARNING: &str = "while it learns";
const FROZEN: &str = "frozen";
const MODEL: &str = "mean over the other knobs";

/// The points up to which lines are marked.
const MARKED_MAX: usize = 60;

/// A value at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// The place on the x axis.
    pub x: f64,
    /// The value.
    pub y: f64,
}

/// The words of a figure of a search.
pub struct SearchWords<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// The title.
    pub title: &'a str,
    /// How was searched.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// What the y axis shows, with its unit.
    pub y_label: &'a str,
}

/// Draws the value of each point that was measured, in order, and the best so far; `None` without a
/// point. `best` has a value from the first point on that keeps all constraints.
pub fn draw_convergence(
    words: &SearchWords,
    each: &[Spot],
    best: &[Spot],
    baseline: f64,
) -> Option<Figure> {
    let last = each.last()?.x;
    let level = [1.0, last].map(|x| Spot { x, y: baseline });
    let lines = vec![
        line(EACH, each, true),
        line(BASELINE, &level, false),
        line(BEST, best, false),
    ];
    let chart = LineChart {
        x: Axis::linear("points measured", 1.0, last),
        y: y_axis(words.y_label, [each, best, &level].into_iter().flatten()),
        marked: each.len() <= MARKED_MAX,
        panels: vec![Panel {
            lines,
            ..Panel::default()
        }],
    };
    let rows = each.iter().map(|spot| {
        let so_far = best.iter().find(|best| best.x == spot.x);
        let so_far = so_far.map_or_else(String::new, |best| best.y.to_string());
        [spot.x.to_string(), spot.y.to_string(), so_far]
    });
    let text = csv(["point", "value", "best"], rows);
    let caption = "Points in the order in which they were measured, also those that break a \
         constraint; the best so far keeps them all.";
    Some(figure(
        words,
        caption,
        text,
        &chart,
        &[BASELINE, BEST, EACH],
    ))
}

/// Draws what an agent cost in each pass of its training, while it learned and frozen; `None`
/// without a pass. `untrained` is the cost of the agent as it was before.
pub fn draw_training(
    words: &SearchWords,
    learning: &[Spot],
    frozen: &[Spot],
    untrained: f64,
) -> Option<Figure> {
    let last = frozen.last()?.x;
    let level = [1.0, last].map(|x| Spot { x, y: untrained });
    let lines = vec![
        line(UNTRAINED, &level, false),
        line(LEARNING, learning, true),
        line(FROZEN, frozen, false),
    ];
    let all = [learning, frozen, &level].into_iter().flatten();
    let chart = LineChart {
        x: Axis::linear("passes", 1.0, last.max(2.0)),
        y: y_axis(words.y_label, all),
        marked: frozen.len() <= MARKED_MAX,
        panels: vec![Panel {
            lines,
            ..Panel::default()
        }],
    };
    let rows = frozen.iter().zip(learning);
    let rows =
        rows.map(|(frozen, learning)| [frozen.x, learning.y, frozen.y].map(|it| it.to_string()));
    let text = csv(["pass", "learning", "frozen"], rows);
    let caption = "Each pass has its own agent; frozen, it is run under seeds that no pass has.";
    let legend = [UNTRAINED, FROZEN, LEARNING];
    Some(figure(words, caption, text, &chart, &legend))
}

/// A value of a knob, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The place on the x axis.
    pub x: f64,
    /// The name.
    pub label: String,
}

/// Draws the outcome over one knob; `None` with fewer than two values. `winner` is the best point's
/// value of the knob.
pub fn draw_response(
    words: &SearchWords,
    x_label: &str,
    stops: &[Stop],
    curve: &[Spot],
    winner: Option<f64>,
) -> Option<Figure> {
    if curve.len() < 2 {
        return None;
    }
    let ticks = stops
        .iter()
        .map(|stop| Tick::new(stop.x, &stop.label))
        .collect();
    let callout = |winner: f64| {
        let near = |spot: &&Spot| (spot.x - winner).abs();
        let nearest = curve.iter().min_by(|a, b| near(a).total_cmp(&near(b)));
        nearest.map(|spot| Callout {
            x: spot.x,
            y: spot.y,
            label: "winner",
        })
    };
    let chart = LineChart {
        x: Axis::stops(x_label, ticks),
        y: y_axis(words.y_label, curve.iter()),
        marked: true,
        panels: vec![Panel {
            lines: vec![line(MODEL, curve, false)],
            callouts: winner.and_then(callout).into_iter().collect(),
            ..Panel::default()
        }],
    };
    let rows = curve
        .iter()
        .map(|spot| [spot.x.to_string(), spot.y.to_string()]);
    let text = csv([x_label, "value"], rows);
    let caption = "A Gaussian process through all measured points, averaged over the other knobs.";
    Some(figure(words, caption, text, &chart, &[MODEL]))
}

fn line<'a>(name: &'a str, spots: &[Spot], thin: bool) -> Line<'a> {
    let point = |spot: &Spot| LinePoint {
        x: spot.x,
        y: spot.y,
        half_width: None,
    };
    Line {
        variant: name,
        points: spots.iter().map(point).collect(),
        thin,
    }
}

fn y_axis<'a>(label: &str, spots: impl Iterator<Item = &'a Spot> + Clone) -> Axis {
    let low = spots
        .clone()
        .map(|spot| spot.y)
        .fold(f64::INFINITY, f64::min);
    let high = spots.map(|spot| spot.y).fold(f64::NEG_INFINITY, f64::max);
    Axis::linear(format!("{label}, not from zero"), low, high)
}

fn figure(
    words: &SearchWords,
    caption: &str,
    csv: String,
    chart: &LineChart,
    legend: &[&str],
) -> Figure {
    let frame = Frame {
        title: words.title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let grey = legend.iter().find(|line| **line == UNTRAINED);
    let styles = Styles::new(legend, grey.unwrap_or(&BASELINE));
    Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption: caption.to_owned(),
        csv,
        scene: chart.draw(&frame, legend, &styles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: SearchWords = SearchWords {
        name: "convergence",
        title: "The best so far",
        subtitle: "bayesian",
        provenance: "AuraDB",
        y_label: "cost",
    };

    #[test]
    fn convergence_shows_points_best_and_baseline() {
        let spots = |values: &[f64]| -> Vec<Spot> {
            let spot = |(at, y): (usize, &f64)| Spot {
                x: at as f64 + 1.0,
                y: *y,
            };
            values.iter().enumerate().map(spot).collect()
        };
        let each = spots(&[3.0, 5.0, 1.5]);
        let figure = draw_convergence(&WORDS, &each, &spots(&[3.0, 3.0, 1.5]), 4.0);
        let figure = figure.expect("it has points");
        let svg = figure.svg().expect("it can be drawn");
        for word in [
            BEST,
            EACH,
            BASELINE,
            "points measured",
            "cost, not from zero",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("NaN"));
        assert_eq!(figure.csv, "point,value,best\n1,3,3\n2,5,3\n3,1.5,1.5\n");
        assert!(draw_convergence(&WORDS, &[], &[], 1.0).is_none());
    }

    #[test]
    fn a_training_shows_what_it_cost_to_learn_and_to_know() {
        let spots = |values: [f64; 2]| {
            [1.0, 2.0].map(|x| Spot {
                x,
                y: values[x as usize - 1],
            })
        };
        let (learning, frozen) = (spots([3.0, 2.5]), spots([2.0, 1.5]));
        let figure = draw_training(&WORDS, &learning, &frozen, 1.75).expect("it has passes");
        let svg = figure.svg().expect("it can be drawn");
        for word in [UNTRAINED, LEARNING, FROZEN, "passes"] {
            assert!(svg.contains(word), "{word}");
        }
        assert_eq!(figure.csv, "pass,learning,frozen\n1,3,2\n2,2.5,1.5\n");
        assert!(draw_training(&WORDS, &[], &[], 1.0).is_none());
    }

    #[test]
    fn a_response_names_its_values_and_the_winner() {
        let labels = ["leveled", "tiered", "lazy"];
        let stop = |(at, label): (usize, &&str)| Stop {
            x: at as f64,
            label: (*label).to_owned(),
        };
        let stops: Vec<Stop> = labels.iter().enumerate().map(stop).collect();
        let curve: Vec<Spot> = (0..3)
            .map(|at| Spot {
                x: f64::from(at),
                y: 2.0,
            })
            .collect();
        let figure = draw_response(&WORDS, "layout", &stops, &curve, Some(1.0));
        let svg = figure
            .expect("it has points")
            .svg()
            .expect("it can be drawn");
        for word in labels.into_iter().chain(["winner", "layout"]) {
            assert!(svg.contains(word), "{word}");
        }
        assert!(draw_response(&WORDS, "layout", &[], &curve[..1], None).is_none());
    }
}
