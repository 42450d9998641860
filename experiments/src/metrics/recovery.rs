//! How many operations a cache needs to recover after the hot keys have moved.
//!
//! A cache that settles at a low hit ratio is soon as good as it gets: towards a level of its own,
//! the worst policy recovers first. So the level is a share of what the best cache could have had
//! in the phase. That follows from the accesses and the room, which are the same for all policies.

use crate::record::SeriesPoint;

/// The share of the best possible hit ratio at which a cache counts as recovered.
///
/// On skewed keys plain LRU settles at three quarters of the bound, the best online policies at
/// seven eighths, and a policy that holds on to what was hot before at a third.
const RECOVERED: f64 = 0.7;

/// The fewest slices of a phase that say anything.
const SLICES_MIN: usize = 8;

/// How long a cache took to recover in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Operations from the phase's start to the end of the slice in which it had recovered; all of
    /// the phase's if it never did.
    pub(super) operations: u64,
    /// Whether it did.
    pub(super) reached: bool,
}

/// Returns when the first slice of a phase reached 70 % of `bound`, the best possible hit ratio.
/// `None` if the cache received no request, or the phase has fewer than eight slices.
pub(super) fn recovery(series: &[SeriesPoint], bound: f64) -> Option<Recovery> {
    let requests = |slice: &SeriesPoint| slice.cache_hits + slice.cache_misses;
    if series.len() < SLICES_MIN || series.iter().all(|slice| requests(slice) == 0) {
        return None;
    }
    let level = RECOVERED * bound;
    let mut operations = 0;
    for slice in series {
        operations += slice.operations;
        let requests = requests(slice);
        if requests > 0 && slice.cache_hits as f64 >= level * requests as f64 {
            return Some(Recovery {
                operations,
                reached: true,
            });
        }
    }
    Some(Recovery {
        operations,
        reached: false,
    })
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

    fn reached(operations: u64) -> Option<Recovery> {
        Some(Recovery {
            operations,
            reached: true,
        })
    }

    #[test]
    fn recovery_ends_at_the_first_slice_near_the_bound() {
        let hits = series(&[10, 40, 60, 75, 77, 80, 80, 80]);
        assert_eq!(recovery(&hits, 1.0), reached(400));
        assert_eq!(recovery(&hits, 0.8), reached(300));
        assert_eq!(
            recovery(&series(&[80; 8]), 0.9),
            reached(100),
            "nothing was lost"
        );
    }

    #[test]
    fn a_cache_that_settles_low_never_recovers() {
        let low = Recovery {
            operations: 800,
            reached: false,
        };
        assert_eq!(recovery(&series(&[26; 8]), 0.8), Some(low));
        assert_eq!(final_hit_ratio(&series(&[26; 8])), Some(0.26));
    }

    #[test]
    fn too_few_slices_or_requests_say_nothing() {
        assert_eq!(recovery(&series(&[80; 7]), 0.5), None);
        let idle = SeriesPoint {
            operations: 10,
            ..SeriesPoint::default()
        };
        assert_eq!(recovery(&[idle; 10], 0.5), None);
        assert_eq!(final_hit_ratio(&[idle; 10]), None);
    }
}
