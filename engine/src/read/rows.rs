//! Rows: single user keys in the cache, beside blocks.
//!
//! A *key-value* row holds a key and its newest flushed value. A *key-pointer* row holds a key and
//! the address of the data block with its newest flushed version, which saves the tables above, the
//! filter and the index (AC-Key: Wu et al., ATC 2020). A read of the latest version looks in the
//! memtables, then for a key-value row, then for a key-pointer row, then in the tables. With both
//! kinds, a key is first inserted as a key-pointer row; the next access replaces it by a key-value
//! row. Snapshots do not use rows, and a deleted key has no row. Neither has a key that a range
//! delete covers (see below).
//!
//! # Why a row is never stale
//!
//! A row repeats what the tables say about its key. That is right for as long as newer versions are
//! in memtables, because memtables are read first. The row must be gone before a read state without
//! that memtable can be loaded. So a flush does the following before it publishes that read state:
//!
//! 1. It ends the row epoch.
//! 2. It drops the rows of every key that it has flushed, each under its shard's lock.
//!
//! A read loads the epoch, then the read state, then the sequence number. Its row is inserted only
//! if, under the shard's lock, the epoch has not changed. A row that is inserted before step 2
//! reaches its key is dropped by step 2. A later one sees the end of the epoch and is not inserted.
//! A read that has loaded the new epoch sees every version in the flushed memtable as published: it
//! finds the key there for as long as its read state has that memtable, and uses no row.
//!
//! # Range deletes
//!
//! A read whose key is under any range tombstone of its read state, visible or not, neither uses
//! nor offers a row. So a row of such a key can only be one that was inserted before the tombstone.
//! A flush that moves tombstones into the version drops, in step 2, the rows of all their keys as
//! well, and the argument above holds for these: earlier rows are dropped, later ones see the end
//! of the epoch, and a read that has loaded the new epoch sees the tombstone, in the sealed
//! memtable or in the version of its read state. When the tombstone leaves the version, the tables
//! say the same without it as with it; rows of its keys are inserted again and repeat just that.
//!
//! # Compactions
//!
//! A compaction changes no answer, but it moves versions. So a key-pointer row is used only if the
//! reader's own read state has the table in the level that the row names. Otherwise the row is
//! dropped.

use aura_policies::cache::BlockKind;

use super::Reader;
use super::get::{FoundInTable, HashedKey, Visible, look_up_in_tables};
use crate::cache::{BlockCache, CacheKey, Object, RowPlace, encode_row, row_content};
use crate::config::Rows;
use crate::context::ReadContext;
use crate::env::CpuWork;
use crate::error::Result;
use crate::manifest::Version;
use crate::memtable::Memtable;
use crate::storage::{Entry, EntryKind, Sequence, Value};
use crate::table::{Found, Table, hash_key};

/// Estimates the device reads that a key-value row saves if `tables` tables must be searched.
///
/// It is AC-Key's estimate, f(m) = m + 2. A key-pointer row saves one read less, because its block
/// must still be read.
fn key_value_cost(tables: u64) -> u32 {
    u32::try_from(tables).unwrap_or(u32::MAX - 2) + 2
}

/// Returns the table of a row's place; None if `version` does not have it in that level.
fn table_at<'a>(
    version: &'a Version,
    place: &RowPlace,
    key: &[u8],
    work: &mut CpuWork,
) -> Option<&'a Table> {
    let runs = &version.levels.get(place.level as usize)?.runs;
    for run in runs {
        work.comparisons += u64::from(run.tables.len().max(1).ilog2()) + 1;
    }
    for run in runs {
        if let Some(table) = run.table_for(key)
            && table.facts().id == place.block.file
        {
            return Some(table);
        }
    }
    None
}

impl Reader {
    /// Returns the newest value of `key` from a row or from the tables, and offers a row to the
    /// cache.
    ///
    /// No range tombstone may cover the key. `epoch` must have been loaded before `version`.
    pub(super) async fn look_up_by_row(
        &self,
        version: &Version,
        key: HashedKey<'_>,
        snapshot: Sequence,
        epoch: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Value>> {
        let HashedKey { key: bytes, hash } = key;
        let rows = self.core.cache().rows();
        if rows != Rows::KeyPointer
            && let Some((Object::Bytes(row), _)) =
                context.ask(&CacheKey::row(BlockKind::KeyValue, bytes, hash))
        {
            return Ok(Some(row_content(&row, bytes.len())));
        }
        if rows != Rows::KeyValue
            && let Some((entry, cost)) = follow_row(version, key, context).await?
        {
            let value = self
                .value_of(version, bytes, entry.into_content(), context)
                .await?;
            if rows == Rows::Both
                && let Some(value) = &value
            {
                let name = CacheKey::row(BlockKind::KeyValue, bytes, hash);
                let row = encode_row(bytes, value);
                if context.offer_row(&name, row, cost.saturating_add(1), epoch) {
                    let name = CacheKey::row(BlockKind::KeyPointer, bytes, hash);
                    self.core.cache().remove(&name);
                }
            }
            return Ok(value);
        }
        let visible = Visible { floor: 0, snapshot };
        let Some(newest) = look_up_in_tables(version, key, visible, context).await? else {
            return Ok(None);
        };
        let FoundInTable {
            table,
            level,
            found: Found { entry, span },
        } = newest;
        if entry.kind == EntryKind::Delete {
            return Ok(None);
        }
        let value = self
            .value_of(version, bytes, entry.into_content(), context)
            .await?;
        let cost = key_value_cost(context.stats.tables_probed);
        if rows == Rows::KeyValue {
            if let Some(value) = &value {
                let name = CacheKey::row(BlockKind::KeyValue, bytes, hash);
                context.offer_row(&name, encode_row(bytes, value), cost, epoch);
            }
        } else {
            let place = RowPlace::new((table, level), &span);
            let name = CacheKey::row(BlockKind::KeyPointer, bytes, hash);
            context.offer_row(&name, encode_row(bytes, &place.encode()), cost - 1, epoch);
        }
        Ok(value)
    }
}

/// The version that the key's key-pointer row leads to, and the row's cost. A row whose table is
/// not there any more is dropped, and counts as a miss.
async fn follow_row(
    version: &Version,
    key: HashedKey<'_>,
    context: &mut ReadContext<'_>,
) -> Result<Option<(Entry, u32)>> {
    let HashedKey { key, hash } = key;
    let name = CacheKey::row(BlockKind::KeyPointer, key, hash);
    let place_of = |object: &Object| match object {
        Object::Bytes(row) => RowPlace::decode(&row_content(row, key.len())),
        Object::Index(_) | Object::Filter(_) => None,
    };
    let usable = |object: &Object, work: &mut CpuWork| {
        place_of(object).is_some_and(|place| table_at(version, &place, key, work).is_some())
    };
    let Some((object, cost)) = context.ask_for_row(&name, usable) else {
        return Ok(None);
    };
    let Some(place) = place_of(&object) else {
        return Ok(None);
    };
    let Some(table) = table_at(version, &place, key, &mut context.work) else {
        return Ok(None);
    };
    context.level = Some(u8::try_from(place.level).unwrap_or(u8::MAX));
    let entry = table.get_at(&place, key, context).await?;
    Ok(entry.map(|entry| (entry, cost)))
}

/// Drops the rows of every key of `memtable`, which is about to leave the read state, and of those
/// its range tombstones cover. A read that has begun already brings none of them back.
pub(crate) fn forget_rows(cache: &BlockCache, memtable: &Memtable, work: &mut CpuWork) {
    if cache.rows() == Rows::None {
        return;
    }
    cache.end_row_epoch();
    if let Some(ranges) = memtable.ranges() {
        cache.remove_rows(|key| ranges.contains(key));
    }
    let mut last = None;
    for entry in memtable.iter() {
        if last.as_ref() == Some(&entry.key) {
            continue;
        }
        let hash = hash_key(&entry.key);
        for kind in [BlockKind::KeyValue, BlockKind::KeyPointer] {
            work.cache_probes += 1;
            cache.remove(&CacheKey::row(kind, &entry.key, hash));
        }
        last = Some(entry.key);
    }
}
