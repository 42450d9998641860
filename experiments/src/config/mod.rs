//! Experiment configs: one file, one question.
//!
//! ```text
//!   file (TOML or JSON) --source--> tree with places --schema--> every key is known
//!        defaults < file < variant < sweep point < --set  --layers-->  one tree per case
//!        --check--> every value is in range  --policies--> every default is spelt out
//! ```
//!
//! Whatever is wrong is an error before the first trial, and says where it stands.

mod agents;
mod check;
mod error;
mod expect;
mod inputs;
mod keys;
mod layers;
mod machine;
mod names;
mod overlay;
mod paper;
mod policies;
mod print;
mod resolve;
mod scale;
mod schema;
mod source;
mod targets;
mod training;
mod tree;
mod tune;
mod twins;

use std::collections::BTreeMap;
use std::path::PathBuf;

use aura_engine::EngineConfig;
use aura_engine::env::sim::{CpuCosts, DeviceProfile};
use aura_workloads::WorkloadConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::ConfigError;
pub use layers::{VariantSettings, settings};
pub use overlay::overlay;
pub use paper::{Ours, PaperConfig};
pub use resolve::{
    Case, Experiment, Size, TRIALS_MAX, load, load_side, load_training, load_tuning, parse,
    parse_for,
};
pub use targets::{BadSetting, KnownTargets, OF_RIVALS, TargetOption, TargetRules, UnknownTarget};
pub use training::Training;
pub(crate) use tune::WINNER;
pub use tune::{
    Before, ConfirmConfig, EndConfig, KnobConfig, LimitConfig, RestConfig, Spread, TuneConfig,
    Tuning,
};

use crate::compare::{CompareSettings, Expectation, Part};
use crate::record::{FileIo, World};
use crate::regret::RegretConfig;

/// Returns the JSON schema of experiment files.
pub fn schema() -> Value {
    schema::schema()
}

/// An experiment: one question, the settings it is asked under, and the variants it compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentFile {
    /// The folder in the results. Default: the file's name without its extension.
    pub name: Option<String>,
    /// What the experiment is to answer.
    pub question: String,
    /// What is expected, written down before the run.
    pub hypothesis: String,
    /// The parts of the hypothesis that the run decides: verdicts on primary metrics. The answer
    /// says which held.
    pub expect: Vec<Expectation>,
    /// The variant that the others are compared with. Default: the first.
    pub baseline: Option<String>,
    /// How often everything is repeated with other random numbers: `10` means the seeds 1 to 10;
    /// or a list of seeds.
    pub seeds: Seeds,
    /// Where trials run.
    pub world: WorldConfig,
    /// What is done to the database.
    pub workload: WorkloadConfig,
    /// The database's settings.
    pub engine: EngineConfig,
    /// What trials run on: `"aura"`, or another engine that the command has; `aura list targets`
    /// lists them. Default: `"aura"`.
    #[serde(skip_serializing_if = "targets::is_aura")]
    pub target: String,
    /// Settings of the target beside those of `engine`. AuraDB has none.
    #[serde(skip_serializing_if = "TargetOptions::is_empty")]
    pub target_options: TargetOptions,
    /// Whether a trial waits, between the load and the first phase, until no background work is
    /// left.
    pub settle: bool,
    /// Real world: trials of one seed whose workload and engine settings are equal, but for the
    /// cache, load once and begin behind the load, each from a copy of the loaded database. It
    /// takes the differences between two loads from the comparison; nothing is measured of the
    /// load.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared_load: bool,
    /// The most points of a series over time, per phase.
    pub series_points: u32,
    /// What is recorded beside the measurements.
    pub record: RecordConfig,
    /// What is compared. Without any there is one variant, named `base`.
    pub variant: Vec<Variant>,
    /// Settings that take several values. With more than one sweep, every combination is run.
    pub sweep: Vec<Sweep>,
    /// By which metrics variants are compared.
    pub compare: CompareConfig,
    /// Which variants stand still and which know the phases, for `aura regret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regret: Option<RegretConfig>,
    /// The claim of others that the experiment puts to the test, for `aura papers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperConfig>,
    /// What `aura tune` searches, and by what it judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<TuneConfig>,
}

impl Default for ExperimentFile {
    fn default() -> Self {
        Self {
            name: None,
            question: String::new(),
            hypothesis: String::new(),
            expect: Vec::new(),
            baseline: None,
            seeds: Seeds::Count(10),
            world: WorldConfig::default(),
            workload: WorkloadConfig::default(),
            engine: EngineConfig::default(),
            target: targets::aura(),
            target_options: TargetOptions::new(),
            settle: true,
            shared_load: false,
            series_points: 60,
            record: RecordConfig::default(),
            variant: Vec::new(),
            sweep: Vec::new(),
            compare: CompareConfig::default(),
            regret: None,
            paper: None,
            tune: None,
        }
    }
}

/// Settings of a target by their names: text, numbers and booleans.
pub type TargetOptions = BTreeMap<String, Value>;

/// What a trial records beside the measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// The share of cached objects whose accesses are recorded, in [0, 1], chosen by hash. A trial
    /// then leaves `cache.aurat.zst` for `aura cache-sim`, and its hit ratio gets a bound. 0
    /// records nothing. Default 0; 1 if `compare` names a metric that needs the bound, such as
    /// `cache.recovery_ops`.
    pub cache: f64,
    /// The share of the keys whose operations are recorded, in [0, 1], chosen by hash. A trial then
    /// leaves `operations.aurat.zst`, which `workload.trace` replays. 0 records nothing. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub operations: f64,
}

fn is_zero(rate: &f64) -> bool {
    *rate == 0.0
}

/// The seeds of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number of seeds, or a list of them")]
pub enum Seeds {
    /// The seeds 1 to this number.
    Count(u32),
    /// These seeds.
    List(Vec<u64>),
}

impl Seeds {
    /// How many they are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Count(count) => (*count).into(),
            Self::List(seeds) => seeds.len() as u64,
        }
    }

    /// The seeds, in order.
    pub fn list(&self) -> Vec<u64> {
        match self {
            Self::Count(count) => (1..=u64::from(*count)).collect(),
            Self::List(seeds) => seeds.clone(),
        }
    }
}

/// Where trials run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorldConfig {
    /// `"simulated"`: virtual time on a model of a device, the same numbers on any machine.
    /// `"real"`: this machine.
    pub kind: World,
    /// The simulated device: a profile's name, or a table with a `profile` and what differs from
    /// it.
    pub device: DeviceProfile,
    /// Simulated world: a file that `aura calibrate` wrote, from the folder of the config. Its
    /// numbers are the device and the prices of CPU work; what `device` and `cpu` set stands above
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<PathBuf>,
    /// The digest of the profile's numbers. It is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_digest: Option<String>,
    /// Simulated cores that work in parallel; threads in the real world.
    pub cores: u32,
    /// What CPU work costs in the simulation.
    pub cpu: CpuCosts,
    /// Real world: where the databases are made, on the disk to be measured. Default: in the
    /// results folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Real world: how tables and value files are read and written. `"direct"`: past the system's
    /// page cache, on Linux and a file system with a device. `"page-cache"`: as programs usually
    /// do, so that the system answers what is left of reads from its memory. Default:
    /// `"page-cache"`. Simulated world with a `profile`: which of its devices, the disk
    /// (`"direct"`, the default) or the page cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<FileIo>,
}

impl Default for WorldConfig {
    fn default() -> Self {
        let device = DeviceProfile::named("nvme").expect("nvme is a registered profile");
        Self {
            kind: World::Simulated,
            device,
            profile: None,
            profile_digest: None,
            cores: 4,
            cpu: CpuCosts::default(),
            directory: None,
            io: None,
        }
    }
}

/// One side of a comparison: a name, and what it sets differently.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The name in tables and plots; unique.
    pub name: String,
    /// Another variant, whose settings this one takes instead of its own: an A/A comparison, which
    /// shows how far chance alone takes equal sides apart. Without this, variants of equal settings
    /// are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Settings of the workload that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WorkloadConfig>")]
    pub workload: Option<Value>,
    /// Settings of the engine that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EngineConfig>")]
    pub engine: Option<Value>,
    /// Settings of the world that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WorldConfig>")]
    pub world: Option<Value>,
    /// What it runs on, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Settings of the target that differ.
    #[serde(default, skip_serializing_if = "TargetOptions::is_empty")]
    pub target_options: TargetOptions,
}

/// A setting that takes several values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The setting's dotted key in `workload`, `engine`, `world` or `target_options`, such as
    /// `"engine.cache.size"`; or `"target"`.
    pub key: String,
    /// The values, at least one. A table sets several keys at once.
    pub values: Vec<Value>,
    /// The names of the values in tables and plots. Default: the values themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// By which metrics variants are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareConfig {
    /// The metrics that answer the question, named before the run. Their p-values are corrected
    /// for being several. Default: `run.throughput_ops`.
    pub primary: Vec<String>,
    /// Further metrics to look at; verdicts on them are exploratory. Default: the headline metrics.
    pub also: Vec<String>,
    /// The relative difference that does not matter, as a share of the baseline's value: anything
    /// smaller is "equivalent".
    pub margin: f64,
    /// Metrics that are shares of one, such as `"cache.hit_ratio" = 0.005`, with the difference
    /// itself that does not matter: here, half a percentage point.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absolute_margin: BTreeMap<String, f64>,
    /// Whether the question is about whole trials, from the load until all debt is paid, and not
    /// about each phase by itself. Throughput and what else debt flatters is then judged once.
    #[serde(skip_serializing_if = "is_false")]
    pub whole: bool,
    /// Whether pairs are added until something is decided, as `aura ab --sequential` does:
    /// intervals and p-values then hold however often one looks, from ten pairs on, and are about
    /// 1.4 times as wide.
    #[serde(skip_serializing_if = "is_false")]
    pub sequential: bool,
    /// The parts in which variants may differ beside the engine. Without, a variant under another
    /// workload or in another world than the baseline gets no verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub across: Vec<Part>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl CompareConfig {
    /// Adds the variant that the others are compared with.
    pub fn against(&self, baseline: &str) -> CompareSettings {
        let Self {
            primary,
            also,
            margin,
            absolute_margin,
            whole,
            sequential,
            across: _,
        } = self.clone();
        CompareSettings {
            baseline: baseline.to_owned(),
            primary,
            also,
            margin,
            absolute_margin,
            whole,
            sequential,
            overrides: BTreeMap::new(),
        }
    }
}

impl Default for CompareConfig {
    fn default() -> Self {
        let CompareSettings {
            baseline: _,
            primary,
            also,
            margin,
            absolute_margin,
            whole,
            sequential,
            overrides: _,
        } = CompareSettings::default();
        Self {
            primary,
            also,
            margin,
            absolute_margin,
            whole,
            sequential,
            across: Vec::new(),
        }
    }
}

/// Everything that a trial depends on, beside its seed and the version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialConfig {
    /// What is done.
    pub workload: WorkloadConfig,
    /// The database's settings.
    pub engine: EngineConfig,
    /// Where it runs.
    pub world: WorldConfig,
    /// Whether it waits for background work after the load.
    pub settle: bool,
    /// Whether it begins from a copy of a database that was loaded for several.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_load: bool,
    /// The most points of a series over time, per phase.
    pub series_points: u32,
    /// What is recorded beside the measurements.
    #[serde(default)]
    pub record: RecordConfig,
    /// What it runs on.
    #[serde(default = "targets::aura", skip_serializing_if = "targets::is_aura")]
    pub target: String,
    /// The settings of that beside the engine's.
    #[serde(default, skip_serializing_if = "TargetOptions::is_empty")]
    pub target_options: TargetOptions,
}
