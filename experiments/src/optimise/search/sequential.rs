//! Searches that learn point by point: first points that cover the space, then, of some candidates,
//! the one that a model of the outcomes expects most of.
//!
//! The model is fitted once a batch. Within a batch it is shown each point that was chosen before
//! its outcome is known, so that the next one lies elsewhere.

use super::{Known, Proposal, Request, Search, Seen, latin, unseen};
use crate::optimise::chance::Chance;
use crate::optimise::space::Space;

/// What a search believes of the points that were not measured.
pub(super) trait Model: Sized {
    /// How many points cover the space before a model is fitted, of a budget of `points`.
    fn startup(space: &Space, points: usize) -> usize;

    /// Fits a model to the points that were measured: in their order, and the best first.
    fn fit(space: &Space, known: &[Known], ordered: &[&Known]) -> Self;

    /// Draws points of the space, one of which will be asked for.
    fn candidates(&self, space: &Space, chance: &mut Chance) -> Vec<Vec<f64>>;

    /// What is expected of a point: the larger, the sooner it is asked for.
    fn gain(&self, space: &Space, x: &[f64]) -> f64;

    /// Takes note of a point that is asked for, whose outcome is not known yet.
    fn expect(&mut self, x: &[f64]);
}

/// A search by a model.
pub(super) struct Sequential<M> {
    chance: Chance,
    batch: usize,
    points: usize,
    model: std::marker::PhantomData<M>,
}

impl<M: Model> Sequential<M> {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            chance: Chance::new(request.seed),
            batch: request.batch,
            points: request.points,
            model: std::marker::PhantomData,
        }
    }
}

impl<M: Model> Search for Sequential<M> {
    fn ask(&mut self, space: &Space, known: &[Known], left: f64) -> Vec<Proposal> {
        let mut seen = Seen::of(known.iter().map(|known| &known.x));
        let left = left as usize;
        let first = M::startup(space, self.points).saturating_sub(known.len());
        if first > 0 {
            let points = latin(space, &mut seen, first.min(left), &mut self.chance);
            return points.into_iter().map(Proposal::whole).collect();
        }
        let mut ordered: Vec<&Known> = known.iter().collect();
        ordered.sort_by(|a, b| a.outcome.order(&b.outcome));
        let mut model = M::fit(space, known, &ordered);
        let mut points = Vec::new();
        for _ in 0..self.batch.min(left) {
            let mut best: Option<(f64, Vec<f64>)> = None;
            for x in model.candidates(space, &mut self.chance) {
                if seen.has(&x) {
                    continue;
                }
                let gain = model.gain(space, &x);
                if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                    best = Some((gain, x));
                }
            }
            let found = best.map(|(_, x)| x);
            let found = found.or_else(|| unseen(space, &mut seen, &mut self.chance));
            let Some(x) = found else { break };
            seen.insert(&x);
            model.expect(&x);
            points.push(Proposal::whole(x));
        }
        points
    }
}
