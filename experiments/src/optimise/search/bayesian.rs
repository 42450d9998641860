//! Bayesian optimisation: the point with the largest expected improvement on a Gaussian process.
//!
//! Source: Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box
//! Functions", 1998; constraints by Gardner et al., "Bayesian Optimization with Inequality
//! Constraints", ICML 2014: each has a process of its own, and the improvement is weighted with the
//! chance that all are kept. The points of a batch are chosen one after the other, each as if the
//! ones before had come out as foretold (Ginsbourger, Le Riche and Carraro 2010).
//! Cost: O(n^3) for n points known; seconds at some hundred.
//! Strong where trials are few and outcomes smooth; the default.

use super::sequential::Model;
use super::{Known, Outcome, anywhere, reflected};
use crate::optimise::chance::{Chance, normal_below};
use crate::optimise::space::Space;
use crate::optimise::surface::{Prediction, Surface};

/// Candidates from the whole space, and near the best points, for each point that is asked for.
const FAR: usize = 400;
const NEAR: usize = 400;

/// The best points near which candidates lie.
const NEAR_BEST: usize = 4;

/// The part of the scores' spread above the median that is kept as it is: worse ones are cut, or
/// they would flatten the surface where it matters.
const CUT: f64 = 2.0;

/// What is foretold of every point.
pub(super) struct Surfaces {
    /// Of the score.
    score: Option<Surface>,
    /// Of what exceeds each constraint.
    excess: Vec<Surface>,
    /// The best score that keeps all constraints.
    best: Option<f64>,
    /// The best points, near which candidates lie.
    near: Vec<Vec<f64>>,
}

impl Model for Surfaces {
    fn startup(space: &Space, points: usize) -> usize {
        (space.dimensions() + 2).min(points.div_ceil(3)).max(2)
    }

    fn fit(space: &Space, known: &[Known], ordered: &[&Known]) -> Self {
        let mut scores = Vec::new();
        let mut broken: Vec<Vec<f64>> = Vec::new();
        for known in known {
            if let Outcome::Measured { score, excess } = &known.outcome {
                scores.push(*score);
                broken.resize_with(excess.len(), Vec::new);
                let columns = broken.iter_mut().zip(excess);
                columns.for_each(|(column, excess)| column.push(*excess));
            }
        }
        let worst = |column: &[f64]| column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        cut(&mut scores);
        let points: Vec<Vec<f64>> = known.iter().map(|known| known.x.clone()).collect();
        // A point without values is as bad as the worst that has some.
        let spread = |column: &[f64]| {
            let mut measured = column.iter().copied();
            let all = known.iter().map(|known| match known.outcome {
                Outcome::Measured { .. } => measured.next().unwrap_or_default(),
                Outcome::Failed => worst(column),
            });
            all.collect::<Vec<f64>>()
        };
        let surface = |column: &[f64]| Surface::fit(space, &points, &spread(column));
        let feasible = known.iter().filter_map(|known| known.outcome.feasible());
        Self {
            score: (!scores.is_empty()).then(|| surface(&scores)).flatten(),
            excess: broken.iter().filter_map(|column| surface(column)).collect(),
            best: feasible.min_by(f64::total_cmp),
            near: ordered
                .iter()
                .take(NEAR_BEST)
                .map(|known| known.x.clone())
                .collect(),
        }
    }

    /// Candidates: anywhere, and near the best points.
    fn candidates(&self, space: &Space, chance: &mut Chance) -> Vec<Vec<f64>> {
        let mut candidates = Vec::with_capacity(FAR + NEAR);
        for _ in 0..FAR {
            candidates.push(anywhere(space, chance));
        }
        for at in 0..NEAR {
            let mut x = self.near[at % self.near.len()].clone();
            let width = [0.02, 0.08, 0.25][at % 3];
            let knob = chance.below(space.dimensions());
            for (dimension, x) in x.iter_mut().enumerate() {
                if dimension == knob || chance.uniform() < 0.3 {
                    *x = if space.knobs[dimension].is_nominal() {
                        chance.uniform()
                    } else {
                        reflected(*x + width * chance.normal())
                    };
                }
            }
            candidates.push(space.snap(&x));
        }
        candidates
    }

    /// The point counts as measured, with the outcome that is foretold.
    fn expect(&mut self, x: &[f64]) {
        let surfaces = self.score.iter_mut().chain(&mut self.excess);
        surfaces.for_each(|surface| surface.believe(x));
    }

    /// The improvement to be expected, times the chance that all constraints are kept; that chance
    /// alone before any point keeps them.
    fn gain(&self, _space: &Space, x: &[f64]) -> f64 {
        let kept = |surface: &Surface| {
            let Prediction { mean, deviation } = surface.predict(x);
            normal_below(-mean / deviation.max(1e-12))
        };
        let chance: f64 = self.excess.iter().map(kept).product();
        match (&self.score, self.best) {
            (Some(score), Some(best)) => chance * improvement(score.predict(x), best),
            _ => chance,
        }
    }
}

/// Cuts scores that are far worse than the median.
fn cut(scores: &mut [f64]) {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(median)) = (sorted.first(), sorted.get(sorted.len() / 2)) else {
        return;
    };
    let limit = median + CUT * (median - least);
    scores
        .iter_mut()
        .for_each(|score| *score = score.min(limit));
}

/// By how much a point is expected to fall below `best`.
fn improvement(Prediction { mean, deviation }: Prediction, best: f64) -> f64 {
    if deviation <= 0.0 {
        return (best - mean).max(0.0);
    }
    let z = (best - mean) / deviation;
    let bell = libm::exp(-0.5 * z * z) / std::f64::consts::TAU.sqrt();
    deviation * (z * normal_below(z) + bell)
}
