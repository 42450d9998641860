//! Rows: what the cache keeps of single user keys, beside blocks.
//!
//! A *key-value* row holds a key and its newest flushed value, a *key-pointer* row a key and the address of the data block
//! of its newest flushed version, which saves the tables above, the filter and the index (AC-Key: Wu et al., ATC 2020).
//! A read of the latest version asks the memtables, then the key-value row, then the key-pointer row, then the tables.
//! With both kinds a key enters as a key-pointer row, and one that is asked for again gives way to a key-value row.
//! Snapshots see no rows, and a deleted key has none. Nor has one that a range delete covers: see below.
//!
//! Why a row is never too old. A row says what the tables said of its key. It may go on saying so for as long as newer
//! versions lie in memtables, for these are asked first; it must be gone before a view without that memtable is loaded.
//! So a flush, before it publishes that view, (1) ends the epoch, then (2) drops the rows of every key it has flushed, each
//! under its shard's lock. A read takes the epoch, then the view, then the sequence number, and its row enters only if,
//! under the shard's lock, the epoch is still the same. A row that enters before (2) reaches its key is dropped by (2); one
//! that comes after sees the end of the epoch and stays outside. And a read that has taken the new epoch sees every version
//! in the flushed memtable as published: it finds the key there as long as its view has that memtable, and asks no row.
//!
//! Range deletes. A read whose key lies under any range tombstone of its view, seen or not, asks no row and offers none; so
//! a row of such a key can only be one that entered before the tombstone. A flush that moves tombstones into the version
//! drops, as (2), the rows of all their keys as well, and the argument above holds for these: what enters before is dropped,
//! what comes after sees the end of the epoch, and a read that has taken the new epoch sees the tombstone, in the sealed
//! memtable or in the version of its view. When the tombstone leaves the version, the tables say without it what they said
//! with it; rows of its keys enter again, and say just that.
//!
//! Compactions change no answer, but they move versions: a key-pointer row is used only where the reader's own view has the
//! table in the level that the row names, and dropped otherwise.

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

/// Device reads that a key-value row saves where `tables` tables have to be asked, as AC-Key estimates them: f(m) = m + 2.
/// A key-pointer row saves one less, for its block is still to be read.
fn key_value_cost(tables: u64) -> u32 {
    u32::try_from(tables).unwrap_or(u32::MAX - 2) + 2
}

/// The table that a row leads to, if `version` has it where the row says.
fn table_at<'a>(
    version: &'a Version,
    place: &RowPlace,
    key: &[u8],
    work: &mut CpuWork,
) -> Option<&'a Table> {
    let runs = &version.levels.get(place.level as usize)?.runs;
    work.comparisons += runs
        .iter()
        .map(|run| u64::from(run.tables.len().max(1).ilog2()) + 1)
        .sum::<u64>();
    let mut tables = runs.iter().filter_map(|run| run.table_for(key));
    tables
        .find(|table| table.facts().id == place.block.file)
        .map(|table| &**table)
}

impl Reader {
    /// The newest value of `key`, which no range tombstone covers, from a row or from the tables;
    /// the row that is due for it is offered. `epoch` is older than `version`.
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
            let value = self.value_of(version, entry, context).await?;
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
        let value = self.value_of(version, entry, context).await?;
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

/// The version that the key's key-pointer row leads to, and the row's cost. A row whose table is not
/// there any more is dropped, and counts as a miss.
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
