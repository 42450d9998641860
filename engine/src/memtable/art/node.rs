//! The nodes, with 4, 16, 48 or 256 children. One writer changes them in place while others read.
//!
//! ```text
//!   header    depth, the 8 bytes before it, the child of keys that end there
//!   4, 16     bytes in the order of insertion, a child each           searched 8 bytes at a time
//!   48        256 slot numbers, 48 children                           found by index
//!   256       256 children                                            found by index
//! ```
//!
//! The writer stores a child first, then the byte or slot that leads to it, both with release
//! order. So a reader that sees the second also sees the child. Children are never removed. A full
//! node is replaced by a larger one with the same children, so a reader that still holds the old
//! node misses only later inserts.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::super::arena::Arena;

/// A symbol at which keys differ: the end of the key, which is the smallest symbol, or a byte.
pub(super) type Symbol = u16;

/// The symbol for the end of a key.
pub(super) const END: Symbol = 0;

/// A number above every symbol.
pub(super) const BEYOND: Symbol = 257;

/// Returns the symbol of a byte.
pub(super) fn symbol(byte: u8) -> Symbol {
    Symbol::from(byte) + 1
}

/// Returns the byte of a symbol other than the two special ones.
fn byte(symbol: Symbol) -> u8 {
    (symbol - 1) as u8
}

/// A link to a child: empty, or the child's kind in 3 bits and its number in 29 bits.
///
/// 29 bits are enough for the entries of the largest memtable that can be configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(u32);

const KIND_BITS: u32 = 3;
const NOTHING: u32 = 0;
const ENTRY: u32 = 1;
const NODE_4: u32 = 2;
const NODE_16: u32 = 3;
const NODE_48: u32 = 4;
const NODE_256: u32 = 5;

impl Link {
    pub(super) const NOTHING: Self = Self(NOTHING);

    fn new(kind: u32, number: u32) -> Self {
        debug_assert!(number < 1 << (u32::BITS - KIND_BITS), "too many for a link");
        Self(number << KIND_BITS | kind)
    }

    fn kind(self) -> u32 {
        self.0 & ((1 << KIND_BITS) - 1)
    }

    fn number(self) -> u32 {
        self.0 >> KIND_BITS
    }

    /// Returns the link to an entry.
    pub(super) fn entry(number: u32) -> Self {
        Self::new(ENTRY, number)
    }
}

/// An atomic link.
#[derive(Default)]
struct Place(AtomicU32);

impl Place {
    fn load(&self) -> Link {
        Link(self.0.load(Ordering::Acquire))
    }

    fn store(&self, link: Link) {
        self.0.store(link.0, Ordering::Release);
    }
}

fn places<const N: usize>() -> [Place; N] {
    std::array::from_fn(|_| Place::default())
}

/// The header of every node. All fields but `end` are written before the node is linked.
#[derive(Default)]
struct Header {
    /// The last bytes before `depth`, which all keys below share; fewer than 8 if `depth` is less.
    before: AtomicU64,
    /// Twice the position at which the node branches, plus 1 if `before` is not valid.
    depth: AtomicU32,
    end: Place,
}

/// Finds children by byte.
trait Children {
    fn place(&self, byte: u8) -> Option<&Place>;

    /// Adds a child. Returns false if the node is full.
    fn add(&self, byte: u8, link: Link) -> bool;

    /// Returns the smallest byte with a child that is at least this one.
    fn at_or_after(&self, byte: u8) -> Option<u8>;

    /// Returns the largest byte with a child that is at most this one.
    fn at_or_before(&self, byte: u8) -> Option<u8>;
}

/// 4 or 16 children, in the order of insertion.
struct Listed<const WORDS: usize, const N: usize> {
    header: Header,
    keys: [AtomicU64; WORDS],
    len: AtomicU32,
    places: [Place; N],
}

impl<const WORDS: usize, const N: usize> Default for Listed<WORDS, N> {
    fn default() -> Self {
        Self {
            header: Header::default(),
            keys: [const { AtomicU64::new(0) }; WORDS],
            len: AtomicU32::new(0),
            places: places(),
        }
    }
}

impl<const WORDS: usize, const N: usize> Listed<WORDS, N> {
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let len = self.len.load(Ordering::Acquire) as usize;
        self.keys
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .take(len)
    }
}

/// Returns a mask with the high bit of every byte that is zero in the word.
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

impl<const WORDS: usize, const N: usize> Children for Listed<WORDS, N> {
    fn place(&self, byte: u8) -> Option<&Place> {
        let len = self.len.load(Ordering::Acquire) as usize;
        let wanted = u64::from(byte) * 0x0101_0101_0101_0101;
        for (number, word) in self.keys.iter().enumerate() {
            let found = zero_bytes(word.load(Ordering::Relaxed) ^ wanted);
            if found != 0 {
                // Unused bytes are zero, too, but come last. Their children may be stored already.
                let slot = 8 * number + found.trailing_zeros() as usize / 8;
                return if slot < len {
                    self.places.get(slot)
                } else {
                    None
                };
            }
        }
        None
    }

    fn add(&self, byte: u8, link: Link) -> bool {
        let len = self.len.load(Ordering::Relaxed) as usize;
        if len == N {
            return false;
        }
        self.places[len].store(link);
        let word = &self.keys[len / 8];
        word.store(
            word.load(Ordering::Relaxed) | u64::from(byte) << (8 * (len % 8)),
            Ordering::Relaxed,
        );
        self.len.store(len as u32 + 1, Ordering::Release);
        true
    }

    fn at_or_after(&self, byte: u8) -> Option<u8> {
        self.bytes().filter(|key| *key >= byte).min()
    }

    fn at_or_before(&self, byte: u8) -> Option<u8> {
        self.bytes().filter(|key| *key <= byte).max()
    }
}

/// A bit set of the bytes that have a child, for walks.
#[derive(Default)]
struct Present([AtomicU64; 4]);

impl Present {
    fn insert(&self, byte: u8) {
        let word = &self.0[usize::from(byte) / 64];
        word.store(
            word.load(Ordering::Relaxed) | 1 << (byte % 64),
            Ordering::Release,
        );
    }

    fn at_or_after(&self, byte: u8) -> Option<u8> {
        let mut mask = u64::MAX << (byte % 64);
        for word in usize::from(byte) / 64..4 {
            let found = self.0[word].load(Ordering::Acquire) & mask;
            if found != 0 {
                return Some((64 * word) as u8 + found.trailing_zeros() as u8);
            }
            mask = u64::MAX;
        }
        None
    }

    fn at_or_before(&self, byte: u8) -> Option<u8> {
        let mut mask = u64::MAX >> (63 - byte % 64);
        for word in (0..=usize::from(byte) / 64).rev() {
            let found = self.0[word].load(Ordering::Acquire) & mask;
            if found != 0 {
                return Some((64 * word) as u8 + found.ilog2() as u8);
            }
            mask = u64::MAX;
        }
        None
    }
}

/// Up to 48 children, in the order of insertion.
struct Indexed {
    header: Header,
    len: AtomicU32,
    present: Present,
    /// The slot of each byte's child, from 1 on.
    slots: [AtomicU8; 256],
    places: [Place; 48],
}

impl Default for Indexed {
    fn default() -> Self {
        let slots = [const { AtomicU8::new(0) }; 256];
        Self {
            header: Header::default(),
            len: AtomicU32::new(0),
            present: Present::default(),
            slots,
            places: places(),
        }
    }
}

impl Children for Indexed {
    fn place(&self, byte: u8) -> Option<&Place> {
        let slot = usize::from(self.slots[usize::from(byte)].load(Ordering::Acquire));
        self.places.get(slot.wrapping_sub(1))
    }

    fn add(&self, byte: u8, link: Link) -> bool {
        let len = self.len.load(Ordering::Relaxed);
        let Some(place) = self.places.get(len as usize) else {
            return false;
        };
        place.store(link);
        self.slots[usize::from(byte)].store(len as u8 + 1, Ordering::Release);
        self.present.insert(byte);
        self.len.store(len + 1, Ordering::Relaxed);
        true
    }

    fn at_or_after(&self, byte: u8) -> Option<u8> {
        self.present.at_or_after(byte)
    }

    fn at_or_before(&self, byte: u8) -> Option<u8> {
        self.present.at_or_before(byte)
    }
}

/// A child for every byte.
struct Direct {
    header: Header,
    present: Present,
    places: [Place; 256],
}

impl Default for Direct {
    fn default() -> Self {
        Self {
            header: Header::default(),
            present: Present::default(),
            places: places(),
        }
    }
}

impl Children for Direct {
    fn place(&self, byte: u8) -> Option<&Place> {
        Some(&self.places[usize::from(byte)])
    }

    fn add(&self, byte: u8, link: Link) -> bool {
        self.places[usize::from(byte)].store(link);
        self.present.insert(byte);
        true
    }

    fn at_or_after(&self, byte: u8) -> Option<u8> {
        self.present.at_or_after(byte)
    }

    fn at_or_before(&self, byte: u8) -> Option<u8> {
        self.present.at_or_before(byte)
    }
}

#[derive(Clone, Copy)]
enum Sized<'a> {
    Four(&'a Listed<1, 4>),
    Sixteen(&'a Listed<2, 16>),
    FortyEight(&'a Indexed),
    All(&'a Direct),
}

/// A node of any size.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    /// The link to the node.
    pub(super) link: Link,
    header: &'a Header,
    sized: Sized<'a>,
}

impl<'a> Node<'a> {
    fn children(&self) -> &'a dyn Children {
        match self.sized {
            Sized::Four(node) => node,
            Sized::Sixteen(node) => node,
            Sized::FortyEight(node) => node,
            Sized::All(node) => node,
        }
    }

    /// Returns the position at which the node branches.
    pub(super) fn depth(&self) -> usize {
        self.header.depth.load(Ordering::Relaxed) as usize / 2
    }

    /// Returns the last bytes before the node's depth, which all keys below share; None if keys end
    /// before it.
    pub(super) fn before(&self) -> Option<u64> {
        let is_key = self.header.depth.load(Ordering::Relaxed).is_multiple_of(2);
        is_key.then(|| self.header.before.load(Ordering::Relaxed))
    }

    fn place(&self, symbol: Symbol) -> Option<&'a Place> {
        if symbol == END {
            return Some(&self.header.end);
        }
        match self.sized {
            Sized::Four(node) => node.place(byte(symbol)),
            Sized::Sixteen(node) => node.place(byte(symbol)),
            Sized::FortyEight(node) => node.place(byte(symbol)),
            Sized::All(node) => node.place(byte(symbol)),
        }
    }

    /// Returns the child of a symbol.
    pub(super) fn child(&self, symbol: Symbol) -> Link {
        self.place(symbol).map_or(Link::NOTHING, Place::load)
    }

    /// Replaces an existing child.
    pub(super) fn replace(&self, symbol: Symbol, link: Link) {
        self.place(symbol)
            .expect("a child is replaced where there is one")
            .store(link);
    }

    /// Adds a child for a symbol that has no child. Returns false if the node is full.
    pub(super) fn add(&self, symbol: Symbol, link: Link) -> bool {
        if symbol == END {
            self.header.end.store(link);
            return true;
        }
        self.children().add(byte(symbol), link)
    }

    /// Returns the first child whose symbol is at least this one.
    pub(super) fn at_or_after(&self, from: Symbol) -> Option<(Symbol, Link)> {
        let end = self.header.end.load();
        if from == END && end != Link::NOTHING {
            return Some((END, end));
        }
        if from == BEYOND {
            return None;
        }
        let found = symbol(self.children().at_or_after(byte(from.max(1)))?);
        Some((found, self.child(found)))
    }

    /// Returns the last child whose symbol is below this one.
    pub(super) fn last_before(&self, bound: Symbol) -> Option<(Symbol, Link)> {
        if bound > 1
            && let Some(found) = self.children().at_or_before(byte(bound - 1))
        {
            return Some((symbol(found), self.child(symbol(found))));
        }
        let end = self.header.end.load();
        (bound > END && end != Link::NOTHING).then_some((END, end))
    }
}

/// The target of a link.
pub(super) enum Target<'a> {
    /// There is no child.
    Nothing,
    /// The entry with this number.
    Entry(u32),
    /// A node.
    Node(Node<'a>),
}

/// All nodes of a tree.
#[derive(Default)]
pub(super) struct Nodes {
    four: Arena<Listed<1, 4>>,
    sixteen: Arena<Listed<2, 16>>,
    forty_eight: Arena<Indexed>,
    all: Arena<Direct>,
}

impl Nodes {
    /// Returns the target of a link.
    pub(super) fn follow(&self, link: Link) -> Target<'_> {
        match link.kind() {
            NOTHING => Target::Nothing,
            ENTRY => Target::Entry(link.number()),
            _ => Target::Node(self.node(link)),
        }
    }

    /// Returns the node of a link that leads to a node.
    pub(super) fn node(&self, link: Link) -> Node<'_> {
        let (header, sized) = match link.kind() {
            NODE_4 => {
                let node = self.four.get(link.number());
                (&node.header, Sized::Four(node))
            }
            NODE_16 => {
                let node = self.sixteen.get(link.number());
                (&node.header, Sized::Sixteen(node))
            }
            NODE_48 => {
                let node = self.forty_eight.get(link.number());
                (&node.header, Sized::FortyEight(node))
            }
            _ => {
                let node = self.all.get(link.number());
                (&node.header, Sized::All(node))
            }
        };
        Node {
            link,
            header,
            sized,
        }
    }

    fn make(&self, kind: u32, depth: usize, before: Option<u64>) -> Node<'_> {
        let number = match kind {
            NODE_4 => self.four.claim().0,
            NODE_16 => self.sixteen.claim().0,
            NODE_48 => self.forty_eight.claim().0,
            _ => self.all.claim().0,
        };
        let node = self.node(Link::new(kind, number));
        node.header.depth.store(
            2 * depth as u32 + u32::from(before.is_none()),
            Ordering::Relaxed,
        );
        node.header
            .before
            .store(before.unwrap_or_default(), Ordering::Relaxed);
        node
    }

    /// Creates the root: a node at position 0 that is never full.
    pub(super) fn root(&self) -> Node<'_> {
        self.make(NODE_256, 0, Some(0))
    }

    /// Creates a node with two children.
    pub(super) fn pair(
        &self,
        depth: usize,
        before: Option<u64>,
        children: [(Symbol, Link); 2],
    ) -> Node<'_> {
        let node = self.make(NODE_4, depth, before);
        for (symbol, link) in children {
            node.add(symbol, link);
        }
        node
    }

    /// Creates a node of the next size with the children of a full node.
    pub(super) fn grown(&self, node: Node<'_>) -> Node<'_> {
        let larger = self.make(node.link.kind() + 1, node.depth(), node.before());
        let mut from = END;
        while let Some((symbol, link)) = node.at_or_after(from) {
            larger.add(symbol, link);
            from = symbol + 1;
        }
        larger
    }

    /// Returns the number of nodes of each size that were created, and the bytes of one.
    #[cfg(test)]
    pub(super) fn made(&self) -> [(usize, usize); 4] {
        [
            (self.four.len(), size_of::<Listed<1, 4>>()),
            (self.sixteen.len(), size_of::<Listed<2, 16>>()),
            (self.forty_eight.len(), size_of::<Indexed>()),
            (self.all.len(), size_of::<Direct>()),
        ]
    }
}
