//! Rows on standard output: a table to read, JSON and CSV to process.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

use crate::store;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// One value: as data, and as people read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    data: Value,
    text: String,
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        let data = value.into();
        let text = data
            .as_str()
            .map_or_else(|| data.to_string(), str::to_owned);
        Self { data, text }
    }
}

impl Cell {
    /// As people read it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Data that reads differently.
    pub fn new(data: Value, text: String) -> Self {
        Self { data, text }
    }
}

/// A table of N columns.
#[derive(Clone, Debug)]
pub struct Rows<const N: usize> {
    columns: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Rows<N> {
    /// An empty one.
    pub fn new(columns: [&'static str; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// The text in a format, ending with a line feed.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Table => {
                let mut table = Table::new();
                table
                    .load_style(presets::UTF8_FULL_CONDENSED)
                    .set_header(self.columns);
                table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
                for row in &self.rows {
                    table.add_row(row.iter().map(|cell| &cell.text));
                }
                format!("{table}\n")
            }
            Format::Json => json_lines(self.rows.iter().map(|row| {
                let keys = self.columns.iter().map(ToString::to_string);
                Value::Object(
                    keys.zip(row.iter().map(|cell| cell.data.clone()))
                        .collect::<Map<_, _>>(),
                )
            })),
            Format::Csv => store::csv(
                self.columns,
                self.rows
                    .iter()
                    .map(|row| row.each_ref().map(|cell| cell.text.clone())),
            ),
        }
    }
}

/// One JSON value a line.
pub fn json_lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

/// Writes to standard output. A reader that has gone away wanted no more: that is no error.
///
/// # Errors
/// If the system refuses for another reason.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_three_formats_say_the_same() {
        let mut rows = Rows::new(["name", "size", "parameters"]);
        rows.push([
            "a,b".into(),
            3.into(),
            Cell::new(json!([{"x": 1}]), "x=1".to_owned()),
        ]);
        assert_eq!(
            rows.text(Format::Json),
            "{\"name\":\"a,b\",\"parameters\":[{\"x\":1}],\"size\":3}\n"
        );
        assert_eq!(
            rows.text(Format::Csv),
            "name,size,parameters\n\"a,b\",3,x=1\n"
        );
        let table = rows.text(Format::Table);
        assert!(
            ["a,b", "3", "x=1", "parameters"]
                .iter()
                .all(|word| table.contains(word)),
            "{table}"
        );
    }
}
