//! What a search leaves beside its trials: every point, what to set, and how to undo it.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::session::{Evaluated, Found, TuneError};
use crate::config::Tuning;
use crate::files::{self, FileError};
use crate::formats::json_lines;
use crate::optimise::goal::Goal;
use crate::optimise::search::Outcome;
use crate::plot::Figure;

/// What a search writes only if it found something.
const OF_WINNER: [&str; 2] = ["winner.toml", "undo.toml"];

/// How the names of a search's figures begin.
const FIGURES: [&str; 2] = ["convergence.", "response."];

/// Writes `points.jsonl`, and `winner.toml` and `undo.toml` if the best point is better than the
/// baseline, into the folder of a search; returns their paths. What an earlier search left there is
/// removed. `heading` is the first line of the two files of settings.
///
/// # Errors
/// [`TuneError`] if a file cannot be written or removed.
pub fn write(tuning: &mut Tuning, found: &Found, heading: &str) -> Result<Vec<PathBuf>, TuneError> {
    let folder = found.folder.path();
    let mut written = Vec::new();
    let mut put = |name: &str, text: &str| {
        let path = folder.join(name);
        files::replace(&path, text.as_bytes())?;
        written.push(path);
        Ok::<(), FileError>(())
    };
    put("points.jsonl", &points(&tuning.goal, found))?;
    let Some(Evaluated { x, .. }) = found.best.as_ref().filter(|_| found.is_better()) else {
        remove(folder, |name| OF_WINNER.contains(&name))?;
        return Ok(written);
    };
    let (set, back) = (tuning.lines(x), tuning.lines_back(x)?);
    let what = "# What it found: `aura run CONFIG --with winner.toml` runs with it.";
    put(OF_WINNER[0], &format!("# {heading}\n{what}\n{set}"))?;
    let what =
        "# What was set before: `--with undo.toml` after `--with winner.toml` is the way back.";
    put(OF_WINNER[1], &format!("# {heading}\n{what}\n{back}"))?;
    Ok(written)
}

/// Writes the figures of a search, in place of those that an earlier search left.
///
/// # Errors
/// [`TuneError`] if a file cannot be written or removed.
pub fn save(figures: &[Figure], found: &Found) -> Result<PathBuf, TuneError> {
    let plots = found.folder.plots();
    files::create_folder(&plots)?;
    let is_figure = |name: &str| FIGURES.iter().any(|begin| name.starts_with(begin));
    remove(&plots, is_figure)?;
    for figure in figures {
        figure.save(&plots)?;
    }
    Ok(plots)
}

/// Removes the files of a folder whose names are `stale`.
fn remove(folder: &Path, stale: impl Fn(&str) -> bool) -> Result<(), FileError> {
    let names = files::names(folder)?.into_iter();
    let mut stale = names.filter(|name| stale(name));
    stale.try_for_each(|name| files::remove(&folder.join(name)))
}

/// Every point in order, the baseline first, one a line.
fn points(goal: &Goal, found: &Found) -> String {
    let baseline = &found.baseline;
    let all = std::iter::once(baseline).chain(&found.points);
    json_lines(all.map(|point| {
        json!({
            "point": point.name,
            "settings": point.settings,
            "share": point.share,
            "state": state(&point.outcome),
            "value": goal.shown(&point.means, &baseline.means),
            "metrics": point.means,
            "why": point.why,
        })
    }))
}

/// What became of a point, in a word.
pub fn state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        measured if measured.feasible().is_some() => "measured",
        Outcome::Measured { .. } => "breaks a constraint",
    }
}
