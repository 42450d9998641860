//! `aura report`: the page of a run, of runs side by side, or of all results.

mod index;
mod side_by_side;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::plot::Material;
use super::{CommandResult, Failure, Global, OpenedRun, run_folder};
use crate::config;
use crate::exit::Exit;
use crate::files;
use crate::folders::RunFolder;
use crate::plan::Plan;
use crate::plot::{FigureKind, Figures};
use crate::point::Point;
use crate::report::{self, ReportInput, SettingDelta};

/// Write a page of HTML that needs nothing else: of a run, of runs side by side, or of all results.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura report quickstart && xdg-open results/quickstart/report.html
  aura report                              all results: results/index.html
  aura report /data/results                those of another folder
  aura report quickstart smaller-cache     side by side: results/comparisons/

The page of a run holds the question, the answer, verdicts, figures, all metrics, the settings that
differ, and the command that repeats the run. `aura run` writes it, too.

The index has each run's question and answer, when it ran, on which machine and by which program,
and links to its report and to the pages of runs side by side.

Side by side, the first run is what the others are compared with, variant by variant: settings that
differ first, then effects, exact counters and all metrics. Verdicts are given if program and seeds
are the same in a simulation. Else the page says why there is no verdict.

Prints on standard error the file that was written.

Exit codes: 0 written; 2 a run is unknown; 3 files cannot be read or written.")]
pub(super) struct Arguments {
    /// The run: a folder, or its name below the results. Several are shown side by side. A folder
    /// that holds runs gets an index; without a run, the results folder does.
    runs: Vec<PathBuf>,
    /// The file to write instead, for a page of runs side by side or an index. Links in it lead
    /// from the usual place.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let path = match &self.runs[..] {
            [] => index::write(&global.results, self.output.as_deref())?,
            [folder] if is_results(global, folder) => index::write(folder, self.output.as_deref())?,
            [run] if self.output.is_none() => {
                let material = Material::of(OpenedRun::open(run_folder(global, run))?)?;
                let figures = material.figures(&FigureKind::of_report());
                material.run.keep_answer(material.comparison.as_ref())?;
                write(&material, &figures)?
            }
            [_] => {
                let help = "its report is report.html in its folder, where `aura ls` finds it";
                return Err(Failure::usage("--output is not for one run", help));
            }
            runs => side_by_side::write(global, runs, self.output.as_deref())?,
        };
        global.remark(&format!("wrote {}", path.display()));
        Ok(Exit::Done)
    }
}

/// Whether a folder holds runs, and is no run itself.
fn is_results(global: &Global, folder: &Path) -> bool {
    let names = files::names(folder).unwrap_or_default();
    !run_folder(global, folder).holds_a_run()
        && names
            .iter()
            .any(|name| RunFolder::new(folder.join(name)).holds_a_run())
}

/// Writes the page of a run, and returns its path.
pub(super) fn write(material: &Material, figures: &Figures) -> Result<PathBuf, Failure> {
    let run = &material.run;
    let experiment = &run.plan.experiment;
    let manifests: Vec<_> = material.manifests.iter().collect();
    let warnings = match &material.comparison {
        Some(_) => Vec::new(),
        None => run.all_warnings(),
    };
    let page = report::render(&ReportInput {
        experiment: &experiment.name,
        question: &experiment.question,
        hypothesis: &experiment.hypothesis,
        expectations: &experiment.expect,
        baseline: &experiment.baseline,
        comparison: material.comparison.as_ref(),
        warnings: &warnings,
        rows: &run.rows,
        hash: &run.hash,
        figures: &figures.drawn,
        skipped: &figures.skipped,
        deltas: &deltas(&run.plan),
        manifests: &manifests,
        command: &experiment.command,
    })?;
    let path = run.folder.report();
    files::replace(&path, page.as_bytes())?;
    Ok(path)
}

/// Lists the settings in which each variant differs from the baseline, at the first sweep point.
fn deltas(plan: &Plan) -> Vec<SettingDelta> {
    let variants = &plan.experiment.variants;
    if variants.len() > report::VARIANTS_MAX {
        return Vec::new();
    }
    let baseline = settings(plan, &plan.experiment.baseline);
    let mut deltas = Vec::new();
    for variant in variants {
        if variant.name == plan.experiment.baseline {
            continue;
        }
        let own = settings(plan, &variant.name);
        let keys: BTreeSet<&String> = baseline.keys().chain(own.keys()).collect();
        for key in keys {
            let before = baseline.get(key);
            let after = own.get(key);
            if before != after {
                deltas.push(SettingDelta {
                    variant: variant.name.clone(),
                    key: key.clone(),
                    baseline: before.cloned().unwrap_or_default(),
                    value: after.cloned().unwrap_or_default(),
                });
            }
        }
    }
    deltas
}

/// A variant's settings at the plan's first sweep point.
fn settings(plan: &Plan, variant: &str) -> Point {
    let Some(first) = plan.trials.first() else {
        return Point::new();
    };
    let mut trials = plan.trials.iter();
    let trial = trials.find(|trial| trial.variant == variant && trial.point == first.point);
    trial.map_or_else(Point::new, |trial| config::settings(&trial.config.value()))
}
