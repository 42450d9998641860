//! Eytzinger: the images of the blocks' last keys in breadth-first order. The first steps of a
//! search share cache lines, and the next address needs no branch.
//!
//! Source: Khuong and Morin, "Array Layouts for Comparison-Based Searching", ACM JEA 22, 2017.
//! State: 8 bytes a block, in whole cache lines. The children of node k are 2k and 2k + 1. Ranks
//! are not stored: the place where a search leaves the tree gives the rank.
//! Cost: training is one walk, O(blocks); a look-up takes O(log blocks) comparisons without a
//! branch to mispredict. The eight great-grandchildren of a node share a cache line, which is
//! loaded when a search passes the node, so that three steps wait for memory together. The paper
//! uses a prefetch instruction for that, which needs `unsafe`; a load that nothing waits for does
//! the same.
//! Invariants: windows are exact: one rank.
//! Weak where: the array fits in the first cache level, where a search of the sorted array is as
//! fast.

use std::hint::black_box;

use bytes::Bytes;

use super::{Build, IndexPolicy, Model, Ranks, Trained, Window, halvings, images};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "eytzinger",
    about: "8 bytes of every block's last key, in breadth-first order (Khuong and Morin, JEA 2017)",
    params: describe::<NoParams>,
    build: Build {
        policy: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Eytzinger) as _),
        decode: |bytes| Tree::decode(bytes).map(|tree| Box::new(tree) as _),
    },
};

struct Eytzinger;

impl IndexPolicy for Eytzinger {
    fn ranks(&self) -> Ranks {
        Ranks::Blocks
    }

    fn train(&self, images: &[u64]) -> Trained {
        images::encode(images).map_or_else(Trained::Refused, Trained::Model)
    }
}

/// Nodes of a cache line.
const LINE: usize = 8;

/// The nodes 8k to 8k + 7, in one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; LINE]);

/// Sorted images in breadth-first order.
pub(super) struct Tree {
    /// Position 0 is unused, as are those after the last node.
    lines: Vec<Line>,
    images: usize,
}

impl Tree {
    /// Lays out sorted images.
    pub(super) fn new(images: &[u64]) -> Self {
        let end = images.len() + 1;
        let mut lines = vec![Line([0; LINE]); end.div_ceil(LINE)];
        // In order: from the leftmost node on, down to the leftmost node of the right subtree, or
        // up past all right turns.
        let leftmost_below = |mut node: usize| {
            while node * 2 < end {
                node *= 2;
            }
            node
        };
        let mut node = leftmost_below(1);
        for image in images {
            lines[node / LINE].0[node % LINE] = *image;
            if node * 2 + 1 < end {
                node = leftmost_below(node * 2 + 1);
            } else {
                node >>= node.trailing_ones() + 1;
            }
        }
        Self {
            lines,
            images: images.len(),
        }
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        images::decode(bytes).map(|images| Self::new(&images))
    }

    /// How many images there are.
    pub(super) fn len(&self) -> usize {
        self.images
    }

    /// How many images are below `image`.
    #[inline]
    pub(super) fn rank(&self, image: u64) -> u32 {
        let mut node = 1;
        while node <= self.images {
            let stored = self.lines[node / LINE].0[node % LINE];
            // Three rows further down, the nodes from 8 times this one on.
            if let Some(descendants) = self.lines.get(node) {
                black_box(descendants.0[0]);
            }
            node = 2 * node + usize::from(stored < image);
        }
        // All rows but the last are full. A search leaves the tree below the last row, or beside
        // it, right of its nodes.
        let row = 1 << halvings(self.len());
        let rank = if node >= row {
            node - row
        } else {
            node - row / 2 + (self.images + 1 - row / 2)
        };
        rank as u32
    }
}

impl Model for Tree {
    fn locate(&self, image: u64) -> Window {
        let rank = self.rank(image);
        Window { lo: rank, hi: rank }
    }

    fn memory_bytes(&self) -> u64 {
        (size_of::<Self>() + self.lines.capacity() * size_of::<Line>()) as u64
    }

    fn segments(&self) -> u64 {
        self.len() as u64
    }

    fn probes(&self, _image: u64) -> u32 {
        halvings(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_array_for_every_shape_of_the_last_row() {
        for count in 1..200u64 {
            let images: Vec<u64> = (0..count).map(|i| 10 + 3 * (i - i % 2)).collect();
            let tree = Tree::new(&images);
            for image in 0..10 + 3 * count + 2 {
                let expected = images.partition_point(|stored| *stored < image) as u32;
                assert_eq!(tree.rank(image), expected, "{image} among {count}");
            }
        }
    }

    #[test]
    fn the_layout_is_breadth_first() {
        let nodes: Vec<u64> = Tree::new(&[1, 2, 3, 4, 5, 6, 7, 8])
            .lines
            .iter()
            .flat_map(|line| line.0)
            .collect();
        assert_eq!(nodes[..9], [0, 5, 3, 7, 2, 4, 6, 8, 1]);
    }
}
