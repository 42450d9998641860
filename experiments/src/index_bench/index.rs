//! An index as a look-up uses it, and what can be measured of it without a clock.

use std::ops::Range;

use aura_policies::index::Model;

use super::fences::Fences;
use super::rows::Errors;
use super::sorted::{SortedKeys, Target};

/// What narrows a look-up down.
pub(super) enum Index<K: SortedKeys> {
    /// Nothing: the whole array is searched.
    Whole,
    /// The last key of every block.
    Fence {
        fences: K::Fences,
        block_keys: usize,
    },
    /// A model whose ranks count `unit` keys each.
    Model { model: Box<dyn Model>, unit: usize },
}

/// What a look-up costs.
pub(super) struct Effort {
    /// Comparisons of keys, fence pointers included.
    pub(super) comparisons: usize,
    /// Keys in the window that was searched.
    pub(super) searched: usize,
}

/// A model's window that does not hold the right rank.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) image: u64,
    pub(super) rank: usize,
    pub(super) lo: usize,
    pub(super) hi: usize,
}

/// Comparisons of a binary search among `keys`, as the standard library does it.
fn halvings(keys: usize) -> usize {
    if keys == 0 {
        0
    } else {
        keys.next_power_of_two().ilog2() as usize + 1
    }
}

impl<K: SortedKeys> Index<K> {
    /// Returns the rank of the first key not below the query.
    #[inline]
    pub(super) fn rank(&self, keys: &K, query: &K::Query) -> usize {
        let window = self.window(keys, query);
        let end = window.end;
        let found = keys.lower_bound(window, query);
        match self.ties(keys, found, end) {
            Some(ties) => keys.lower_bound(ties, query),
            None => found,
        }
    }

    /// The keys to search: the first one not below the query is among them, or the first after
    /// them.
    #[inline]
    fn window(&self, keys: &K, query: &K::Query) -> Range<usize> {
        let count = keys.len();
        match self {
            Self::Whole => 0..count,
            Self::Fence { fences, block_keys } => {
                let start = fences.search(query) * block_keys;
                start.min(count)..(start + block_keys).min(count)
            }
            Self::Model { model, unit } => match keys.target(query) {
                Target::Below => 0..0,
                Target::Above => count..count,
                Target::Image(image) => scaled(&**model, *unit, count, image),
            },
        }
    }

    /// The keys after a window that may still be the answer. Keys with equal images are one rank to
    /// a model: if the search ends at the window's end, the answer may lie further on, by as many
    /// keys as share an image.
    #[inline]
    fn ties(&self, keys: &K, found: usize, end: usize) -> Option<Range<usize>> {
        let is_model = matches!(self, Self::Model { .. });
        let largest = keys.largest_tie();
        (is_model && largest > 1 && found == end && found < keys.len())
            .then(|| found..(found + largest).min(keys.len()))
    }

    /// Counts what [`rank`](Self::rank) does for a query.
    pub(super) fn effort(&self, keys: &K, query: &K::Query) -> Effort {
        let window = self.window(keys, query);
        let searched = window.len();
        let end = window.end;
        let mut comparisons = halvings(searched);
        if let Self::Fence { fences, .. } = self {
            comparisons += halvings(fences.images().len());
        }
        let found = keys.lower_bound(window, query);
        if let Some(ties) = self.ties(keys, found, end) {
            comparisons += halvings(ties.len());
        }
        Effort {
            comparisons,
            searched,
        }
    }

    /// What it stores, charged or not.
    pub(super) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Fence { fences, .. } => fences.memory_bytes(),
            Self::Model { model, .. } => model.stored_bytes(),
        }
    }

    /// The segments of a model.
    pub(super) fn segments(&self) -> Option<u64> {
        match self {
            Self::Model { model, .. } => Some(model.segments()),
            Self::Whole | Self::Fence { .. } => None,
        }
    }

    /// Evaluates a model at every key, just above each, and in the middle of each gap: the rank
    /// must be in the window. Returns how far ranks are from the farther end of their windows;
    /// `None` for an index that is no model.
    pub(super) fn errors(&self, keys: &K) -> Result<Option<Errors>, Missed> {
        let Self::Model { model, unit } = self else {
            return Ok(None);
        };
        let images = keys.images();
        let mut max = 0_usize;
        let mut check = |image: u64, rank: usize| {
            let window = scaled(&**model, *unit, images.len(), image);
            let error = error(&window, image, rank)?;
            max = max.max(error);
            Ok(error)
        };
        let mut sum = 0_usize;
        let mut distinct = 0_u64;
        let mut next_rank = 0;
        for ties in images.chunk_by(|one, other| one == other) {
            let image = ties[0];
            sum += check(image, next_rank)?;
            distinct += 1;
            next_rank += ties.len();
            let next = images.get(next_rank).copied().unwrap_or(u64::MAX);
            if next - image > 1 {
                check(image + 1, next_rank)?;
                check(image + (next - image) / 2, next_rank)?;
            }
        }
        Ok(Some(Errors {
            max: max as f64,
            mean: sum as f64 / distinct.max(1) as f64,
        }))
    }
}

/// How far a rank is from the farther end of its window.
fn error(window: &Range<usize>, image: u64, rank: usize) -> Result<usize, Missed> {
    if !(window.start..=window.end).contains(&rank) {
        return Err(Missed {
            image,
            rank,
            lo: window.start,
            hi: window.end,
        });
    }
    Ok((rank - window.start).max(window.end - rank))
}

/// The keys in a model's window of ranks; none is past the last key.
#[inline]
fn scaled(model: &dyn Model, unit: usize, keys: usize, image: u64) -> Range<usize> {
    let window = model.locate(image);
    let lo = window.lo as usize;
    let hi = window.hi as usize;
    // Of entries, the last rank is where the search may end; of blocks, the answer may be any of
    // the last block's keys.
    let end = if unit == 1 {
        hi
    } else {
        hi.saturating_add(1).saturating_mul(unit)
    };
    let end = end.min(keys);
    lo.saturating_mul(unit).min(end)..end
}
