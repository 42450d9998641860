//! Results on disk: a trial's folder, and the tables that gather an experiment's trials.
//!
//! ```text
//! results/<experiment>/
//!   metrics.parquet           one row a trial, phase and metric: the columns of `TidyRow`, and one for every sweep key
//!   summary.json              over the seeds: n, mean, smallest, largest, half-width of the 95 % Student interval
//!   trials/<id>/
//!     manifest.json           what the trial was
//!     metrics.jsonl           its metrics, one a line
//!     series.parquet          its phases in slices of time
//!     latency/<phase>.<op>.hlog           HDR histogram V2, nanoseconds, from the intended start
//!     latency/<phase>.<op>.service.hlog   the same from the actual start; in an open loop only
//!     events.jsonl            flushes, compactions, stalls and actions of agents
//! ```
//!
//! The same results give the same bytes: no file holds a date, a path or a host. A file that gathers others is written
//! under a temporary name and renamed, so that a reader never sees half of one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use polars::prelude::{
    Column, DataFrame, NamedFrom, ParquetReader, ParquetWriter, PolarsError, SerReader, Series,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{self, FileError};
use crate::record::World;

mod table;
mod trial;

pub use table::{
    Collected, SummaryRow, TidyRow, collect, content_hash, read_trials, summarise, tidy,
};
pub use trial::{StoredTrial, read_trial, write_trial};

/// A sweep's point: dotted key to value.
pub type Point = BTreeMap<String, String>;

/// What can go wrong with results on disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A phase's name cannot be part of a file name.
    #[error("phase {0:?}: a name has 1 to 64 letters, digits, - and _")]
    PhaseName(String),
    /// There is nothing to read.
    #[error("{} holds no finished trial", .0.display())]
    NoTrials(PathBuf),
}

impl From<FileError> for StoreError {
    fn from(
        FileError {
            action,
            path,
            source,
        }: FileError,
    ) -> Self {
        Self::Io {
            action,
            path,
            source,
        }
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// A sweep's point as shown in tables: `engine.cache.size=32MiB`, several keys parted by a space; empty without a sweep.
pub fn point_label(point: &Point) -> String {
    point
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The order of two points: key by key, values that are numbers or sizes by their amount, others by their letters.
pub fn order_points(a: &Point, b: &Point) -> Ordering {
    let amount = |value: &str| match value.parse::<f64>() {
        Ok(number) => Some(number),
        Err(_) => value
            .parse::<ByteSize>()
            .ok()
            .map(|size| size.as_u64() as f64),
    };
    for ((key, value), (other_key, other)) in a.iter().zip(b) {
        let by_amount = match (amount(value), amount(other)) {
            (Some(value), Some(other)) => value.total_cmp(&other),
            _ => Ordering::Equal,
        };
        let order = key.cmp(other_key).then(by_amount).then(value.cmp(other));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// A CSV table (RFC 4180, lines ended by a line feed).
pub fn csv<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let quoted = |field: &str| match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    };
    let mut text = header.join(",") + "\n";
    for row in rows {
        text += &row.map(|field| quoted(&field)).join(",");
        text.push('\n');
    }
    text
}

/// The name of a world in tables.
pub fn world_name(world: World) -> &'static str {
    match world {
        World::Simulated => "simulated",
        World::Real => "real",
    }
}

/// Creates a folder and those above it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn create_folder(path: &Path) -> Result<()> {
    Ok(files::create_folder(path)?)
}

/// Writes a file under a temporary name and renames it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    files::write(&part, bytes)?;
    Ok(files::rename(&part, path)?)
}

fn damaged(path: &Path, message: impl ToString) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "results are files of this machine, not of the engine's world"
)]
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| StoreError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("results have string keys only");
    bytes.push(b'\n');
    bytes
}

fn json_lines(values: &[impl Serialize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value).expect("results have string keys only");
        bytes.push(b'\n');
    }
    bytes
}

fn parquet(
    frame: std::result::Result<DataFrame, PolarsError>,
) -> std::result::Result<Vec<u8>, PolarsError> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame?)?;
    Ok(bytes)
}

/// A column of a table that is written as Parquet.
pub enum FrameColumn {
    /// Words.
    Texts(Vec<Option<String>>),
    /// Counts.
    Integers(Vec<Option<u64>>),
    /// Ratios and rates.
    Numbers(Vec<Option<f64>>),
    /// Yes or no.
    Flags(Vec<bool>),
}

/// A Parquet file of columns of the same height.
///
/// # Errors
/// If the library refuses.
pub fn parquet_of(columns: Vec<(&str, FrameColumn)>) -> Result<Vec<u8>> {
    let columns: Vec<Column> = columns
        .into_iter()
        .map(|(name, values)| match values {
            FrameColumn::Texts(values) => column(name, values.as_slice()),
            FrameColumn::Integers(values) => column(name, values.as_slice()),
            FrameColumn::Numbers(values) => column(name, values.as_slice()),
            FrameColumn::Flags(values) => column(name, values.as_slice()),
        })
        .collect();
    let height = columns.first().map_or(0, Column::len);
    parquet(DataFrame::new(height, columns))
        .map_err(|error| damaged(Path::new("results.parquet"), error))
}

/// Writes a Parquet file of columns with `height` values each.
///
/// # Errors
/// [`StoreError::Io`], or [`StoreError::Damaged`] if the columns do not fit together.
pub(crate) fn replace_parquet(path: &Path, height: usize, columns: Vec<Column>) -> Result<()> {
    let bytes = parquet(DataFrame::new(height, columns)).map_err(|error| damaged(path, error))?;
    replace(path, &bytes)
}

pub(crate) fn column<'a, T: ?Sized>(name: &str, values: &'a T) -> Column
where
    Series: NamedFrom<&'a T, T>,
{
    Series::new(name.into(), values).into()
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, error))
}

fn frame(path: &Path) -> Result<DataFrame> {
    let bytes = io::Cursor::new(read(path)?);
    ParquetReader::new(bytes)
        .finish()
        .map_err(|error| damaged(path, error))
}

fn strings(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<String>> {
    let column = frame
        .column(name)
        .and_then(|column| column.str())
        .map_err(|error| damaged(path, error))?;
    Ok(column
        .iter()
        .map(|value| value.unwrap_or_default().to_owned())
        .collect())
}

fn integers(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<u64>> {
    let column = frame
        .column(name)
        .and_then(|column| column.u64())
        .map_err(|error| damaged(path, error))?;
    Ok(column.iter().map(Option::unwrap_or_default).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_ordered_by_amount() {
        let point = |value: &str| Point::from([("engine.cache.size".to_owned(), value.to_owned())]);
        for (less, more) in [
            ("32MiB", "128MiB"),
            ("512KiB", "1MiB"),
            ("9", "10"),
            ("0.5", "0.75"),
            ("arc", "lru"),
        ] {
            assert_eq!(
                order_points(&point(less), &point(more)),
                Ordering::Less,
                "{less} {more}"
            );
        }
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let row = ["a,b".to_owned(), "say \"x\"".to_owned()];
        assert_eq!(
            csv(["one", "two"], [row]),
            "one,two\n\"a,b\",\"say \"\"x\"\"\"\n"
        );
    }
}
