//! `aura plot` and `aura report`: figures and the page, from what a run left.

use std::path::{Path, PathBuf};

use super::compare::comparison;
use super::{Answer, EXIT_DONE, Failure, Run, remark, run_folder};
use crate::cli::Global;
use crate::compare::Comparison;
use crate::config::{self, hint};
use crate::plan::{Plan, VERSION};
use crate::plot::{self, Figures, Kind, PlotInput};
use crate::report::{self, ReportInput, SettingDelta};
use crate::store::{self, Point, StoredTrial};

const FIGURES_FOLDER: &str = "plots";
const REPORT_FILE: &str = "report.html";

impl From<plot::PlotError> for Failure {
    fn from(error: plot::PlotError) -> Self {
        Self::environment(error)
    }
}

impl From<report::ReportError> for Failure {
    fn from(error: report::ReportError) -> Self {
        Self::environment(error)
    }
}

pub(super) fn plot(global: &Global, run: &Path, kinds: &[String]) -> Answer {
    let mut wanted = Vec::new();
    for name in kinds {
        wanted.push(Kind::find(name).ok_or_else(|| unknown_kind(name))?);
    }
    if wanted.is_empty() {
        wanted.extend(Kind::ALL);
    }
    let material = Material::of(Run::open(run_folder(global, run))?)?;
    let figures = material.figures(&wanted)?;
    for path in save(&material.run.folder, &figures)? {
        remark(global, &format!("wrote {}", path.display()));
    }
    for reason in &figures.skipped {
        remark(global, reason);
    }
    Ok(EXIT_DONE)
}

fn unknown_kind(name: &str) -> Failure {
    let known = Kind::ALL.map(Kind::name);
    let message = format!(
        "unknown kind of figure `{name}`{}",
        hint(name, known.into_iter())
    );
    Failure::usage(message, &format!("kinds: {}", known.join(", ")))
}

pub(super) fn report(global: &Global, run: &Path) -> Answer {
    let material = Material::of(Run::open(run_folder(global, run))?)?;
    let path = material.write_report(&material.figures(&Kind::ALL)?)?;
    remark(global, &format!("wrote {}", path.display()));
    Ok(EXIT_DONE)
}

/// Draws all figures of a run and writes its page; what was written.
pub(super) fn write_all(run: Run) -> Result<Vec<PathBuf>, Failure> {
    let material = Material::of(run)?;
    let figures = material.figures(&Kind::ALL)?;
    let mut written = save(&material.run.folder, &figures)?;
    written.push(material.write_report(&figures)?);
    Ok(written)
}

/// Saves figures, and says where.
fn save(folder: &Path, figures: &Figures) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder.join(FIGURES_FOLDER);
    store::create_folder(&folder)?;
    for figure in &figures.drawn {
        figure.save(&folder)?;
    }
    Ok(vec![folder])
}

/// What figures and page are made from.
struct Material {
    run: Run,
    trials: Vec<StoredTrial>,
    /// None where there is only one variant.
    comparison: Option<Comparison>,
    provenance: String,
}

impl Material {
    fn of(run: Run) -> Result<Self, Failure> {
        let trials = store::read_trials(&run.folder, Some(&run.plan.ids()))?;
        let record = &run.plan.experiment;
        let comparison = match record.variants.len() {
            1 => None,
            _ => comparison(&run.rows, &record.compare.against(&record.baseline)).ok(),
        };
        let seeds = record.seeds.len();
        let provenance = format!(
            "{}, {seeds} seeds, content {}, AuraDB {VERSION}",
            record.name, run.hash
        );
        Ok(Self {
            trials,
            comparison,
            provenance,
            run,
        })
    }

    fn figures(&self, kinds: &[Kind]) -> Result<Figures, Failure> {
        let input = PlotInput {
            rows: &self.run.rows,
            trials: &self.trials,
            comparison: self.comparison.as_ref(),
            baseline: &self.run.plan.experiment.baseline,
            provenance: &self.provenance,
        };
        Ok(plot::figures(kinds, &input)?)
    }

    fn write_report(&self, figures: &Figures) -> Result<PathBuf, Failure> {
        let record = &self.run.plan.experiment;
        let manifests: Vec<_> = self.trials.iter().map(|trial| &trial.manifest).collect();
        let page = report::render(&ReportInput {
            experiment: &record.name,
            question: &record.question,
            hypothesis: &record.hypothesis,
            baseline: &record.baseline,
            comparison: self.comparison.as_ref(),
            rows: &self.run.rows,
            hash: &self.run.hash,
            figures: &figures.drawn,
            skipped: &figures.skipped,
            deltas: &deltas(&self.run.plan),
            manifests: &manifests,
            command: &record.command,
        })?;
        let path = self.run.folder.join(REPORT_FILE);
        store::replace(&path, page.as_bytes())?;
        Ok(path)
    }
}

/// In which settings each variant differs from the baseline, at the first point of the sweep.
fn deltas(plan: &Plan) -> Vec<SettingDelta> {
    let Some(first) = plan.trials.first() else {
        return Vec::new();
    };
    let settings = |variant: &str| {
        let trial = plan
            .trials
            .iter()
            .find(|trial| trial.variant == variant && trial.point == first.point);
        trial
            .map(|trial| config::settings(&trial.config))
            .unwrap_or_default()
    };
    let baseline = settings(&plan.experiment.baseline);
    let mut deltas = Vec::new();
    for variant in plan
        .experiment
        .variants
        .iter()
        .filter(|variant| variant.name != plan.experiment.baseline)
    {
        let mine = settings(&variant.name);
        let keys: std::collections::BTreeSet<&String> =
            baseline.keys().chain(mine.keys()).collect();
        let value = |settings: &Point, key: &String| settings.get(key).cloned().unwrap_or_default();
        let differing = keys
            .into_iter()
            .filter(|key| baseline.get(*key) != mine.get(*key));
        deltas.extend(differing.map(|key| SettingDelta {
            variant: variant.name.clone(),
            key: key.clone(),
            baseline: value(&baseline, key),
            value: value(&mine, key),
        }));
    }
    deltas
}
