//! `aura train`: an agent that learns, over many cells and seeds, into a file.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::changes::Changes;
use super::{CommandResult, Failure, Global, interruptible, jobs};
use crate::code;
use crate::config;
use crate::exit::Exit;
use crate::formats::{Table, digits, print};
use crate::train::state::{COLUMNS, Pass};
use crate::train::{Request, TrainError, train};

/// Train a compaction agent that learns, over the cells and seeds of a config, and save it.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura train experiments/configs/compaction-agents-training.toml --agent ddpg -o ddpg.json
  aura train training.toml -o agent.json --seeds 5 --epochs 30 --patience 5
  aura train training.toml -o agent.json --seeds 5 --epochs 30 --patience 5 --resume

Another config takes the file, whose path is from the config's folder:
  engine.compaction.agent = { policy = \"ddpg\", model = \"agent.json\", learn = false }
The object in the file is also what a program hands to `model` that opens a database itself.

A pass is the variant in every cell (sweep point) under every seed, one trial after the other, each
with what the one before has learned. Then the agent that it left is run without learning, under
seeds that no pass has: what that costs, as `aura regret` prices it, says which agent is kept. The
file has the best so far: what it is, what its numbers mean, what it was trained on, and a digest,
which the ids of its trials cover. Equal configs give equal files.

After each pass all is written that is needed to go on: an interrupted training leaves FILE.partial,
and --resume ends with the same bytes. The curve is beside the file, with the ends `.curve.csv`, the
costs of each pass in all cells and in each, and `.curve.svg`. `aura run` and `aura regret` warn if
an agent meets what it was trained on.

Prints one row per pass: the cost of its trials, the cost of the agent that it left, the actions of
that agent, its digest, and whether it was the best so far. Pass 0 is the agent of the config, as it
is there. Each pass is a line on standard error, too.

Exit codes:
  0   trained, whether it gained anything or not
  1   a trial failed
  2   the config or its agent is wrong, or FILE.partial is of another training; nothing was run
  3   files cannot be read or written
  75  interrupted: run the same command with --resume")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    config: PathBuf,
    /// The file of the agent. One that is there is replaced.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// The variant whose agent is trained. Default: the only one that has such an agent.
    #[arg(long, value_name = "VARIANT")]
    agent: Option<String>,
    #[command(flatten)]
    changes: Changes,
    /// The most passes.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = passes())]
    epochs: u32,
    /// End after this many passes in a row without a gain.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = passes())]
    patience: u32,
    /// Seeds that passes are judged by, the next ones after the largest. Default: as many as there
    /// are to train with.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    validation: Option<u64>,
    /// Go on with a training that was interrupted.
    #[arg(long)]
    resume: bool,
    /// How many trials that judge a pass run in parallel. Default: one per core. Those that learn
    /// run one after the other.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

/// The numbers of passes.
fn passes() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Trial { .. } | TrainError::NothingSeen | TrainError::Unsaved(_) => {
                Self::new(Exit::ClaimFailed, error)
            }
            TrainError::File(error) => error.into(),
            TrainError::Plot(error) => error.into(),
            TrainError::Unfinished(_) => {
                Self::usage(error, "--resume goes on with it; remove it to begin again")
            }
            TrainError::NothingToResume(_) => Self::usage(error, "leave out --resume"),
            TrainError::OtherTraining(_) => Self::usage(
                error,
                "remove it to begin again, or name another file with -o",
            ),
        }
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let (sets, size) = (self.changes.sets()?, self.changes.size());
        let known = global.targets.known();
        let named = self.agent.as_deref();
        let training = config::load_training(&self.config, &sets, size, &known, named)?;
        let count = self
            .validation
            .unwrap_or(training.experiment.seeds.len() as u64);
        let Some(validation_seeds) = training.validation_seeds(count) else {
            return Err(Failure::usage(
                "the seeds leave no larger numbers to judge passes by",
                "smaller ones do as well",
            ));
        };
        let interrupt = interruptible()?;
        interrupt.resumed_by("the passes so far are kept; the same command with --resume goes on");
        global.remark(&format!(
            "{}: {} cells, {} seeds; judged by the seeds {} to {}",
            training.variant,
            training.experiment.cases.len(),
            training.experiment.seeds.len(),
            validation_seeds[0],
            validation_seeds[validation_seeds.len() - 1]
        ));
        let request = Request {
            training: &training,
            validation_seeds,
            epochs: self.epochs,
            patience: self.patience,
            out: &self.out,
            resume: self.resume,
            jobs: jobs(self.jobs),
            code: code::digest()?,
            targets: global.targets,
            interrupt: &interrupt,
        };
        let passes = train(&request, &mut |pass| global.remark(&in_words(pass)))?;
        print(&Table::of(&COLUMNS, &passes).text(global.format))?;
        if let Some(words) = gain(&passes) {
            global.remark(&words);
        }
        global.remark(&format!("wrote {}", self.out.display()));
        Ok(Exit::Done)
    }
}

/// One pass in words.
fn in_words(pass: &Pass) -> String {
    let cost = |cost: f64| digits(cost, 4);
    let validation = cost(pass.validation_cost_s);
    match pass.training_cost_s {
        None => format!("untrained: {validation} s a trial"),
        Some(training) => format!(
            "pass {}: {} s a trial while it learns, {validation} s frozen, {} actions{}",
            pass.pass,
            cost(training),
            pass.decisions,
            if pass.kept { ", the best so far" } else { "" }
        ),
    }
}

/// What training gained.
fn gain(passes: &[Pass]) -> Option<String> {
    let untrained = passes.first()?.validation_cost_s;
    let best = passes.iter().rev().find(|pass| pass.kept)?;
    let share = best.validation_cost_s / untrained - 1.0;
    let percent = digits(100.0 * share.abs(), 2);
    Some(match share < 0.0 {
        true => format!(
            "pass {} is kept: {percent} % cheaper than the untrained agent, under the seeds that \
             it was chosen by",
            best.pass
        ),
        false => format!(
            "pass {} is kept, and no gain: the untrained agent is {percent} % cheaper",
            best.pass
        ),
    })
}
