//! What a config says about which keys are requested.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mixgraph::{RangeLaw, RankLaw};

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
    /// RocksDB's `mixgraph`: ranges of the loaded keys by a two-term exponential, a e^(b i) + c
    /// e^(d i) for range i, and the keys of a range by a power law. The names and, but for the
    /// defaults, the meanings are those of db_bench's options. The defaults are the published fit
    /// of ZippyDB, for 50 million keys: for others, `key_dist_a` = (0.8 * records)^-`key_dist_b`
    /// keeps the skew.
    Mixgraph {
        /// a of the power law: the share of the hottest rank (0 to 1). 0: all keys of a range are
        /// equally likely. Default 0.002312.
        #[serde(default = "key_dist_a_default")]
        key_dist_a: f64,
        /// b of the power law: a share a x^b of the requests is for the x hottest ranks (0 to 10).
        /// 0: all keys of a range are equally likely. Default 0.3467.
        #[serde(default = "key_dist_b_default")]
        key_dist_b: f64,
        /// The number of key ranges (1 to the records, at most 1048576). Default 30.
        #[serde(default = "keyrange_num_default")]
        keyrange_num: u64,
        /// a of the ranges (-1e6 to 1e6). All four 0: there is one range. Default 14.18.
        #[serde(default = "keyrange_dist_a_default")]
        keyrange_dist_a: f64,
        /// b of the ranges (-100 to 100). Default -2.917.
        #[serde(default = "keyrange_dist_b_default")]
        keyrange_dist_b: f64,
        /// c of the ranges (-1e6 to 1e6). Default 0.0164.
        #[serde(default = "keyrange_dist_c_default")]
        keyrange_dist_c: f64,
        /// d of the ranges (-100 to 100). Default -0.08082.
        #[serde(default = "keyrange_dist_d_default")]
        keyrange_dist_d: f64,
    },
}

impl Distribution {
    /// The published fit of ZippyDB's keys.
    pub(crate) fn mixgraph() -> Self {
        Self::Mixgraph {
            key_dist_a: key_dist_a_default(),
            key_dist_b: key_dist_b_default(),
            keyrange_num: keyrange_num_default(),
            keyrange_dist_a: keyrange_dist_a_default(),
            keyrange_dist_b: keyrange_dist_b_default(),
            keyrange_dist_c: keyrange_dist_c_default(),
            keyrange_dist_d: keyrange_dist_d_default(),
        }
    }

    /// The laws of `mixgraph`'s ranges and ranks; `None` of other distributions.
    pub(crate) fn mixgraph_laws(self) -> Option<(RangeLaw, RankLaw)> {
        let Self::Mixgraph {
            key_dist_a,
            key_dist_b,
            keyrange_num,
            keyrange_dist_a,
            keyrange_dist_b,
            keyrange_dist_c,
            keyrange_dist_d,
        } = self
        else {
            return None;
        };
        let ranges = RangeLaw {
            ranges: keyrange_num,
            a: keyrange_dist_a,
            b: keyrange_dist_b,
            c: keyrange_dist_c,
            d: keyrange_dist_d,
        };
        let ranks = RankLaw {
            a: key_dist_a,
            b: key_dist_b,
        };
        Some((ranges, ranks))
    }
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

fn key_dist_a_default() -> f64 {
    0.002_312
}

fn key_dist_b_default() -> f64 {
    0.346_7
}

fn keyrange_num_default() -> u64 {
    30
}

fn keyrange_dist_a_default() -> f64 {
    14.18
}

fn keyrange_dist_b_default() -> f64 {
    -2.917
}

fn keyrange_dist_c_default() -> f64 {
    0.016_4
}

fn keyrange_dist_d_default() -> f64 {
    -0.080_82
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
