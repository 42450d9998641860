//! SLRU: LRU segments of growing trust. A hit promotes an object by one segment; overflow demotes
//! by one.
//!
//! Source: Karedla, Love and Wherry, "Caching strategies to improve disk system performance", IEEE
//! Computer 27(3), 1994 (two segments); Huang et al., "An analysis of Facebook photo caching", SOSP
//! 2013 (S4LRU: four equal segments).
//! Variant: new objects enter the lowest segment, which may use what the others leave free.
//! `fill = "spread"` is libCacheSim's: they enter the lowest segment that has room, so a cache that
//! is filling trusts its first objects. libCacheSim also evicts on a hit when the lowest segment
//! overflows. Here no object leaves unless room is needed, so counts are equal only if the
//! segments' sizes are whole and add up to the capacity.
//! State: 32 B a slot.
//! Cost: a hit takes O(segments) list steps with objects of one size; every other call O(1).
//! Invariants: each segment but the lowest holds at most its share of bytes.
//! Weak where: the working set drifts, since trusted objects must fall through all segments; loops
//! larger than the cache.

use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, bad, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "slru",
    about: "LRU segments; a hit promotes by one (Karedla et al. 1994; Huang et al., SOSP 2013)",
    params: describe::<Params>,
    build: |capacity, _seed, spec| {
        let params: Params = params(spec)?;
        if !(2..=SEGMENTS_MAX).contains(&params.shares.len()) {
            let message = format!("must name 2 to {SEGMENTS_MAX} segments");
            return Err(bad(spec, "shares", &message));
        }
        if params.shares.contains(&0) {
            return Err(bad(spec, "shares", "must be at least 1 each"));
        }
        Ok(Box::new(SegmentedLru::new(capacity, &params)))
    },
};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The sizes of the segments in proportion to each other, the lowest first (2 to 16 segments,
    /// each at least 1).
    shares: Vec<u32>,
    /// Where new objects enter: the `lowest` segment, or `spread`: the lowest segment that has
    /// room.
    #[schemars(with = "String")]
    fill: Fill,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            shares: vec![1; 4],
            fill: Fill::Lowest,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fill {
    Lowest,
    Spread,
}

const SEGMENTS_MAX: usize = 16;

struct SegmentedLru {
    shares: Vec<u32>,
    bytes_max: Vec<u64>,
    fill: Fill,
    segments: Queues<SEGMENTS_MAX>,
}

/// The bytes of each segment of a cache of `capacity` bytes.
fn segment_sizes(shares: &[u32], capacity: u64) -> Vec<u64> {
    let sum: u64 = shares.iter().map(|share| u64::from(*share)).sum();
    shares
        .iter()
        .map(|share| (f64::from(*share) / sum as f64 * capacity as f64) as u64)
        .collect()
}

impl SegmentedLru {
    fn new(capacity: u64, params: &Params) -> Self {
        Self {
            shares: params.shares.clone(),
            bytes_max: segment_sizes(&params.shares, capacity),
            fill: params.fill,
            segments: Queues::default(),
        }
    }

    /// Moves what the segments from `top` down have above their sizes to the next lower one.
    fn demote(&mut self, top: u8) {
        for segment in (1..=top).rev() {
            while self.segments.bytes(segment) > self.bytes_max[usize::from(segment)] {
                self.segments
                    .move_to(self.segments.oldest(segment), segment - 1);
            }
        }
    }

    /// The segment that an object of `bytes` enters.
    fn entry_segment(&self, bytes: u64) -> u8 {
        let has_room = |segment: &u8| {
            self.segments.bytes(*segment) + bytes <= self.bytes_max[usize::from(*segment)]
        };
        match self.fill {
            Fill::Lowest => 0,
            Fill::Spread => (0..self.bytes_max.len() as u8).find(has_room).unwrap_or(0),
        }
    }
}

impl Eviction for SegmentedLru {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        let lowest =
            (0..self.bytes_max.len() as u8).find(|segment| !self.segments.is_empty(*segment));
        self.segments.oldest(lowest.unwrap_or(0))
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let queue = self.entry_segment(incoming.bytes);
        self.segments.push(slot, Member::of(incoming, queue, ()));
    }

    fn on_hit(&mut self, slot: Slot) {
        let top = self.bytes_max.len() as u8 - 1;
        let promoted = top.min(self.segments.member(slot).queue + 1);
        self.segments.move_to(slot, promoted);
        self.demote(promoted);
    }

    fn resize(&mut self, capacity: u64) {
        self.bytes_max = segment_sizes(&self.shares, capacity);
        self.demote(self.bytes_max.len() as u8 - 1);
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.segments.take(slot);
    }

    fn metadata_bytes(&self) -> u64 {
        self.segments.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.segments.walk()?, held)?;
        let over = |segment: &usize| self.segments.bytes(*segment as u8) > self.bytes_max[*segment];
        match (1..self.bytes_max.len()).find(over) {
            Some(segment) => Err(format!(
                "segment {segment} holds more than its {} B",
                self.bytes_max[segment]
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(fill: Fill) -> SegmentedLru {
        let mut slru = SegmentedLru::new(
            4,
            &Params {
                shares: vec![1, 1],
                fill,
            },
        );
        (0..4).for_each(|slot| slru.on_insert(slot, &Access::unit(0)));
        slru
    }

    fn victims(mut slru: SegmentedLru) -> [Slot; 4] {
        assert_eq!(slru.audit(&[0, 1, 2, 3]), Ok(()));
        [(); 4].map(|()| {
            let slot = slru.victim(&Access::unit(0));
            slru.on_remove(slot, Removal::Evicted);
            slot
        })
    }

    #[test]
    fn a_hit_promotes_and_overflow_demotes() {
        let mut slru = filled(Fill::Lowest);
        [0, 1, 0, 2].into_iter().for_each(|slot| slru.on_hit(slot));
        assert_eq!(victims(slru), [3, 1, 0, 2]);
    }

    #[test]
    fn a_cache_that_is_filling_may_trust_new_objects() {
        assert_eq!(victims(filled(Fill::Lowest)), [0, 1, 2, 3]);
        let mut slru = filled(Fill::Spread);
        slru.on_hit(0);
        assert_eq!(victims(slru), [1, 2, 3, 0]);
    }
}
