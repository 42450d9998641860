//! Successive halving: many points with few operations, and the best of them with more.
//!
//! Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
//! Optimization", AISTATS 2016. Three rungs with 1/eta^2, 1/eta and all of the operations; each
//! rung takes a third of the budget, and one of eta points goes on.
//! Weak where few operations order the points otherwise than many do: a cache that is not yet full,
//! a tree without its deepest level. The load is done whole at every rung, so that a rung costs
//! more time than its share of operations.

use super::{Known, Proposal, Request, Rung, Search, Seen, latin};
use crate::optimise::chance::Chance;
use crate::optimise::space::Space;

/// How many rungs there are, the last one at full size.
const RUNGS: usize = 3;

pub(super) struct Halving {
    chance: Chance,
    rungs: std::vec::IntoIter<Rung>,
    eta: usize,
    /// How many points were known when the present rung was asked for; `None` before the first.
    before: Option<usize>,
}

/// The rungs, each with a third of the budget.
pub(super) fn rungs(request: &Request) -> Vec<Rung> {
    let Request { eta, points, .. } = *request;
    let part = |rung: usize| eta.saturating_pow((RUNGS - 1 - rung) as u32);
    let first = (points.saturating_mul(part(0)) / RUNGS).max(part(0));
    let rung = |rung| Rung {
        points: first / (part(0) / part(rung)),
        share: 1.0 / part(rung) as f64,
    };
    (0..RUNGS).map(rung).collect()
}

impl Halving {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            rungs: rungs(request).into_iter(),
            eta: request.eta,
            before: None,
        }
    }
}

impl Search for Halving {
    fn ask(&mut self, space: &Space, known: &[Known], _left: f64) -> Vec<Proposal> {
        let Some(Rung { points, share }) = self.rungs.next() else {
            return Vec::new();
        };
        let points = match self.before {
            None => latin(space, &mut Seen::default(), points, &mut self.chance),
            Some(before) => {
                let mut last: Vec<&Known> = known[before..].iter().collect();
                last.sort_by(|a, b| a.outcome.order(&b.outcome));
                last.truncate((last.len() / self.eta).max(1));
                last.into_iter().map(|known| known.x.clone()).collect()
            }
        };
        self.before = Some(known.len());
        let proposal = |x| Proposal { x, share };
        points.into_iter().map(proposal).collect()
    }
}
