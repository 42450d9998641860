//! Runs side by side.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::commands::opened_run::{Named, comparison};
use crate::commands::{Failure, Global, OpenedRun, run_folder};
use crate::compare::CompareSettings;
use crate::files;
use crate::folders::comparison_pages;
use crate::plan::PlannedTrial;
use crate::report::{self, Contestant, SideBySide};
use crate::results::Run;
use crate::store::TidyRow;

/// Writes the page of runs side by side, and returns its path.
pub(super) fn write(
    global: &Global,
    runs: &[PathBuf],
    output: Option<&Path>,
) -> Result<PathBuf, Failure> {
    let mut opened = Vec::new();
    for run in runs {
        opened.push(OpenedRun::read(run_folder(global, run))?);
    }
    let names = names(&opened)?;
    let one = report::have_one_variant(opened.iter().map(|run| &run.plan));
    let name_of = |run: &OpenedRun| {
        let same = |other: &OpenedRun| other.folder == run.folder;
        let at = opened.iter().position(same).unwrap_or_default();
        names[at].clone()
    };
    let named = |run: &OpenedRun, trial: &PlannedTrial| Named {
        variant: name_of(run),
        point: report::place(&trial.variant, &trial.point, one),
    };
    let rows: Vec<TidyRow> = opened
        .iter()
        .flat_map(|run| report::as_variant(&run.rows, &name_of(run), one))
        .collect();
    let settings = settings(&opened, &names[0]);
    let across = &opened[0].plan.experiment.compare.across;
    let comparison = comparison(&opened, &rows, &settings, across, named).ok();
    let about: Vec<Run> = opened
        .iter()
        .zip(&names)
        .map(|(run, name)| about(global, run, name))
        .collect();
    let contestants: Vec<Contestant> = opened
        .iter()
        .zip(&about)
        .map(|(run, about)| Contestant {
            about,
            plan: &run.plan,
            rows: &run.rows,
        })
        .collect();
    let page = report::side_by_side(&SideBySide {
        runs: &contestants,
        rows: &rows,
        comparison: comparison.as_ref(),
        to_results: &[".."],
    })?;
    let path = output.map_or_else(
        || {
            let name = names.join("+").replace('/', "-");
            comparison_pages(&global.results).join(format!("{name}.html"))
        },
        Path::to_owned,
    );
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    files::replace(&path, page.as_bytes())?;
    Ok(path)
}

/// What the runs are called: their folders' names, with the folder around them if two are alike.
fn names(runs: &[OpenedRun]) -> Result<Vec<String>, Failure> {
    let folders: Vec<PathBuf> = runs
        .iter()
        .map(|run| files::absolute(run.folder.path()))
        .collect();
    for parts in 1..=2 {
        let names: Vec<String> = folders.iter().map(|folder| last(folder, parts)).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        if distinct.len() == names.len() {
            return Ok(names);
        }
    }
    Err(Failure::usage(
        "two of the runs have the same name",
        "runs side by side need folders of different names",
    ))
}

/// The last parts of a path.
fn last(path: &Path, parts: usize) -> String {
    let names: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    names[names.len().saturating_sub(parts)..].join("/")
}

/// What is known of a run. A report outside the folder of results cannot be linked to.
fn about(global: &Global, run: &OpenedRun, name: &str) -> Run {
    let mut about = Run::read(&run.folder, name.to_owned());
    let folder = files::absolute(run.folder.path());
    let below = folder.parent() == Some(&files::absolute(&global.results));
    about.has_report = about.has_report && below;
    about
}

/// How the runs are compared: by the metrics that any of their configs names.
fn settings(runs: &[OpenedRun], baseline: &str) -> CompareSettings {
    let mut settings = runs[0].compare_settings();
    for run in &runs[1..] {
        let of_run = run.compare_settings();
        settings.primary.extend(of_run.primary);
        settings.also.extend(of_run.also);
    }
    settings.baseline = baseline.to_owned();
    // Runs are compared, not variants: what a variant sets is in both.
    settings.overrides.clear();
    settings
}
