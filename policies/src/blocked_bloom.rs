//! The bits of a blocked Bloom filter: all bits of a key lie in one 64-byte block, so a probe
//! touches one cache line.
//!
//! Bit b of a block is bit b % 8 of its byte b / 8. The block of a hash is hash * blocks / 2^64.
//! The bits come from the hash mixed again: nine bits a probe, and another mix after each seven.
//! Tables store these bits on disk.

use crate::splitmix::remix;

/// Bytes of a block: one cache line.
pub(crate) const BLOCK_BYTES: usize = 64;

/// Sets the bits of `hash` in `blocks`, which is a whole number of blocks and not empty.
#[inline]
pub(crate) fn insert(blocks: &mut [u8], probes: u8, hash: u64) {
    let start = block_start(blocks, hash);
    for bit in bits_of(hash, probes) {
        blocks[start + bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether all bits of `hash` are set.
#[inline]
pub(crate) fn contains(blocks: &[u8], probes: u8, hash: u64) -> bool {
    let block = &blocks[block_start(blocks, hash)..][..BLOCK_BYTES];
    bits_of(hash, probes).all(|bit| block[bit / 8] & (1 << (bit % 8)) != 0)
}

/// How many probes a filter of `bits_per_key` makes: 0.6 for each bit rather than ln 2, because the
/// fuller blocks dominate the errors, and in those fewer probes are better.
pub(crate) fn probes_for(bits_per_key: f64, probes_max: u8) -> u8 {
    ((bits_per_key * 0.6).round() as u8).clamp(1, probes_max)
}

/// Where the block of a hash starts, which the hash's upper bits decide.
fn block_start(blocks: &[u8], hash: u64) -> usize {
    let count = (blocks.len() / BLOCK_BYTES) as u128;
    ((u128::from(hash) * count) >> 64) as usize * BLOCK_BYTES
}

/// The bits of a hash within its block, each less than 512. The keys of a block share the upper
/// bits of their hashes but not of the second mix.
fn bits_of(hash: u64, probes: u8) -> impl Iterator<Item = usize> {
    let mut mixed = hash;
    (0..probes).map(move |probe| {
        if probe % 7 == 0 {
            mixed = remix(mixed);
        }
        (mixed >> (9 * u32::from(probe % 7))) as usize % (BLOCK_BYTES * 8)
    })
}
