//! `aura ab --live`: one running engine, switched between two settings, or split between them.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::super::{CommandResult, Failure, Global, compare, complain, interruptible};
use super::shown;
use crate::ab::resolutions;
use crate::code;
use crate::compare::{CompareSettings, Comparison, Context};
use crate::config::Experiment;
use crate::exit::Exit;
use crate::formats::digits;
use crate::live::{Design, Harm, Stop, Switchback, split};
use crate::plan::{Plan, PlannedTrial};
use crate::record::World;
use crate::stats::Test;
use crate::stats::verdict::Verdict;
use crate::trial::{
    Databases, LiveError, LiveResult, LiveSides, Look, TrialError, run_live, run_split,
    split_budgets,
};

/// How a live comparison is designed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LiveDesign {
    /// One engine is switched between A and B, window by window.
    #[default]
    Switchback,
    /// A and B at the same time, each with half of the keys in a tree of its own.
    Split,
}

/// The length and the limits of a live comparison.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Live comparison")]
pub(super) struct LiveArguments {
    /// Switch one running engine between A and B, window by window, instead of running a trial for
    /// each.
    #[arg(long, conflicts_with_all = ["program_a", "program_b", "aa", "shared_load", "sequential",
        "detect", "max_pairs", "scale"])]
    pub(super) live: bool,
    /// How: switch the engine between A and B, or split the keys between them.
    #[arg(long, requires = "live", value_enum, default_value_t)]
    design: LiveDesign,
    /// Operations of a window. Default: a tenth of the phase.
    #[arg(long, requires = "live", value_name = "N")]
    window: Option<u64>,
    /// Operations before each window that are not compared. Default: half as long again as a switch
    /// to B and back was seen to take.
    #[arg(long, requires = "live", value_name = "N")]
    washout: Option<u64>,
    /// The phase of the config that windows repeat. Default: the first with operations.
    #[arg(long, requires = "live", value_name = "PHASE")]
    phase: Option<String>,
    /// Blocks of A against A before those of A and B. Default: 10. A split has as many as --pairs.
    #[arg(long, requires = "live", value_name = "N")]
    aa_blocks: Option<usize>,
    /// The guard's limit: how much worse B may be in a primary metric, as a share.
    #[arg(long, requires = "live", value_name = "SHARE", default_value_t = 0.1)]
    harm: f64,
}

/// What bounds a comparison beside its design.
pub(super) struct Bounds {
    /// The most blocks.
    pub(super) blocks: usize,
    pub(super) budget: Option<Duration>,
    pub(super) keep: bool,
}

impl LiveArguments {
    /// Runs the comparison of an experiment's two cases, and prints what it says.
    pub(super) fn run(
        &self,
        global: &Global,
        experiment: &Experiment,
        bounds: &Bounds,
    ) -> CommandResult {
        let plan = Plan::new(experiment, code::digest()?);
        let [a, b] = &plan.trials[..2] else {
            return Err(Failure::usage("a live comparison has two sides", "name B"));
        };
        let (a, b) = if a.variant == experiment.baseline {
            (a, b)
        } else {
            (b, a)
        };
        let design = self.design(experiment, bounds)?;
        let settings = experiment.compare.against(&experiment.baseline);
        let new = || Switchback::new(design.clone(), settings.clone(), a.seed);
        let sides = LiveSides {
            a,
            b,
            phase: self.phase.as_deref(),
        };
        let databases = Databases {
            folder: global.results.join("databases"),
            keep: bounds.keep,
        };
        if experiment.cases[0].config.world.kind == World::Real && !bounds.keep {
            let database = databases.directory(&a.id, &experiment.cases[0].config);
            interruptible()?.with_database(database);
        }
        let mut say = Progress::new(global, bounds.budget);
        let go_on = &mut |look: &Look<'_>| say.look(look);
        match self.design {
            LiveDesign::Switchback => {
                let found = run_live(&sides, new, &design, &databases, go_on);
                let found = found.map_err(Failure::from)?;
                switchback_in_words(global, &found);
                conclude(global, &found, self.design)
            }
            LiveDesign::Split => {
                self.check_split(&settings)?;
                let found = run_split(&sides, new, &design, &databases, go_on);
                let found = found.map_err(Failure::from)?;
                split_in_words(global, [a, b])?;
                conclude(global, &found, self.design)
            }
        }
    }

    /// Refuses what a split cannot do.
    fn check_split(&self, settings: &CompareSettings) -> Result<(), Failure> {
        let wrong = |what: &str, help: &str| Err(Failure::usage(what, help));
        if self.washout.is_some() || self.aa_blocks.is_some() {
            return wrong(
                "a split switches nothing: it has no washouts, and a window of A against A for \
                 each of --pairs",
                "leave out --washout and --aa-blocks",
            );
        }
        let mut primary = settings.primary.iter();
        if let Some(of_whole) = primary.find(|name| !split::gives(name)) {
            let what = format!(
                "{of_whole} is of the whole: the sides of a split share one stream of operations, \
                 one log and one device, so that no side has its own"
            );
            let help = "compare.primary of the config: such as read.latency_mean_us, \
                        device.reads_per_get, cache.hit_ratio or write.amplification";
            return wrong(&what, help);
        }
        Ok(())
    }

    fn design(&self, experiment: &Experiment, bounds: &Bounds) -> Result<Design, Failure> {
        let wrong = |what: &str, help: &str| Err(Failure::usage(what, help));
        let phases = &experiment.cases[0].config.workload;
        let of_phase = phases.phases.iter().find(|phase| match &self.phase {
            Some(name) => phase.name == *name,
            None => phase.step.is_none(),
        });
        let operations = of_phase
            .and_then(|phase| phase.operations)
            .or(phases.operations);
        let window = self.window.or(operations.map(|all| all / 10)).unwrap_or(0);
        if window < WINDOW_MIN {
            return wrong(
                &format!("a window of {window} operations is too short"),
                "give it at least 100: --window 2000",
            );
        }
        if !(self.harm > 0.0 && self.harm < 1.0) {
            return wrong(
                "--harm is a share above 0 and below 1",
                "such as --harm 0.1",
            );
        }
        if bounds.blocks < Test::Anytime.pairs_min(1) {
            return wrong(
                "a confidence sequence begins with ten blocks",
                "--pairs 10, or more",
            );
        }
        Ok(Design {
            washout: self.washout,
            blocks_of_aa: self.aa_blocks.unwrap_or(BLOCKS_OF_AA),
            blocks_max: bounds.blocks,
            harm: self.harm,
            ..Design::of(window)
        })
    }
}

/// Blocks of A against A in a switchback, if nobody says.
const BLOCKS_OF_AA: usize = 10;

/// What a split is, and what its sides do to each other.
const SPLIT_IN_WORDS: &str = "split: A and B at the same time, on halves of the keys by hash, \
    each a tree of its own, loaded with its settings; what the halves differed by in the same \
    windows under A and A is taken out of each pair. The sides share one log, device and CPU, and \
    writers of both wait if one stalls: a difference of times is rather larger than shown";

/// The least operations of a window.
const WINDOW_MIN: u64 = 100;

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Trial(error) => Self::new(Exit::ClaimFailed, error),
            LiveError::Compare(error) => Self::usage(error, "`aura list metrics` lists metrics"),
            LiveError::Sides(what) => Self::usage(what, "without --live, each side has trials"),
            LiveError::Workload(what) => Self::usage(what, "--phase names another phase"),
        }
    }
}

/// Shows each look, and ends a comparison when the time is up.
struct Progress<'a> {
    global: &'a Global,
    budget: Option<Duration>,
    begun: Instant,
}

impl<'a> Progress<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a budget is time of the person who waits"
    )]
    fn new(global: &'a Global, budget: Option<Duration>) -> Self {
        Self {
            global,
            budget,
            begun: Instant::now(),
        }
    }

    /// Says how far the comparison is; whether it may go on.
    fn look(&mut self, look: &Look<'_>) -> bool {
        let name = if look.is_aa {
            "A against A"
        } else {
            "A against B"
        };
        let blocks = look.so_far.blocks();
        let shown = match look.so_far.comparison() {
            Ok(comparison) => primary_effects(&comparison),
            Err(_) => String::new(),
        };
        self.global
            .remark(&format!("{name}, block {blocks}{shown}"));
        self.budget
            .is_none_or(|budget| self.begun.elapsed() < budget)
    }
}

/// The effects on primary metrics with their intervals, as far as they have any.
fn primary_effects(comparison: &Comparison) -> String {
    let mut shown = String::new();
    for row in comparison.rows.iter().filter(|row| row.primary) {
        if row.low.is_some() {
            shown += &format!(", {} {}", row.metric, row.effect_label());
        }
    }
    shown
}

/// Says how the switches of a switchback went.
fn switchback_in_words(global: &Global, found: &LiveResult) {
    for (to, took) in ["B", "A"].into_iter().zip(found.recovery) {
        if let Some(took) = took {
            global.remark(&format!(
                "a switch to {to} was over after {took} operations"
            ));
        }
    }
    global.remark(&format!(
        "switchback: windows follow washouts of {} operations, on one tree, cache and device; what \
         a side leaves undone beyond a washout is paid in the next window, whichever side has it",
        found.washout
    ));
}

/// Says what budgets the sides of a split had, and what they do to each other.
fn split_in_words(global: &Global, sides: [&PlannedTrial; 2]) -> Result<(), Failure> {
    for (name, side) in ["A", "B"].into_iter().zip(sides) {
        let config = side.settings().map_err(TrialError::from);
        let config = config.map_err(LiveError::from)?;
        let budgets = split_budgets(&config.engine);
        global.remark(&format!("{name} had half of its budgets: {budgets}"));
    }
    global.remark(SPLIT_IN_WORDS);
    Ok(())
}

/// Prints what a live comparison found.
fn conclude(global: &Global, found: &LiveResult, design: LiveDesign) -> CommandResult {
    let mut exit = Exit::Done;
    if found.aa.blocks() > 0 {
        let comparison = found.aa.comparison().map_err(LiveError::from)?;
        for resolution in resolutions(&comparison, Test::Anytime) {
            global.remark(&format!("A against A: {}", shown(&resolution)));
        }
        let mut primary = comparison.rows.iter().filter(|row| row.primary);
        let differs = primary.any(|row| row.verdict.is_difference());
        if differs && design == LiveDesign::Split {
            global.remark(&format!(
                "the halves of the keys differ{}; that is taken out",
                primary_effects(&comparison)
            ));
        } else if differs {
            complain(
                "A was claimed to differ from itself: windows or washouts are too short, or the \
                 machine is not quiet; do not believe what follows",
            );
            exit = Exit::ClaimFailed;
        }
    }
    if found.ab.blocks() > 0 {
        let comparison = found.ab.comparison().map_err(LiveError::from)?;
        compare::show(global, &comparison, Context::default())?;
        let mut primary = comparison.rows.iter().filter(|row| row.primary);
        if primary.any(|row| row.verdict == Verdict::Worse) {
            exit = Exit::ClaimFailed;
        }
    }
    let blocks = found.ab.blocks();
    global.remark(&match &found.stop {
        Stop::Decided => format!("decided after {blocks} blocks"),
        Stop::Longest => format!("all {blocks} blocks were run"),
        Stop::Asked => format!("ended after {blocks} blocks, whatever they showed"),
        Stop::Harm(harm) => {
            exit = Exit::ClaimFailed;
            harm_in_words(harm)
        }
    });
    Ok(exit)
}

fn harm_in_words(harm: &Harm) -> String {
    let times = digits(harm.times, 3);
    let Harm { metric, block, .. } = harm;
    if harm.at_once {
        format!("stopped: B was {times} times worse in {metric} in block {block}")
    } else {
        format!(
            "stopped after block {block}: B was worse in {metric} beyond the guard's limit in as \
             many blocks as a harmless B reaches in at most 5 % of comparisons; {times} times in \
             the last"
        )
    }
}
