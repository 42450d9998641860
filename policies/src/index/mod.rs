//! Table index: where in this table is the key?
//!
//! The engine turns each user key into a 64-bit *image*: the 8 bytes after the table's common
//! prefix, big-endian. Images keep the order of keys, but keys may tie. A model maps an image to a
//! window of ranks. For any image q, stored or not, the rank of the first stored image >= q must
//! lie in `lo..=hi`, where `hi` may be the number of keys. Of tied images the first rank is meant;
//! the engine widens the window for the other ties. The engine checks each model against every key
//! and some gaps when the table is built, and falls back to fence pointers if a model is wrong or
//! refused.
//!
//! Ranks count the table's entries or, if a policy says so ([`Ranks::Blocks`]), its data blocks.
//! Then the images are those of the blocks' last keys, and the rank is that of the first block that
//! can hold the key.

use bytes::Bytes;

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod binary;
mod cone;
mod eytzinger;
mod fence;
mod greedy_plr;
mod interpolation;
mod oracle;
mod pgm;
mod radix_spline;
mod rmi;

pub mod search;

mod images;
mod lines;
mod rmi_root;
mod segments;
mod slope;
mod stairs;

/// A window of ranks; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The smallest possible rank.
    pub lo: u32,
    /// The largest possible rank.
    pub hi: u32,
}

/// What the ranks of a model count.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Ranks {
    /// The table's entries.
    #[default]
    Entries,
    /// Its data blocks, each represented by its last key.
    Blocks,
}

/// The result of training.
#[derive(Clone, Debug, PartialEq)]
pub enum Trained {
    /// Fence pointers, on purpose: the policy wants no model.
    Fence,
    /// A model, encoded for [`decode`].
    Model(Vec<u8>),
    /// A model would not pay. The table uses fence pointers and counts this reason.
    Refused(&'static str),
}

/// Trains the indexes of tables.
pub trait IndexPolicy: Send + Sync {
    /// What the images it wants belong to.
    fn ranks(&self) -> Ranks {
        Ranks::Entries
    }

    /// Whether it ever makes a model. If not, images are not collected.
    fn wants_images(&self) -> bool {
        true
    }

    /// Trains on `images`, which are sorted and may tie; the i-th has rank i. O(n).
    fn train(&self, images: &[u64]) -> Trained;
}

/// A trained model.
pub trait Model: Send + Sync {
    /// The window for `image`, by the contract of the module. Never panics.
    fn locate(&self, image: u64) -> Window;

    /// Bytes of memory it is charged: all it uses, unless it is a bound that costs nothing.
    fn memory_bytes(&self) -> u64;

    /// Bytes of memory it uses, charged or not.
    fn stored_bytes(&self) -> u64 {
        self.memory_bytes()
    }

    /// How many pieces it is made of.
    fn segments(&self) -> u64;

    /// How many of its numbers [`Model::locate`] compares with `image` or computes with. The
    /// engine's CPU model charges one step for each. By default, a binary search over its pieces
    /// and one line.
    fn probes(&self, _image: u64) -> u32 {
        halvings(self.segments() as usize) + 1
    }
}

/// The comparisons of a binary search among `count` numbers.
fn halvings(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// How a kind of index is built and read back.
pub struct Build {
    /// Builds the policy.
    pub policy: fn(spec: &PolicySpec) -> Result<Box<dyn IndexPolicy>, PolicyError>,
    /// Reads back a model that the policy encoded; `None` if the bytes are not one.
    pub decode: fn(bytes: Bytes) -> Option<Box<dyn Model>>,
}

/// The table indexes.
pub static FAMILY: Family<Build> = Family {
    name: "index",
    question: "where in this table is the key?",
    default: "fence",
    built_in: &[
        &binary::ENTRY,
        &cone::ENTRY,
        &eytzinger::ENTRY,
        &fence::ENTRY,
        &greedy_plr::ENTRY,
        &interpolation::ENTRY,
        &oracle::ENTRY,
        &pgm::ENTRY,
        &radix_spline::ENTRY,
        &rmi::ENTRY,
    ],
    probe: |build, spec| (build.policy)(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::index::{self, Trained};
///
/// let images: Vec<u64> = (0..10_000).map(|i| 7 * i).collect();
/// let pgm = index::build(&PolicySpec::named("pgm").with("epsilon", 8))?;
/// let Trained::Model(encoded) = pgm.train(&images) else {
///     panic!("a straight line pays")
/// };
/// let model = index::decode("pgm", encoded.into()).expect("what was encoded");
/// let window = model.locate(7 * 5000);
/// assert!(window.lo <= 5000 && 5000 <= window.hi);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn IndexPolicy>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.policy)(spec)
}

/// Reads back a model of the kind `name`; `None` if there is no such kind or the bytes are not one.
pub fn decode(name: &str, bytes: Bytes) -> Option<Box<dyn Model>> {
    let entry = FAMILY.get(name)?;
    (entry.build.decode)(bytes)
}
