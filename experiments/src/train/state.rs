//! What is known of a training after each pass: the curve, and all that is needed to go on.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::{self, FileError};
use crate::formats::{Cell, Column, column, csv};
use crate::plan::VERSION;
use crate::plot::{PlotError, SearchWords, Spot, draw_training};

/// One pass over all cells and seeds; number 0 is the agent of the config, untrained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Its number.
    pub pass: u32,
    /// What a trial cost in which it learned, in seconds; the geometric mean over cells and seeds.
    pub training_cost_s: Option<f64>,
    /// What a trial cost of the agent that it left, frozen, under the validation seeds.
    pub validation_cost_s: f64,
    /// Actions of that agent.
    pub decisions: u64,
    /// The digest of that agent; empty for the untrained one.
    pub digest: String,
    /// Whether it was the cheapest so far.
    pub kept: bool,
    /// Costs and actions by cell.
    pub cells: Vec<CellCost>,
}

/// What a pass cost in one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellCost {
    /// The sweep point.
    pub cell: String,
    /// As that of the pass.
    pub training_cost_s: Option<f64>,
    /// As that of the pass.
    pub validation_cost_s: f64,
    /// As those of the pass.
    pub decisions: u64,
}

/// A training after some pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// A digest of what the training depends on.
    pub identity: String,
    /// The passes so far, the untrained agent first.
    pub passes: Vec<Pass>,
    /// The agent after the last pass; null before the first.
    pub model: Value,
    /// The cheapest agent so far; null before the first pass.
    pub best: Value,
}

impl State {
    /// Reads the state of a training that was interrupted; `None` if no such file is there.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Option<Self>, FileError> {
        if !path.exists() {
            return Ok(None);
        }
        let text = files::read_to_string(path)?;
        let state = serde_json::from_str(&text).map_err(|error| FileError {
            action: "read",
            path: path.to_owned(),
            source: io::Error::other(error),
        })?;
        Ok(Some(state))
    }

    /// The number of the last pass.
    pub fn last(&self) -> u32 {
        self.passes.last().map_or(0, |pass| pass.pass)
    }

    /// The number of the pass that left the best agent; 0 before the first.
    pub fn best_pass(&self) -> u32 {
        self.best_of().map_or(0, |pass| pass.pass)
    }

    /// The cost of the best agent; `None` before the first pass.
    pub fn best_cost(&self) -> Option<f64> {
        self.best_of().map(|pass| pass.validation_cost_s)
    }

    fn best_of(&self) -> Option<&Pass> {
        self.passes.iter().rev().find(|pass| pass.kept)
    }
}

/// Where the state of a training is kept while it lasts.
pub fn partial_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Where the curve of a training is written, as numbers and drawn.
pub fn curve_paths(out: &Path) -> [PathBuf; 2] {
    ["curve.csv", "curve.svg"].map(|extension| out.with_extension(extension))
}

/// The curve as a figure; `None` before the first pass.
///
/// # Errors
/// [`PlotError`] if it cannot be drawn.
pub fn drawn(passes: &[Pass], subtitle: &str) -> Result<Option<String>, PlotError> {
    let words = SearchWords {
        name: "curve",
        title: "What an agent cost as it was trained",
        subtitle,
        provenance: &format!("AuraDB {VERSION}."),
        y_label: "seconds of clients and device a trial",
    };
    let spots = |cost: fn(&Pass) -> Option<f64>| -> Vec<Spot> {
        let trained = passes.iter().skip(1);
        let spot = |pass: &Pass| {
            let (x, y) = (pass.pass.into(), cost(pass)?);
            Some(Spot { x, y })
        };
        trained.filter_map(spot).collect()
    };
    let learning = spots(|pass| pass.training_cost_s);
    let frozen = spots(|pass| Some(pass.validation_cost_s));
    let untrained = passes
        .first()
        .map_or(f64::NAN, |pass| pass.validation_cost_s);
    let figure = draw_training(&words, &learning, &frozen, untrained);
    figure.map(|figure| figure.svg()).transpose()
}

/// The columns of a curve on standard output: one row per pass.
pub const COLUMNS: [Column<Pass>; 6] = [
    column("pass", |pass| pass.pass.into()),
    column("training_cost_s", |pass| Cell::number(pass.training_cost_s)),
    column("validation_cost_s", |pass| {
        Cell::number(pass.validation_cost_s)
    }),
    column("decisions", |pass| pass.decisions.into()),
    column("digest", |pass| pass.digest.clone().into()),
    column("kept", |pass| pass.kept.into()),
];

/// The curve as CSV: for each pass a row of all cells, and one of each.
pub fn curve(passes: &[Pass]) -> String {
    let header = [
        "pass",
        "cell",
        "training_cost_s",
        "validation_cost_s",
        "decisions",
        "digest",
        "kept",
    ];
    let cost = |cost: Option<f64>| cost.map_or_else(String::new, |cost| cost.to_string());
    let rows = passes.iter().flat_map(|pass| {
        let row = |cell: &str, training: Option<f64>, validation: f64, decisions: u64| {
            [
                pass.pass.to_string(),
                cell.to_owned(),
                cost(training),
                validation.to_string(),
                decisions.to_string(),
                pass.digest.clone(),
                pass.kept.to_string(),
            ]
        };
        let all = row(
            "all",
            pass.training_cost_s,
            pass.validation_cost_s,
            pass.decisions,
        );
        let cells = pass.cells.iter().map(|it| {
            row(
                &it.cell,
                it.training_cost_s,
                it.validation_cost_s,
                it.decisions,
            )
        });
        let cells: Vec<_> = cells.collect();
        std::iter::once(all).chain(cells)
    });
    csv(header, rows)
}
