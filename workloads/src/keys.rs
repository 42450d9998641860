//! How a key number becomes key bytes, as in YCSB. Keys of a file are in `key_names.rs`.
//!
//! A key is a prefix and a decimal number, with zeros in front up to `zero_padding` digits. In
//! hashed order the number is YCSB's hash of the key number, so that records inserted one after the
//! other lie far apart. In ordered order it is the key number itself.
//!
//! Keys that are never inserted are spelt like those that are, and lie between them. In hashed
//! order their number is one that no record has; in ordered order they have more digits.
//!
//! Source: YCSB `CoreWorkload.buildKeyName` and `Utils.fnvhash64`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether keys that are inserted one after the other are neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOrder {
    /// Scattered by a hash of the key number (YCSB's `insertorder=hashed`).
    #[default]
    Hashed,
    /// The key number itself (YCSB's `insertorder=ordered`). For bytes to sort like numbers,
    /// `zero_padding` must cover all digits.
    Ordered,
}

/// How a file of keys is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyFileFormat {
    /// SOSD's: a 64-bit count, then 64-bit numbers, the lowest byte first.
    SosdU64,
    /// SOSD's: a 64-bit count, then 32-bit numbers, the lowest byte first.
    SosdU32,
    /// Strings, one a line. Empty lines are left out.
    Lines,
}

impl KeyFileFormat {
    /// The name used in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::SosdU64 => "sosd-u64",
            Self::SosdU32 => "sosd-u32",
            Self::Lines => "lines",
        }
    }
}

/// How keys are spelt, or the file that they come from.
///
/// ```
/// use aura_workloads::{KeyOrder, KeySpace};
///
/// let mut key = Vec::new();
/// KeySpace::default().render(0, &mut key);
/// assert_eq!(key, b"user6284781860667377211");
///
/// let ordered = KeySpace {
///     order: KeyOrder::Ordered,
///     prefix: "k".to_owned(),
///     zero_padding: 6,
///     ..KeySpace::default()
/// };
/// ordered.render(42, &mut key);
/// assert_eq!(key, b"k000042");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeySpace {
    /// The order of the keys, compared with the order of insertion. Of keys from a file `"ordered"`
    /// inserts them as the file has them, `"hashed"` as a permutation scatters them.
    pub order: KeyOrder,
    /// The beginning of every key.
    pub prefix: String,
    /// The least number of decimal digits; shorter numbers get zeros in front (at most 64).
    pub zero_padding: usize,
    /// The number of the first key: record n is spelt as n + `start`, as with YCSB's `insertstart`.
    /// Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub start: u64,
    /// A file of keys to insert instead, relative to the folder of the config. `records` is then
    /// the number of its distinct keys by default, and at most that; inserts take further ones.
    /// Numbers are keys of eight bytes, the highest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How the file is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<KeyFileFormat>,
    /// A generated set of keys to insert instead, as `aura index-bench` names them:
    /// `"lognormal:100k"`. They are those of the set's seed 0, whatever the trial's seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// The digest of the file's keys. A plan fills it in; a file with other keys is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Default for KeySpace {
    fn default() -> Self {
        Self {
            order: KeyOrder::Hashed,
            prefix: "user".to_owned(),
            zero_padding: 1,
            start: 0,
            file: None,
            format: None,
            generated: None,
            digest: None,
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// More digits than a `u64` has, and few enough for a buffer on the stack.
pub(crate) const ZERO_PADDING_MAX: usize = 64;

impl KeySpace {
    /// Replaces the contents of `key` by the spelling of `number`.
    pub fn render(&self, number: u64, key: &mut Vec<u8>) {
        let number = number.wrapping_add(self.start);
        let spelt = match self.order {
            KeyOrder::Hashed => fnv_hash(number),
            KeyOrder::Ordered => number,
        };
        self.spell(spelt, key);
    }

    /// Replaces the contents of `key` by a key that is never inserted, another one for each
    /// `number`. The numbers of all records are below `numbers`. In ordered order it lies right
    /// behind the key of that number, in hashed order anywhere among the keys.
    ///
    /// ```
    /// use aura_workloads::{KeyOrder, KeySpace};
    ///
    /// let order = KeyOrder::Ordered;
    /// let prefix = "k".to_owned();
    /// let ordered = KeySpace { order, prefix, zero_padding: 6, ..KeySpace::default() };
    /// let mut key = Vec::new();
    /// ordered.render_absent(42, 1000, &mut key);
    /// assert_eq!(key, b"k0000426", "after k000042, before k000043");
    /// ```
    pub fn render_absent(&self, number: u64, numbers: u64, key: &mut Vec<u8>) {
        let number = number.wrapping_add(self.start);
        let numbers = numbers.saturating_add(self.start);
        match self.order {
            // No record has a number in the upper half.
            KeyOrder::Hashed => self.spell(fnv_hash(!number), key),
            KeyOrder::Ordered => {
                self.spell(number, key);
                let digits = numbers.max(1).ilog10() as usize + 1;
                let longest = digits.max(self.zero_padding.min(ZERO_PADDING_MAX));
                // The last digit says how many are the number's, so that 5 and 55 stay apart.
                let own = (key.len() - self.prefix.len()) % 10;
                key.resize(self.prefix.len() + longest, b'5');
                key.push(b'0' + own as u8);
            }
        }
    }

    /// Replaces the contents of `key` by the prefix and the digits of `number`.
    fn spell(&self, number: u64, key: &mut Vec<u8>) {
        let mut digits = [b'0'; ZERO_PADDING_MAX];
        let start = write_decimal(number, &mut digits);
        let padded = ZERO_PADDING_MAX - self.zero_padding.min(ZERO_PADDING_MAX);
        key.clear();
        key.extend_from_slice(self.prefix.as_bytes());
        key.extend_from_slice(&digits[start.min(padded)..]);
    }
}

/// 00 to 99, so that one division yields two digits. A hashed key has nineteen, and every operation
/// has a key.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// Writes `number` right-aligned into zeros, and returns where it starts.
fn write_decimal(mut number: u64, digits: &mut [u8; ZERO_PADDING_MAX]) -> usize {
    let mut start = ZERO_PADDING_MAX;
    while number > 0 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    // The first pair may begin with a zero too many. Zero itself has no digit yet.
    let leading = start < ZERO_PADDING_MAX && digits[start] == b'0';
    (start + usize::from(leading)).min(ZERO_PADDING_MAX - 1)
}

/// YCSB's hash of a number: 64-bit FNV over its eight bytes, lowest first, each xor-ed in before
/// the multiplication; then the absolute value of the signed result.
pub fn fnv_hash(number: u64) -> u64 {
    const OFFSET_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 1_099_511_628_211;
    let hash = number
        .to_le_bytes()
        .into_iter()
        .fold(OFFSET_BASIS, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(PRIME)
        });
    hash.cast_signed().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn spelt(space: &KeySpace, number: u64) -> String {
        let mut key = b"stale".to_vec();
        space.render(number, &mut key);
        String::from_utf8(key).unwrap()
    }

    #[test]
    fn golden_hashed_names() {
        let space = KeySpace::default();
        for (number, name) in [
            (0, "user6284781860667377211"),
            (1, "user8517097267634966620"),
            (2, "user1820151046732198393"),
            (999, "user2071219101098386137"),
            (1_000_000, "user1011632231655643464"),
        ] {
            assert_eq!(spelt(&space, number), name);
        }
    }

    #[test]
    fn absent_keys_are_none_of_the_keys_and_lie_between_them() {
        for order in [KeyOrder::Hashed, KeyOrder::Ordered] {
            for zero_padding in [0, 1, 3, 8, 64] {
                let space = KeySpace {
                    order,
                    prefix: "k".to_owned(),
                    zero_padding,
                    ..KeySpace::default()
                };
                let present: BTreeSet<String> = (0..2000).map(|n| spelt(&space, n)).collect();
                let mut absent = BTreeSet::new();
                let mut key = Vec::new();
                for number in 0..2000 {
                    space.render_absent(number, 2000, &mut key);
                    absent.insert(String::from_utf8(key.clone()).unwrap());
                }
                assert_eq!(absent.len(), 2000, "{order:?}, {zero_padding}");
                assert!(absent.is_disjoint(&present), "{order:?}, {zero_padding}");
                let digits = |key: &String| key[1..].bytes().all(|byte| byte.is_ascii_digit());
                assert!(absent.iter().all(digits), "{order:?}, {zero_padding}");
                let between =
                    |key: &&String| present.first() < Some(*key) && Some(*key) < present.last();
                let inside = absent.iter().filter(between).count();
                assert!(inside > 1980, "{order:?}, {zero_padding}: {inside} of 2000");
            }
        }
    }

    #[test]
    fn a_start_moves_the_numbers() {
        let space = KeySpace {
            start: 999,
            ..KeySpace::default()
        };
        assert_eq!(spelt(&space, 0), "user2071219101098386137");
    }

    #[test]
    fn ordered_names_are_padded_but_never_cut() {
        let space = |zero_padding| KeySpace {
            order: KeyOrder::Ordered,
            prefix: "k".to_owned(),
            zero_padding,
            ..KeySpace::default()
        };
        assert_eq!(spelt(&space(0), 0), "k0");
        assert_eq!(spelt(&space(1), 7), "k7");
        assert_eq!(spelt(&space(4), 42), "k0042");
        assert_eq!(spelt(&space(4), 123_456), "k123456");
        assert_eq!(spelt(&space(30), u64::MAX), format!("k{:030}", u64::MAX));
    }
}
