//! Settings of tables that differ by level.

use aura_policies::PolicySpec;
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Compression, TableConfig};

/// What differs for tables from one level on. A setting that is left out is as for the levels
/// above.
///
/// ```
/// use aura_engine::{Compression, TableConfig};
///
/// let table: TableConfig = serde_json::from_str(
///     r#"{ "levels": { "2": { "compression": "lz4" }, "4": { "compression": "zstd" } } }"#,
/// )?;
/// assert_eq!(table.at(1).compression, Compression::None);
/// assert_eq!(table.at(3).compression, Compression::Lz4);
/// assert_eq!(table.at(9).compression, Compression::Zstd);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevelConfig {
    /// Bytes of a data block before compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub block: Option<ByteSize>,
    /// How blocks are compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Policy that decides how many bits a table's filter has, and of which kind it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<PolicySpec>,
    /// Policy that finds where in a table a key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<PolicySpec>,
}

/// The settings of the tables of one level, every level's own applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelTables<'a> {
    /// Bytes of a data block before compression.
    pub block: ByteSize,
    /// How blocks are compressed.
    pub compression: Compression,
    /// Policy of the filter.
    pub filter: &'a PolicySpec,
    /// Policy of the index.
    pub index: &'a PolicySpec,
}

impl TableConfig {
    /// Returns the settings of tables that are written to `level`.
    pub fn at(&self, level: usize) -> LevelTables<'_> {
        let mut tables = LevelTables {
            block: self.block,
            compression: self.compression,
            filter: &self.filter,
            index: &self.index,
        };
        for (from, own) in &self.levels {
            if *from as usize > level {
                break;
            }
            tables.block = own.block.unwrap_or(tables.block);
            tables.compression = own.compression.unwrap_or(tables.compression);
            tables.filter = own.filter.as_ref().unwrap_or(tables.filter);
            tables.index = own.index.as_ref().unwrap_or(tables.index);
        }
        tables
    }
}
