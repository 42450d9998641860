//! The index registry: each table's index, its measurements at build time, and its look-ups since.
//!
//! The table stores the measurements. Look-ups are counted in relaxed atomics of each table and
//! written to the file `MODELS.json` when the engine is closed. They are statistics: a crash loses
//! the counts since the last opening, and an unreadable file is treated like a missing one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::TableId;
use aura_policies::tuner::KindFacts;
use serde::{Deserialize, Serialize};

use super::IndexBook;
use crate::cache::no_cache;
use crate::directory::{Files, MODELS, Role, read_access};
use crate::env::{Env, bounded};
use crate::error::Result;
use crate::index::{IndexReport, TableLookups};
use crate::manifest::{Version, recover};
use crate::table::Table;

/// The newest version of the file that this build reads, and the version that it writes.
const VERSION: u32 = 1;

/// A table's index and its look-ups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableModel {
    /// The table's level.
    pub level: usize,
    /// The table's number.
    pub table: TableId,
    /// The kind, cost and measured quality of the index.
    pub index: IndexReport,
    /// The counts of look-ups.
    pub lookups: TableLookups,
}

/// The tables of one level that were built with one index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelIndexes {
    /// The level.
    pub level: usize,
    /// The index and the sums over its tables.
    #[serde(flatten)]
    pub kind: KindFacts,
}

/// The indexes of all tables of a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexRegistry {
    /// The version of the file format.
    pub version: u32,
    /// The sums of each level and index.
    pub levels: Vec<LevelIndexes>,
    /// The tables, those with the newest data first.
    pub tables: Vec<TableModel>,
}

/// Returns the registry of an open engine. O(tables).
pub(crate) fn report(version: &Version, book: &IndexBook, now: u64) -> IndexRegistry {
    let model = |(level, table): (usize, &Arc<Table>)| TableModel {
        level,
        table: table.facts().id,
        index: table.index_report().clone(),
        lookups: table.lookups().read(now),
    };
    IndexRegistry {
        version: VERSION,
        levels: book.levels(version, now),
        tables: version.tables().map(model).collect(),
    }
}

/// Reads the registry file. Its counts go into the tables of `version` and into a new book.
pub(crate) async fn read_registry(env: &Env, directory: &Path, version: &Version) -> IndexBook {
    let book = IndexBook::default();
    let Ok(file) = env.fs.open(&directory.join(MODELS)) else {
        return book;
    };
    let Ok(bytes) = file.bytes() else { return book };
    let Ok(content) = file.read_at(0, usize::try_from(bytes).unwrap_or(0)).await else {
        return book;
    };
    let Ok(before) = serde_json::from_slice::<IndexRegistry>(&content) else {
        return book;
    };
    if before.version == VERSION {
        book.restore(&before.levels);
        let before: BTreeMap<TableId, TableLookups> = before
            .tables
            .iter()
            .map(|model| (model.table, model.lookups))
            .collect();
        for (_, table) in version.tables() {
            if let Some(lookups) = before.get(&table.facts().id) {
                table.lookups().restore(lookups);
            }
        }
    }
    book
}

/// Writes the registry file. It is replaced as a whole and not synced, because a crash loses only
/// statistics.
pub(crate) async fn write_registry(
    env: &Env,
    directory: &Path,
    registry: &IndexRegistry,
) -> Result<()> {
    let content = serde_json::to_vec(registry).expect("a registry is plain data");
    let replacement = Files::of(env)
        .write_replacement(directory, MODELS, &content)
        .await?;
    replacement.put_in_place()
}

/// Reads the registry of the database in `directory` without changing anything.
///
/// An engine may have the database open meanwhile. Then the tables are those of one moment, and the
/// counts are those that its last close wrote.
///
/// # Errors
/// It fails if the directory is missing, on I/O errors, on a newer format, and on corruption, with
/// file and offset.
pub async fn inspect(env: &Env, directory: &Path) -> Result<IndexRegistry> {
    let env = &bounded(env, 0);
    let access = read_access(env, directory)?;
    let cache = no_cache()?;
    let recovered = access
        .read(env, async || {
            recover(env, directory, &cache, Role::Whole).await
        })
        .await?;
    let book = read_registry(env, directory, &recovered.version).await;
    Ok(report(&recovered.version, &book, env.clock.now()))
}
