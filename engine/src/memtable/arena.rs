//! An arena of numbered places in chunks that never move. One writer claims places; readers need no
//! lock.
//!
//! ```text
//!   levels    level n has room for 2^n chunks           allocated when first needed
//!   chunk     about 32 KiB of places                    allocated when first needed
//! ```
//!
//! All memory is released at once, when the memtable is dropped: no references are counted, and no
//! tree is walked to drop it. LevelDB's memtable has an arena for the same reason. The writer must
//! publish a place's number with a release store, after it has filled the place.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::storage::Entry;

const CHUNK_BYTES: usize = 32 << 10;
const LEVELS: usize = 32;

type Chunk<T> = Box<[T]>;
type Chunks<T> = Box<[OnceLock<Chunk<T>>]>;

/// Numbered places of one type.
pub(super) struct Arena<T> {
    levels: [OnceLock<Chunks<T>>; LEVELS],
    len: AtomicU32,
}

/// The address of a place.
struct Address {
    level: usize,
    /// The number of the chunk in its level.
    chunk: usize,
    /// The number of the place in its chunk.
    place: usize,
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

    /// Returns the address of the place with this number.
    fn address(number: u32) -> Address {
        let number = number as usize;
        let chunk = number / Self::CHUNK + 1;
        let level = chunk.ilog2() as usize;
        Address {
            level,
            chunk: chunk - (1 << level),
            place: number % Self::CHUNK,
        }
    }

    /// Claims the next place, which holds the default value. One writer at a time.
    pub(super) fn claim(&self) -> (u32, &T) {
        let number = self.len.load(Ordering::Relaxed);
        let address = Self::address(number);
        let new_level = || (0..1 << address.level).map(|_| OnceLock::new()).collect();
        let new_chunk = || (0..Self::CHUNK).map(|_| T::default()).collect();
        let chunks = self.levels[address.level].get_or_init(new_level);
        let chunk = chunks[address.chunk].get_or_init(new_chunk);
        self.len.store(number + 1, Ordering::Release);
        (number, &chunk[address.place])
    }

    /// Returns a claimed place.
    pub(super) fn get(&self, number: u32) -> &T {
        let address = Self::address(number);
        let chunks = self.levels[address.level].get();
        let chunk = chunks.and_then(|chunks| chunks[address.chunk].get());
        &chunk.expect("a place is claimed before its number is known")[address.place]
    }

    /// Returns the number of claimed places.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }
}

/// Numbered entries.
#[derive(Default)]
pub(super) struct Entries {
    arena: Arena<OnceLock<Entry>>,
}

impl Entries {
    /// Appends an entry and returns its number. One writer at a time.
    pub(super) fn push(&self, entry: Entry) -> (u32, &Entry) {
        let (number, place) = self.arena.claim();
        (number, place.get_or_init(|| entry))
    }

    /// Returns the entry with this number, which a node contains.
    pub(super) fn get(&self, number: u32) -> &Entry {
        self.arena
            .get(number)
            .get()
            .expect("an entry is stored before its number is in a node")
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.arena.len()
    }
}
