//! Table index: where in this table is the key?
//!
//! The engine turns each user key into a 64-bit *image* (the 8 bytes after the table's common prefix, big-endian), a
//! monotone map. A model maps an image to a window of ranks. Contract (lower bound): for any image q, stored or absent,
//! the rank of the first stored image >= q lies in `lo..=hi`; `hi` may be the number of keys. Equal images count as one
//! run and its first rank is meant; the engine widens the window for the rest of the run. The engine checks each model
//! against every key and every gap when the table is built, and falls back to fence pointers if it is wrong or refused.
//!
//! Ranks count the table's entries, or its data blocks where a policy says so ([`Ranks::Blocks`]): then the images are those
//! of each block's last key, and the rank is that of the first block that can hold the key.

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

mod images;
mod lines;
mod segments;
mod slope;
mod stairs;

/// A window of ranks, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The smallest rank possible.
    pub lo: u32,
    /// The largest rank possible.
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
    /// Its data blocks, each by its last key.
    Blocks,
}

/// What training gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Trained {
    /// Fence pointers, on purpose: the policy wants no model.
    Fence,
    /// A model, encoded for [`decode`].
    Model(Vec<u8>),
    /// A model would not pay; the table uses fence pointers and counts the reason.
    Refused(&'static str),
}

/// How a table's index is made.
pub trait IndexPolicy: Send + Sync {
    /// What the images it wants are of.
    fn ranks(&self) -> Ranks {
        Ranks::Entries
    }

    /// Whether it ever makes a model: images are collected only for one that does.
    fn wants_images(&self) -> bool {
        true
    }

    /// Trains on sorted (not strictly) images; the i-th image has rank i. O(n).
    fn train(&self, images: &[u64]) -> Trained;
}

/// A trained model.
pub trait Model: Send + Sync {
    /// The window for `image`; see the module's contract. Never panics.
    fn locate(&self, image: u64) -> Window;

    /// Bytes of memory it uses.
    fn memory_bytes(&self) -> u64;

    /// How many pieces it is made of.
    fn segments(&self) -> u64;

    /// How many of its numbers [`Model::locate`] compares with `image`, or computes with: the steps that the engine's CPU
    /// model is charged. Unless a model knows better, those of a binary search over its pieces, and one line.
    fn probes(&self, _image: u64) -> u32 {
        halvings(self.segments() as usize) + 1
    }
}

/// The comparisons of a binary search among `count` numbers.
fn halvings(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// How an index kind is made and read back.
pub struct Build {
    /// Makes the policy.
    pub policy: fn(spec: &PolicySpec) -> Result<Box<dyn IndexPolicy>, PolicyError>,
    /// Reads back a model that the policy encoded; None when the bytes are not one.
    pub decode: fn(bytes: Bytes) -> Option<Box<dyn Model>>,
}

/// The family.
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
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn IndexPolicy>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.policy)(spec)
}

/// Reads back a model of the kind `name`; None when the kind is unknown or the bytes are not a model of it.
pub fn decode(name: &str, bytes: Bytes) -> Option<Box<dyn Model>> {
    let entry = FAMILY.get(name)?;
    (entry.build.decode)(bytes)
}
