//! Rows of a simulation as a table, JSON, CSV, Parquet and curves.

use std::collections::BTreeSet;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::{Arm, Mode, Outcome, Ratio, RatioError, SimRow};
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
const COLUMNS: usize = 25;

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
        number("miss_ratio", |it| Some(it.outcome()?.miss_ratio.value)),
        number("standard_error", |it| {
            Some(it.outcome()?.miss_ratio.error?.standard)
        }),
        number("half_width", |it| {
            Some(it.outcome()?.miss_ratio.error?.half_width)
        }),
        number("byte_miss_ratio", |it| {
            Some(it.outcome()?.byte_miss_ratio?.value)
        }),
        number("byte_standard_error", |it| {
            Some(it.outcome()?.byte_miss_ratio?.error?.standard)
        }),
        number("byte_half_width", |it| {
            Some(it.outcome()?.byte_miss_ratio?.error?.half_width)
        }),
        number("cost_miss_ratio", |it| {
            Some(it.outcome()?.cost_miss_ratio?.value)
        }),
        number("cost_standard_error", |it| {
            Some(it.outcome()?.cost_miss_ratio?.error?.standard)
        }),
        number("cost_half_width", |it| {
            Some(it.outcome()?.cost_miss_ratio?.error?.half_width)
        }),
        count("seeds", |it| Some(it.outcome()?.seeds)),
        number("seed_deviation", |it| it.outcome()?.seed_deviation),
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
/// least. A star marks the best. Behind a ratio that is not exact stands half the width of its 95 %
/// interval.
pub fn table(rows: &[SimRow]) -> String {
    let best = best(rows);
    let layout = TableLayout {
        bytes: rows.iter().any(|row| row.mode == Mode::Bytes),
        costs: rows.iter().any(has_costs),
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
    let numbers = 3 + usize::from(layout.bytes) + usize::from(layout.costs);
    for column in table.column_iter_mut().skip(3).take(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// Which columns a table has.
struct TableLayout {
    /// Byte miss ratios.
    bytes: bool,
    /// Miss ratios by cost.
    costs: bool,
    /// Reasons why a policy did not run.
    refusals: bool,
}

impl TableLayout {
    fn header(&self) -> Vec<&'static str> {
        let mut header = vec!["size", "cache", "policy", "miss ratio"];
        if self.bytes {
            header.push("byte miss ratio");
        }
        if self.costs {
            header.push("cost miss ratio");
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
        let star = if best { " *" } else { "" };
        let mut cells = vec![
            row.size.clone(),
            capacity,
            shown_name(row),
            shown_ratio(outcome.map(|outcome| outcome.miss_ratio)) + star,
        ];
        if self.bytes {
            cells.push(shown_ratio(outcome.and_then(|it| it.byte_miss_ratio)));
        }
        if self.costs {
            cells.push(shown_ratio(outcome.and_then(|it| it.cost_miss_ratio)));
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

fn has_costs(row: &SimRow) -> bool {
    let outcome = row.outcome.as_ref();
    outcome.is_ok_and(|outcome| outcome.cost_miss_ratio.is_some())
}

/// A ratio, with half the width of its interval if it is not exact.
fn shown_ratio(ratio: Option<Ratio>) -> String {
    let Some(Ratio { value, error }) = ratio else {
        return String::new();
    };
    match error {
        Some(RatioError { half_width, .. }) => format!("{value:.4} \u{b1} {half_width:.4}"),
        None => format!("{value:.4}"),
    }
}

fn three_digits(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| digits(value, 3))
}

/// The name of a row in tables and figures.
pub(super) fn shown_name(row: &SimRow) -> String {
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

/// The unit of sizes on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SizeUnit {
    /// Percent of the trace's objects, or of their bytes.
    Percent,
    /// Objects.
    Objects,
    /// A unit of this number of bytes, with its name.
    Bytes(f64, &'static str),
}

impl SizeUnit {
    /// The one unit in which all rows can be shown: percent if all sizes are shares.
    pub fn of(rows: &[SimRow]) -> Self {
        let is_share = |row: &SimRow| row.size.ends_with('%');
        let largest = rows.iter().map(|row| row.capacity).max().unwrap_or(0) as f64;
        if rows.iter().all(is_share) {
            Self::Percent
        } else if rows.iter().all(|row| row.mode == Mode::Unit) {
            Self::Objects
        } else {
            let units = [
                (1_u64 << 30, "GiB"),
                (1 << 20, "MiB"),
                (1 << 10, "KiB"),
                (1, "bytes"),
            ];
            let units = units.map(|(bytes, name)| (bytes as f64, name));
            let fitting = units.into_iter().find(|(bytes, _)| *bytes <= largest);
            let (bytes, name) = fitting.unwrap_or((1.0, "bytes"));
            Self::Bytes(bytes, name)
        }
    }

    /// The size of a row in this unit.
    fn value(self, row: &SimRow) -> f64 {
        let percent = row.size.trim_end_matches('%').trim().parse().ok();
        match (self, percent) {
            (Self::Percent, Some(percent)) => percent,
            (Self::Bytes(bytes, _), _) => row.capacity as f64 / bytes,
            (Self::Percent | Self::Objects, _) => row.capacity as f64,
        }
    }
}

/// Returns each arm's miss ratio over the size of the cache, or its byte miss ratio.
pub fn curves(rows: &[SimRow], of_bytes: bool) -> Vec<Curve> {
    let unit = SizeUnit::of(rows);
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        let Ok(outcome) = &row.outcome else { continue };
        let Some(point) = curve_point(row, outcome, unit, of_bytes) else {
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

fn curve_point(
    row: &SimRow,
    outcome: &Outcome,
    unit: SizeUnit,
    of_bytes: bool,
) -> Option<CurvePoint> {
    let Ratio { value, error } = if of_bytes {
        outcome.byte_miss_ratio?
    } else {
        outcome.miss_ratio
    };
    Some(CurvePoint {
        size: row.size.clone(),
        capacity: row.capacity,
        x: unit.value(row),
        ratio: value,
        half_width: error.map(|error| error.half_width),
    })
}
