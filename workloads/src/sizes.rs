//! Sizes of values: one length, or lengths of several kinds, mixed by their shares.
//!
//! Real stores hold values of several kinds, counters beside documents, and a size drawn from one
//! law is like neither.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bytes::parsed;
use crate::lengths::{Length, LengthRange, Lengths};
use crate::seed::Generator;

/// Sizes of values: a length, or a list of lengths with shares.
///
/// ```
/// use aura_workloads::{Length, Sizes};
///
/// let sizes: Sizes = serde_json::from_str(
///     r#"[{ "share": 0.9, "bytes": 100 }, { "share": 0.1, "bytes": "64KiB" }]"#,
/// )?;
/// assert!(sizes.may_be(65_536) && !sizes.may_be(101));
/// assert_eq!(serde_json::from_str::<Sizes>("100")?, Length::Constant(100).into());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Sizes {
    /// All values have this length, or draw it from this range.
    One(Length),
    /// Each value draws which of these lengths it has.
    Mixed(Vec<WeightedLength>),
}

/// One of several lengths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedLength {
    /// The share of the values that have this length, relative to the sum of all shares.
    pub share: f64,
    /// The length: as `value.bytes` without a list.
    pub bytes: Length,
}

impl From<Length> for Sizes {
    fn from(length: Length) -> Self {
        Self::One(length)
    }
}

impl Sizes {
    /// Whether some value may have this size.
    pub fn may_be(&self, bytes: u64) -> bool {
        match self {
            Self::One(length) => length.range().contains(&bytes),
            Self::Mixed(parts) => parts
                .iter()
                .any(|part| part.share > 0.0 && part.bytes.range().contains(&bytes)),
        }
    }

    /// Draws sizes; the shares of a checked config have a positive sum.
    pub(crate) fn chooser(&self) -> SizeChooser {
        match self {
            Self::One(length) => SizeChooser::One(length.lengths()),
            Self::Mixed(parts) => SizeChooser::mixed(parts),
        }
    }
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizesVisitor)
    }
}

struct SizesVisitor;

impl<'de> Visitor<'de> for SizesVisitor {
    type Value = Sizes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a number of bytes, a size such as \"64KiB\", a table { min, max, distribution }, \
             or a list of tables { share, bytes }",
        )
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<Sizes, E> {
        Ok(Length::Constant(bytes).into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Sizes, E> {
        Ok(Length::Constant(parsed(text)?).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sizes, A::Error> {
        let range = LengthRange::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Length::Range(range).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sizes, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Sizes::Mixed(parts))
    }
}

/// Draws sizes of values.
#[derive(Clone, Debug)]
pub(crate) enum SizeChooser {
    One(Lengths),
    Mixed(Vec<Part>),
}

/// One of several lengths.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The upper end of its part of [0, 1).
    bound: f64,
    lengths: Lengths,
}

impl SizeChooser {
    /// From the last length with a share on, bounds are infinite, so that rounding can never choose
    /// one without.
    fn mixed(weighted: &[WeightedLength]) -> Self {
        let total: f64 = weighted.iter().map(|part| part.share).sum();
        let last = weighted.iter().rposition(|part| part.share > 0.0);
        let mut end = 0.0;
        let mut parts = Vec::with_capacity(weighted.len());
        for (at, part) in weighted.iter().enumerate() {
            end += part.share / total;
            parts.push(Part {
                bound: if Some(at) < last { end } else { f64::INFINITY },
                lengths: part.bytes.lengths(),
            });
        }
        Self::Mixed(parts)
    }

    /// One size. Which length it has is drawn only if there are several.
    pub(crate) fn draw(&mut self, generator: &mut Generator) -> u64 {
        match self {
            Self::One(lengths) => lengths.draw(generator),
            Self::Mixed(parts) => {
                let u = generator.unit();
                let chosen = parts.iter_mut().find(|part| u < part.bound);
                chosen.map_or(0, |part| part.lengths.draw(generator))
            }
        }
    }
}
