//! The index registry: each table's index, its measurements at build time, and its look-ups since.
//!
//! The table stores the measurements. Look-ups are counted in relaxed atomics of each table and
//! written to the file `MODELS.json` when the engine is closed. They are statistics: a crash loses
//! the counts since the last opening, and an unreadable file is treated like a missing one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aura_policies::facts::TableId;
use aura_policies::tuner::KindFacts;
use serde::{Deserialize, Serialize};

use super::{IndexBook, IndexReport};
use crate::env::{Env, bounded};
use crate::error::{Error, Result};
use crate::open::read_access;
use crate::sst::Table;
use crate::verify::no_cache;
use crate::version::{MODELS, Version, recover, temporary};

/// The newest version of the file that this build reads, and the version that it writes.
const VERSION: u32 = 1;

/// Counters of the look-ups in one table's index.
#[derive(Default)]
pub(crate) struct Lookups {
    found: AtomicU64,
    absent: AtomicU64,
    /// Blocks examined beyond the first of each look-up. Counted separately, so that most look-ups
    /// touch one counter.
    extra: AtomicU64,
    /// Time when the table was opened or made, in nanoseconds.
    opened_at: u64,
    /// Nanoseconds that the table existed in earlier openings.
    lived_before: AtomicU64,
}

impl Lookups {
    /// Creates the counters of a table opened at `now`.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            opened_at: now,
            ..Self::default()
        }
    }

    /// Counts a look-up that examined `probes` blocks.
    #[inline]
    pub(crate) fn count(&self, found: bool, probes: u64) {
        let kind = if found { &self.found } else { &self.absent };
        kind.fetch_add(1, Ordering::Relaxed);
        if probes != 1 {
            self.extra
                .fetch_add(probes.wrapping_sub(1), Ordering::Relaxed);
        }
    }

    /// Returns the counts at `now`.
    pub(crate) fn read(&self, now: u64) -> TableLookups {
        let found = self.found.load(Ordering::Relaxed);
        let absent = self.absent.load(Ordering::Relaxed);
        let extra = self.extra.load(Ordering::Relaxed);
        let lived_before = self.lived_before.load(Ordering::Relaxed);
        TableLookups {
            found,
            absent,
            probes: found.wrapping_add(absent).wrapping_add(extra),
            life_nanos: lived_before.saturating_add(now.saturating_sub(self.opened_at)),
        }
    }

    /// Adds the counts of an earlier opening.
    fn restore(&self, before: &TableLookups) {
        self.found.fetch_add(before.found, Ordering::Relaxed);
        self.absent.fetch_add(before.absent, Ordering::Relaxed);
        let extra = before
            .probes
            .wrapping_sub(before.found.wrapping_add(before.absent));
        self.extra.fetch_add(extra, Ordering::Relaxed);
        self.lived_before
            .fetch_add(before.life_nanos, Ordering::Relaxed);
    }
}

/// Counts of the look-ups in one table's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLookups {
    /// Look-ups that found an entry. Seeks count here.
    pub found: u64,
    /// Point look-ups that did not find the key.
    pub absent: u64,
    /// Data blocks that these look-ups examined.
    pub probes: u64,
    /// Nanoseconds that the table has existed while the database was open.
    pub life_nanos: u64,
}

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
    let temporary = directory.join(temporary(MODELS));
    let content = serde_json::to_vec(registry).expect("a registry is plain data");
    let file = env
        .fs
        .create(&temporary)
        .map_err(|error| Error::io("create", &temporary, error))?;
    file.append(&content)
        .await
        .map_err(|error| Error::io("append to", &temporary, error))?;
    env.fs
        .rename(&temporary, &directory.join(MODELS))
        .map_err(|error| Error::io("rename", &temporary, error))
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
        .read(env, async || recover(env, directory, &cache).await)
        .await?;
    let book = read_registry(env, directory, &recovered.version).await;
    Ok(report(&recovered.version, &book, env.clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_continue_after_a_restore() {
        let first = Lookups::new(100);
        first.count(true, 1);
        first.count(true, 3);
        first.count(false, 0);
        let read = first.read(150);
        assert_eq!(
            read,
            TableLookups {
                found: 2,
                absent: 1,
                probes: 4,
                life_nanos: 50
            }
        );
        let second = Lookups::new(7);
        second.restore(&read);
        second.count(false, 1);
        assert_eq!(
            second.read(8),
            TableLookups {
                found: 2,
                absent: 2,
                probes: 5,
                life_nanos: 51
            }
        );
    }
}
