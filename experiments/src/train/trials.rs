//! The trials of a training: the same settings with another agent in them.

use aura_policies::agent::SAVED;
use aura_workloads::names::WHOLE;
use serde_json::{Map, Value};

use super::{TrainError, cell_name};
use crate::agent_files::LEARN;
use crate::config::Training;
use crate::formats::JsonText;
use crate::metrics;
use crate::parallel;
use crate::plan::PlannedTrial;
use crate::record::TrialResult;
use crate::regret::{self, PriceConfig};
use crate::trial::{self, Databases, Targets};

/// The trials of one variant in every cell: seed by seed.
pub(super) struct Trials<'a> {
    pub(super) trials: Vec<PlannedTrial>,
    pub(super) experiment: &'a str,
    pub(super) price: PriceConfig,
    pub(super) targets: Targets,
}

/// What a trial cost.
pub(super) struct Paid {
    pub(super) cell: String,
    pub(super) cost_s: f64,
    /// Actions of the agent.
    pub(super) decisions: u64,
}

impl Trials<'_> {
    /// Runs all trials as the config has them.
    pub(super) fn as_they_are(&self, jobs: usize) -> Result<Vec<Paid>, TrainError> {
        self.side_by_side(jobs, &|_| {})
    }

    /// Runs all trials with an agent that goes on as it is.
    pub(super) fn frozen(&self, model: &Value, jobs: usize) -> Result<Vec<Paid>, TrainError> {
        self.side_by_side(jobs, &|agent| {
            agent.insert(SAVED.to_owned(), model.clone());
            agent.insert(LEARN.to_owned(), false.into());
        })
    }

    /// Runs the trials one after the other, each with the agent that the one before has left; the
    /// first with `model`, or with that of the config. Returns the agent that the last one leaves.
    pub(super) fn learn(
        &self,
        mut model: Option<Value>,
        pass: u32,
    ) -> Result<(Value, Vec<Paid>), TrainError> {
        let mut paid = Vec::new();
        for trial in &self.trials {
            let mut settings = trial.config.value();
            if let Some(agent) = agent_of(&mut settings) {
                agent.insert(LEARN.to_owned(), true.into());
                if let Some(model) = &model {
                    agent.insert(SAVED.to_owned(), model.clone());
                }
            }
            // Each pass tries other things at random, and meets the same operations.
            if let Some(seed) = settings.pointer_mut("/engine/seed") {
                *seed = seed
                    .as_u64()
                    .unwrap_or_default()
                    .wrapping_add(pass.into())
                    .into();
            }
            let result = self.run(trial, &settings)?;
            paid.push(self.paid(trial, &result));
            // An agent that has seen no window has nothing to save.
            model = result.learned.or(model);
        }
        Ok((model.ok_or(TrainError::NothingSeen)?, paid))
    }

    fn side_by_side(
        &self,
        jobs: usize,
        change: &(dyn Fn(&mut Map<String, Value>) + Sync),
    ) -> Result<Vec<Paid>, TrainError> {
        let mut results: Vec<Option<Result<Paid, TrainError>>> = Vec::new();
        results.resize_with(self.trials.len(), || None);
        let run = |trial: &PlannedTrial| {
            let mut settings = trial.config.value();
            agent_of(&mut settings).into_iter().for_each(change);
            let result = self.run(trial, &settings)?;
            Ok(self.paid(trial, &result))
        };
        parallel::for_each(&self.trials, jobs, run, |at, paid| results[at] = Some(paid));
        results.into_iter().flatten().collect()
    }

    fn run(&self, trial: &PlannedTrial, settings: &Value) -> Result<TrialResult, TrainError> {
        let changed = PlannedTrial {
            config: JsonText::of(settings),
            ..trial.clone()
        };
        let databases = Databases::default();
        let run = trial::run_among(self.targets, &changed, self.experiment, &databases, None);
        run.map_err(|source| TrainError::Trial {
            trial: trial.label(),
            source: Box::new(source),
        })
    }

    fn paid(&self, trial: &PlannedTrial, result: &TrialResult) -> Paid {
        let rows = metrics::derive(result);
        let whole = rows.iter().filter(|row| row.phase == WHOLE);
        let actions = whole.filter(|row| row.metric == "agent.actions");
        Paid {
            cell: cell_name(&trial.point),
            cost_s: regret::cost_of_trial(&rows, self.price),
            decisions: actions.map(|row| row.value as u64).sum(),
        }
    }
}

/// The agent in a trial's settings.
fn agent_of(settings: &mut Value) -> Option<&mut Map<String, Value>> {
    settings
        .pointer_mut("/engine/compaction/agent")?
        .as_object_mut()
}

/// The parameters of the agent that is trained, beside the agent itself.
pub(super) fn parameters(training: &Training) -> Value {
    let first = training.experiment.cases.first();
    let parameters = first.map(|case| &case.config.engine.compaction.agent.params);
    let own = parameters.into_iter().flatten();
    let own = own.filter(|(name, _)| ![SAVED, LEARN].contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
