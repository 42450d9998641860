//! What a user may write about a workload. Everything is optional: [`WorkloadConfig::resolve`]
//! fills in the preset and the defaults, and checks every value.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Distribution;
use crate::keys::KeySpace;
use crate::lengths::{Length, LengthDistribution};
use crate::mix::Mix;
use crate::op::Direction;
use crate::pacing::Load;
use crate::preset::Preset;
use crate::replay::Speed;
use crate::sizes::Sizes;
use crate::step::Step;
use crate::trace::Format;

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
    /// A recorded trace whose operations are replayed. Beside it there are only `clients`, `value`
    /// and `scan` for what the trace does not state, `duration` and `warm_up_operations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceConfig>,
    /// Records that the load phase inserts (at least 1). Default 1000, or all keys of `key.file` or
    /// `key.generated`.
    pub records: Option<u64>,
    /// Operations of each phase, all clients together. 0 loads only. Default 1000; without end if
    /// `duration` is given.
    pub operations: Option<u64>,
    /// How long each phase lasts, such as `"30s"`. With `operations`, whichever ends first.
    #[serde(skip_serializing_if = "Option::is_none", with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<Duration>,
    /// Clients that share the work. Default 1.
    pub clients: Option<u32>,
    /// Clients of several kinds, each with what it does, in place of `clients`. Together they load
    /// the records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleConfig>,
    /// How keys are spelt, or the file that they come from.
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

/// A recorded trace, and how it is replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceConfig {
    /// The file, relative to the folder of the config; plain, or as `.zst`, `.gz` or `.xz`.
    pub file: PathBuf,
    /// How it is written. Default: by its name and contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What the columns of a CSV file hold, such as
    /// `"time=1,op=2,key=3,size=4,key_size=5,scan=6"`, by number or by name. Default: by the
    /// header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// `"closed"`: each client goes on when its last operation has ended. A number: operations
    /// begin at the recorded times, that many times as fast. Default `"closed"`.
    #[serde(default)]
    pub speed: Speed,
    /// The most operations that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The share of the keys whose operations are replayed, chosen by hash (above 0, at most 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<f64>,
    /// Put the keys whose first operation reads them before the first operation. Default true.
    #[serde(default = "yes")]
    pub preload: bool,
    /// Replay a trace that ends within a record up to there. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The digest of its operations. A plan fills it in; a file with others is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

fn yes() -> bool {
    true
}

/// One phase of a changing workload: operations, or a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// Its name in metrics and in the seed tree; unique, and none of `load`, `settle`, `warm-up`,
    /// `drain` and `whole`.
    pub name: String,
    /// What it does instead of operations: `"settle"`, `"flush"`, `"compact"`, `"drop-caches"`, or
    /// `"wait"` for `duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Operations, all clients together (at least 1).
    #[serde(default)]
    pub operations: Option<u64>,
    /// How long it lasts, such as `"30s"`. With `operations`, whichever ends first.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde"
    )]
    #[schemars(with = "Option<String>")]
    pub duration: Option<Duration>,
    /// Clients of several kinds, in place of the workload's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleConfig>,
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

/// Clients of one kind in a phase. What a role leaves out is as in the phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// Its name in the seed tree; unique in the phase.
    pub name: String,
    /// Clients that share its work (at least 1). Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<u32>,
    /// Operations of its clients together (at least 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
    /// `"others-end"`: its clients go on until those of all other roles have ended; `operations`
    /// ends them earlier only if the role itself gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Size and compressibility of the values that it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueConfig>,
    /// Shares of the kinds of operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Which keys are requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// How long scans are, and in which direction they go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanConfig>,
    /// When operations start; a rate is that of the role's clients together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

/// What ends a role's clients beside their operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The end of all other roles.
    OthersEnd,
}

/// Size and compressibility of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueConfig {
    /// The size: a number of bytes or `"64KiB"`, a range `{ min = 100, max = 4000, distribution =
    /// "uniform" }`, or several of them, `[{ share = 0.9, bytes = 100 }, { share = 0.1, bytes =
    /// "64KiB" }]` (at most 256 MiB). Default 1000, the record of YCSB (ten fields of 100 bytes).
    pub bytes: Sizes,
    /// The share of each value that a compressor can remove (0 to 1). Default 0.
    pub compressibility: f64,
}

impl Default for ValueConfig {
    fn default() -> Self {
        Self {
            bytes: Length::Constant(1000).into(),
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
