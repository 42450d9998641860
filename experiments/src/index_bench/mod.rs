//! Indexes on one set of keys, side by side: how large, how fast to build, how fast to search.
//!
//! ```text
//!   models x epsilons --candidates--> trained, checked against every key and every gap
//!                                        |
//!   keys, seed ----> queries -----> every answer checked, comparisons counted
//!                                        |
//!                                     timed in rounds: warm, then cold -----> rows
//! ```
//!
//! A look-up is the whole of it: the model's window, and the search within it in the sorted array,
//! to the first key not below the query. Rounds go through all indexes in turn, so that a machine
//! that slows down does so for all of them.

mod bench;
mod candidates;
mod fences;
mod index;
mod rows;
mod sorted;
mod timing;

use aura_policies::PolicyError;
use aura_workloads::keyset::{KeySet, Keys};

use bench::Bench;
use sorted::{Numbers, Strings};

pub use bench::{ROUNDS, steps};
pub use candidates::{Candidate, candidates, parse_epsilons, parse_models};
pub use rows::{Errors, Latency, Measured, Ranks, Row, data, table, write};

/// The name of the baseline that searches the whole array.
pub const WHOLE_ARRAY: &str = "binary search";

/// How indexes are measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Keys of an emulated data block, for fence pointers and models of blocks.
    pub block_keys: usize,
    /// Warm look-ups of each index.
    pub lookups: usize,
    /// Cold look-ups of each index; 0 for none.
    pub cold_lookups: usize,
    /// Bytes of memory written to before each few cold look-ups.
    pub cold_bytes: usize,
    /// The seed of the queries.
    pub seed: u64,
}

/// Why a set could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A model does not exist, or not with such parameters.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A model cannot be read back.
    #[error("{model} on {set}: the model that was just trained cannot be read back")]
    Unreadable {
        /// The key set.
        set: String,
        /// The model.
        model: String,
    },
    /// A window does not hold the rank.
    #[error(
        "{model} on {set}: the first key not below {query} has rank {rank}, which is not in the \
         window {lo} to {hi}"
    )]
    Missed {
        /// The key set.
        set: String,
        /// The model.
        model: String,
        /// The query.
        query: String,
        /// The right rank.
        rank: usize,
        /// The window's first rank.
        lo: usize,
        /// The window's last rank.
        hi: usize,
    },
    /// A look-up returned a wrong rank.
    #[error("{model} on {set}: the look-up of {query} returns rank {answer}, but it is {rank}")]
    Wrong {
        /// The key set.
        set: String,
        /// The model.
        model: String,
        /// The query.
        query: String,
        /// What the look-up returned.
        answer: usize,
        /// The right rank.
        rank: usize,
    },
}

/// How many keys of a set a model cannot distinguish, because they share an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties {
    /// Keys whose image is also another key's.
    pub keys: usize,
    /// The most keys with one image; 1 without ties.
    pub largest: usize,
    /// Bytes that all keys begin with; the image is the 8 bytes after them.
    pub prefix: usize,
}

/// What was measured on one set.
#[derive(Debug)]
pub struct BenchReport {
    /// One row per index.
    pub rows: Vec<Row>,
    /// The ties of a set of strings; `None` for numbers.
    pub ties: Option<Ties>,
}

/// Builds and measures every candidate on one set. `step` is called [`steps`] times, for progress.
///
/// # Errors
/// [`BenchError`] if a model is unknown, or its answers are wrong.
pub fn bench(
    name: &str,
    set: KeySet,
    candidates: &[Candidate],
    settings: &Settings,
    step: &dyn Fn(),
) -> Result<BenchReport, BenchError> {
    match set.keys {
        Keys::Numbers(keys) => {
            let keys = Numbers::new(keys);
            let rows = Bench::new(name, &keys, settings, step).run(candidates)?;
            Ok(BenchReport { rows, ties: None })
        }
        Keys::Strings(keys) => {
            let keys = Strings::new(keys);
            let rows = Bench::new(name, &keys, settings, step).run(candidates)?;
            let ties = Some(keys.ties());
            Ok(BenchReport { rows, ties })
        }
    }
}
