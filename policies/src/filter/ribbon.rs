//! Ribbon: the solution of one linear equation for each key, in a band of 128 unknowns.
//!
//! Source: Dillinger and Walzer, "Ribbon filter: practically smaller than Bloom and Xor", 2021;
//! columns that are interleaved, and fewer of them in the first blocks, from RocksDB.
//! Variant: homogeneous. Every equation has 0 on its right side, so that a system always has
//! solutions and no second seed is tried; unknowns that the equations leave free are filled with
//! fixed random bits.
//! State: the encoded solution, which decoding does not copy.
//!
//! A key's hash gives a first slot and 128 coefficients. A filter with c columns is c independent
//! solutions; an absent key passes each with probability 1/2.
//!
//! ```text
//! block 0 | block 1 | ... | slots / 8 u32 | narrow blocks u32 | columns u8 | 1   (little-endian)
//! a block: 128 slots, column by column, 16 bytes each; the last block may have fewer slots.
//!          The first ones, the narrow blocks, have one column less.
//! a table above `bloom_before_level`: a blocked Bloom filter | 0
//! ```
//!
//! Cost: O(keys * (128 + columns)) bit operations in words to build, and 16 bytes for each slot
//! meanwhile; two blocks side by side a look-up. RocksDB's took 140 ns a key to build where Bloom
//! took 32 ns, and 600 ns a look-up where Bloom took 500 ns.
//! Invariants: the equation of a hash built in is satisfied in every column.
//! Weak where: tables are short-lived, so that building costs more than the memory is worth; or
//! have fewer keys than the band is wide: 128 slots are the least.

use bytes::Bytes;

use super::allocation::Allocation;
use super::bloom::{self, BlockedBloom};
use super::{BITS_MAX, BITS_MIN, Build, Filter, FilterFacts, FilterPolicy};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::splitmix::remix;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "ribbon",
    about: "solution of linear equations, 30 % smaller than Bloom (Dillinger and Walzer 2021)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let params: Params = params(spec)?;
            in_range(
                spec,
                "bits_per_key",
                params.bits_per_key,
                BITS_MIN..=BITS_MAX,
            )?;
            Ok(Box::new(Ribbon(params)))
        },
        decode,
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bits of filter for each distinct key (1 to 50), on average over the tree.
    bits_per_key: f64,
    /// How the bits are shared out: uniform, monkey or by-access.
    allocation: Allocation,
    /// Tables of levels before this one get a Bloom filter of as many bits, which costs less to
    /// build; 0 for none of them.
    bloom_before_level: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            bits_per_key: 7.0,
            allocation: Allocation::Uniform,
            bloom_before_level: 0,
        }
    }
}

/// Coefficients of an equation, and slots of a block.
const WIDTH: usize = 128;
/// More slots than keys, so that solutions have unknowns left to be free: with 3 % more, look-ups
/// err as often as theory says with 7 columns, with 5 % more also with 12.
const SLOTS_PER_KEY: f64 = 1.05;
/// The fewest slots more than keys: with s of them, a share of about 2^-s of absent keys passes
/// whatever the columns.
const SPARE_SLOTS: f64 = 16.0;
const COLUMNS_MAX: u8 = 48;
/// After the blocks: slots, narrow blocks and columns.
const TRAILER_BYTES: usize = 9;
/// The last byte says which of the two it is.
const IS_BLOOM: u8 = 0;
const IS_RIBBON: u8 = 1;

struct Ribbon(Params);

impl FilterPolicy for Ribbon {
    fn build(&self, hashes: &[u64], facts: &FilterFacts) -> Option<Vec<u8>> {
        let nats = std::f64::consts::LN_2 / SLOTS_PER_KEY;
        let (wanted, allocation) = (self.0.bits_per_key, self.0.allocation);
        let bits = allocation.bits(wanted, BITS_MAX, nats, hashes.len(), facts);
        if hashes.is_empty() || bits <= 0.0 {
            return None;
        }
        let (mut encoded, kind) = match self.solves(facts) {
            true => (encode(hashes, bits)?, IS_RIBBON),
            false => (bloom::encode(hashes, bits), IS_BLOOM),
        };
        encoded.push(kind);
        Some(encoded)
    }

    fn solves(&self, facts: &FilterFacts) -> bool {
        facts.level >= self.0.bloom_before_level
    }
}

fn decode(bytes: Bytes) -> Option<Box<dyn Filter>> {
    let (kind, rest) = bytes.split_last()?;
    let rest = bytes.slice_ref(rest);
    match *kind {
        IS_BLOOM => BlockedBloom::decode(rest).map(|filter| Box::new(filter) as _),
        IS_RIBBON => Solution::decode(rest).map(|filter| Box::new(filter) as _),
        _ => None,
    }
}

/// Where the bits of a solution lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Unknowns in a column: a multiple of 8, and at least a band.
    slots: usize,
    /// Columns of the blocks that are not narrow.
    columns: u8,
    /// Blocks at the front with one column less.
    narrow: usize,
}

impl Shape {
    /// Enough slots for `keys` equations, in columns that come to `bits_per_key`; `None` if there
    /// are more slots than the format can say.
    fn of(keys: usize, bits_per_key: f64) -> Option<Self> {
        let keys = keys as f64;
        let octets = ((keys * SLOTS_PER_KEY).max(keys + SPARE_SLOTS) / 8.0).ceil() as u64;
        let octets = u32::try_from(octets).ok()?.max(WIDTH as u32 / 8);
        let slots = octets as usize * 8;
        let exact = bits_per_key / SLOTS_PER_KEY;
        let columns = (exact.ceil() as u8).clamp(1, COLUMNS_MAX);
        let missing = (f64::from(columns) - exact).max(0.0);
        let narrow = (missing * slots as f64 / WIDTH as f64).round() as usize;
        Some(Self {
            slots,
            columns,
            narrow: narrow.min(slots.div_ceil(WIDTH) - 1),
        })
    }

    fn blocks(&self) -> usize {
        self.slots.div_ceil(WIDTH)
    }

    /// The columns of a block.
    fn columns_of(&self, block: usize) -> usize {
        usize::from(self.columns) - usize::from(block < self.narrow)
    }

    /// Bytes of a column of a block.
    fn column_bytes(&self, block: usize) -> usize {
        (self.slots - block * WIDTH).min(WIDTH) / 8
    }

    /// Where a block begins.
    fn start(&self, block: usize) -> usize {
        let wide = block.saturating_sub(self.narrow);
        let all = (block - wide) * (usize::from(self.columns) - 1) + wide * self.columns as usize;
        all * (WIDTH / 8)
    }

    /// Bytes of all blocks.
    fn bytes(&self) -> usize {
        let last = self.blocks() - 1;
        self.start(last) + self.columns_of(last) * self.column_bytes(last)
    }

    /// The first slot of a hash's equation, and its coefficients, of which the first is 1.
    #[inline]
    fn equation(&self, hash: u64) -> (usize, u128) {
        let mixed = remix(hash);
        let firsts = (self.slots - WIDTH + 1) as u128;
        let low = remix(mixed);
        let coefficients = (u128::from(remix(low)) << 64) | u128::from(low);
        (
            ((u128::from(mixed) * firsts) >> 64) as usize,
            coefficients | 1,
        )
    }
}

/// Encodes a solution for the equations of `hashes`; `None` for more than 30 billion.
fn encode(hashes: &[u64], bits_per_key: f64) -> Option<Vec<u8>> {
    let shape = Shape::of(hashes.len(), bits_per_key)?;
    let rows = eliminate(&shape, hashes);
    let mut encoded = vec![0; shape.bytes()];
    substitute(&shape, &rows, &mut encoded);
    encoded.extend((shape.slots as u32 / 8).to_le_bytes());
    encoded.extend((shape.narrow as u32).to_le_bytes());
    encoded.push(shape.columns);
    Some(encoded)
}

/// The equations in echelon form: of each slot the coefficients of the one that begins there, 0 if
/// its unknown is free. An equation that follows from others adds nothing.
fn eliminate(shape: &Shape, hashes: &[u64]) -> Vec<u128> {
    let mut rows = vec![0; shape.slots];
    for hash in hashes {
        let (mut slot, mut coefficients) = shape.equation(*hash);
        while coefficients != 0 {
            let zeros = coefficients.trailing_zeros();
            slot += zeros as usize;
            coefficients >>= zeros;
            if rows[slot] == 0 {
                rows[slot] = coefficients;
                break;
            }
            coefficients ^= rows[slot];
        }
    }
    rows
}

/// Solves the equations from the last slot to the first, all columns at once.
fn substitute(shape: &Shape, rows: &[u128], encoded: &mut [u8]) {
    // Of each column the bits of the slots after this one, the nearest lowest.
    let mut after = [0_u128; COLUMNS_MAX as usize];
    let after = &mut after[..usize::from(shape.columns)];
    for (slot, row) in rows.iter().enumerate().rev() {
        let free = remix(slot as u64);
        for (column, after) in after.iter_mut().enumerate() {
            let bit = match row {
                0 => u128::from((free >> column) & 1),
                row => u128::from((*after & (row >> 1)).count_ones() & 1),
            };
            *after = (*after << 1) | bit;
        }
        if slot % WIDTH == 0 {
            let block = slot / WIDTH;
            let bytes = shape.column_bytes(block);
            let start = shape.start(block);
            for (column, bits) in after.iter().take(shape.columns_of(block)).enumerate() {
                encoded[start + column * bytes..][..bytes]
                    .copy_from_slice(&bits.to_le_bytes()[..bytes]);
            }
        }
    }
}

struct Solution {
    encoded: Bytes,
    shape: Shape,
}

impl Solution {
    fn decode(encoded: Bytes) -> Option<Self> {
        let (blocks, trailer) = encoded.split_last_chunk::<TRAILER_BYTES>()?;
        let [a, b, c, d, e, f, g, h, columns] = *trailer;
        let shape = Shape {
            slots: usize::try_from(u64::from(u32::from_le_bytes([a, b, c, d])) * 8).ok()?,
            columns,
            narrow: u32::from_le_bytes([e, f, g, h]) as usize,
        };
        let well_formed = shape.slots >= WIDTH
            && (1..=COLUMNS_MAX).contains(&columns)
            && shape.narrow < shape.blocks()
            && blocks.len() == shape.bytes();
        well_formed.then_some(Self { encoded, shape })
    }

    /// A column's bits of a block, the first slot lowest.
    #[inline]
    fn word(&self, block: usize, column: usize) -> u128 {
        let bytes = self.shape.column_bytes(block);
        let start = self.shape.start(block) + column * bytes;
        let mut word = [0; WIDTH / 8];
        word[..bytes].copy_from_slice(&self.encoded[start..start + bytes]);
        u128::from_le_bytes(word)
    }
}

impl Filter for Solution {
    fn may_contain(&self, hash: u64) -> bool {
        let (slot, coefficients) = self.shape.equation(hash);
        let (block, offset) = (slot / WIDTH, slot % WIDTH);
        // A block has at least the columns of the one before it.
        (0..self.shape.columns_of(block)).all(|column| {
            let mut bits = self.word(block, column) >> offset;
            if offset > 0 {
                bits |= self.word(block + 1, column) << (WIDTH - offset);
            }
            (bits & coefficients).count_ones().is_multiple_of(2)
        })
    }

    fn memory_bytes(&self) -> u64 {
        self.encoded.len() as u64
    }

    fn is_solution(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: u64) -> u64 {
        remix(key.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn hashes(keys: u64) -> Vec<u64> {
        (0..keys).map(hash).collect()
    }

    fn spec(bits_per_key: f64) -> PolicySpec {
        PolicySpec::named("ribbon").with("bits_per_key", bits_per_key)
    }

    fn built(spec: &PolicySpec, keys: u64, level: usize) -> Vec<u8> {
        let facts = FilterFacts {
            level,
            deepest: 3,
            ..FilterFacts::default()
        };
        let policy = (ENTRY.build.policy)(spec).unwrap();
        policy.build(&hashes(keys), &facts).unwrap()
    }

    /// The share of `asked` absent keys that a filter of `keys` keys passes.
    fn false_positive_rate(encoded: &[u8], keys: u64, asked: u64) -> f64 {
        let filter = decode(Bytes::copy_from_slice(encoded)).unwrap();
        let denied = (0..keys).find(|key| !filter.may_contain(hash(*key)));
        assert_eq!(denied, None, "{keys} keys");
        let passed = (keys..keys + asked).filter(|key| filter.may_contain(hash(*key)));
        passed.count() as f64 / asked as f64
    }

    #[test]
    fn rate_and_size_are_those_of_the_theory() {
        for keys in [128, 200, 870, 5000, 200_000] {
            // 1, 4, 7 and 10 whole columns.
            for columns in [1, 4, 7, 10] {
                let bits_per_key = f64::from(columns) * SLOTS_PER_KEY;
                let encoded = built(&spec(bits_per_key), keys, 1);
                let expected = 0.5_f64.powi(columns);
                let rate = false_positive_rate(&encoded, keys, 200_000);
                assert!(
                    (rate / expected - 1.0).abs() < 0.2,
                    "{rate} with {columns} columns and {keys} keys"
                );
                // At most a few slots more than asked for, and the trailer.
                let bits = encoded.len() as f64 * 8.0 - 80.0;
                let most = bits_per_key * keys as f64 + 24.0 * f64::from(columns);
                assert!(
                    bits <= most,
                    "{bits} bits for {keys} keys, {columns} columns"
                );
            }
        }
    }

    #[test]
    fn fractions_of_a_bit_lie_between_whole_columns() {
        for (columns, missing) in [(1.0, 0.5), (1.0, 0.25), (4.0, 0.5), (7.0, 0.7)] {
            let bits_per_key = (columns - missing) * SLOTS_PER_KEY;
            let spec = PolicySpec::named("ribbon").with("bits_per_key", bits_per_key.max(1.0));
            let encoded = match bits_per_key < 1.0 {
                true => [
                    encode(&hashes(50_000), bits_per_key).unwrap(),
                    vec![IS_RIBBON],
                ]
                .concat(),
                false => built(&spec, 50_000, 1),
            };
            let narrow = libm::exp2(1.0 - columns);
            let expected = missing * narrow + (1.0 - missing) * narrow / 2.0;
            let rate = false_positive_rate(&encoded, 50_000, 200_000);
            assert!((rate / expected - 1.0).abs() < 0.1, "{rate} for {expected}");
            let bits = encoded.len() as f64 * 8.0 / 50_000.0;
            assert!(
                (bits / bits_per_key - 1.0).abs() < 0.01,
                "{bits} of {bits_per_key}"
            );
        }
    }

    #[test]
    fn a_bloom_filter_of_equal_errors_is_larger_by_two_fifths() {
        let ribbon = built(&spec(7.0), 50_000, 1);
        let facts = FilterFacts::default();
        let bloom = bloom::encode(&hashes(50_000), 10.0);
        assert!((bloom.len() as f64 / ribbon.len() as f64 - 10.0 / 7.0).abs() < 0.02);
        assert!((ENTRY.build.policy)(&spec(7.0)).unwrap().solves(&facts));
        let rate = false_positive_rate(&ribbon, 50_000, 200_000);
        assert!((0.008..0.012).contains(&rate), "{rate}");
    }

    #[test]
    fn few_keys_and_equal_hashes_are_no_special_case() {
        for keys in [1, 2, 112] {
            let encoded = built(&spec(7.0), keys, 1);
            assert_eq!(encoded.len(), 16 * 7 + 10, "one block");
            assert!(false_positive_rate(&encoded, keys, 100_000) < 0.012);
        }
        let facts = FilterFacts::default();
        let policy = (ENTRY.build.policy)(&spec(7.0)).unwrap();
        assert_eq!(policy.build(&[], &facts), None);
        let filter = decode(policy.build(&[7; 1000], &facts).unwrap().into()).unwrap();
        assert!(filter.may_contain(7));
    }

    #[test]
    fn shallow_tables_get_a_bloom_filter_if_asked() {
        let spec = spec(8.0).with("bloom_before_level", 2);
        let policy = (ENTRY.build.policy)(&spec).unwrap();
        for (level, solves) in [(0, false), (1, false), (2, true), (3, true)] {
            let encoded = built(&spec, 1000, level);
            let filter = decode(Bytes::from(encoded)).unwrap();
            assert_eq!(filter.is_solution(), solves, "level {level}");
            let facts = FilterFacts {
                level,
                ..FilterFacts::default()
            };
            assert_eq!(policy.solves(&facts), solves, "level {level}");
            assert!((0..1000).all(|key| filter.may_contain(hash(key))));
        }
    }

    #[test]
    fn the_bytes_are_frozen() {
        let encoded = built(&spec(2.1), 3, 1);
        assert_eq!(
            hex(&encoded),
            "88b823023dd645b3e7a64b712fc2d458b675e7cc38713555f197917f2867a16b\
             10000000000000000201"
        );
        // Two blocks, the second of 16 slots; the first has a column less.
        let encoded = built(&spec(1.2), 128, 1);
        assert_eq!(
            hex(&encoded),
            "ed81d6928afcfacb105ba6082423ea7516dbd58e12000000010000000201"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn malformed_bytes_are_refused() {
        let encoded = |block_bytes: usize, octets: u32, narrow: u32, columns: u8, kind: u8| {
            let mut bytes = vec![0; block_bytes];
            bytes.extend(octets.to_le_bytes());
            bytes.extend(narrow.to_le_bytes());
            bytes.extend([columns, kind]);
            Bytes::from(bytes)
        };
        for (block_bytes, octets, narrow, columns, kind) in [
            (0, 0, 0, 1, 1),
            (15, 15, 0, 1, 1),
            (16, 16, 0, 0, 1),
            (16, 16, 1, 1, 1),
            (17, 16, 0, 1, 1),
            (16, 16, 0, 1, 2),
            (16 * 49, 16, 0, 49, 1),
            (16, u32::MAX, 0, 48, 1),
            (16, u32::MAX, u32::MAX, 48, 1),
        ] {
            let filter = decode(encoded(block_bytes, octets, narrow, columns, kind));
            assert!(
                filter.is_none(),
                "{block_bytes} {octets} {narrow} {columns} {kind}"
            );
        }
        assert!(decode(Bytes::new()).is_none());
        let filter = decode(encoded(16 + 1, 17, 1, 2, 1));
        assert!(filter.is_none(), "the second block has two columns");
        let filter = decode(encoded(16 + 2, 17, 1, 2, 1)).expect("well formed");
        assert!(
            (0..1000).all(|key| filter.may_contain(hash(key))),
            "all is 0"
        );
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for bits in [0.5, 50.5, -1.0] {
            assert!((ENTRY.build.policy)(&spec(bits)).is_err());
        }
        assert!((ENTRY.build.policy)(&spec(7.0).with("allocation", "fair")).is_err());
    }
}
