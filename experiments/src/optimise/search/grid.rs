//! Grid search: every combination of the knobs' levels, the last knob changing fastest.
//!
//! Exhaustive, and blind: it is the bound that a search is held against, at a multiple of its cost.

use super::{Known, Proposal, Search};
use crate::optimise::space::Space;

#[derive(Default)]
pub(super) struct Grid {
    asked: bool,
}

impl Search for Grid {
    fn ask(&mut self, space: &Space, _known: &[Known], _left: f64) -> Vec<Proposal> {
        if std::mem::replace(&mut self.asked, true) {
            return Vec::new();
        }
        let mut points: Vec<Vec<f64>> = vec![Vec::new()];
        for knob in &space.knobs {
            let levels = knob.levels();
            let longer = points.iter().flat_map(|point| {
                let with = |level: &f64| [point.as_slice(), &[*level]].concat();
                levels.iter().map(with).collect::<Vec<_>>()
            });
            points = longer.collect();
        }
        points.into_iter().map(Proposal::whole).collect()
    }
}
