//! Results as rows: one list of columns from which table, CSV and Parquet are made.

use std::path::Path;

use aura_policies::index::FAMILY;
use serde_json::Value;

use super::Candidate;
use crate::compare::digits;
use crate::rows::{Cell, Rows};
use crate::store::{self, StoreError};

/// Nanoseconds of look-ups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Half are faster.
    pub median: f64,
    /// One in a hundred is slower.
    pub p99: f64,
}

/// Distances of ranks from the middle of their windows, in keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Over every key and every gap.
    pub max: f64,
    /// Over every key.
    pub mean: f64,
}

/// What was measured of an index that stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Memory of the index, the keys themselves left out.
    pub bytes: u64,
    /// The same over the keys.
    pub bytes_per_key: f64,
    /// The same bytes over those of fence pointers.
    pub bytes_against_fence: Option<f64>,
    /// Training over the keys.
    pub build_ns_per_key: f64,
    /// Look-ups with the caches as the look-ups before left them.
    pub warm: Option<Latency>,
    /// Look-ups after a walk over other memory.
    pub cold: Option<Latency>,
    /// The median of fence pointers over this one's.
    pub speed_warm: Option<f64>,
    /// The same of cold ones.
    pub speed_cold: Option<f64>,
    /// Comparisons of keys in a look-up, mean.
    pub comparisons: f64,
    /// Keys in the window that the last mile searches, mean.
    pub searched: f64,
    /// Of models.
    pub errors: Option<Errors>,
    /// Of models.
    pub segments: Option<u64>,
}

/// One index on one key set.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The key set.
    pub set: String,
    /// Its keys.
    pub keys: u64,
    /// The model.
    pub model: String,
    /// Its parameters but epsilon.
    pub params: String,
    /// The error bound it was asked for.
    pub epsilon: Option<u64>,
    /// What its ranks count.
    pub ranks: Option<&'static str>,
    /// Why there is nothing to measure.
    pub refused: Option<String>,
    /// What was measured.
    pub measured: Option<Measured>,
    /// The fewest segments possible at this epsilon, where they are known.
    pub optimal_segments: Option<u64>,
}

impl Row {
    pub(super) fn new(set: &str, keys: usize, candidate: &Candidate) -> Self {
        let params = candidate
            .spec
            .iter()
            .flat_map(|spec| &spec.params)
            .filter(|(name, _)| *name != "epsilon");
        let params: Vec<String> = params
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
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

    /// `pgm`, with the parameters that were given.
    pub fn name(&self) -> String {
        if self.params.is_empty() {
            self.model.clone()
        } else {
            format!("{} {}", self.model, self.params)
        }
    }

    /// Segments over the fewest possible; of models of entries, for those are counted.
    fn segments_ratio(&self) -> Option<f64> {
        let segments = self
            .measured
            .as_ref()?
            .segments
            .filter(|_| self.ranks == Some("entries"))?;
        Some(segments as f64 / self.optimal_segments.filter(|fewest| *fewest > 0)? as f64)
    }
}

/// Fills in how large and how fast each is against fence pointers in the same table.
pub(super) fn compare(rows: &mut [Row]) {
    let fence = rows
        .iter()
        .find(|row| row.model == FAMILY.default)
        .and_then(|row| row.measured.clone());
    let Some(fence) = fence else { return };
    let speed = |base: Option<Latency>, own: Option<Latency>| {
        let (base, own) = (base?.median, own?.median);
        (own > 0.0).then_some(base / own)
    };
    for measured in rows.iter_mut().filter_map(|row| row.measured.as_mut()) {
        measured.bytes_against_fence =
            (fence.bytes > 0).then(|| measured.bytes as f64 / fence.bytes as f64);
        measured.speed_warm = speed(fence.warm, measured.warm);
        measured.speed_cold = speed(fence.cold, measured.cold);
    }
}

/// What a column holds, for files that have types.
enum Get {
    Text(fn(&Row) -> Option<String>),
    Count(fn(&Row) -> Option<u64>),
    Number(fn(&Row, &Measured) -> Option<f64>),
}

struct Column {
    name: &'static str,
    /// Its heading in a table; None where a table leaves it out.
    heading: Option<&'static str>,
    get: Get,
}

const fn shown(name: &'static str, heading: &'static str, get: Get) -> Column {
    Column {
        name,
        heading: Some(heading),
        get,
    }
}

const fn kept(name: &'static str, get: Get) -> Column {
    Column {
        name,
        heading: None,
        get,
    }
}

const COLUMNS: [Column; 25] = [
    shown("set", "keys", Get::Text(|row| Some(row.set.clone()))),
    kept("keys", Get::Count(|row| Some(row.keys))),
    kept("model", Get::Text(|row| Some(row.model.clone()))),
    kept("params", Get::Text(|row| Some(row.params.clone()))),
    shown("index", "index", Get::Text(|row| Some(row.name()))),
    shown("epsilon", "eps", Get::Count(|row| row.epsilon)),
    kept("ranks", Get::Text(|row| row.ranks.map(str::to_owned))),
    kept(
        "index_bytes",
        Get::Count(|row| row.measured.as_ref().map(|measured| measured.bytes)),
    ),
    shown(
        "bytes_per_key",
        "B/key",
        Get::Number(|_, measured| Some(measured.bytes_per_key)),
    ),
    shown(
        "bytes_against_fence",
        "/ fence",
        Get::Number(|_, measured| measured.bytes_against_fence),
    ),
    shown(
        "build_ns_per_key",
        "build ns/key",
        Get::Number(|_, measured| Some(measured.build_ns_per_key)),
    ),
    shown(
        "warm_ns_median",
        "warm ns",
        Get::Number(|_, measured| Some(measured.warm?.median)),
    ),
    shown(
        "warm_ns_p99",
        "p99",
        Get::Number(|_, measured| Some(measured.warm?.p99)),
    ),
    shown(
        "warm_speed_against_fence",
        "x fence",
        Get::Number(|_, measured| measured.speed_warm),
    ),
    shown(
        "cold_ns_median",
        "cold ns",
        Get::Number(|_, measured| Some(measured.cold?.median)),
    ),
    shown(
        "cold_ns_p99",
        "p99",
        Get::Number(|_, measured| Some(measured.cold?.p99)),
    ),
    shown(
        "cold_speed_against_fence",
        "x fence",
        Get::Number(|_, measured| measured.speed_cold),
    ),
    shown(
        "comparisons",
        "probes",
        Get::Number(|_, measured| Some(measured.comparisons)),
    ),
    kept(
        "window_keys",
        Get::Number(|_, measured| Some(measured.searched)),
    ),
    shown(
        "error_max",
        "err max",
        Get::Number(|_, measured| Some(measured.errors?.max)),
    ),
    shown(
        "error_mean",
        "mean",
        Get::Number(|_, measured| Some(measured.errors?.mean)),
    ),
    shown(
        "segments",
        "segments",
        Get::Count(|row| row.measured.as_ref()?.segments),
    ),
    kept("segments_optimal", Get::Count(|row| row.optimal_segments)),
    shown(
        "segments_against_optimal",
        "/ optimal",
        Get::Number(|row, _| row.segments_ratio()),
    ),
    shown(
        "refused",
        "refused because",
        Get::Text(|row| row.refused.clone()),
    ),
];

/// How many columns a table has.
const SHOWN: usize = {
    let (mut count, mut place) = (0, 0);
    while place < COLUMNS.len() {
        count += COLUMNS[place].heading.is_some() as usize;
        place += 1;
    }
    count
};

impl Column {
    fn number(&self, row: &Row) -> Option<f64> {
        match self.get {
            Get::Number(get) => get(row, row.measured.as_ref()?),
            Get::Text(_) | Get::Count(_) => None,
        }
    }

    /// As data, and as people read it: three digits are more than most clocks deserve.
    fn cell(&self, row: &Row) -> Cell {
        let (data, text) = match self.get {
            Get::Text(get) => get(row).map(|text| (Value::from(text.clone()), text)),
            Get::Count(get) => get(row).map(|count| (Value::from(count), count.to_string())),
            Get::Number(_) => self
                .number(row)
                .map(|number| (Value::from(number), digits(number, 3))),
        }
        .unwrap_or((Value::Null, String::new()));
        Cell::new(data, text)
    }

    /// The column as it is in a Parquet file.
    fn column(&self, rows: &[Row]) -> polars::prelude::Column {
        match self.get {
            Get::Text(get) => store::column(
                self.name,
                rows.iter().map(get).collect::<Vec<_>>().as_slice(),
            ),
            Get::Count(get) => store::column(
                self.name,
                rows.iter().map(get).collect::<Vec<_>>().as_slice(),
            ),
            Get::Number(_) => store::column(
                self.name,
                rows.iter()
                    .map(|row| self.number(row))
                    .collect::<Vec<_>>()
                    .as_slice(),
            ),
        }
    }
}

/// The columns that people read.
pub fn table(rows: &[Row]) -> Rows<SHOWN> {
    let shown: Vec<(&'static str, &Column)> = COLUMNS
        .iter()
        .filter_map(|column| Some((column.heading?, column)))
        .collect();
    let mut table = Rows::new(std::array::from_fn(|place| shown[place].0));
    for row in rows {
        table.push(std::array::from_fn(|place| shown[place].1.cell(row)));
    }
    table
}

/// All columns.
pub fn data(rows: &[Row]) -> Rows<{ COLUMNS.len() }> {
    let mut data = Rows::new(COLUMNS.each_ref().map(|column| column.name));
    for row in rows {
        data.push(COLUMNS.each_ref().map(|column| column.cell(row)));
    }
    data
}

/// Writes `index-bench.csv` and `index-bench.parquet` into a folder that exists. The CSV has numbers in full.
///
/// # Errors
/// If the system refuses.
pub fn write(folder: &Path, rows: &[Row]) -> Result<(), StoreError> {
    let text = |column: &Column, row: &Row| match column.get {
        Get::Number(_) => column
            .number(row)
            .map_or_else(String::new, |number| number.to_string()),
        Get::Text(_) | Get::Count(_) => column.cell(row).text().to_owned(),
    };
    let lines = rows
        .iter()
        .map(|row| COLUMNS.each_ref().map(|column| text(column, row)));
    let csv = store::csv(COLUMNS.each_ref().map(|column| column.name), lines);
    store::replace(&folder.join("index-bench.csv"), csv.as_bytes())?;
    let columns = COLUMNS.iter().map(|column| column.column(rows)).collect();
    store::replace_parquet(&folder.join("index-bench.parquet"), rows.len(), columns)
}
