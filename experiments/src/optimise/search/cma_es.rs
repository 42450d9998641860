//! CMA-ES: generations of points around a mean, whose spread follows the better half of each.
//!
//! Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772, with its default
//! parameters. The root of the covariance is Cholesky's, which turns the step-size path by a
//! rotation and leaves its length's law (Krause, Arbones and Igel 2016). Coordinates that leave the
//! space are thrown back at its ends. Listed values are coordinates like others: an unordered list
//! of more than two is better left to another method.
//! Cost: O(d^3) a generation of 4 + 3 ln d points.
//! Weak where fewer than some ten generations can be measured.

use super::{Known, Proposal, Request, Search, reflected};
use crate::optimise::chance::Chance;
use crate::optimise::cholesky::{Cholesky, dot};
use crate::optimise::space::Space;

/// The first step: a third of the space on both sides.
const FIRST_STEP: f64 = 0.3;

pub(super) struct CmaEs {
    chance: Chance,
    state: Option<State>,
}

/// Where the search is.
struct State {
    mean: Vec<f64>,
    step: f64,
    /// Full rows of the covariance.
    covariance: Vec<Vec<f64>>,
    step_path: Vec<f64>,
    path: Vec<f64>,
    generations: i32,
    /// The steps that were asked for, in units of `step`, in the order of the known points.
    asked: Vec<Vec<f64>>,
}

/// The constants of a dimension.
struct Constants {
    points: usize,
    weights: Vec<f64>,
    /// How many points the weights are worth.
    effective: f64,
    step_rate: f64,
    step_damping: f64,
    path_rate: f64,
    rank_one: f64,
    rank_many: f64,
    /// The mean length of a normal vector.
    length: f64,
}

impl Constants {
    fn of(dimensions: usize) -> Self {
        let n = dimensions as f64;
        let points = 4 + (3.0 * libm::log(n)) as usize;
        let half = points / 2;
        let raw = |rank: usize| libm::log(half as f64 + 0.5) - libm::log(rank as f64 + 1.0);
        let sum: f64 = (0..half).map(raw).sum();
        let weights: Vec<f64> = (0..half).map(|rank| raw(rank) / sum).collect();
        let effective = 1.0 / dot(&weights, &weights);
        let step_rate = (effective + 2.0) / (n + effective + 5.0);
        let further = ((effective - 1.0) / (n + 1.0)).sqrt() - 1.0;
        let rank_one = 2.0 / ((n + 1.3) * (n + 1.3) + effective);
        let rank_many =
            2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0) * (n + 2.0) + effective);
        Self {
            points,
            weights,
            effective,
            step_rate,
            step_damping: 1.0 + 2.0 * further.max(0.0) + step_rate,
            path_rate: (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n),
            rank_one,
            rank_many: rank_many.min(1.0 - rank_one),
            length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }
}

impl CmaEs {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            state: None,
        }
    }
}

impl Search for CmaEs {
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal> {
        let dimensions = space.dimensions();
        let constants = Constants::of(dimensions);
        let best = known.iter().min_by(|a, b| a.outcome.order(&b.outcome));
        let state = self.state.get_or_insert_with(|| {
            let middle = vec![0.5; dimensions];
            State::at(best.map_or(middle, |known| known.x.clone()))
        });
        state.learn(&constants, known);
        let root = state.root();
        let mut points = Vec::new();
        for _ in 0..constants.points.min(left as usize) {
            let normal: Vec<f64> = (0..dimensions).map(|_| self.chance.normal()).collect();
            let stepped = root.times(&normal);
            let x = state.mean.iter().zip(&stepped);
            let x: Vec<f64> = x
                .map(|(mean, s)| reflected(mean + state.step * s))
                .collect();
            let step = x
                .iter()
                .zip(&state.mean)
                .map(|(x, mean)| (x - mean) / state.step);
            state.asked.push(step.collect());
            points.push(Proposal::whole(space.snap(&x)));
        }
        points
    }
}

impl State {
    fn at(mean: Vec<f64>) -> Self {
        let dimensions = mean.len();
        let row = |at: usize| {
            let mut row = vec![0.0; dimensions];
            row[at] = 1.0;
            row
        };
        Self {
            step: FIRST_STEP,
            covariance: (0..dimensions).map(row).collect(),
            step_path: vec![0.0; dimensions],
            path: vec![0.0; dimensions],
            generations: 0,
            asked: Vec::new(),
            mean,
        }
    }

    fn root(&mut self) -> Cholesky {
        let lower = |covariance: &[Vec<f64>]| {
            let rows = covariance.iter().enumerate();
            rows.map(|(at, row)| row[..=at].to_vec()).collect()
        };
        if let Some(root) = Cholesky::of(lower(&self.covariance)) {
            return root;
        }
        // Rounding made it flat: it begins again as a sphere.
        self.covariance = Self::at(self.mean.clone()).covariance;
        Cholesky::of(lower(&self.covariance)).expect("the unit matrix is positive")
    }

    /// Moves mean, step and covariance by the generation that was measured last.
    fn learn(&mut self, constants: &Constants, known: &[Known]) {
        let asked = std::mem::take(&mut self.asked);
        if asked.len() < constants.points || known.len() < asked.len() {
            return;
        }
        let root = self.root();
        let last = &known[known.len() - asked.len()..];
        let mut generation: Vec<(&Known, Vec<f64>)> = last.iter().zip(asked).collect();
        generation.sort_by(|(a, _), (b, _)| a.outcome.order(&b.outcome));
        let dimensions = self.mean.len();
        let mut moved = vec![0.0; dimensions];
        for (weight, (_, step)) in constants.weights.iter().zip(&generation) {
            add(&mut moved, *weight, step);
        }
        self.generations += 1;
        add(&mut self.mean, self.step, &moved);
        let keep = 1.0 - constants.step_rate;
        let gain = (constants.step_rate * (2.0 - constants.step_rate) * constants.effective).sqrt();
        scale(&mut self.step_path, keep);
        add(&mut self.step_path, gain, &root.forward(&moved));
        let length = dot(&self.step_path, &self.step_path).sqrt();
        // Until the paths are as long as they will be, they are corrected.
        let grown = 1.0 - libm::pow(keep, 2.0 * f64::from(self.generations));
        let limit = (1.4 + 2.0 / (dimensions as f64 + 1.0)) * constants.length;
        let steady = length / grown.sqrt() < limit;
        let rate = constants.path_rate;
        scale(&mut self.path, 1.0 - rate);
        if steady {
            let gain = (rate * (2.0 - rate) * constants.effective).sqrt();
            add(&mut self.path, gain, &moved);
        }
        let lost = if steady {
            0.0
        } else {
            constants.rank_one * rate * (2.0 - rate)
        };
        self.spread(constants, &generation, lost);
        let rate = constants.step_rate / constants.step_damping;
        self.step = (self.step * libm::exp(rate * (length / constants.length - 1.0))).min(1.0);
    }

    /// Moves the covariance to the path and to the better half of a generation.
    fn spread(&mut self, constants: &Constants, generation: &[(&Known, Vec<f64>)], lost: f64) {
        let keep = 1.0 - constants.rank_one - constants.rank_many + lost;
        for (at, row) in self.covariance.iter_mut().enumerate() {
            scale(row, keep);
            add(row, constants.rank_one * self.path[at], &self.path);
            for (weight, (_, step)) in constants.weights.iter().zip(generation) {
                add(row, constants.rank_many * weight * step[at], step);
            }
        }
    }
}

fn scale(vector: &mut [f64], factor: f64) {
    vector.iter_mut().for_each(|value| *value *= factor);
}

fn add(vector: &mut [f64], factor: f64, other: &[f64]) {
    let pairs = vector.iter_mut().zip(other);
    pairs.for_each(|(value, other)| *value += factor * other);
}
