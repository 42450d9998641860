//! Two builds of the program side by side, on the trials of one run: did a change of the code
//! change anything?
//!
//! A run's folder keeps the trials of every program that ran it. Trials of equal settings and seed
//! are paired across two programs. Each variant becomes a point of a sweep, and the programs are
//! the variants: so all comparisons are one family.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::opened_run::settings_of;
use super::{Failure, OpenedRun};
use crate::code;
use crate::compare::{self, CompareSettings, Comparison, Refusals, Side};
use crate::plan::PlannedTrial;
use crate::point::Point;
use crate::record::Manifest;
use crate::store::{self, RowTrial, TidyRow};

/// The key of the point that holds a trial's variant.
const VARIANT: &str = "variant";

/// The name of the running program.
const THIS: &str = "this";

/// Two programs: the older, which is the baseline, and the newer.
pub(super) struct Builds {
    codes: [String; 2],
    manifests: Vec<Manifest>,
}

impl Builds {
    /// Finds the two programs among those whose trials are in the run's folder. They are named by
    /// the first digits of their digests, or as `this`.
    pub(super) fn find(run: &OpenedRun, names: &[String]) -> Result<Self, Failure> {
        let [older, newer] = names else {
            return Err(Failure::usage(
                "two builds are compared",
                "write --code OLDER NEWER",
            ));
        };
        let planned: BTreeSet<&str> = run.plan.trials.iter().map(|it| it.case.as_str()).collect();
        let mut manifests = store::manifests(&run.folder)?;
        manifests.retain(|manifest| planned.contains(manifest.case.as_str()));
        let codes = [find(&manifests, older)?, find(&manifests, newer)?];
        if codes[0] == codes[1] {
            return Err(Failure::usage(
                format_args!("{older} and {newer} are one build"),
                "name two builds",
            ));
        }
        Ok(Self { codes, manifests })
    }

    /// Compares the newer program with the older one, in each variant at each point.
    pub(super) fn comparison(
        &self,
        run: &OpenedRun,
        settings: &CompareSettings,
    ) -> Result<Comparison, Failure> {
        let settings = CompareSettings {
            baseline: self.codes[0].clone(),
            overrides: BTreeMap::new(),
            ..settings.clone()
        };
        let refusals = Refusals::between(&self.sides(&run.plan.trials), &settings.baseline, &[]);
        let rows = self.rows(run)?;
        let compared = compare::compare_but(&rows, &settings, &refusals);
        compared.map_err(|error| Failure::usage(error, "`aura list metrics` lists metrics"))
    }

    /// The metrics of both programs' trials, each under its program's name.
    fn rows(&self, run: &OpenedRun) -> Result<Vec<TidyRow>, Failure> {
        let planned = run.plan.trials.iter();
        let planned: BTreeMap<&str, &PlannedTrial> =
            planned.map(|trial| (trial.case.as_str(), trial)).collect();
        let mut of_both: BTreeMap<&str, &Manifest> = BTreeMap::new();
        for manifest in &self.manifests {
            if self.codes.contains(&manifest.code) {
                of_both.insert(&manifest.id, manifest);
            }
        }
        let ids: BTreeSet<String> = of_both.keys().map(|id| (*id).to_owned()).collect();
        let mut rows = store::gather(&run.folder, Some(&ids))?.rows;
        for of_trial in rows.chunk_by_mut(|a, b| a.trial.id == b.trial.id) {
            let manifest = of_both[of_trial[0].trial.id.as_str()];
            // An older plan may have called the variant otherwise.
            let planned = planned[manifest.case.as_str()];
            let trial = Arc::new(RowTrial {
                point: with_variant(&planned.point, &planned.variant),
                variant: manifest.code.clone(),
                ..RowTrial::of(manifest)
            });
            for row in of_trial {
                row.trial = trial.clone();
            }
        }
        Ok(rows)
    }

    /// What decides whether the two may be compared: real trials of two programs were not run in
    /// turn.
    fn sides(&self, trials: &[PlannedTrial]) -> Vec<Side> {
        let mut sides = Vec::new();
        for trial in trials {
            for (number, code) in self.codes.iter().enumerate() {
                sides.push(Side {
                    variant: code.clone(),
                    point: with_variant(&trial.point, &trial.variant),
                    run: number,
                    settings: Arc::new(settings_of(trial)),
                });
            }
        }
        sides
    }
}

fn with_variant(point: &Point, variant: &str) -> Point {
    let mut point = point.clone();
    point.insert(VARIANT.to_owned(), variant.to_owned());
    point
}

/// The one program that ran trials and is called `name`.
fn find(manifests: &[Manifest], name: &str) -> Result<String, Failure> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for manifest in manifests {
        *counts.entry(&manifest.code).or_default() += 1;
    }
    let name = if name == THIS { code::digest()? } else { name };
    let found: Vec<&str> = counts
        .keys()
        .copied()
        .filter(|code| code.starts_with(name))
        .collect();
    let known: Vec<String> = counts
        .iter()
        .map(|(code, count)| format!("{code} ({count} trials)"))
        .collect();
    match found[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Failure::usage(
            format_args!("no trial of this run's settings was run by the build {name}"),
            &format!("builds that ran trials: {}", known.join(", ")),
        )),
        _ => Err(Failure::usage(
            format_args!("several builds begin with {name}"),
            &format!("builds that ran trials: {}", known.join(", ")),
        )),
    }
}
