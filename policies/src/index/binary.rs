//! Binary: a binary search over the 8-byte images of the blocks' last keys, and no model.
//!
//! Source: the plain baseline of every study of learned indexes (Marcus et al., "Benchmarking
//! Learned Indexes", PVLDB 14, 2020); the standard library's `partition_point`, which selects
//! instead of branching.
//! State: 8 bytes a block.
//! Cost: training copies the images; a look-up takes O(log blocks) comparisons, each a cache miss
//! while the array is cold.
//! Invariants: windows are exact: one rank.
//! Weak where: blocks are many, since a model takes less than 8 bytes a block; keys are longer than
//! 8 bytes and differ late, since their images are equal.

use bytes::Bytes;

use super::{Build, IndexPolicy, Model, Ranks, Trained, Window, halvings, images, search};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "binary",
    about: "branch-free binary search over 8 bytes of the last key of every block",
    params: describe::<NoParams>,
    build: Build {
        policy: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Binary) as _),
        decode: |bytes| Sorted::decode(bytes).map(|sorted| Box::new(sorted) as _),
    },
};

struct Binary;

impl IndexPolicy for Binary {
    fn ranks(&self) -> Ranks {
        Ranks::Blocks
    }

    fn train(&self, images: &[u64]) -> Trained {
        images::encode(images).map_or_else(Trained::Refused, Trained::Model)
    }
}

struct Sorted {
    images: Vec<u64>,
}

impl Sorted {
    fn decode(bytes: Bytes) -> Option<Self> {
        images::decode(bytes).map(|images| Self { images })
    }
}

impl Model for Sorted {
    fn locate(&self, image: u64) -> Window {
        let rank = search::partition_point(&self.images, |stored| stored < image) as u32;
        Window { lo: rank, hi: rank }
    }

    fn memory_bytes(&self) -> u64 {
        (size_of::<Self>() + self.images.capacity() * size_of::<u64>()) as u64
    }

    fn segments(&self) -> u64 {
        self.images.len() as u64
    }

    fn probes(&self, _image: u64) -> u32 {
        halvings(self.images.len())
    }
}
