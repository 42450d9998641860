//! A copy-on-write B-tree of three levels. Nodes are replaced and never changed, so readers need no
//! lock.
//!
//! ```text
//!   root      [fence -> inner, fence -> inner, ...]            replaced when an inner node splits
//!   inner     [fence -> leaf, ...]            at most 128      replaced when a leaf splits
//!   leaf      [entry number, ...]             at most 64       replaced by every insert
//!   entries   0, 1, 2, ...                                     appended to, never moved
//! ```
//!
//! Every node stores the common prefix of its keys and, as a number, the next 8 bytes of each key.
//! So most comparisons are of numbers that are adjacent in memory. Source: copy-on-write B-trees
//! (Rodeh, "B-trees, Shadowing, and Clones", 2008) with the key heads of Graefe and Larson, "B-tree
//! Indexes and CPU Caches", 2001.
//!
//! A reader that holds an old node sees everything up to its replacement. That is enough: a
//! sequence number is published after its entries are inserted.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::arena::Entries;
use super::{NewEntry, SortedMap, Start};
use crate::storage::{Content, Entry, Sequence, common_prefix, head};

/// Bytes of an entry's place in the arena, and its shares of the leaves (16 B per item), the fences
/// and unused places.
const ENTRY_OVERHEAD_BYTES: u64 = 120;

const LEAF_MAX: usize = 64;
const INNER_MAX: usize = 128;

/// A position in internal order.
type Position<'a> = (&'a [u8], Sequence);

fn before(one: Position<'_>, other: Position<'_>) -> bool {
    one.0.cmp(other.0).then(other.1.cmp(&one.1)).is_lt()
}

/// Items in internal order, with the heads of their keys.
struct Node<T> {
    prefix: Bytes,
    items: Vec<(u64, T)>,
}

/// Access to the keys of a node's items.
trait Keys<T> {
    fn key<'a>(&'a self, item: &'a T) -> (&'a Bytes, Sequence);
}

impl Keys<u32> for Entries {
    fn key<'a>(&'a self, item: &'a u32) -> (&'a Bytes, Sequence) {
        let entry = self.get(*item);
        (&entry.key, entry.sequence)
    }
}

/// A child and its lower bound. The first child of a node also contains everything below its bound.
struct Child<T> {
    key: Bytes,
    sequence: Sequence,
    node: Arc<ArcSwap<Node<T>>>,
}

impl<T> Clone for Child<T> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            sequence: self.sequence,
            node: self.node.clone(),
        }
    }
}

/// The keys of children, which store them.
struct Fences;

impl<T> Keys<Child<T>> for Fences {
    fn key<'a>(&'a self, item: &'a Child<T>) -> (&'a Bytes, Sequence) {
        (&item.key, item.sequence)
    }
}

impl<T> Node<T> {
    fn new(items: impl ExactSizeIterator<Item = T>, keys: &impl Keys<T>) -> Self {
        let items: Vec<(u64, T)> = items.map(|item| (0, item)).collect();
        let prefix = match (items.first(), items.last()) {
            (Some((_, first)), Some((_, last))) => {
                let first = keys.key(first).0;
                let last = keys.key(last).0;
                first.slice(..common_prefix(first, last))
            }
            _ => Bytes::new(),
        };
        let mut node = Self { prefix, items };
        node.set_heads(keys);
        node
    }

    fn set_heads(&mut self, keys: &impl Keys<T>) {
        let prefix = self.prefix.len();
        for (value, item) in &mut self.items {
            *value = head(&keys.key(item).0[prefix..]);
        }
    }

    /// Returns the first item not before `at`; the number of items if all are before.
    fn lower_bound(&self, at: Position<'_>, keys: &impl Keys<T>) -> usize {
        let Some(suffix) = at.0.strip_prefix(&self.prefix[..]) else {
            return if *at.0 < self.prefix[..] {
                0
            } else {
                self.items.len()
            };
        };
        let wanted = head(suffix);
        let start = self.items.partition_point(|(head, _)| *head < wanted);
        let ties = self.items[start..].iter().take_while(|(head, item)| {
            let (key, sequence) = keys.key(item);
            *head == wanted && before((key, sequence), at)
        });
        start + ties.count()
    }

    /// Returns the child whose range contains `at`.
    fn child(&self, at: Position<'_>, keys: &impl Keys<T>) -> usize {
        let next = self.lower_bound(at, keys);
        let exact = self.items.get(next).is_some_and(|(_, item)| {
            let (key, sequence) = keys.key(item);
            (&key[..], sequence) == at
        });
        if exact { next } else { next.saturating_sub(1) }
    }
}

impl<T: Clone> Node<T> {
    /// Returns a copy with `new` in place of the items in `old`.
    fn replacing(&self, old: std::ops::Range<usize>, new: &[T], keys: &impl Keys<T>) -> Self {
        let mut items = Vec::with_capacity(self.items.len() - old.len() + new.len());
        items.extend_from_slice(&self.items[..old.start]);
        let prefix = new
            .iter()
            .map(|item| common_prefix(&self.prefix, keys.key(item).0))
            .min();
        let prefix = prefix.unwrap_or(self.prefix.len());
        items.extend(
            new.iter()
                .map(|item| (head(&keys.key(item).0[prefix..]), item.clone())),
        );
        items.extend_from_slice(&self.items[old.end..]);
        let mut node = Self {
            prefix: self.prefix.slice(..prefix),
            items,
        };
        if prefix < self.prefix.len() {
            node.set_heads(keys);
        }
        node
    }

    fn halves(&self, keys: &impl Keys<T>) -> [Self; 2] {
        let (left, right) = self.items.split_at(self.items.len() / 2);
        [left, right].map(|half| Self::new(half.iter().map(|(_, item)| item.clone()), keys))
    }
}

type Leaf = Node<u32>;
type Inner = Node<Child<u32>>;
type Root = Node<Child<Child<u32>>>;

fn child_of<T>(node: Node<T>, keys: &impl Keys<T>) -> Child<T> {
    let (key, sequence) = node
        .items
        .first()
        .map_or((Bytes::new(), Sequence::MAX), |(_, item)| {
            let (key, sequence) = keys.key(item);
            (key.clone(), sequence)
        });
    Child {
        key,
        sequence,
        node: Arc::new(ArcSwap::from_pointee(node)),
    }
}

/// A sorted map as a B-tree.
pub(super) struct BTree {
    root: ArcSwap<Root>,
    entries: Entries,
    writer: Mutex<()>,
}

impl Default for BTree {
    fn default() -> Self {
        let entries = Entries::default();
        let leaf = Leaf::new(std::iter::empty(), &entries);
        let inner = Inner::new(std::iter::once(child_of(leaf, &entries)), &Fences);
        let root = Root::new(std::iter::once(child_of(inner, &Fences)), &Fences);
        Self {
            root: ArcSwap::from_pointee(root),
            entries,
            writer: Mutex::new(()),
        }
    }
}

/// A position between two entries of the tree as it was at one moment.
struct Cursor<'a> {
    tree: &'a BTree,
    root: Arc<Root>,
    inner: Arc<Inner>,
    leaf: Arc<Leaf>,
    /// The number of the inner node, of the leaf in it, and of the next entry in that leaf.
    at: [usize; 3],
}

impl<'a> Cursor<'a> {
    /// Creates a cursor before the first entry not before `position`.
    fn seek(tree: &'a BTree, position: Position<'_>) -> Self {
        let root = tree.root.load_full();
        let i = root.child(position, &Fences);
        let inner = root.items[i].1.node.load_full();
        let j = inner.child(position, &Fences);
        let leaf = inner.items[j].1.node.load_full();
        let at = [i, j, leaf.lower_bound(position, &tree.entries)];
        Self {
            tree,
            root,
            inner,
            leaf,
            at,
        }
    }

    /// Creates a cursor behind the last entry.
    fn end(tree: &'a BTree) -> Self {
        let root = tree.root.load_full();
        let i = root.items.len() - 1;
        let inner = root.items[i].1.node.load_full();
        let j = inner.items.len() - 1;
        let leaf = inner.items[j].1.node.load_full();
        let at = [i, j, leaf.items.len()];
        Self {
            tree,
            root,
            inner,
            leaf,
            at,
        }
    }

    fn next(&mut self) -> Option<&'a Entry> {
        while self.at[2] == self.leaf.items.len() {
            if self.at[1] + 1 < self.inner.items.len() {
                self.at[1] += 1;
            } else if self.at[0] + 1 < self.root.items.len() {
                self.at = [self.at[0] + 1, 0, 0];
                self.inner = self.root.items[self.at[0]].1.node.load_full();
            } else {
                return None;
            }
            self.leaf = self.inner.items[self.at[1]].1.node.load_full();
            self.at[2] = 0;
        }
        self.at[2] += 1;
        Some(self.tree.entries.get(self.leaf.items[self.at[2] - 1].1))
    }

    fn previous(&mut self) -> Option<&'a Entry> {
        while self.at[2] == 0 {
            if self.at[1] > 0 {
                self.at[1] -= 1;
            } else if self.at[0] > 0 {
                self.at[0] -= 1;
                self.inner = self.root.items[self.at[0]].1.node.load_full();
                self.at[1] = self.inner.items.len() - 1;
            } else {
                return None;
            }
            self.leaf = self.inner.items[self.at[1]].1.node.load_full();
            self.at[2] = self.leaf.items.len();
        }
        self.at[2] -= 1;
        Some(self.tree.entries.get(self.leaf.items[self.at[2]].1))
    }
}

impl SortedMap for BTree {
    fn insert(&self, entry: &NewEntry<'_>) -> u64 {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, entry) = self.entries.push(entry.to_entry());
        let bytes = entry.content_bytes() + ENTRY_OVERHEAD_BYTES;
        let position = (&entry.key[..], entry.sequence);
        let root = self.root.load();
        let i = root.child(position, &Fences);
        let inner = root.items[i].1.node.load();
        let j = inner.child(position, &Fences);
        let leaf = inner.items[j].1.node.load();
        let at = leaf.lower_bound(position, &self.entries);
        let leaf = leaf.replacing(at..at, &[number], &self.entries);
        if leaf.items.len() <= LEAF_MAX {
            inner.items[j].1.node.store(Arc::new(leaf));
            return bytes;
        }
        let halves = leaf
            .halves(&self.entries)
            .map(|half| child_of(half, &self.entries));
        let split = inner.replacing(j..j + 1, &halves, &Fences);
        if split.items.len() <= INNER_MAX {
            root.items[i].1.node.store(Arc::new(split));
            return bytes;
        }
        let halves = split.halves(&Fences).map(|half| child_of(half, &Fences));
        self.root
            .store(Arc::new(root.replacing(i..i + 1, &halves, &Fences)));
        bytes
    }

    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Content> {
        let position = (key, sequence);
        let root = self.root.load();
        let inner = root.items[root.child(position, &Fences)].1.node.load();
        let j = inner.child(position, &Fences);
        let leaf = inner.items[j].1.node.load();
        let at = leaf.lower_bound(position, &self.entries);
        let found = match leaf.items.get(at) {
            Some((_, number)) => self.entries.get(*number),
            // The next older version may be the first entry of the next leaf.
            None => Cursor::seek(self, position).next()?,
        };
        (found.key == key).then(|| found.clone().into_content())
    }

    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        let mut cursor = match start {
            Start::First => Cursor::seek(self, (&[], Sequence::MAX)),
            Start::Last => Cursor::end(self),
            Start::At(key, sequence)
            | Start::Before(key, sequence)
            | Start::After(key, sequence) => Cursor::seek(self, (key, sequence)),
        };
        let mut entries = Vec::new();
        while entries.len() < limit {
            let entry = match start {
                Start::Last | Start::Before(..) => cursor.previous(),
                _ => cursor.next(),
            };
            let Some(entry) = entry else { break };
            if let Start::After(key, sequence) = start
                && entry.key == key
                && entry.sequence == sequence
            {
                continue;
            }
            entries.push(entry.clone());
        }
        entries
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn steps(&self) -> u64 {
        4
    }
}
