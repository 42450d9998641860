//! `aura ab`: two sides, compared in pairs.

mod live;
mod session;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{CommandResult, Failure, Global, OpenedRun, complain, interruptible};
use crate::ab::{self, PAIRS_OF_PILOT, Resolution, SIDES, Side, pairs_for, resolutions};
use crate::code;
use crate::compare::{CompareRow, Comparison};
use crate::config::{self, Experiment};
use crate::exit::Exit;
use crate::formats::{digits, quoted};
use crate::metrics::Scale;
use crate::record::World;
use crate::run::RunOptions;
use crate::stats::Test;
use crate::trial::layout;

use super::run::conclude;
use live::{Bounds, LiveArguments};
use session::Session;

/// Compare two sides, A and B, in randomised pairs: two configs, one config and what B sets, or two
/// builds of the program.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura ab quickstart.toml --variant-b sieve-leveled
  aura ab mine.toml -b engine.cache.eviction=sieve --pairs auto
  aura ab mine.toml theirs.toml --pairs 12 --budget 20m
  aura ab mine.toml -b engine.table.filter.bits=12 --sequential
  aura ab mine.toml --program-a ./aura-main --pairs 12    this build against another
  aura ab mine.toml --aa --pairs 20                        what this machine can see
  aura ab disk.toml -b engine.cache.eviction=lru --shared-load
  aura ab disk.toml -b engine.compaction.level0_trigger=8 --live
  aura ab disk.toml -b engine.cache.size=64MiB --live --design split

A is the first config's baseline. B is the second config's; or the same config with what -b sets; or
its other variant. A side is one point: of a config that sweeps, -s, -a or -b of each swept key says
which. A pair is one A and one B under one seed: in the real world in an order that is
drawn, each in a process of its own. Trials go to results/NAME, where `aura compare`, `aura plot`
and `aura report` find them; finished ones are kept, and the same command goes on.

How many pairs: as many as the config has seeds; or --pairs N; or --pairs auto, which first runs
eight pairs of A against A, and takes as many as call a difference of --detect nine times in ten. It
is fixed before B is looked at. --sequential looks after each pair from the tenth on and ends when
the primary metrics are decided: its intervals hold at every look, and are 1.4 times as wide.
--budget starts no pair that would end later, whatever was seen. --shared-load loads once per pair,
where both sides store the same: each begins from a copy, and nothing of the load is compared.

--live compares on one running engine, which is switched between A and B: for settings that a
running engine can change and whose effect comes and goes with a switch, such as limits, triggers
and caches. A block is a window under each side in an order that is drawn, with a washout before
each. Blocks of A against A come first. It ends when the primary metrics are decided, by a
confidence sequence from the tenth block on; after --pairs blocks (60); and sooner if B does harm: a
harmless B is stopped in at most 5 % of comparisons, and one that is worse by more than --harm in
every block after six to eight.

--live --design split runs A and B at the same time: the keys are divided by hash, each half is a
tree of its own under one log, with half of its side's cache, memtable and I/O limit. For caches,
filters, indexes and layouts, also those that a running engine cannot change. First A has both
halves, for as many windows as --pairs; then the database is loaded afresh, with B on a half that is
drawn. A pair is a window: what B's half differs by from A's, less what it differed by in the same
window under A and A. Only what each side counts for itself can be compared: reads, hits, bytes, and
latencies of reads and writes of one key; not the throughput, which is of the whole. The sides share
one log, device and CPU.

Prints one row per metric: both means, the effect with its 95 % interval, the p-value and the
verdict. The answer in words follows on standard error, and what as many pairs could have seen.

Exit codes: 0 compared; 1 a primary metric is worse under B, may not be compared, or a trial failed,
or with --aa, a difference was claimed; 2 the sides are wrong; 3 results cannot be written; 75
interrupted: run the same command again.")]
pub(super) struct Arguments {
    /// The config of A, and of B if there is no other: a TOML or JSON file.
    a: PathBuf,
    /// The config of B.
    b: Option<PathBuf>,
    /// Set a key of both sides, over everything the files say.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Set a key of A.
    #[arg(short = 'a', long = "set-a", value_name = "KEY=VALUE")]
    set_a: Vec<String>,
    /// Set a key of B.
    #[arg(short = 'b', long = "set-b", value_name = "KEY=VALUE")]
    set_b: Vec<String>,
    /// A's variant. Default: its config's baseline.
    #[arg(long, value_name = "VARIANT")]
    variant_a: Option<String>,
    /// B's variant. Default: its config's baseline, or the only one beside A's.
    #[arg(long, value_name = "VARIANT")]
    variant_b: Option<String>,
    /// The program that runs A: another build of `aura`. Default: this one.
    #[arg(long, value_name = "FILE")]
    program_a: Option<PathBuf>,
    /// The program that runs B.
    #[arg(long, value_name = "FILE")]
    program_b: Option<PathBuf>,
    /// Compare A with itself: how far chance takes equal sides apart here.
    #[arg(long, conflicts_with_all = ["b", "set_b", "variant_b", "program_b"])]
    aa: bool,
    /// Real world: load once per pair, and begin both sides from copies of the loaded database,
    /// where they store the same.
    #[arg(long)]
    shared_load: bool,
    /// How many pairs: a number, or `auto` to find it by a pilot. With --sequential the most.
    #[arg(long, value_name = "N|auto", value_parser = pairs)]
    pairs: Option<Pairs>,
    /// The relative difference that `--pairs auto` wants to see. Default: the config's margin.
    #[arg(long, value_name = "SHARE")]
    detect: Option<f64>,
    /// The most pairs that `--pairs auto` takes.
    #[arg(long, value_name = "N", default_value_t = 60)]
    max_pairs: usize,
    /// Look after each pair, and end when the primary metrics are decided.
    #[arg(long)]
    sequential: bool,
    /// Start no pair that would end after this time, such as `20m` or `90s`.
    #[arg(long, value_name = "TIME", value_parser = humantime_serde::re::humantime::parse_duration)]
    budget: Option<Duration>,
    /// Run the experiment N times as large.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::changes::scales())]
    scale: u64,
    /// The folder in the results. Default: made of the configs' names.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many simulated trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Real world: keep the databases, for `aura verify`.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    live: LiveArguments,
}

/// How many pairs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    Auto,
    Count(usize),
}

/// The most pairs of one comparison.
const PAIRS_MAX: usize = 10_000;

/// The most pairs of a sequential comparison without a number.
const PAIRS_OF_SEQUENCE: usize = 60;

fn pairs(text: &str) -> Result<Pairs, String> {
    if text == "auto" {
        return Ok(Pairs::Auto);
    }
    let count = text.parse().ok();
    let count = count.filter(|count| (1..=PAIRS_MAX).contains(count));
    let wrong = || format!("{text:?} is neither \"auto\" nor a number from 1 to {PAIRS_MAX}");
    count.map(Pairs::Count).ok_or_else(wrong)
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let sides = self.sides();
        let mut experiment = self.experiment(&sides, global)?;
        experiment.compare.sequential |= self.sequential;
        for line in described(&experiment, &self.programs()) {
            global.remark(&line);
        }
        if self.live.live {
            let blocks = match self.pairs {
                Some(Pairs::Count(count)) => count,
                None => PAIRS_OF_SEQUENCE,
                Some(Pairs::Auto) => {
                    return Err(Failure::usage(
                        "a live comparison ends by itself and needs no pilot",
                        "leave out --pairs auto or --live",
                    ));
                }
            };
            let bounds = Bounds {
                blocks,
                budget: self.budget,
                keep: self.keep,
            };
            return self.live.run(global, &experiment, &bounds);
        }
        if self.shared_load && !share_layout(&experiment) {
            global.remark("A and B do not store the same: each side loads for itself");
        }
        let interrupt = interruptible()?;
        let options = RunOptions {
            keep: self.keep,
            programs: self.programs(),
            ..global.run_options(self.jobs)
        };
        let mut session = Session::new(global, options, interrupt, self.budget);
        let pairs = self.decide_pairs(&mut session, &experiment)?;
        if let Some(pairs) = pairs {
            experiment.seeds = (1..=pairs as u64).collect();
        }
        let report = session.run(&experiment)?;
        let concluded = conclude(global, &report, true)?;
        if let Some(comparison) = &concluded.comparison {
            let real = experiment.cases[0].config.world.kind == World::Real;
            let test = Test::of(experiment.compare.sequential, real);
            return Ok(self.what_was_seen(global, comparison, test, concluded.exit));
        }
        Ok(concluded.exit)
    }

    /// The two sides as the arguments name them.
    fn sides(&self) -> [Side; 2] {
        let shared = self.shared_load.then(|| "shared_load=true".to_owned());
        let side = |config: &Path, variant: &Option<String>, own: &[String]| Side {
            config: config.to_owned(),
            variant: variant.clone(),
            sets: self.set.iter().chain(own).chain(&shared).cloned().collect(),
        };
        let a = side(&self.a, &self.variant_a, &self.set_a);
        if self.is_same() {
            return [a.clone(), a];
        }
        let b = self.b.as_deref().unwrap_or(&self.a);
        let b = side(b, &self.variant_b, &self.set_b);
        [a, b]
    }

    /// Whether equal settings are meant: A against itself, or two programs alone.
    fn is_same(&self) -> bool {
        let programs = self.program_a.is_some() || self.program_b.is_some();
        let settings =
            self.b.is_some() || self.variant_b.is_some() || self.set_a.len() + self.set_b.len() > 0;
        self.aa || programs && !settings
    }

    fn experiment(&self, sides: &[Side; 2], global: &Global) -> Result<Experiment, Failure> {
        let size = config::Size {
            scale: self.scale,
            ..config::Size::default()
        };
        let known = global.targets.known();
        let mut experiment = ab::experiment(sides, self.is_same(), size, &known)?;
        experiment.name = match (&self.name, &self.b) {
            (Some(name), _) => name.clone(),
            (None, Some(b)) => {
                let stem = b.file_stem().unwrap_or_default();
                format!("{}-vs-{}", experiment.name, stem.to_string_lossy())
            }
            (None, None) if self.aa => format!("{}-aa", experiment.name),
            (None, None) => format!("{}-ab", experiment.name),
        };
        experiment.command = self.command();
        experiment.question = match experiment.question.as_str() {
            "" => "Is B better than A?".to_owned(),
            question => format!("Is B better than A? (of: {question})"),
        };
        experiment.hypothesis.clear();
        Ok(experiment)
    }

    /// The programs of sides that this one does not run.
    fn programs(&self) -> BTreeMap<String, PathBuf> {
        let of_sides = [&self.program_a, &self.program_b];
        let named = SIDES.into_iter().zip(of_sides);
        named
            .filter_map(|(side, program)| Some((side.to_owned(), program.clone()?)))
            .collect()
    }

    /// The shell command that makes this comparison, from the folder of the configs.
    fn command(&self) -> String {
        let file = |path: &Path| quoted(&path.file_name().unwrap_or_default().to_string_lossy());
        let mut command = format!("aura ab {}", file(&self.a));
        if let Some(b) = &self.b {
            command += &format!(" {}", file(b));
        }
        for (flag, sets) in [("-s", &self.set), ("-a", &self.set_a), ("-b", &self.set_b)] {
            for set in sets {
                command += &format!(" {flag} {}", quoted(set));
            }
        }
        let named = [
            ("--variant-a", &self.variant_a),
            ("--variant-b", &self.variant_b),
        ];
        for (flag, name) in named {
            if let Some(name) = name {
                command += &format!(" {flag} {}", quoted(name));
            }
        }
        for (side, program) in self.programs() {
            let side = side.to_lowercase();
            command += &format!(" --program-{side} {}", file(&program));
        }
        if self.shared_load {
            command += " --shared-load";
        }
        if self.aa {
            command += " --aa";
        }
        if self.scale != 1 {
            command += &format!(" --scale {}", self.scale);
        }
        command
    }

    /// How many pairs are run, if not as many as the config has seeds.
    fn decide_pairs(
        &self,
        session: &mut Session,
        experiment: &Experiment,
    ) -> Result<Option<usize>, Failure> {
        match self.pairs {
            Some(Pairs::Count(count)) => Ok(Some(count)),
            Some(Pairs::Auto) if self.sequential => Err(Failure::usage(
                "a sequential comparison ends by itself and needs no pilot",
                "leave out --pairs auto or --sequential",
            )),
            Some(Pairs::Auto) => self.pilot(session, experiment).map(Some),
            None if self.sequential => Ok(Some(PAIRS_OF_SEQUENCE)),
            None => Ok(None),
        }
    }

    /// Runs A against itself, and finds from the spread how many pairs decide.
    fn pilot(&self, session: &mut Session, experiment: &Experiment) -> Result<usize, Failure> {
        if experiment.cases[0].config.world.kind == World::Simulated {
            return Err(Failure::usage(
                "a simulation repeats A exactly: a pilot of A against A has no spread",
                "name the pairs with --pairs N, or add them one by one with --sequential",
            ));
        }
        let mut pilot = experiment.clone();
        pilot.name += "-pilot";
        pilot.question = "How far does chance take A and A apart?".to_owned();
        pilot.cases[1].clone_from(&experiment.cases[0]);
        pilot.cases[1].variant = SIDES[1].to_owned();
        pilot.variants.iter_mut().for_each(|it| it.settings.clear());
        pilot.seeds = (1..=PAIRS_OF_PILOT as u64).collect();
        let report = session.pilot(&pilot)?;
        let comparison = OpenedRun::open(report.folder)?.comparison()?;
        let detect = self.detect.unwrap_or(experiment.compare.margin);
        if detect <= 0.0 {
            return Err(Failure::usage(
                "--pairs auto needs the difference that it is to see",
                "name it: --detect 0.02",
            ));
        }
        let shown = format!("{} %", digits(detect * 100.0, 3));
        let needed = pairs_for(&comparison, detect, Test::SignFlips);
        let pairs = needed.unwrap_or(self.max_pairs).min(self.max_pairs);
        session.global.remark(&match needed {
            Some(needed) if needed <= self.max_pairs => {
                format!("pilot: {needed} pairs call a difference of {shown} nine times in ten")
            }
            Some(needed) => format!(
                "pilot: {needed} pairs would be needed to call a difference of {shown} nine times \
                 in ten; {pairs} are run (--max-pairs)"
            ),
            None => format!(
                "pilot: no number of pairs that can be run calls a difference of {shown}; {pairs} \
                 are run (--max-pairs)"
            ),
        });
        session.say_price(pairs);
        Ok(pairs)
    }

    /// Says what the pairs could have seen, and judges a comparison of A with itself.
    fn what_was_seen(
        &self,
        global: &Global,
        comparison: &Comparison,
        test: Test,
        exit: Exit,
    ) -> Exit {
        for resolution in resolutions(comparison, test) {
            global.remark(&shown(&resolution));
        }
        let claimed = |row: &&CompareRow| row.verdict.is_difference();
        let mut primary = comparison.rows.iter().filter(|row| row.primary);
        if self.aa && primary.any(|row| claimed(&row)) {
            complain(
                "A was claimed to differ from itself: chance does so in 5 % of comparisons, and a \
                 machine that is not quiet more often",
            );
            return Exit::ClaimFailed;
        }
        exit
    }
}

/// What the sides are, a line each.
fn described(experiment: &Experiment, programs: &BTreeMap<String, PathBuf>) -> Vec<String> {
    let line = |variant: &config::VariantSettings| {
        let mut parts: Vec<String> = variant
            .settings
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if parts.is_empty() {
            parts.push("the same settings".to_owned());
        }
        if let Some(program) = programs.get(&variant.name) {
            let digest = code::digest_of(program).unwrap_or_default();
            parts.push(format!("run by {} ({digest})", program.display()));
        }
        format!("{}: {}", variant.name, parts.join(", "))
    };
    experiment.variants.iter().map(line).collect()
}

/// What a number of pairs sees in a metric, in words.
fn shown(resolution: &Resolution) -> String {
    let amount = |value: f64| match resolution.scale {
        Scale::Relative => format!("{} %", digits(value * 100.0, 2)),
        Scale::Absolute if resolution.unit == "ratio" => format!("{} pp", digits(value * 100.0, 2)),
        Scale::Absolute => format!("{} {}", digits(value, 2), resolution.unit),
    };
    let Resolution {
        metric,
        phase,
        pairs,
        sd,
        least,
        others,
        ..
    } = resolution;
    let spread = format!("{metric}, {phase}: pairs spread by {}", amount(*sd));
    let seen = match least {
        Some(least) => format!("{pairs} call a difference from {} on", amount(*least)),
        None => format!("{pairs} are too few to call any"),
    };
    let others: Vec<String> = others
        .iter()
        .map(|seen| format!("{} from {}", seen.pairs, amount(seen.least)))
        .collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("; {}", others.join(", ")),
    };
    format!("{spread}; nine times in ten {seen}{others}")
}

/// Whether both sides store the same.
fn share_layout(experiment: &Experiment) -> bool {
    let layouts = experiment.cases.iter().map(|case| layout(&case.config));
    layouts.collect::<std::collections::BTreeSet<_>>().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_a_number_or_found_by_a_pilot() {
        assert_eq!(pairs("auto"), Ok(Pairs::Auto));
        assert_eq!(pairs("12"), Ok(Pairs::Count(12)));
        for bad in ["0", "-1", "many", "1e3", "10001"] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }
}
