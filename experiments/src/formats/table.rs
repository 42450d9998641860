//! Tables of rows: drawn for a terminal, or as JSON or CSV for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, presets};
use serde_json::{Map, Value};

use super::csv::write_line;
use super::json::json_lines;
use super::numbers::digits;

/// How a command writes its rows to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table to read.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// One value of a table: as data for JSON, and as text for tables and CSV.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    data: Value,
    text: String,
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        let data = value.into();
        let text = match &data {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self { data, text }
    }
}

impl Cell {
    /// A value whose text differs from its data.
    pub fn new(data: impl Into<Value>, text: String) -> Self {
        Self {
            data: data.into(),
            text,
        }
    }

    /// A number of which people read three digits; `None` is an empty cell.
    pub fn number(value: impl Into<Option<f64>>) -> Self {
        match value.into() {
            Some(number) => Self::new(number, digits(number, 3)),
            None => Self::from(Value::Null),
        }
    }

    /// Several texts, each on a line of its own.
    pub fn lines(lines: &[String]) -> Self {
        Self::new(lines.to_vec(), lines.join("\n"))
    }

    /// The text in tables and CSV.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// One column of a table of `R`s: its name, and the value that each row has there.
pub struct Column<R> {
    name: &'static str,
    cell: fn(&R) -> Cell,
}

/// Makes a column.
pub const fn column<R>(name: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
    Column { name, cell }
}

/// Rows under named columns.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Lays out `rows` by `columns`.
    pub fn of<'a, R: 'a>(columns: &[Column<R>], rows: impl IntoIterator<Item = &'a R>) -> Self {
        let cells = |row: &R| columns.iter().map(|column| (column.cell)(row)).collect();
        Self {
            header: columns.iter().map(|column| column.name).collect(),
            rows: rows.into_iter().map(cells).collect(),
        }
    }

    /// Makes a table of finished cells; each row has one for every name of the header.
    pub fn new(header: Vec<&'static str>, rows: Vec<Vec<Cell>>) -> Self {
        Self { header, rows }
    }

    /// Writes the table in a format, ended by a line feed.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Table => self.drawn(),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
        }
    }

    fn drawn(&self) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_header(&self.header)
            .set_content_arrangement(ContentArrangement::Dynamic);
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| &cell.text));
        }
        format!("{table}\n")
    }

    fn json(&self) -> String {
        let object = |row: &Vec<Cell>| {
            let mut object = Map::new();
            for (name, cell) in self.header.iter().zip(row) {
                object.insert((*name).to_owned(), cell.data.clone());
            }
            Value::Object(object)
        };
        json_lines(self.rows.iter().map(object))
    }

    fn csv(&self) -> String {
        let mut text = String::new();
        write_line(&mut text, &self.header);
        for row in &self.rows {
            let fields: Vec<&str> = row.iter().map(Cell::text).collect();
            write_line(&mut text, &fields);
        }
        text
    }
}

/// Writes to standard output. A reader that closed it early wants no more: that is no error.
///
/// # Errors
/// The system's error if it refuses for another reason.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
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
        let columns = [
            column("name", |row: &(&str, u64)| row.0.into()),
            column("size", |row: &(&str, u64)| row.1.into()),
            column("parameters", |_| {
                Cell::new(json!([{"x": 1}]), "x=1".to_owned())
            }),
        ];
        let table = Table::of(&columns, &[("a,b", 3)]);
        assert_eq!(
            table.text(Format::Json),
            "{\"name\":\"a,b\",\"parameters\":[{\"x\":1}],\"size\":3}\n"
        );
        assert_eq!(
            table.text(Format::Csv),
            "name,size,parameters\n\"a,b\",3,x=1\n"
        );
        let drawn = table.text(Format::Table);
        for word in ["a,b", "3", "x=1", "parameters"] {
            assert!(drawn.contains(word), "{word} in\n{drawn}");
        }
    }

    #[test]
    fn what_is_missing_is_null_and_empty() {
        let columns = [
            column("count", |row: &Option<u64>| (*row).into()),
            column("mean", |_| Cell::number(None)),
        ];
        let table = Table::of(&columns, &[None]);
        assert_eq!(table.text(Format::Json), "{\"count\":null,\"mean\":null}\n");
        assert_eq!(table.text(Format::Csv), "count,mean\n,\n");
    }
}
