//! Sizes of values: one length, or lengths of several kinds, mixed by their shares.
//!
//! Real stores hold values of several kinds, counters beside documents, and a size drawn from one
//! law is like neither.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bytes::{bytes, parsed};
use crate::lengths::{Length, LengthDistribution, LengthRange, Lengths};
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
    /// Each value is a record of several fields, as YCSB's are.
    Fields(FieldSizes),
}

/// A record of fields: its length is the sum of theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSizes {
    /// The number of fields (1 to 10,000).
    pub fields: u32,
    /// The length of each field, drawn by itself: as `value.bytes` of one field.
    pub bytes: Box<Sizes>,
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
    /// The smallest and the largest size.
    pub fn range(&self) -> RangeInclusive<u64> {
        match self {
            Self::One(length) => length.range(),
            Self::Mixed(parts) => {
                let drawn = || parts.iter().filter(|part| part.share > 0.0);
                let min = drawn().map(|part| *part.bytes.range().start()).min();
                let max = drawn().map(|part| *part.bytes.range().end()).max();
                min.unwrap_or(0)..=max.unwrap_or(0)
            }
            Self::Fields(record) => {
                let (fields, one) = (u64::from(record.fields), record.bytes.range());
                fields.saturating_mul(*one.start())..=fields.saturating_mul(*one.end())
            }
        }
    }

    /// Whether some value may have this size.
    pub fn may_be(&self, bytes: u64) -> bool {
        match self {
            Self::Fields(_) => self.range().contains(&bytes),
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
            Self::Fields(record) => SizeChooser::Fields {
                fields: record.fields,
                one: Box::new(record.bytes.chooser()),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizesVisitor)
    }
}

/// The keys of both tables that a size may be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    min: Option<Count>,
    #[serde(default)]
    max: Option<Count>,
    #[serde(default)]
    distribution: Option<LengthDistribution>,
    #[serde(default)]
    fields: Option<u32>,
    #[serde(default)]
    bytes: Option<Box<Sizes>>,
}

/// A number of bytes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Count(#[serde(deserialize_with = "bytes")] u64);

struct SizesVisitor;

impl<'de> Visitor<'de> for SizesVisitor {
    type Value = Sizes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a number of bytes, a size such as \"64KiB\", a table { min, max, distribution }, \
             a list of tables { share, bytes }, or a record { fields, bytes }",
        )
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<Sizes, E> {
        Ok(Length::Constant(bytes).into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Sizes, E> {
        Ok(Length::Constant(parsed(text)?).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sizes, A::Error> {
        // Either table is read by its own rules, so that an unknown key is refused by name.
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        match table {
            Table {
                fields: Some(fields),
                bytes: Some(bytes),
                min: None,
                max: None,
                distribution: None,
            } => Ok(Sizes::Fields(FieldSizes { fields, bytes })),
            Table {
                fields: None,
                bytes: None,
                min,
                max,
                distribution,
            } => {
                let missing = A::Error::missing_field;
                Ok(Length::Range(LengthRange {
                    min: min.ok_or_else(|| missing("min"))?.0,
                    max: max.ok_or_else(|| missing("max"))?.0,
                    distribution: distribution.unwrap_or_default(),
                })
                .into())
            }
            _ => Err(A::Error::custom(
                "expected { min, max, distribution } or { fields, bytes }",
            )),
        }
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
    /// The sum of this number of draws of one.
    Fields {
        fields: u32,
        one: Box<SizeChooser>,
    },
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
            Self::Fields { fields, one } => (0..*fields).map(|_| one.draw(generator)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_record_is_as_long_as_its_fields_together() {
        let text = r#"{ "fields": 10, "bytes": { "min": 1, "max": 100 } }"#;
        let sizes: Sizes = serde_json::from_str(text).unwrap();
        assert_eq!(sizes.range(), 10..=1000);
        let mut chooser = sizes.chooser();
        let mut generator = Seed(1).generator();
        let drawn: Vec<u64> = (0..10_000).map(|_| chooser.draw(&mut generator)).collect();
        // Ten uniform draws: mean 505, standard deviation sqrt(10 * (100^2 - 1) / 12) = 91.
        let mean = drawn.iter().sum::<u64>() as f64 / 10_000.0;
        assert!((mean - 505.0).abs() < 4.0, "{mean}");
        let far = drawn
            .iter()
            .filter(|bytes| bytes.abs_diff(505) > 182)
            .count();
        assert!((300..600).contains(&far), "{far}");
        let written = serde_json::to_string(&sizes).unwrap();
        assert_eq!(serde_json::from_str::<Sizes>(&written).unwrap(), sizes);
        for bad in [
            r#"{ "fields": 10 }"#,
            r#"{ "min": 1 }"#,
            r#"{ "fields": 1, "min": 2 }"#,
        ] {
            assert!(serde_json::from_str::<Sizes>(bad).is_err(), "{bad}");
        }
    }
}
