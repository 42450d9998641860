//! THE READ PATH: memtables -> (rows ->) tables -> filter -> index -> cache -> block -> value log.
//!
//! A get that the cache answers allocates nothing, takes one cache shard's lock a block, and never yields. The newest
//! version of a key is the first found: memtables newest first, then level 0 run by run, then the deeper levels. It counts
//! if no newer range delete covers the key (see [`crate::ranges`]); tables that hold nothing newer than that are not asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aura_policies::facts::TableId;

use crate::context::ReadContext;
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::metrics::add;
use crate::state::{Inner, ReadState};
use crate::storage::{Entry, EntryKind, Sequence, Value, check_key};
use crate::table::{Found, hash_key};

impl Inner {
    /// The value of `key` at `snapshot`, or now.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        snapshot: Option<Sequence>,
    ) -> Result<Option<Value>> {
        check_key(key)?;
        self.check_open()?;
        // Before the view, which comes before the sequence number: see `rows`.
        let epoch = self.cache.row_epoch().filter(|_| snapshot.is_none());
        let mut context = self.context();
        context.work.operations += 1;
        let result = loop {
            // The view first: what is published afterwards and missing in it is concurrent with this read.
            let view = self.view.load();
            let snapshot = snapshot.unwrap_or_else(|| self.published.load(Ordering::Acquire));
            let result = self
                .look_up(&view, key, snapshot, epoch, &mut context)
                .await;
            // Its memtable may hold what was written after the view was made, and point at a file that is newer, too.
            let outdated = matches!(result, Err(Error::Corruption { .. }))
                && !Arc::ptr_eq(&view, &self.view.load());
            if !outdated {
                break result;
            }
        };
        let mine = self.counters.mine();
        add(&mine.gets, 1);
        if let Ok(Some(value)) = &result {
            add(&mine.gets_found, 1);
            add(&mine.user_read_bytes, value.len() as u64);
        }
        if context.stats.device_reads > 0 {
            add(&mine.get_device_reads, context.stats.device_reads);
        }
        self.finish(&mut context);
        self.count_operation();
        result
    }

    async fn look_up(
        &self,
        view: &ReadState,
        key: &[u8],
        snapshot: Sequence,
        epoch: Option<u64>,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Value>> {
        let ranges = view.ranges();
        // Older entries are hidden.
        let floor = ranges
            .newest(key, snapshot, &mut context.work)
            .map_or(0, |(sequence, _)| sequence);
        for memtable in view.memtables() {
            if let Some(entry) = memtable.get(key, snapshot, &mut context.work) {
                context.stats.memtable_hits += 1;
                if entry.sequence < floor {
                    return Ok(None);
                }
                return self.value_of(&view.version, entry, context).await;
            }
        }
        let hash = hash_key(key);
        match epoch.filter(|_| !ranges.contains(key)) {
            Some(epoch) => {
                self.look_up_by_row(&view.version, (key, hash), snapshot, epoch, context)
                    .await
            }
            None => match self
                .look_up_in_tables(&view.version, (key, hash), (floor, snapshot), context)
                .await?
            {
                Some((_, found)) => self.value_of(&view.version, found.entry, context).await,
                None => Ok(None),
            },
        }
    }

    /// The newest version that `snapshot` sees in any table, with the table's number and level; None where it is older
    /// than `floor`.
    pub(crate) async fn look_up_in_tables(
        &self,
        version: &Version,
        (key, hash): (&[u8], u64),
        (floor, snapshot): (Sequence, Sequence),
        context: &mut ReadContext<'_>,
    ) -> Result<Option<((TableId, usize), Found)>> {
        for (number, level) in version.levels.iter().enumerate() {
            context.level = Some(u8::try_from(number).unwrap_or(u8::MAX));
            for run in &level.runs {
                context.work.comparisons += u64::from(run.tables.len().max(1).ilog2()) + 1;
                let Some(table) = run
                    .table_for(key)
                    .filter(|table| table.facts().sequence_max >= floor)
                else {
                    continue;
                };
                if let Some(found) = table.get(key, hash, snapshot, context).await? {
                    let place = (table.facts().id, number);
                    return Ok(
                        Some((place, found)).filter(|(_, found)| found.entry.sequence >= floor)
                    );
                }
            }
        }
        Ok(None)
    }

    /// What an entry stands for: its value, the value it points at, or none.
    pub(crate) async fn value_of(
        &self,
        version: &Version,
        entry: Entry,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Value>> {
        match entry.kind {
            EntryKind::Put => Ok(Some(entry.value)),
            // No entry is a range delete.
            EntryKind::Delete | EntryKind::DeleteRange => Ok(None),
            EntryKind::Pointer => {
                let pointer = entry.pointer().ok_or_else(|| {
                    Error::corruption(
                        &self.directory,
                        0,
                        "an entry of a table is no pointer to a value",
                    )
                })?;
                let state = version.value_files.get(&pointer.file).ok_or_else(|| {
                    let what = format!(
                        "a table points at value file {}, which is not there",
                        pointer.file
                    );
                    Error::corruption(&self.directory, pointer.offset, what)
                })?;
                state.get(&entry.key, &pointer, context).await.map(Some)
            }
        }
    }
}
