//! `aura compare`: the variants of one run, or of several side by side.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::builds::Builds;
use super::opened_run::{Named, comparison};
use super::{CommandResult, Failure, Global, OpenedRun, run_folder};
use crate::compare::{
    CompareRow, CompareSettings, Comparison, Context, Part, answer, table, terminal_width, to_csv,
};
use crate::exit::Exit;
use crate::formats::{Format, json_lines, print};
use crate::plan::PlannedTrial;
use crate::stats::verdict::Verdict;
use crate::store::{RowTrial, TidyRow};

/// Compare the variants of runs: effect, interval and verdict by metric.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura compare quickstart
  aura compare quickstart --baseline sieve-leveled --metric cache.hit_ratio
  aura compare quickstart smaller-cache --format csv
  aura compare main branch --gate
  aura compare quickstart --code 3f9a this

Of several runs, variants are named run/variant, and the first run's baseline is the baseline. With
--code, two builds of the program are compared in each variant of one run, which both have run.

Prints one row per metric, sweep point, phase and variant; a star marks a primary metric. Effects
are relative (%), with geometric means beside them, or differences (percentage points, pp, for
shares of one). The answer in words and warnings follow on standard error. JSON and CSV have
unrounded numbers, and effects as shares.

No verdict is given between other workloads or worlds, between real runs that were not interleaved,
and on unequal seeds.

Exit codes: 0 compared, whatever the verdicts; 1 with --gate: a primary metric is worse, or may not
be compared; 2 there is nothing to compare, or a name is unknown; 3 the results cannot be read.")]
pub(super) struct Arguments {
    /// The runs: folders, or their names below the results.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The variant that the others are compared with. Default: the config's.
    #[arg(long, value_name = "VARIANT")]
    baseline: Option<String>,
    /// The metrics to look at, instead of the config's. Those that were not primary before the run
    /// are exploratory.
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
    /// The relative difference that does not matter. Default: the config's.
    #[arg(long, value_name = "SHARE")]
    margin: Option<f64>,
    /// Compare two builds of the program, named by the first digits of their digests or as `this`;
    /// the first is the baseline.
    #[arg(long, num_args = 2, value_names = ["OLDER", "NEWER"])]
    code: Vec<String>,
    /// Compare variants although their workloads or worlds differ.
    #[arg(long, value_name = "PART", value_parser = part)]
    across: Vec<Part>,
    /// End with code 1 if a primary metric is worse under any variant, or may not be compared.
    #[arg(long)]
    gate: bool,
}

/// Reads a part of the settings.
fn part(name: &str) -> Result<Part, String> {
    let known = Part::ALL.map(Part::name).join(", ");
    Part::find(name).ok_or_else(|| format!("one of {known}"))
}

/// Whether a gate is closed: a primary metric is worse, or may not be compared.
pub(super) fn is_gated(comparison: &Comparison) -> bool {
    let closes = |row: &&CompareRow| matches!(row.verdict, Verdict::Worse | Verdict::Refused);
    comparison
        .rows
        .iter()
        .filter(|row| row.primary)
        .any(|row| closes(&row))
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let mut runs = Vec::new();
        for run in &self.runs {
            runs.push(OpenedRun::read(run_folder(global, run))?);
        }
        let mut settings = runs[0].compare_settings();
        let alone = runs.len() == 1;
        let named = |run: &OpenedRun, trial: &PlannedTrial| Named {
            variant: if alone {
                trial.variant.clone()
            } else {
                qualified(run, &trial.variant)
            },
            point: trial.point.clone(),
        };
        let rows: Cow<[TidyRow]> = if alone {
            Cow::Borrowed(&runs[0].rows)
        } else {
            settings.baseline = qualified(&runs[0], &settings.baseline);
            runs.iter().flat_map(qualified_rows).collect()
        };
        let afterwards = self.change(&mut settings);
        let mut across = runs[0].plan.experiment.compare.across.clone();
        across.extend(&self.across);
        let mut comparison = match (&self.code[..], &runs[..]) {
            ([], _) => comparison(&runs, &rows, &settings, &across, named)?,
            (codes, [run]) => Builds::find(run, codes)?.comparison(run, &settings)?,
            (_, _) => {
                let help = "name one run that both builds have run";
                return Err(Failure::usage(
                    "--code compares the builds of one run",
                    help,
                ));
            }
        };
        comparison.warnings.extend(afterwards);
        if !self.metric.is_empty() {
            comparison
                .rows
                .retain(|row| self.metric.contains(&row.metric));
            comparison
                .missing
                .retain(|metric| self.metric.contains(metric));
        }
        show(global, &comparison, runs[0].context())?;
        Ok(if self.gate && is_gated(&comparison) {
            Exit::ClaimFailed
        } else {
            Exit::Done
        })
    }

    /// Lays the arguments over the config's settings. Returns a warning if they change what was
    /// said before the run. A metric that was not primary then does not become so.
    fn change(&self, settings: &mut CompareSettings) -> Option<String> {
        let before = settings.clone();
        if let Some(baseline) = &self.baseline {
            settings.baseline.clone_from(baseline);
        }
        if let Some(margin) = self.margin {
            settings.margin = margin;
        }
        settings.also.extend(self.metric.iter().cloned());
        let mut changed = Vec::new();
        if settings.baseline != before.baseline {
            changed.push("baseline");
        }
        if settings.margin != before.margin {
            changed.push("margin");
        }
        (!changed.is_empty()).then(|| {
            format!(
                "The {} not the config's: chosen after the run, which no correction covers.",
                match changed[..] {
                    [only] => format!("{only} is"),
                    _ => format!("{} are", changed.join(" and ")),
                }
            )
        })
    }
}

/// A variant's name among several runs.
fn qualified(run: &OpenedRun, variant: &str) -> String {
    format!("{}/{variant}", run.plan.experiment.name)
}

fn qualified_rows(run: &OpenedRun) -> Vec<TidyRow> {
    let mut rows = run.rows.clone();
    for of_trial in rows.chunk_by_mut(|a, b| Arc::ptr_eq(&a.trial, &b.trial)) {
        let trial = &of_trial[0].trial;
        let trial = Arc::new(RowTrial {
            variant: qualified(run, &trial.variant),
            ..RowTrial::clone(trial)
        });
        for row in of_trial {
            row.trial = trial.clone();
        }
    }
    rows
}

/// The most rows of a table on a terminal.
const LINES_MAX: usize = 1000;

/// Prints the rows, then in words what they say.
pub(super) fn show(
    global: &Global,
    comparison: &Comparison,
    context: Context,
) -> Result<(), Failure> {
    let rows = &comparison.rows;
    let text = match global.format {
        Format::Table => {
            let shown = &rows[..rows.len().min(LINES_MAX)];
            format!("{}\n", table(shown, terminal_width()))
        }
        Format::Csv => to_csv(rows),
        // Through a JSON value, so that keys are in the order of the alphabet.
        Format::Json => json_lines(rows.iter().map(|row| json!(row))),
    };
    print(&text)?;
    if global.format == Format::Table && rows.len() > LINES_MAX {
        let more = rows.len() - LINES_MAX;
        global.remark(&format!("{more} more rows: --format csv prints all"));
    }
    for warning in &comparison.warnings {
        global.remark(&format!("warning: {warning}"));
    }
    if !comparison.missing.is_empty() {
        let missing = comparison.missing.join(", ");
        global.remark(&format!("without a value anywhere: {missing}"));
    }
    global.remark(&answer(comparison, context));
    Ok(())
}
