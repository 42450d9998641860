//! 2Q: new objects pass through a FIFO queue. Only objects requested again after leaving it enter
//! the LRU list.
//!
//! Source: Johnson and Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement
//! Algorithm", VLDB 1994, the full version.
//! Variant: a ghost that is requested is forgotten before any object leaves. A1in may use what Am
//! does not. Objects larger than A1in's share are refused, as in libCacheSim.
//! State: A1in (FIFO) and Am (LRU), 32 B a slot; A1out, the ghosts of A1in, about 60 B a key.
//! Cost: every call O(1); a miss probes the ghost table once; a hit in A1in does nothing.
//! Invariants: A1out holds at most its share of bytes; an object leaves A1in only while A1in has
//! more than its share.
//! Weak where: objects are requested again soon and then again later, since they must miss once
//! more to enter Am.

use std::ops::Bound::{Excluded, Included};

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, share};
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "2q",
    about: "a FIFO for new objects, an LRU list for returning ones (Johnson and Shasha, VLDB 1994)",
    params: describe::<Params>,
    build: |capacity, _seed, spec| {
        let params: Params = params(spec)?;
        in_range(
            spec,
            "recent",
            params.recent,
            (Excluded(0.0), Excluded(1.0)),
        )?;
        in_range(spec, "ghost", params.ghost, (Excluded(0.0), Included(10.0)))?;
        Ok(Box::new(TwoQueue::new(capacity, params)))
    },
};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Kin: the share of the capacity for new objects, A1in (above 0, below 1).
    recent: f64,
    /// Kout: how much the ghosts, A1out, remember, in capacities (above 0, at most 10).
    ghost: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            recent: 0.25,
            ghost: 0.5,
        }
    }
}

/// A1in and Am.
const RECENT: u8 = 0;
const FREQUENT: u8 = 1;

struct TwoQueue {
    params: Params,
    recent_bytes_max: u64,
    ghost_bytes_max: u64,
    cached: Queues<2>,
    ghosts: Ghosts<1>,
    missed_ghost: bool,
}

impl TwoQueue {
    fn new(capacity: u64, params: Params) -> Self {
        Self {
            recent_bytes_max: share(capacity, params.recent),
            ghost_bytes_max: (capacity as f64 * params.ghost) as u64,
            cached: Queues::default(),
            ghosts: Ghosts::default(),
            missed_ghost: false,
            params,
        }
    }
}

impl Eviction for TwoQueue {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.missed_ghost = self.ghosts.forget(incoming.key).is_some();
        incoming.bytes <= self.recent_bytes_max
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        let from_recent =
            self.cached.bytes(RECENT) > self.recent_bytes_max || self.cached.is_empty(FREQUENT);
        self.cached
            .oldest(if from_recent { RECENT } else { FREQUENT })
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let queue = if std::mem::take(&mut self.missed_ghost) {
            FREQUENT
        } else {
            RECENT
        };
        self.cached.push(slot, Member::of(incoming, queue, ()));
    }

    fn on_hit(&mut self, slot: Slot) {
        if self.cached.member(slot).queue == FREQUENT {
            self.cached.move_to(slot, FREQUENT);
        }
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let member = self.cached.take(slot);
        if why == Removal::Evicted && member.queue == RECENT {
            self.ghosts
                .remember_within(self.ghost_bytes_max, Member { queue: 0, ..member });
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.recent_bytes_max = share(capacity, self.params.recent);
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
                "A1out remembers {} B, over {}",
                self.ghosts.bytes(0),
                self.ghost_bytes_max
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{fill, replace};

    #[test]
    fn only_an_object_that_returns_after_leaving_enters_the_lru_list() {
        let mut two = TwoQueue::new(4, Params::default());
        fill(&mut two, 4);
        two.on_hit(0);
        assert_eq!(replace(&mut two, 10), 0, "a hit in A1in changes nothing");
        assert_eq!(replace(&mut two, 0), 1, "A1in has more than its share of 1");
        assert_eq!(
            (two.cached.member(1).queue, two.cached.bytes(RECENT)),
            (FREQUENT, 3)
        );
        assert_eq!(
            [
                replace(&mut two, 11),
                replace(&mut two, 12),
                replace(&mut two, 13)
            ],
            [2, 3, 0]
        );
        assert_eq!(two.ghosts.bytes(0), 2);
        assert!(
            !two.admit(&Access::sized(14, 2)),
            "larger than A1in's share"
        );
        assert_eq!(two.audit(&[0, 1, 2, 3]), Ok(()));
    }
}
