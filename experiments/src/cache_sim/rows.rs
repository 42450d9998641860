//! Rows of a simulation as a table, JSON, CSV, Parquet and curves.

use std::collections::BTreeSet;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::{Arm, Mode, Outcome, SimRow};
use crate::compare::digits;
use crate::plot::{Curve, CurvePoint};
use crate::rows::json_lines;
use crate::store::{self, FrameColumn, StoreError};

const COLUMNS: [&str; 18] = [
    "trace",
    "mode",
    "arm",
    "policy",
    "admission",
    "size",
    "capacity",
    "requests",
    "misses",
    "miss_ratio",
    "standard_error",
    "byte_miss_ratio",
    "byte_standard_error",
    "accesses_per_s",
    "metadata_bytes",
    "metadata_bytes_per_object",
    "best",
    "refused",
];

/// The row's values in the order of [`COLUMNS`]; null where there is none.
fn values(row: &SimRow, best: bool) -> [Value; 18] {
    let (arm, policy, admission) = match &row.arm {
        Arm::Policy {
            eviction,
            admission,
        } => ("policy", eviction, json!(admission.to_string())),
        Arm::Bound(bound) => ("bound", bound, Value::Null),
    };
    let outcome = row.outcome.as_ref().ok();
    let of = |get: &dyn Fn(&Outcome) -> Value| outcome.map_or(Value::Null, get);
    [
        json!(row.trace),
        json!(row.mode),
        json!(arm),
        json!(policy.to_string()),
        admission,
        json!(row.size),
        json!(row.capacity),
        of(&|outcome| json!(outcome.requests)),
        of(&|outcome| json!(outcome.misses)),
        of(&|outcome| json!(outcome.miss_ratio)),
        of(&|outcome| json!(outcome.standard_error)),
        of(&|outcome| json!(outcome.byte_miss_ratio)),
        of(&|outcome| json!(outcome.byte_standard_error)),
        of(&|outcome| json!(outcome.accesses_per_s)),
        of(&|outcome| json!(outcome.metadata_bytes)),
        of(&|outcome| json!(outcome.metadata_bytes_per_object)),
        json!(best),
        json!(row.outcome.as_ref().err()),
    ]
}

fn all_values(rows: &[SimRow]) -> Vec<[Value; 18]> {
    let best = best(rows);
    rows.iter()
        .enumerate()
        .map(|(at, row)| values(row, best.contains(&at)))
        .collect()
}

/// The rows of the policies that miss least at their size.
pub fn best(rows: &[SimRow]) -> BTreeSet<usize> {
    let misses = |row: &SimRow| row.outcome.as_ref().ok().map(|outcome| outcome.misses);
    let least = |size: &str| {
        rows.iter()
            .filter(|rival| rival.size == size && !rival.arm.is_bound())
            .filter_map(misses)
            .min()
    };
    let is_best = |row: &SimRow| {
        !row.arm.is_bound() && misses(row).is_some_and(|own| Some(own) == least(&row.size))
    };
    rows.iter()
        .enumerate()
        .filter(|(_, row)| is_best(row))
        .map(|(at, _)| at)
        .collect()
}

/// One JSON object a line.
pub fn json(rows: &[SimRow]) -> String {
    let object = |values: [Value; 18]| {
        COLUMNS
            .iter()
            .map(ToString::to_string)
            .zip(values)
            .collect()
    };
    json_lines(
        all_values(rows)
            .into_iter()
            .map(|values| Value::Object(object(values))),
    )
}

/// The rows as CSV.
pub fn to_csv(rows: &[SimRow]) -> String {
    let text = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    store::csv(
        COLUMNS,
        all_values(rows).into_iter().map(|values| values.map(text)),
    )
}

/// The rows as a Parquet file.
///
/// # Errors
/// If the library refuses.
pub fn frame_bytes(rows: &[SimRow]) -> Result<Vec<u8>, StoreError> {
    let values = all_values(rows);
    let columns = COLUMNS.iter().enumerate().map(|(at, name)| {
        let of = || values.iter().map(move |row| &row[at]);
        let column = match *name {
            "capacity" | "requests" | "misses" | "metadata_bytes" => {
                FrameColumn::Integers(of().map(Value::as_u64).collect())
            }
            "best" => FrameColumn::Flags(
                of().map(|value| value.as_bool().unwrap_or_default())
                    .collect(),
            ),
            "trace" | "mode" | "arm" | "policy" | "admission" | "size" | "refused" => {
                FrameColumn::Texts(
                    of().map(|value| value.as_str().map(str::to_owned))
                        .collect(),
                )
            }
            _ => FrameColumn::Numbers(of().map(Value::as_f64).collect()),
        };
        (*name, column)
    });
    store::parquet_of(columns.collect())
}

/// The rows as a table: by size, bounds first, then the policies from the one that misses least. A star marks the best.
pub fn table(rows: &[SimRow]) -> String {
    let best = best(rows);
    let bytes = rows.iter().any(|row| row.mode == Mode::Bytes);
    let remarks = rows.iter().any(|row| row.outcome.is_err());
    let mut header = vec!["size", "cache", "policy", "miss ratio"];
    header.extend(bytes.then_some("byte miss ratio"));
    header.extend(["M accesses/s", "metadata B/object"]);
    header.extend(remarks.then_some("refused"));
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header);
    for at in in_order(rows) {
        let row = &rows[at];
        let capacity = match row.mode {
            Mode::Unit => row.capacity.to_string(),
            Mode::Bytes => ByteSize(row.capacity).display().iec().to_string(),
        };
        let mut cells = vec![row.size.clone(), capacity, shown_name(row)];
        let outcome = row.outcome.as_ref().ok();
        let star = if best.contains(&at) { " *" } else { "" };
        let ratio = |ratio: Option<f64>, error: Option<f64>| {
            let error = error.map_or_else(String::new, |error| format!(" \u{b1} {error:.4}"));
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.4}{error}"))
        };
        cells.push(
            ratio(
                outcome.map(|it| it.miss_ratio),
                outcome.and_then(|it| it.standard_error),
            ) + star,
        );
        if bytes {
            cells.push(ratio(
                outcome.and_then(|it| it.byte_miss_ratio),
                outcome.and_then(|it| it.byte_standard_error),
            ));
        }
        let shown = |value: Option<f64>| value.map_or_else(String::new, |value| digits(value, 3));
        cells.push(shown(
            outcome
                .and_then(|it| it.accesses_per_s)
                .map(|rate| rate / 1e6),
        ));
        cells.push(shown(outcome.and_then(|it| it.metadata_bytes_per_object)));
        if remarks {
            cells.push(row.outcome.as_ref().err().cloned().unwrap_or_default());
        }
        table.add_row(cells);
    }
    let numbers = if bytes { 4 } else { 3 };
    for column in table.column_iter_mut().skip(3).take(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    format!("{table}\n")
}

fn shown_name(row: &SimRow) -> String {
    if row.arm.is_bound() {
        format!("{} (bound)", row.arm.name())
    } else {
        row.arm.name()
    }
}

/// Rows within a size: bounds, then policies by misses, then what was refused.
fn in_order(rows: &[SimRow]) -> Vec<usize> {
    let mut sizes: Vec<&str> = Vec::new();
    for row in rows {
        if !sizes.contains(&row.size.as_str()) {
            sizes.push(&row.size);
        }
    }
    let rank = |row: &SimRow| {
        let misses = row
            .outcome
            .as_ref()
            .map_or(u64::MAX, |outcome| outcome.misses);
        (
            sizes.iter().position(|size| *size == row.size),
            !row.arm.is_bound(),
            misses,
        )
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rank(&rows[*at]));
    order
}

/// Each arm's miss ratio over the size of the cache; of bytes where that is asked for.
pub fn curves(rows: &[SimRow], of_bytes: bool) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let Ok(outcome) = &row.outcome else { continue };
        let (ratio, error) = match of_bytes {
            true => (outcome.byte_miss_ratio, outcome.byte_standard_error),
            false => (Some(outcome.miss_ratio), outcome.standard_error),
        };
        let Some(ratio) = ratio else { continue };
        let point = CurvePoint {
            size: row.size.clone(),
            capacity: row.capacity,
            ratio,
            standard_error: error,
        };
        let name = shown_name(row);
        match curves
            .iter_mut()
            .find(|curve| curve.name == name && curve.bound == row.arm.is_bound())
        {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                bound: row.arm.is_bound(),
                points: vec![point],
            }),
        }
    }
    curves
}
