//! What a config says about which keys are requested.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which existing keys are requested.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distribution {
    /// Every loaded record is equally likely. Keys inserted by the phases are not requested, as in
    /// YCSB.
    Uniform {},
    /// Zipf's law over the keys.
    Zipfian {
        /// The skew (above 0, below 2). Default 0.99.
        #[serde(default = "theta_default")]
        theta: f64,
        /// Scatter the hot keys over the key numbers by a seeded permutation. Otherwise key 0 is
        /// the hottest. Default true.
        #[serde(default = "permute_default")]
        permute: bool,
        /// Which of the seed's permutations scatters them: a phase with another number has other
        /// hot keys. Default 0.
        #[serde(default)]
        scatter: u64,
    },
    /// YCSB's zipfian: drawn from 10^10 virtual items and folded onto the keys by a hash, so it is
    /// much less skewed on few keys.
    YcsbZipfian {},
    /// YCSB's skewed latest: the most recently inserted keys are the hottest.
    Latest {},
    /// A share of the operations goes to a share of the loaded records, uniformly within both
    /// parts.
    Hotspot {
        /// The hot part of the records (0 to 1). Default 0.2.
        #[serde(default = "data_fraction_default")]
        data_fraction: f64,
        /// The part of the operations that goes to hot records (0 to 1). Default 0.8.
        #[serde(default = "operation_fraction_default")]
        operation_fraction: f64,
        /// How the hot part moves. Default: it stays.
        #[serde(default)]
        drift: Option<Drift>,
    },
    /// Recent keys are likelier, exponentially: `percentile` % of the draws fall on the newest
    /// `fraction` of the records.
    Exponential {
        /// Draws that fall on the newest part, in % (1 to below 100). Default 95.
        #[serde(default = "percentile_default")]
        percentile: f64,
        /// The newest part, as a share of the records (above 0, at most 1). Default 6/7, as in
        /// YCSB.
        #[serde(default = "fraction_default")]
        fraction: f64,
    },
    /// The loaded records in the order of their numbers, again and again. The clients take turns.
    Sequential {},
    /// Each record once, the oldest first, also those that the phases insert: what a queue gives
    /// out. All clients and phases of a trial take from the same end. When none is left, the record
    /// that was taken last again.
    Oldest {},
}

fn theta_default() -> f64 {
    0.99
}

fn permute_default() -> bool {
    true
}

fn data_fraction_default() -> f64 {
    0.2
}

fn operation_fraction_default() -> f64 {
    0.8
}

fn percentile_default() -> f64 {
    95.0
}

fn fraction_default() -> f64 {
    0.857_142_857_1
}

/// How a hotspot moves over the key numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// How far it moves each time, as a share of the records (0 to 1).
    pub fraction: f64,
    /// Requests for existing keys between two moves, all clients together (at least 1).
    pub every_operations: u64,
}
