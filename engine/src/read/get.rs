//! Point reads: memtables -> (rows ->) tables -> filter -> index -> cache -> block -> value log.
//!
//! A get that the cache answers allocates nothing, takes one cache shard's lock per block, and
//! never yields. The newest version of a key is the first found: memtables newest first, then level
//! 0 run by run, then the deeper levels. It counts if no newer range delete covers the key (see
//! [`crate::ranges`]); tables that hold nothing newer than that are not asked.

use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::{LEVELS_COUNTED, TableId};

use super::Reader;
use crate::context::ReadContext;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::latency::Class;
use crate::manifest::Version;
use crate::metrics::add;
use crate::state::ReadState;
use crate::storage::{Content, EntryKind, Sequence, Value, ValuePointer, check_key};
use crate::table::{Found, hash_key};

/// A key with its hash, which the filters of memtables and tables, and rows share.
#[derive(Clone, Copy)]
pub(super) struct HashedKey<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u64,
}

/// The versions of a key that a reader can see: `floor` to `snapshot`, both included.
#[derive(Clone, Copy)]
pub(super) struct Visible {
    /// Older versions are hidden by a range delete; 0 if none is.
    pub(super) floor: Sequence,
    /// Newer versions came after the reader's moment.
    pub(super) snapshot: Sequence,
}

/// The newest visible version of a key in the tables.
pub(super) struct FoundInTable {
    pub(super) table: TableId,
    pub(super) level: usize,
    pub(super) found: Found,
}

impl Reader {
    /// The value of `key` at `snapshot`, or now.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        snapshot: Option<Sequence>,
    ) -> Result<Option<Value>> {
        check_key(key)?;
        self.lifecycle.check_open()?;
        let begun = self.core.begin_timing();
        // Before the read state, which comes before the sequence number: see `rows`.
        let epoch = self.core.cache().row_epoch().filter(|_| snapshot.is_none());
        let mut context = self.core.context();
        context.work.operations += 1;
        let result = loop {
            // The read state first: what is published afterwards and missing in it is concurrent
            // with this read.
            let state = self.tree.load();
            let snapshot = snapshot.unwrap_or_else(|| self.tree.published());
            let result = self
                .look_up(&state, key, snapshot, epoch, &mut context)
                .await;
            // Its memtable may hold what was written after the read state was made, and point at a
            // file that is newer, too.
            let outdated = matches!(result, Err(Error::Corruption { .. }))
                && !Arc::ptr_eq(&state, &self.tree.load());
            if !outdated {
                break result;
            }
        };
        let mine = self.core.counters().mine();
        add(&mine.gets, 1);
        if let Ok(Some(value)) = &result {
            add(&mine.gets_found, 1);
            add(&mine.user_read_bytes, value.len() as u64);
        }
        if context.stats.device_reads > 0 {
            add(&mine.get_device_reads, context.stats.device_reads);
        }
        self.core.end_timing(Class::Get, begun, &context.work);
        self.core.finish(&mut context);
        self.core.count_operation();
        if self.core.read_windows().count() {
            // A table may have been asked in vain often enough.
            self.lifecycle.signals().work_is_due();
        }
        result
    }

    async fn look_up(
        &self,
        state: &ReadState,
        key: &[u8],
        snapshot: Sequence,
        epoch: Option<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Value>> {
        let key = HashedKey {
            key,
            hash: hash_key(key),
        };
        let ranges = state.ranges();
        // Older entries are hidden.
        let floor = ranges
            .newest(key.key, snapshot, &mut context.work)
            .map_or(0, |(sequence, _)| sequence);
        for memtable in state.memtables() {
            if let Some(found) = memtable.get(key.key, key.hash, snapshot, &mut context.work) {
                context.stats.memtable_hits += 1;
                if found.sequence < floor {
                    return Ok(None);
                }
                return self.value_of(&state.version, key.key, found, context).await;
            }
        }
        let version = &state.version;
        if let Some(epoch) = epoch.filter(|_| !ranges.contains(key.key)) {
            return self
                .look_up_by_row(version, key, snapshot, epoch, context)
                .await;
        }
        let visible = Visible { floor, snapshot };
        match look_up_in_tables(version, key, visible, context).await? {
            Some(FoundInTable { found, .. }) => {
                let content = found.entry.into_content();
                self.value_of(version, key.key, content, context).await
            }
            None => Ok(None),
        }
    }

    /// What an entry of `key` stands for: its value, the value it points at, or None.
    pub(super) async fn value_of(
        &self,
        version: &Version,
        key: &[u8],
        content: Content,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Value>> {
        match content.kind {
            EntryKind::Put => Ok(Some(content.value)),
            // No entry is a range delete.
            EntryKind::Delete | EntryKind::DeleteRange => Ok(None),
            EntryKind::Pointer => {
                let directory = self.core.directory();
                let Some(pointer) = ValuePointer::decode(&content.value) else {
                    let shown = key.escape_ascii();
                    let what = format!("the entry of \"{shown}\" is no pointer to a value");
                    let holder = holder_of(version, key, content.sequence);
                    return Err(Error::corruption(holder.unwrap_or(directory), 0, what));
                };
                let Some(state) = version.value_files.get(&pointer.file) else {
                    let what = "an entry points here, but the manifest does not name the file";
                    let path = FileKind::Values.path(directory, pointer.file);
                    return Err(Error::corruption(&path, pointer.offset, what));
                };
                state.get(key, &pointer, context).await.map(Some)
            }
        }
    }
}

/// The path of the newest table that can hold this entry; None if it is in a memtable.
fn holder_of<'a>(version: &'a Version, key: &[u8], sequence: Sequence) -> Option<&'a Path> {
    let mut tables = version.tables();
    let holder = tables.find(|(_, table)| {
        let facts = table.facts();
        facts.overlaps_range(key, key)
            && (facts.sequence_min..=facts.sequence_max).contains(&sequence)
    });
    holder.map(|(_, table)| table.path())
}

/// The newest version of `key` in any table that a reader sees, with the table's number and level;
/// None if it is hidden or missing.
pub(super) async fn look_up_in_tables(
    version: &Version,
    key: HashedKey<'_>,
    visible: Visible,
    context: &mut ReadContext<'_>,
) -> Result<Option<FoundInTable>> {
    for (level, runs) in version.levels.iter().enumerate() {
        context.level = Some(u8::try_from(level).unwrap_or(u8::MAX));
        for run in &runs.runs {
            context.work.comparisons += u64::from(run.tables.len().max(1).ilog2()) + 1;
            let table = run.table_for(key.key);
            let Some(table) = table.filter(|it| it.facts().sequence_max >= visible.floor) else {
                continue;
            };
            let found = table.get(key.key, key.hash, visible.snapshot, context);
            if let Some(found) = found.await? {
                let is_visible = found.entry.sequence >= visible.floor;
                return Ok(is_visible.then(|| FoundInTable {
                    table: table.facts().id,
                    level,
                    found,
                }));
            }
            context.stats.level_fruitless[level.min(LEVELS_COUNTED - 1)] += 1;
        }
    }
    Ok(None)
}
