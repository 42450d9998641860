//! What a user may write about a workload. Everything is optional: [`WorkloadConfig::resolve`]
//! fills in the preset and the defaults, and checks every value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Distribution;
use crate::keys::KeySpace;
use crate::lengths::{Length, LengthDistribution};
use crate::mix::Mix;
use crate::op::Direction;
use crate::pacing::Load;
use crate::preset::Preset;

/// A workload: what is loaded, and the operations that follow.
///
/// ```
/// use aura_workloads::{Distribution, Mix, WorkloadConfig};
///
/// let config = WorkloadConfig {
///     records: Some(1_000_000),
///     operations: Some(100_000),
///     mix: Some(Mix { read: 0.9, delete: 0.1, ..Mix::default() }),
///     distribution: Some(Distribution::Zipfian { theta: 0.9, permute: true, scatter: 0 }),
///     ..WorkloadConfig::default()
/// };
/// let workload = config.resolve()?;
/// assert_eq!(workload.load.operations, 1_000_000);
/// assert_eq!(workload.phases.len(), 1);
/// # Ok::<(), aura_workloads::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadConfig {
    /// Sets `mix`, `distribution` and `scan` where they are left out. Without a preset they are
    /// YCSB's own defaults: 95 % reads, 5 % updates, uniform.
    pub preset: Option<Preset>,
    /// Records that the load phase inserts (at least 1). Default 1000.
    pub records: Option<u64>,
    /// Operations of each phase, all clients together. 0 loads only. Default 1000.
    pub operations: Option<u64>,
    /// Clients that share the work. Default 1.
    pub clients: Option<u32>,
    /// How keys are spelt.
    pub key: KeySpace,
    /// Size and compressibility of values.
    pub value: Option<ValueConfig>,
    /// Shares of the kinds of operation; replaces the preset's as a whole.
    pub mix: Option<Mix>,
    /// Which keys are requested.
    pub distribution: Option<Distribution>,
    /// How long scans are, and in which direction they go.
    pub scan: Option<ScanConfig>,
    /// When operations start. Default: closed loop.
    pub load: Option<Load>,
    /// Operations before the first phase, of the same kind as in it, which are not measured.
    /// Default 0.
    pub warm_up_operations: u64,
    /// Phases that follow one another on the same database. What a phase leaves out is as above.
    /// Without any there is one phase named `run`.
    pub phases: Vec<PhaseConfig>,
}

/// One phase of a changing workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// Its name in metrics and in the seed tree; unique, and none of `load`, `settle`, `warm-up`,
    /// `drain` and `whole`.
    pub name: String,
    /// Operations, all clients together (at least 1).
    #[serde(default)]
    pub operations: Option<u64>,
    /// Size and compressibility of the values written in this phase.
    #[serde(default)]
    pub value: Option<ValueConfig>,
    /// Shares of the kinds of operation.
    #[serde(default)]
    pub mix: Option<Mix>,
    /// Which keys are requested.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// How long scans are, and in which direction they go.
    #[serde(default)]
    pub scan: Option<ScanConfig>,
    /// When operations start.
    #[serde(default)]
    pub load: Option<Load>,
}

/// Size and compressibility of values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueConfig {
    /// The size in bytes: a number, or `{ min = 100, max = 4000, distribution = "uniform" }` (at
    /// most 256 MiB). Default 1000, the record of YCSB (ten fields of 100 bytes).
    pub bytes: Length,
    /// The share of each value that a compressor can remove (0 to 1). Default 0.
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

/// How long scans are, and in which direction they go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScanConfig {
    /// The fewest records that a scan asks for (at least 1). Default 1.
    pub min_length: u32,
    /// The most records that a scan asks for. Default 100.
    pub max_length: u32,
    /// How lengths spread between them. Default uniform.
    pub length_distribution: LengthDistribution,
    /// The direction. Default forward.
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
