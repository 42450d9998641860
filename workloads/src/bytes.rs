//! Numbers of bytes, as a config writes them: `65536` or `"64KiB"`.

use std::fmt;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// The schema of a number of bytes.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum Bytes {
    /// Bytes.
    Number(u64),
    /// A number with a unit.
    Text(String),
}

/// Reads a number of bytes.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(BytesVisitor)
}

/// Parses a size with its unit.
pub(crate) fn parsed<E: Error>(text: &str) -> Result<u64, E> {
    let size: Result<ByteSize, String> = text.parse();
    size.map(|size| size.as_u64()).map_err(E::custom)
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of bytes, or a size such as \"64KiB\"")
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parsed(text)
    }
}
