//! TPE: points that are likely among the good outcomes and unlikely among the others.
//!
//! Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011; all knobs in
//! one density, as in Falkner et al., "BOHB", ICML 2018. The best fifth of the outcomes is good. A
//! density is a mixture of one kernel around each point and of the uniform law; candidates are
//! drawn from that of the good ones, and the one with the largest ratio of densities is asked for.
//! Cost: a few hundred densities a point, each linear in the points known.
//! Weak where fewer than some ten points a knob can be measured: it begins at random.

use super::sequential::Model;
use super::{Known, reflected};
use crate::optimise::chance::{Chance, normal_below};
use crate::optimise::space::Space;

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

/// The densities of good points and of the others.
pub(super) struct Densities {
    good: Mixture,
    others: Mixture,
}

impl Model for Densities {
    fn startup(space: &Space, points: usize) -> usize {
        (2 * space.dimensions() + 1).min(points.div_ceil(3))
    }

    fn fit(space: &Space, _known: &[Known], ordered: &[&Known]) -> Self {
        let good = ((ordered.len() as f64 * GOOD).ceil() as usize).max(2);
        let (good, others) = ordered.split_at(good.min(ordered.len()));
        Self {
            good: Mixture::of(space, good),
            others: Mixture::of(space, others),
        }
    }

    fn candidates(&self, space: &Space, chance: &mut Chance) -> Vec<Vec<f64>> {
        let draw = |_| space.snap(&self.good.draw(space, chance));
        (0..CANDIDATES).map(draw).collect()
    }

    fn gain(&self, space: &Space, x: &[f64]) -> f64 {
        self.good.log_density(space, x) - self.others.log_density(space, x)
    }

    /// The point joins the others until its outcome is known: it lowers the gain of what lies near
    /// it. The kernels keep their width meanwhile.
    fn expect(&mut self, x: &[f64]) {
        self.others.centres.push(x.to_vec());
    }
}

/// A mixture of kernels around points, and of the uniform law.
struct Mixture {
    centres: Vec<Vec<f64>>,
    /// The width of kernels.
    width: f64,
}

impl Mixture {
    fn of(space: &Space, points: &[&Known]) -> Self {
        let centres: Vec<Vec<f64>> = points.iter().map(|known| known.x.clone()).collect();
        let count = centres.len().max(1) as f64;
        Self {
            width: WIDTH * libm::pow(count, -1.0 / (space.dimensions() as f64 + 4.0)),
            centres,
        }
    }

    fn draw(&self, space: &Space, chance: &mut Chance) -> Vec<f64> {
        let at = chance.uniform() * (self.centres.len() as f64 + PRIOR);
        let Some(centre) = self.centres.get(at as usize) else {
            return space.knobs.iter().map(|_| chance.uniform()).collect();
        };
        let mut x = Vec::with_capacity(centre.len());
        for (knob, centre) in space.knobs.iter().zip(centre) {
            x.push(if knob.is_nominal() {
                let moves = chance.uniform() < ELSEWHERE;
                if moves { chance.uniform() } else { *centre }
            } else {
                reflected(centre + self.width * chance.normal())
            });
        }
        x
    }

    fn log_density(&self, space: &Space, x: &[f64]) -> f64 {
        let kernels = self
            .centres
            .iter()
            .map(|centre| self.kernel(space, centre, x));
        let sum = kernels.sum::<f64>() + PRIOR;
        libm::log(sum / (self.centres.len() as f64 + PRIOR))
    }

    fn kernel(&self, space: &Space, centre: &[f64], x: &[f64]) -> f64 {
        let mut density = 1.0;
        for (dimension, knob) in space.knobs.iter().enumerate() {
            let (centre, x, width) = (centre[dimension], x[dimension], self.width);
            density *= match knob.choices().filter(|_| knob.is_nominal()) {
                Some(count) if centre == x => (1.0 - ELSEWHERE) * count as f64 + ELSEWHERE,
                Some(_) => ELSEWHERE,
                None => {
                    let z = (x - centre) / width;
                    let mass =
                        normal_below((1.0 - centre) / width) - normal_below((0.0 - centre) / width);
                    let bell = libm::exp(-0.5 * z * z) / (std::f64::consts::TAU.sqrt() * width);
                    bell / mass.max(1e-9)
                }
            };
        }
        density
    }
}
