//! Deeper limits from shallow ones: RusKey's recurrence.
//!
//! Source: Yu et al., "Learning to Optimize LSM-trees", PACMMOD 1(2), 2023: in the optimum,
//! 1 / K_{i+1}^2 = 1 / K_i^2 + T (1 / K_i^2 - 1 / K_{i-1}^2) where filters are allocated as Monkey
//! does; all K are equal where filters are uniform.

/// Limits of the levels 1 to `levels` from those of the first. One limit is copied down. With two,
/// each deeper one follows from the two above it: rounded down, held to 1..=T, and carried on so.
pub(super) fn propagate(shallow: &[u32], ratio: u32, levels: usize) -> Vec<u32> {
    let mut limits = shallow.to_vec();
    while limits.len() < levels {
        let next = match *limits {
            [.., before, last] => deeper(before, last, ratio),
            [one] => one,
            [] => 1,
        };
        limits.push(next);
    }
    limits.truncate(levels);
    limits
}

fn deeper(before: u32, last: u32, ratio: u32) -> u32 {
    let inverse = |runs: u32| 1.0 / (f64::from(runs) * f64::from(runs));
    let square = inverse(last) + f64::from(ratio) * (inverse(last) - inverse(before));
    // Limits that grow with depth leave the recurrence without a root: the next is the largest.
    if square <= inverse(ratio) {
        return ratio;
    }
    ((1.0 / square).sqrt().floor() as u32).clamp(1, ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_come_out() {
        assert_eq!(propagate(&[9, 7], 10, 4), [9, 7, 3, 1]);
        assert_eq!(propagate(&[10, 8], 10, 4), [10, 8, 3, 1]);
    }

    #[test]
    fn limits_stay_in_range_and_end_at_one_or_stay_at_t() {
        for before in 1..=10 {
            for last in 1..=10 {
                let limits = propagate(&[before, last], 10, 9);
                assert!(limits.iter().all(|runs| (1..=10).contains(runs)));
                let expected = match last.cmp(&before) {
                    std::cmp::Ordering::Less => vec![1],
                    std::cmp::Ordering::Equal => vec![last],
                    std::cmp::Ordering::Greater => vec![10],
                };
                assert!(expected.contains(&limits[8]), "{limits:?}");
            }
        }
        assert_eq!(propagate(&[4], 10, 3), [4, 4, 4]);
        assert_eq!(propagate(&[4, 2], 10, 1), [4]);
        assert_eq!(propagate(&[], 10, 2), [1, 1]);
    }
}
