//! Searches: from the points that were measured to those that are measured next.
//!
//! A search asks for a batch, gets all of its outcomes, and asks for the next. What it asks for
//! depends on its seed and on the outcomes alone, never on how many jobs ran the batch: an
//! interrupted search asks for the same points again, and finds their trials done.
//!
//! A point that breaks a constraint or fails is never chosen, but the search learns from it: it is
//! behind every point that keeps the constraints, the further the more it breaks them.

mod bayesian;
mod cma_es;
mod grid;
mod halving;
mod random;
mod sequential;
mod tpe;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use sequential::Sequential;

use super::chance::Chance;
use super::space::Space;
use crate::names::named_enum;

named_enum! {
    /// How the next points are chosen.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
    )]
    pub enum Method {
        /// A Gaussian process of the outcomes; the point with the largest expected improvement.
        #[default]
        Bayesian = "bayesian",
        /// Tree-structured Parzen estimator: points that are likely among the good ones.
        Tpe = "tpe",
        /// Covariance matrix adaptation: generations of points around a mean that moves.
        CmaEs = "cma-es",
        /// Many points with few operations; the best third of them with three times as many.
        Halving = "halving",
        /// Points drawn from the whole space.
        Random = "random",
        /// Every combination of the knobs' levels.
        Grid = "grid",
    }
}

/// What is asked of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The seed of its random numbers.
    pub seed: u64,
    /// How many points are measured at the same time.
    pub batch: usize,
    /// How many points may be measured at full size.
    pub points: usize,
    /// Of successive halving: which part of the points goes on, and how much longer they run.
    pub eta: usize,
}

/// The points that a search measures at most, all at one share of the operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// How many points.
    pub points: usize,
    /// The share of the operations that each does.
    pub share: f64,
}

impl Request {
    /// The points that a search of this space measures at most, by their share of the operations;
    /// the last ones are whole. Saturates.
    pub fn rungs(&self, space: &Space) -> Vec<Rung> {
        let whole = |points| vec![Rung { points, share: 1.0 }];
        match self.method {
            Method::Grid => whole(space.grid_points()),
            Method::Halving => halving::rungs(self),
            _ => whole(self.points),
        }
    }
}

/// A point to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Its coordinates.
    pub x: Vec<f64>,
    /// The share of the operations that is done, in (0, 1].
    pub share: f64,
}

impl Proposal {
    fn whole(x: Vec<f64>) -> Self {
        Self { x, share: 1.0 }
    }
}

/// A point that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its coordinates.
    pub x: Vec<f64>,
    /// The share of the operations that was done.
    pub share: f64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has values.
    Measured {
        /// What is minimised.
        score: f64,
        /// By how much each constraint is broken; zero or less if it is kept.
        excess: Vec<f64>,
    },
    /// It has none: its settings were refused, or a trial failed.
    Failed,
}

impl Outcome {
    /// The score, if every constraint is kept.
    pub fn feasible(&self) -> Option<f64> {
        match self {
            Self::Measured { score, .. } if self.broken() == 0.0 => Some(*score),
            _ => None,
        }
    }

    /// The sum of what exceeds constraints; infinite if there are no values.
    fn broken(&self) -> f64 {
        match self {
            Self::Measured { excess, .. } => excess.iter().map(|it| it.max(0.0)).sum(),
            Self::Failed => f64::INFINITY,
        }
    }

    /// Orders outcomes, the better one first: those that keep all constraints by score, then the
    /// others by how much they break them (Deb 2000).
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let score = |outcome: &Self| match outcome {
            Self::Measured { score, .. } => *score,
            Self::Failed => f64::INFINITY,
        };
        let by_constraints = self.broken().total_cmp(&other.broken());
        by_constraints.then(score(self).total_cmp(&score(other)))
    }
}

/// A way to choose points.
pub trait Search {
    /// Returns the next points to measure, none if there are no more. `known` has every point that
    /// was measured, in order; `left` is how many more the budget allows at full size.
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal>;
}

/// Begins a search.
pub fn begin(request: &Request) -> Box<dyn Search> {
    match request.method {
        Method::Bayesian => Box::new(Sequential::<bayesian::Surfaces>::new(request)),
        Method::Tpe => Box::new(Sequential::<tpe::Densities>::new(request)),
        Method::CmaEs => Box::new(cma_es::CmaEs::new(request)),
        Method::Halving => Box::new(halving::Halving::new(request)),
        Method::Random => Box::new(random::Random::new(request)),
        Method::Grid => Box::new(grid::Grid::default()),
    }
}

/// How often a new point is drawn before a space counts as searched through.
const DRAWS_MAX: usize = 200;

/// Points that are not asked for again.
#[derive(Default)]
struct Seen(BTreeSet<Vec<u64>>);

impl Seen {
    fn of<'a>(points: impl Iterator<Item = &'a Vec<f64>>) -> Self {
        let mut seen = Self::default();
        for x in points {
            seen.insert(x);
        }
        seen
    }

    fn key(x: &[f64]) -> Vec<u64> {
        x.iter().map(|x| x.to_bits()).collect()
    }

    fn has(&self, x: &[f64]) -> bool {
        self.0.contains(&Self::key(x))
    }

    /// Adds a point; whether it is new.
    fn insert(&mut self, x: &[f64]) -> bool {
        self.0.insert(Self::key(x))
    }
}

/// A coordinate that left [0, 1], thrown back at its ends.
fn reflected(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}

/// Draws a point of the whole space.
pub(crate) fn anywhere(space: &Space, chance: &mut Chance) -> Vec<f64> {
    let x: Vec<f64> = space.knobs.iter().map(|_| chance.uniform()).collect();
    space.snap(&x)
}

/// Draws up to `count` new points that cover each knob evenly: in every dimension one point lies in
/// each of `count` equal parts (McKay, Beckman and Conover 1979).
fn latin(space: &Space, seen: &mut Seen, count: usize, chance: &mut Chance) -> Vec<Vec<f64>> {
    let mut columns = Vec::new();
    for _ in &space.knobs {
        let mut column: Vec<f64> = (0..count)
            .map(|at| (at as f64 + chance.uniform()) / count as f64)
            .collect();
        chance.shuffle(&mut column);
        columns.push(column);
    }
    let mut points = Vec::new();
    for at in 0..count {
        let x: Vec<f64> = columns.iter().map(|column| column[at]).collect();
        let x = space.snap(&x);
        let new = if seen.insert(&x) {
            Some(x)
        } else {
            unseen(space, seen, chance)
        };
        points.extend(new);
    }
    points
}

/// Draws a new point; `None` if there seems to be none.
fn unseen(space: &Space, seen: &mut Seen, chance: &mut Chance) -> Option<Vec<f64>> {
    let mut draws = (0..DRAWS_MAX).map(|_| anywhere(space, chance));
    let found = draws.find(|x| !seen.has(x))?;
    seen.insert(&found);
    Some(found)
}
