//! LeCaR: two experts, LRU and LFU, drawn by a trust that each loses when an object that it evicted
//! is requested again.
//!
//! A ghost that is requested t requests after it left costs its expert a factor of exp(-rate * d^t)
//! of its trust, where d = 0.005^(1/c) and c objects fit in the cache. The other expert gains by
//! scaling. The returning object keeps its use count.
//!
//! Variant: the authors' program: the ghosts of an expert are half the capacity, and there is no
//! ghost when both experts name the same object. One difference: of equal use counts the least
//! recently used is the LFU's victim, where the program compares block numbers. On two traces miss
//! ratios are 0.043 lower to 0.026 higher than the program's; seeds differ by about 0.001.
//! libCacheSim's LeCaR is another variant, 0.02 from the program on average.
//! Source: Vietri et al., "Driving Cache Replacement with ML-based LeCaR", HotStorage 2018.
//! State: 68 B a slot and about 80 B a ghost; the ghosts are at most the capacity.
//! Cost: O(log slots) an event.
//! Invariants: the trust in each expert is between 0.01 and 0.99; an expert's ghosts are at most
//! half the capacity.
//! Weak where: neither expert fits, such as for a loop a little larger than the cache.

use std::ops::Bound::{Excluded, Included};

use super::experts::{Expert, Room, Trust};
use super::ghosts::Ghosts;
use super::heap::Heap;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lecar",
    about: "LRU and LFU as experts, weighted by regret (Vietri et al., HotStorage 2018)",
    params: describe::<Params>,
    build: |capacity, seed, spec| {
        let Params { learning_rate } = params(spec)?;
        let range = (Excluded(0.0), Included(100.0));
        in_range(spec, "learning_rate", learning_rate, range)?;
        Ok(Box::new(Lecar::new(capacity, seed, learning_rate)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// How much trust the newest ghost costs: a factor of exp(-learning_rate) (above 0, at most
    /// 100).
    learning_rate: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            learning_rate: 0.45,
        }
    }
}

/// What is remembered of an object that left.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    uses: u64,
    left: u64,
}

struct Lecar {
    learning_rate: f64,
    draws: SplitMix64,
    trust: Trust,
    room: Room,
    /// Requests so far.
    now: u64,
    /// The objects held, by recency; the note is the use count.
    recent: Queues<1, u64>,
    /// The objects held, by use count; of equal ones, by last use.
    uses: Heap,
    /// One queue for each expert.
    ghosts: Ghosts<2, Past>,
    ghost_bytes: u64,
    /// Uses of the missing object before it left.
    returning: u64,
    /// The victim, once drawn, and the expert responsible for it.
    named: Option<(Slot, Option<Expert>)>,
}

impl Lecar {
    fn new(capacity: u64, seed: u64, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            draws: SplitMix64::new(seed),
            trust: Trust::default(),
            room: Room::new(capacity),
            now: 0,
            recent: Queues::default(),
            uses: Heap::default(),
            ghosts: Ghosts::default(),
            ghost_bytes: capacity / 2,
            returning: 0,
            named: None,
        }
    }
}

impl Eviction for Lecar {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.now += 1;
        self.room.note_miss(incoming.bytes);
        self.named = None;
        self.returning = 0;
        if let Some(ghost) = self.ghosts.forget(incoming.key) {
            let away = (self.now - ghost.note.left) as f64;
            self.trust.blame(
                ghost.queue,
                self.learning_rate * 0.005f64.powf(away / self.room.objects()),
            );
            self.returning = ghost.note.uses;
        }
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        let (slot, _) = *self.named.get_or_insert_with(|| {
            let expert = self.trust.draw(&mut self.draws);
            let least = self.uses.lowest().map_or(NONE, |(slot, _)| slot);
            match (self.recent.oldest(0), least) {
                (oldest, least) if oldest == least => (oldest, None),
                (oldest, _) if expert == Expert::Recency => (oldest, Some(expert)),
                (_, least) => (least, Some(expert)),
            }
        });
        slot
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let uses = self.returning + 1;
        self.recent.push(slot, Member::of(incoming, 0, uses));
        self.uses.rank(slot, uses as f64);
        self.named = None;
    }

    fn on_hit(&mut self, slot: Slot) {
        self.now += 1;
        self.recent.move_to(slot, 0);
        let uses = self.recent.note_mut(slot);
        *uses += 1;
        self.uses.rank(slot, *uses as f64);
        self.named = None;
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let Member {
            key,
            bytes,
            note: uses,
            ..
        } = self.recent.take(slot);
        self.uses.remove(slot);
        if let (Removal::Evicted, Some((_, Some(expert)))) = (why, self.named.take()) {
            let queue = expert as u8;
            let note = Past {
                uses,
                left: self.now,
            };
            self.ghosts.remember_within(
                self.ghost_bytes,
                Member {
                    key,
                    bytes,
                    queue,
                    note,
                },
            );
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.room.resize(capacity);
        self.ghost_bytes = capacity / 2;
        (0..2).for_each(|queue| self.ghosts.trim(queue, self.ghost_bytes));
    }

    fn metadata_bytes(&self) -> u64 {
        self.recent.memory_bytes() + self.uses.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.recent.walk()?, held)?;
        check_held(self.uses.walk()?, held)?;
        self.ghosts.audit()?;
        self.trust.audit()?;
        match (0..2).find(|queue| self.ghosts.bytes(*queue) > self.ghost_bytes) {
            Some(queue) => Err(format!(
                "{} B of ghosts in queue {queue}",
                self.ghosts.bytes(queue)
            )),
            None => Ok(()),
        }
    }
}
