//! Two settings compared on one running engine: a switchback. [`split`] is the other design.
//!
//! ```text
//!   a switch to B and back --washout--> A against A --> blocks of one A and one B --> verdict
//!        |                                |                 |
//!   how long it takes            the design's noise   a guard stops for harm
//! ```
//!
//! A block is a window under A and one under B, in an order that is drawn. Before each window the
//! engine is set to its side, and a washout lets what the other side left behind die away: it is as
//! long as a switch was seen to take. The windows of a block are a pair, so that what drifts slowly
//! is in both. From the tenth block on the pairs are looked at after each, by a confidence
//! sequence; a guard that looks for harm alone stops earlier.
//!
//! What the sides share is not measured apart: one tree, one cache, one device. What a side puts
//! off beyond the washout is paid in the next window, whichever side has it. So the design suits
//! settings whose effect comes and goes within a washout: limits, triggers, caches. It does not
//! suit those that act as the tree is rewritten.
//!
//! Sources: Bojinov, Simchi-Levi and Zhao, "Design and Analysis of Switchback Experiments",
//! Management Science 2023; the confidence sequence is that of [`crate::stats`].
//!
//! [`Switchback`] neither runs an engine nor reads a clock: the caller asks it for the order of the
//! next block, and hands it what the windows measured.

mod guard;
mod recovery;
pub mod split;

#[cfg(test)]
mod tests;

use aura_workloads::Seed;

use crate::ab::SIDES;
use crate::compare::{CompareError, CompareSettings, Comparison, compare};
use crate::stats::verdict::Verdict;
use crate::store::TidyRow;

pub use guard::{Guard, Harm};
pub use recovery::recovery;

/// Length and limits of a live comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// Operations of a window.
    pub window: u64,
    /// Operations of a washout; `None` if it is found from how long a switch takes.
    pub washout: Option<u64>,
    /// Blocks of A against A, before those of A and B.
    pub blocks_of_aa: usize,
    /// The least blocks of A and B.
    pub blocks_min: usize,
    /// The most blocks of A and B.
    pub blocks_max: usize,
    /// How much worse than A B may be before the guard counts it as harm: a share.
    pub harm: f64,
    /// How many times worse B may be in one block: beyond it the comparison ends at once.
    pub harm_at_once: f64,
}

impl Design {
    /// The defaults for windows of this many operations.
    pub fn of(window: u64) -> Self {
        Self {
            window,
            washout: None,
            blocks_of_aa: 10,
            blocks_min: 10,
            blocks_max: 60,
            harm: 0.1,
            harm_at_once: 3.0,
        }
    }
}

/// One of the two settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The baseline.
    A,
    /// What it is compared with.
    B,
}

impl Side {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        SIDES[self as usize]
    }
}

/// Why a live comparison ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Every primary metric is decided.
    Decided,
    /// B does harm.
    Harm(Harm),
    /// The most blocks were run.
    Longest,
    /// The caller ended it.
    Asked,
}

/// A live comparison: which side comes next, and when it ends. In a [`split`] both sides come at
/// once, and a block is one window.
#[derive(Debug)]
pub struct Switchback {
    design: Design,
    settings: CompareSettings,
    seed: Seed,
    guards: Vec<Guard>,
    rows: Vec<TidyRow>,
    blocks: usize,
}

impl Switchback {
    /// A comparison by `settings`, whose baseline is A; the order of each block is drawn from
    /// `seed`.
    pub fn new(design: Design, mut settings: CompareSettings, seed: u64) -> Self {
        settings.sequential = true;
        Side::A.name().clone_into(&mut settings.baseline);
        Self {
            guards: Guard::of(&settings, &design),
            design,
            settings,
            seed: Seed(seed).child("live"),
            rows: Vec::new(),
            blocks: 0,
        }
    }

    /// The order of block `number`.
    pub fn order(&self, number: usize) -> [Side; 2] {
        match self.seed.numbered(number as u64).0 % 2 {
            0 => [Side::A, Side::B],
            _ => [Side::B, Side::A],
        }
    }

    /// Blocks so far.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The rows of all blocks: variants are sides, and seeds are blocks.
    pub fn rows(&self) -> &[TidyRow] {
        &self.rows
    }

    /// Takes what the two windows of a block measured. Returns why the comparison ends, if it does.
    ///
    /// # Errors
    /// [`CompareError`] if the settings name a metric that there is not.
    pub fn close(&mut self, block: Vec<TidyRow>) -> Result<Option<Stop>, CompareError> {
        self.blocks += 1;
        let mut harm = None;
        for guard in &mut self.guards {
            // Every guard takes note of every block.
            harm = guard.watch(&block, self.blocks).or(harm);
        }
        self.rows.extend(block);
        if let Some(harm) = harm {
            return Ok(Some(Stop::Harm(harm)));
        }
        if self.blocks >= self.design.blocks_max {
            return Ok(Some(Stop::Longest));
        }
        if self.blocks < self.design.blocks_min {
            return Ok(None);
        }
        let comparison = self.comparison()?;
        let mut primary = comparison.rows.iter().filter(|row| row.primary);
        let is_decided = primary.all(|row| row.verdict != Verdict::Undecided);
        Ok(is_decided.then_some(Stop::Decided))
    }

    /// What the blocks so far say.
    ///
    /// # Errors
    /// [`CompareError`] if nothing can be compared.
    pub fn comparison(&self) -> Result<Comparison, CompareError> {
        compare(&self.rows, &self.settings)
    }
}
