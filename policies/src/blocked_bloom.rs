//! The bits of a blocked Bloom filter: a key's bits all lie in one 64-byte block, so that a probe touches one cache line.
//!
//! Bit b of a block is bit b % 8 of its byte b / 8. The block is hash * blocks / 2^64. The bits come from a remix of the
//! hash: nine bits a probe, remixed again after each seven. Tables' filters store these bits on disk.

use crate::splitmix::remix;

/// Bytes of one block: a cache line.
pub(crate) const BLOCK_BYTES: usize = 64;

/// Sets the bits of `hash` in `blocks`, a whole number of blocks and at least one.
#[inline]
pub(crate) fn insert(blocks: &mut [u8], probes: u8, hash: u64) {
    let start = block_start(blocks, hash);
    for bit in bits_of(hash, probes) {
        blocks[start + bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether the bits of `hash` are all set.
#[inline]
pub(crate) fn contains(blocks: &[u8], probes: u8, hash: u64) -> bool {
    let block = &blocks[block_start(blocks, hash)..][..BLOCK_BYTES];
    bits_of(hash, probes).all(|bit| block[bit / 8] & (1 << (bit % 8)) != 0)
}

/// The probes for a filter of `bits_per_key`: 0.6 a bit rather than ln 2, for the fuller blocks decide, and in them fewer
/// probes are better.
pub(crate) fn probes_for(bits_per_key: f64, probes_max: u8) -> u8 {
    ((bits_per_key * 0.6).round() as u8).clamp(1, probes_max)
}

/// Where the block of a hash starts: decided by the hash's upper bits.
fn block_start(blocks: &[u8], hash: u64) -> usize {
    let count = (blocks.len() / BLOCK_BYTES) as u128;
    ((u128::from(hash) * count) >> 64) as usize * BLOCK_BYTES
}

/// The bits of a hash within its block, each less than 512. Keys of one block share the upper bits of the hash, not of
/// the remix.
fn bits_of(hash: u64, probes: u8) -> impl Iterator<Item = usize> {
    let mut mixed = hash;
    (0..probes).map(move |probe| {
        if probe % 7 == 0 {
            mixed = remix(mixed);
        }
        (mixed >> (9 * u32::from(probe % 7))) as usize % (BLOCK_BYTES * 8)
    })
}
