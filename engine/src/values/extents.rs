//! Sets of extents: the parts of a value file that nothing points to any more.
//!
//! An extent takes 16 bytes, and neighbours are merged. So the set is small both where garbage is
//! rare and where it is common: O(min(live frames, dead frames)).

/// A set of extents, sorted and disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents {
    /// Start and end of each extent; no two touch.
    ranges: Vec<(u64, u64)>,
    bytes: u64,
}

impl Extents {
    /// Adds extents, in any order. If one is empty or overlaps another, nothing is added and the
    /// result is false, so that no byte becomes garbage twice. O(extents of both).
    #[must_use]
    pub(crate) fn add(&mut self, mut ranges: Vec<(u64, u64)>) -> bool {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.ranges.len() + ranges.len());
        let mut old = self.ranges.iter().peekable();
        let mut new = ranges.iter().peekable();
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
        for (start, end) in &ranges {
            self.bytes += end - start;
        }
        self.ranges = merged;
        true
    }

    /// Returns the bytes of all extents.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the extents, in order.
    pub(crate) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Returns the parts of `start..end` that are not in the set, in order.
    pub(crate) fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = start;
        let first = self.ranges.partition_point(|(_, to)| *to <= start);
        for (from, to) in &self.ranges[first..] {
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

    /// Returns the extents of this set without those of `other`.
    #[must_use]
    pub(crate) fn minus(&self, other: &Self) -> Vec<(u64, u64)> {
        let mut left = Vec::new();
        for (start, end) in &self.ranges {
            left.extend(other.gaps(*start, *end));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn neighbours_are_merged_and_overlaps_are_refused() {
        let mut set = Extents::default();
        assert!(set.add(vec![(20, 30), (0, 10)]));
        assert!(set.add(vec![(10, 20), (40, 41)]));
        assert_eq!(set.ranges(), [(0, 30), (40, 41)]);
        assert_eq!(set.bytes(), 31);
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
    fn a_set_equals_a_bitmap() {
        for seed in 0..200 {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut bits = [false; 120];
            let mut set = Extents::default();
            for _ in 0..30 {
                let start = chance.random_range(0..119_usize);
                let end = chance.random_range(start + 1..=120);
                let free = bits[start..end].iter().all(|bit| !bit);
                let added = set.add(vec![(start as u64, end as u64)]);
                assert_eq!(added, free, "seed {seed}");
                if free {
                    bits[start..end].fill(true);
                }
                let gaps = set.gaps(7, 101);
                let in_gap = |at: u64| gaps.iter().any(|(start, end)| (*start..*end).contains(&at));
                let agrees = (7..101).all(|at| in_gap(at) != bits[at as usize]);
                assert!(agrees, "seed {seed}");
            }
            let marked = bits.iter().filter(|bit| **bit).count();
            assert_eq!(set.bytes(), marked as u64, "seed {seed}");
        }
    }
}
