//! ARC: two LRU lists, of objects seen once and seen again, whose sizes follow the ghosts of each
//! list.
//!
//! Source: Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003,
//! Figure 4.
//! Variant: the target is a real number. With sizes, lengths are bytes, and the bounds are kept as
//! in libCacheSim: one ghost is dropped for each object that leaves. The adaptation step is at
//! least the object's size. With `step = "one"` the paper's floor of 1 is one byte, as in
//! libCacheSim, and the target moves very slowly. With objects of one byte both are the paper's.
//! State: the lists T1 and T2, 32 B a slot; their ghosts B1 and B2, about 60 B a key; the target p
//! for the bytes of T1.
//! Cost: a hit is O(1) without allocation. A miss probes the ghost table once and takes O(1) list
//! steps for each object moved.
//! Invariants: 0 <= p <= c; no key is in two ghost lists. With objects of one size, T1 + B1 <= c
//! and T1 + T2 + B1 + B2 <= 2c. With sizes, the number of ghosts grows only while the bytes are
//! within those bounds.
//! Weak where: a loop a little larger than the cache, as with LRU; sizes enter the lists but not
//! the choice of the victim.

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, same_share};
use crate::entry::{Entry, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "arc",
    about: "recency and frequency lists balanced by ghosts (Megiddo and Modha, FAST 2003)",
    params: describe::<Params>,
    build: |capacity, _seed, spec| {
        params::<Params>(spec)
            .map(|params| Box::new(AdaptiveReplacement::new(capacity, params.step)) as _)
    },
};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The least step of the target at a ghost hit: `object`, the size of the object requested, or
    /// `one` byte.
    #[schemars(with = "String")]
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    #[default]
    Object,
    One,
}

/// The queue of objects seen once (T1, B1) and that of objects seen again (T2, B2).
const RECENT: u8 = 0;
const FREQUENT: u8 = 1;

struct AdaptiveReplacement {
    capacity: u64,
    step: Step,
    /// p: the bytes that T1 should have.
    recent_target: f64,
    cached: Queues<2>,
    ghosts: Ghosts<2>,
    /// The ghost list in which the object last missed was found.
    missed_in: Option<u8>,
    /// Whether T1 + B1 has no room for the object last missed, which would enter T1.
    recent_full: bool,
}

impl AdaptiveReplacement {
    fn new(capacity: u64, step: Step) -> Self {
        Self {
            capacity,
            step,
            recent_target: 0.0,
            cached: Queues::default(),
            ghosts: Ghosts::default(),
            missed_in: None,
            recent_full: false,
        }
    }

    /// The bytes of a list and of its ghosts.
    fn bytes_with_ghosts(&self, queue: u8) -> u64 {
        self.cached.bytes(queue) + self.ghosts.bytes(queue)
    }

    /// Cases II and III: a ghost was requested, so its side deserves more room. The lengths in the
    /// ratio still count the ghost.
    fn adapt(&mut self, ghost: &Member<()>, bytes: u64) {
        let own = self.ghosts.bytes(ghost.queue) + ghost.bytes;
        let other = self.ghosts.bytes(1 - ghost.queue);
        let floor = match self.step {
            Step::Object => bytes as f64,
            Step::One => 1.0,
        };
        let step = floor * (other as f64 / own as f64).max(1.0);
        let target = self.recent_target + if ghost.queue == RECENT { step } else { -step };
        self.recent_target = target.clamp(0.0, self.capacity as f64);
    }

    /// Drops ghosts until the lists keep the bounds of the paper.
    fn trim(&mut self) {
        while self.bytes_with_ghosts(RECENT) > self.capacity && self.ghosts.drop_oldest(RECENT) {}
        while self.bytes_with_ghosts(RECENT) + self.bytes_with_ghosts(FREQUENT) > 2 * self.capacity
            && (self.ghosts.drop_oldest(FREQUENT) || self.ghosts.drop_oldest(RECENT))
        {}
    }
}

impl Eviction for AdaptiveReplacement {
    fn admit(&mut self, incoming: &Access) -> bool {
        let ghost = self.ghosts.forget(incoming.key);
        self.missed_in = ghost.map(|ghost| ghost.queue);
        if let Some(ghost) = ghost {
            self.adapt(&ghost, incoming.bytes);
        }
        true
    }

    fn victim(&mut self, incoming: &Access) -> Slot {
        self.recent_full = self.missed_in.is_none()
            && self.bytes_with_ghosts(RECENT) + incoming.bytes > self.capacity;
        let recent_bytes = self.cached.bytes(RECENT);
        if recent_bytes > 0 && self.recent_full && self.ghosts.bytes(RECENT) == 0 {
            // T1 alone fills its half of the directory: its oldest object leaves, and no ghost.
            return self.cached.oldest(RECENT);
        }
        let over_target = recent_bytes as f64 > self.recent_target
            || (recent_bytes as f64 >= self.recent_target && self.missed_in == Some(FREQUENT));
        let from_recent = self.cached.is_empty(FREQUENT) || (recent_bytes > 0 && over_target);
        self.cached
            .oldest(if from_recent { RECENT } else { FREQUENT })
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let queue = if self.missed_in.take().is_some() {
            FREQUENT
        } else {
            RECENT
        };
        self.cached.push(slot, Member::of(incoming, queue, ()));
    }

    fn on_hit(&mut self, slot: Slot) {
        self.cached.move_to(slot, FREQUENT);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let member = self.cached.take(slot);
        if why == Removal::Died {
            return;
        }
        if self.recent_full {
            if self.ghosts.drop_oldest(RECENT) {
                self.ghosts.remember(member);
            }
            return;
        }
        let directory =
            self.bytes_with_ghosts(RECENT) + self.bytes_with_ghosts(FREQUENT) + member.bytes;
        if self.missed_in.is_none() && directory >= 2 * self.capacity {
            self.ghosts.drop_oldest(FREQUENT);
        }
        self.ghosts.remember(member);
    }

    fn resize(&mut self, capacity: u64) {
        if capacity != self.capacity {
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

    fn policy(capacity: u64) -> AdaptiveReplacement {
        AdaptiveReplacement::new(capacity, Step::Object)
    }

    #[test]
    fn a_ghost_hit_moves_the_target_and_goes_to_the_frequent_list() {
        let mut arc = policy(2);
        fill(&mut arc, 2);
        arc.on_hit(0);
        assert_eq!(
            replace(&mut arc, 7),
            1,
            "T1 is over its target of 0: its only object goes to B1"
        );
        assert_eq!(arc.recent_target, 0.0);
        assert_eq!(arc.ghosts.bytes(RECENT), 1);
        assert_eq!(arc.ghosts.bytes(FREQUENT), 0);
        assert_eq!(
            replace(&mut arc, 1),
            0,
            "T1 is at its target now, so T2 gives way"
        );
        assert_eq!(arc.recent_target, 1.0);
        assert_eq!(arc.ghosts.bytes(RECENT), 0);
        assert_eq!(arc.ghosts.bytes(FREQUENT), 1);
        assert_eq!(
            (arc.cached.bytes(RECENT), arc.cached.bytes(FREQUENT)),
            (1, 1)
        );
        assert_eq!(arc.audit(&[0, 1]), Ok(()));
    }

    #[test]
    fn a_full_recent_list_and_an_object_that_died_leave_no_ghost() {
        let mut arc = policy(2);
        fill(&mut arc, 2);
        assert_eq!(replace(&mut arc, 9), 0);
        arc.on_remove(1, Removal::Died);
        assert_eq!(arc.ghosts.bytes(RECENT) + arc.ghosts.bytes(FREQUENT), 0);
        assert_eq!(arc.audit(&[0]), Ok(()));
    }

    #[test]
    fn objects_of_one_size_keep_the_bounds_of_the_paper() {
        let mut arc = policy(8);
        fill(&mut arc, 8);
        let mut keys: Vec<u64> = (0..8).collect();
        for i in 0_u64..5000 {
            let key = (i * i / 7) % 23;
            match keys.iter().position(|held| *held == key) {
                Some(slot) => arc.on_hit(slot as Slot),
                None => keys[replace(&mut arc, key) as usize] = key,
            }
            let recent = arc.bytes_with_ghosts(RECENT);
            let frequent = arc.bytes_with_ghosts(FREQUENT);
            assert!(
                recent <= 8 && recent + frequent <= 16,
                "request {i}: T1 + B1 = {recent}, T2 + B2 = {frequent}"
            );
        }
        assert_eq!(arc.audit(&[0, 1, 2, 3, 4, 5, 6, 7]), Ok(()));
    }

    #[test]
    fn the_step_is_the_object_or_one() {
        for (step, target) in [(Step::Object, 3.0), (Step::One, 1.0)] {
            let mut arc = AdaptiveReplacement::new(6, step);
            for (slot, key) in [(0, 1), (1, 2)] {
                assert!(arc.admit(&Access::sized(key, 3)));
                arc.on_insert(slot, &Access::sized(key, 3));
            }
            arc.on_hit(1);
            assert_eq!(arc.victim(&Access::sized(3, 3)), 0);
            arc.on_remove(0, Removal::Evicted);
            assert!(arc.admit(&Access::sized(1, 3)));
            assert_eq!(arc.recent_target, target, "{step:?}");
        }
    }
}
