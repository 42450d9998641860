//! Miss ratios over time: the windows of each row as CSV and as lines.

use super::rows::shown_name;
use super::{Outcome, SimRow, Window};
use crate::formats::csv;
use crate::plot::{Course, CoursePoint};

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Writes the windows of all rows as CSV, a line each. Columns without a value are empty.
pub fn windows_csv(rows: &[SimRow]) -> String {
    let header = [
        "trace",
        "arm",
        "policy",
        "size",
        "capacity",
        "window",
        "from_s",
        "to_s",
        "first_request",
        "requests",
        "misses",
        "miss_ratio",
        "byte_miss_ratio",
        "cost_miss_ratio",
    ];
    let mut lines = Vec::new();
    for (row, outcome) in ran(rows) {
        for (at, window) in outcome.windows.iter().enumerate() {
            let some = |value: Option<f64>| value.map_or_else(String::new, |it| it.to_string());
            let seconds = window.seconds.as_ref();
            lines.push([
                row.trace.clone(),
                "policy".to_owned(),
                row.arm.name(),
                row.size.clone(),
                row.capacity.to_string(),
                (at + 1).to_string(),
                some(seconds.map(|seconds| seconds.start)),
                some(seconds.map(|seconds| seconds.end)),
                window.first.to_string(),
                window.requests.to_string(),
                window.misses.to_string(),
                window.miss_ratio.to_string(),
                some(window.byte_miss_ratio),
                some(window.cost_miss_ratio),
            ]);
        }
    }
    csv(header, lines)
}

/// The rows that ran.
fn ran(rows: &[SimRow]) -> impl Iterator<Item = (&SimRow, &Outcome)> {
    rows.iter()
        .filter_map(|row| Some((row, row.outcome.as_ref().ok()?)))
}

/// Returns the miss ratio of each policy over the windows at each size, the sizes in the order of
/// the rows.
pub fn courses(rows: &[SimRow]) -> Vec<Course> {
    let mut courses = Vec::new();
    for (row, outcome) in ran(rows) {
        if outcome.windows.is_empty() {
            continue;
        }
        courses.push(Course {
            name: shown_name(row),
            size: row.size.clone(),
            points: outcome.windows.iter().map(point).collect(),
        });
    }
    courses
}

/// The middle of a window, in hours of the trace's time or in requests.
fn point(window: &Window) -> CoursePoint {
    let x = match &window.seconds {
        Some(seconds) => f64::midpoint(seconds.start, seconds.end) / SECONDS_PER_HOUR,
        None => window.first as f64 + window.requests as f64 / 2.0,
    };
    CoursePoint {
        x,
        ratio: window.miss_ratio,
    }
}
