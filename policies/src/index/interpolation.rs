//! Interpolation search over the images of the blocks' last keys if these are even enough,
//! otherwise binary search.
//!
//! Source: Peterson, "Addressing for Random-Access Storage", IBM Journal 1(2), 1957. The guard and
//! the choice are those of RocksDB's index block search: it falls back after 8 probes in a row that
//! did not halve the window, and it chooses by the coefficient of variation of the gaps between
//! neighbours, for which its release notes give 0.2 as the default threshold.
//! State: 8 bytes a block, and which search to use.
//! Cost: training O(blocks); a look-up takes O(log log blocks) probes on even keys, and at most 8
//! for each halving on others.
//! Invariants: windows are exact: one rank.
//! Weak where: gaps are even on average but not locally, since each probe is a cache miss and a
//! division.

use bytes::{BufMut, Bytes};

use super::{Build, IndexPolicy, Model, Ranks, Trained, Window, halvings, images, search};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "interpolation",
    about: "interpolation search over 8 bytes of every block's last key, if even (RocksDB's rule)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let Params { uniform_cv } = params(spec)?;
            in_range(spec, "uniform_cv", uniform_cv, 0.0..)?;
            Ok(Box::new(Interpolation { uniform_cv }))
        },
        decode: |bytes| Sorted::decode(&bytes).map(|sorted| Box::new(sorted) as _),
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The largest coefficient of variation of the gaps between neighbours that counts as even (0
    /// or more).
    uniform_cv: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { uniform_cv: 0.2 }
    }
}

struct Interpolation {
    uniform_cv: f64,
}

impl IndexPolicy for Interpolation {
    fn ranks(&self) -> Ranks {
        Ranks::Blocks
    }

    fn train(&self, images: &[u64]) -> Trained {
        match images::encode(images) {
            Err(why) => Trained::Refused(why),
            Ok(mut encoded) => {
                encoded.put_u8(u8::from(variation(images) <= self.uniform_cv));
                Trained::Model(encoded)
            }
        }
    }
}

/// The coefficient of variation of the gaps between neighbours; infinite if all gaps are 0.
fn variation(images: &[u64]) -> f64 {
    let gaps = || images.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
    let count = images.len().saturating_sub(1) as f64;
    let mean = gaps().sum::<f64>() / count;
    let variance = gaps().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
    if mean > 0.0 {
        variance.sqrt() / mean
    } else {
        f64::INFINITY
    }
}

/// Smaller windows are not worth a division.
const INTERPOLATED_MIN: usize = 8;
/// Probes in a row that may fail to halve the window.
const POOR_PROBES_MAX: u32 = 8;

struct Sorted {
    images: Vec<u64>,
    even: bool,
}

impl Sorted {
    fn decode(bytes: &Bytes) -> Option<Self> {
        let (even, images) = bytes.split_last()?;
        let images = images::decode(bytes.slice_ref(images))?;
        (*even <= 1).then_some(Self {
            images,
            even: *even == 1,
        })
    }

    /// The number of images below `image`, and the probes that the search took.
    fn search(&self, image: u64) -> (usize, u32) {
        let mut lo = 0;
        let mut hi = self.images.len();
        let mut probes = 0;
        let mut poor = 0;
        while self.even && hi - lo > INTERPOLATED_MIN && poor < POOR_PROBES_MAX {
            let first = self.images[lo];
            let last = self.images[hi - 1];
            if image <= first {
                return (lo, probes + 1);
            }
            if image > last {
                return (hi, probes + 1);
            }
            let size = hi - lo;
            let share = (image - first) as f64 / (last - first) as f64;
            let guess = lo + ((share * (size - 1) as f64) as usize).min(size - 1);
            if self.images[guess] < image {
                lo = guess + 1;
            } else {
                hi = guess;
            }
            probes += 1;
            poor = if hi - lo > size / 2 { poor + 1 } else { 0 };
        }
        let rank = lo + search::partition_point(&self.images[lo..hi], |stored| stored < image);
        (rank, probes + halvings(hi - lo))
    }
}

impl Model for Sorted {
    fn locate(&self, image: u64) -> Window {
        let (rank, _) = self.search(image);
        Window {
            lo: rank as u32,
            hi: rank as u32,
        }
    }

    fn memory_bytes(&self) -> u64 {
        (size_of::<Self>() + self.images.capacity() * size_of::<u64>()) as u64
    }

    fn segments(&self) -> u64 {
        self.images.len() as u64
    }

    fn probes(&self, image: u64) -> u32 {
        self.search(image).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(images: &[u64], uniform_cv: f64) -> Sorted {
        match (Interpolation { uniform_cv }).train(images) {
            Trained::Model(encoded) => Sorted::decode(&Bytes::from(encoded)).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn even_images_are_interpolated_and_clustered_ones_are_not() {
        let even: Vec<u64> = (0..10_000).map(|i| 1000 + 7 * i).collect();
        let model = trained(&even, 0.2);
        assert!(model.even);
        assert_eq!(model.probes(1000 + 7 * 5000), 1 + halvings(0) + 1);
        let clustered: Vec<u64> = (0..10_000).map(|i| ((i / 100) << 20) + i % 100).collect();
        assert!(!trained(&clustered, 0.2).even);
        assert!(!trained(&[7; 20], 0.2).even && !trained(&[7], 0.2).even);
    }

    #[test]
    fn the_guard_bounds_the_probes_where_interpolation_is_wrong() {
        let mut images: Vec<u64> = (0..4096).map(|i| (1 << (i / 64)) + i % 64).collect();
        images.sort_unstable();
        images.dedup();
        let model = trained(&images, f64::MAX);
        assert!(model.even);
        let most = POOR_PROBES_MAX * (halvings(images.len()) + 1);
        for image in &images {
            let (rank, probes) = model.search(*image);
            assert_eq!(images[rank], *image);
            assert!(probes <= most, "{probes} probes for {image}");
        }
    }
}
