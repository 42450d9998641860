//! Successive halving: many points with few operations, and the best of them with more.
//!
//! Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
//! Optimization", AISTATS 2016. Three rungs with 1/eta^2, 1/eta and all of the operations; each
//! rung takes a third of the budget, and one of eta points goes on.
//! Weak where few operations order the points otherwise than many do: a cache that is not yet full,
//! a tree without its deepest level. The load is done whole at every rung, so that a rung costs
//! more time than its share of operations.

use super::{Known, Proposal, Request, Search, Seen, latin};
use crate::optimise::chance::Chance;
use crate::optimise::space::Space;

/// Rungs, the last one at full size.
const RUNGS: i32 = 3;

pub(super) struct Halving {
    chance: Chance,
    first: usize,
    eta: usize,
    rung: i32,
    /// How many points were known when the present rung was asked for.
    before: usize,
}

/// How many points the first rung has.
pub(crate) fn first_rung(request: &Request) -> usize {
    let least = request.eta.pow(RUNGS.unsigned_abs() - 1);
    (request.points.saturating_mul(least) / RUNGS.unsigned_abs() as usize).max(least)
}

impl Halving {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            first: first_rung(request),
            eta: request.eta,
            rung: 0,
            before: 0,
        }
    }

    fn share(&self) -> f64 {
        1.0 / (self.eta as f64).powi(RUNGS - 1 - self.rung)
    }
}

impl Search for Halving {
    fn ask(&mut self, space: &Space, known: &[Known], _left: f64) -> Vec<Proposal> {
        let points = if self.rung == 0 {
            let mut seen = Seen::default();
            latin(space, &mut seen, self.first, &mut self.chance)
        } else if self.rung < RUNGS {
            let mut last: Vec<&Known> = known[self.before..].iter().collect();
            last.sort_by(|a, b| a.outcome.order(&b.outcome));
            last.truncate((last.len() / self.eta).max(1));
            last.into_iter().map(|known| known.x.clone()).collect()
        } else {
            Vec::new()
        };
        let share = self.share();
        self.rung += 1;
        self.before = known.len();
        let whole = |x| Proposal { x, share };
        points.into_iter().map(whole).collect()
    }
}
