//! An arena of 64-bit words in chunks that never move. One writer claims words; readers need no
//! lock.
//!
//! ```text
//!   direct chunks     256 chunks of one size       cover twice the capacity
//!   further chunks    each twice the one before    for what goes beyond
//! ```
//!
//! Words are atomic, so that readers and the writer share them without `unsafe`: a relaxed load or
//! store of a word is a plain one. The writer fills the words that it claims, and then publishes
//! their number with a release store; a reader who loaded the number with an acquire load sees them
//! filled. All memory is released at once, when the arena is dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Chunks found without a logarithm.
const DIRECT: usize = 256;

/// The smallest chunk, in words.
const CHUNK_WORDS_MIN: usize = 1 << 10;

/// Chunks beyond the direct ones.
const FURTHER: usize = 32;

type Chunk = Box<[AtomicU64]>;

/// Numbered words.
pub(super) struct Words {
    direct: Box<[OnceLock<Chunk>]>,
    further: [OnceLock<Chunk>; FURTHER],
    /// The logarithm of the words of a direct chunk.
    chunk_log: u32,
    /// The number of the next word to claim. Only the writer changes it.
    next: AtomicUsize,
}

/// Words that follow one another.
pub(super) struct Claim<'a> {
    /// The number of the first word.
    pub(super) number: usize,
    /// The words.
    pub(super) words: &'a [AtomicU64],
    /// How many words it took, with those left over at the end of a chunk.
    pub(super) taken: usize,
}

impl Words {
    /// The most words that can be claimed together.
    pub(super) const CLAIM_MAX: usize = CHUNK_WORDS_MIN / 4;

    /// Creates an arena for about `bytes` bytes. It can hold more. Word 0 is never claimed.
    pub(super) fn new(bytes: u64) -> Self {
        let words = usize::try_from(bytes / 8).unwrap_or(usize::MAX);
        let chunk_words = (words / (DIRECT / 2)).clamp(CHUNK_WORDS_MIN, 1 << 20);
        Self {
            direct: (0..DIRECT).map(|_| OnceLock::new()).collect(),
            further: [const { OnceLock::new() }; FURTHER],
            chunk_log: chunk_words.next_power_of_two().ilog2(),
            next: AtomicUsize::new(1),
        }
    }

    /// Returns the number of the first word beyond the direct chunks.
    fn direct_words(&self) -> usize {
        DIRECT << self.chunk_log
    }

    /// Returns the number of the further chunk that holds a word.
    fn further_chunk(&self, number: usize) -> usize {
        (number / self.direct_words()).ilog2() as usize
    }

    /// Returns the number of the first word behind the chunk that holds `number`.
    fn chunk_end(&self, number: usize) -> usize {
        if number < self.direct_words() {
            return ((number >> self.chunk_log) + 1) << self.chunk_log;
        }
        self.direct_words() << (self.further_chunk(number) + 1)
    }

    /// Claims the next `count` words, which are zero. One writer at a time.
    pub(super) fn claim(&self, count: usize) -> Claim<'_> {
        debug_assert!(count <= Self::CLAIM_MAX, "a claim fits into a chunk");
        let before = self.next.load(Ordering::Relaxed);
        let end = self.chunk_end(before);
        let number = if before + count > end { end } else { before };
        self.next.store(number + count, Ordering::Relaxed);
        let make = |words| move || (0..words).map(|_| AtomicU64::new(0)).collect();
        if number < self.direct_words() {
            self.direct[number >> self.chunk_log].get_or_init(make(1 << self.chunk_log));
        } else {
            let chunk = self.further_chunk(number);
            self.further[chunk].get_or_init(make(self.direct_words() << chunk));
        }
        Claim {
            number,
            words: &self.from(number)[..count],
            taken: number + count - before,
        }
    }

    /// Returns a claimed word and those behind it in its chunk.
    pub(super) fn from(&self, number: usize) -> &[AtomicU64] {
        let (chunk, at) = match self.direct.get(number >> self.chunk_log) {
            Some(chunk) => (chunk, number & ((1 << self.chunk_log) - 1)),
            None => {
                let chunk = self.further_chunk(number);
                let at = number - (self.direct_words() << chunk);
                (&self.further[chunk], at)
            }
        };
        let chunk = chunk.get();
        &chunk.expect("a word is claimed before its number is known")[at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_lie_apart_and_are_found_again() {
        let words = Words::new(0);
        let mut claims = Vec::new();
        let mut taken = 1;
        for number in 0..6_000u64 {
            let count = 1 + number as usize * 37 % Words::CLAIM_MAX;
            let claim = words.claim(count);
            assert!(claim.words.iter().all(|it| it.load(Ordering::Relaxed) == 0));
            claim
                .words
                .iter()
                .for_each(|it| it.store(number, Ordering::Relaxed));
            taken += claim.taken;
            assert_eq!(claim.number + count, taken);
            claims.push((claim.number, count));
        }
        assert!(
            taken > 2 * words.direct_words(),
            "it goes beyond the direct chunks"
        );
        for (number, (first, count)) in (0..).zip(claims) {
            let held = &words.from(first)[..count];
            assert!(held.iter().all(|it| it.load(Ordering::Relaxed) == number));
        }
    }
}
