//! Parquet: typed columns to a file's bytes, and a file's columns back.

use std::io::Cursor;
use std::path::Path;

use polars::prelude::{
    DataFrame, NamedFrom, ParquetReader, ParquetWriter, PolarsError, SerReader, Series,
};
use serde_json::Value;

use crate::files::{self, FileError};

/// A Parquet file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// The file is missing or cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The columns are missing, of another type, or damaged.
    #[error(transparent)]
    Content(#[from] PolarsError),
}

/// How a column's value is read from a row.
pub enum Read<R> {
    /// Words.
    Text(fn(&R) -> Option<String>),
    /// Counts.
    Count(fn(&R) -> Option<u64>),
    /// Ratios and rates.
    Number(fn(&R) -> Option<f64>),
    /// Yes or no.
    Flag(fn(&R) -> bool),
}

/// A typed column of a table of `R`s.
pub struct DataColumn<R> {
    /// The name in files.
    pub name: &'static str,
    /// The value that each row has there.
    pub read: Read<R>,
}

impl<R> DataColumn<R> {
    /// A row's value as JSON; null if it has none.
    pub fn value(&self, row: &R) -> Value {
        match self.read {
            Read::Text(read) => read(row).into(),
            Read::Count(read) => read(row).into(),
            Read::Number(read) => read(row).into(),
            Read::Flag(read) => read(row).into(),
        }
    }

    /// All rows' values, typed.
    fn values(&self, rows: &[R]) -> Values {
        match self.read {
            Read::Text(read) => Values::Texts(rows.iter().map(read).collect()),
            Read::Count(read) => Values::Counts(rows.iter().map(read).collect()),
            Read::Number(read) => Values::Numbers(rows.iter().map(read).collect()),
            Read::Flag(read) => Values::Flags(rows.iter().map(read).collect()),
        }
    }
}

/// The values of one column.
pub enum Values {
    /// Words.
    Texts(Vec<Option<String>>),
    /// Counts.
    Counts(Vec<Option<u64>>),
    /// Ratios and rates.
    Numbers(Vec<Option<f64>>),
    /// Yes or no.
    Flags(Vec<bool>),
}

impl Values {
    /// Words of which none is missing.
    pub fn texts(values: impl Iterator<Item = String>) -> Self {
        Self::Texts(values.map(Some).collect())
    }

    /// Counts of which none is missing.
    pub fn counts(values: impl Iterator<Item = u64>) -> Self {
        Self::Counts(values.map(Some).collect())
    }

    /// Numbers of which none is missing.
    pub fn numbers(values: impl Iterator<Item = f64>) -> Self {
        Self::Numbers(values.map(Some).collect())
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts(values) => values.len(),
            Self::Counts(values) => values.len(),
            Self::Numbers(values) => values.len(),
            Self::Flags(values) => values.len(),
        }
    }

    fn series(&self, name: &str) -> Series {
        match self {
            Self::Texts(values) => Series::new(name.into(), values.as_slice()),
            Self::Counts(values) => Series::new(name.into(), values.as_slice()),
            Self::Numbers(values) => Series::new(name.into(), values.as_slice()),
            Self::Flags(values) => Series::new(name.into(), values.as_slice()),
        }
    }
}

/// Returns the bytes of a Parquet file with `columns`, which all have the same height.
///
/// # Errors
/// [`ParquetError::Content`] if the columns do not fit together.
pub fn write(columns: &[(&str, Values)]) -> Result<Vec<u8>, ParquetError> {
    let height = columns.first().map_or(0, |(_, values)| values.len());
    let series = columns
        .iter()
        .map(|(name, values)| values.series(name).into())
        .collect();
    let mut frame = DataFrame::new(height, series)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame)?;
    Ok(bytes)
}

/// Returns the bytes of a Parquet file with one row for each of `rows`.
///
/// # Errors
/// [`ParquetError::Content`] if the columns do not fit together.
pub fn write_rows<'a, R: 'a>(
    columns: impl IntoIterator<Item = &'a DataColumn<R>>,
    rows: &[R],
) -> Result<Vec<u8>, ParquetError> {
    let columns: Vec<(&str, Values)> = columns
        .into_iter()
        .map(|column| (column.name, column.values(rows)))
        .collect();
    write(&columns)
}

/// A Parquet file in memory.
pub struct Frame(DataFrame);

impl Frame {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ParquetError`].
    pub fn read(path: &Path) -> Result<Self, ParquetError> {
        Self::from_bytes(files::read(path)?)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`ParquetError::Content`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ParquetError> {
        Ok(Self(ParquetReader::new(Cursor::new(bytes)).finish()?))
    }

    /// Rows of the file.
    pub fn height(&self) -> usize {
        self.0.height()
    }

    /// Columns of the file.
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// Whether the file has a column.
    pub fn has(&self, name: &str) -> bool {
        self.0.column(name).is_ok()
    }

    /// A column of words; missing ones are empty.
    ///
    /// # Errors
    /// [`ParquetError::Content`] if there is no such column, or it is of another type.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, ParquetError> {
        let column = self.0.column(name)?.str()?;
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Ok(column.iter().map(text).collect())
    }

    /// A column of counts.
    ///
    /// # Errors
    /// [`ParquetError::Content`] if there is no such column, or it is of another type.
    pub fn counts(&self, name: &str) -> Result<Vec<Option<u64>>, ParquetError> {
        Ok(self.0.column(name)?.u64()?.iter().collect())
    }

    /// A column of numbers.
    ///
    /// # Errors
    /// [`ParquetError::Content`] if there is no such column, or it is of another type.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, ParquetError> {
        Ok(self.0.column(name)?.f64()?.iter().collect())
    }
}
