//! Ties: keys with equal images, which a model cannot distinguish.
//!
//! A model returns the first rank of the ties; the key may be any of them. So a window must be as
//! wide as the longest ties. To keep windows narrow, the longest ties are listed with their first
//! rank and length, and are looked up in that list instead of the model. All others have at most
//! `bound` ranks, by which every window is widened.

use crate::codec::Fields;

/// Bytes of one element of the list, stored and in memory.
pub(super) const TIES_BYTES: usize = 16;

/// The listed ties and the bound of the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// The largest number of ranks of ties that are not listed.
    pub(super) bound: u32,
    /// The images, sorted.
    images: Vec<u64>,
    /// The first rank and the length of each element.
    places: Vec<(u32, u32)>,
}

impl Ties {
    /// Lists the longest ties of sorted `images`, and returns the length of the longest, too.
    ///
    /// Listed are those longer than the bound. The bound is the smallest power of two for which the
    /// list fits into `bytes` bytes.
    pub(super) fn new(images: &[u64], bytes: u64) -> (Self, u32) {
        let all = || images.chunk_by(|a, b| a == b);
        // The number of ties whose length, rounded up to a power of two, is 2^i.
        let mut lengths = [0u64; 64];
        let mut longest = 0;
        for tied in all() {
            longest = longest.max(tied.len());
            lengths[tied.len().next_power_of_two().ilog2() as usize] += 1;
        }
        let longer = |power: usize| lengths[power + 1..].iter().sum::<u64>();
        let power = (0..63)
            .find(|power| longer(*power) * TIES_BYTES as u64 <= bytes)
            .unwrap_or(63);
        let mut ties = Self {
            bound: u32::try_from((1usize << power).min(longest)).unwrap_or(u32::MAX),
            ..Self::default()
        };
        let mut rank = 0;
        for tied in all() {
            let length = tied.len() as u32;
            if length > ties.bound {
                ties.images.push(tied[0]);
                ties.places.push((rank, length));
            }
            rank += length;
        }
        (ties, u32::try_from(longest).unwrap_or(u32::MAX))
    }

    /// Returns the first rank and the length of the ties with this image, if they are listed.
    #[inline]
    pub(super) fn find(&self, image: u64) -> Option<(u32, u32)> {
        if self.images.is_empty() {
            return None;
        }
        let at = self.images.binary_search(&image).ok()?;
        Some(self.places[at])
    }

    /// Returns the number of listed elements.
    pub(super) fn len(&self) -> usize {
        self.images.len()
    }

    /// Appends the encoded list to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (image, (first, length)) in self.images.iter().zip(&self.places) {
            out.extend_from_slice(&image.to_le_bytes());
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
        }
    }

    /// Decodes a list that [`encode`](Self::encode) wrote. Returns None if the bytes are malformed.
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

    /// Returns the bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.len() * TIES_BYTES) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ties_that_fit_are_listed() {
        let mut images = vec![5; 100];
        images.extend([6, 6, 6, 7]);
        images.extend([8; 9]);
        let with = |bytes| Ties::new(&images, bytes).0;
        assert_eq!(Ties::new(&images, 0).1, 100);
        assert_eq!(with(0).bound, 100);
        assert_eq!(with(0).len(), 0);
        assert_eq!(with(16).bound, 16);
        assert_eq!(with(16).find(5), Some((0, 100)));
        assert_eq!(with(16).find(8), None);
        assert_eq!(with(32).bound, 4);
        assert_eq!(with(32).find(8), Some((104, 9)));
        assert_eq!(with(32).find(6), None);
        assert_eq!(with(48).bound, 1);
        assert_eq!(with(48).find(6), Some((100, 3)));
        assert_eq!(with(48).find(7), None);
        assert_eq!(Ties::new(&[], 99), (Ties::default(), 0));
        let unlisted = Ties {
            bound: 1,
            ..Ties::default()
        };
        assert_eq!(Ties::new(&[1, 2], 99), (unlisted, 1));
        let mut encoded = Vec::new();
        with(48).encode(&mut encoded);
        assert_eq!(Ties::decode(&encoded, 1), Some(with(48)));
        assert_eq!(Ties::decode(&encoded[1..], 1), None);
    }
}
