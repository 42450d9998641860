//! An index as a look-up uses it, and what can be said of it without a clock.

use std::ops::Range;

use aura_policies::index::Model;

use super::rows::Errors;
use super::sorted::{Place, SortedKeys};

/// What narrows a look-up down.
pub(super) enum Index<K> {
    /// Nothing: the whole array is searched.
    Whole,
    /// The last key of every block.
    Fence { fences: K, block_keys: usize },
    /// A model whose ranks count `unit` keys each.
    Model { model: Box<dyn Model>, unit: usize },
}

/// What a look-up took.
pub(super) struct Effort {
    /// Comparisons of keys, fence pointers' included.
    pub(super) comparisons: usize,
    /// Keys in the window that was searched last.
    pub(super) searched: usize,
}

/// A model's window without the rank that it must hold.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) image: u64,
    pub(super) rank: usize,
    pub(super) lo: usize,
    pub(super) hi: usize,
}

/// Comparisons of a search by halving among `keys`, as the standard library does it.
fn halvings(keys: usize) -> usize {
    if keys == 0 {
        0
    } else {
        keys.next_power_of_two().ilog2() as usize + 1
    }
}

impl<K: SortedKeys> Index<K> {
    /// The rank of the first key not below the query.
    #[inline]
    pub(super) fn rank(&self, keys: &K, query: &K::Query) -> usize {
        let window = self.window(keys, query);
        let end = window.end;
        let found = keys.lower_bound(window, query);
        match self.ties(keys, found, end) {
            Some(run) => keys.lower_bound(run, query),
            None => found,
        }
    }

    /// The keys to search: the first one not below the query is among them, or the first after them.
    #[inline]
    fn window(&self, keys: &K, query: &K::Query) -> Range<usize> {
        let count = keys.len();
        match self {
            Self::Whole => 0..count,
            Self::Fence { fences, block_keys } => {
                let start = fences.lower_bound(0..fences.len(), query) * block_keys;
                start.min(count)..(start + block_keys).min(count)
            }
            Self::Model { model, unit } => match keys.place(query) {
                Place::Below => 0..0,
                Place::Above => count..count,
                Place::Image(image) => scaled(&**model, *unit, count, image),
            },
        }
    }

    /// Keys with the image that the query has are one rank to a model: where the search ends at the window's end, the
    /// answer may lie further on, by as many keys as share an image.
    #[inline]
    fn ties(&self, keys: &K, found: usize, end: usize) -> Option<Range<usize>> {
        let model = matches!(self, Self::Model { .. });
        let run = keys.longest_run();
        (model && run > 1 && found == end && found < keys.len())
            .then(|| found..(found + run).min(keys.len()))
    }

    /// What [`rank`](Self::rank) does for a query.
    pub(super) fn effort(&self, keys: &K, query: &K::Query) -> Effort {
        let window = self.window(keys, query);
        let (searched, end) = (window.len(), window.end);
        let mut comparisons = halvings(searched);
        if let Self::Fence { fences, .. } = self {
            comparisons += halvings(fences.len());
        }
        let found = keys.lower_bound(window, query);
        comparisons += self
            .ties(keys, found, end)
            .map_or(0, |run| halvings(run.len()));
        Effort {
            comparisons,
            searched,
        }
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Fence { fences, .. } => fences.fence_bytes(),
            Self::Model { model, .. } => model.memory_bytes(),
        }
    }

    /// The pieces of a model.
    pub(super) fn segments(&self) -> Option<u64> {
        match self {
            Self::Model { model, .. } => Some(model.segments()),
            Self::Whole | Self::Fence { .. } => None,
        }
    }

    /// Asks a model for every key, for what lies just above each, and for the middle of each gap: the rank must be in
    /// the window. Answers how far it was from the window's middle.
    pub(super) fn errors(&self, keys: &K) -> Result<Option<Errors>, Missed> {
        let Self::Model { model, unit } = self else {
            return Ok(None);
        };
        let images = keys.images();
        let (mut max, mut sum, mut stored, mut next_rank) = (0.0_f64, 0.0, 0_u64, 0);
        let mut check = |image: u64, rank: usize| {
            let window = scaled(&**model, *unit, images.len(), image);
            if !(window.start..=window.end).contains(&rank) {
                return Err(Missed {
                    image,
                    rank,
                    lo: window.start,
                    hi: window.end,
                });
            }
            let distance =
                (rank as f64 - f64::midpoint(window.start as f64, window.end as f64)).abs();
            max = max.max(distance);
            Ok(distance)
        };
        for run in images.chunk_by(|one, other| one == other) {
            let (image, rank) = (run[0], next_rank);
            next_rank += run.len();
            sum += check(image, rank)?;
            stored += 1;
            let next = images.get(next_rank).copied().unwrap_or(u64::MAX);
            if next - image > 1 {
                check(image + 1, next_rank)?;
                check(image + (next - image) / 2, next_rank)?;
            }
        }
        Ok(Some(Errors {
            max,
            mean: sum / stored.max(1) as f64,
        }))
    }
}

/// The keys that a model's window of ranks stands for; none of them is past the last.
#[inline]
fn scaled(model: &dyn Model, unit: usize, keys: usize, image: u64) -> Range<usize> {
    let window = model.locate(image);
    let (lo, hi) = (window.lo as usize, window.hi as usize);
    // Of entries, the last rank is where the search may end; of blocks, it may be in any of the last block's keys.
    let end = if unit == 1 {
        hi
    } else {
        hi.saturating_add(1).saturating_mul(unit)
    }
    .min(keys);
    lo.saturating_mul(unit).min(end)..end
}
