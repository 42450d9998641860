//! CAR: ARC with clocks in place of lists, so that a hit moves nothing.
//!
//! Source: Bansal and Modha, "CAR: Clock with Adaptive Replacement", FAST 2004, Figure 2.
//! Variant: the ratio of the ghost lists is rounded down, as in Caffeine's simulator. With sizes,
//! lengths are bytes, the adaptation step is the object's size times the ratio, and ghosts are
//! dropped until the bounds hold. With objects of one byte it is the paper's CAR.
//! State: the clocks T1 and T2 with a reference bit, 40 B a slot; their ghosts B1 and B2, about 60
//! B a key; the target p for the bytes of T1.
//! Cost: a hit sets a bit; a miss probes the ghost table once; `victim` is O(1) amortised, because
//! each slot it moves was hit before.
//! Invariants: T1 + B1 <= c; T1 + T2 + B1 + B2 <= 2c; 0 <= p <= c; no key is in two ghost lists.
//! Weak where: two hits in quick succession count as proof of worth, as in ARC; a loop larger than
//! the cache.

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, same_share};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "car",
    about: "ARC's adaptation over two clocks (Bansal and Modha, FAST 2004)",
    params: describe::<NoParams>,
    build: |capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Car::new(capacity)) as _)
    },
};

/// The clock of objects seen once (T1, B1) and that of objects seen again (T2, B2).
const RECENT: u8 = 0;
const FREQUENT: u8 = 1;

struct Car {
    capacity: u64,
    /// p: the bytes that T1 should have.
    recent_target: f64,
    /// The objects held, each with its reference bit.
    cached: Queues<2, bool>,
    ghosts: Ghosts<2, bool>,
    /// The victim named for the object last missed, or `NONE`.
    named: Slot,
}

impl Car {
    fn new(capacity: u64) -> Self {
        Self {
            capacity,
            recent_target: 0.0,
            cached: Queues::default(),
            ghosts: Ghosts::default(),
            named: NONE,
        }
    }

    /// Returns the oldest object of the clock that is over its target. Older ones whose bit is set
    /// go to T2 first.
    fn sweep(&mut self) -> Slot {
        loop {
            let recent_over = self.cached.bytes(RECENT) as f64 >= self.recent_target.max(1.0);
            let queue = if recent_over || self.cached.is_empty(FREQUENT) {
                RECENT
            } else {
                FREQUENT
            };
            let slot = self.cached.oldest(queue);
            if !std::mem::take(self.cached.note_mut(slot)) {
                return slot;
            }
            self.cached.move_to(slot, FREQUENT);
        }
    }

    /// A ghost was requested, so its side deserves more room. The lengths in the ratio still count
    /// the ghost.
    fn adapt(&mut self, ghost: &Member<bool>, bytes: u64) {
        let own = self.ghosts.bytes(ghost.queue) + ghost.bytes;
        let other = self.ghosts.bytes(1 - ghost.queue);
        let step = bytes as f64 * ((other / own) as f64).max(1.0);
        let target = self.recent_target + if ghost.queue == RECENT { step } else { -step };
        self.recent_target = target.clamp(0.0, self.capacity as f64);
    }

    /// Drops ghosts until the lists keep their bounds.
    fn trim(&mut self) {
        while self.bytes_with_ghosts(RECENT) > self.capacity && self.ghosts.drop_oldest(RECENT) {}
        while self.bytes_with_ghosts(RECENT) + self.bytes_with_ghosts(FREQUENT) > 2 * self.capacity
            && (self.ghosts.drop_oldest(FREQUENT) || self.ghosts.drop_oldest(RECENT))
        {}
    }

    /// The bytes of a clock and of its ghosts.
    fn bytes_with_ghosts(&self, queue: u8) -> u64 {
        self.cached.bytes(queue) + self.ghosts.bytes(queue)
    }
}

impl Eviction for Car {
    fn admit(&mut self, _incoming: &Access) -> bool {
        self.named = NONE;
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE {
            self.named = self.sweep();
        }
        self.named
    }

    /// The target moves here and not earlier: the paper makes room first.
    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let ghost = self.ghosts.forget(incoming.key);
        if let Some(ghost) = &ghost {
            self.adapt(ghost, incoming.bytes);
        }
        let queue = if ghost.is_some() { FREQUENT } else { RECENT };
        self.cached.push(slot, Member::of(incoming, queue, false));
        self.trim();
    }

    fn on_hit(&mut self, slot: Slot) {
        *self.cached.note_mut(slot) = true;
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        self.named = NONE;
        let member = self.cached.take(slot);
        if why == Removal::Evicted {
            self.ghosts.remember(member);
            // Changes nothing unless the cache is larger than its capacity, after a resize.
            self.trim();
        }
    }

    fn resize(&mut self, capacity: u64) {
        if capacity != self.capacity {
            self.named = NONE;
            self.recent_target = same_share(self.recent_target, self.capacity, capacity);
            self.capacity = capacity;
            self.trim();
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.cached.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.cached.walk()?, held)?;
        self.ghosts.audit()?;
        let recent = self.bytes_with_ghosts(RECENT);
        let frequent = self.bytes_with_ghosts(FREQUENT);
        if recent > self.capacity || recent + frequent > 2 * self.capacity {
            return Err(format!(
                "T1 + B1 = {recent} B and T2 + B2 = {frequent} B, with c = {} B",
                self.capacity
            ));
        }
        if !(0.0..=self.capacity as f64).contains(&self.recent_target) {
            return Err(format!(
                "the target {} is outside 0..={}",
                self.recent_target, self.capacity
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
    fn a_bit_leads_to_the_second_clock_and_a_ghost_moves_the_target() {
        let mut car = Car::new(3);
        fill(&mut car, 3);
        car.on_hit(0);
        assert_eq!(replace(&mut car, 7), 1, "0 goes to T2");
        assert_eq!(
            (car.cached.bytes(FREQUENT), car.ghosts.bytes(RECENT)),
            (1, 1)
        );
        assert_eq!(replace(&mut car, 1), 2);
        assert_eq!(
            (car.recent_target, car.cached.member(2).queue),
            (1.0, FREQUENT)
        );
        assert_eq!(car.audit(&[0, 1, 2]), Ok(()));
    }
}
