//! Oracle: knows the rank of every image. It bounds what any index can save; it is not an index.
//!
//! Source: the perfect oracle that learned indexes are compared with (the SOSD benchmark).
//! State: every image, in the order of `eytzinger`. The engine does not charge this memory, because
//! the bound is an index that costs nothing: `memory_bytes` is that of the empty structure.
//! `stored_bytes`, which index-bench reports, is what it takes.
//! Cost: charged as one probe, so the simulated CPU sees no search. It really takes O(log entries),
//! so its time on a real clock is not a bound.
//! Invariants: windows are exact: one entry, hence one block.
//! Weak where: anywhere but in an experiment, since it holds 8 bytes an entry in memory and in the
//! table.

use bytes::Bytes;

use super::eytzinger::Tree;
use super::{Build, IndexPolicy, Model, Trained, Window, images};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "oracle",
    about: "the exact rank of every entry at no cost: a bound, whose memory is not charged",
    params: describe::<NoParams>,
    build: Build {
        policy: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Oracle) as _),
        decode: |bytes| Known::decode(bytes).map(|known| Box::new(known) as _),
    },
};

struct Oracle;

impl IndexPolicy for Oracle {
    fn train(&self, images: &[u64]) -> Trained {
        images::encode(images).map_or_else(Trained::Refused, Trained::Model)
    }
}

struct Known {
    tree: Tree,
}

impl Known {
    fn decode(bytes: Bytes) -> Option<Self> {
        images::decode(bytes).map(|images| Self {
            tree: Tree::new(&images),
        })
    }
}

impl Model for Known {
    fn locate(&self, image: u64) -> Window {
        let rank = self.tree.rank(image);
        Window { lo: rank, hi: rank }
    }

    fn memory_bytes(&self) -> u64 {
        size_of::<Self>() as u64
    }

    fn stored_bytes(&self) -> u64 {
        self.tree.memory_bytes()
    }

    fn segments(&self) -> u64 {
        self.tree.len() as u64
    }

    fn probes(&self, _image: u64) -> u32 {
        1
    }
}
