//! Key sets that need no file: arithmetic on the outputs of SplitMix64 (Steele, Lea and Flood,
//! "Fast Splittable Pseudorandom Number Generators", 2014), so that any program can make the same
//! sets.
//!
//! With seed 0 and 100,000 keys, `square`, `uniform44`, `gaps`, `clusters` and `linear` are the
//! sets for which segment counts of published programs are known. `ycsb:1M` are YCSB's own hashed
//! keys.

use super::{FileKeys, KeySet, StringKeys};
use crate::keys::{KeySpace, fnv_hash};

/// The most keys that are generated: 8 GB of them.
const COUNT_MAX: u64 = 1_000_000_000;
const COUNT_DEFAULT: u64 = 1_000_000;

/// A kind of generated set.
pub struct GeneratedKind {
    /// Its name.
    pub name: &'static str,
    /// What the keys are.
    pub about: &'static str,
    make: fn(count: u64, seed: u64) -> KeySet,
}

/// Every kind, sorted by name.
pub const GENERATED: &[GeneratedKind] = &[
    GeneratedKind {
        name: "clusters",
        about: "1,000 consecutive numbers at each of many random places",
        make: |count, seed| {
            numbers(count, |i| {
                ((splitmix(seed, i / 1000) >> 24) << 10) + i % 1000
            })
        },
    },
    GeneratedKind {
        name: "gaps",
        about: "random gaps of 1 to 1,000, the small ones likelier",
        make: gaps,
    },
    GeneratedKind {
        name: "linear",
        about: "every seventh number: one line fits all",
        make: |count, _| numbers(count, |i| 1000 + 7 * i),
    },
    GeneratedKind {
        name: "lognormal",
        about: "lognormal(0, 2) times 10^9: dense at the start, then sparser and sparser",
        make: lognormal,
    },
    GeneratedKind {
        name: "seq-gaps",
        about: "consecutive numbers from 1,000,000 on; 1 % of the steps skip 2 to 999",
        make: seq_gaps,
    },
    GeneratedKind {
        name: "square",
        about: "the squares: density falls smoothly",
        make: |count, _| numbers(count, |i| (i + 1) * (i + 1)),
    },
    GeneratedKind {
        name: "uniform",
        about: "uniform over 64 bits",
        make: |count, seed| numbers(count, |i| splitmix(seed, i)),
    },
    GeneratedKind {
        name: "uniform44",
        about: "uniform over 44 bits",
        make: |count, seed| numbers(count, |i| splitmix(seed, i) >> 20),
    },
    GeneratedKind {
        name: "user-names",
        about: "YCSB's key names, `user` and a hashed number: strings",
        make: |count, _| user_names(count),
    },
    GeneratedKind {
        name: "ycsb",
        about: "YCSB's hashed key numbers: more regular than uniform ones",
        make: |count, _| numbers(count, fnv_hash),
    },
];

/// A kind, and a number of keys.
///
/// ```
/// use aura_workloads::keyset::{GeneratedSet, Keys};
///
/// let set = GeneratedSet::parse("uniform:10k")?;
/// let Keys::Numbers(keys) = set.keys(7).keys else {
///     panic!("they are numbers")
/// };
/// assert_eq!(keys.len(), 10_000);
/// assert!(keys.is_sorted());
/// # Ok::<(), aura_workloads::keyset::GeneratedError>(())
/// ```
#[derive(Clone, Copy)]
pub struct GeneratedSet {
    kind: &'static GeneratedKind,
    count: u64,
}

/// A name that is not that of a generated set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeneratedError {
    /// There is no such kind.
    #[error("no generated key set is called `{0}`")]
    Unknown(String),
    /// It is not a number of keys.
    #[error("`{0}` is not a number of keys: 1 to 1000M, such as 5000, 100k or 10M")]
    Count(String),
}

impl GeneratedSet {
    /// Reads `name` or `name:count`; the count is a million if it is left out.
    ///
    /// # Errors
    /// [`GeneratedError`].
    pub fn parse(text: &str) -> Result<Self, GeneratedError> {
        let (name, count) = text
            .split_once(':')
            .map_or((text, None), |(name, count)| (name, Some(count)));
        let kind = GENERATED.iter().find(|kind| kind.name == name);
        let kind = kind.ok_or_else(|| GeneratedError::Unknown(name.to_owned()))?;
        let count = match count {
            None => COUNT_DEFAULT,
            Some(text) => {
                parse_count(text).ok_or_else(|| GeneratedError::Count(text.to_owned()))?
            }
        };
        Ok(Self { kind, count })
    }

    /// The name and the count, such as `uniform-1000000`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.kind.name, self.count)
    }

    /// The keys for `seed`. There are fewer than `count` if numbers repeat.
    pub fn keys(&self, seed: u64) -> KeySet {
        (self.kind.make)(self.count, seed)
    }

    /// The keys for `seed` as a workload inserts them, in their order.
    pub fn keys_in_order(&self, seed: u64) -> FileKeys {
        FileKeys::of(self.keys(seed).keys)
    }
}

/// Reads a count such as `100_000`, `100k` or `1M`.
fn parse_count(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => text
            .strip_suffix(['m', 'M'])
            .map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let count = digits
        .replace('_', "")
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?;
    (1..=COUNT_MAX).contains(&count).then_some(count)
}

/// Output `i`, counted from 0, of the SplitMix64 generator that starts at `seed`.
fn splitmix(seed: u64, i: u64) -> u64 {
    let z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn numbers(count: u64, key: impl Fn(u64) -> u64) -> KeySet {
    KeySet::numbers((0..count).map(key).collect())
}

/// Sums of the gaps so far: each key is the one before plus `gap(i)`, the first one `from` plus
/// `gap(0)`.
fn sums(count: u64, from: u64, gap: impl Fn(u64) -> u64) -> KeySet {
    let sum = |sum: &mut u64, i| {
        *sum += gap(i);
        Some(*sum)
    };
    KeySet::numbers((0..count).scan(from, sum).collect())
}

fn gaps(count: u64, seed: u64) -> KeySet {
    sums(count, 0, |i| {
        let drawn = splitmix(seed, i);
        1 + (((((drawn >> 32) * (drawn & 0xffff_ffff)) >> 32) * 1000) >> 32)
    })
}

fn seq_gaps(count: u64, seed: u64) -> KeySet {
    sums(count, 1_000_000, |i| {
        let drawn = splitmix(seed, i);
        if (drawn >> 32).is_multiple_of(100) {
            2 + (drawn & 0xffff_ffff) % 998
        } else {
            1
        }
    })
}

fn lognormal(count: u64, seed: u64) -> KeySet {
    let unit = |i| ((splitmix(seed, i) >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64);
    numbers(count, |i| {
        // Box and Muller's transform, of which one of two results is used.
        let normal = libm::sqrt(-2.0 * libm::log(unit(2 * i)))
            * libm::cos(std::f64::consts::TAU * unit(2 * i + 1));
        (libm::exp(2.0 * normal) * 1e9) as u64
    })
}

fn user_names(count: u64) -> KeySet {
    let mut keys = StringKeys::default();
    let space = KeySpace::default();
    let mut key = Vec::new();
    for number in 0..count {
        space.render(number, &mut key);
        keys.push(&key);
    }
    KeySet::strings(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::Keys;

    /// What identifies a set.
    #[derive(Debug, PartialEq)]
    struct Ends {
        count: usize,
        first: u64,
        last: u64,
    }

    fn ends(text: &str) -> Ends {
        let set = GeneratedSet::parse(text).expect("a known name").keys(0);
        let Keys::Numbers(keys) = set.keys else {
            panic!("{text} has strings")
        };
        Ends {
            count: keys.len(),
            first: keys[0],
            last: keys[keys.len() - 1],
        }
    }

    #[test]
    fn the_sets_are_the_ones_with_known_segment_counts() {
        let of = |count, first, last| Ends { count, first, last };
        for (text, expected) in [
            ("square:100k", of(100_000, 1, 10_000_000_000)),
            (
                "uniform44:100k",
                of(100_000, 18_313_327, 17_591_822_471_410),
            ),
            ("gaps:100_000", of(100_000, 425, 25_018_686)),
            (
                "clusters:100k",
                of(100_000, 16_879_511_702_528, 1_093_115_928_759_271),
            ),
            ("linear:100k", of(100_000, 1000, 1000 + 7 * 99_999)),
            (
                "ycsb:1M",
                of(1_000_000, 15_884_423_385_449, 9_223_362_679_096_262_390),
            ),
        ] {
            assert_eq!(ends(text), expected, "{text}");
        }
    }

    #[test]
    fn every_kind_makes_sorted_distinct_keys_that_follow_the_seed() {
        assert!(GENERATED.is_sorted_by(|a, b| a.name < b.name));
        for kind in GENERATED {
            let set = GeneratedSet { kind, count: 5000 };
            let zero = set.keys(0);
            let one = set.keys(1);
            assert!(
                zero.keys.len() as u64 + zero.duplicates == 5000 && zero.duplicates < 10,
                "{}",
                kind.name
            );
            match &zero.keys {
                Keys::Numbers(keys) => assert!(keys.is_sorted_by(|a, b| a < b), "{}", kind.name),
                Keys::Strings(keys) => {
                    assert!(keys.iter().is_sorted_by(|a, b| a < b), "{}", kind.name)
                }
            }
            let drawn = !["linear", "square", "user-names", "ycsb"].contains(&kind.name);
            assert_eq!(zero != one, drawn, "{}", kind.name);
            assert_eq!(zero, set.keys(0), "{}", kind.name);
        }
    }

    #[test]
    fn names_and_counts_are_read_or_refused() {
        let name = |text: &str| GeneratedSet::parse(text).map(|set| set.name());
        assert_eq!(name("uniform"), Ok("uniform-1000000".to_owned()));
        assert_eq!(name("ycsb:2k"), Ok("ycsb-2000".to_owned()));
        assert_eq!(
            name("uniforn:1M"),
            Err(GeneratedError::Unknown("uniforn".to_owned()))
        );
        for count in ["", "0", "-1", "1.5M", "1001M", "99999999999999999999M", "k"] {
            assert_eq!(
                name(&format!("gaps:{count}")),
                Err(GeneratedError::Count(count.to_owned()))
            );
        }
    }
}
