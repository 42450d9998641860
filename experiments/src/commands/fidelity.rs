//! `aura fidelity`: a config's variants in both worlds, and what may be believed of the simulation.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::run::end_of_trials;
use super::{CommandResult, Failure, Global, OpenedRun, interruptible};
use crate::exit::Exit;
use crate::fidelity::{Agreement, Numbers, agreements, believed};
use crate::files;
use crate::folders::RunFolder;
use crate::formats::{Cell, Format, Table, column, print};
use crate::machine_profile::MachineProfile;
use crate::plan::{Plan, VERSION};
use crate::plot::{FidelityMark, FidelityPanel, FidelityWords, draw_fidelity};
use crate::record::FileIo;
use crate::run::{Interrupt, RunOptions};
use crate::store::TidyRow;
use crate::{code, config, metrics};

/// Run a config's variants in simulation and on this machine, and say what of the simulation may be
/// believed.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura fidelity experiments/configs/quickstart.toml -s seeds=2
  aura fidelity quickstart.toml --profile profile.toml --io page-cache
  aura fidelity quickstart.toml --metric cache.hit_ratio --phase run --format csv

Reads past the page cache are compared with the device of --device, those of the page cache with the
device page-cache; with --profile, both again with the numbers that `aura calibrate` wrote. The runs
are ordinary ones, below results/<name>-fidelity/: finished trials are not run again.

Prints one row per way to the disk, profile, metric and phase: Kendall's tau-b of the variants'
rankings (values within 2 % are ties), the share of pairs that differ on this machine and that the
simulation orders alike, the median relative error, the range that repetitions have, and what may be
believed. A sentence follows on standard error. fidelity.csv and a figure per metric (SVG, PNG, CSV)
go to that folder.

Exit codes:
  0   compared, whatever was found
  1   a trial failed
  2   the config, the profile or a metric is wrong
  3   results cannot be written, or the file system has no direct I/O
  75  interrupted: run the same command again")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    config: PathBuf,
    /// Set a key of the config, as `aura run` does.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The metrics that are compared. Default: the config's, and throughput, device reads and
    /// write amplification.
    #[arg(
        long = "metric",
        alias = "metrics",
        value_name = "METRIC",
        value_delimiter = ','
    )]
    metrics: Vec<String>,
    /// The phases that are compared. Default: the config's; metrics that include put-off work in
    /// the whole trial.
    #[arg(long = "phase", value_name = "PHASE")]
    phases: Vec<String>,
    /// A profile that `aura calibrate` wrote.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// The shipped device that this machine's disk is compared with.
    #[arg(long, value_name = "DEVICE", default_value = "nvme")]
    device: String,
    /// How this machine reaches its disk: past the page cache, by way of it, or both in turn.
    #[arg(long, value_enum, default_value_t, value_name = "IO")]
    io: Ways,
    /// How many simulated trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

/// The ways to the disk that are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Ways {
    /// Past the page cache.
    Direct,
    /// By way of the page cache.
    PageCache,
    /// Both in turn.
    #[default]
    Both,
}

impl Ways {
    fn list(self) -> &'static [FileIo] {
        match self {
            Self::Direct => &[FileIo::Direct],
            Self::PageCache => &[FileIo::PageCache],
            Self::Both => &[FileIo::Direct, FileIo::PageCache],
        }
    }
}

/// Metrics that are compared beside the config's.
const ALWAYS: [&str; 3] = [
    "run.throughput_ops",
    "device.reads_per_get",
    "write.amplification",
];

/// What was compared under one way to the disk and one set of numbers.
struct Compared {
    io: FileIo,
    numbers: Numbers,
    agreement: Agreement,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let size = config::Size::default();
        let experiment = config::load(&self.config, &self.set, size, &global.targets.known())?;
        let metrics = self.metrics(&experiment.compare)?;
        let profile = match &self.profile {
            // Read once beforehand: what is wrong with it is said before the first trial.
            Some(path) => {
                MachineProfile::read(path).map_err(|error| {
                    Failure::usage(error, "`aura calibrate -o FILE` writes a profile")
                })?;
                Some(files::absolute(path))
            }
            None => None,
        };
        self.check_phases(&experiment)?;
        check_profiles(&experiment)?;
        // All configs are resolved before the first trial: what is wrong is said at once.
        let mut plans = Vec::new();
        for io in self.io.list() {
            let real = self.planned(global, &format!("real-{}", io.name()), of_machine(*io))?;
            let mut simulated = Vec::new();
            for numbers in Numbers::ALL {
                if let Some(sets) = self.of_simulation(*io, numbers, profile.as_ref()) {
                    let name = format!("simulated-{}-{}", io.name(), numbers.name());
                    simulated.push((numbers, self.planned(global, &name, sets)?));
                }
            }
            plans.push((*io, real, simulated));
        }
        let folder = global.results.join(format!("{}-fidelity", experiment.name));
        files::create_folder(&folder)?;
        let mut worlds = Worlds {
            global,
            jobs: self.jobs,
            folder: folder.clone(),
            interrupt: interruptible()?,
            failed: false,
        };
        let mut compared = Vec::new();
        for (io, real, simulated) in &plans {
            let real = worlds.run(real)?;
            for (numbers, plan) in simulated {
                let found = agreements(&real, &worlds.run(plan)?, &metrics, &self.phases);
                global.remark(&sentence(*io, *numbers, &found));
                compared.extend(found.into_iter().map(|agreement| Compared {
                    io: *io,
                    numbers: *numbers,
                    agreement,
                }));
            }
        }
        let failed = worlds.failed;
        let table = table(&compared);
        print(&table.text(global.format))?;
        files::replace(
            &folder.join("fidelity.csv"),
            table.text(Format::Csv).as_bytes(),
        )?;
        let provenance = format!("aura fidelity, {}, AuraDB {VERSION}", experiment.name);
        draw(&folder, &compared, &provenance)?;
        global.remark(&format!("wrote {}", folder.display()));
        Ok(if failed {
            Exit::ClaimFailed
        } else {
            Exit::Done
        })
    }

    /// The metrics to be compared, each once.
    fn metrics(&self, compare: &config::CompareConfig) -> Result<Vec<String>, Failure> {
        let of_config = compare.primary.iter().chain(&compare.also).cloned();
        let names: Vec<String> = if self.metrics.is_empty() {
            of_config.chain(ALWAYS.map(str::to_owned)).collect()
        } else {
            self.metrics.clone()
        };
        let mut known = Vec::new();
        for name in names {
            metrics::find(&name)
                .map_err(|error| Failure::usage(error, "`aura list metrics` lists them"))?;
            if !known.contains(&name) {
                known.push(name);
            }
        }
        Ok(known)
    }

    /// Refuses phases that the config does not have.
    fn check_phases(&self, experiment: &config::Experiment) -> Result<(), Failure> {
        let known = experiment.windows();
        match self
            .phases
            .iter()
            .find(|name| !known.contains(name.as_str()))
        {
            None => Ok(()),
            Some(name) => {
                let known: Vec<&str> = known.into_iter().collect();
                let why = format!("no phase is called `{name}`");
                Err(Failure::usage(
                    why,
                    &format!("there are {}", known.join(", ")),
                ))
            }
        }
    }

    /// Settings of a run in simulation; `None` without a profile where one is needed.
    fn of_simulation(
        &self,
        io: FileIo,
        numbers: Numbers,
        profile: Option<&PathBuf>,
    ) -> Option<Vec<String>> {
        let mut sets = vec!["world.kind=simulated".to_owned()];
        match (numbers, io) {
            (Numbers::Calibrated, _) => {
                let path = toml::Value::from(profile?.to_string_lossy().into_owned());
                sets.push(format!("world.profile={path}"));
                sets.push(format!("world.io={}", io.name()));
            }
            (Numbers::Shipped, FileIo::Direct) => {
                sets.push(format!("world.device={}", self.device))
            }
            (Numbers::Shipped, FileIo::PageCache) => {
                sets.push("world.device=page-cache".to_owned())
            }
        }
        Some(sets)
    }

    /// The plan of the config with settings laid over it.
    fn planned(&self, global: &Global, name: &str, over: Vec<String>) -> Result<Plan, Failure> {
        let mut sets = self.set.clone();
        sets.extend(over);
        sets.push(format!("name={name}"));
        let known = global.targets.known();
        let experiment = config::load(&self.config, &sets, config::Size::default(), &known)?;
        Ok(Plan::new(
            &experiment,
            code::digest().map_err(Failure::environment)?,
        ))
    }
}

/// Settings of a run on this machine.
fn of_machine(io: FileIo) -> Vec<String> {
    let io = format!("world.io={}", io.name());
    vec!["world.kind=real".to_owned(), io]
}

/// Refuses a config whose simulation has numbers of its own: those of the arguments are compared.
fn check_profiles(experiment: &config::Experiment) -> Result<(), Failure> {
    match experiment
        .cases
        .iter()
        .find(|it| it.config.world.profile.is_some())
    {
        None => Ok(()),
        Some(case) => Err(Failure::usage(
            format_args!(
                "variant `{}` names a profile (world.profile): which one the simulation has is \
                 what is compared",
                case.variant
            ),
            "remove it from the config and name it with --profile",
        )),
    }
}

/// The runs in both worlds.
struct Worlds<'a> {
    global: &'a Global,
    jobs: Option<usize>,
    /// The folder of all of them.
    folder: PathBuf,
    interrupt: Interrupt,
    /// Whether a trial failed.
    failed: bool,
}

impl Worlds<'_> {
    /// Runs a plan, and gathers the values.
    fn run(&mut self, plan: &Plan) -> Result<Vec<TidyRow>, Failure> {
        let (name, trials) = (&plan.experiment.name, plan.trials.len());
        self.global.remark(&format!("{name}: {trials} trials"));
        let options = RunOptions {
            results: self.folder.clone(),
            ..self.global.run_options(self.jobs)
        };
        let report = crate::run::run(plan, &options, &self.interrupt)?;
        self.failed |= end_of_trials(&report)? != Exit::Done;
        let run = OpenedRun::open(RunFolder::new(report.folder.path()))?;
        for doubt in &run.doubts {
            self.global.remark(&format!("warning: {doubt}"));
        }
        Ok(run.rows)
    }
}

/// What may be believed, with what was compared.
fn sentence(io: FileIo, numbers: Numbers, found: &[Agreement]) -> String {
    format!(
        "{}, {} numbers: {}",
        io.name(),
        numbers.name(),
        believed(found)
    )
}

fn table(compared: &[Compared]) -> Table {
    let columns = [
        column("io", |row: &Compared| row.io.name().into()),
        column("numbers", |row| row.numbers.name().into()),
        column("metric", |row| row.agreement.metric.clone().into()),
        column("phase", |row| row.agreement.phase.clone().into()),
        column("variants", |row| row.agreement.variants.len().into()),
        column("tau", |row| Cell::number(row.agreement.tau)),
        column("pairs", |row| row.agreement.signs.pairs.into()),
        column("alike", |row| row.agreement.signs.alike.into()),
        column("error_percent", |row| {
            Cell::number(row.agreement.error.map(|error| error * 100.0))
        }),
        column("real_range_percent", |row| {
            Cell::number(row.agreement.spread.map(|spread| spread * 100.0))
        }),
        column("believe", |row| row.agreement.belief().name().into()),
    ];
    Table::of(&columns, compared)
}

/// Draws a figure for each metric and phase.
fn draw(folder: &std::path::Path, compared: &[Compared], provenance: &str) -> Result<(), Failure> {
    let places = compared.iter();
    let places: BTreeSet<(&str, &str)> = places
        .map(|it| (it.agreement.metric.as_str(), it.agreement.phase.as_str()))
        .collect();
    for (metric, phase) in places {
        let here = |it: &&Compared| it.agreement.metric == metric && it.agreement.phase == phase;
        let panel = |io: &FileIo| FidelityPanel {
            title: io.name().to_owned(),
            marks: compared
                .iter()
                .filter(here)
                .filter(|it| it.io == *io)
                .flat_map(marks)
                .collect(),
        };
        let panels: Vec<FidelityPanel> = FileIo::ALL.iter().map(panel).collect();
        let unit = metrics::find(metric).map_or("", |it| it.unit);
        let words = FidelityWords {
            metric: &format!("{metric} ({unit})"),
            phase,
            subtitle: "means over the seeds",
            provenance,
        };
        if let Some(figure) = draw_fidelity(&words, &panels) {
            figure.save(folder)?;
        }
    }
    Ok(())
}

fn marks(compared: &Compared) -> Vec<FidelityMark> {
    let variants = compared.agreement.variants.iter();
    variants
        .map(|both| FidelityMark {
            label: both.label.clone(),
            profile: compared.numbers.name().to_owned(),
            real: both.real,
            simulated: both.simulated,
        })
        .collect()
}
