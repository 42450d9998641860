//! Random search: points of the whole space, none twice.
//!
//! Source: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012.
//! Strong where few knobs matter; the arm that every other search is judged against.

use super::{Known, Proposal, Request, Search, Seen, unseen};
use crate::optimise::chance::Chance;
use crate::optimise::space::Space;

pub(super) struct Random {
    chance: Chance,
    batch: usize,
}

impl Random {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            batch: request.batch,
        }
    }
}

impl Search for Random {
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal> {
        let mut seen = Seen::of(known.iter().map(|known| &known.x));
        let count = self.batch.min(left as usize);
        let draw = |_| unseen(space, &mut seen, &mut self.chance);
        (0..count).map_while(draw).map(Proposal::whole).collect()
    }
}
