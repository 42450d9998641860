//! The memtable: recent writes, sorted, in memory; sealed when full and never changed again.
//!
//! A lock-free skip list (crossbeam-skiplist) keyed by (user key, sequence descending). Keys and values are slices of the
//! batch they came in, so an insert copies no bytes. Readers never block and never allocate.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use crate::env::Work;
use crate::storage::{Entry, Key, Kind, Sequence};

/// What an entry takes beside its key and value: the node, its tower, two `Bytes` handles and the trailer.
const ENTRY_OVERHEAD_BYTES: u64 = 120;

/// A position in internal order, owned or borrowed: lets a look-up by `&[u8]` go without a copy.
trait Position {
    fn key(&self) -> &[u8];
    fn sequence(&self) -> Sequence;
}

struct Owned {
    key: Key,
    sequence: Sequence,
}

struct Probe<'a> {
    key: &'a [u8],
    sequence: Sequence,
}

impl Position for Owned {
    fn key(&self) -> &[u8] {
        &self.key
    }
    fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl Position for Probe<'_> {
    fn key(&self) -> &[u8] {
        self.key
    }
    fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl<'a> Borrow<dyn Position + 'a> for Owned {
    fn borrow(&self) -> &(dyn Position + 'a) {
        self
    }
}

impl Ord for dyn Position + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key()).then(other.sequence().cmp(&self.sequence()))
    }
}

impl PartialOrd for dyn Position + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Position + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for dyn Position + '_ {}

impl Ord for Owned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self as &dyn Position).cmp(other as &dyn Position)
    }
}

impl PartialOrd for Owned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Owned {}

type Node<'a> = crossbeam_skiplist::map::Entry<'a, Owned, (Kind, Bytes)>;

fn entry_of(node: &Node<'_>) -> Entry {
    let (kind, value) = node.value();
    Entry { key: node.key().key.clone(), sequence: node.key().sequence, kind: *kind, value: value.clone() }
}

/// A memtable.
pub(crate) struct Memtable {
    map: SkipMap<Owned, (Kind, Bytes)>,
    bytes: AtomicU64,
    logged: AtomicU64,
    /// The write-ahead log that holds its entries.
    pub(crate) wal: u64,
}

impl Memtable {
    /// An empty memtable whose entries are logged in `wal`.
    pub(crate) fn new(wal: u64) -> Self {
        Self { map: SkipMap::new(), bytes: AtomicU64::new(0), logged: AtomicU64::new(0), wal }
    }

    /// Adds an entry. O(log entries).
    pub(crate) fn insert(&self, entry: Entry, work: &mut Work) {
        let bytes = entry.key.len() as u64 + entry.value.len() as u64 + ENTRY_OVERHEAD_BYTES;
        work.memtable_inserts += 1;
        work.comparisons += self.depth();
        self.map.insert(Owned { key: entry.key, sequence: entry.sequence }, (entry.kind, entry.value));
        self.bytes.fetch_add(bytes, Atomic::Relaxed);
    }

    /// The newest entry of `key` that `snapshot` sees.
    pub(crate) fn get(&self, key: &[u8], snapshot: Sequence, work: &mut Work) -> Option<Entry> {
        if self.map.is_empty() {
            return None;
        }
        work.memtable_steps += self.depth();
        let probe = Probe { key, sequence: snapshot };
        let node = self.map.lower_bound(Bound::Included(&probe as &dyn Position))?;
        (node.key().key == key).then(|| entry_of(&node))
    }

    /// Bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Atomic::Relaxed)
    }

    /// Bytes that were appended to its log.
    pub(crate) fn add_logged(&self, bytes: u64) {
        self.logged.fetch_add(bytes, Atomic::Relaxed);
    }

    /// Bytes of its log on disk.
    pub(crate) fn logged_bytes(&self) -> u64 {
        self.logged.load(Atomic::Relaxed)
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Every entry, in internal order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.map.iter().map(|node| entry_of(&node))
    }

    /// Up to `limit` entries from `(key, sequence)` on in internal order; the position itself only if `inclusive`.
    pub(crate) fn after(&self, key: &[u8], sequence: Sequence, inclusive: bool, limit: usize) -> Vec<Entry> {
        let probe = Probe { key, sequence };
        let probe = &probe as &dyn Position;
        let bound = if inclusive { Bound::Included(probe) } else { Bound::Excluded(probe) };
        let mut entries = Vec::new();
        let mut node = self.map.lower_bound(bound);
        while let Some(at) = node {
            entries.push(entry_of(&at));
            if entries.len() == limit {
                break;
            }
            node = at.next();
        }
        entries
    }

    /// Up to `limit` entries before `(key, sequence)` in internal order, the nearest first; the position itself excluded.
    pub(crate) fn before(&self, key: &[u8], sequence: Sequence, limit: usize) -> Vec<Entry> {
        let probe = Probe { key, sequence };
        self.backwards(self.map.upper_bound(Bound::Excluded(&probe as &dyn Position)), limit)
    }

    /// The first `limit` entries.
    pub(crate) fn first(&self, limit: usize) -> Vec<Entry> {
        self.iter().take(limit).collect()
    }

    /// The last `limit` entries, the last first.
    pub(crate) fn last(&self, limit: usize) -> Vec<Entry> {
        self.backwards(self.map.back(), limit)
    }

    fn backwards<'a>(&'a self, mut node: Option<Node<'a>>, limit: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        while let Some(at) = node {
            entries.push(entry_of(&at));
            if entries.len() == limit {
                break;
            }
            node = at.prev();
        }
        entries
    }

    /// How many nodes a search visits, about: what a simulation is charged.
    fn depth(&self) -> u64 {
        u64::from(self.map.len().max(1).ilog2()) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, sequence: u64, value: &str) -> Entry {
        let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
        Entry { key, sequence, kind: Kind::Put, value }
    }

    #[test]
    fn a_get_sees_the_newest_version_of_its_snapshot() {
        let table = Memtable::new(1);
        let mut work = Work::default();
        for (key, sequence, value) in [("b", 2, "two"), ("a", 1, "one"), ("b", 5, "five"), ("bb", 3, "three")] {
            table.insert(entry(key, sequence, value), &mut work);
        }
        let get = |key: &str, at| table.get(key.as_bytes(), at, &mut Work::default()).map(|entry| entry.value);
        assert_eq!(get("b", 9).as_deref(), Some(&b"five"[..]));
        assert_eq!(get("b", 4).as_deref(), Some(&b"two"[..]));
        assert_eq!(get("b", 1), None);
        assert_eq!(get("c", 9), None);
        assert_eq!(work.memtable_inserts, 4);
        assert_eq!(table.bytes(), 4 * ENTRY_OVERHEAD_BYTES + 5 + 3 + 3 + 4 + 5);
    }

    #[test]
    fn walks_go_both_ways_in_internal_order() {
        let table = Memtable::new(1);
        for (key, sequence) in [("a", 1), ("b", 2), ("b", 5), ("c", 3)] {
            table.insert(entry(key, sequence, ""), &mut Work::default());
        }
        let show = |entries: Vec<Entry>| {
            let text = |e: &Entry| format!("{}{}", String::from_utf8_lossy(&e.key), e.sequence);
            entries.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(show(table.first(9)), "a1 b5 b2 c3");
        assert_eq!(show(table.after(b"b", u64::MAX, true, 2)), "b5 b2");
        assert_eq!(show(table.after(b"b", 5, false, 9)), "b2 c3");
        assert_eq!(show(table.before(b"b", u64::MAX, 9)), "a1");
        assert_eq!(show(table.before(b"b", 2, 9)), "b5 a1");
        assert_eq!(show(table.last(3)), "c3 b2 b5");
    }
}
