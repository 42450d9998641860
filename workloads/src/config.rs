//! What a user may write about a workload. Everything is optional; [`WorkloadConfig::resolve`] fills in the
//! preset and the defaults and checks the rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Distribution;
use crate::keys::KeySpace;
use crate::lengths::{Length, LengthDistribution};
use crate::mix::Mix;
use crate::op::Direction;
use crate::pacing::Load;
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

/// How long scans are, and which way they go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
