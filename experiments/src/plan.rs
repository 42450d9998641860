//! The plan: every trial of an experiment, frozen before the first one runs.
//!
//! Trials come in blocks of one seed; a block holds every variant at every point, so that a run that is cut short has
//! compared everything with few seeds rather than half of it with many. In the real world the order within a block is
//! shuffled by its seed, so that no variant always follows the same other one on a machine that warms up.

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::config::{Cell, CompareConfig, Experiment, Point, Sweep, TrialConfig};
use crate::files::{self, FileError};
use crate::record::World;

/// The version of AuraDB; a part of every trial's id.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The plan's file in an experiment's folder.
pub const PLAN_FILE: &str = "plan.jsonl";

/// The file in an experiment's folder that says what was asked.
pub const EXPERIMENT_FILE: &str = "experiment.json";

/// The folder of trials in an experiment's folder.
pub const TRIALS_FOLDER: &str = "trials";

/// One trial to run: a line of `plan.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedTrial {
    /// What it depends on, hashed: its settings, the version and the seed; not the names of variant and experiment.
    pub id: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep's point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// All settings.
    pub config: Value,
    /// The same as TOML, with where each value came from.
    pub resolved: String,
}

impl PlannedTrial {
    /// The settings, typed.
    ///
    /// # Errors
    /// If another version wrote them.
    pub fn settings(&self) -> Result<TrialConfig, serde_json::Error> {
        serde_json::from_value(self.config.clone())
    }

    /// The trial as messages name it.
    pub fn label(&self) -> String {
        let point: String = self
            .point
            .iter()
            .map(|(key, value)| format!(", {key}={value}"))
            .collect();
        format!("{}{point}, seed {}", self.variant, self.seed)
    }
}

/// What was asked: `experiment.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// The name.
    pub name: String,
    /// The command that runs it, from the folder in which the config lies.
    pub command: String,
    /// The question.
    pub question: String,
    /// What was expected.
    pub hypothesis: String,
    /// The variant that the others are compared with.
    pub baseline: String,
    /// By which metrics.
    pub compare: CompareConfig,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The variants in order.
    pub variants: Vec<VariantRecord>,
    /// The sweeps.
    pub sweeps: Vec<Sweep>,
    /// The version of AuraDB.
    pub version: String,
}

/// One variant of `experiment.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantRecord {
    /// Its name.
    pub name: String,
    /// What it sets: dotted key to value, as shown in tables.
    pub overrides: Point,
}

/// An experiment's plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is asked.
    pub experiment: ExperimentRecord,
    /// The trials in the order in which they run.
    pub trials: Vec<PlannedTrial>,
}

impl Plan {
    /// Every cell under every seed.
    pub fn new(experiment: &Experiment) -> Self {
        let identities = identities(&experiment.cells);
        let mut trials = Vec::with_capacity(experiment.seeds.len() * experiment.cells.len());
        for seed in &experiment.seeds {
            let cells = experiment.cells.iter().zip(&identities);
            let mut block: Vec<_> = cells
                .map(|(cell, identity)| planned(cell, identity, *seed))
                .collect();
            if experiment
                .cells
                .iter()
                .any(|cell| cell.config.world.kind == World::Real)
            {
                block.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(*seed));
            }
            trials.extend(block);
        }
        let variants = experiment.variants.iter();
        let variant = |(name, overrides): &(String, Point)| VariantRecord {
            name: name.clone(),
            overrides: overrides.clone(),
        };
        let experiment = ExperimentRecord {
            name: experiment.name.clone(),
            command: experiment.command.clone(),
            question: experiment.question.clone(),
            hypothesis: experiment.hypothesis.clone(),
            baseline: experiment.baseline.clone(),
            compare: experiment.compare.clone(),
            seeds: experiment.seeds.clone(),
            variants: variants.map(variant).collect(),
            sweeps: experiment.sweeps.clone(),
            version: VERSION.to_owned(),
        };
        Self { experiment, trials }
    }

    /// The ids of all trials.
    pub fn ids(&self) -> BTreeSet<String> {
        self.trials.iter().map(|trial| trial.id.clone()).collect()
    }

    /// Freezes the plan in an experiment's folder, in place of the one that stands there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let lines: String = self
            .trials
            .iter()
            .map(|trial| format!("{}\n", json_line(trial)))
            .collect();
        let mut record =
            serde_json::to_string_pretty(&self.experiment).expect("a record is plain data");
        record.push('\n');
        files::write(&folder.join(PLAN_FILE), lines.as_bytes())?;
        files::write(&folder.join(EXPERIMENT_FILE), record.as_bytes())
    }

    /// Reads back what [`Plan::write`] wrote.
    ///
    /// # Errors
    /// If the folder holds no plan, or one of another version.
    pub fn read(folder: &Path) -> Result<Self, PlanError> {
        let read = |name: &str| files::read_to_string(&folder.join(name));
        let bad = |name: &str| {
            let path = folder.join(name).display().to_string();
            move |source| PlanError::Format { path, source }
        };
        let experiment =
            serde_json::from_str(&read(EXPERIMENT_FILE)?).map_err(bad(EXPERIMENT_FILE))?;
        let trials = read(PLAN_FILE)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>();
        Ok(Self {
            experiment,
            trials: trials.map_err(bad(PLAN_FILE))?,
        })
    }
}

/// A plan that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It is not there.
    #[error("this is not the folder of a run: {0}")]
    File(#[from] FileError),
    /// It is not a plan of this version.
    #[error("{path} was not written by this version: {source}")]
    Format {
        /// The file.
        path: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

fn json_line(trial: &PlannedTrial) -> String {
    serde_json::to_string(trial).expect("a planned trial is plain data")
}

/// What each cell's ids are made of: its settings. Where two variants have the same settings, which tells how far chance
/// alone takes them apart, the later one's name is added, so that each has trials of its own.
fn identities(cells: &[Cell]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut identity = |cell: &Cell| {
        let canonical = cell.canonical();
        if seen.insert(canonical.clone()) {
            canonical
        } else {
            format!("{canonical}\n{}", cell.variant)
        }
    };
    cells.iter().map(&mut identity).collect()
}

fn planned(cell: &Cell, identity: &str, seed: u64) -> PlannedTrial {
    let mut id = format!(
        "{:032x}",
        xxh3_128(format!("{identity}\n{VERSION}\n{seed}").as_bytes())
    );
    id.truncate(16);
    PlannedTrial {
        id,
        variant: cell.variant.clone(),
        point: cell.point.clone(),
        seed,
        config: cell.values(),
        resolved: cell.to_toml(),
    }
}
