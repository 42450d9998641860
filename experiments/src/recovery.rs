//! How fast a cache recovers after the hot keys have moved.

use crate::record::SeriesPoint;

/// The share of the level reached in the end at which a cache counts as recovered.
const RECOVERED: f64 = 0.95;

/// Operations from a phase's start to the end of the first slice whose hit ratio reaches 95 % of the level that the phase
/// ends with, which is the hit ratio over the last quarter of its operations. None where the cache was not asked, or the phase
/// has fewer than eight slices.
pub fn operations_to_recover(series: &[SeriesPoint]) -> Option<u64> {
    let total: u64 = series.iter().map(|slice| slice.operations).sum();
    let mut done = 0;
    let ends: Vec<u64> = series
        .iter()
        .map(|slice| {
            done += slice.operations;
            done
        })
        .collect();
    let last_quarter = series
        .iter()
        .zip(&ends)
        .filter(|(_, end)| **end * 4 > total * 3)
        .map(|(slice, _)| slice);
    let (hits, asked) = last_quarter.fold((0, 0), |(hits, asked), slice| {
        (
            hits + slice.cache_hits,
            asked + slice.cache_hits + slice.cache_misses,
        )
    });
    if asked == 0 || series.len() < 8 {
        return None;
    }
    let level = hits as f64 / asked as f64;
    let recovered = |slice: &SeriesPoint| {
        let asked = slice.cache_hits + slice.cache_misses;
        asked > 0 && slice.cache_hits as f64 >= RECOVERED * level * asked as f64
    };
    series
        .iter()
        .zip(ends)
        .find(|(slice, _)| recovered(slice))
        .map(|(_, end)| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(hits: &[u64]) -> Vec<SeriesPoint> {
        let slice = |hits: &u64| SeriesPoint {
            operations: 100,
            cache_hits: *hits,
            cache_misses: 100 - hits,
            ..SeriesPoint::default()
        };
        hits.iter().map(slice).collect()
    }

    #[test]
    fn recovery_ends_at_the_first_slice_near_the_final_level() {
        assert_eq!(
            operations_to_recover(&series(&[10, 40, 60, 75, 77, 80, 80, 80])),
            Some(500)
        );
        assert_eq!(
            operations_to_recover(&series(&[80; 8])),
            Some(100),
            "nothing was lost"
        );
        assert_eq!(
            operations_to_recover(&series(&[0; 8])),
            Some(100),
            "a cache that never hits is as good as it gets"
        );
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(operations_to_recover(&series(&[80; 7])), None);
        assert_eq!(
            operations_to_recover(
                &[SeriesPoint {
                    operations: 10,
                    ..SeriesPoint::default()
                }; 10]
            ),
            None
        );
    }
}
