//! The registry of models: what every table's index is, what it was measured at when it was built, and what was observed
//! of it since.
//!
//! What is known at build lies in the table. What is observed is counted in relaxed atomics a table, and written to the
//! file `MODELS.json` when the engine is closed: a statistic, so that a crash loses the counts since the last opening, and
//! a file that does not read back is as none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::TableId;
use aura_policies::tuner::KindFacts;
use serde::{Deserialize, Serialize};

use super::IndexBook;
use crate::cache::no_cache;
use crate::directory::{Files, MODELS, read_access};
use crate::env::{Env, bounded};
use crate::error::Result;
use crate::index::{IndexReport, TableLookups};
use crate::manifest::{Version, recover};
use crate::table::Table;

/// The newest version of the file known here.
const VERSION: u32 = 1;

/// A table's index and what was observed of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableModel {
    /// The level that the table lies in.
    pub level: usize,
    /// The table's number.
    pub table: TableId,
    /// What its index is and takes.
    pub index: IndexReport,
    /// What was observed of it.
    pub lookups: TableLookups,
}

/// The tables of one level that were built under one index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelIndexes {
    /// The level.
    pub level: usize,
    /// The index, and the sums over its tables.
    #[serde(flatten)]
    pub kind: KindFacts,
}

/// Every index of a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexRegistry {
    /// The version of this form.
    pub version: u32,
    /// The sums of each level and index.
    pub levels: Vec<LevelIndexes>,
    /// The tables, the newest data first.
    pub tables: Vec<TableModel>,
}

/// The registry of an open engine. O(tables).
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

/// Reads back what the last close left behind, into the tables of `version` and a new book.
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

/// Leaves the registry in the directory. It is replaced whole, and not synced: what a crash takes is a statistic.
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

/// Reads the registry of the database in `directory`. Nothing is changed. An engine may have it open
/// meanwhile: then the tables are those of one moment, and the counts those of its last opening.
///
/// # Errors
/// A directory that is not there, I/O errors, a newer format, and corruption with file and offset.
pub async fn inspect(env: &Env, directory: &Path) -> Result<IndexRegistry> {
    let env = &bounded(env, 0);
    let access = read_access(env, directory)?;
    let cache = no_cache()?;
    let recovered = access
        .read(env, async || recover(env, directory, &cache).await)
        .await?;
    let book = read_registry(env, directory, &recovered.version).await;
    Ok(report(&recovered.version, &book, env.clock.now()))
}
