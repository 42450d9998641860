//! Rows of a simulation as a table, JSON, CSV, Parquet and curves.

use std::collections::BTreeSet;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::{Arm, Mode, Outcome, SimRow};
use crate::formats::parquet::{self, DataColumn, ParquetError, Read};
use crate::formats::{csv, digits, json_lines};
use crate::plot::{Curve, CurvePoint};

/// A row, and whether it is the best policy at its size.
struct Ranked<'a> {
    row: &'a SimRow,
    best: bool,
}

impl Ranked<'_> {
    fn outcome(&self) -> Option<&Outcome> {
        self.row.outcome.as_ref().ok()
    }
}

const fn text<'a>(
    name: &'static str,
    read: fn(&Ranked<'a>) -> Option<String>,
) -> DataColumn<Ranked<'a>> {
    DataColumn {
        name,
        read: Read::Text(read),
    }
}

const fn count<'a>(
    name: &'static str,
    read: fn(&Ranked<'a>) -> Option<u64>,
) -> DataColumn<Ranked<'a>> {
    DataColumn {
        name,
        read: Read::Count(read),
    }
}

const fn number<'a>(
    name: &'static str,
    read: fn(&Ranked<'a>) -> Option<f64>,
) -> DataColumn<Ranked<'a>> {
    DataColumn {
        name,
        read: Read::Number(read),
    }
}

/// How many columns files have.
const COLUMNS: usize = 18;

/// The columns of files.
fn columns<'a>() -> [DataColumn<Ranked<'a>>; COLUMNS] {
    [
        text("trace", |it| Some(it.row.trace.clone())),
        text("mode", |it| Some(it.row.mode.name().to_owned())),
        text("arm", |it| {
            let arm = if it.row.arm.is_bound() {
                "bound"
            } else {
                "policy"
            };
            Some(arm.to_owned())
        }),
        text("policy", |it| match &it.row.arm {
            Arm::Policy { eviction, .. } => Some(eviction.to_string()),
            Arm::Bound(bound) => Some(bound.to_string()),
        }),
        text("admission", |it| match &it.row.arm {
            Arm::Policy { admission, .. } => Some(admission.to_string()),
            Arm::Bound(_) => None,
        }),
        text("size", |it| Some(it.row.size.clone())),
        count("capacity", |it| Some(it.row.capacity)),
        count("requests", |it| Some(it.outcome()?.requests)),
        count("misses", |it| Some(it.outcome()?.misses)),
        number("miss_ratio", |it| Some(it.outcome()?.miss_ratio)),
        number("standard_error", |it| it.outcome()?.standard_error),
        number("byte_miss_ratio", |it| it.outcome()?.byte_miss_ratio),
        number("byte_standard_error", |it| {
            it.outcome()?.byte_standard_error
        }),
        number("accesses_per_s", |it| it.outcome()?.accesses_per_s),
        count("metadata_bytes", |it| it.outcome()?.metadata_bytes),
        number("metadata_bytes_per_object", |it| {
            it.outcome()?.metadata_bytes_per_object
        }),
        DataColumn {
            name: "best",
            read: Read::Flag(|it| it.best),
        },
        text("refused", |it| it.row.outcome.as_ref().err().cloned()),
    ]
}

fn ranked(rows: &[SimRow]) -> Vec<Ranked<'_>> {
    let best = best(rows);
    let ranked = |(at, row)| Ranked {
        row,
        best: best.contains(&at),
    };
    rows.iter().enumerate().map(ranked).collect()
}

/// Returns the places of the policies that miss least at their size.
pub fn best(rows: &[SimRow]) -> BTreeSet<usize> {
    let misses = |row: &SimRow| row.outcome.as_ref().ok().map(|outcome| outcome.misses);
    let least = |size: &str| {
        rows.iter()
            .filter(|rival| rival.size == size && !rival.arm.is_bound())
            .filter_map(misses)
            .min()
    };
    let mut best = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        let own = misses(row);
        if !row.arm.is_bound() && own.is_some() && own == least(&row.size) {
            best.insert(at);
        }
    }
    best
}

/// Writes one JSON object a line.
pub fn json(rows: &[SimRow]) -> String {
    let columns = columns();
    let mut objects = Vec::new();
    for row in ranked(rows) {
        let mut object = Map::new();
        for column in &columns {
            object.insert(column.name.to_owned(), column.value(&row));
        }
        objects.push(Value::Object(object));
    }
    json_lines(objects)
}

/// Writes the rows as CSV.
pub fn to_csv(rows: &[SimRow]) -> String {
    let columns = columns();
    let field = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut lines = Vec::new();
    for row in ranked(rows) {
        lines.push(columns.each_ref().map(|column| field(column.value(&row))));
    }
    csv(columns.each_ref().map(|column| column.name), lines)
}

/// Returns the bytes of the rows as a Parquet file.
///
/// # Errors
/// [`ParquetError`] if the library refuses.
pub fn frame_bytes(rows: &[SimRow]) -> Result<Vec<u8>, ParquetError> {
    parquet::write_rows(&columns(), &ranked(rows))
}

/// Draws the rows as a table: by size, bounds first, then the policies from the one that misses
/// least. A star marks the best.
pub fn table(rows: &[SimRow]) -> String {
    let best = best(rows);
    let layout = TableLayout {
        bytes: rows.iter().any(|row| row.mode == Mode::Bytes),
        refusals: rows.iter().any(|row| row.outcome.is_err()),
    };
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(layout.header())
        .set_content_arrangement(ContentArrangement::Dynamic);
    for at in in_order(rows) {
        table.add_row(layout.cells(&rows[at], best.contains(&at)));
    }
    let numbers = if layout.bytes { 4 } else { 3 };
    for column in table.column_iter_mut().skip(3).take(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// Which columns a table has.
struct TableLayout {
    /// Byte miss ratios.
    bytes: bool,
    /// Reasons why a policy did not run.
    refusals: bool,
}

impl TableLayout {
    fn header(&self) -> Vec<&'static str> {
        let mut header = vec!["size", "cache", "policy", "miss ratio"];
        if self.bytes {
            header.push("byte miss ratio");
        }
        header.extend(["M accesses/s", "metadata B/object"]);
        if self.refusals {
            header.push("refused");
        }
        header
    }

    fn cells(&self, row: &SimRow, best: bool) -> Vec<String> {
        let capacity = match row.mode {
            Mode::Unit => row.capacity.to_string(),
            Mode::Bytes => ByteSize(row.capacity).display().iec().to_string(),
        };
        // What did not run has empty cells.
        let outcome = row.outcome.as_ref().ok();
        let miss_ratio = outcome.map(|outcome| outcome.miss_ratio);
        let error = outcome.and_then(|outcome| outcome.standard_error);
        let star = if best { " *" } else { "" };
        let mut cells = vec![
            row.size.clone(),
            capacity,
            shown_name(row),
            ratio_with_error(miss_ratio, error) + star,
        ];
        if self.bytes {
            let miss_ratio = outcome.and_then(|outcome| outcome.byte_miss_ratio);
            let error = outcome.and_then(|outcome| outcome.byte_standard_error);
            cells.push(ratio_with_error(miss_ratio, error));
        }
        let rate = outcome.and_then(|outcome| outcome.accesses_per_s);
        cells.push(three_digits(rate.map(|rate| rate / 1e6)));
        cells.push(three_digits(
            outcome.and_then(|outcome| outcome.metadata_bytes_per_object),
        ));
        if self.refusals {
            cells.push(row.outcome.as_ref().err().cloned().unwrap_or_default());
        }
        cells
    }
}

fn ratio_with_error(ratio: Option<f64>, error: Option<f64>) -> String {
    let Some(ratio) = ratio else {
        return String::new();
    };
    match error {
        Some(error) => format!("{ratio:.4} \u{b1} {error:.4}"),
        None => format!("{ratio:.4}"),
    }
}

fn three_digits(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| digits(value, 3))
}

fn shown_name(row: &SimRow) -> String {
    if row.arm.is_bound() {
        format!("{} (bound)", row.arm.name())
    } else {
        row.arm.name()
    }
}

/// The places of rows in a table: within a size bounds, then policies by misses, then refusals.
fn in_order(rows: &[SimRow]) -> Vec<usize> {
    let mut sizes: Vec<&str> = Vec::new();
    for row in rows {
        if !sizes.contains(&row.size.as_str()) {
            sizes.push(&row.size);
        }
    }
    let rank = |row: &SimRow| {
        let size = sizes.iter().position(|size| *size == row.size);
        let misses = match &row.outcome {
            Ok(outcome) => outcome.misses,
            Err(_) => u64::MAX,
        };
        (size, !row.arm.is_bound(), misses)
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rank(&rows[*at]));
    order
}

/// Returns each arm's miss ratio over the size of the cache, or its byte miss ratio.
pub fn curves(rows: &[SimRow], of_bytes: bool) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let Ok(outcome) = &row.outcome else { continue };
        let Some(point) = curve_point(row, outcome, of_bytes) else {
            continue;
        };
        let name = shown_name(row);
        let bound = row.arm.is_bound();
        let known = curves
            .iter_mut()
            .find(|curve| curve.name == name && curve.bound == bound);
        match known {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                bound,
                points: vec![point],
            }),
        }
    }
    curves
}

fn curve_point(row: &SimRow, outcome: &Outcome, of_bytes: bool) -> Option<CurvePoint> {
    let point = CurvePoint {
        size: row.size.clone(),
        capacity: row.capacity,
        ratio: outcome.miss_ratio,
        standard_error: outcome.standard_error,
    };
    if !of_bytes {
        return Some(point);
    }
    Some(CurvePoint {
        ratio: outcome.byte_miss_ratio?,
        standard_error: outcome.byte_standard_error,
        ..point
    })
}
