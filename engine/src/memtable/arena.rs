//! Places by number, in chunks that never move: one writer claims them, anybody reads them without a lock.
//!
//! ```text
//!   levels    level n has room for 2^n chunks           made when first needed
//!   chunk     about 32 KiB of places                    likewise
//! ```
//!
//! Nothing is given back before the memtable goes, and all goes at once: no reference is counted, no pointer followed to
//! drop a tree. A place's number must reach its readers by a release store after what the place holds.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::storage::Entry;

const CHUNK_BYTES: usize = 32 << 10;
const LEVELS: usize = 32;

type Chunk<T> = Box<[T]>;
type Chunks<T> = Box<[OnceLock<Chunk<T>>]>;

/// Places of one type.
pub(super) struct Arena<T> {
    levels: [OnceLock<Chunks<T>>; LEVELS],
    len: AtomicU32,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            levels: [const { OnceLock::new() }; LEVELS],
            len: AtomicU32::new(0),
        }
    }
}

impl<T: Default> Arena<T> {
    const CHUNK: usize = 1 << (CHUNK_BYTES / size_of::<T>()).ilog2();

    /// Where a number's place is: the level, the chunk in it, the place in that.
    fn address(number: u32) -> (usize, usize, usize) {
        let number = number as usize;
        let chunk = number / Self::CHUNK + 1;
        let level = chunk.ilog2() as usize;
        (level, chunk - (1 << level), number % Self::CHUNK)
    }

    /// A place not claimed before, as it was made. One writer at a time.
    pub(super) fn claim(&self) -> (u32, &T) {
        let number = self.len.load(Ordering::Relaxed);
        let (level, chunk, at) = Self::address(number);
        let chunks =
            self.levels[level].get_or_init(|| (0..1 << level).map(|_| OnceLock::new()).collect());
        let chunk = chunks[chunk].get_or_init(|| (0..Self::CHUNK).map(|_| T::default()).collect());
        self.len.store(number + 1, Ordering::Release);
        (number, &chunk[at])
    }

    /// A claimed place.
    pub(super) fn get(&self, number: u32) -> &T {
        let (level, chunk, at) = Self::address(number);
        let chunk = self.levels[level]
            .get()
            .and_then(|chunks| chunks[chunk].get());
        &chunk.expect("a place is claimed before its number is known")[at]
    }

    /// Places claimed.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }
}

/// Entries by number.
#[derive(Default)]
pub(super) struct Entries {
    arena: Arena<OnceLock<Entry>>,
}

impl Entries {
    /// Appends an entry. One writer at a time.
    pub(super) fn push(&self, entry: Entry) -> (u32, &Entry) {
        let (number, place) = self.arena.claim();
        (number, place.get_or_init(|| entry))
    }

    /// The entry of a number that a node names.
    pub(super) fn get(&self, number: u32) -> &Entry {
        self.arena
            .get(number)
            .get()
            .expect("an entry is there before its number is in a node")
    }

    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.arena.len()
    }
}
