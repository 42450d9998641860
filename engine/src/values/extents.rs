//! Sets of byte ranges: which parts of a value file nothing points at any more.
//!
//! A range is kept in 16 bytes, and neighbours are one range, so that the set is small where garbage is and where it is not:
//! O(live frames, dead frames), whichever are fewer.

/// A set of byte ranges, sorted and disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents {
    /// Start and end of each, none touching the next.
    ranges: Vec<(u64, u64)>,
    bytes: u64,
}

impl Extents {
    /// Adds `ranges`, in any order. False, and nothing is added, where one is empty or overlaps another: no byte becomes
    /// garbage twice. O(both).
    #[must_use]
    pub(crate) fn add(&mut self, mut ranges: Vec<(u64, u64)>) -> bool {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.ranges.len() + ranges.len());
        let (mut old, mut new) = (self.ranges.iter().peekable(), ranges.iter().peekable());
        loop {
            let next = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) if a <= b => old.next(),
                (Some(_), None) => old.next(),
                (_, Some(_)) => new.next(),
                (None, None) => break,
            };
            let Some(&(start, end)) = next else { break };
            match merged.last_mut() {
                _ if start >= end => return false,
                Some(last) if start < last.1 => return false,
                Some(last) if start == last.1 => last.1 = end,
                _ => merged.push((start, end)),
            }
        }
        self.bytes += ranges.iter().map(|(start, end)| end - start).sum::<u64>();
        self.ranges = merged;
        true
    }

    /// Bytes in the set.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The ranges, in order.
    pub(crate) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// The part of the range from `start` to `end` that is not in the set, in order.
    pub(crate) fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = start;
        for (from, to) in &self.ranges[self.ranges.partition_point(|(_, to)| *to <= start)..] {
            if *from >= end {
                break;
            }
            if at < *from {
                gaps.push((at, *from));
            }
            at = at.max(*to);
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }

    /// What of this set is not in `other`.
    #[must_use]
    pub(crate) fn minus(&self, other: &Self) -> Vec<(u64, u64)> {
        self.ranges
            .iter()
            .flat_map(|(start, end)| other.gaps(*start, *end))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn neighbours_are_one_range_and_overlaps_are_refused() {
        let mut set = Extents::default();
        assert!(set.add(vec![(20, 30), (0, 10)]));
        assert!(set.add(vec![(10, 20), (40, 41)]));
        assert_eq!((set.ranges(), set.bytes()), (&[(0, 30), (40, 41)][..], 31));
        for bad in [
            vec![(29, 31)],
            vec![(50, 60), (55, 70)],
            vec![(9, 9)],
            vec![(0, 1)],
        ] {
            let before = set.clone();
            assert!(!set.add(bad.clone()), "{bad:?}");
            assert_eq!(set, before);
        }
        assert_eq!(set.gaps(5, 50), [(30, 40), (41, 50)]);
        assert_eq!(set.gaps(0, 30), []);
        let mut other = Extents::default();
        assert!(other.add(vec![(5, 10), (35, 45)]));
        assert_eq!(set.minus(&other), [(0, 5), (10, 30)]);
    }

    #[test]
    fn a_set_is_what_a_bitmap_is() {
        for seed in 0..200 {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut bits = [false; 120];
            let mut set = Extents::default();
            for _ in 0..30 {
                let start = chance.random_range(0..119_usize);
                let end = chance.random_range(start + 1..=120);
                let free = bits[start..end].iter().all(|bit| !bit);
                assert_eq!(
                    set.add(vec![(start as u64, end as u64)]),
                    free,
                    "seed {seed}"
                );
                if free {
                    bits[start..end].fill(true);
                }
                let gaps = set.gaps(7, 101);
                let in_gap = |at: u64| gaps.iter().any(|(start, end)| (*start..*end).contains(&at));
                assert!(
                    (7..101).all(|at| in_gap(at) != bits[at as usize]),
                    "seed {seed}"
                );
            }
            assert_eq!(
                set.bytes(),
                bits.iter().filter(|bit| **bit).count() as u64,
                "seed {seed}"
            );
        }
    }
}
