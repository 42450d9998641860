//! What a search leaves beside its trials: every point, what to set, and how to undo it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::session::{Evaluated, Found};
use crate::config::{self, Before};
use crate::files::{self, FileError};
use crate::formats::json_lines;
use crate::optimise::goal::Goal;
use crate::optimise::search::Outcome;
use crate::optimise::space::Space;

/// Writes `points.jsonl`, `winner.toml` and `undo.toml` into the folder of a search; returns their
/// paths. `heading` is the first line of the two files of settings.
///
/// # Errors
/// [`FileError`].
pub fn write(
    space: &Space,
    goal: &Goal,
    before: &[Before],
    found: &Found,
    heading: &str,
) -> Result<Vec<PathBuf>, FileError> {
    let folder = found.folder.path();
    let mut written = Vec::new();
    let mut put = |name: &str, text: &str| {
        let path = folder.join(name);
        files::replace(&path, text.as_bytes())?;
        written.push(path);
        Ok::<(), FileError>(())
    };
    put("points.jsonl", &points(goal, found))?;
    if let Some(best) = found.best.as_ref().filter(|_| found.is_better()) {
        put("winner.toml", &winner(space, best, heading))?;
        put("undo.toml", &undo(before, heading))?;
    }
    Ok(written)
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

fn winner(space: &Space, best: &Evaluated, heading: &str) -> String {
    let settings = space.settings(&best.x);
    let lines = settings.iter().map(|it| config::line(&it.key, &it.value));
    format!(
        "# {heading}\n# What it found: `aura run CONFIG --with winner.toml` runs with it.\n{}\n",
        lines.collect::<Vec<_>>().join("\n")
    )
}

fn undo(before: &[Before], heading: &str) -> String {
    let line = |Before { key, value }: &Before| match value {
        None | Some(Value::Null) => format!("# {key} was left to its default"),
        Some(value) => config::line(key, value),
    };
    let lines: Vec<String> = before.iter().map(line).collect();
    let lines = lines.join("\n");
    format!("# {heading}\n# What was set before: the way back from winner.toml.\n{lines}\n")
}
