//! The keys of RocksDB's `mixgraph`: ranges of keys by a two-term exponential, and the keys of a
//! range by a power law.
//!
//! Source: Cao, Dong, Vemuri and Du, "Characterizing, Modeling, and Benchmarking RocksDB Key-Value
//! Workloads at Facebook", FAST 2020; RocksDB `tools/db_bench_tool.cc`, `GenerateTwoTermExpKeys`.
//!
//! ```text
//!   range i of n (from 1)   weight a e^(b i) + c e^(d i), as a multiple of the last range's; the
//!                           ranges are shuffled, by the sum of their weights as the seed
//!   rank in a range         (u / key a)^(1 / key b), rounded up, of u in [0, 1): a share of
//!                           key a * x^(key b) of the requests is for the ranks up to x
//!   key in the range        the first number that mt19937-64 draws of the rank as its seed, modulo
//!                           the keys of the range: several ranks may meet in one key
//! ```
//!
//! Weights, places of ranges and the key of each rank are db_bench's to the bit. It differs in four
//! ways. Range, rank, kind of operation and length are drawn one by one; db_bench takes them all
//! from one number, so that they depend on each other. Without ranges db_bench takes a signed
//! remainder, and every second rank is a key that no load writes; here every key is loaded. If a
//! parameter of the power law is 0, all keys of a range are equally likely; db_bench then ignores
//! its ranges. Records beyond the last whole range are never requested, as in db_bench.
//!
//! The parameters that were published are for 50 million keys. They make (1 / key a)^(1 / key b) =
//! 40 million ranks. Of much fewer keys each is that of many ranks, and the skew is lost; `key_a` =
//! (0.8 * records)^-`key_b` keeps it.
//! State: 8 bytes a range.
//! Cost: a power, and the first number of a Mersenne Twister: about 0.4 us a draw; of uniform keys
//! 20 ns.

use super::mersenne::MersenneTwister;
use crate::seed::Generator;

/// The most key ranges.
pub(crate) const RANGES_MAX: u64 = 1 << 20;
/// A weight below this counts as none, as in db_bench.
const SHARE_MIN: f64 = 1e-16;
/// The largest sum of weights: floats count exactly up to here.
const WEIGHT_MAX: f64 = 9_007_199_254_740_992.0;

/// The two-term exponential of the ranges: a e^(b i) + c e^(d i).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RangeLaw {
    pub(crate) ranges: u64,
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
    pub(crate) d: f64,
}

/// The power law of the ranks: a share of a x^b is for the ranks up to x.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RankLaw {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

impl RangeLaw {
    /// Whether there are no ranges: all parameters are 0.
    fn is_off(self) -> bool {
        [self.a, self.b, self.c, self.d].iter().all(|it| *it == 0.0)
    }

    /// The weights of the ranges in the order of their keys; `None` if no range has one, or if they
    /// are too far apart.
    pub(crate) fn weights(self) -> Option<Vec<u64>> {
        if self.is_off() {
            return Some(vec![1]);
        }
        let mut scale = None;
        let mut total = 0.0;
        let mut weights = Vec::new();
        for range in (1..=self.ranges).rev() {
            let at = range as f64;
            let share = self.a * libm::exp(self.b * at) + self.c * libm::exp(self.d * at);
            let weight = if share < SHARE_MIN {
                0.0
            } else {
                let scale = *scale.get_or_insert(libm::floor(1.0 / share) + 1.0);
                libm::floor(scale * share)
            };
            total += weight;
            weights.push(weight as u64);
        }
        if !(total > 0.0 && total <= WEIGHT_MAX) {
            return None;
        }
        let mut generator = MersenneTwister::new(total as u64);
        for at in 0..weights.len() {
            let other = generator.draw() % self.ranges;
            weights.swap(at, other as usize);
        }
        Some(weights)
    }
}

impl RankLaw {
    fn is_off(self) -> bool {
        self.a == 0.0 || self.b == 0.0
    }

    /// The rank up to which the share `u` of the requests goes.
    pub(crate) fn rank(self, u: f64) -> f64 {
        libm::ceil(libm::pow(u / self.a, 1.0 / self.b))
    }
}

/// Chooses keys.
#[derive(Clone, Debug)]
pub(super) struct MixgraphKeys {
    /// Keys of each range.
    keys: u64,
    /// The sum of the weights up to each range.
    ends: Vec<u64>,
    ranks: RankLaw,
}

impl MixgraphKeys {
    /// Chooses among `records` keys. Parameters that a config may not have give one range.
    pub(super) fn new(records: u64, ranges: RangeLaw, ranks: RankLaw) -> Self {
        let weights = ranges.weights().unwrap_or_else(|| vec![1]);
        let mut end = 0;
        let ends = weights.iter().map(|weight| {
            end += weight;
            end
        });
        Self {
            ends: ends.collect(),
            keys: (records / weights.len() as u64).max(1),
            ranks,
        }
    }

    /// Draws a key number.
    pub(super) fn draw(&self, generator: &mut Generator) -> u64 {
        let range = match self.ends.as_slice() {
            [] | [_] => 0,
            [.., total] => {
                let at = generator.below(*total);
                self.ends.partition_point(|end| *end <= at) as u64
            }
        };
        let drawn = generator.below(self.keys);
        let offset = if self.ranks.is_off() {
            drawn
        } else {
            self.key_of(self.ranks.rank(drawn as f64 / self.keys as f64))
        };
        range * self.keys + offset
    }

    /// The key, counted from its range's first, of a rank.
    fn key_of(&self, rank: f64) -> u64 {
        MersenneTwister::new(rank as u64).draw() % self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    /// The fit of Cao et al. for ZippyDB.
    const RANGES: RangeLaw = RangeLaw {
        ranges: 30,
        a: 14.18,
        b: -2.917,
        c: 0.0164,
        d: -0.080_82,
    };
    const RANKS: RankLaw = RankLaw {
        a: 0.002_312,
        b: 0.346_7,
    };
    const NO_RANGES: RangeLaw = RangeLaw {
        ranges: 30,
        a: 0.0,
        b: 0.0,
        c: 0.0,
        d: 0.0,
    };

    /// Computed by a program with C++'s `std::mt19937_64` and `floor`, after db_bench's steps.
    #[test]
    fn ranges_and_the_keys_of_ranks_are_those_of_db_bench() {
        let weights = [
            1, 2, 3, 1, 1, 1, 1, 7, 2, 10, 1, 5, 4, 3, 6, 5, 8, 2, 4, 3, 5, 1, 1, 38, 3, 2, 2, 6,
            1, 538,
        ];
        assert_eq!(RANGES.weights().expect("weights"), weights);
        let keys = MixgraphKeys::new(50_000_000, RANGES, RANKS);
        assert_eq!(keys.keys, 1_666_666);
        for (drawn, rank, offset) in [
            (0, 0, 1_215_496),
            (1, 1, 315_814),
            (1_000, 1, 315_814),
            (100_000, 11_993, 753_631),
            (800_000, 4_827_727, 1_024_531),
            (1_666_665, 40_100_468, 940_688),
        ] {
            let found = RANKS.rank(f64::from(drawn) / 1_666_666.0);
            assert_eq!(found as u64, rank, "{drawn}");
            assert_eq!(keys.key_of(found), offset, "{drawn}");
        }
    }

    #[test]
    fn shares_of_ranges_and_of_the_hottest_keys_follow_the_laws() {
        const DRAWS: u32 = 300_000;
        const KEYS: u64 = 3_000_000;
        let keys = MixgraphKeys::new(KEYS, RANGES, RANKS);
        let mut generator = Seed(3).generator();
        let mut ranges = [0_u32; 30];
        let mut hottest = 0_u32;
        // The key of the first rank, in the hottest range.
        let first = 29 * 100_000 + keys.key_of(1.0);
        for _ in 0..DRAWS {
            let key = keys.draw(&mut generator);
            ranges[(key / 100_000) as usize] += 1;
            hottest += u32::from(key == first);
        }
        let share = |count: u32| f64::from(count) / f64::from(DRAWS);
        for (range, expected) in [(29, 538.0), (23, 38.0), (9, 10.0), (0, 1.0)] {
            let error = share(ranges[range]) - expected / 667.0;
            assert!(error.abs() < 0.003, "{range}: {}", share(ranges[range]));
        }
        // A share a * 1^b of the range's requests is for rank 1, and few other ranks meet there.
        let expected = 538.0 / 667.0 * RANKS.a;
        assert!((share(hottest) / expected - 1.0).abs() < 0.15, "{hottest}");
    }

    #[test]
    fn without_ranges_or_power_law_all_keys_are_equally_likely() {
        let off = RankLaw { a: 0.0, b: 0.5 };
        let uniform = MixgraphKeys::new(10, NO_RANGES, off);
        let mut generator = Seed(4).generator();
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            counts[uniform.draw(&mut generator) as usize] += 1;
        }
        assert!(
            counts.iter().all(|it| it.abs_diff(2_000) < 250),
            "{counts:?}"
        );
        // One range of all keys: rank 1 has the share a of the requests.
        let ranked = MixgraphKeys::new(1_000_000, NO_RANGES, RankLaw { a: 0.1, b: 0.3 });
        let first = ranked.key_of(1.0);
        let hits = (0..20_000).filter(|_| ranked.draw(&mut generator) == first);
        assert!(hits.count().abs_diff(2_000) < 250);
    }

    #[test]
    fn ranges_without_a_weight_or_too_far_apart_are_refused() {
        let law = |a, b| RangeLaw {
            a,
            b,
            c: 0.0,
            d: 0.0,
            ..RANGES
        };
        assert_eq!(law(-1.0, -1.0).weights(), None, "no positive share");
        assert_eq!(law(1e6, -1.9).weights(), None, "1e16 times as much");
        assert_eq!(law(f64::NAN, 1.0).weights(), None);
        assert!(law(1.0, -0.5).weights().is_some());
    }
}
