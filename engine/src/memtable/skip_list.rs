//! A lock-free skip list (crossbeam-skiplist) in internal order.
//!
//! Source: Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees", CACM 1990; the
//! memtable of LevelDB and RocksDB. Cost: O(log n) steps, each to another place in memory. Weak
//! where: memtables are larger than the CPU's cache.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use super::{NewEntry, SortedMap, Start};
use crate::storage::{Content, Entry, EntryKind, Key, Sequence};

/// Bytes of the node, its tower, two `Bytes` handles and the trailer.
const ENTRY_OVERHEAD_BYTES: u64 = 120;

/// A position in internal order. It may be borrowed, so that a look-up by `&[u8]` needs no copy.
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
        self.key()
            .cmp(other.key())
            .then(other.sequence().cmp(&self.sequence()))
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

type Node<'a> = crossbeam_skiplist::map::Entry<'a, Owned, (EntryKind, Bytes)>;

fn entry_of(node: &Node<'_>) -> Entry {
    let (kind, value) = node.value();
    Entry {
        key: node.key().key.clone(),
        sequence: node.key().sequence,
        kind: *kind,
        value: value.clone(),
    }
}

/// A sorted map as a skip list.
#[derive(Default)]
pub(super) struct SkipList {
    map: SkipMap<Owned, (EntryKind, Bytes)>,
}

impl SortedMap for SkipList {
    fn insert(&self, entry: &NewEntry<'_>) -> u64 {
        let entry = entry.to_entry();
        let bytes = entry.content_bytes() + ENTRY_OVERHEAD_BYTES;
        self.map.insert(
            Owned {
                key: entry.key,
                sequence: entry.sequence,
            },
            (entry.kind, entry.value),
        );
        bytes
    }

    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Content> {
        let probe = Probe { key, sequence };
        let node = self
            .map
            .lower_bound(Bound::Included(&probe as &dyn Position))?;
        (node.key().key == key).then(|| entry_of(&node).into_content())
    }

    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        let probe = |key, sequence| Probe { key, sequence };
        let mut node = match start {
            Start::First => self.map.front(),
            Start::Last => self.map.back(),
            Start::At(key, sequence) => self
                .map
                .lower_bound(Bound::Included(&probe(key, sequence) as &dyn Position)),
            Start::After(key, sequence) => self
                .map
                .lower_bound(Bound::Excluded(&probe(key, sequence) as &dyn Position)),
            Start::Before(key, sequence) => self
                .map
                .upper_bound(Bound::Excluded(&probe(key, sequence) as &dyn Position)),
        };
        let backward = matches!(start, Start::Last | Start::Before(..));
        let mut entries = Vec::new();
        while let Some(at) = node.filter(|_| entries.len() < limit) {
            entries.push(entry_of(&at));
            node = if backward { at.prev() } else { at.next() };
        }
        entries
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn steps(&self) -> u64 {
        u64::from(self.map.len().max(1).ilog2()) + 1
    }
}
