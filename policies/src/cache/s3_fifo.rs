//! S3-FIFO: a small FIFO queue that most objects leave soon, a main queue with counters, and
//! ghosts.
//!
//! Source: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023, Algorithm 1.
//! Variant: libCacheSim's. An object moves to the main queue with at least `threshold` hits (2; the
//! paper's text and Caffeine's simulator have 1) and starts there with a count of 0. The small
//! queue may fill the whole cache until the first object leaves. Objects larger than the small
//! queue's share are refused. The ghosts are bounded by the bytes of the objects they remember.
//! State: 32 B a slot with its 2-bit count; about 60 B a ghost.
//! Cost: a hit changes one counter; a miss probes the ghost table once; `victim` is O(1) amortised,
//! because each object it moves was hit before.
//! Invariants: counts are at most 3; the ghosts hold at most their share of bytes.
//! Weak where: objects are requested for the second time only after they left the small queue: each
//! misses twice.

use std::ops::Bound::Excluded;

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, share};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "s3-fifo",
    about: "three static FIFO queues: small, main and ghosts (Yang et al., SOSP 2023)",
    params: describe::<Params>,
    build: |capacity, _seed, spec| {
        let params: Params = params(spec)?;
        in_range(spec, "small", params.small, (Excluded(0.0), Excluded(1.0)))?;
        in_range(spec, "ghost", params.ghost, 0.0..=10.0)?;
        in_range(spec, "threshold", params.threshold, 1..=COUNT_MAX)?;
        Ok(Box::new(S3Fifo::new(capacity, params)))
    },
};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The small queue's share of the capacity (above 0, below 1).
    small: f64,
    /// How much the ghosts remember, in capacities (0 to 10).
    ghost: f64,
    /// Hits with which an object moves from the small to the main queue (1 to 3).
    threshold: u8,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            small: 0.1,
            ghost: 0.9,
            threshold: 2,
        }
    }
}

const SMALL: u8 = 0;
const MAIN: u8 = 1;

const COUNT_MAX: u8 = 3;

struct S3Fifo {
    params: Params,
    capacity: u64,
    small_bytes_max: u64,
    main_bytes_max: u64,
    ghost_bytes_max: u64,
    /// The objects held, each with its count of hits.
    cached: Queues<2, u8>,
    ghosts: Ghosts<1, u8>,
    missed_ghost: bool,
    /// The victim named for the object last missed, or `NONE`.
    named: Slot,
}

impl S3Fifo {
    fn new(capacity: u64, params: Params) -> Self {
        let small_bytes_max = share(capacity, params.small);
        Self {
            capacity,
            small_bytes_max,
            main_bytes_max: capacity.saturating_sub(small_bytes_max),
            ghost_bytes_max: (capacity as f64 * params.ghost) as u64,
            params,
            cached: Queues::default(),
            ghosts: Ghosts::default(),
            missed_ghost: false,
            named: NONE,
        }
    }

    /// Returns the small queue's oldest object with too few hits, after moving those before it;
    /// `NONE` if all have enough.
    fn small_victim(&mut self) -> Slot {
        loop {
            let slot = self.cached.oldest(SMALL);
            if slot == NONE || *self.cached.note_mut(slot) < self.params.threshold {
                return slot;
            }
            *self.cached.note_mut(slot) = 0;
            self.cached.move_to(slot, MAIN);
        }
    }

    /// Returns the main queue's oldest object without hits, after sending those before it another
    /// round.
    fn main_victim(&mut self) -> Slot {
        loop {
            let slot = self.cached.oldest(MAIN);
            let count = self.cached.note_mut(slot);
            if *count == 0 {
                return slot;
            }
            *count -= 1;
            self.cached.move_to(slot, MAIN);
        }
    }
}

impl Eviction for S3Fifo {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.named = NONE;
        self.missed_ghost = self.ghosts.forget(incoming.key).is_some();
        incoming.bytes <= self.small_bytes_max
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE && self.cached.bytes(MAIN) <= self.main_bytes_max {
            self.named = self.small_victim();
        }
        if self.named == NONE {
            self.named = self.main_victim();
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let queue = if std::mem::take(&mut self.missed_ghost) {
            MAIN
        } else {
            SMALL
        };
        self.cached.push(slot, Member::of(incoming, queue, 0));
    }

    fn on_hit(&mut self, slot: Slot) {
        let count = self.cached.note_mut(slot);
        *count = COUNT_MAX.min(*count + 1);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        self.named = NONE;
        let member = self.cached.take(slot);
        if why == Removal::Evicted && member.queue == SMALL {
            self.ghosts.remember_within(self.ghost_bytes_max, member);
        }
    }

    fn resize(&mut self, capacity: u64) {
        if capacity == self.capacity {
            return;
        }
        self.named = NONE;
        self.capacity = capacity;
        self.small_bytes_max = share(capacity, self.params.small);
        self.main_bytes_max = capacity.saturating_sub(self.small_bytes_max);
        self.ghost_bytes_max = (capacity as f64 * self.params.ghost) as u64;
        self.ghosts.trim(0, self.ghost_bytes_max);
    }

    fn metadata_bytes(&self) -> u64 {
        self.cached.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.cached.walk()?, held)?;
        self.ghosts.audit()?;
        if self.ghosts.bytes(0) > self.ghost_bytes_max {
            return Err(format!(
                "the ghosts remember {} B, over {}",
                self.ghosts.bytes(0),
                self.ghost_bytes_max
            ));
        }
        match held
            .iter()
            .find(|slot| self.cached.member(**slot).note > COUNT_MAX)
        {
            Some(slot) => Err(format!(
                "slot {slot} counts {} hits",
                self.cached.member(*slot).note
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{fill, replace};

    fn filled() -> S3Fifo {
        let mut s3 = S3Fifo::new(10, Params::default());
        fill(&mut s3, 10);
        s3
    }

    #[test]
    fn two_hits_lead_to_the_main_queue_and_so_does_a_ghost() {
        let mut s3 = filled();
        [0, 0, 1].into_iter().for_each(|slot| s3.on_hit(slot));
        assert_eq!((replace(&mut s3, 20), s3.cached.bytes(MAIN)), (1, 1));
        assert_eq!((replace(&mut s3, 1), s3.cached.bytes(MAIN)), (2, 2));
        assert!(
            !s3.admit(&Access::sized(30, 2)),
            "larger than the small queue's share"
        );
        assert_eq!(s3.audit(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Ok(()));
    }

    #[test]
    fn a_victim_named_while_the_main_queue_overflows_is_named_again() {
        let mut s3 = filled();
        (0..9).for_each(|slot| [slot; 3].into_iter().for_each(|slot| s3.on_hit(slot)));
        assert_eq!(replace(&mut s3, 20), 9);
        s3.on_hit(9);
        s3.on_hit(9);
        // The small queue is empty once 9 has moved. The main queue gives up its oldest, which has
        // no hits there.
        assert_eq!(replace(&mut s3, 21), 0);
    }
}
