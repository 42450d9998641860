//! A skip list whose nodes lie in an arena, with their keys and values in them. Links say how the
//! next key differs from this one, so that most comparisons visit no node.
//!
//! ```text
//!   node    version | lengths | link, link, ... | key and value, 8 bytes a word
//!   link    number of the next node (40 bits) | shared (8 bits) | next two bytes (16 bits)
//! ```
//!
//! `shared` is how many bytes the next key has in common with this one, and the next two bytes are
//! those in which it differs. A search knows the same of its own key and the last node it passed.
//! These two numbers say the order nearly always: the key that stays longer with the one before
//! both is the smaller. Only if they are equal the next key is read. So a search visits the nodes
//! that it passes, and no others.
//!
//! Source: Pugh, "Skip Lists", CACM 1990, as in the memtables of LevelDB and RocksDB, with nodes
//! of one piece as in RocksDB's `InlineSkipList`. The links are the offset-value codes of Conner,
//! "Offset value coding", IBM Technical Disclosure Bulletin 1977, which sorts use. A key counts as
//! followed by zeros; keys that are equal in this sense are ordered by length.
//!
//! Entries of more than [`INLINE_BYTES_MAX`] bytes are not copied but held as they are, and the
//! node has their number. Cost: O(log n) steps. A level has half of the nodes of the one below.
//! Weak where: memtables are much larger than the CPU's cache, and in backward walks, where every
//! step is a search.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::arena::Entries;
use super::words::{Claim, Words};
use super::{Content, NewEntry, SortedMap, Start};
use crate::storage::{Entry, EntryKind, Sequence, head};

/// The longest key and value, together, that are copied into a node.
const INLINE_BYTES_MAX: usize = 1 << 10;

/// The most links of a node.
const HEIGHT_MAX: usize = 24;

/// The most nodes of a walk for which memory is reserved.
const RESERVED_MAX: usize = 256;

/// Words of a node before its links.
const HEADER_WORDS: usize = 2;

/// `shared` of keys that have at least this many bytes in common.
const SHARED_MAX: usize = 255;

/// Keys of which one is the other, or the other with zeros behind it.
const ALL: usize = usize::MAX;

/// Bytes of an entry that is held as it is, beside its key and value: its place, and the header of
/// the batch that it is a slice of.
const HELD_BYTES: u64 = 112;

/// How a key differs from one before it. Of two keys after one key, the smaller has the smaller
/// code; if their codes are equal, they must be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Code(u32);

impl Code {
    /// The code of a key that has `shared` bytes in common and goes on with `next_bytes`. All keys
    /// that have [`SHARED_MAX`] bytes or more in common have the same code.
    fn new(shared: usize, next_bytes: u16) -> Self {
        match shared.min(SHARED_MAX) {
            SHARED_MAX => Self(0),
            shared => Self(((SHARED_MAX - shared) as u32) << 16 | u32::from(next_bytes)),
        }
    }

    /// At least this many bytes are in common; exactly, if fewer than [`SHARED_MAX`].
    fn shared(self) -> usize {
        SHARED_MAX - (self.0 >> 16) as usize
    }

    /// Returns whether another, different code has as many bytes in common and goes on with the
    /// same first byte.
    fn has_first_byte_of(self, other: Self) -> bool {
        (self.0 ^ other.0) >> 8 == 0
    }

    /// Returns how many bytes the keys of two different codes have in common with each other.
    fn shared_with(self, other: Self) -> usize {
        self.shared().min(other.shared()) + usize::from(self.has_first_byte_of(other))
    }
}

/// A link to the next node at a level. 0 is a link to none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u64);

impl Link {
    const NONE: Self = Self(0);

    fn new(number: usize, code: Code) -> Self {
        Self((number as u64) << 24 | u64::from(code.0))
    }

    fn load(place: &AtomicU64) -> Self {
        Self(place.load(Atomic::Acquire))
    }

    fn number(self) -> usize {
        (self.0 >> 24) as usize
    }

    /// How the linked node's key differs from that of the node that has the link.
    fn code(self) -> Code {
        Code(self.0 as u32 & 0xff_ffff)
    }
}

/// A position in internal order that is searched for.
#[derive(Clone, Copy)]
struct Probe<'a> {
    key: &'a [u8],
    sequence: Sequence,
}

impl Probe<'_> {
    /// Returns 8 bytes of the key, as a number.
    fn word(&self, at: usize) -> u64 {
        self.key.get(at * 8..).map_or(0, head)
    }

    /// Returns the code of the key after one that has `shared` bytes in common with it.
    fn code(&self, shared: usize) -> Code {
        let next_bytes = match self.key.get(shared..) {
            Some([first, second, ..]) => u16::from_be_bytes([*first, *second]),
            Some([first]) => u16::from_be_bytes([*first, 0]),
            _ => 0,
        };
        Code::new(shared, next_bytes)
    }
}

/// The key of a node.
#[derive(Clone, Copy)]
enum NodeKey<'a> {
    /// It lies in the node, and the value follows it.
    Inline(&'a [AtomicU64], usize),
    /// It is held as it is.
    Held(&'a [u8]),
}

impl NodeKey<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Inline(_, bytes) => *bytes,
            Self::Held(key) => key.len(),
        }
    }

    /// Returns 8 bytes of the key, as a number.
    fn word(&self, at: usize) -> u64 {
        match self {
            Self::Held(key) => key.get(at * 8..).map_or(0, head),
            Self::Inline(words, bytes) => match bytes.saturating_sub(at * 8) {
                0 => 0,
                left @ 1..8 => words[at].load(Atomic::Relaxed) & (u64::MAX << (64 - 8 * left)),
                _ => words[at].load(Atomic::Relaxed),
            },
        }
    }

    fn byte(&self, at: usize) -> u16 {
        u16::from(self.word(at / 8).to_be_bytes()[at % 8])
    }
}

/// What a node says of its entry beside key, value and version.
///
/// `key bytes u17 | value bytes u29 | height u5 | held u1 | kind u8`
#[derive(Clone, Copy)]
struct Shape {
    key_bytes: usize,
    value_bytes: usize,
    height: usize,
    /// Whether key and value are held as they are.
    held: bool,
    kind: EntryKind,
}

impl Shape {
    fn encode(self) -> u64 {
        (self.key_bytes as u64) << 43
            | (self.value_bytes as u64) << 14
            | (self.height as u64) << 9
            | u64::from(self.held) << 8
            | u64::from(self.kind as u8)
    }

    fn decode(word: u64) -> Self {
        Self {
            key_bytes: (word >> 43) as usize,
            value_bytes: (word >> 14) as usize & ((1 << 29) - 1),
            height: (word >> 9) as usize & 31,
            held: word >> 8 & 1 == 1,
            kind: EntryKind::from_tag(word as u8).expect("it was a kind when it was encoded"),
        }
    }
}

/// A node that is linked.
#[derive(Clone, Copy)]
struct Node<'a> {
    /// The words of the node and those behind it.
    words: &'a [AtomicU64],
}

impl<'a> Node<'a> {
    fn sequence(self) -> Sequence {
        self.words[0].load(Atomic::Relaxed)
    }

    fn shape(self) -> Shape {
        Shape::decode(self.words[1].load(Atomic::Relaxed))
    }

    fn links(self) -> &'a [AtomicU64] {
        &self.words[HEADER_WORDS..]
    }

    /// The words of key and value; the number of the entry if it is held.
    fn content(self, shape: Shape) -> &'a [AtomicU64] {
        &self.words[HEADER_WORDS + shape.height..]
    }
}

/// Where a search has come to at one level.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The last node before the probe; 0 is the head of the list.
    before: usize,
    /// Its links.
    links: &'a [AtomicU64],
    /// Bytes that the probe has in common with it.
    shared: usize,
    /// The link to the first node that is not before the probe.
    link: Link,
    /// Bytes that the probe has in common with that node.
    shared_beyond: usize,
}

/// What only the writer uses.
struct Writer {
    /// The state of a xorshift generator.
    chance: u64,
}

impl Writer {
    /// Draws a height: each level has half of the nodes of the one below.
    fn height(&mut self) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (1 + self.chance.trailing_zeros() as usize).min(HEIGHT_MAX)
    }
}

/// A sorted map as a skip list in an arena.
pub(super) struct InlineSkipList {
    words: Words,
    held: Entries,
    head: [AtomicU64; HEIGHT_MAX],
    /// The largest height of a node.
    height: AtomicUsize,
    len: AtomicUsize,
    writer: Mutex<Writer>,
}

impl InlineSkipList {
    /// Creates a list for about `bytes` bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            words: Words::new(bytes),
            held: Entries::default(),
            head: [const { AtomicU64::new(0) }; HEIGHT_MAX],
            height: AtomicUsize::new(1),
            len: AtomicUsize::new(0),
            writer: Mutex::new(Writer {
                chance: 0x9e37_79b9_7f4a_7c15,
            }),
        }
    }

    fn node(&self, number: usize) -> Node<'_> {
        Node {
            words: self.words.from(number),
        }
    }

    /// Returns the entry that a node holds as it is.
    fn held(&self, node: Node<'_>, shape: Shape) -> &Entry {
        let number = node.content(shape)[0].load(Atomic::Relaxed);
        self.held.get(number as u32)
    }

    fn key<'a>(&'a self, node: Node<'a>, shape: Shape) -> NodeKey<'a> {
        match shape.held {
            true => NodeKey::Held(&self.held(node, shape).key),
            false => NodeKey::Inline(node.content(shape), shape.key_bytes),
        }
    }

    /// Compares a probe with a node, by key and version. Both have `shared` bytes in common.
    /// Returns also how many bytes their keys have in common.
    fn compare(&self, probe: Probe<'_>, number: usize, shared: usize) -> (Ordering, usize) {
        let node = self.node(number);
        let key = self.key(node, node.shape());
        let end = probe.key.len().max(key.len()).div_ceil(8);
        for at in shared.min(SHARED_MAX) / 8..end {
            let own = probe.word(at);
            let other = key.word(at);
            if own != other {
                let equal = (own ^ other).leading_zeros() as usize / 8;
                return (own.cmp(&other), at * 8 + equal);
            }
        }
        let by_length = probe.key.len().cmp(&key.len());
        (
            by_length.then_with(|| node.sequence().cmp(&probe.sequence)),
            ALL,
        )
    }

    /// Returns the place before all nodes.
    fn begin(&self) -> Place<'_> {
        Place {
            before: 0,
            links: &self.head,
            shared: 0,
            link: Link::NONE,
            shared_beyond: 0,
        }
    }

    /// Searches for the first node that is not before a probe. `pass` is given where the search
    /// leaves each level.
    fn search<'a>(
        &'a self,
        probe: Probe<'_>,
        mut pass: impl FnMut(usize, &Place<'a>),
    ) -> Place<'a> {
        let mut place = self.begin();
        let mut code = probe.code(0);
        let mut beyond = 0;
        for level in (0..self.height.load(Atomic::Relaxed)).rev() {
            loop {
                place.link = Link::load(&place.links[level]);
                let number = place.link.number();
                // The level above may have led to the same node.
                if number == beyond || place.link == Link::NONE {
                    break;
                }
                let other = place.link.code();
                if code == other {
                    let (order, shared) = self.compare(probe, number, place.shared);
                    if order != Ordering::Greater {
                        beyond = number;
                        place.shared_beyond = shared;
                        break;
                    }
                    place.shared = shared;
                    code = probe.code(shared);
                } else if code < other {
                    beyond = number;
                    place.shared_beyond = code.shared_with(other);
                    break;
                } else if code.has_first_byte_of(other) {
                    place.shared += 1;
                    code = probe.code(place.shared);
                }
                place.before = number;
                place.links = self.node(number).links();
            }
            pass(level, &place);
        }
        place
    }

    /// Claims a node and fills all but its links.
    fn new_node(&self, entry: &NewEntry<'_>, height: usize) -> Claim<'_> {
        let bytes = entry.key.len() + entry.value.len();
        let held = bytes > INLINE_BYTES_MAX;
        let content = if held { 1 } else { bytes.div_ceil(8) };
        let claim = self.words.claim(HEADER_WORDS + height + content);
        let shape = Shape {
            key_bytes: entry.key.len(),
            value_bytes: entry.value.len(),
            height,
            held,
            kind: entry.kind,
        };
        let words = claim.words;
        words[0].store(entry.sequence, Atomic::Relaxed);
        words[1].store(shape.encode(), Atomic::Relaxed);
        let content = &words[HEADER_WORDS + height..];
        if held {
            let (number, _) = self.held.push(entry.to_held());
            content[0].store(number.into(), Atomic::Relaxed);
        } else {
            fill(content, entry.key, entry.value);
        }
        claim
    }

    /// Returns the link from a new node to what comes after it at one level of its search.
    fn link_beyond(&self, place: &Place<'_>) -> Link {
        let link = place.link;
        let shared = place.shared_beyond;
        if link == Link::NONE || shared.min(SHARED_MAX) == link.code().shared() {
            return link;
        }
        let node = self.node(link.number());
        let key = self.key(node, node.shape());
        let next_bytes = match shared {
            ALL => 0,
            _ => key.byte(shared) << 8 | key.byte(shared + 1),
        };
        Link::new(link.number(), Code::new(shared, next_bytes))
    }

    /// Returns the value of a node.
    fn value(&self, node: Node<'_>, shape: Shape) -> Bytes {
        if shape.held {
            return self.held(node, shape).value.clone();
        }
        let mut value = vec![0; shape.value_bytes];
        copy_from(node.content(shape), shape.key_bytes, &mut value);
        value.into()
    }

    /// Returns the node that a link leads to.
    fn follow(&self, link: Link) -> Option<Node<'_>> {
        (link != Link::NONE).then(|| self.node(link.number()))
    }

    /// Returns up to `limit` nodes in order, from the one that a link leads to.
    fn forward(&self, first: Link, limit: usize) -> Vec<Node<'_>> {
        let mut nodes = Vec::with_capacity(limit.min(RESERVED_MAX));
        let mut next = self.follow(first).filter(|_| limit > 0);
        while let Some(node) = next {
            nodes.push(node);
            next = self
                .follow(Link::load(&node.links()[0]))
                .filter(|_| nodes.len() < limit);
        }
        nodes
    }

    /// Returns up to `limit` nodes against the order, from the one with this number.
    fn backward(&self, mut number: usize, limit: usize) -> Vec<Node<'_>> {
        let mut nodes = Vec::new();
        let mut key = Vec::new();
        while number != 0 && nodes.len() < limit {
            let node = self.node(number);
            nodes.push(node);
            let shape = node.shape();
            key.clear();
            key.resize(shape.key_bytes, 0);
            match shape.held {
                true => key.copy_from_slice(&self.held(node, shape).key),
                false => copy_from(node.content(shape), 0, &mut key),
            }
            let probe = Probe {
                key: &key,
                sequence: node.sequence(),
            };
            number = self.search(probe, |_, _| ()).before;
        }
        nodes
    }

    /// Returns the last node's number; 0 if there is no node.
    fn last(&self) -> usize {
        let mut last = 0;
        let mut links = &self.head[..];
        for level in (0..self.height.load(Atomic::Relaxed)).rev() {
            while let link = Link::load(&links[level])
                && link != Link::NONE
            {
                last = link.number();
                links = self.node(last).links();
            }
        }
        last
    }

    /// Copies nodes to entries, which share one buffer.
    fn entries(&self, nodes: &[Node<'_>]) -> Vec<Entry> {
        let inline_bytes = |shape: Shape| match shape.held {
            true => 0,
            false => shape.key_bytes + shape.value_bytes,
        };
        let bytes = nodes.iter().map(|node| inline_bytes(node.shape())).sum();
        let mut buffer = vec![0; bytes];
        let mut rest = &mut buffer[..];
        for node in nodes {
            let shape = node.shape();
            let (own, others) = rest.split_at_mut(inline_bytes(shape));
            if !shape.held {
                copy_from(node.content(shape), 0, own);
            }
            rest = others;
        }
        let mut buffer = Bytes::from(buffer);
        let entry = |node: &Node<'_>| match node.shape() {
            shape if shape.held => self.held(*node, shape).clone(),
            shape => Entry {
                key: buffer.split_to(shape.key_bytes),
                sequence: node.sequence(),
                kind: shape.kind,
                value: buffer.split_to(shape.value_bytes),
            },
        };
        nodes.iter().map(entry).collect()
    }
}

/// Fills words, 8 bytes each, with a key and the value behind it.
fn fill(words: &[AtomicU64], key: &[u8], mut value: &[u8]) {
    let mut words = words.iter();
    let mut put = |word| {
        let place = words.next().expect("there is a word for every 8 bytes");
        place.store(word, Atomic::Relaxed);
    };
    let (whole, rest) = key.as_chunks::<8>();
    whole
        .iter()
        .for_each(|chunk| put(u64::from_be_bytes(*chunk)));
    if !rest.is_empty() {
        let (first, others) = value.split_at(value.len().min(8 - rest.len()));
        let mut mixed = [0; 8];
        mixed[..rest.len()].copy_from_slice(rest);
        mixed[rest.len()..rest.len() + first.len()].copy_from_slice(first);
        put(u64::from_be_bytes(mixed));
        value = others;
    }
    let (whole, rest) = value.as_chunks::<8>();
    whole
        .iter()
        .for_each(|chunk| put(u64::from_be_bytes(*chunk)));
    if !rest.is_empty() {
        put(head(rest));
    }
}

/// Copies bytes that words hold, from the byte `from` on.
fn copy_from(words: &[AtomicU64], from: usize, mut out: &mut [u8]) {
    let mut words = words[from / 8..]
        .iter()
        .map(|word| word.load(Atomic::Relaxed).to_be_bytes());
    let mut next = || words.next().expect("there is a word for every 8 bytes");
    let skipped = from % 8;
    if skipped > 0 && !out.is_empty() {
        let (first, others) = out.split_at_mut(out.len().min(8 - skipped));
        first.copy_from_slice(&next()[skipped..skipped + first.len()]);
        out = others;
    }
    let (whole, rest) = out.as_chunks_mut::<8>();
    whole.iter_mut().for_each(|chunk| *chunk = next());
    if !rest.is_empty() {
        rest.copy_from_slice(&next()[..rest.len()]);
    }
}

impl SortedMap for InlineSkipList {
    fn insert(&self, entry: &NewEntry<'_>) -> u64 {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let height = writer.height();
        let probe = Probe {
            key: entry.key,
            sequence: entry.sequence,
        };
        let mut places = [self.begin(); HEIGHT_MAX];
        self.search(probe, |level, place| {
            if level < height {
                places[level] = *place;
            }
        });
        let node = self.new_node(entry, height);
        let links = &node.words[HEADER_WORDS..];
        for (own, place) in links.iter().zip(&places[..height]) {
            own.store(self.link_beyond(place).0, Atomic::Relaxed);
        }
        for (level, place) in places[..height].iter().enumerate() {
            let link = Link::new(node.number, probe.code(place.shared));
            place.links[level].store(link.0, Atomic::Release);
        }
        self.height.fetch_max(height, Atomic::Relaxed);
        self.len.fetch_add(1, Atomic::Relaxed);
        let bytes = (entry.key.len() + entry.value.len()) as u64;
        let held_bytes = match bytes > INLINE_BYTES_MAX as u64 {
            true => bytes + HELD_BYTES,
            false => 0,
        };
        node.taken as u64 * 8 + held_bytes
    }

    fn get(&self, key: &[u8], sequence: Sequence) -> Option<Content> {
        let place = self.search(Probe { key, sequence }, |_, _| ());
        if place.link == Link::NONE || place.shared_beyond != ALL {
            return None;
        }
        let node = self.node(place.link.number());
        let shape = node.shape();
        (shape.key_bytes == key.len()).then(|| Content {
            sequence: node.sequence(),
            kind: shape.kind,
            value: self.value(node, shape),
        })
    }

    fn walk(&self, start: Start<'_>, limit: usize) -> Vec<Entry> {
        let search = |key, sequence| self.search(Probe { key, sequence }, |_, _| ());
        let nodes = match start {
            Start::First => self.forward(Link::load(&self.head[0]), limit),
            Start::At(key, sequence) => self.forward(search(key, sequence).link, limit),
            Start::After(key, sequence) => {
                let place = search(key, sequence);
                let is_at = |node: &Node<'_>| {
                    let is_same_key = node.shape().key_bytes == key.len();
                    place.shared_beyond == ALL && is_same_key && node.sequence() == sequence
                };
                let first = self.follow(place.link);
                match first.filter(is_at) {
                    Some(node) => self.forward(Link::load(&node.links()[0]), limit),
                    None => self.forward(place.link, limit),
                }
            }
            Start::Before(key, sequence) => self.backward(search(key, sequence).before, limit),
            Start::Last => self.backward(self.last(), limit),
        };
        self.entries(&nodes)
    }

    fn len(&self) -> usize {
        self.len.load(Atomic::Relaxed)
    }

    fn steps(&self) -> u64 {
        u64::from(self.len().max(1).ilog2()) / 2 + 1
    }
}
