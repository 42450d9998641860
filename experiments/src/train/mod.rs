//! The life of an agent that learns: trained over cells and seeds, chosen under other seeds, saved.
//!
//! ```text
//!   pass:  seed 1, cell 1 --learned--> cell 2 --> ... --> seed 2, cell 1 --> ... --> an agent
//!   then:  it, frozen, in every cell under validation seeds --> a cost; the cheapest is kept
//! ```
//!
//! The trials of a pass run one after the other: each begins with what the one before has learned.
//! Those that validate run side by side. The cost of a trial is that of `aura regret`, the drain
//! included. Everything is simulated, and random choices depend on the trial's seed and the number
//! of the pass: equal configs give equal files. What is known after each pass is kept beside the
//! file ([`state`]), so that an interrupted training goes on and ends with the same bytes.

pub mod state;
mod trials;

use std::path::Path;

use aura_policies::agent::AgentFile;
use serde_json::Value;

use crate::agent_files::{TrainedCell, TrainedOn};
use crate::code::short_hash;
use crate::config::{Case, Training};
use crate::files::{self, FileError};
use crate::formats::json;
use crate::plan::{Plan, VERSION};
use crate::plot::PlotError;
use crate::point::{self, Point};
use crate::run::Interrupt;
use crate::stats;
use crate::trial::{Targets, TrialError};

use state::{CellCost, Pass, State, curve, curve_paths, drawn, partial_path};
use trials::{Paid, Trials};

/// Why an agent is not trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A trial failed.
    #[error("{trial}: {source}")]
    Trial {
        /// Its name.
        trial: String,
        /// Why.
        source: Box<TrialError>,
    },
    /// No window of operations ended in a whole pass.
    #[error("the agent has seen nothing to learn from: no window of operations ended")]
    NothingSeen,
    /// What the agent saved is no file of an agent.
    #[error("the agent cannot be saved: {0}")]
    Unsaved(serde_json::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The curve cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A training that was interrupted is there, and it was not said to go on.
    #[error("{0} is of a training that was interrupted")]
    Unfinished(String),
    /// There is no training to go on with.
    #[error("{0} is not there: there is nothing to go on with")]
    NothingToResume(String),
    /// The training that was interrupted is another one.
    #[error("{0} is of another training: of other settings, seeds or another build of the program")]
    OtherTraining(String),
}

/// What is to be trained, and how long.
pub struct Request<'a> {
    /// The agent, its cells and its seeds.
    pub training: &'a Training,
    /// The seeds that passes are judged by.
    pub validation_seeds: Vec<u64>,
    /// The most passes.
    pub epochs: u32,
    /// Passes in a row without a gain after which it ends.
    pub patience: u32,
    /// The file.
    pub out: &'a Path,
    /// Whether it goes on with one that was interrupted.
    pub resume: bool,
    /// How many trials that validate run in parallel.
    pub jobs: usize,
    /// The digest of the program.
    pub code: &'a str,
    /// What trials may run on.
    pub targets: Targets,
    /// What may end it early.
    pub interrupt: &'a Interrupt,
}

/// Trains an agent, shows each pass, and returns all of them: the first, number 0, is the agent of
/// the config, untrained. The cheapest agent so far is always in the file.
///
/// # Errors
/// [`TrainError`]. A training that failed or was interrupted can be resumed.
pub fn train(request: &Request<'_>, show: &mut dyn FnMut(&Pass)) -> Result<Vec<Pass>, TrainError> {
    let session = Session::new(request);
    let mut state = session.begin()?;
    if state.passes.is_empty() {
        state.passes.push(session.untrained()?);
        session.keep(&state)?;
    }
    state.passes.iter().for_each(&mut *show);
    while !session.is_over(&state) {
        session.pass(&mut state)?;
        session.keep(&state)?;
        state.passes.iter().last().into_iter().for_each(&mut *show);
    }
    let partial = partial_path(request.out);
    session
        .request
        .interrupt
        .while_writing(|| files::remove(&partial))?;
    Ok(state.passes)
}

struct Session<'a> {
    request: &'a Request<'a>,
    /// What the training depends on.
    identity: String,
    learning: Trials<'a>,
    validating: Trials<'a>,
}

impl<'a> Session<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        let training = request.training;
        let trials = |seeds: &[u64]| {
            let mut experiment = training.experiment.clone();
            experiment.seeds = seeds.to_vec();
            Trials {
                trials: Plan::new(&experiment, request.code).trials,
                experiment: &training.experiment.name,
                price: training.price,
                targets: request.targets,
            }
        };
        Self {
            identity: short_hash(
                format!("{}\n{}", config_digest(request), request.code).as_bytes(),
            ),
            learning: trials(&training.experiment.seeds),
            validating: trials(&request.validation_seeds),
            request,
        }
    }

    /// What there is to go on with, or a state without passes.
    fn begin(&self) -> Result<State, TrainError> {
        let partial = partial_path(self.request.out);
        let shown = || partial.display().to_string();
        match (self.request.resume, State::read(&partial)?) {
            (true, Some(state)) if state.identity == self.identity => Ok(state),
            (true, Some(_)) => Err(TrainError::OtherTraining(shown())),
            (true, None) => Err(TrainError::NothingToResume(shown())),
            (false, Some(_)) => Err(TrainError::Unfinished(shown())),
            (false, None) => {
                let state = State {
                    identity: self.identity.clone(),
                    passes: Vec::new(),
                    model: Value::Null,
                    best: Value::Null,
                };
                // A place that cannot be written to is found before anything is run.
                self.keep(&state)?;
                Ok(state)
            }
        }
    }

    /// What the agent of the config costs, as it is.
    fn untrained(&self) -> Result<Pass, TrainError> {
        let judged = self.validating.as_they_are(self.request.jobs)?;
        Ok(summary(0, &[], &judged, String::new()))
    }

    fn is_over(&self, state: &State) -> bool {
        let done = state.last();
        done >= self.request.epochs || done - state.best_pass() >= self.request.patience
    }

    /// Learns in every cell under every seed, and sees what the agent costs that does not go on.
    fn pass(&self, state: &mut State) -> Result<(), TrainError> {
        let number = state.last() + 1;
        let before = (!state.model.is_null()).then(|| state.model.clone());
        let (learned, paid) = self.learning.learn(before, number)?;
        let judged = self.validating.frozen(&learned, self.request.jobs)?;
        let digest = learned["digest"].as_str().unwrap_or_default().to_owned();
        let mut pass = summary(number, &paid, &judged, digest);
        let best = state.best_cost();
        pass.kept = best.is_none_or(|best| pass.validation_cost_s < best);
        if pass.kept {
            state.best = learned.clone();
        }
        state.model = learned;
        state.passes.push(pass);
        Ok(())
    }

    /// Writes the best agent so far, the curve and what is needed to go on, each whole or not at
    /// all.
    fn keep(&self, state: &State) -> Result<(), TrainError> {
        let out = self.request.out;
        let agent = self.agent(state)?;
        let training = self.request.training;
        let subtitle = format!("{} of {}", training.variant, training.experiment.name);
        let figure = drawn(&state.passes, &subtitle)?;
        let written = self.request.interrupt.while_writing(|| {
            if let Some(agent) = agent {
                files::replace(out, json(&agent.into_value()).as_bytes())?;
                let [numbers, picture] = curve_paths(out);
                files::replace(&numbers, curve(&state.passes).as_bytes())?;
                files::replace(&picture, figure.unwrap_or_default().as_bytes())?;
            }
            files::replace(&partial_path(out), json(state).as_bytes())
        });
        Ok(written?)
    }

    /// The best agent so far, as its file says it; `None` before the first pass.
    fn agent(&self, state: &State) -> Result<Option<AgentFile>, TrainError> {
        let Some(cost) = state.best_cost() else {
            return Ok(None);
        };
        let training = self.request.training;
        let experiment = &training.experiment;
        let trained_on = TrainedOn {
            experiment: experiment.name.clone(),
            variant: training.variant.clone(),
            config: config_digest(self.request),
            cells: cells(training),
            seeds: experiment.seeds.clone(),
            validation_seeds: self.request.validation_seeds.clone(),
            pass: state.best_pass(),
            passes: state.last(),
            validation_cost_s: cost,
            version: VERSION.to_owned(),
        };
        let best = state.best.clone();
        let mut file: AgentFile = serde_json::from_value(best).map_err(TrainError::Unsaved)?;
        file.trained_on = serde_json::to_value(trained_on).map_err(TrainError::Unsaved)?;
        file.parameters = trials::parameters(training);
        Ok(Some(file))
    }
}

/// The cells, each once.
fn cells(training: &Training) -> Vec<TrainedCell> {
    let cases = training.experiment.cases.iter();
    let cell = |case: &Case| TrainedCell {
        name: cell_name(&case.point),
        digest: case.cell(),
    };
    cases.map(cell).collect()
}

/// A cell's name in curves and files.
fn cell_name(point: &Point) -> String {
    match point.is_empty() {
        true => "the workload".to_owned(),
        false => point::label(point),
    }
}

/// A digest of all that a training depends on, beside the program.
fn config_digest(request: &Request<'_>) -> String {
    let experiment = &request.training.experiment;
    let mut text = format!("{VERSION}\n{:?}\n", request.training.price);
    for case in &experiment.cases {
        text += &format!("{}\n{}\n", cell_name(&case.point), case.canonical());
    }
    text += &format!("{:?}\n{:?}", experiment.seeds, request.validation_seeds);
    short_hash(text.as_bytes())
}

/// What a pass cost, in all cells together and in each.
fn summary(pass: u32, learning: &[Paid], judged: &[Paid], digest: String) -> Pass {
    let mean = |paid: &[&Paid]| {
        let costs: Vec<f64> = paid.iter().map(|paid| paid.cost_s).collect();
        (!costs.is_empty()).then(|| stats::geometric_mean(&costs))
    };
    let of = |paid: &'_ [Paid], cell: Option<&str>| -> Option<f64> {
        let own = paid
            .iter()
            .filter(|it| cell.is_none_or(|cell| it.cell == cell));
        mean(&own.collect::<Vec<_>>())
    };
    let decisions = |cell: Option<&str>| {
        let own = judged
            .iter()
            .filter(|it| cell.is_none_or(|cell| it.cell == cell));
        own.map(|it| it.decisions).sum()
    };
    let mut cells: Vec<CellCost> = Vec::new();
    for Paid { cell, .. } in judged {
        if cells.iter().all(|known| known.cell != *cell) {
            cells.push(CellCost {
                training_cost_s: of(learning, Some(cell)),
                validation_cost_s: of(judged, Some(cell)).unwrap_or(f64::NAN),
                decisions: decisions(Some(cell)),
                cell: cell.clone(),
            });
        }
    }
    Pass {
        pass,
        training_cost_s: of(learning, None),
        validation_cost_s: of(judged, None).unwrap_or(f64::NAN),
        decisions: decisions(None),
        digest,
        kept: false,
        cells,
    }
}
