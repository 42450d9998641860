//! What a user may write about a workload. Everything is optional; [`WorkloadConfig::resolve`] fills in the
//! preset and the defaults and checks the rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::keys::KeySpace;
use crate::lengths::LengthDistribution;
use crate::op::OpKind;
use crate::preset::Preset;

/// A workload: what is loaded, and what is then done to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadConfig {
    /// Where `mix`, `distribution` and `scan` come from when they are not given. Without a preset they are
    /// YCSB's own defaults: 95 % reads, 5 % updates, uniform.
    pub preset: Option<Preset>,
    /// How many records the load phase inserts; at least 1. Default 1000.
    pub records: Option<u64>,
    /// How many operations a phase has, all clients together. 0 loads only. Default 1000.
    pub operations: Option<u64>,
    /// How many clients share the work. Default 1.
    pub clients: Option<u32>,
    /// How keys are spelt.
    pub key: KeySpace,
    /// What values look like.
    pub value: Option<ValueConfig>,
    /// Shares of the operations; replaces the preset's as a whole.
    pub mix: Option<Mix>,
    /// Which keys are asked for.
    pub distribution: Option<Distribution>,
    /// How long scans are, and which way they go.
    pub scan: Option<ScanConfig>,
    /// When operations start. Default: closed loop.
    pub load: Option<Load>,
    /// Operations done before the first phase, like it, and not measured. Default 0.
    pub warm_up_operations: u64,
    /// Phases run one after the other on the same database; what one leaves out is as above. None given
    /// means one phase named `run`.
    pub phases: Vec<PhaseConfig>,
}

/// One phase of a changing workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// Its name in metrics and in the seed tree; unique, and neither `load` nor `warm-up`.
    pub name: String,
    /// How many operations, all clients together; at least 1.
    #[serde(default)]
    pub operations: Option<u64>,
    /// What values written in this phase look like.
    #[serde(default)]
    pub value: Option<ValueConfig>,
    /// Shares of the operations.
    #[serde(default)]
    pub mix: Option<Mix>,
    /// Which keys are asked for.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// How long scans are, and which way they go.
    #[serde(default)]
    pub scan: Option<ScanConfig>,
    /// When operations start.
    #[serde(default)]
    pub load: Option<Load>,
}

/// Shares of the kinds of operation, relative to their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Gets.
    pub read: f64,
    /// Puts of keys that exist.
    pub update: f64,
    /// Puts of new keys.
    pub insert: f64,
    /// Range reads.
    pub scan: f64,
    /// A get and a put of the same key, timed as one.
    pub read_modify_write: f64,
    /// Deletes of keys chosen like those of reads, so that later ones may miss.
    pub delete: f64,
}

impl Mix {
    /// The share of one kind as written, not yet divided by the sum.
    pub fn share(&self, kind: OpKind) -> f64 {
        match kind {
            OpKind::Read => self.read,
            OpKind::Update => self.update,
            OpKind::Insert => self.insert,
            OpKind::Scan => self.scan,
            OpKind::ReadModifyWrite => self.read_modify_write,
            OpKind::Delete => self.delete,
        }
    }

    /// The sum of all shares.
    pub fn total(&self) -> f64 {
        OpKind::ALL.iter().map(|&kind| self.share(kind)).sum()
    }

    /// The probability of one kind; the mix of a resolved phase has a positive sum.
    pub fn probability(&self, kind: OpKind) -> f64 {
        self.share(kind) / self.total()
    }
}

/// Which existing key an operation touches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distribution {
    /// Every loaded record alike; keys inserted during the run are not asked for, as in YCSB.
    Uniform {},
    /// Zipf's law over the keys.
    Zipfian {
        /// The skew, in (0, 2). Default 0.99.
        #[serde(default = "theta_default")]
        theta: f64,
        /// Scatter the hot keys over the key numbers by a seeded permutation; otherwise key 0 is the hottest.
        /// Default true.
        #[serde(default = "permute_default")]
        permute: bool,
        /// Which of the seed's permutations scatters them: a phase with another number has other hot keys. Default 0.
        #[serde(default)]
        scatter: u64,
    },
    /// What YCSB calls zipfian: drawn from 10^10 virtual items and folded onto the keys by a hash, so much
    /// less skewed on few keys.
    YcsbZipfian {},
    /// YCSB's skewed latest: the most recently inserted keys are the hottest.
    Latest {},
    /// A share of the operations goes to a share of the loaded records, uniformly in both parts.
    Hotspot {
        /// The hot part of the records, in [0, 1]. Default 0.2.
        #[serde(default = "data_fraction_default")]
        data_fraction: f64,
        /// The part of the operations that go there, in [0, 1]. Default 0.8.
        #[serde(default = "operation_fraction_default")]
        operation_fraction: f64,
        /// How the hot part moves. Default: it stays.
        #[serde(default)]
        drift: Option<Drift>,
    },
    /// Recent keys are likelier, exponentially: `percentile` % of the draws fall on the newest `fraction` of
    /// the records.
    Exponential {
        /// In [1, 100). Default 95.
        #[serde(default = "percentile_default")]
        percentile: f64,
        /// In (0, 1]. Default 6/7, as in YCSB.
        #[serde(default = "fraction_default")]
        fraction: f64,
    },
    /// The loaded records in the order of their numbers, again and again; the clients take turns.
    Sequential {},
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
    /// How far it moves at a time, as a share of the records, in [0, 1].
    pub fraction: f64,
    /// After how many requests for existing keys it moves, all clients together; at least 1.
    pub every_operations: u64,
}

/// What values look like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueConfig {
    /// The size in bytes: a number, or `{ min = 100, max = 4000, distribution = "uniform" }`. At most 256 MiB.
    /// Default 1000, the record of YCSB (ten fields of 100 bytes).
    pub bytes: Length,
    /// The share of each value that a compressor can remove, in [0, 1]. Default 0.
    pub compressibility: f64,
}

impl Default for ValueConfig {
    fn default() -> Self {
        Self {
            bytes: Length::Constant(1000),
            compressibility: 0.0,
        }
    }
}

/// A size: constant, or drawn from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, or a table { min, max, distribution }"
)]
pub enum Length {
    /// Always this.
    Constant(u64),
    /// Drawn anew for each value.
    Range(LengthRange),
}

/// The range of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthRange {
    /// The smallest.
    pub min: u64,
    /// The largest, at least `min`.
    pub max: u64,
    /// How sizes spread between them. Default uniform.
    #[serde(default)]
    pub distribution: LengthDistribution,
}

/// How long scans are, and which way they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScanConfig {
    /// The fewest records a scan asks for; at least 1. Default 1.
    pub min_length: u32,
    /// The most records. Default 100.
    pub max_length: u32,
    /// How lengths spread between them. Default uniform.
    pub length_distribution: LengthDistribution,
    /// Which way. Default forward.
    pub direction: Direction,
}

impl Default for ScanConfig {
    fn default() -> Self {
        Self {
            min_length: 1,
            max_length: 100,
            length_distribution: LengthDistribution::Uniform,
            direction: Direction::Forward,
        }
    }
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To larger keys.
    #[default]
    Forward,
    /// To smaller keys.
    Reverse,
}

/// When operations start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "arrival", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load {
    /// Closed loop: when the client's operation before has ended. Latencies then leave out queueing.
    Closed {},
    /// Open loop, evenly spaced.
    Constant {
        /// Operations a second, all clients together; above 0, at most 10^9.
        rate: f64,
    },
    /// Open loop, a Poisson process.
    Poisson {
        /// Operations a second on average, all clients together; above 0, at most 10^9.
        rate: f64,
    },
}
