//! Guards: B is stopped when it does harm, before anything else is decided.
//!
//! A guard watches one metric. In each block B is either worse than A by more than the limit, or
//! not. If it is no worse in the median, more than half of the blocks are on the good side, and the
//! capital of a player who bets on harm in each block grows with a chance of 5 % only to twenty
//! times what it was, however long he plays. So a guard stops a harmless B in at most 5 % of
//! comparisons, all guards together, without any assumption about how blocks spread. Bets begin
//! with every block, the later ones with less, so that harm that comes late is seen as well.
//!
//! A B that is worse than that in every block from the first on is stopped after six blocks with
//! one guard, and after eight with two or three. Apart from that, one block in which B is many
//! times worse ends the comparison at once.
//!
//! Source: Ville's inequality; Ramdas, Grünwald, Vovk and Shafer, "Game-Theoretic Statistics and
//! Safe Anytime-Valid Inference", Statistical Science 2023.

use super::{Design, Side};
use crate::compare::CompareSettings;
use crate::metrics::{self, Direction, MetricDef, Scale};
use crate::stats::LEVEL;
use crate::store::TidyRow;

/// The part of the capital that is bet on each block.
const BET: f64 = 0.8;

/// Harm that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Harm {
    /// The metric.
    pub metric: &'static str,
    /// The block, counted from 1.
    pub block: usize,
    /// Whether it was that one block, in which B was many times worse.
    pub at_once: bool,
    /// How many times worse B was in the block.
    pub times: f64,
}

/// Watches one metric for harm.
#[derive(Debug)]
pub struct Guard {
    metric: &'static MetricDef,
    /// The logarithm of how much worse B may be.
    limit: f64,
    /// The logarithm beyond which one block is enough.
    at_once: f64,
    /// The capital at which harm is called.
    enough: f64,
    /// The capital of the bets that began with each block.
    capital: Vec<f64>,
}

impl Guard {
    /// One guard for each primary metric that has a better direction and is compared by ratios.
    pub(super) fn of(settings: &CompareSettings, design: &Design) -> Vec<Self> {
        let known = settings
            .primary
            .iter()
            .filter_map(|name| metrics::find(name).ok());
        let watched: Vec<&'static MetricDef> = known
            .filter(|metric| metric.direction != Direction::Neutral)
            .filter(|metric| metric.scale == Scale::Relative)
            .collect();
        let enough = watched.len() as f64 / LEVEL;
        let guard = |metric: &&'static MetricDef| Self {
            metric,
            limit: design.harm.ln_1p(),
            at_once: design.harm_at_once.ln(),
            enough,
            capital: Vec::new(),
        };
        watched.iter().map(guard).collect()
    }

    /// Looks at the two windows of a block. Returns harm, if that is enough to call it.
    pub(super) fn watch(&mut self, block: &[TidyRow], number: usize) -> Option<Harm> {
        let value = |side: Side| {
            let mut rows = block.iter();
            let row = rows.find(|row| {
                row.trial.variant == side.name() && row.name.metric == self.metric.name
            })?;
            (row.value > 0.0).then_some(row.value)
        };
        let ratio = (value(Side::B)? / value(Side::A)?).ln();
        let worse = match self.metric.direction {
            Direction::Higher => -ratio,
            Direction::Lower | Direction::Neutral => ratio,
        };
        let at_once = worse > self.at_once;
        (self.bet(worse > self.limit) >= self.enough || at_once).then(|| Harm {
            metric: self.metric.name,
            block: number,
            at_once,
            times: worse.exp(),
        })
    }

    /// Settles the bets on a block, and returns the capital.
    fn bet(&mut self, is_worse: bool) -> f64 {
        let begun = (self.capital.len() + 1) as f64;
        self.capital.push(1.0 / (begun * (begun + 1.0)));
        let factor = if is_worse { 1.0 + BET } else { 1.0 - BET };
        self.capital
            .iter_mut()
            .for_each(|capital| *capital *= factor);
        // What is kept for bets that have not begun is a part of the capital.
        self.capital.iter().sum::<f64>() + 1.0 / (begun + 1.0)
    }
}
