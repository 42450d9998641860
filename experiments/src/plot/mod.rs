//! Figures: from collected metrics and stored trials to SVG, PNG and the plotted numbers as CSV.
//!
//! [`figures`] is pure; [`Figure::save`] writes. A figure without data is skipped with a message: there are no empty axes.
//! The same results give the same bytes.

use std::fmt::Display;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::compare::{self, Comparison};
use crate::store::{self, Point, StoreError, StoredTrial, TidyRow, point_label};

mod axis;
mod bars;
mod curves;
mod data;
mod forest;
mod levels;
mod lines;
mod pareto;
mod scene;
mod series;
mod style;
#[cfg(test)]
pub(crate) mod tests;

pub use curves::{Curve, CurvePoint, CurveWords, draw_curves};
pub use levels::{LevelBar, LevelPanel, LevelWords, draw_levels};
pub use pareto::{ParetoInput, ParetoLine, ParetoPoint, pareto};

use scene::Scene;
use style::{Frame, Styles};

/// What a figure shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Effects of a comparison with intervals, margin and verdict.
    Forest,
    /// Operations a second over time, with stalls.
    Throughput,
    /// Latency by percentile.
    Latency,
    /// Write, read and space amplification.
    Amplification,
    /// The cache's hit ratio, over its size where a sweep varies it.
    HitRatio,
    /// How far from the bound: device bandwidth, fence pointers, Bloom's formula.
    Bound,
    /// What table indexes take and cost, where models serve.
    Index,
}

impl Kind {
    /// Every kind, in the order of a report.
    pub const ALL: [Self; 7] = [
        Self::Forest,
        Self::Throughput,
        Self::Latency,
        Self::Amplification,
        Self::HitRatio,
        Self::Bound,
        Self::Index,
    ];

    /// The name on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forest => "forest",
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Amplification => "amplification",
            Self::HitRatio => "hit-ratio",
            Self::Bound => "bound",
            Self::Index => "index",
        }
    }

    /// The kind of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
    Store(#[from] StoreError),
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
    /// The trials, for series and histograms; kinds that need them are skipped without.
    pub trials: &'a [StoredTrial],
    /// The comparison, for the forest.
    pub comparison: Option<&'a Comparison>,
    /// The variant drawn in grey.
    pub baseline: &'a str,
    /// What the figures rest on, such as the experiment, its content hash, version and seeds; one line.
    pub provenance: &'a str,
}

/// One figure.
pub struct Figure {
    /// The name of its files, without the ending.
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
    /// The figure as SVG, ready to stand in a page of HTML.
    ///
    /// # Errors
    /// [`PlotError::Drawing`].
    pub fn svg(&self) -> Result<String, PlotError> {
        self.scene.svg(&self.title)
    }

    /// Writes `<name>.svg`, `<name>.png` (twice the size) and `<name>.csv` into a folder that exists.
    ///
    /// # Errors
    /// See [`PlotError`].
    pub fn save(&self, folder: &Path) -> Result<(), PlotError> {
        store::replace(
            &folder.join(format!("{}.svg", self.name)),
            self.svg()?.as_bytes(),
        )?;
        self.scene.png(&folder.join(format!("{}.png", self.name)))?;
        store::replace(
            &folder.join(format!("{}.csv", self.name)),
            self.csv.as_bytes(),
        )?;
        Ok(())
    }
}

/// What became of the kinds asked for.
#[derive(Default)]
pub struct Figures {
    /// The figures, in the order of kinds, phases and points.
    pub drawn: Vec<Figure>,
    /// One message for each that has no data.
    pub skipped: Vec<String>,
}

/// Draws figures of the kinds asked for.
///
/// # Errors
/// [`PlotError::Drawing`].
pub fn figures(kinds: &[Kind], input: &PlotInput) -> Result<Figures, PlotError> {
    let variants = compare::variants(input.rows);
    let styles = Styles::new(&variants, input.baseline);
    let mut page = Page {
        input,
        variants,
        styles,
        figures: Figures::default(),
    };
    for kind in kinds {
        match kind {
            Kind::Forest => page.forest()?,
            Kind::Throughput => page.throughput()?,
            Kind::Latency => page.latency()?,
            Kind::Amplification => page.amplification()?,
            Kind::HitRatio => page.hit_ratio()?,
            Kind::Bound => page.bound()?,
            Kind::Index => page.index()?,
        }
    }
    Ok(page.figures)
}

/// The figures being drawn, and what all of them share.
struct Page<'a> {
    input: &'a PlotInput<'a>,
    variants: Vec<&'a str>,
    styles: Styles,
    figures: Figures,
}

/// The words of one figure.
struct Words {
    kind: Kind,
    /// What tells it from others of its kind, in file names: phase, operation.
    part: String,
    title: String,
    /// What the point of the sweep is called.
    subtitle: String,
    caption: String,
    csv: String,
}

impl Page<'_> {
    fn frame<'b>(&'b self, words: &'b Words) -> Frame<'b> {
        Frame {
            title: &words.title,
            subtitle: &words.subtitle,
            provenance: self.input.provenance,
        }
    }

    /// Takes up a finished figure. Figures of other points of the sweep are told apart by a number in their names.
    fn add(&mut self, words: Words, scene: Scene) {
        let stem = match words.part.is_empty() {
            true => words.kind.name().to_owned(),
            false => format!("{}.{}", words.kind.name(), words.part),
        };
        let namesakes = |figure: &&Figure| {
            figure.name == stem || figure.name.starts_with(&format!("{stem}.point-"))
        };
        let number = self.figures.drawn.iter().filter(namesakes).count();
        let name = if number == 0 {
            stem
        } else {
            format!("{stem}.point-{}", number + 1)
        };
        let Words {
            title,
            caption,
            csv,
            ..
        } = words;
        self.figures.drawn.push(Figure {
            name,
            title,
            caption,
            csv,
            scene,
        });
    }

    fn skip(&mut self, kind: Kind, why: &str) {
        self.figures.skipped.push(format!("{}: {why}", kind.name()));
    }

    /// `4 seeds, engine.cache.size=32MiB`.
    fn subtitle(&self, point: &Point) -> String {
        let seeds: std::collections::BTreeSet<u64> =
            self.input.rows.iter().map(|row| row.seed).collect();
        let seeds = if seeds.len() == 1 {
            "1 seed".to_owned()
        } else {
            format!("{} seeds", seeds.len())
        };
        match point.is_empty() {
            true => seeds,
            false => format!("{}, {seeds}", point_label(point)),
        }
    }
}
