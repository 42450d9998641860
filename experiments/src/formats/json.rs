//! JSON, as results are written: the same value always gives the same bytes.

use serde::Serialize;

/// Writes a value as indented JSON, ended by a line feed.
pub fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("results have string keys only");
    text.push('\n');
    text
}

/// Writes one JSON value a line.
pub fn json_lines(values: impl IntoIterator<Item = impl Serialize>) -> String {
    let mut text = String::new();
    for value in values {
        text += &serde_json::to_string(&value).expect("results have string keys only");
        text.push('\n');
    }
    text
}
