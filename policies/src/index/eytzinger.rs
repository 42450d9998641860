//! Eytzinger: the images of the blocks' last keys in breadth-first order. The first steps of a
//! search share cache lines, and the next address needs no branch.
//!
//! Source: Khuong and Morin, "Array Layouts for Comparison-Based Searching", ACM JEA 22, 2017.
//! State: 8 bytes a block. The children of node k are 2k and 2k + 1. Ranks are not stored: the
//! place where a search leaves the tree gives the rank.
//! Cost: training is one walk, O(blocks); a look-up takes O(log blocks) comparisons without a
//! branch to mispredict.
//! Invariants: windows are exact: one rank.
//! Weak where: the array fits in the first cache level, where a plain binary search is as fast.
//! Without prefetching, which needs `unsafe`, the gain is smaller than in the paper.

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

/// Sorted images in breadth-first order.
pub(super) struct Tree {
    /// Node k is at k; position 0 is unused.
    nodes: Vec<u64>,
}

impl Tree {
    /// Lays out sorted images.
    pub(super) fn new(images: &[u64]) -> Self {
        let mut nodes = vec![0; images.len() + 1];
        // In order: from the leftmost node on, down to the leftmost node of the right subtree, or
        // up past all right turns.
        let mut node = 1;
        while node * 2 < nodes.len() {
            node *= 2;
        }
        for image in images {
            nodes[node] = *image;
            if node * 2 + 1 < nodes.len() {
                node = node * 2 + 1;
                while node * 2 < nodes.len() {
                    node *= 2;
                }
            } else {
                node >>= node.trailing_ones() + 1;
            }
        }
        Self { nodes }
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        images::decode(bytes).map(|images| Self::new(&images))
    }

    /// How many images there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// How many images are below `image`.
    pub(super) fn rank(&self, image: u64) -> u32 {
        let mut node = 1;
        while let Some(stored) = self.nodes.get(node) {
            node = 2 * node + usize::from(*stored < image);
        }
        // All rows but the last are full. A search leaves the tree below the last row, or beside
        // it, right of its nodes.
        let row = 1 << halvings(self.len());
        let rank = if node >= row {
            node - row
        } else {
            node - row / 2 + (self.nodes.len() - row / 2)
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
        (size_of::<Self>() + self.nodes.capacity() * size_of::<u64>()) as u64
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
        assert_eq!(Tree::new(&[1, 2, 3, 4, 5, 6]).nodes, [0, 4, 2, 6, 1, 3, 5]);
    }
}
