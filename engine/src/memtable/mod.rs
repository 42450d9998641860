//! The memtable: recent writes, sorted, in memory; sealed when full and never changed again.
//!
//! Keys and values are slices of the batch they came in, so that an insert copies no bytes. One writer at a time inserts;
//! readers never block and never wait for it. Three structures keep the order, chosen by `memtable_structure`:
//!
//! | structure | an insert | a look-up | weak where |
//! |---|---|---|---|
//! | [`skip_list`] | links a node | O(log n) nodes, a cache miss each | everything is spread over memory |
//! | [`b_tree`] | copies one leaf of at most 64 references | 3 nodes, and 1 or 2 entries | writes of very few, very large entries |
//! | [`art`] | puts a reference into a node, or a node above it | a node for about every byte that tells keys apart, then 1 entry | keys that differ in many places; walks |
//!
//! Range deletes stand beside the map, in a set that the writer replaces whole: see [`crate::ranges`].

mod arena;
mod art;
mod b_tree;
mod skip_list;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::config::MemtableStructure;
use crate::env::CpuWork;
use crate::ranges::{RangeSet, RangeTombstone};
use crate::storage::{BatchReader, Entry, EntryKind, Key, Sequence};

/// Entries taken from a memtable at a time by a walk over all of it.
const SLICE: usize = 256;

/// Where a walk starts, and so which way it goes. Positions are in internal order: by key, then the newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Forward from the first entry.
    First,
    /// Backward from the last entry.
    Last,
    /// Forward from this position on.
    At(&'a [u8], Sequence),
    /// Forward from the next after this position.
    After(&'a [u8], Sequence),
    /// Backward from the next before this position.
    Before(&'a [u8], Sequence),
}

/// A sorted map of entries with one writer at a time and any number of readers, who see every entry inserted before they
/// began, and perhaps some inserted since.
trait SortedMap: Send + Sync {
    /// Adds an entry; no two have the same key and sequence.
    fn insert(&self, entry: Entry);

    /// The first entry at or after `(key, sequence)`, if it is one of `key`.
    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Entry>;

    /// Up to `limit` entries, in the order walked.
    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry>;

    /// Entries held.
    fn len(&self) -> usize;

    /// Cache misses of one search, about: what a simulation is charged.
    fn steps(&self) -> u64;

    /// What an entry takes beside its key and value, in bytes.
    fn entry_overhead_bytes(&self) -> u64;
}

/// A memtable.
pub(crate) struct Memtable {
    map: Box<dyn SortedMap>,
    ranges: ArcSwap<RangeSet>,
    /// Whether `ranges` holds any: what readers look at first.
    has_ranges: AtomicBool,
    bytes: AtomicU64,
    logged: AtomicU64,
    separated: AtomicU64,
    tails: OnceLock<Vec<ValueTail>>,
    /// The write-ahead log that holds its entries.
    pub(crate) wal: u64,
}

/// How far a value file was filled when a memtable was sealed: what lies before is pointed at by this memtable, by older ones
/// or by tables, or by nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueTail {
    /// The file.
    pub(crate) file: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Whether it had been full: it never grows again.
    pub(crate) full: bool,
}

impl Memtable {
    /// An empty memtable whose entries are logged in `wal`.
    pub(crate) fn new(structure: MemtableStructure, wal: u64) -> Self {
        let map: Box<dyn SortedMap> = match structure {
            MemtableStructure::SkipList => Box::new(skip_list::SkipList::default()),
            MemtableStructure::BTree => Box::new(b_tree::BTree::default()),
            MemtableStructure::Art => Box::new(art::Art::default()),
        };
        let (bytes, logged, separated) = Default::default();
        let (ranges, has_ranges, tails) = Default::default();
        Self {
            map,
            ranges,
            has_ranges,
            bytes,
            logged,
            separated,
            tails,
            wal,
        }
    }

    /// Adds an entry. O(log entries). One writer at a time.
    pub(crate) fn insert(&self, entry: Entry, work: &mut CpuWork) {
        let bytes =
            entry.key.len() as u64 + entry.value.len() as u64 + self.map.entry_overhead_bytes();
        work.memtable_inserts += 1;
        work.comparisons += self.map.steps();
        self.map.insert(entry);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds range tombstones. O(those it holds). One writer at a time.
    pub(crate) fn insert_ranges(&self, tombstones: &[RangeTombstone], work: &mut CpuWork) {
        if tombstones.is_empty() {
            return;
        }
        let before = self.ranges.load();
        let after = before.changed(tombstones, &BTreeSet::new());
        work.memtable_inserts += tombstones.len() as u64;
        work.bytes_copied += after.bytes();
        self.bytes.fetch_add(
            after.bytes().saturating_sub(before.bytes()),
            Ordering::Relaxed,
        );
        self.ranges.store(Arc::new(after));
        // Readers learn of it, as of entries, by the sequence number that is published afterwards.
        self.has_ranges.store(true, Ordering::Relaxed);
    }

    /// Puts the `writes` writes of a batch in; `first` is the sequence number of the first. Returns
    /// None if `body` is not such a batch.
    pub(crate) fn insert_batch(
        &self,
        first: Sequence,
        writes: u32,
        body: Bytes,
        work: &mut CpuWork,
    ) -> Option<()> {
        let read: Option<Vec<(EntryKind, Key, Bytes)>> = BatchReader::new(body).collect();
        let read = read.filter(|read| read.len() == writes as usize)?;
        let mut ranges = Vec::new();
        for (sequence, (kind, key, value)) in (first..).zip(read) {
            if kind == EntryKind::DeleteRange {
                // Copies: a range tombstone may live long, and a slice would hold the whole batch.
                ranges.push(RangeTombstone {
                    sequence,
                    start: Key::copy_from_slice(&key),
                    end: Key::copy_from_slice(&value),
                });
            } else {
                let entry = Entry {
                    key,
                    sequence,
                    kind,
                    value,
                };
                self.insert(entry, work);
            }
        }
        self.insert_ranges(&ranges, work);
        Some(())
    }

    /// The range tombstones, if it holds any. Who has read the published sequence number before sees all up to that.
    pub(crate) fn ranges(&self) -> Option<Arc<RangeSet>> {
        self.has_ranges
            .load(Ordering::Relaxed)
            .then(|| self.ranges.load_full())
    }

    /// The newest entry of `key` that `snapshot` sees.
    pub(crate) fn get(&self, key: &[u8], snapshot: Sequence, work: &mut CpuWork) -> Option<Entry> {
        if self.map.len() == 0 {
            return None;
        }
        work.memtable_steps += self.map.steps();
        self.map.get(key, snapshot)
    }

    /// Bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that were appended to its log.
    pub(crate) fn add_logged(&self, bytes: u64) {
        self.logged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of its log on disk.
    pub(crate) fn logged_bytes(&self) -> u64 {
        self.logged.load(Ordering::Relaxed)
    }

    /// Bytes were appended to the value log for its entries.
    pub(crate) fn add_separated(&self, bytes: u64) {
        self.separated.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of the value log that its entries point at.
    pub(crate) fn separated_bytes(&self) -> u64 {
        self.separated.load(Ordering::Relaxed)
    }

    /// Seals it: the value files are filled as far as `tails` says, and no entry comes any more.
    pub(crate) fn seal(&self, tails: Vec<ValueTail>) {
        self.tails.get_or_init(|| tails);
    }

    /// How far the value files that were not sealed were filled when it was sealed.
    pub(crate) fn tails(&self) -> &[ValueTail] {
        self.tails.get().map_or(&[], Vec::as_slice)
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.len() == 0 && !self.has_ranges.load(Ordering::Relaxed)
    }

    /// Up to `limit` entries, in the order walked.
    pub(crate) fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        self.map.walk(start, limit)
    }

    /// Every entry, in internal order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        let mut slice = self.walk(Start::First, SLICE).into_iter();
        let mut last: Option<Entry> = None;
        std::iter::from_fn(move || {
            if slice.len() == 0 {
                let last = last.take()?;
                slice = self
                    .walk(Start::After(&last.key, last.sequence), SLICE)
                    .into_iter();
            }
            last = slice.next();
            last.clone()
        })
    }
}

#[cfg(test)]
mod tests;
