//! Parquet: typed columns to a file's bytes, and a file's columns back.

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::Range;
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
    pub fn values(&self, rows: &[R]) -> Values<'static> {
        match self.read {
            Read::Text(read) => {
                Values::Texts(rows.iter().map(|row| read(row).map(Cow::Owned)).collect())
            }
            Read::Count(read) => Values::Counts(rows.iter().map(read).collect()),
            Read::Number(read) => Values::Numbers(rows.iter().map(read).collect()),
            Read::Flag(read) => Values::Flags(rows.iter().map(read).collect()),
        }
    }
}

/// The values of one column.
pub enum Values<'a> {
    /// Words.
    Texts(Vec<Option<Cow<'a, str>>>),
    /// Counts.
    Counts(Vec<Option<u64>>),
    /// Ratios and rates.
    Numbers(Vec<Option<f64>>),
    /// Yes or no.
    Flags(Vec<bool>),
}

/// The most rows of a group is twice this, less one: half of a million and a little, as polars
/// divides a table that is written at once.
const GROUP_ROWS: usize = 512 * 512;

/// A column whose values are made for a stretch of rows at a time.
pub struct LazyColumn<'a> {
    /// The name in files.
    pub name: &'a str,
    /// The values of a stretch of rows.
    pub values: Box<dyn Fn(Range<usize>) -> Values<'a> + 'a>,
}

impl<'a> Values<'a> {
    /// Words of which none is missing.
    pub fn texts(values: impl Iterator<Item = impl Into<Cow<'a, str>>>) -> Self {
        Self::Texts(values.map(|value| Some(value.into())).collect())
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

/// Returns the bytes of a Parquet file of `height` rows: those that [`write()`] returns, but with
/// one group of rows in memory at a time.
///
/// # Errors
/// [`ParquetError::Content`] if the columns do not fit together.
pub fn write_in_groups(height: usize, columns: &[LazyColumn]) -> Result<Vec<u8>, ParquetError> {
    in_groups(height, columns, GROUP_ROWS)
}

fn in_groups(height: usize, columns: &[LazyColumn], rows: usize) -> Result<Vec<u8>, ParquetError> {
    let groups = (height / rows).max(1);
    let rows = height / groups;
    let frame = |group: usize| {
        let start = group * rows;
        let end = if group + 1 == groups {
            height
        } else {
            start + rows
        };
        let series = |column: &LazyColumn| (column.values)(start..end).series(column.name).into();
        DataFrame::new(end - start, columns.iter().map(series).collect())
    };
    let mut bytes = Vec::new();
    let first = frame(0)?;
    let mut writer = ParquetWriter::new(&mut bytes).batched(first.schema())?;
    writer.write_batch(&first)?;
    drop(first);
    for group in 1..groups {
        writer.write_batch(&frame(group)?)?;
    }
    writer.finish()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_rows_give_the_bytes_of_the_table_written_at_once() {
        let words = |rows: Range<usize>| Values::texts(rows.map(|row| format!("w{}", row % 7)));
        let counts = |rows: Range<usize>| Values::counts(rows.map(|row| row as u64 * 3));
        let columns = [
            LazyColumn {
                name: "word",
                values: Box::new(words),
            },
            LazyColumn {
                name: "count",
                values: Box::new(counts),
            },
        ];
        for height in [0, 1, 99, 100, 199, 200, 299, 1050] {
            let all = [("word", words(0..height)), ("count", counts(0..height))];
            let series = all.iter().map(|(name, values)| values.series(name).into());
            let mut frame = DataFrame::new(height, series.collect()).expect("equal heights");
            let mut at_once = Vec::new();
            ParquetWriter::new(&mut at_once)
                .with_row_group_size(Some(100))
                .finish(&mut frame)
                .expect("memory takes all");
            let bytes = in_groups(height, &columns, 100).expect("memory takes all");
            assert!(bytes == at_once, "{height} rows");
        }
    }
}
