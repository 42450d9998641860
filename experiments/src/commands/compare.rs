//! `aura compare`: the variants of one run, or of several side by side.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::opened_run::comparison;
use super::{CommandResult, Failure, Global, OpenedRun, run_folder};
use crate::compare::{Comparison, answer, table, to_csv};
use crate::exit::Exit;
use crate::formats::{Format, json_lines, print};
use crate::store::TidyRow;

/// Compare the variants of runs: effect, interval and verdict by metric.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura compare quickstart
  aura compare quickstart --baseline sieve-leveled --metric cache.hit_ratio
  aura compare quickstart smaller-cache --format csv

Of several runs, variants are named run/variant, and the first run's baseline is the baseline.

Prints one row per metric, sweep point, phase and variant; a star marks a primary metric. Effects
are relative (%), or differences for shares of one (percentage points, pp). The answer in words and
warnings follow on standard error. JSON and CSV have unrounded numbers, and effects as shares.

Exit codes: 0 compared, whatever the verdicts; 2 there is nothing to compare, or a name is unknown;
3 the results cannot be read.")]
pub(super) struct Arguments {
    /// The runs: folders, or their names below the results.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The variant that the others are compared with. Default: the config's.
    #[arg(long, value_name = "VARIANT")]
    baseline: Option<String>,
    /// The metrics to look at, instead of the config's.
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
    /// The relative difference that does not matter. Default: the config's.
    #[arg(long, value_name = "SHARE")]
    margin: Option<f64>,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let mut runs = Vec::new();
        for run in &self.runs {
            runs.push(OpenedRun::open(run_folder(global, run))?);
        }
        let mut settings = runs[0].compare_settings();
        let rows = if let [run] = &runs[..] {
            run.rows.clone()
        } else {
            settings.baseline = qualified(&runs[0], &settings.baseline);
            runs.iter().flat_map(qualified_rows).collect()
        };
        if let Some(baseline) = &self.baseline {
            settings.baseline.clone_from(baseline);
        }
        if let Some(margin) = self.margin {
            settings.margin = margin;
        }
        if !self.metric.is_empty() {
            settings.primary.clone_from(&self.metric);
            settings.also.clear();
        }
        let mut doubts: Vec<String> = Vec::new();
        for run in &runs {
            doubts.extend(run.doubts.iter().cloned());
        }
        show(global, &comparison(&rows, &settings, &doubts)?)?;
        Ok(Exit::Done)
    }
}

/// A variant's name among several runs.
fn qualified(run: &OpenedRun, variant: &str) -> String {
    format!("{}/{variant}", run.plan.experiment.name)
}

fn qualified_rows(run: &OpenedRun) -> Vec<TidyRow> {
    let qualified = |row: &TidyRow| TidyRow {
        variant: qualified(run, &row.variant),
        ..row.clone()
    };
    run.rows.iter().map(qualified).collect()
}

/// Prints the rows, then in words what they say.
pub(super) fn show(global: &Global, comparison: &Comparison) -> Result<(), Failure> {
    let rows = &comparison.rows;
    let text = match global.format {
        Format::Table => format!("{}\n", table(rows)),
        Format::Csv => to_csv(rows),
        // Through a JSON value, so that keys are in the order of the alphabet.
        Format::Json => json_lines(rows.iter().map(|row| json!(row))),
    };
    print(&text)?;
    for warning in &comparison.warnings {
        global.remark(&format!("warning: {warning}"));
    }
    if !comparison.missing.is_empty() {
        let missing = comparison.missing.join(", ");
        global.remark(&format!("without a value anywhere: {missing}"));
    }
    global.remark(&answer(comparison));
    Ok(())
}
