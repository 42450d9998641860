//! JSON, as results are written: the same value always gives the same bytes.

use std::io::{self, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value kept as its text, which takes a tenth of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(String);

impl JsonText {
    /// Keeps a value.
    pub fn of(value: &Value) -> Self {
        Self(value.to_string())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns the value.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).expect("it was written from a value")
    }

    /// Reads the value as a type.
    ///
    /// # Errors
    /// The JSON error if it is of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::of(&value))
    }
}

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

/// Writes a list as [`json`] would, one value at a time.
///
/// # Errors
/// The writer's.
pub fn write_list(
    writer: &mut dyn Write,
    values: impl Iterator<Item = impl Serialize>,
) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::pretty(&mut *writer);
    serializer.collect_seq(values)?;
    writer.write_all(b"\n")
}

/// Writes one JSON value a line, as [`json_lines`] would, one value at a time.
///
/// # Errors
/// The writer's.
pub fn write_lines(
    writer: &mut dyn Write,
    values: impl IntoIterator<Item = impl Serialize>,
) -> io::Result<()> {
    for value in values {
        serde_json::to_writer(&mut *writer, &value)?;
        writer.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kept_text_is_written_and_read_as_its_value() {
        let value = json!({"a": {"b": [1, 2.5, "x"]}, "c": null});
        let kept = JsonText::of(&value);
        assert_eq!(kept.value(), value);
        let written = serde_json::to_string(&kept).expect("JSON");
        assert_eq!(written, value.to_string());
        let read: JsonText = serde_json::from_str(&written).expect("JSON");
        assert_eq!(read, kept);
    }

    #[test]
    fn what_is_written_piece_by_piece_is_what_is_written_at_once() {
        for values in [vec![], vec![json!({"a": [1, 2]}), json!({"b": null})]] {
            let mut list = Vec::new();
            write_list(&mut list, values.iter()).expect("memory takes all");
            assert_eq!(String::from_utf8(list).expect("text"), super::json(&values));
            let mut lines = Vec::new();
            write_lines(&mut lines, &values).expect("memory takes all");
            assert_eq!(String::from_utf8(lines).expect("text"), json_lines(&values));
        }
    }
}
