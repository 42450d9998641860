//! The table `tune`: what a search may set, what it is to improve, and what it must keep.
//!
//! ```text
//!   [tune] --read, knob, goal--> space, goal, request --tuning--> a case for each point
//! ```
//!
//! The settings of a point are one layer over the baseline's, under `--set`, as a sweep's values
//! are.

mod goal;
mod knob;
mod read;
mod tuning;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExperimentFile;
use super::error::ConfigError;
use crate::optimise::search::Method;

pub(crate) use read::WINNER;
pub use tuning::{Before, Tuning};

/// What `aura tune` searches, and by what it judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TuneConfig {
    /// How the next points are chosen. Default: `"bayesian"`.
    pub method: Method,
    /// The budget: how many points are measured, each under every seed of the search. With
    /// `"halving"` a point with a third of the operations counts as a third; a grid has as many as
    /// its levels make. The baseline is measured beside them. Default: 40.
    pub points: u32,
    /// The seeds that every point is run with, those of the config first: all points meet the same
    /// operations. Default: 2.
    pub seeds: u32,
    /// The seed of the search's own random numbers. Default: 1.
    pub seed: u64,
    /// How many points are chosen before the outcomes of the first of them are known. It does not
    /// depend on how many jobs run. Default: 2.
    pub batch: u32,
    /// Of `"halving"`: one of this many points goes on. Default: 3.
    pub eta: u32,
    /// The metric to make small: `"metric"`, or `"metric@phase"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimize: Option<String>,
    /// The metric to make large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximize: Option<String>,
    /// Several metrics with their weights. The cost is the weighted sum of each one's ratio to the
    /// baseline's value, or of the inverse ratio where more is better: the baseline costs the sum
    /// of the weights.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost: BTreeMap<String, f64>,
    /// What must be kept, by metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, LimitConfig>,
    /// The comparison of the winner with the baseline.
    pub confirm: ConfirmConfig,
    /// The settings that are searched.
    pub knob: Vec<KnobConfig>,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            method: Method::default(),
            points: 40,
            seeds: 2,
            seed: 1,
            batch: 2,
            eta: 3,
            minimize: None,
            maximize: None,
            cost: BTreeMap::new(),
            constraints: BTreeMap::new(),
            confirm: ConfirmConfig::default(),
            knob: Vec::new(),
        }
    }
}

/// A limit on a metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Its largest mean over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<EndConfig>,
    /// Its smallest mean over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<EndConfig>,
}

/// Where a limit lies: a value, or as a text such as `"1.1x"` a multiple of the baseline's mean
/// under equal seeds, those of the search or the fresh ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, or a multiple of the baseline's value such as \"1.1x\""
)]
pub enum EndConfig {
    /// This value.
    Value(f64),
    /// A multiple of the baseline's value.
    OfBaseline(String),
}

/// How the winner is compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmConfig {
    /// How many fresh seeds, which no point of the search has met. Default: 8.
    pub seeds: u32,
}

impl Default for ConfirmConfig {
    fn default() -> Self {
        Self { seeds: 8 }
    }
}

/// A setting that is searched: a range with `min` and `max`, or a list of `values`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KnobConfig {
    /// The setting's dotted key in `workload`, `engine`, `world` or `target_options`.
    pub key: String,
    /// The smallest value: a number, or a size such as `"64KiB"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// How values are spread. Default: `"log"` for sizes, else `"linear"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Spread>,
    /// The distance between values from `min` on. Default: values are rounded to what can be
    /// written briefly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Value>,
    /// How many values of a range a grid has. Default: 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// The values, if they are listed. A table sets several keys at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The names of the listed values in tables. Default: the values themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Another size, which gets what this one leaves of a total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestConfig>,
}

/// A size that gets what a knob leaves of a total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestConfig {
    /// Its dotted key.
    pub key: String,
    /// The total, such as `"4MiB"`.
    pub of: Value,
}

/// How the values of a range are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Evenly.
    Linear,
    /// By equal factors.
    Log,
}

/// The error of a config without the table.
pub(super) fn missing(head: &ExperimentFile) -> ConfigError {
    let metric = head.compare.primary.first();
    let metric = metric.map_or("run.throughput_ops", String::as_str);
    ConfigError::new("the config has no table `tune`: what may be set, and what is to improve?")
        .help(format!(
            "for example\n[tune]\nmaximize = \"{metric}\"\n[[tune.knob]]\n\
             key = \"engine.memtable\"\nmin = \"64KiB\"\nmax = \"4MiB\"\n\
             `aura tune --help` says more"
        ))
}
