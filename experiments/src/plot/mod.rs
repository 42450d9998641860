//! Figures: from gathered metrics and stored trials to SVG, PNG and the plotted numbers as CSV.
//!
//! [`figures`] is pure; [`Figure::save`] writes. A figure without data is skipped with a message:
//! there are no empty axes. Equal results give equal bytes.
//!
//! `chart/` draws lines and bars; `run/` chooses which numbers of a run go into which figure. The
//! other modules draw the figures of `aura cache-sim`, `aura index-bench`, `aura index-inspect`,
//! `aura fidelity`, `aura tune` and `aura train`.

mod chart;
mod courses;
mod curves;
mod fidelity;
mod levels;
mod pareto;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod tuning;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use crate::compare::Comparison;
use crate::files::{self, FileError};
use crate::names::named_enum;
use crate::point::Point;
use crate::store::{StoredTrial, TidyRow};

use chart::scene::Scene;

pub use courses::{Course, CoursePoint, CourseWords, draw_courses};
pub use curves::{Curve, CurvePoint, CurveWords, draw_curves};
pub use fidelity::{FidelityMark, FidelityPanel, FidelityWords, draw_fidelity};
pub use levels::{LevelBar, LevelPanel, LevelWords, draw_levels};
pub use pareto::{Nanos, ParetoInput, ParetoLine, ParetoPoint, Weightless, pareto};
pub use run::{figures, too_many};
pub use tuning::{SearchWords, Spot, Stop, draw_convergence, draw_response, draw_training};

named_enum! {
    /// What a figure of a run shows. The name is that on the command line and in file names; the
    /// order is that of a report.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub enum FigureKind {
        /// The primary metrics over a swept number, with the best point and the knee.
        Sweep = "sweep",
        /// The primary metrics over two swept keys, a cell each.
        HeatMap = "heat-map",
        /// Effects of a comparison with intervals, margin and verdict.
        Forest = "forest",
        /// What each variant's settings do to a primary metric, the best first.
        Ablation = "ablation",
        /// Mean ranks over workloads, and which variants they distinguish.
        CriticalDifference = "critical-difference",
        /// Operations a second over time, with stalls.
        Throughput = "throughput",
        /// What agents and self-tuners decided, under the phases of the workload.
        Decisions = "decisions",
        /// Latency by percentile.
        Latency = "latency",
        /// The share of operations done within a time, with intervals over the seeds.
        Ecdf = "ecdf",
        /// The share of operations in ranges of latency, with intervals over the seeds.
        Histogram = "histogram",
        /// Write, read and space amplification.
        Amplification = "amplification",
        /// The cache's hit ratio, over its size if a sweep varies it.
        HitRatio = "hit-ratio",
        /// The distance to a bound: device bandwidth, fence pointers, Bloom's formula.
        Bound = "bound",
        /// What table indexes take and cost, if models serve.
        Index = "index",
    }
}

impl FigureKind {
    /// The kinds that a report shows: distributions say what percentiles say, at more length.
    pub fn of_report() -> Vec<Self> {
        let shown = |kind: &Self| !matches!(kind, Self::Ecdf | Self::Histogram);
        Self::ALL.into_iter().filter(shown).collect()
    }
}

/// Why a figure could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The drawing library refused.
    #[error("a figure cannot be drawn: {0}")]
    Drawing(String),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl PlotError {
    fn from_drawing(error: impl Display) -> Self {
        Self::Drawing(error.to_string())
    }
}

/// What figures are drawn from.
pub struct PlotInput<'a> {
    /// The gathered metrics.
    pub rows: &'a [TidyRow],
    /// The trials, for series and histograms. Figures that need them are skipped without.
    pub trials: &'a [StoredTrial],
    /// The comparison, for the forest.
    pub comparison: Option<&'a Comparison>,
    /// The metrics that the question is about.
    pub primary: &'a [String],
    /// The variant drawn in grey.
    pub baseline: &'a str,
    /// What each variant sets: dotted key to value.
    pub settings: &'a BTreeMap<String, Point>,
    /// What the figures rest on, such as the experiment, its content hash, version and seeds; one
    /// line.
    pub provenance: &'a str,
}

/// One figure.
pub struct Figure {
    /// The name of its files, without the extension.
    pub name: String,
    /// The title.
    pub title: String,
    /// What lines, bars and intervals mean, in a sentence or two.
    pub caption: String,
    /// The plotted numbers.
    pub csv: String,
    scene: Scene,
}

impl Figure {
    /// Whether the figure answers the question of a sweep, so that a report begins with it.
    pub fn leads(&self) -> bool {
        self.name.starts_with("sweep.") || self.name.starts_with("heat-map.")
    }

    /// Writes the figure as SVG, ready for a page of HTML.
    ///
    /// # Errors
    /// [`PlotError::Drawing`].
    pub fn svg(&self) -> Result<String, PlotError> {
        self.scene.svg(&self.title)
    }

    /// Writes `<name>.svg`, `<name>.png` (twice the size) and `<name>.csv` into a folder that
    /// exists.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn save(&self, folder: &Path) -> Result<(), PlotError> {
        let file = |extension: &str| folder.join(format!("{}.{extension}", self.name));
        files::replace(&file("svg"), self.svg()?.as_bytes())?;
        self.scene.png(&file("png"))?;
        files::replace(&file("csv"), self.csv.as_bytes())?;
        Ok(())
    }

    /// Returns the figure as a PDF of one page, with its font inside.
    ///
    /// # Errors
    /// [`PlotError::Drawing`].
    pub fn pdf(&self) -> Result<Vec<u8>, PlotError> {
        self.scene.pdf(&self.title)
    }

    /// Writes `<name>.pdf` into a folder that exists.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn save_pdf(&self, folder: &Path) -> Result<(), PlotError> {
        let path = folder.join(format!("{}.pdf", self.name));
        Ok(files::replace(&path, &self.pdf()?)?)
    }
}

/// What became of the figures asked for.
#[derive(Default)]
pub struct Figures {
    /// The figures, in the order of kinds, phases and points.
    pub drawn: Vec<Figure>,
    /// One message for each that has no data.
    pub skipped: Vec<String>,
}
