//! From a search to its figures.

use super::importance::Importance;
use super::session::{Evaluated, Found};
use crate::optimise::goal::Goal;
use crate::optimise::space::{Knob, Space, Values};
use crate::plot::{Figure, SearchWords, Spot, Stop, draw_convergence, draw_response};

/// Labelled values of a range on an axis.
const STOPS: usize = 5;

/// Draws how the best point improved, and how the outcome depends on each knob.
pub fn figures(
    space: &Space,
    goal: &Goal,
    found: &Found,
    importance: Option<&Importance>,
    how: &str,
    provenance: &str,
) -> Vec<Figure> {
    let label = goal.label();
    let words = SearchWords {
        name: "convergence",
        title: "The best point so far",
        subtitle: how,
        provenance,
        y_label: &label,
    };
    let mut figures: Vec<Figure> = convergence(goal, found, &words).into_iter().collect();
    for (knob, known) in space
        .knobs
        .iter()
        .zip(importance.iter().flat_map(|it| &it.knobs))
    {
        let at = |x: f64| knob.number(x);
        let curve = known.curve.iter().map(|response| Spot {
            x: at(response.x),
            y: goal.unscored(response.score, &found.baseline.means),
        });
        let curve: Vec<Spot> = curve.collect();
        let place = space.knobs.iter().position(|other| other.key == knob.key);
        let winner = found
            .best
            .as_ref()
            .zip(place)
            .map(|(best, place)| at(best.x[place]));
        let title = format!("{label} over {}", knob.key);
        let explains = format!(
            "explains {:.0} % of the variance alone, {:.0} % with others",
            100.0 * known.alone,
            100.0 * known.with_others
        );
        let words = SearchWords {
            name: &format!("response.{}", knob.key),
            title: &title,
            subtitle: &explains,
            ..words
        };
        figures.extend(draw_response(
            &words,
            &knob.key,
            &stops(knob),
            &curve,
            winner,
        ));
    }
    figures
}

fn convergence(goal: &Goal, found: &Found, words: &SearchWords) -> Option<Figure> {
    let before = &found.baseline.means;
    let value = |point: &Evaluated| goal.shown(&point.means, before);
    let baseline = value(&found.baseline)?;
    let mut each = Vec::new();
    let mut so_far = Vec::new();
    let mut best: Option<&Evaluated> = None;
    let whole = found.points.iter().filter(|point| point.share == 1.0);
    for (at, point) in whole.enumerate() {
        let x = at as f64 + 1.0;
        each.extend(value(point).map(|y| Spot { x, y }));
        let is_feasible = point.outcome.feasible().is_some();
        if is_feasible && best.is_none_or(|best| point.outcome.order(&best.outcome).is_lt()) {
            best = Some(point);
        }
        so_far.extend(best.and_then(value).map(|y| Spot { x, y }));
    }
    draw_convergence(words, &each, &so_far, baseline)
}

/// The values of a knob that an axis names.
fn stops(knob: &Knob) -> Vec<Stop> {
    let coordinates = match &knob.values {
        Values::Choices(_) => knob.levels(),
        Values::Range(_) => {
            let last = (STOPS - 1) as f64;
            (0..STOPS).map(|at| knob.snap(at as f64 / last)).collect()
        }
    };
    let stop = |x: f64| Stop {
        x: knob.number(x),
        label: knob.label(x),
    };
    let mut stops: Vec<Stop> = coordinates.into_iter().map(stop).collect();
    stops.dedup();
    stops
}
