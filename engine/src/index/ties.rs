//! Runs of equal images: keys that a model cannot tell apart.
//!
//! A model gives the first rank of a run; the key itself may lie anywhere in it. So that one long run does not widen the
//! window of every key, the long ones are listed with their place and length, and the model is not asked for them. All
//! others are at most `bound` long, by which every window is widened.

use crate::codec::Fields;

/// Bytes of a listed run, stored and in memory.
pub(super) const RUN_BYTES: usize = 16;

/// The listed runs and the bound of the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    pub(super) bound: u32,
    /// In the order of the images.
    images: Vec<u64>,
    /// First rank and length of each.
    places: Vec<(u32, u32)>,
}

impl Ties {
    /// Lists the runs of sorted `images` that are longer than the smallest power of two for which the list fits into
    /// `bytes`; and says how long the longest run is.
    pub(super) fn new(images: &[u64], bytes: u64) -> (Self, u32) {
        let runs = || images.chunk_by(|a, b| a == b);
        // How many runs have a length of 2^i, rounded up.
        let mut lengths = [0u64; 64];
        let mut longest = 0;
        for run in runs() {
            longest = longest.max(run.len());
            lengths[run.len().next_power_of_two().ilog2() as usize] += 1;
        }
        let longer = |power: usize| lengths[power + 1..].iter().sum::<u64>();
        let power = (0..63)
            .find(|power| longer(*power) * RUN_BYTES as u64 <= bytes)
            .unwrap_or(63);
        let mut ties = Self {
            bound: u32::try_from((1usize << power).min(longest)).unwrap_or(u32::MAX),
            ..Self::default()
        };
        let mut rank = 0;
        for run in runs() {
            if run.len() > ties.bound as usize {
                ties.images.push(run[0]);
                ties.places.push((rank, run.len() as u32));
            }
            rank += run.len() as u32;
        }
        (ties, u32::try_from(longest).unwrap_or(u32::MAX))
    }

    /// First rank and length of the run of `image`, if it is listed.
    #[inline]
    pub(super) fn find(&self, image: u64) -> Option<(u32, u32)> {
        if self.images.is_empty() {
            return None;
        }
        self.images
            .binary_search(&image)
            .ok()
            .map(|at| self.places[at])
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    /// Appends the list.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (image, (first, length)) in self.images.iter().zip(&self.places) {
            out.extend_from_slice(&image.to_le_bytes());
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
        }
    }

    /// Reads back `encode`; None where the bytes are not a list of runs.
    pub(super) fn decode(bytes: &[u8], bound: u32) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let mut ties = Self {
            bound,
            ..Self::default()
        };
        while !fields.is_empty() {
            ties.images.push(fields.u64()?);
            ties.places.push((fields.u32()?, fields.u32()?));
        }
        ties.images.is_sorted_by(|a, b| a < b).then_some(ties)
    }

    /// Bytes of memory they use.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.len() * RUN_BYTES) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_runs_are_listed_as_far_as_the_bytes_go() {
        let mut images = vec![5; 100];
        images.extend([6, 6, 6, 7]);
        images.extend([8; 9]);
        let with = |bytes| Ties::new(&images, bytes).0;
        assert_eq!(Ties::new(&images, 0).1, 100);
        assert_eq!((with(0).bound, with(0).len()), (100, 0));
        assert_eq!(
            (with(16).bound, with(16).find(5), with(16).find(8)),
            (16, Some((0, 100)), None)
        );
        assert_eq!(
            (with(32).bound, with(32).find(8), with(32).find(6)),
            (4, Some((104, 9)), None)
        );
        assert_eq!(
            (with(48).bound, with(48).find(6), with(48).find(7)),
            (1, Some((100, 3)), None)
        );
        assert_eq!(Ties::new(&[], 99), (Ties::default(), 0));
        assert_eq!(
            Ties::new(&[1, 2], 99),
            (
                Ties {
                    bound: 1,
                    ..Ties::default()
                },
                1
            )
        );
        let mut encoded = Vec::new();
        with(48).encode(&mut encoded);
        assert_eq!(Ties::decode(&encoded, 1), Some(with(48)));
        assert_eq!(Ties::decode(&encoded[1..], 1), None);
    }
}
