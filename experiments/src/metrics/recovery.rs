//! How many operations a cache needs to recover after the hot keys have moved.

use crate::record::SeriesPoint;

/// The share of the final hit ratio at which a cache counts as recovered.
const RECOVERED: f64 = 0.95;

/// The fewest slices of a phase that say anything.
const SLICES_MIN: usize = 8;

/// Returns the operations from a phase's start to the end of the first slice whose hit ratio
/// reaches 95 % of the final one.
///
/// The final hit ratio is that over the last quarter of the phase's operations. `None` if the cache
/// received no request there, or the phase has fewer than eight slices.
pub(super) fn operations_to_recover(series: &[SeriesPoint]) -> Option<u64> {
    if series.len() < SLICES_MIN {
        return None;
    }
    let level = final_hit_ratio(series)?;
    let mut done = 0;
    for slice in series {
        done += slice.operations;
        let requests = slice.cache_hits + slice.cache_misses;
        if requests > 0 && slice.cache_hits as f64 >= RECOVERED * level * requests as f64 {
            return Some(done);
        }
    }
    None
}

/// Returns the hit ratio over the slices that end in the last quarter of all operations; `None` if
/// the cache received no request there.
pub(super) fn final_hit_ratio(series: &[SeriesPoint]) -> Option<f64> {
    let total: u64 = series.iter().map(|slice| slice.operations).sum();
    let mut done = 0;
    let mut hits = 0;
    let mut requests = 0;
    for slice in series {
        done += slice.operations;
        if done * 4 > total * 3 {
            hits += slice.cache_hits;
            requests += slice.cache_hits + slice.cache_misses;
        }
    }
    (requests > 0).then(|| hits as f64 / requests as f64)
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
        let hits = [10, 40, 60, 75, 77, 80, 80, 80];
        assert_eq!(operations_to_recover(&series(&hits)), Some(500));
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
    fn too_few_slices_or_requests_say_nothing() {
        assert_eq!(operations_to_recover(&series(&[80; 7])), None);
        let idle = SeriesPoint {
            operations: 10,
            ..SeriesPoint::default()
        };
        assert_eq!(operations_to_recover(&[idle; 10]), None);
    }
}
