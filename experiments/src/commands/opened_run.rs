//! The results of a run, read back for a command.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{Failure, Global};
use crate::compare::{
    self, AskedAt, CompareRow, CompareSettings, Comparison, Context, Part, Refusals, Side,
};
use crate::config;
use crate::files;
use crate::folders::{RunFolder, TrialFolder};
use crate::plan::{Plan, PlannedTrial};
use crate::point::Point;
use crate::provenance;
use crate::record::Manifest;
use crate::results::{Answer, plan_hash};
use crate::store::{self, Collected, StoreError, TidyRow};

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
    /// What is doubtful about the programs and machines that made them, and about their times.
    pub(super) doubts: Vec<String>,
}

impl OpenedRun {
    /// Gathers the finished trials of the plan that is frozen in a folder, and writes the tables
    /// that gather them.
    pub(super) fn open(folder: RunFolder) -> Result<Self, Failure> {
        Self::opened(folder, store::collect)
    }

    /// Gathers the finished trials of the plan that is frozen in a folder, and writes nothing.
    pub(super) fn read(folder: RunFolder) -> Result<Self, Failure> {
        Self::opened(folder, store::gather)
    }

    fn opened(
        folder: RunFolder,
        gather: fn(&RunFolder, Option<&BTreeSet<String>>) -> Result<Collected, StoreError>,
    ) -> Result<Self, Failure> {
        let plan = Plan::read_briefly(&folder)?;
        let collected = gather(&folder, Some(&plan.ids()))?;
        let mut doubts = provenance::doubts(
            &collected.rows,
            &collected.manifests,
            &plan.experiment.programs,
        );
        doubts.extend(provenance::looks(&plan.experiment));
        Ok(Self {
            folder,
            plan,
            rows: collected.rows,
            hash: collected.hash,
            doubts,
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

    /// Compares its variants as the config wants it.
    pub(super) fn comparison(&self) -> Result<Comparison, Failure> {
        let across = &self.plan.experiment.compare.across;
        let runs = std::slice::from_ref(self);
        comparison(
            runs,
            &self.rows,
            &self.compare_settings(),
            across,
            Self::own_names,
        )
    }

    /// The names of a trial within its run.
    fn own_names(&self, trial: &PlannedTrial) -> Named {
        Named {
            variant: trial.variant.clone(),
            point: trial.point.clone(),
        }
    }

    /// Compares one of its variants on metrics in windows, and on no others.
    pub(super) fn compare_at(
        &self,
        rows: &[TidyRow],
        variant: &str,
        asked: &[AskedAt],
    ) -> Vec<CompareRow> {
        let settings = self.compare_settings();
        let sides = sides(std::slice::from_ref(self), Self::own_names);
        let across = &self.plan.experiment.compare.across;
        let refusals = Refusals::between(&sides, &settings.baseline, across);
        compare::compare_at(rows, &settings, &refusals, variant, asked)
    }

    /// The manifests of its finished trials, by variant, point and seed.
    pub(super) fn manifests(&self) -> Result<Vec<Manifest>, Failure> {
        let mut manifests: Vec<Manifest> = Vec::new();
        let done = self
            .plan
            .trials
            .iter()
            .map(|trial| self.folder.trial(&trial.id));
        for folder in done.filter(TrialFolder::is_done) {
            let text = files::read_to_string(&folder.manifest())?;
            manifests.push(serde_json::from_str(&text).map_err(Failure::environment)?);
        }
        manifests.sort_by(|a, b| {
            let by_point = || a.point.cmp(&b.point).then(a.seed.cmp(&b.seed));
            a.variant.cmp(&b.variant).then_with(by_point)
        });
        Ok(manifests)
    }

    /// What the answer is about.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            hypothesis: &self.plan.experiment.hypothesis,
            expectations: &self.plan.experiment.expect,
        }
    }

    /// Keeps what a comparison of its variants showed, for `aura ls`.
    pub(super) fn keep_answer(&self, comparison: Option<&Comparison>) -> Result<(), Failure> {
        let trials = store::trials_of(&self.rows).count();
        let ids = self.plan.trials.iter().map(|trial| trial.id.as_str());
        let answer = Answer::of(comparison, self.context(), plan_hash(ids), trials);
        Ok(answer.save(&self.folder)?)
    }

    /// What a reader must know of the run itself.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.plan.experiment.warnings.clone();
        warnings.extend(self.doubts.iter().cloned());
        let found: BTreeSet<&str> = store::trials_of(&self.rows)
            .map(|trial| trial.id.as_str())
            .collect();
        let missing = self.plan.trials.iter();
        let missing: Vec<String> = missing
            .filter(|trial| !found.contains(trial.id.as_str()))
            .map(PlannedTrial::label)
            .collect();
        if let Some(first) = missing.first() {
            warnings.push(format!(
                "{} of {} trials have no result, the first: {first}.",
                missing.len(),
                self.plan.trials.len()
            ));
        }
        warnings
    }

    /// What a reader must know before its numbers, if nothing is compared.
    pub(super) fn all_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings();
        warnings.extend(compare::warnings(&self.rows));
        warnings
    }

    /// Whether there is anything to compare.
    pub(super) fn has_variants(&self) -> bool {
        self.plan.experiment.variants.len() > 1
    }
}

/// What a variant at a sweep point of a run is called among several runs.
pub(super) struct Named {
    pub(super) variant: String,
    pub(super) point: Point,
}

/// Compares the variants of runs, with an error that gives advice. `named` says what the variant
/// and point of a run's trial are called among all of them.
pub(super) fn comparison(
    runs: &[OpenedRun],
    rows: &[TidyRow],
    settings: &CompareSettings,
    across: &[Part],
    named: impl Fn(&OpenedRun, &PlannedTrial) -> Named,
) -> Result<Comparison, Failure> {
    let sides = sides(runs, named);
    let refusals = Refusals::between(&sides, &settings.baseline, across);
    drop(sides);
    let compared = compare::compare_but(rows, settings, &refusals);
    let help = "`aura list metrics` lists metrics; --baseline names another variant";
    let mut comparison = compared.map_err(|error| Failure::usage(error, help))?;
    let mut warnings: Vec<String> = runs.iter().flat_map(OpenedRun::warnings).collect();
    warnings.append(&mut comparison.warnings);
    comparison.warnings = warnings;
    Ok(comparison)
}

/// The settings of every variant at every point.
fn sides(runs: &[OpenedRun], named: impl Fn(&OpenedRun, &PlannedTrial) -> Named) -> Vec<Side> {
    let mut sides: Vec<Side> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let mut seen: BTreeSet<(&str, &Point)> = BTreeSet::new();
        for trial in &run.plan.trials {
            if seen.insert((&trial.variant, &trial.point)) {
                let mut settings = Arc::new(settings_of(trial));
                // Most variants differ in the engine alone.
                if let Some(last) = sides.last().filter(|last| last.settings == settings) {
                    settings = last.settings.clone();
                }
                let Named { variant, point } = named(run, trial);
                sides.push(Side {
                    variant,
                    point,
                    run: number,
                    settings,
                });
            }
        }
    }
    sides
}

/// The settings of a trial, but for the engine's.
pub(super) fn settings_of(trial: &PlannedTrial) -> Point {
    let mut settings = config::settings(&trial.config.value());
    settings.retain(|key, _| !key.starts_with("engine."));
    settings
}
