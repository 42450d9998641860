//! The memtable: recent writes, sorted, in memory. A full memtable is sealed and does not change
//! any more.
//!
//! One writer inserts at a time. Readers never block and never wait for it. The setting
//! `memtable_structure` selects one of four structures:
//!
//! - [`inline_skip_list`]: keys and values are copied into the nodes of a skip list, which lie in
//!   an arena. An insert links a node, and a look-up passes O(log n) nodes, a cache miss each where
//!   they are not hot. It holds the most in the same memory.
//! - [`skip_list`]: the same, with each node, key and value in a place of its own. Weak where
//!   memtables are large, because a step is two or three cache misses.
//! - [`b_tree`]: an insert copies one leaf of at most 64 references, and a look-up visits 3 nodes
//!   and 1 or 2 entries. Weak where writes are few and very large entries.
//! - [`art`]: an insert adds a link or a node, and a look-up visits about a node for every byte at
//!   which keys differ, then 1 entry. Weak where keys differ in many places, and in walks.
//!
//! All but the first hold keys and values as slices of their batch, so an insert copies no bytes.
//!
//! A [`filter`] over its keys spares most reads the search.
//!
//! Range deletes are not in the map but in a set that the writer replaces as a whole: see
//! [`crate::ranges`].

mod arena;
mod art;
mod b_tree;
mod filter;
mod inline_skip_list;
mod skip_list;
mod words;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::config::{EngineConfig, MemtableStructure};
use crate::env::CpuWork;
use crate::ranges::{RangeSet, RangeTombstone};
use crate::storage::{BatchSlices, Content, Entry, EntryKind, Key, Sequence};
use crate::table::hash_key;
use filter::KeyFilter;

/// Entries that [`Memtable::slices`] copies at a time.
const SLICE: usize = 256;

/// The start and the direction of a walk. Positions are in internal order: by key, then from the
/// newest version.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Forward from the first entry.
    First,
    /// Backward from the last entry.
    Last,
    /// Forward from this position, included.
    At(&'a [u8], Sequence),
    /// Forward from this position, excluded.
    After(&'a [u8], Sequence),
    /// Backward from this position, excluded.
    Before(&'a [u8], Sequence),
}

/// An entry to be added, as slices of the batch that it is part of.
struct NewEntry<'a> {
    key: &'a [u8],
    sequence: Sequence,
    kind: EntryKind,
    value: &'a [u8],
    batch: &'a Bytes,
}

impl NewEntry<'_> {
    /// Returns the entry as slices that hold the batch.
    fn to_entry(&self) -> Entry {
        Entry {
            key: self.batch.slice_ref(self.key),
            sequence: self.sequence,
            kind: self.kind,
            value: self.batch.slice_ref(self.value),
        }
    }

    /// Returns the entry as slices that hold the batch, or of a copy if they would hold much more
    /// than the entry.
    fn to_held(&self) -> Entry {
        let bytes = self.key.len() + self.value.len();
        if self.batch.len() / 2 <= bytes {
            return self.to_entry();
        }
        Entry {
            key: Key::copy_from_slice(self.key),
            value: Bytes::copy_from_slice(self.value),
            ..self.to_entry()
        }
    }
}

/// A sorted map of entries with one writer at a time and any number of readers.
///
/// A reader sees every entry inserted before it began, and perhaps some inserted since.
trait SortedMap: Send + Sync {
    /// Adds an entry. No two entries have the same key and sequence number. Returns the bytes of
    /// memory that it takes.
    fn insert(&self, entry: &NewEntry<'_>) -> u64;

    /// Returns the first entry at or after `(key, sequence)` if its key is `key`.
    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Content>;

    /// Returns up to `limit` entries, in the order of the walk.
    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry>;

    /// Returns the number of entries.
    fn len(&self) -> usize;

    /// Returns the approximate number of CPU cache misses of one search. A simulation is charged
    /// for them.
    fn steps(&self) -> u64;
}

/// One memtable.
pub(crate) struct Memtable {
    map: Box<dyn SortedMap>,
    filter: KeyFilter,
    ranges: ArcSwap<RangeSet>,
    /// Whether `ranges` has any tombstones. Readers check this first, because it is cheaper.
    has_ranges: AtomicBool,
    bytes: AtomicU64,
    logged: AtomicU64,
    separated: AtomicU64,
    tails: OnceLock<Vec<ValueTail>>,
    /// The write-ahead log that holds its entries.
    pub(crate) wal: u64,
}

/// The size of a value file when a memtable was sealed.
///
/// Frames before that offset are referenced by this memtable, by older ones, by tables, or not at
/// all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueTail {
    /// The file's number.
    pub(crate) file: u64,
    /// The file's bytes at that time.
    pub(crate) bytes: u64,
    /// Whether the file was full, so that it does not grow any more.
    pub(crate) full: bool,
    /// Where what nothing points at begins, if a write failed: up to the end it is garbage.
    pub(crate) lost_from: Option<u64>,
}

impl Memtable {
    /// Creates an empty memtable whose entries are logged in the WAL with number `wal`.
    pub(crate) fn new(config: &EngineConfig, wal: u64) -> Self {
        let map: Box<dyn SortedMap> = match config.memtable_structure {
            MemtableStructure::InlineSkipList => {
                let list = inline_skip_list::InlineSkipList::new(config.memtable.as_u64());
                Box::new(list)
            }
            MemtableStructure::SkipList => Box::new(skip_list::SkipList::default()),
            MemtableStructure::BTree => Box::new(b_tree::BTree::default()),
            MemtableStructure::Art => Box::new(art::Art::default()),
        };
        let filter = KeyFilter::new(config.memtable.as_u64());
        Self {
            map,
            bytes: AtomicU64::new(0),
            filter,
            ranges: ArcSwap::default(),
            has_ranges: AtomicBool::new(false),
            logged: AtomicU64::new(0),
            separated: AtomicU64::new(0),
            tails: OnceLock::new(),
            wal,
        }
    }

    /// Adds an entry. O(log entries). One writer at a time.
    fn insert_new(&self, entry: &NewEntry<'_>, work: &mut CpuWork) {
        work.memtable_inserts += 1;
        work.memtable_steps += self.map.steps();
        self.filter.insert(hash_key(entry.key));
        // The filter is charged when it is used for the first time.
        let filter = if self.map.len() == 0 {
            self.filter.bytes()
        } else {
            0
        };
        let bytes = filter + self.map.insert(entry);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a copy of an entry. O(log entries). One writer at a time.
    pub(crate) fn insert(&self, entry: &Entry, work: &mut CpuWork) {
        let batch = Bytes::from([&entry.key[..], &entry.value[..]].concat());
        let (key, value) = batch.split_at(entry.key.len());
        let copy = NewEntry {
            key,
            sequence: entry.sequence,
            kind: entry.kind,
            value,
            batch: &batch,
        };
        self.insert_new(&copy, work);
    }

    /// Adds range tombstones. O(range tombstones in the memtable). One writer at a time.
    pub(crate) fn insert_ranges(&self, tombstones: &[RangeTombstone], work: &mut CpuWork) {
        if tombstones.is_empty() {
            return;
        }
        let before = self.ranges.load();
        let after = before.changed(tombstones, &BTreeSet::new());
        work.memtable_inserts += tombstones.len() as u64;
        work.bytes_copied += after.bytes();
        let added = after.bytes().saturating_sub(before.bytes());
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.ranges.store(Arc::new(after));
        // Relaxed is enough: readers synchronize with the sequence number that is published
        // afterwards.
        self.has_ranges.store(true, Ordering::Relaxed);
    }

    /// Inserts the `writes` writes of a batch, of which the first has the sequence number `first`.
    /// Returns None if `body` is not such a batch.
    pub(crate) fn insert_batch(
        &self,
        first: Sequence,
        writes: u32,
        batch: &Bytes,
        work: &mut CpuWork,
    ) -> Option<()> {
        let counted = BatchSlices::new(batch).try_fold(0, |count, write| write.map(|_| count + 1));
        if counted != Some(writes) {
            return None;
        }
        let mut ranges = Vec::new();
        for (sequence, write) in (first..).zip(BatchSlices::new(batch).flatten()) {
            if write.kind == EntryKind::DeleteRange {
                // Copies: a range tombstone may live long, and a slice would hold the whole batch.
                ranges.push(RangeTombstone {
                    sequence,
                    start: Key::copy_from_slice(write.key),
                    end: Key::copy_from_slice(write.value),
                });
            } else {
                let entry = NewEntry {
                    key: write.key,
                    sequence,
                    kind: write.kind,
                    value: write.value,
                    batch,
                };
                self.insert_new(&entry, work);
            }
        }
        self.insert_ranges(&ranges, work);
        Some(())
    }

    /// Returns the range tombstones; None if there are no range tombstones.
    ///
    /// A reader that has loaded the published sequence number sees all tombstones up to it.
    pub(crate) fn ranges(&self) -> Option<Arc<RangeSet>> {
        self.has_ranges
            .load(Ordering::Relaxed)
            .then(|| self.ranges.load_full())
    }

    /// Returns the newest entry of `key` that is not newer than `snapshot`. `hash` is the key's
    /// [`hash_key`].
    pub(crate) fn get(
        &self,
        key: &[u8],
        hash: u64,
        snapshot: Sequence,
        work: &mut CpuWork,
    ) -> Option<Content> {
        if self.map.len() == 0 {
            return None;
        }
        work.filter_probes += 1;
        if !self.filter.may_contain(hash) {
            return None;
        }
        work.memtable_steps += self.map.steps();
        self.map.get(key, snapshot)
    }

    /// Returns the bytes of memory in use.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that were appended to the memtable's WAL.
    pub(crate) fn add_logged(&self, bytes: u64) {
        self.logged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes of the memtable's WAL on disk.
    pub(crate) fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Relaxed)
    }

    /// Counts bytes that were appended to the value log for the memtable's entries.
    pub(crate) fn add_separated(&self, bytes: u64) {
        self.separated.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes of the value log that the entries point at.
    pub(crate) fn separated_bytes(&self) -> u64 {
        self.separated.load(Ordering::Relaxed)
    }

    /// Seals the memtable: no more entries are added. `tails` are the sizes of the unsealed value
    /// files at this time.
    pub(crate) fn seal(&self, tails: Vec<ValueTail>) {
        self.tails.get_or_init(|| tails);
    }

    /// Returns the sizes that the unsealed value files had when the memtable was sealed; empty
    /// before that.
    pub(crate) fn tails(&self) -> &[ValueTail] {
        self.tails.get().map_or(&[], Vec::as_slice)
    }

    /// Returns whether there are no entries and no range tombstones.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.len() == 0 && !self.has_ranges.load(Ordering::Relaxed)
    }

    /// Returns up to `limit` entries, in the order of the walk.
    pub(crate) fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        self.map.walk(start, limit)
    }

    /// Iterates over all entries in internal order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.slices().flatten()
    }

    /// Iterates over all entries in internal order, some hundred at a time.
    pub(crate) fn slices(&self) -> impl Iterator<Item = Vec<Entry>> + '_ {
        let mut last: Option<(Key, Sequence)> = None;
        std::iter::from_fn(move || {
            let start = match &last {
                Some((key, sequence)) => Start::After(key, *sequence),
                None => Start::First,
            };
            let slice = self.walk(start, SLICE);
            let end = slice.last()?;
            last = Some((end.key.clone(), end.sequence));
            Some(slice)
        })
    }
}

#[cfg(test)]
mod tests;
