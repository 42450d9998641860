//! Results as rows: one list of columns from which table, CSV and Parquet are made.

use std::path::Path;

use aura_policies::index::FAMILY;
use serde::Serialize;
use serde_json::Value;

use super::Candidate;
use crate::files;
use crate::formats::parquet::{self, DataColumn, Read};
use crate::formats::{Cell, Table, csv};
use crate::names::named_enum;
use crate::store::StoreError;

named_enum! {
    /// What the ranks of a model count.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub enum Ranks {
        /// Keys.
        Entries = "entries",
        /// Data blocks.
        Blocks = "blocks",
    }
}

/// Nanoseconds of look-ups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The median.
    pub median: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Distances of ranks from the farther end of their windows, in keys: as in a table's report, where
/// the unit may be blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// The largest, over every key and every gap.
    pub max: f64,
    /// The mean, over every key.
    pub mean: f64,
}

/// What was measured of an index that was not refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Memory of the index, without the keys themselves: what it stores, charged or not.
    pub bytes: u64,
    /// Memory of the index over the keys.
    pub bytes_per_key: f64,
    /// Memory of the index over that of fence pointers.
    pub bytes_against_fence: Option<f64>,
    /// Training time over the keys.
    pub build_ns_per_key: f64,
    /// Look-ups with warm caches.
    pub warm: Option<Latency>,
    /// Look-ups after a walk over other memory.
    pub cold: Option<Latency>,
    /// The warm median of fence pointers over this one's.
    pub speed_warm: Option<f64>,
    /// The cold median of fence pointers over this one's.
    pub speed_cold: Option<f64>,
    /// Comparisons of keys in a look-up, mean.
    pub comparisons: f64,
    /// Keys in the window that is searched, mean.
    pub searched: f64,
    /// Errors of a model; `None` for other indexes.
    pub errors: Option<Errors>,
    /// Segments of a model; `None` for other indexes.
    pub segments: Option<u64>,
}

/// One index on one key set.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The key set.
    pub set: String,
    /// The set's keys.
    pub keys: u64,
    /// The model.
    pub model: String,
    /// The model's parameters, without epsilon.
    pub params: String,
    /// The error bound that was asked for; `None` for models without one.
    pub epsilon: Option<u64>,
    /// What the model's ranks count.
    pub ranks: Option<Ranks>,
    /// Why nothing was measured.
    pub refused: Option<String>,
    /// What was measured; `None` if the model was refused.
    pub measured: Option<Measured>,
    /// The fewest segments possible at this epsilon, if they are known.
    pub optimal_segments: Option<u64>,
}

impl Row {
    pub(super) fn new(set: &str, keys: usize, candidate: &Candidate) -> Self {
        let mut params = Vec::new();
        for (name, value) in candidate.spec.iter().flat_map(|spec| &spec.params) {
            if name != "epsilon" {
                params.push(format!("{name}={value}"));
            }
        }
        Self {
            set: set.to_owned(),
            keys: keys as u64,
            model: candidate.model().to_owned(),
            params: params.join(" "),
            epsilon: candidate.epsilon,
            ranks: None,
            refused: None,
            measured: None,
            optimal_segments: None,
        }
    }

    /// The model's name with the parameters that were given, without epsilon.
    pub fn name(&self) -> String {
        if self.params.is_empty() {
            self.model.clone()
        } else {
            format!("{} {}", self.model, self.params)
        }
    }

    /// Segments over the fewest possible; of models of entries, for those are counted.
    fn segments_ratio(&self) -> Option<f64> {
        if self.ranks != Some(Ranks::Entries) {
            return None;
        }
        let segments = self.measured.as_ref()?.segments?;
        let fewest = self.optimal_segments.filter(|fewest| *fewest > 0)?;
        Some(segments as f64 / fewest as f64)
    }
}

/// Fills in how large and how fast each index is against fence pointers.
pub(super) fn compare(rows: &mut [Row]) {
    let fence = rows.iter().find(|row| row.model == FAMILY.default);
    let Some(fence) = fence.and_then(|row| row.measured.clone()) else {
        return;
    };
    for measured in rows.iter_mut().filter_map(|row| row.measured.as_mut()) {
        measured.bytes_against_fence =
            (fence.bytes > 0).then(|| measured.bytes as f64 / fence.bytes as f64);
        measured.speed_warm = speed(fence.warm, measured.warm);
        measured.speed_cold = speed(fence.cold, measured.cold);
    }
}

fn speed(fence: Option<Latency>, own: Option<Latency>) -> Option<f64> {
    let fence = fence?.median;
    let own = own?.median;
    (own > 0.0).then_some(fence / own)
}

struct Column {
    /// The heading in a table; `None` if tables leave the column out.
    heading: Option<&'static str>,
    data: DataColumn<Row>,
}

/// A column of tables and files.
const fn shown(name: &'static str, heading: &'static str, read: Read<Row>) -> Column {
    Column {
        heading: Some(heading),
        data: DataColumn { name, read },
    }
}

/// A column of files only.
const fn kept(name: &'static str, read: Read<Row>) -> Column {
    Column {
        heading: None,
        data: DataColumn { name, read },
    }
}

/// Reads a number of an index that was measured.
macro_rules! measured {
    (|$measured:ident| $value:expr) => {
        Read::Number(|row| {
            let $measured = row.measured.as_ref()?;
            $value
        })
    };
}

const COLUMNS: [Column; 25] = [
    shown("set", "keys", Read::Text(|row| Some(row.set.clone()))),
    kept("keys", Read::Count(|row| Some(row.keys))),
    kept("model", Read::Text(|row| Some(row.model.clone()))),
    kept("params", Read::Text(|row| Some(row.params.clone()))),
    shown("index", "index", Read::Text(|row| Some(row.name()))),
    shown("epsilon", "eps", Read::Count(|row| row.epsilon)),
    kept(
        "ranks",
        Read::Text(|row| row.ranks.map(|ranks| ranks.name().to_owned())),
    ),
    kept(
        "index_bytes",
        Read::Count(|row| Some(row.measured.as_ref()?.bytes)),
    ),
    shown(
        "bytes_per_key",
        "B/key",
        measured!(|it| Some(it.bytes_per_key)),
    ),
    shown(
        "bytes_against_fence",
        "/ fence",
        measured!(|it| it.bytes_against_fence),
    ),
    shown(
        "build_ns_per_key",
        "build ns/key",
        measured!(|it| Some(it.build_ns_per_key)),
    ),
    shown(
        "warm_ns_median",
        "warm ns",
        measured!(|it| Some(it.warm?.median)),
    ),
    shown("warm_ns_p99", "p99", measured!(|it| Some(it.warm?.p99))),
    shown(
        "warm_speed_against_fence",
        "x fence",
        measured!(|it| it.speed_warm),
    ),
    shown(
        "cold_ns_median",
        "cold ns",
        measured!(|it| Some(it.cold?.median)),
    ),
    shown("cold_ns_p99", "p99", measured!(|it| Some(it.cold?.p99))),
    shown(
        "cold_speed_against_fence",
        "x fence",
        measured!(|it| it.speed_cold),
    ),
    shown(
        "comparisons",
        "probes",
        measured!(|it| Some(it.comparisons)),
    ),
    kept("window_keys", measured!(|it| Some(it.searched))),
    shown("error_max", "err max", measured!(|it| Some(it.errors?.max))),
    shown("error_mean", "mean", measured!(|it| Some(it.errors?.mean))),
    shown(
        "segments",
        "segments",
        Read::Count(|row| row.measured.as_ref()?.segments),
    ),
    kept("segments_optimal", Read::Count(|row| row.optimal_segments)),
    shown(
        "segments_against_optimal",
        "/ optimal",
        Read::Number(Row::segments_ratio),
    ),
    shown(
        "refused",
        "refused because",
        Read::Text(|row| row.refused.clone()),
    ),
];

impl Column {
    /// A row's value as people read it: three digits are more than most clocks deserve.
    fn cell(&self, row: &Row) -> Cell {
        match self.data.value(row) {
            Value::Number(number) if number.is_f64() => Cell::number(number.as_f64()),
            value => value.into(),
        }
    }

    /// A row's value in full, for CSV files.
    fn field(&self, row: &Row) -> String {
        match self.data.value(row) {
            Value::Number(number) if number.is_f64() => {
                number.as_f64().unwrap_or_default().to_string()
            }
            value => Cell::from(value).text().to_owned(),
        }
    }
}

/// Lays out the columns that people read.
pub fn table(rows: &[Row]) -> Table {
    let shown = || COLUMNS.iter().filter(|column| column.heading.is_some());
    let header = shown().filter_map(|column| column.heading).collect();
    let cells = |row| shown().map(|column| column.cell(row)).collect();
    Table::new(header, rows.iter().map(cells).collect())
}

/// Lays out all columns.
pub fn data(rows: &[Row]) -> Table {
    let header = COLUMNS.iter().map(|column| column.data.name).collect();
    let cells = |row| COLUMNS.iter().map(|column| column.cell(row)).collect();
    Table::new(header, rows.iter().map(cells).collect())
}

/// Writes `index-bench.csv` and `index-bench.parquet` into a folder that exists. The CSV has
/// numbers in full.
///
/// # Errors
/// [`StoreError`] if a file cannot be written.
pub fn write(folder: &Path, rows: &[Row]) -> Result<(), StoreError> {
    let line = |row| COLUMNS.each_ref().map(|column| column.field(row));
    let header = COLUMNS.each_ref().map(|column| column.data.name);
    let text = csv(header, rows.iter().map(line));
    files::replace(&folder.join("index-bench.csv"), text.as_bytes())?;
    let path = folder.join("index-bench.parquet");
    let columns = COLUMNS.iter().map(|column| &column.data);
    let bytes = parquet::write_rows(columns, rows).map_err(|error| StoreError::Damaged {
        path: path.clone(),
        message: error.to_string(),
    })?;
    files::replace(&path, &bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;

    #[test]
    fn numbers_are_full_in_files_and_rounded_for_people() {
        let mut row = Row {
            set: "s".to_owned(),
            keys: 3,
            model: "pgm".to_owned(),
            params: String::new(),
            epsilon: Some(8),
            ranks: Some(Ranks::Entries),
            refused: None,
            measured: Some(Measured {
                bytes_per_key: 0.123_456,
                build_ns_per_key: 2.0,
                segments: Some(6),
                ..Measured::default()
            }),
            optimal_segments: Some(4),
        };
        let of = |row: &Row, name: &str| {
            let column = COLUMNS.iter().find(|column| column.data.name == name);
            let column = column.expect("a column");
            (column.field(row), column.cell(row).text().to_owned())
        };
        let both = |full: &str, shown: &str| (full.to_owned(), shown.to_owned());
        assert_eq!(of(&row, "bytes_per_key"), both("0.123456", "0.123"));
        assert_eq!(of(&row, "build_ns_per_key"), both("2", "2"));
        assert_eq!(of(&row, "segments_against_optimal"), both("1.5", "1.5"));
        assert_eq!(of(&row, "cold_ns_median"), both("", ""));
        row.ranks = Some(Ranks::Blocks);
        assert_eq!(of(&row, "segments_against_optimal"), both("", ""));
        let text = data(&[row]).text(Format::Csv);
        assert!(text.starts_with("set,keys,model,params,"), "{text}");
    }
}
