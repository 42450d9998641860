//! Binary search in sorted numbers, made for the processor: several comparisons a round, whose
//! loads do not wait for each other, and no branch that depends on the numbers.
//!
//! A plain binary search loads one number, and only then knows which to load next: it waits for
//! memory once for each halving. Here seven numbers divide the range into eight parts, so that a
//! third of the rounds remain, and the loads of a round overlap. In a window of a model, the seven
//! lie in all of its cache lines, and memory is waited for once. The price is more comparisons,
//! which is little beside one miss. Source: the k-ary search of Schlegel, Gemulla and Lehner,
//! "k-Ary Search on Modern Processors", DaMoN 2009.

use std::hint::black_box;

/// Parts that a round divides a range into.
const WAYS: usize = 8;

/// How many of `numbers` come before the first that `below` is false for; all before it must be
/// true, and all after it false.
///
/// It is the standard library's `partition_point`. O(log n) rounds, a third of its halvings.
///
/// ```
/// use aura_policies::index::search::partition_point;
///
/// let squares: Vec<u64> = (0..1000).map(|i| i * i).collect();
/// assert_eq!(partition_point(&squares, |square| square < 50), 8);
/// ```
#[inline]
pub fn partition_point(numbers: &[u64], below: impl Fn(u64) -> bool) -> usize {
    let mut start = 0;
    let mut left = numbers;
    while left.len() > WAYS {
        let step = left.len() / WAYS;
        let parts = (1..WAYS)
            .map(|part| usize::from(below(left[part * step - 1])))
            .sum::<usize>();
        start += parts * step;
        // Only the last part is longer than a step. The others take in some that are known.
        let longest = left.len() - (WAYS - 1) * step;
        left = &left[parts * step..][..longest];
    }
    start
        + left
            .iter()
            .map(|number| usize::from(below(*number)))
            .sum::<usize>()
}

/// Loads a number of `list` early, so that its cache line is on its way when the number is needed.
///
/// Nothing waits for the load: it does what a prefetch instruction does. Past the end it does
/// nothing.
#[inline]
pub(super) fn touch<T: Copy>(list: &[T], at: usize) {
    if let Some(number) = list.get(at) {
        black_box(*number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_partition_point_in_ranges_of_every_length() {
        for count in 0..700 {
            // Pairs of ties.
            let numbers: Vec<u64> = (0..count).map(|i| 5 + i / 2 * 3).collect();
            for asked in 0..5 + count / 2 * 3 + 5 {
                let below = |number| number < asked;
                let up_to = |number| number <= asked;
                assert_eq!(
                    partition_point(&numbers, below),
                    numbers.partition_point(|number| below(*number)),
                    "below {asked} among {count}"
                );
                assert_eq!(
                    partition_point(&numbers, up_to),
                    numbers.partition_point(|number| up_to(*number)),
                    "up to {asked} among {count}"
                );
            }
        }
    }
}
