//! `aura report`: the page of a run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::plot::Material;
use super::{CommandResult, Failure, Global, OpenedRun, run_folder};
use crate::config;
use crate::exit::Exit;
use crate::files;
use crate::plan::Plan;
use crate::plot::{FigureKind, Figures};
use crate::point::Point;
use crate::report::{self, ReportInput, SettingDelta};

/// Write a run's report: one HTML page that needs nothing else.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  aura report quickstart && xdg-open results/quickstart/report.html

`aura run` writes the report, too. The page holds the question, the answer, verdicts, figures, all
metrics, the settings that differ, and the command that repeats the run.

Prints on standard error the file that was written.

Exit codes: 0 written; 2 the run is unknown; 3 files cannot be read or written.")]
pub(super) struct Arguments {
    /// The run: a folder, or its name below the results.
    run: PathBuf,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let material = Material::of(OpenedRun::open(run_folder(global, &self.run))?)?;
        let figures = material.figures(&FigureKind::ALL);
        material.run.keep_answer(material.comparison.as_ref())?;
        let path = write(&material, &figures)?;
        global.remark(&format!("wrote {}", path.display()));
        Ok(Exit::Done)
    }
}

/// Writes the page, and returns its path.
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
