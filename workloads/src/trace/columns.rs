//! Which column of a CSV file holds what.

use std::fmt;
use std::str::FromStr;

/// A column: by its name in the header, or by its number, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Named(String),
    Numbered(usize),
}

impl Column {
    fn parse(text: &str) -> Result<Self, ColumnsError> {
        match text.parse::<usize>() {
            Ok(0) => Err(ColumnsError("columns are numbered from 1".to_owned())),
            Ok(number) => Ok(Self::Numbered(number)),
            Err(_) => Ok(Self::Named(text.to_owned())),
        }
    }

    /// Its position in a row, counted from 0; `None` if the header has no such name.
    pub(super) fn place(&self, header: &[String]) -> Option<usize> {
        match self {
            Self::Numbered(number) => Some(number - 1),
            Self::Named(name) => header
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
                .or_else(|| header.iter().position(|known| plain(known) == plain(name))),
        }
    }
}

/// A name of a header as it is compared: in small letters, without what stands in brackets, and
/// without anything that is neither a letter nor a digit.
pub(super) fn plain(name: &str) -> String {
    let name = name.split(['(', '[', '{']).next().unwrap_or_default();
    let kept = name.chars().filter(|char| char.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "`{name}`"),
            Self::Numbered(number) => write!(f, "{number}"),
        }
    }
}

/// The columns of a CSV file. Columns that are not named are found by common names in a header.
/// Without a header, a row is a key, or a time, a key and a size. A delimiter that is not named is
/// found in the first rows.
///
/// ```
/// use aura_workloads::trace::{self, Columns, Format, ReadOptions};
///
/// let columns: Columns = "time=1,key=3,size=2".parse()?;
/// let options = ReadOptions { columns, ..ReadOptions::default() };
/// let read = trace::read(&b"0,100,7\n1,200,8\n"[..], Format::Csv, &options)?;
/// assert_eq!(read.keys(), [7, 8]);
/// assert_eq!(read.bytes(1), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub(super) time: Option<Column>,
    pub(super) key: Option<Column>,
    pub(super) size: Option<Column>,
    pub(super) op: Option<Column>,
    pub(super) ttl: Option<Column>,
    pub(super) cost: Option<Column>,
    pub(super) key_size: Option<Column>,
    pub(super) scan: Option<Column>,
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<u8>,
}

/// A text that does not describe columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad map of columns: {0}")]
pub struct ColumnsError(String);

impl Columns {
    /// Whether a column is named by the header.
    pub(super) fn needs_header(&self) -> bool {
        [
            &self.time,
            &self.key,
            &self.size,
            &self.op,
            &self.ttl,
            &self.cost,
            &self.key_size,
            &self.scan,
        ]
        .into_iter()
        .flatten()
        .any(|column| matches!(column, Column::Named(_)))
    }
}

/// Reads `time=1,key=2,size=bytes,header=yes,delimiter=;`: a column is a number, counted from 1, or
/// a name of the header. Delimiters that cannot be written are called `comma`, `tab` and `space`.
impl FromStr for Columns {
    type Err = ColumnsError;

    fn from_str(text: &str) -> Result<Self, ColumnsError> {
        let mut columns = Self::default();
        for part in text.split(',') {
            let Some((what, value)) = part.split_once('=') else {
                return Err(ColumnsError(format!("`{part}` is not of the form key=2")));
            };
            let value = if what.trim() == "delimiter" {
                value
            } else {
                value.trim()
            };
            match what.trim() {
                "time" => columns.time = Some(Column::parse(value)?),
                "key" => columns.key = Some(Column::parse(value)?),
                "size" => columns.size = Some(Column::parse(value)?),
                "op" => columns.op = Some(Column::parse(value)?),
                "ttl" => columns.ttl = Some(Column::parse(value)?),
                "key_size" => columns.key_size = Some(Column::parse(value)?),
                "scan" => columns.scan = Some(Column::parse(value)?),
                "cost" => columns.cost = Some(Column::parse(value)?),
                "header" => columns.header = Some(yes_or_no(value)?),
                "delimiter" => columns.delimiter = Some(delimiter(value)?),
                other => {
                    return Err(ColumnsError(format!(
                        "`{other}` is not one of time, key, size, op, ttl, cost, key_size, scan, \
                         header, delimiter"
                    )));
                }
            }
        }
        Ok(columns)
    }
}

fn yes_or_no(value: &str) -> Result<bool, ColumnsError> {
    match value {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(ColumnsError(format!("header is yes or no, not `{value}`"))),
    }
}

fn delimiter(value: &str) -> Result<u8, ColumnsError> {
    match (value, value.as_bytes()) {
        ("comma", _) => Ok(b','),
        ("tab" | "\\t", _) => Ok(b'\t'),
        ("space", _) => Ok(b' '),
        (_, [one]) if !one.is_ascii_alphanumeric() && !matches!(one, b'"' | b'\n' | b'\r') => {
            Ok(*one)
        }
        _ => Err(ColumnsError(format!(
            "`{value}` is not a delimiter: give one character, or comma, tab or space"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_name_columns_by_number_or_name() {
        let columns: Columns = "time=1, key=obj_id,header=yes,delimiter=;"
            .parse()
            .expect("a map");
        assert_eq!(columns.time, Some(Column::Numbered(1)));
        assert_eq!(columns.key, Some(Column::Named("obj_id".to_owned())));
        assert_eq!(columns.size, None);
        assert_eq!(columns.header, Some(true));
        assert_eq!(columns.delimiter, Some(b';'));
        assert_eq!(
            "delimiter=tab"
                .parse::<Columns>()
                .map(|columns| columns.delimiter),
            Ok(Some(b'\t'))
        );
        for bad in [
            "",
            "key",
            "key=0",
            "keys=1",
            "header=maybe",
            "delimiter=ab",
            "delimiter=x",
            "delimiter=",
        ] {
            assert!(bad.parse::<Columns>().is_err(), "{bad}");
        }
    }
}
