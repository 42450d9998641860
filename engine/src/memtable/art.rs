//! An adaptive radix tree: nodes of 4, 16, 48 or 256 children, one for each position at which keys
//! differ.
//!
//! ```text
//!   a key's symbols     its bytes, then "end", then its inverted sequence number as 8 bytes
//!                       (so that the newest version is first)
//!   root                a node at position 0
//!   a node              branches at one position; there is no node at positions where all keys
//!                       below agree
//!   an entry            is linked where no other entry shares its symbols any more
//! ```
//!
//! Source: Leis, Kemper and Neumann, "The Adaptive Radix Tree", ICDE 2013, with lazy expansion and
//! its hybrid of path compressions: a node stores the last 8 of the bytes that it skips; the others
//! are in any entry below. A node stores the position at which it branches, not the number of
//! skipped bytes, so that it does not change when a node is put above it.
//!
//! Nodes and entries have numbers, and atomic links contain these numbers. Readers take no lock and
//! count no references; they see everything that was linked before they began. Cost: a node for
//! each byte or two at the dense top, then an entry. Weak where: keys are long and differ in many
//! places; and in walks, because entries are in the order of insertion.

mod node;

use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use self::node::{BEYOND, END, Link, Node, Nodes, Symbol, Target, symbol};
use super::arena::Entries;
use super::{NewEntry, SortedMap, Start};
use crate::storage::{Content, Entry, Sequence, common_prefix};

/// Bytes of an entry's place, and its share of the nodes and of the nodes they replaced. The latter
/// is 8 to 48 bytes, depending on how many children the nodes have.
const ENTRY_OVERHEAD_BYTES: u64 = 112;

/// A position in internal order as a sequence of symbols.
#[derive(Clone, Copy, Debug)]
struct Probe<'a> {
    key: &'a [u8],
    inverted: u64,
}

impl<'a> Probe<'a> {
    fn new(key: &'a [u8], sequence: Sequence) -> Self {
        Self {
            key,
            inverted: !sequence,
        }
    }

    fn of(entry: &'a Entry) -> Self {
        Self::new(&entry.key, entry.sequence)
    }

    /// Returns the number of symbols.
    fn len(&self) -> usize {
        self.key.len() + 1 + size_of::<Sequence>()
    }

    fn symbol(&self, at: usize) -> Symbol {
        match self.key.get(at) {
            Some(byte) => symbol(*byte),
            None if at == self.key.len() => END,
            None => symbol(self.inverted.to_be_bytes()[at - self.key.len() - 1]),
        }
    }

    /// Returns the length of the longest common prefix with another probe, in symbols.
    fn shared(&self, other: &Probe<'_>) -> usize {
        let shared = common_prefix(self.key, other.key);
        if shared < self.key.len().max(other.key.len()) {
            return shared;
        }
        shared + 1 + (self.inverted ^ other.inverted).leading_zeros() as usize / 8
    }

    /// Returns the last 8 bytes of the key before a position, or fewer at its start; None if the
    /// position is behind its end.
    fn before(&self, at: usize) -> Option<u64> {
        let bytes = self.key.get(..at)?;
        Some(match bytes.last_chunk() {
            Some(last) => u64::from_be_bytes(*last),
            None => bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        })
    }

    /// Returns whether the probe is known to have a node's symbols from position `from` to the
    /// node's position.
    fn has_skipped(&self, node: Node<'_>, from: usize) -> bool {
        match node.depth() - from {
            0 => true,
            skipped @ 1..=8 => match (self.before(node.depth()), node.before()) {
                (Some(own), Some(other)) => (own ^ other) << (64 - 8 * skipped) == 0,
                _ => false,
            },
            _ => false,
        }
    }
}

/// The end of a probe's path from the root.
struct Way<'a> {
    /// The node above `node`.
    above: Node<'a>,
    /// The last node of the path.
    node: Node<'a>,
    /// The link below `node`, beyond the requested depth.
    child: Link,
    /// Whether the node is known to have the probe's symbols up to its depth.
    sure: bool,
}

/// A sorted map as an adaptive radix tree.
pub(super) struct Art {
    nodes: Nodes,
    root: Link,
    entries: Entries,
    /// Nodes visited by all inserts so far.
    passed: AtomicU64,
    writer: Mutex<()>,
}

impl Default for Art {
    fn default() -> Self {
        let nodes = Nodes::default();
        let root = nodes.root().link;
        Self {
            nodes,
            root,
            entries: Entries::default(),
            passed: AtomicU64::new(0),
            writer: Mutex::new(()),
        }
    }
}

impl Art {
    fn root(&self) -> Node<'_> {
        self.nodes.node(self.root)
    }

    /// Returns the first entry below a link.
    fn first(&self, mut link: Link) -> &Entry {
        loop {
            match self.nodes.follow(link) {
                Target::Node(node) => {
                    link = node
                        .at_or_after(END)
                        .map_or(Link::NOTHING, |(_, child)| child)
                }
                Target::Entry(number) => return self.entries.get(number),
                Target::Nothing => {
                    unreachable!("every node but the root of an empty tree has children")
                }
            }
        }
    }

    /// Follows a probe's symbols to the last node that is not deeper than `depth`, without
    /// comparing skipped symbols.
    fn descend<'a>(
        &'a self,
        probe: Probe<'_>,
        depth: usize,
        mut pass: impl FnMut(Node<'a>),
    ) -> Way<'a> {
        let root = self.root();
        let mut way = Way {
            above: root,
            node: root,
            child: root.child(probe.symbol(0)),
            sure: true,
        };
        pass(root);
        while let Target::Node(node) = self.nodes.follow(way.child)
            && node.depth() <= depth
        {
            let sure = way.sure && probe.has_skipped(node, way.node.depth() + 1);
            way = Way {
                above: way.node,
                node,
                child: node.child(probe.symbol(node.depth())),
                sure,
            };
            pass(node);
        }
        way
    }

    /// Returns an entry that shares as many symbols with the probe as any other entry.
    ///
    /// None if the shared symbols are known to be exactly those up to the path's last node.
    fn nearest(&self, way: &Way<'_>) -> Option<Probe<'_>> {
        let link = if way.child == Link::NOTHING {
            way.node.link
        } else {
            way.child
        };
        (!way.sure || way.child != Link::NOTHING).then(|| Probe::of(self.first(link)))
    }

    fn add(&self, way: &Way<'_>, probe: Probe<'_>, link: Link) {
        let symbol = probe.symbol(way.node.depth());
        if !way.node.add(symbol, link) {
            let larger = self.nodes.grown(way.node);
            larger.add(symbol, link);
            way.above
                .replace(probe.symbol(way.above.depth()), larger.link);
        }
    }

    /// Adds an entry.
    fn push(&self, entry: Entry) {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, entry) = self.entries.push(entry);
        let probe = Probe::of(entry);
        let link = Link::entry(number);
        let mut passed = 0;
        let mut way = self.descend(probe, probe.len() - 1, |_| passed += 1);
        self.passed
            .store(self.passed.load(Atomic::Relaxed) + passed, Atomic::Relaxed);
        let Some(nearest) = self.nearest(&way) else {
            return self.add(&way, probe, link);
        };
        let shared = probe.shared(&nearest);
        if shared < way.node.depth() {
            way = self.descend(probe, shared, |_| ());
        }
        if shared == way.node.depth() {
            return self.add(&way, probe, link);
        }
        let children = [
            (nearest.symbol(shared), way.child),
            (probe.symbol(shared), link),
        ];
        let pair = self.nodes.pair(shared, probe.before(shared), children);
        way.node.replace(probe.symbol(way.node.depth()), pair.link);
    }
}

/// A position between two entries, and a direction.
struct Cursor<'a> {
    art: &'a Art,
    backward: bool,
    /// The next link, which is visited before the rest of the path.
    next: Link,
    /// The nodes above, each with the smallest symbol still ahead; backward, with the symbol after
    /// the largest one ahead.
    path: Vec<(Node<'a>, Symbol)>,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor before the first entry in its direction.
    fn new(art: &'a Art, backward: bool) -> Self {
        Self {
            art,
            backward,
            next: art.root,
            path: Vec::new(),
        }
    }

    /// Creates a cursor at a position. An entry at the position itself is ahead if `at`.
    fn seek(art: &'a Art, probe: Probe<'_>, backward: bool, at: bool) -> Self {
        let mut path = Vec::new();
        let way = art.descend(probe, probe.len() - 1, |node| {
            let symbol = probe.symbol(node.depth());
            path.push((node, if backward { symbol } else { symbol + 1 }));
        });
        let mut next = way.child;
        if let Some(nearest) = art.nearest(&way) {
            let shared = probe.shared(&nearest);
            while let Some((node, _)) = path.pop_if(|(node, _)| node.depth() > shared) {
                next = node.link;
            }
            // All entries below `next` share these symbols, so they are on the same side of the
            // probe.
            let ahead = match shared == probe.len() {
                true => at,
                false => backward == (nearest.symbol(shared) < probe.symbol(shared)),
            };
            if !ahead {
                next = Link::NOTHING;
            }
        }
        Self {
            art,
            backward,
            next,
            path,
        }
    }
}

impl Iterator for Cursor<'_> {
    /// An entry's number.
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            match self
                .art
                .nodes
                .follow(std::mem::replace(&mut self.next, Link::NOTHING))
            {
                Target::Entry(number) => return Some(number),
                Target::Node(node) => self
                    .path
                    .push((node, if self.backward { BEYOND } else { END })),
                Target::Nothing => (),
            }
            let (node, bound) = self.path.last_mut()?;
            let found = if self.backward {
                node.last_before(*bound)
            } else {
                node.at_or_after(*bound)
            };
            match found {
                Some((symbol, link)) => {
                    *bound = if self.backward { symbol } else { symbol + 1 };
                    self.next = link;
                }
                None => drop(self.path.pop()),
            }
        }
    }
}

impl SortedMap for Art {
    fn insert(&self, entry: &NewEntry<'_>) -> u64 {
        let entry = entry.to_entry();
        let bytes = entry.content_bytes() + ENTRY_OVERHEAD_BYTES;
        self.push(entry);
        bytes
    }

    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Content> {
        let way = self.descend(Probe::new(key, sequence), key.len(), |_| ());
        if way.child == Link::NOTHING {
            return None;
        }
        // If the first entry has this key, then all entries below are its versions.
        let newest = self.first(way.child);
        if newest.key != key {
            return None;
        }
        if newest.sequence <= sequence {
            return Some(newest.clone().into_content());
        }
        let older = self.walk(Start::At(key, sequence), 1).pop();
        older
            .filter(|older| older.key == key)
            .map(Entry::into_content)
    }

    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        let seek = |key, sequence, backward, at| {
            Cursor::seek(self, Probe::new(key, sequence), backward, at)
        };
        let cursor = match start {
            Start::First => Cursor::new(self, false),
            Start::Last => Cursor::new(self, true),
            Start::At(key, sequence) => seek(key, sequence, false, true),
            Start::After(key, sequence) => seek(key, sequence, false, false),
            Start::Before(key, sequence) => seek(key, sequence, true, false),
        };
        let numbers: Vec<u32> = cursor.take(limit).collect();
        // Entries are spread over memory. Collecting the references first lets the CPU overlap the
        // cache misses.
        let entries: Vec<&Entry> = numbers
            .into_iter()
            .map(|number| self.entries.get(number))
            .collect();
        entries.into_iter().cloned().collect()
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn steps(&self) -> u64 {
        self.passed.load(Atomic::Relaxed) / self.entries.len().max(1) as u64 + 1
    }
}

#[cfg(test)]
mod tests;
