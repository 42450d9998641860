//! LRU-K: the object whose K-th last use is the longest ago leaves.
//!
//! An object used fewer than K times leaves before all others; of several, the least recently used
//! one. The times of an object's uses are remembered after it left: without them an object with a
//! gap longer than its stay would never reach K uses.
//!
//! Source: O'Neil, O'Neil and Weikum, "The LRU-K Page Replacement Algorithm for Database Disk
//! Buffering", SIGMOD 1993.
//! Variant: uses of an object within `correlated` uses of the cache, for each object held, count as
//! one, and an object used so lately leaves only if there is no other; this is the paper's
//! correlated reference period. The paper keeps the history of an object for a time; here the
//! objects remembered have at most `ghosts` capacities of bytes, and the one that left first is
//! forgotten first.
//! State: 76 B a slot, and up to 28 B for its place in a heap; about 100 B a ghost.
//! Cost: O(log slots) a use of an object with K uses, otherwise O(1) amortised; a miss probes the
//! ghost table once.
//! Invariants: the objects not used lately are in one queue by their last use if they have fewer
//! than K uses, and in the heap by their K-th last use otherwise; ghosts stay within their bytes.
//! Weak where: popularity changes, since with K above 2 an object must be used K times again.

use super::ghosts::Ghosts;
use super::heap::Heap;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lru-k",
    about: "the object whose K-th last use is longest ago leaves (O'Neil et al., SIGMOD 1993)",
    params: describe::<Params>,
    build: |capacity, _seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "k", params.k, 1..=K_MAX)?;
        in_range(spec, "correlated", params.correlated, 0.0..=10.0)?;
        in_range(spec, "ghosts", params.ghosts, 0.0..=10.0)?;
        Ok(Box::new(LruK::new(capacity, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Uses that decide (1 to 4); 1 is LRU.
    k: usize,
    /// Uses for each object held within which two uses of one object count as one (0 to 10).
    correlated: f64,
    /// Bytes of the ghosts, in capacities (0 to 10).
    ghosts: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            k: 2,
            correlated: 0.1,
            ghosts: 1.0,
        }
    }
}

const K_MAX: usize = 4;

/// The times of an object's last uses, the last first; 0 stands for none. Correlated uses count as
/// the first of them.
type Times = [u64; K_MAX];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Note {
    times: Times,
    /// The time of the last use of all.
    used: u64,
}

struct LruK {
    params: Params,
    ghost_bytes_max: u64,
    /// All objects held, in the queues `RECENT`, `FEW` and `MANY`.
    cached: Queues<3, Note>,
    held: usize,
    /// The objects of `MANY`, by their K-th last use.
    many: Heap,
    ghosts: Ghosts<1, Times>,
    /// Uses so far.
    now: u64,
    /// The times of the object last missed.
    missed: Times,
}

/// Used too lately to leave, by the last use.
const RECENT: u8 = 0;
/// Used fewer than K times, by the last use.
const FEW: u8 = 1;
/// Used K times.
const MANY: u8 = 2;

impl LruK {
    fn new(capacity: u64, params: Params) -> Self {
        Self {
            ghost_bytes_max: (capacity as f64 * params.ghosts) as u64,
            params,
            cached: Queues::default(),
            held: 0,
            many: Heap::default(),
            ghosts: Ghosts::default(),
            now: 0,
            missed: Times::default(),
        }
    }

    /// Uses within which two uses of an object are correlated.
    fn period(&self) -> u64 {
        (self.held as f64 * self.params.correlated) as u64
    }

    /// Moves the objects whose last use is longer ago than the period to where their uses put them.
    fn settle(&mut self) {
        let period = self.period();
        loop {
            let slot = self.cached.oldest(RECENT);
            if slot == NONE || self.now - self.cached.member(slot).note.used < period {
                return;
            }
            match self.cached.member(slot).note.times[self.params.k - 1] {
                0 => self.cached.move_to(slot, FEW),
                decisive => {
                    self.cached.move_to(slot, MANY);
                    self.many.rank(slot, decisive as f64);
                }
            }
        }
    }
}

/// `before` with one more use, at `now`.
fn with_use(before: Times, now: u64) -> Times {
    let mut times = before;
    times.rotate_right(1);
    times[0] = now;
    times
}

/// The times of an object after a series of correlated uses that took `by`, which counts as if it
/// had taken no time.
fn shifted(times: Times, by: u64) -> Times {
    times.map(|time| if time == 0 { 0 } else { time + by })
}

impl Eviction for LruK {
    fn admit(&mut self, incoming: &Access) -> bool {
        let ghost = self.ghosts.forget(incoming.key);
        self.missed = ghost.map_or(Times::default(), |ghost| ghost.note);
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        let many = || self.many.lowest().map(|(slot, _)| slot);
        match self.cached.oldest(FEW) {
            NONE => many().unwrap_or_else(|| self.cached.oldest(RECENT)),
            slot => slot,
        }
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        self.now += 1;
        self.held += 1;
        let note = Note {
            times: with_use(std::mem::take(&mut self.missed), self.now),
            used: self.now,
        };
        self.cached.push(slot, Member::of(incoming, RECENT, note));
        self.settle();
    }

    fn on_hit(&mut self, slot: Slot) {
        self.now += 1;
        let now = self.now;
        let period = self.period();
        let note = self.cached.note_mut(slot);
        if now - note.used > period {
            let series = note.used - note.times[0];
            note.times = with_use(shifted(note.times, series), now);
        }
        note.used = now;
        if self.cached.member(slot).queue == MANY {
            self.many.remove(slot);
        }
        self.cached.move_to(slot, RECENT);
        self.settle();
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        self.held -= 1;
        let Member {
            key,
            bytes,
            queue,
            note,
        } = self.cached.take(slot);
        if queue == MANY {
            self.many.remove(slot);
        }
        if why == Removal::Evicted {
            let ghost = Member {
                key,
                bytes,
                queue: 0,
                note: note.times,
            };
            self.ghosts.remember_within(self.ghost_bytes_max, ghost);
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.ghost_bytes_max = (capacity as f64 * self.params.ghosts) as u64;
        self.ghosts.trim(0, self.ghost_bytes_max);
    }

    fn metadata_bytes(&self) -> u64 {
        self.cached.memory_bytes() + self.many.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.cached.walk()?, held)?;
        self.ghosts.audit()?;
        let many = held
            .iter()
            .copied()
            .filter(|slot| self.cached.member(*slot).queue == MANY);
        check_held(self.many.walk()?, &many.collect::<Vec<_>>())?;
        for slot in held {
            let Member { note, queue, .. } = self.cached.member(*slot);
            let uses = note.times.iter().filter(|time| **time > 0).count();
            let settled = *queue == RECENT || (*queue == MANY) == (uses >= self.params.k);
            if !settled || !note.times.is_sorted_by(|a, b| a >= b) {
                return Err(format!("slot {slot} is in queue {queue} with {note:?}"));
            }
        }
        if self.ghosts.bytes(0) > self.ghost_bytes_max {
            return Err(format!(
                "the ghosts remember {} B, over {}",
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

    fn uncorrelated() -> Params {
        Params {
            correlated: 0.0,
            ..Params::default()
        }
    }

    #[test]
    fn one_use_leaves_before_two_and_the_older_second_use_before_the_later() {
        let mut policy = LruK::new(4, uncorrelated());
        fill(&mut policy, 4);
        [1, 0, 0, 3]
            .into_iter()
            .for_each(|slot| policy.on_hit(slot));
        assert_eq!(replace(&mut policy, 10), 2, "used once");
        assert_eq!(replace(&mut policy, 11), 2, "as is the one in its place");
        assert_eq!(replace(&mut policy, 2), 2, "2 returns: its second use");
        // The last uses but one: slot 1 at time 2, slot 2 at 3, slot 3 at 4, slot 0 at 6.
        assert_eq!(replace(&mut policy, 12), 1);
        assert_eq!(policy.audit(&[0, 1, 2, 3]), Ok(()));
    }

    #[test]
    fn correlated_uses_are_one_and_an_object_used_lately_stays() {
        let params = Params {
            correlated: 0.5,
            ..Params::default()
        };
        let mut policy = LruK::new(4, params);
        fill(&mut policy, 4);
        [3, 3, 0].into_iter().for_each(|slot| policy.on_hit(slot));
        let times = |slot| policy.cached.member(slot).note.times;
        assert_eq!(times(3), [4, 0, 0, 0], "used at 4, 5 and 6, which is once");
        assert_eq!(times(0), [7, 1, 0, 0], "used at 1 and 7");
        assert_eq!([10, 11].map(|key| replace(&mut policy, key)), [1, 2]);
        assert_eq!(replace(&mut policy, 12), 3);
        assert_eq!(policy.audit(&[0, 1, 2, 3]), Ok(()));
        policy.on_hit(1);
        assert_eq!(
            policy.cached.member(1).note.times,
            [11, 8, 0, 0],
            "key 10 entered at 8"
        );
    }

    #[test]
    fn the_ghosts_are_bounded_by_bytes() {
        let mut policy = LruK::new(4, Params::default());
        fill(&mut policy, 4);
        for key in 10..1000 {
            replace(&mut policy, key);
            assert_eq!(policy.audit(&[0, 1, 2, 3]), Ok(()));
        }
        assert_eq!(policy.ghosts.len(0), 4);
        policy.resize(2);
        assert_eq!(policy.ghosts.len(0), 2);
    }
}
