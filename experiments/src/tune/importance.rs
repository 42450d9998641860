//! Which knobs matter, and how: read from a surface through all measured points.
//!
//! Source: Sobol, "Global sensitivity indices", 2001, by the estimators of Jansen 1999. A knob's
//! share alone is the part of the surface's variance over the whole space that it explains by
//! itself; its share with others includes what it explains together with them. Both are of the
//! surface, a Gaussian process: [`Importance::foretold`] says how far to trust it.

use super::session::{Evaluated, Found};
use crate::optimise::chance::Chance;
use crate::optimise::search::Outcome;
use crate::optimise::space::Space;
use crate::optimise::surface::Surface;

/// Points at which the surface is read.
const READINGS: usize = 512;

/// Points of a response curve over a range.
const CURVE: usize = 25;

/// What the measured points say about the knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The knobs in the order of the space.
    pub knobs: Vec<KnobImportance>,
    /// The share of the variance that the surface foretells at points left out, 0 to 1.
    pub foretold: f64,
    /// How many points it goes through.
    pub points: usize,
}

/// How much one knob matters.
#[derive(Clone, Debug, PartialEq)]
pub struct KnobImportance {
    /// The dotted key.
    pub key: String,
    /// The share of the variance that it explains alone.
    pub alone: f64,
    /// The share that it explains alone and with others.
    pub with_others: f64,
    /// The mean score over the other knobs, at coordinates in order.
    pub curve: Vec<Response>,
}

/// The mean score at one value of a knob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Response {
    /// The knob's coordinate.
    pub x: f64,
    /// The mean score over the other knobs.
    pub score: f64,
}

/// Reads the importance of knobs from the points of a search at full size; `None` with fewer than
/// three.
pub fn importance(space: &Space, found: &Found) -> Option<Importance> {
    let mut points: Vec<Vec<f64>> = Vec::new();
    let mut scores = Vec::new();
    let is_inside = |point: &&Evaluated| point.share == 1.0 && !point.x.is_empty();
    let all = std::iter::once(&found.baseline).chain(&found.points);
    for point in all.filter(is_inside) {
        let known = points.contains(&point.x);
        if let (false, Outcome::Measured { score, .. }) = (known, &point.outcome) {
            points.push(point.x.clone());
            scores.push(*score);
        }
    }
    if points.len() < 3 {
        return None;
    }
    let surface = Surface::fit(space, &points, &scores)?;
    Some(Importance {
        knobs: knobs(space, &surface),
        foretold: surface.foretold(),
        points: points.len(),
    })
}

fn knobs(space: &Space, surface: &Surface) -> Vec<KnobImportance> {
    let mut chance = Chance::new(1);
    let mut draw = || -> Vec<Vec<f64>> {
        let point = |_| {
            space
                .knobs
                .iter()
                .map(|_| chance.uniform())
                .collect::<Vec<f64>>()
        };
        (0..READINGS).map(point).map(|x| space.snap(&x)).collect()
    };
    let (one, other) = (draw(), draw());
    let read =
        |points: &[Vec<f64>]| -> Vec<f64> { points.iter().map(|x| surface.value(x)).collect() };
    let (of_one, of_other) = (read(&one), read(&other));
    let mean = of_one.iter().sum::<f64>() / READINGS as f64;
    let squares = of_one.iter().map(|value| (value - mean) * (value - mean));
    let variance = (squares.sum::<f64>() / READINGS as f64).max(1e-300);
    let apart = |a: &[f64], b: &[f64]| {
        let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f64>() / (2.0 * READINGS as f64 * variance)
    };
    let knob = |at: usize| {
        // The points of `one`, with this knob as in `other`.
        let mixed = one.iter().zip(&other).map(|(one, other)| {
            let mut x = one.clone();
            x[at] = other[at];
            surface.value(&x)
        });
        let mixed: Vec<f64> = mixed.collect();
        let alone = (1.0 - apart(&of_other, &mixed)).clamp(0.0, 1.0);
        KnobImportance {
            key: space.knobs[at].key.clone(),
            alone,
            // Two estimates: neither is exact.
            with_others: apart(&of_one, &mixed).clamp(alone, 1.0),
            curve: curve(space, surface, at, &one),
        }
    };
    (0..space.dimensions()).map(knob).collect()
}

fn curve(space: &Space, surface: &Surface, at: usize, points: &[Vec<f64>]) -> Vec<Response> {
    let knob = &space.knobs[at];
    let mut coordinates: Vec<f64> = match knob.choices() {
        Some(_) => knob.levels(),
        None => {
            let last = (CURVE - 1) as f64;
            (0..CURVE)
                .map(|step| knob.snap(step as f64 / last))
                .collect()
        }
    };
    coordinates.dedup();
    let mean = |x: f64| {
        let scores = points.iter().map(|point| {
            let mut moved = point.clone();
            moved[at] = x;
            surface.value(&moved)
        });
        scores.sum::<f64>() / points.len() as f64
    };
    let response = |x| Response { x, score: mean(x) };
    coordinates.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::tests::{choice, number};

    #[test]
    fn shares_are_those_of_a_known_function() {
        // The variance of 2 x is 4/12, of y 1/12; of the category nothing.
        let space = Space {
            knobs: vec![
                number("x", 0.0, 1.0),
                number("y", 0.0, 1.0),
                choice("c", &["a", "b"]),
            ],
        };
        let mut chance = Chance::new(5);
        let mut draw = |_| space.snap(&[chance.uniform(), chance.uniform(), chance.uniform()]);
        let points: Vec<Vec<f64>> = (0..40).map(&mut draw).collect();
        let scores: Vec<f64> = points.iter().map(|x| 2.0 * x[0] + x[1]).collect();
        let surface = Surface::fit(&space, &points, &scores).expect("there are points");
        let knobs = knobs(&space, &surface);
        for (knob, share) in knobs.iter().zip([0.8, 0.2, 0.0]) {
            assert!((knob.alone - share).abs() < 0.08, "{knob:?}");
            assert!((knob.with_others - share).abs() < 0.08, "{knob:?}");
        }
        let ends = (&knobs[0].curve[0], &knobs[0].curve[CURVE - 1]);
        assert!((ends.1.score - ends.0.score - 2.0).abs() < 0.1, "{ends:?}");
        assert_eq!(knobs[2].curve.len(), 2);
    }
}
