//! The laws of each policy family, over every policy registered in it: a policy is tested by being
//! listed.

mod admission;
mod bound;
mod cache;
mod cache_driver;
mod cache_frequency;
mod cache_golden;
mod cache_lru_k;
mod cache_oracle;
mod cache_resize;
mod cache_sampled;
mod cache_trace;

mod warming;

mod layout;
mod layout_golden;
mod tree;

mod agent;
mod agent_oracle;
mod agent_world;
mod picker;

mod gc;
mod gc_log;
mod placement;
mod separation;

mod filter;
mod index;
mod index_golden;
mod index_sets;
mod tuner;

mod limiter;
mod oracle;
mod registry;
mod self_tuner;
mod stall;

/// SplitMix64 (Steele et al., OOPSLA 2014). The golden traces are defined by its stream, so it is
/// written here and not taken from the crate under test.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
