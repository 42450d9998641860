//! The results of a run, read back for a command.

use std::path::Path;

use super::{Failure, Global};
use crate::compare::{self, CompareSettings, Comparison};
use crate::folders::RunFolder;
use crate::plan::Plan;
use crate::store::{self, TidyRow};

/// Finds the folder of a run that is named by its path, or by its name below the results.
pub(super) fn run_folder(global: &Global, run: &Path) -> RunFolder {
    let named = RunFolder::new(run);
    let below = RunFolder::new(global.results.join(run));
    if !named.holds_a_run() && below.holds_a_run() {
        below
    } else {
        named
    }
}

/// A run: its plan, and the metrics of its finished trials.
pub(super) struct OpenedRun {
    pub(super) folder: RunFolder,
    pub(super) plan: Plan,
    pub(super) rows: Vec<TidyRow>,
    /// The hash of the rows.
    pub(super) hash: String,
    /// What is doubtful about the programs and machines that made them.
    pub(super) doubts: Vec<String>,
}

impl OpenedRun {
    /// Gathers the finished trials of the plan that is frozen in a folder.
    pub(super) fn open(folder: RunFolder) -> Result<Self, Failure> {
        let plan = Plan::read(&folder)?;
        let collected = store::collect(&folder, Some(&plan.ids()))?;
        Ok(Self {
            folder,
            plan,
            rows: collected.rows,
            hash: collected.hash,
            doubts: compare::provenance(&collected.manifests),
        })
    }

    /// How the config wants its variants compared.
    pub(super) fn compare_settings(&self) -> CompareSettings {
        let experiment = &self.plan.experiment;
        let mut settings = experiment.compare.against(&experiment.baseline);
        for variant in &experiment.variants {
            let set = variant.overrides.clone();
            settings.overrides.insert(variant.name.clone(), set);
        }
        settings
    }

    /// Whether there is anything to compare.
    pub(super) fn has_variants(&self) -> bool {
        self.plan.experiment.variants.len() > 1
    }
}

/// Compares rows, with an error that gives advice. The doubts come first of its warnings.
pub(super) fn comparison(
    rows: &[TidyRow],
    settings: &CompareSettings,
    doubts: &[String],
) -> Result<Comparison, Failure> {
    let help = "`aura list metrics` lists metrics; --baseline names another variant";
    let mut comparison =
        compare::compare(rows, settings).map_err(|error| Failure::usage(error, help))?;
    comparison.warnings.splice(0..0, doubts.iter().cloned());
    Ok(comparison)
}
