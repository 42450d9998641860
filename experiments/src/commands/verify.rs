//! `aura verify`: one config and seed must give the same numbers again, and a database must be
//! whole.

use std::path::{Path, PathBuf};

use aura_engine::{VerifyReport, verify_directory};
use clap::Args;

use super::{CommandResult, Failure, Global, database, jobs, run_folder};
use crate::exit::Exit;
use crate::folders::RunFolder;
use crate::formats::{Cell, Column, Table, column, print};
use crate::metrics;
use crate::parallel;
use crate::plan::{Plan, PlannedTrial, VERSION};
use crate::point;
use crate::record::{MetricRow, World};
use crate::store::{self, StoredTrial};
use crate::trial::{self, Databases};

/// Repeat a simulated run's trials and compare every metric bit for bit; or check a database's
/// directory.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura verify quickstart
  aura verify quickstart --sample 3
  aura verify /mnt/nvme/aura-0123456789abcdef

Prints one row per repeated trial of a run. A difference means that one config and seed no longer
give the same numbers, so that no comparison with older results can be trusted.

Of a database everything is checked, and nothing is written, so that the directory may be read-only:
  every checksum of tables, value files, logs and manifest
  the order of entries, tables and levels
  that filters and indexes find every key
  that every pointer leads to its value
  that the files are those of the manifest, with the recorded lengths
  that live values and garbage fit into each value file
What a crash left is read as the next opening would read it. If an engine has the database open, the
answer is about one moment: `in_use` says so, and what the engine is writing may be missing.
Problems with files that it has replaced meanwhile are not reported.

Prints one row for a database: what was found, and each problem with file and offset.
`space_amplification` is the bytes on disk over the bytes of all reachable rows,
`value_log_amplification` that of value files over the rows whose values lie there.
`unreadable_bytes` lie in value files where nothing points: the torn end of a file that was being
written, or damage to what nobody reads. `aura repair` says what can be saved.

Exit codes:
  0   every number repeats, or the database is whole
  1   a number differs, or the database is damaged
  2   there is no such run or database
  3   files cannot be read")]
pub(super) struct Arguments {
    /// The run, or the directory of a database.
    run: PathBuf,
    /// Repeat only N trials, spread evenly over the plan.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// How many trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let folder = run_folder(global, &self.run);
        if folder.holds_a_run() {
            self.verify_run(global, &folder)
        } else {
            verify_database(global, folder.path())
        }
    }

    fn verify_run(&self, global: &Global, folder: &RunFolder) -> CommandResult {
        let plan = Plan::read(folder)?;
        let finished = finished(folder, &plan);
        if finished.is_empty() {
            return Err(Failure::usage(
                "no simulated trial of this run is finished",
                "run it first: `aura run CONFIG`",
            ));
        }
        let wanted = self.sample.unwrap_or(finished.len());
        let sampled = spread(&finished, wanted.clamp(1, finished.len()));
        let mut differences: Vec<Option<String>> = vec![None; sampled.len()];
        parallel::for_each(
            &sampled,
            jobs(self.jobs),
            |trial| repeat(folder, trial).err(),
            |at, difference| differences[at] = difference,
        );
        let repeated: Vec<Repeated> = sampled
            .iter()
            .zip(differences)
            .map(|(trial, difference)| Repeated { trial, difference })
            .collect();
        print(&Table::of(&repeated_columns(), &repeated).text(global.format))?;
        let all = repeated.len();
        let same = repeated.iter().filter(|it| it.difference.is_none()).count();
        global.remark(&format!(
            "{same} of {all} trials gave the same numbers again"
        ));
        if same == all {
            Ok(Exit::Done)
        } else {
            Ok(Exit::ClaimFailed)
        }
    }
}

/// A repeated trial, and how it differs from the stored one.
struct Repeated<'a> {
    trial: &'a PlannedTrial,
    difference: Option<String>,
}

fn repeated_columns<'a>() -> [Column<Repeated<'a>>; 6] {
    [
        column("trial", |it| it.trial.id.as_str().into()),
        column("variant", |it| it.trial.variant.as_str().into()),
        column("point", |it| point::label(&it.trial.point).into()),
        column("seed", |it| it.trial.seed.into()),
        column("verdict", |it| match it.difference {
            None => "same".into(),
            Some(_) => "different".into(),
        }),
        column("difference", |it| {
            it.difference.clone().unwrap_or_default().into()
        }),
    ]
}

/// The simulated trials that have a result.
fn finished<'a>(folder: &RunFolder, plan: &'a Plan) -> Vec<&'a PlannedTrial> {
    let mut finished = Vec::new();
    for trial in &plan.trials {
        if folder.trial(&trial.id).is_done() && trial.runs_in(World::Simulated) {
            finished.push(trial);
        }
    }
    finished
}

/// Picks `wanted` trials, spread evenly.
fn spread<'a>(trials: &[&'a PlannedTrial], wanted: usize) -> Vec<&'a PlannedTrial> {
    (0..wanted)
        .map(|at| trials[at * trials.len() / wanted])
        .collect()
}

/// Runs a trial again, in memory; an error says how it differs.
fn repeat(folder: &RunFolder, trial: &PlannedTrial) -> Result<(), String> {
    let stored = store::read_trial(&folder.trial(&trial.id)).map_err(|error| error.to_string())?;
    let experiment = &stored.manifest.experiment;
    // A simulated trial makes no database on disk.
    let result =
        trial::run(trial, experiment, &Databases::default()).map_err(|error| error.to_string())?;
    compare(
        &stored,
        &metrics::derive(&result),
        result.manifest.fingerprint,
    )
}

fn compare(
    stored: &StoredTrial,
    now: &[MetricRow],
    fingerprint: Option<u64>,
) -> Result<(), String> {
    let version = &stored.manifest.version;
    if version != VERSION {
        return Err(format!("run by version {version}, this is {VERSION}"));
    }
    for (then, now) in stored.rows.iter().zip(now) {
        let same_name = then.phase == now.phase && then.metric == now.metric;
        if !same_name || then.value.to_bits() != now.value.to_bits() {
            return Err(format!("then {}, now {}", shown(then), shown(now)));
        }
    }
    if stored.rows.len() != now.len() {
        let then = stored.rows.len();
        return Err(format!("then {then} metrics, now {}", now.len()));
    }
    if stored.manifest.fingerprint != fingerprint {
        return Err("metrics agree, the order of events does not".to_owned());
    }
    Ok(())
}

fn shown(row: &MetricRow) -> String {
    format!("{}/{} = {}", row.phase, row.metric, row.value)
}

const DATABASE_COLUMNS: [Column<VerifyReport>; 18] = [
    column("tables", |it| it.tables.into()),
    column("entries", |it| it.entries.into()),
    column("values", |it| it.values.into()),
    column("logs", |it| it.logs.into()),
    column("log_records", |it| it.log_records.into()),
    column("rows", |it| it.rows.into()),
    column("reachable_bytes", |it| it.reachable_bytes.into()),
    column("disk_bytes", |it| it.disk_bytes.into()),
    column("space_amplification", |it| ratio(it.space_amplification())),
    column("value_disk_bytes", |it| it.value_disk_bytes().into()),
    column("value_log_amplification", |it| {
        ratio(it.value_log_amplification())
    }),
    column("garbage_bytes", |it| {
        let garbage = it.value_files.iter().map(|file| file.garbage_bytes);
        garbage.sum::<u64>().into()
    }),
    column("unreadable_bytes", |it| {
        let unreadable = it.value_files.iter().map(|file| file.unreadable_bytes);
        unreadable.sum::<u64>().into()
    }),
    column("value_files", |it| it.value_files.len().into()),
    column("in_use", |it| it.in_use.into()),
    column("leftovers", |it| Cell::lines(&it.leftovers)),
    column("logs_cut_off", |it| Cell::lines(&it.logs_cut_off)),
    column("problems", |it| Cell::lines(&it.problems)),
];

fn ratio(ratio: Option<f64>) -> Cell {
    match ratio {
        Some(ratio) => Cell::new(ratio, format!("{ratio:.3}")),
        None => ratio.into(),
    }
}

/// Reads a database that is not in use, and checks all of it.
fn verify_database(global: &Global, directory: &Path) -> CommandResult {
    if !database::is_database(&database::world()?.env(), directory) {
        return Err(Failure::usage(
            format_args!("{} is neither a run nor a database", directory.display()),
            "name a run's folder, its name below --results, or a database's directory",
        ));
    }
    let check = async |env| verify_directory(&env, directory).await;
    let report = database::work_on(global, directory, "read", check)?;
    print(&Table::of(&DATABASE_COLUMNS, [&report]).text(global.format))?;
    if !report.leftovers.is_empty() {
        let count = report.leftovers.len();
        let names = report.leftovers.join(", ");
        global.remark(&format!(
            "{count} files are left over, and go when the database is next opened: {names}"
        ));
    }
    if !report.logs_cut_off.is_empty() {
        let names = report.logs_cut_off.join(", ");
        global.remark(&format!(
            "a crash ended history before these logs, whose writes were never known to be \
             durable; the next opening removes them: {names}"
        ));
    }
    if report.in_use {
        global.remark("an engine has the database open: what it is doing may be missing");
    }
    if !report.problems.is_empty() {
        let count = report.problems.len();
        global.remark(&format!(
            "problems: {count}; `aura repair DIR --dry-run` says what can be saved"
        ));
        return Ok(Exit::ClaimFailed);
    }
    global.remark(
        "every checksum, the order of every level, every value and every file is as it should be",
    );
    Ok(Exit::Done)
}
