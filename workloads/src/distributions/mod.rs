//! Key distributions: which key number is next?
//!
//! A [`KeyChooser`] answers for one client and one phase. Two of its kinds are named after Zipf and
//! differ much: `ycsb-zipfian` is what YCSB does (of 1,000 keys the hottest gets 3.9 % of the
//! requests), `zipfian` is Zipf's law over the keys (12.9 %).
//!
//! A chooser never returns a key whose insert is not yet acknowledged.

mod config;
mod gray;
mod mersenne;
mod mixgraph;
mod permutation;
mod zipf;

pub use config::{Distribution, Drift};
pub use gray::GrayZipfian;
pub use permutation::Permutation;
pub use zipf::TrueZipf;

pub(crate) use gray::YCSB_THETA;
pub(crate) use mixgraph::{RANGES_MAX, RangeLaw, RankLaw};

use mixgraph::MixgraphKeys;

use crate::acknowledged::Acknowledged;
use crate::keys::fnv_hash;
use crate::seed::{Generator, Seed};

/// YCSB draws its scrambled zipfian from 0..=10^10 whatever the number of keys, and ships this
/// zeta.
const SCRAMBLED_ITEMS: u64 = 10_000_000_001;
const SCRAMBLED_ZETA: f64 = 26.469_028_201_783_02;

/// How often a draw is repeated at most. YCSB repeats a draw above the acknowledged keys until it
/// lies below. That could take for ever in a workload that begins with few records and will insert
/// a million times as many. So the last draw is taken modulo the acknowledged keys.
const REDRAWS_MAX: u32 = 4096;

/// Chooses key numbers for one client of a phase.
///
/// ```
/// use aura_workloads::{Acknowledged, Distribution, KeyChooser, KeyNumbers, Seed};
///
/// let keys = KeyNumbers { records: 1000, key_range: 1000, clients: 1 };
/// let law = Distribution::Zipfian { theta: 0.99, permute: false, scatter: 0 };
/// let mut chooser = KeyChooser::new(law, keys, 0, Seed(7));
/// let mut generator = Seed(7).child("key").generator();
/// let loaded = Acknowledged::new(1000);
/// let hottest = (0..10_000).filter(|_| chooser.draw(&mut generator, &loaded) == 0).count();
/// assert!((1_200..1_400).contains(&hottest), "12.9 %");
/// ```
#[derive(Clone, Debug)]
pub struct KeyChooser {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Uniform {
        records: u64,
    },
    Zipfian {
        zipf: TrueZipf,
        permutation: Option<Permutation>,
    },
    YcsbZipfian {
        zipfian: GrayZipfian,
        range: u64,
    },
    Latest {
        zipfian: GrayZipfian,
    },
    Hotspot(Hotspot),
    Exponential {
        mean: f64,
    },
    Sequential {
        position: u64,
        step: u64,
        records: u64,
    },
    Oldest,
    Mixgraph(MixgraphKeys),
}

/// The key numbers of a phase, and the clients that share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNumbers {
    /// Records loaded before the phases (at least 1).
    pub records: u64,
    /// Key numbers that the zipfian distributions draw from (at least `records`).
    pub key_range: u64,
    /// Clients of the phase (at least 1).
    pub clients: u32,
}

impl KeyChooser {
    /// Chooses the keys of `client`. Only the permutation of `zipfian` depends on `root`: the hot
    /// keys are the same for all clients, and for all phases with the same `scatter`.
    pub fn new(distribution: Distribution, keys: KeyNumbers, client: u32, root: Seed) -> Self {
        let records = keys.records;
        let kind = match distribution {
            Distribution::Uniform {} => Kind::Uniform { records },
            Distribution::Zipfian {
                theta,
                permute,
                scatter,
            } => {
                let mut seed = root.child("permutation");
                if scatter != 0 {
                    seed = seed.numbered(scatter);
                }
                Kind::Zipfian {
                    zipf: TrueZipf::new(keys.key_range, theta),
                    permutation: permute.then(|| Permutation::new(keys.key_range, seed)),
                }
            }
            Distribution::YcsbZipfian {} => Kind::YcsbZipfian {
                zipfian: GrayZipfian::with_zeta(SCRAMBLED_ITEMS, YCSB_THETA, SCRAMBLED_ZETA),
                // YCSB's bounds are both inclusive: without inserts the last number is always drawn
                // again.
                range: keys.key_range + 1,
            },
            Distribution::Latest {} => Kind::Latest {
                zipfian: GrayZipfian::new(records - 1, YCSB_THETA),
            },
            Distribution::Hotspot {
                data_fraction,
                operation_fraction,
                drift,
            } => {
                let hot = hot_records(records, data_fraction);
                let clients = u64::from(keys.clients);
                Kind::Hotspot(Hotspot {
                    records,
                    hot,
                    operation_fraction,
                    drift,
                    clients,
                    drawn: 0,
                })
            }
            Distribution::Exponential {
                percentile,
                fraction,
            } => {
                let gamma = -libm::log(1.0 - percentile / 100.0) / (records as f64 * fraction);
                Kind::Exponential { mean: 1.0 / gamma }
            }
            Distribution::Sequential {} => Kind::Sequential {
                position: u64::from(client) % records,
                step: u64::from(keys.clients) % records,
                records,
            },
            Distribution::Oldest {} => Kind::Oldest,
            Distribution::Mixgraph { .. } => {
                let (ranges, ranks) = distribution.mixgraph_laws().unwrap_or_default();
                Kind::Mixgraph(MixgraphKeys::new(records, ranges, ranks))
            }
        };
        Self { kind }
    }

    /// Draws the number of an acknowledged key.
    pub fn draw(&mut self, generator: &mut Generator, acknowledged: &Acknowledged) -> u64 {
        let end = acknowledged.end();
        match &mut self.kind {
            Kind::Uniform { records } => generator.below(*records),
            Kind::Zipfian { zipf, permutation } => redrawn(end, || {
                let rank = zipf.draw(generator);
                permutation
                    .as_ref()
                    .map_or(rank, |permutation| permutation.apply(rank))
            }),
            Kind::YcsbZipfian { zipfian, range } => {
                redrawn(end, || fnv_hash(zipfian.draw(generator)) % *range)
            }
            Kind::Latest { zipfian } => {
                let last = end - 1;
                last - zipfian.draw_growing(generator, last).min(last)
            }
            Kind::Hotspot(hotspot) => hotspot.draw(generator),
            Kind::Exponential { mean } => redrawn(end, || {
                // 1 - u lies in (0, 1], so its logarithm is finite. A number below zero wraps to
                // one above `end`.
                let back = (-libm::log(1.0 - generator.unit()) * *mean) as u64;
                (end - 1).wrapping_sub(back.min(end))
            }),
            Kind::Sequential {
                position,
                step,
                records,
            } => {
                let chosen = *position;
                *position = (chosen + *step) % *records;
                chosen
            }
            Kind::Oldest => acknowledged.take_oldest(),
            Kind::Mixgraph(keys) => keys.draw(generator),
        }
    }
}

/// Draws until the number lies below `end`.
fn redrawn(end: u64, mut draw: impl FnMut() -> u64) -> u64 {
    let mut number = draw();
    for _ in 0..REDRAWS_MAX {
        if number < end {
            return number;
        }
        number = draw();
    }
    number % end
}

/// How many of `records` keys are hot.
pub(crate) fn hot_records(records: u64, data_fraction: f64) -> u64 {
    ((records as f64 * data_fraction) as u64).min(records)
}

/// YCSB's hotspot, whose hot set may move.
#[derive(Clone, Debug)]
struct Hotspot {
    records: u64,
    /// Records of the hot set; they are the first as long as it has not moved.
    hot: u64,
    operation_fraction: f64,
    drift: Option<Drift>,
    clients: u64,
    /// Numbers drawn by this client.
    drawn: u64,
}

impl Hotspot {
    fn draw(&mut self, generator: &mut Generator) -> u64 {
        let chosen = if generator.unit() < self.operation_fraction {
            generator.below(self.hot)
        } else {
            self.hot + generator.below(self.records - self.hot)
        };
        let Some(drift) = self.drift else {
            return chosen;
        };
        // Clients progress at about the same pace, so one client's count stands for all.
        let moves = self.drawn * self.clients / drift.every_operations;
        self.drawn += 1;
        let step = (drift.fraction * self.records as f64) as u64;
        let moved = u128::from(chosen) + u128::from(moves) * u128::from(step);
        (moved % u128::from(self.records)) as u64
    }
}
