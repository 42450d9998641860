//! Which knobs matter, and how: read from a surface through all measured points.
//!
//! Source: Sobol, "Global sensitivity indices", 2001, by the estimators of Jansen 1999. A knob's
//! share alone is the part of the surface's variance over the whole space that it explains by
//! itself; its share with others includes what it explains together with them. Both are of the
//! surface, a Gaussian process: [`Importance::foretold`] says how far to trust it.

use super::session::{Evaluated, Found};
use crate::optimise::chance::Chance;
use crate::optimise::search::{Outcome, anywhere};
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

/// Why nothing can be said of the knobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// A surface needs more points.
    #[error("only {0} points were measured at full size: at least {POINTS_MIN} are needed")]
    FewPoints(usize),
    /// All points came out alike.
    #[error("all {0} points came out alike: no knob matters here")]
    NothingVaries(usize),
    /// The surface is flat, though the points are not alike.
    #[error("no surface explains how the {0} points differ")]
    Flat(usize),
}

/// The fewest points that a surface is fitted to.
const POINTS_MIN: usize = 3;

/// The least share of the points' variance that a surface has, or it counts as flat.
const VARIANCE_MIN: f64 = 1e-9;

/// Reads the importance of knobs from the points of a search at full size.
///
/// # Errors
/// [`Unknown`] if they say nothing of the knobs.
pub fn importance(space: &Space, found: &Found) -> Result<Importance, Unknown> {
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
    of_points(space, &points, &scores)
}

fn of_points(space: &Space, points: &[Vec<f64>], scores: &[f64]) -> Result<Importance, Unknown> {
    let count = points.len();
    if count < POINTS_MIN {
        return Err(Unknown::FewPoints(count));
    }
    if scores.iter().all(|score| *score == scores[0]) {
        return Err(Unknown::NothingVaries(count));
    }
    let surface = Surface::fit(space, points, scores).ok_or(Unknown::Flat(count))?;
    let readings = Readings::of(space, &surface);
    if readings.variance <= VARIANCE_MIN * variance(scores) {
        return Err(Unknown::Flat(count));
    }
    let knobs = 0..space.dimensions();
    Ok(Importance {
        knobs: knobs.map(|at| readings.knob(space, &surface, at)).collect(),
        foretold: surface.foretold(),
        points: count,
    })
}

fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    squares.sum::<f64>() / count
}

/// The surface at two sets of random points.
struct Readings {
    one: Vec<Vec<f64>>,
    other: Vec<Vec<f64>>,
    of_one: Vec<f64>,
    of_other: Vec<f64>,
    variance: f64,
}

impl Readings {
    fn of(space: &Space, surface: &Surface) -> Self {
        let mut chance = Chance::new(1);
        let mut draw = || -> Vec<Vec<f64>> {
            (0..READINGS)
                .map(|_| anywhere(space, &mut chance))
                .collect()
        };
        let (one, other) = (draw(), draw());
        let read =
            |points: &[Vec<f64>]| -> Vec<f64> { points.iter().map(|x| surface.value(x)).collect() };
        let of_one = read(&one);
        Self {
            variance: variance(&of_one),
            of_other: read(&other),
            of_one,
            one,
            other,
        }
    }

    fn knob(&self, space: &Space, surface: &Surface, at: usize) -> KnobImportance {
        let apart = |a: &[f64], b: &[f64]| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
            squares.sum::<f64>() / (2.0 * READINGS as f64 * self.variance)
        };
        // The points of `one`, with this knob as in `other`.
        let mixed = self.one.iter().zip(&self.other).map(|(one, other)| {
            let mut x = one.clone();
            x[at] = other[at];
            surface.value(&x)
        });
        let mixed: Vec<f64> = mixed.collect();
        let alone = (1.0 - apart(&self.of_other, &mixed)).clamp(0.0, 1.0);
        KnobImportance {
            key: space.knobs[at].key.clone(),
            alone,
            // Two estimates: neither is exact.
            with_others: apart(&self.of_one, &mixed).clamp(alone, 1.0),
            curve: curve(space, surface, at, &self.one),
        }
    }
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
        let knobs = of_points(&space, &points, &scores)
            .expect("they vary")
            .knobs;
        for (knob, share) in knobs.iter().zip([0.8, 0.2, 0.0]) {
            assert!((knob.alone - share).abs() < 0.08, "{knob:?}");
            assert!((knob.with_others - share).abs() < 0.08, "{knob:?}");
        }
        let ends = (&knobs[0].curve[0], &knobs[0].curve[CURVE - 1]);
        assert!((ends.1.score - ends.0.score - 2.0).abs() < 0.1, "{ends:?}");
        assert_eq!(knobs[2].curve.len(), 2);
        let alike = vec![0.3; points.len()];
        assert_eq!(
            of_points(&space, &points, &alike),
            Err(Unknown::NothingVaries(40))
        );
        assert_eq!(
            of_points(&space, &points[..2], &scores[..2]),
            Err(Unknown::FewPoints(2))
        );
    }
}
