//! Bayesian optimisation: the point with the largest expected improvement on a Gaussian process.
//!
//! Source: Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box
//! Functions", 1998; constraints by Gardner et al., "Bayesian Optimization with Inequality
//! Constraints", ICML 2014: each has a process of its own, and the improvement is weighted with the
//! chance that all are kept. The points of a batch are chosen one after the other, each as if the
//! ones before had come out as foretold (Ginsbourger, Le Riche and Carraro 2010).
//! Cost: O(n^3) for n points known; seconds at some hundred.
//! Strong where trials are few and outcomes smooth; the default.

use super::{Known, Outcome, Proposal, Request, Search, Seen, anywhere, latin, unseen};
use crate::optimise::chance::Chance;
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

pub(super) struct Bayesian {
    chance: Chance,
    batch: usize,
    points: usize,
}

impl Bayesian {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            batch: request.batch,
            points: request.points,
        }
    }

    /// Points that cover the space before a surface is fitted.
    fn startup(&self, space: &Space) -> usize {
        (space.dimensions() + 2).min(self.points.div_ceil(3)).max(2)
    }

    /// Candidates: anywhere, and near the best points.
    fn candidates(&mut self, space: &Space, ordered: &[&Known]) -> Vec<Vec<f64>> {
        let mut candidates = Vec::with_capacity(FAR + NEAR);
        for _ in 0..FAR {
            candidates.push(anywhere(space, &mut self.chance));
        }
        let best = &ordered[..ordered.len().min(NEAR_BEST)];
        for at in 0..NEAR {
            let mut x = best[at % best.len()].x.clone();
            let width = [0.02, 0.08, 0.25][at % 3];
            let knob = self.chance.below(space.dimensions());
            for (dimension, x) in x.iter_mut().enumerate() {
                if dimension == knob || self.chance.uniform() < 0.3 {
                    *x = if space.knobs[dimension].is_nominal() {
                        self.chance.uniform()
                    } else {
                        super::tpe::reflected(*x + width * self.chance.normal())
                    };
                }
            }
            candidates.push(space.snap(&x));
        }
        candidates
    }
}

impl Search for Bayesian {
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal> {
        let mut seen = Seen::of(known.iter().map(|known| &known.x));
        let left = left as usize;
        let first = self.startup(space).saturating_sub(known.len());
        if first > 0 {
            let points = latin(space, &mut seen, first.min(left), &mut self.chance);
            return points.into_iter().map(Proposal::whole).collect();
        }
        let mut surfaces = Surfaces::of(space, known);
        let mut ordered: Vec<&Known> = known.iter().collect();
        ordered.sort_by(|a, b| a.outcome.order(&b.outcome));
        let mut points = Vec::new();
        for _ in 0..self.batch.min(left) {
            let mut best: Option<(f64, Vec<f64>)> = None;
            for x in self.candidates(space, &ordered) {
                if seen.has(&x) {
                    continue;
                }
                let gain = surfaces.gain(&x);
                if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                    best = Some((gain, x));
                }
            }
            let found = best.map(|(_, x)| x);
            let found = found.or_else(|| unseen(space, &mut seen, &mut self.chance));
            let Some(x) = found else { break };
            seen.insert(&x);
            surfaces.believe(&x);
            points.push(Proposal::whole(x));
        }
        points
    }
}

/// What is foretold of every point.
struct Surfaces {
    /// Of the score.
    score: Option<Surface>,
    /// Of what exceeds each constraint.
    excess: Vec<Surface>,
    /// The best score that keeps all constraints.
    best: Option<f64>,
}

impl Surfaces {
    fn of(space: &Space, known: &[Known]) -> Self {
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
        }
    }

    fn believe(&mut self, x: &[f64]) {
        let surfaces = self.score.iter_mut().chain(&mut self.excess);
        surfaces.for_each(|surface| surface.believe(x));
    }

    /// The improvement to be expected, times the chance that all constraints are kept; that chance
    /// alone before any point keeps them.
    fn gain(&self, x: &[f64]) -> f64 {
        let kept = |surface: &Surface| {
            let Prediction { mean, deviation } = surface.predict(x);
            below(-mean / deviation.max(1e-12))
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
    deviation * (z * below(z) + bell)
}

/// The standard normal law's mass below a value.
fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}
