//! How values are written: numbers for people, CSV, JSON, Parquet and tables on a terminal.

mod csv;
mod duration;
mod json;
mod numbers;
mod shell;
mod table;

pub mod parquet;

pub use csv::csv;
pub use duration::{duration, moment};
pub use json::{JsonText, json, json_lines, write_lines, write_list};
pub use numbers::{digits, shown, shown_mean, shown_p, significant};
pub use shell::quoted;
pub use table::{Cell, Column, Format, Table, column, print};
