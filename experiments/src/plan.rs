//! The plan: every trial of an experiment, frozen before the first one runs.
//!
//! Trials come in blocks of one seed. A block holds every variant at every sweep point, so that a
//! run that is cut short has compared everything with few seeds rather than half of it with many.
//! In the real world the order within a block is shuffled by its seed, so that no variant always
//! follows the same other one on a machine that warms up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use crate::code::short_hash;
use crate::compare::Expectation;
use crate::config::{Case, CompareConfig, Experiment, Sweep, TrialConfig, VariantSettings};
use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::formats::{JsonText, json, write_lines};
use crate::metrics::{self, Debt};
use crate::point::Point;
use crate::record::World;
use crate::regret::RegretConfig;

/// The version of AuraDB; a part of every trial's id.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One trial to run: a line of `plan.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedTrial {
    /// The hash of what the trial depends on: the program, settings and seed. The names of variant
    /// and experiment are not part of it.
    pub id: String,
    /// The hash of settings and seed alone: equal for trials that differ in the program.
    pub case: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// All settings.
    pub config: JsonText,
    /// All settings as TOML, with where each value came from.
    pub resolved: String,
}

impl PlannedTrial {
    /// Returns the settings, typed.
    ///
    /// # Errors
    /// The JSON error if another version wrote them.
    pub fn settings(&self) -> Result<TrialConfig, serde_json::Error> {
        self.config.read()
    }

    /// Whether the trial runs in `world`.
    pub fn runs_in(&self, world: World) -> bool {
        self.settings()
            .is_ok_and(|config| config.world.kind == world)
    }

    /// The trial's name in messages.
    pub fn label(&self) -> String {
        label(&self.variant, &self.point, self.seed)
    }

    /// The hash of all settings: equal for trials that differ in the seed or the program.
    pub fn settings_hash(&self) -> String {
        short_hash(self.config.text().as_bytes())
    }
}

/// A trial's name in messages.
pub(crate) fn label(variant: &str, point: &Point, seed: u64) -> String {
    let mut label = variant.to_owned();
    for (key, value) in point {
        label += &format!(", {key}={value}");
    }
    format!("{label}, seed {seed}")
}

/// What was asked: `experiment.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// The name.
    pub name: String,
    /// The command that runs it, from the folder of the config.
    pub command: String,
    /// The question.
    pub question: String,
    /// What was expected.
    pub hypothesis: String,
    /// The parts of it that the run decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The variant that the others are compared with.
    pub baseline: String,
    /// By which metrics.
    pub compare: CompareConfig,
    /// Which variants stand still and which know the phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret: Option<RegretConfig>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Seeds whose results were compared before, without some of `seeds`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<u64>,
    /// The variants in order.
    pub variants: Vec<VariantRecord>,
    /// The sweeps.
    pub sweeps: Vec<Sweep>,
    /// The version of AuraDB.
    pub version: String,
    /// The digest of the program that planned it.
    #[serde(default)]
    pub code: String,
    /// The digests of other programs that run the trials of a variant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, String>,
    /// What a reader must know before the results.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One variant of `experiment.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantRecord {
    /// The name.
    pub name: String,
    /// What it sets: dotted key to value, as tables show it.
    pub overrides: Point,
}

impl VariantRecord {
    fn of(variant: &VariantSettings) -> Self {
        Self {
            name: variant.name.clone(),
            overrides: variant.settings.clone(),
        }
    }
}

impl ExperimentRecord {
    fn of(experiment: &Experiment, code: &str) -> Self {
        Self {
            name: experiment.name.clone(),
            command: experiment.command.clone(),
            question: experiment.question.clone(),
            hypothesis: experiment.hypothesis.clone(),
            expect: experiment.expect.clone(),
            baseline: experiment.baseline.clone(),
            compare: experiment.compare.clone(),
            regret: experiment.regret.clone(),
            seeds: experiment.seeds.clone(),
            looked_at: Vec::new(),
            variants: experiment.variants.iter().map(VariantRecord::of).collect(),
            sweeps: experiment.sweeps.clone(),
            version: VERSION.to_owned(),
            code: code.to_owned(),
            programs: BTreeMap::new(),
            warnings: experiment.warnings.clone(),
        }
    }

    /// Reads what was asked in an experiment's folder.
    ///
    /// # Errors
    /// [`PlanError`] if the folder holds no experiment, or one of another version.
    pub fn read(folder: &RunFolder) -> Result<Self, PlanError> {
        let path = folder.experiment();
        serde_json::from_str(&files::read_to_string(&path)?)
            .map_err(|source| PlanError::Format { path, source })
    }
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
    /// Plans every case under every seed, to be run by the program whose digest is `code`
    /// ([`crate::code::digest`]).
    pub fn new(experiment: &Experiment, code: &str) -> Self {
        Self::for_programs(experiment, code, &BTreeMap::new())
    }

    /// Plans every case under every seed by the program whose digest is `code`, but those of some
    /// variants to be run by other programs, whose digests `programs` has by variant.
    pub fn for_programs(
        experiment: &Experiment,
        code: &str,
        programs: &BTreeMap<String, String>,
    ) -> Self {
        let cases = &experiment.cases;
        let identities = identities(cases);
        let real = cases
            .iter()
            .any(|case| case.config.world.kind == World::Real);
        let mut trials = Vec::with_capacity(experiment.seeds.len() * cases.len());
        for seed in &experiment.seeds {
            let mut block: Vec<_> = cases
                .iter()
                .zip(&identities)
                .map(|(case, identity)| {
                    let code = programs.get(&case.variant).map_or(code, String::as_str);
                    planned(case, identity, *seed, code)
                })
                .collect();
            if real {
                block.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(*seed));
            }
            trials.extend(block);
        }
        let mut experiment = ExperimentRecord::of(experiment, code);
        experiment.programs.clone_from(programs);
        Self { experiment, trials }
    }

    /// Whether some of its trials run in the real world. Every seed has all cases, so that those of
    /// the first one decide: the settings of all trials of a large plan take long to read.
    pub fn is_real(&self) -> bool {
        let first = self.trials.first().map(|trial| trial.seed);
        let block = self.trials.iter().take_while(|it| Some(it.seed) == first);
        block.into_iter().any(|trial| trial.runs_in(World::Real))
    }

    /// How many comparisons of primary metrics there are, at most: a metric may have no value in
    /// some phase. Costs that include their debt are compared once, in the whole trial.
    pub fn comparisons(&self) -> usize {
        let points: BTreeSet<&Point> = self.trials.iter().map(|trial| &trial.point).collect();
        let settings = self.trials.first().and_then(|trial| trial.settings().ok());
        let phases = settings.map_or(1, |settings| {
            let phases = settings.workload.phases.iter();
            phases.filter(|phase| phase.step.is_none()).count().max(1)
        });
        let compare = &self.experiment.compare;
        let windows = |name: &String| match metrics::find(name).map(|metric| metric.debt) {
            Ok(Debt::Charged) => 1,
            Ok(Debt::Flattered) if compare.whole => 1,
            _ => phases,
        };
        let windows: usize = compare.primary.iter().map(windows).sum();
        let others = self.experiment.variants.len().saturating_sub(1);
        windows * others * points.len()
    }

    /// Remembers which of its trials were compared before, under `earlier`. A look at the same
    /// seeds is no new one.
    pub fn remember(&mut self, earlier: &Self) {
        let cases: BTreeSet<&str> = self.trials.iter().map(|it| it.case.as_str()).collect();
        let shared = earlier.trials.iter();
        let shared = shared.filter(|it| cases.contains(it.case.as_str()));
        let mut looked_at: BTreeSet<u64> = shared.map(|it| it.seed).collect();
        if looked_at.is_empty() {
            // Other settings, or fresh seeds: nothing of this was seen.
            return;
        }
        if earlier.experiment.seeds == self.experiment.seeds {
            looked_at.clear();
        }
        looked_at.extend(&earlier.experiment.looked_at);
        self.experiment.looked_at = looked_at.into_iter().collect();
    }

    /// The ids of all trials.
    pub fn ids(&self) -> BTreeSet<String> {
        self.trials.iter().map(|trial| trial.id.clone()).collect()
    }

    /// Freezes the plan in an experiment's folder, in place of an older one.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), FileError> {
        files::replace_by(&folder.plan(), |writer| write_lines(writer, &self.trials))?;
        files::write(&folder.experiment(), json(&self.experiment).as_bytes())
    }

    /// Reads the plan of an experiment's folder.
    ///
    /// # Errors
    /// [`PlanError`] if the folder holds no plan, or one of another version.
    pub fn read(folder: &RunFolder) -> Result<Self, PlanError> {
        Self::read_each(folder, |trial| trial)
    }

    /// Reads the plan of an experiment's folder without the settings as TOML: only a trial's folder
    /// has a use for them, and they are most of a plan.
    ///
    /// # Errors
    /// [`PlanError`] if the folder holds no plan, or one of another version.
    pub fn read_briefly(folder: &RunFolder) -> Result<Self, PlanError> {
        Self::read_each(folder, |trial| PlannedTrial {
            resolved: String::new(),
            ..trial
        })
    }

    fn read_each(
        folder: &RunFolder,
        keep: fn(PlannedTrial) -> PlannedTrial,
    ) -> Result<Self, PlanError> {
        let experiment = ExperimentRecord::read(folder)?;
        let path = folder.plan();
        let mut trials = Vec::new();
        for line in BufReader::new(files::open(&path)?).lines() {
            let line = line.map_err(|source| FileError {
                action: "read",
                path: path.clone(),
                source,
            })?;
            let trial = serde_json::from_str(&line).map_err(|source| PlanError::Format {
                path: path.clone(),
                source,
            })?;
            trials.push(keep(trial));
        }
        Ok(Self { experiment, trials })
    }
}

/// A plan that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The folder holds no plan.
    #[error("this is not the folder of a run: {0}")]
    File(#[from] FileError),
    /// The plan is not one of this version.
    #[error("{} was not written by this version: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// Returns what each case's ids are made of: its settings.
///
/// Two variants may have equal settings, to show how far chance alone takes them apart. The later
/// one's name is then added, so that each has trials of its own.
fn identities(cases: &[Case]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut identities = Vec::with_capacity(cases.len());
    for case in cases {
        let canonical = case.canonical();
        if seen.insert(canonical.clone()) {
            identities.push(canonical);
        } else {
            identities.push(format!("{canonical}\n{}", case.variant));
        }
    }
    identities
}

fn planned(case: &Case, identity: &str, seed: u64, code: &str) -> PlannedTrial {
    let settings = format!("{identity}\n{VERSION}\n{seed}");
    PlannedTrial {
        id: short_hash(format!("{settings}\n{code}").as_bytes()),
        case: short_hash(settings.as_bytes()),
        variant: case.variant.clone(),
        point: case.point.clone(),
        seed,
        config: JsonText::of(&case.values()),
        resolved: case.to_toml().to_owned(),
    }
}
