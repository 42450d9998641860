//! Doorkeeper: an object enters when it is requested for the second time.
//!
//! Source: Maggs and Sitaraman, "Algorithmic Nuggets in Content Delivery", SIGCOMM CCR 45(3), 2015
//! (cache on second hit). The name and the clearing are TinyLFU's (Einziger et al. 2017), where it
//! stands before the sketch; here it decides alone.
//! State: a blocked Bloom filter of `bits_per_key` for each key remembered. At most `window` times
//! as many keys are remembered as objects fit in the cache, judged by the sizes of those missed.
//! Cost: one cache line a miss; O(filter) a clearing.
//! Invariants: an object refused since the last clearing enters. A key never seen enters only as a
//! false positive of the filter: about 1 % at 10 bits a key, and less before the filter is full.
//! Weak where: objects are requested again soon, since each costs one more miss; and after a
//! clearing, which forgets all keys at once.

use super::{Admission, Build};
use crate::blocked_bloom::{self, BLOCK_BYTES};
use crate::cache::Access;
use crate::entry::{Entry, describe, in_range, params};
use crate::sketch::Population;
use crate::splitmix::remix;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "doorkeeper",
    about: "an object enters at its second request (Maggs and Sitaraman, CCR 2015)",
    params: describe::<Params>,
    build: Build {
        needs_sizes: false,
        make: |capacity, _seed, spec| {
            let params: Params = params(spec)?;
            in_range(spec, "bits_per_key", params.bits_per_key, 1.0..=50.0)?;
            in_range(spec, "window", params.window, 0.1..=1000.0)?;
            Ok(Some(Box::new(Doorkeeper::new(capacity, params))))
        },
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bits of filter for each key remembered (1 to 50).
    bits_per_key: f64,
    /// Keys remembered until all are forgotten, in objects that fit in the cache (0.1 to 1000).
    window: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            bits_per_key: 10.0,
            window: 4.0,
        }
    }
}

const PROBES_MAX: u8 = 24;

struct Doorkeeper {
    params: Params,
    probes: u8,
    population: Population,
    blocks: Vec<u8>,
    /// Keys added since the last clearing. The next clearing comes at `seen_max`.
    seen: u64,
    seen_max: u64,
}

impl Doorkeeper {
    fn new(capacity: u64, params: Params) -> Self {
        let probes = blocked_bloom::probes_for(params.bits_per_key, PROBES_MAX);
        let population = Population::new(capacity);
        Self {
            params,
            probes,
            population,
            blocks: vec![0; BLOCK_BYTES],
            seen: 0,
            seen_max: 0,
        }
    }

    /// Makes room for `window` times `entries` keys. If the filter grows, it grows to a multiple of
    /// its blocks and keeps its keys: each key's block has a copy wherever the key may now be
    /// looked for.
    fn hold(&mut self, entries: u64) {
        self.seen_max = (entries as f64 * self.params.window).ceil().max(1.0) as u64;
        let blocks = self.blocks_needed();
        let before = self.blocks.len() / BLOCK_BYTES;
        if blocks <= before {
            return;
        }
        let copies = blocks.div_ceil(before);
        let old = std::mem::take(&mut self.blocks);
        self.blocks = old
            .chunks(BLOCK_BYTES)
            .flat_map(|block| block.repeat(copies))
            .collect();
    }

    /// The blocks of a filter for `seen_max` keys.
    fn blocks_needed(&self) -> usize {
        (self.seen_max as f64 * self.params.bits_per_key / (BLOCK_BYTES * 8) as f64)
            .ceil()
            .max(1.0) as usize
    }
}

impl Admission for Doorkeeper {
    fn admit(&mut self, incoming: &Access) -> bool {
        if let Some(entries) = self.population.see(incoming.bytes) {
            self.hold(entries);
        }
        let hash = remix(incoming.key);
        if blocked_bloom::contains(&self.blocks, self.probes, hash) {
            return true;
        }
        if self.seen >= self.seen_max {
            self.blocks.fill(0);
            self.seen = 0;
        }
        self.seen += 1;
        blocked_bloom::insert(&mut self.blocks, self.probes, hash);
        false
    }

    /// A filter twice as large as the cache now needs is cleared and made smaller.
    fn resize(&mut self, capacity: u64) {
        let Some(entries) = self.population.resize(capacity) else {
            return;
        };
        self.hold(entries);
        let blocks = self.blocks_needed();
        if 2 * blocks * BLOCK_BYTES <= self.blocks.len() {
            self.blocks = vec![0; blocks * BLOCK_BYTES];
            self.seen = 0;
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.blocks.capacity() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doorkeeper(capacity: u64) -> Doorkeeper {
        Doorkeeper::new(capacity, Params::default())
    }

    #[test]
    fn the_second_request_enters_even_if_the_filter_has_grown() {
        let mut policy = doorkeeper(100_000);
        let strangers = (0..50_000)
            .filter(|key| policy.admit(&Access::unit(*key)))
            .count();
        assert!(
            strangers < 250,
            "{strangers} of 50,000 strangers were let in"
        );
        assert!(
            (0..50_000).all(|key| policy.admit(&Access::unit(key))),
            "each was refused once, or let in"
        );
    }

    #[test]
    fn a_clearing_forgets_after_window_times_the_capacity() {
        let mut policy = doorkeeper(100);
        assert!(!policy.admit(&Access::unit(1)) && policy.admit(&Access::unit(1)));
        let before = (10..409)
            .filter(|key| policy.admit(&Access::unit(*key)))
            .count();
        assert_eq!((policy.seen + before as u64, policy.seen_max), (400, 400));
        assert!(policy.admit(&Access::unit(1)));
        assert!((1000..1100).any(|key| !policy.admit(&Access::unit(key))) && policy.seen < 400);
        assert!(!policy.admit(&Access::unit(1)));
    }
}
