//! Table filter: can this table hold the key, and how many bits is the answer worth?
//!
//! A filter policy encodes a filter when a table is built. The engine stores the bytes in the table
//! with the policy's name, and reads the filter back with [`decode`].

use bytes::Bytes;

use crate::family::{AnyFamily, Family, Registered};
use crate::{PolicyError, PolicySpec};

mod allocation;
mod bloom;
mod none;
mod ribbon;

/// The fewest and the most bits a key that a setting may ask for.
const BITS_MIN: f64 = 1.0;
const BITS_MAX: f64 = 50.0;

/// What a filter policy sees of the table being built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterFacts {
    /// The level the table goes to.
    pub level: usize,
    /// The deepest level of the tree.
    pub deepest: usize,
    /// The levels of the tree when the table was begun, level 0 first; what it does not say is
    /// empty.
    pub levels: Vec<LevelLoad>,
}

/// What a level holds, and how often it is asked in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelLoad {
    /// Entries of its tables.
    pub entries: u64,
    /// Runs: a point read asks a table of each.
    pub runs: u64,
    /// Tables asked by point reads that held no version of the key, whether or not a filter said
    /// so, since the database was opened. Levels from [`LEVELS_COUNTED`] - 1 on share one count.
    ///
    /// [`LEVELS_COUNTED`]: crate::facts::LEVELS_COUNTED
    pub fruitless: u64,
}

/// Builds the filters of tables.
pub trait FilterPolicy: Send + Sync {
    /// Encodes a filter over the 64-bit hashes of a table's distinct keys; `None` if the table gets
    /// none. O(keys).
    fn build(&self, hashes: &[u64], facts: &FilterFacts) -> Option<Vec<u8>>;

    /// Whether such a table's filter is the solution of an equation for each key, which costs more
    /// time to build than setting bits.
    fn solves(&self, _facts: &FilterFacts) -> bool {
        false
    }
}

/// A filter. It has no false negatives.
pub trait Filter: Send + Sync {
    /// Whether a key with this hash may have been built in; false is certain. Never panics.
    fn may_contain(&self, hash: u64) -> bool;

    /// Bytes of memory it uses.
    fn memory_bytes(&self) -> u64;

    /// Whether it is a solution of equations, which costs more time to ask than bits do.
    fn is_solution(&self) -> bool {
        false
    }
}

/// How a kind of filter is built and read back.
pub struct Build {
    /// Builds the policy.
    pub policy: fn(spec: &PolicySpec) -> Result<Box<dyn FilterPolicy>, PolicyError>,
    /// Reads back a filter that the policy encoded; `None` if the bytes are not one.
    pub decode: fn(bytes: Bytes) -> Option<Box<dyn Filter>>,
}

/// The filters.
pub static FAMILY: Family<Build> = Family {
    name: "filter",
    question: "how many bits, and of which kind, say whether a table can hold a key?",
    default: "bloom",
    built_in: &[&bloom::ENTRY, &none::ENTRY, &ribbon::ENTRY],
    probe: |build, spec| (build.policy)(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// ```
/// use aura_policies::filter::{self, FilterFacts};
/// use aura_policies::PolicySpec;
///
/// let spec = PolicySpec::named("bloom").with("bits_per_key", 12.0);
/// let facts = FilterFacts { level: 2, deepest: 4, ..FilterFacts::default() };
/// let encoded = filter::build(&spec)?.build(&[11, 22, 33], &facts).expect("a filter");
/// let filter = filter::decode("bloom", encoded.into()).expect("what was encoded");
/// assert!(filter.may_contain(22));
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn FilterPolicy>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.policy)(spec)
}

/// Reads back a filter of the kind `name`; `None` if there is no such kind or the bytes are not
/// one.
pub fn decode(name: &str, bytes: Bytes) -> Option<Box<dyn Filter>> {
    let entry = FAMILY.get(name)?;
    (entry.build.decode)(bytes)
}

/// The policy `spec` with `bits` bits a key; 0 is no filter. A policy without such a parameter
/// gives way to the default.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::filter::with_bits;
///
/// let bloom = PolicySpec::named("bloom");
/// assert_eq!(with_bits(&bloom, 6.0), bloom.clone().with("bits_per_key", 6.0));
/// assert_eq!(with_bits(&bloom, 0.0).policy, "none");
/// assert_eq!(with_bits(&PolicySpec::named("none"), 6.0).policy, "bloom");
/// ```
pub fn with_bits(spec: &PolicySpec, bits: f64) -> PolicySpec {
    if bits == 0.0 {
        return PolicySpec::named(none::ENTRY.name);
    }
    let changed = spec.clone().with("bits_per_key", bits);
    match FAMILY.check(&changed) {
        Ok(()) => changed,
        Err(_) => FAMILY.default_spec().with("bits_per_key", bits),
    }
}

/// The policy `spec` with `bits` bits a key for one level alone, whatever the others have; 0 is no
/// filter.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::filter::with_level_bits;
///
/// let bloom = PolicySpec::named("bloom");
/// let shared = bloom.clone().with("allocation", "monkey");
/// assert_eq!(with_level_bits(&shared, 6.0), bloom.with("bits_per_key", 6.0));
/// ```
pub fn with_level_bits(spec: &PolicySpec, bits: f64) -> PolicySpec {
    let mut spec = spec.clone();
    spec.params.remove("allocation");
    with_bits(&spec, bits)
}

/// The bits a key that `spec` asks for; 0 if it counts none.
///
/// ```
/// use aura_policies::filter::{bits_of, with_bits};
/// use aura_policies::PolicySpec;
///
/// let bloom = PolicySpec::named("bloom");
/// assert_eq!(bits_of(&bloom), 10.0);
/// assert_eq!(bits_of(&with_bits(&bloom, 6.0)), 6.0);
/// assert_eq!(bits_of(&PolicySpec::named("none")), 0.0);
/// ```
pub fn bits_of(spec: &PolicySpec) -> f64 {
    let complete = AnyFamily::complete(&FAMILY, spec).ok();
    let bits = complete.and_then(|spec| spec.params.get("bits_per_key")?.as_f64());
    bits.unwrap_or(0.0)
}
