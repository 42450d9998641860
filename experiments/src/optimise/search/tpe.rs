//! TPE: points that are likely among the good outcomes and unlikely among the others.
//!
//! Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011; all knobs in
//! one density, as in Falkner et al., "BOHB", ICML 2018. The best fifth of the outcomes is good. A
//! density is a mixture of one kernel around each point and of the uniform law; candidates are
//! drawn from that of the good ones, and the one with the largest ratio of densities is asked for.
//! Cost: a few hundred densities a point, each linear in the points known.
//! Weak where fewer than some ten points a knob can be measured: it begins at random.

use super::{Known, Proposal, Request, Search, Seen, latin, unseen};
use crate::optimise::chance::Chance;
use crate::optimise::space::{Knob, Space};

/// The part of the outcomes that is good.
const GOOD: f64 = 0.2;

/// Candidates for each point that is asked for.
const CANDIDATES: usize = 24;

/// The weight of the uniform law in a mixture, in kernels.
const PRIOR: f64 = 1.0;

/// The part of a category's weight that its kernel gives to the others.
const ELSEWHERE: f64 = 0.2;

/// The width of a kernel around the only point. Widths that follow the spread of the good points
/// (Scott's rule) close early on a few that lie together, or open on a few that lie apart: on a
/// bowl they found no better points than random search.
const WIDTH: f64 = 0.2;

pub(super) struct Tpe {
    chance: Chance,
    batch: usize,
    points: usize,
}

impl Tpe {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            batch: request.batch,
            points: request.points,
        }
    }

    /// Points that are drawn before the densities mean anything.
    fn startup(&self, space: &Space) -> usize {
        (2 * space.dimensions() + 1).min(self.points.div_ceil(3))
    }
}

impl Search for Tpe {
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal> {
        let mut seen = Seen::of(known.iter().map(|known| &known.x));
        let left = left as usize;
        let first = self.startup(space).saturating_sub(known.len());
        if first > 0 {
            let points = latin(space, &mut seen, first.min(left), &mut self.chance);
            return points.into_iter().map(Proposal::whole).collect();
        }
        let mut ordered: Vec<&Known> = known.iter().collect();
        ordered.sort_by(|a, b| a.outcome.order(&b.outcome));
        let good = ((ordered.len() as f64 * GOOD).ceil() as usize).max(2);
        let (good, bad) = ordered.split_at(good.min(ordered.len()));
        let good = Mixture::of(space, good.iter().map(|known| known.x.as_slice()));
        let mut bad = Mixture::of(space, bad.iter().map(|known| known.x.as_slice()));
        let mut points = Vec::new();
        for _ in 0..self.batch.min(left) {
            let mut best: Option<(f64, Vec<f64>)> = None;
            for _ in 0..CANDIDATES {
                let x = space.snap(&good.draw(&mut self.chance));
                let gain = good.log_density(&x) - bad.log_density(&x);
                if !seen.has(&x) && best.as_ref().is_none_or(|(most, _)| gain > *most) {
                    best = Some((gain, x));
                }
            }
            let found = best.map(|(_, x)| x);
            let found = found.or_else(|| unseen(space, &mut seen, &mut self.chance));
            let Some(x) = found else { break };
            seen.insert(&x);
            // The next point of the batch lies elsewhere: this one counts as bad for now.
            bad.centres.push(x.clone());
            points.push(Proposal::whole(x));
        }
        points
    }
}

/// A mixture of kernels around points, and of the uniform law.
struct Mixture<'a> {
    knobs: &'a [Knob],
    centres: Vec<Vec<f64>>,
    /// The width of kernels.
    width: f64,
}

impl<'a> Mixture<'a> {
    fn of<'b>(space: &'a Space, points: impl Iterator<Item = &'b [f64]>) -> Self {
        let centres: Vec<Vec<f64>> = points.map(<[f64]>::to_vec).collect();
        let count = centres.len().max(1) as f64;
        Self {
            knobs: &space.knobs,
            width: WIDTH * libm::pow(count, -1.0 / (space.dimensions() as f64 + 4.0)),
            centres,
        }
    }

    fn draw(&self, chance: &mut Chance) -> Vec<f64> {
        let at = chance.uniform() * (self.centres.len() as f64 + PRIOR);
        let Some(centre) = self.centres.get(at as usize) else {
            return self.knobs.iter().map(|_| chance.uniform()).collect();
        };
        let mut x = Vec::with_capacity(centre.len());
        for (knob, centre) in self.knobs.iter().zip(centre) {
            x.push(if knob.is_nominal() {
                let moves = chance.uniform() < ELSEWHERE;
                if moves { chance.uniform() } else { *centre }
            } else {
                reflected(centre + self.width * chance.normal())
            });
        }
        x
    }

    fn log_density(&self, x: &[f64]) -> f64 {
        let kernels = self.centres.iter().map(|centre| self.kernel(centre, x));
        let sum = kernels.sum::<f64>() + PRIOR;
        libm::log(sum / (self.centres.len() as f64 + PRIOR))
    }

    fn kernel(&self, centre: &[f64], x: &[f64]) -> f64 {
        let mut density = 1.0;
        for (dimension, knob) in self.knobs.iter().enumerate() {
            let (centre, x, width) = (centre[dimension], x[dimension], self.width);
            density *= match knob.choices().filter(|_| knob.is_nominal()) {
                Some(count) if centre == x => (1.0 - ELSEWHERE) * count as f64 + ELSEWHERE,
                Some(_) => ELSEWHERE,
                None => {
                    let z = (x - centre) / width;
                    let mass = normal_mass((0.0 - centre) / width, (1.0 - centre) / width);
                    let bell = libm::exp(-0.5 * z * z) / (std::f64::consts::TAU.sqrt() * width);
                    bell / mass.max(1e-9)
                }
            };
        }
        density
    }
}

/// The mass of the standard normal law between two values.
fn normal_mass(from: f64, to: f64) -> f64 {
    let below = |z: f64| 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
    below(to) - below(from)
}

/// A coordinate that left [0, 1], thrown back at its ends.
pub(super) fn reflected(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}
