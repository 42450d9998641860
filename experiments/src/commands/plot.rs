//! `aura plot`: figures of a run. `aura run` and `aura report` draw them, too.

use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Failure, Global, OpenedRun, report, run_folder};
use crate::compare::Comparison;
use crate::exit::Exit;
use crate::files;
use crate::nearest::hint;
use crate::plan::VERSION;
use crate::plot::{self, FigureKind, Figures, PlotInput};
use crate::record::Manifest;
use crate::store::{self, StoredTrial};

/// Draw a run's figures: SVG, PNG, with --pdf PDF, and their data as CSV.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura plot quickstart
  aura plot quickstart --kind latency --kind forest
  aura plot quickstart --kind forest --pdf      for a paper: text is text, the font is inside

Kinds: sweep (primary metrics over a swept number), heat-map (over two keys), forest (effects with
intervals), ablation (effects by what variants set, the best first), critical-difference (mean ranks
over workloads), throughput, decisions (of agents and self-tuners, over operations), latency (by
percentile), ecdf and histogram (shares of operations by latency), amplification, hit-ratio, bound,
index. `aura run` draws all but ecdf and histogram.

Prints on standard error the folder that was written, results/<run>/plots, and which figures have
no data.

Exit codes: 0 drawn; 2 the run or a kind is unknown; 3 files cannot be read or written.")]
pub(super) struct Arguments {
    /// The run: a folder, or its name below the results.
    run: PathBuf,
    /// Which figures. Default: all.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Write each figure as PDF, too.
    #[arg(long)]
    pdf: bool,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let mut kinds = Vec::new();
        for name in &self.kind {
            kinds.push(FigureKind::find(name).ok_or_else(|| unknown_kind(name))?);
        }
        if kinds.is_empty() {
            kinds.extend(FigureKind::ALL);
        }
        let material = Material::of(OpenedRun::open(run_folder(global, &self.run))?)?;
        let figures = material.figures(&kinds);
        let folder = material.save(&figures)?;
        if self.pdf {
            for figure in &figures.drawn {
                figure.save_pdf(&folder)?;
            }
        }
        global.remark(&format!("wrote {}", folder.display()));
        for reason in &figures.skipped {
            global.remark(reason);
        }
        Ok(Exit::Done)
    }
}

fn unknown_kind(name: &str) -> Failure {
    let known = FigureKind::ALL.map(FigureKind::name);
    let hint = hint(name, known.into_iter());
    Failure::usage(
        format_args!("unknown kind of figure `{name}`{hint}"),
        &format!("kinds: {}", known.join(", ")),
    )
}

/// Draws all figures of a run and writes its report; returns what was written.
pub(super) fn write_all(run: OpenedRun) -> Result<Vec<PathBuf>, Failure> {
    let material = Material::of(run)?;
    let figures = material.figures(&FigureKind::of_report());
    let plots = material.save(&figures)?;
    let report = report::write(&material, &figures)?;
    Ok(vec![plots, report])
}

/// What figures and report are made from.
pub(super) struct Material {
    pub(super) run: OpenedRun,
    /// Empty if there are too many to draw.
    pub(super) trials: Vec<StoredTrial>,
    pub(super) manifests: Vec<Manifest>,
    /// `None` if there is only one variant, or nothing to compare.
    pub(super) comparison: Option<Comparison>,
    provenance: String,
}

impl Material {
    pub(super) fn of(run: OpenedRun) -> Result<Self, Failure> {
        let trials = if plot::too_many(&run.rows).is_some() {
            Vec::new()
        } else {
            store::read_trials(&run.folder, Some(&run.plan.ids()))?
        };
        let comparison = if run.has_variants() {
            run.comparison().ok()
        } else {
            None
        };
        let experiment = &run.plan.experiment;
        let provenance = format!(
            "{}, {} seeds, content {}, AuraDB {VERSION}",
            experiment.name,
            experiment.seeds.len(),
            run.hash
        );
        Ok(Self {
            manifests: run.manifests()?,
            trials,
            comparison,
            provenance,
            run,
        })
    }

    pub(super) fn figures(&self, kinds: &[FigureKind]) -> Figures {
        let input = PlotInput {
            rows: &self.run.rows,
            trials: &self.trials,
            comparison: self.comparison.as_ref(),
            primary: &self.run.plan.experiment.compare.primary,
            baseline: &self.run.plan.experiment.baseline,
            settings: &self.run.compare_settings().overrides,
            provenance: &self.provenance,
        };
        plot::figures(kinds, &input)
    }

    /// Writes figures, and returns their folder.
    fn save(&self, figures: &Figures) -> Result<PathBuf, Failure> {
        let folder = self.run.folder.plots();
        files::create_folder(&folder)?;
        for figure in &figures.drawn {
            figure.save(&folder)?;
        }
        Ok(folder)
    }
}
