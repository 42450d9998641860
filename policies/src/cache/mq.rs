//! MQ: several LRU queues, one for each doubling of the uses of an object. What is not used for a
//! lifetime moves down a queue, and the lowest queue loses its oldest object.
//!
//! An object is in queue floor(log2(uses)), at most the last. Its uses are remembered for some time
//! after it left. At each use the oldest object of every queue moves down one queue if it was not
//! used, or moved, for a lifetime.
//!
//! Source: Zhou, Philbin and Li, "The Multi-Queue Replacement Algorithm for Second Level Buffer
//! Caches", USENIX ATC 2001.
//! Variant: time is counted in uses of the cache (hits and insertions). The paper sets the lifetime
//! to the distance between two uses of an object that is the most frequent, known beforehand; with
//! `lifetime = 0` it is two uses for each object held. Caffeine's simulator has a lifetime of 75
//! uses and asks the second oldest object of a queue whether the oldest moves down: with `lifetime
//! = 75, ghosts = 0.5` miss ratios differ by at most 0.008, and with that rule by nothing.
//! State: 44 B a slot; about 70 B a ghost.
//! Cost: a use costs O(1), and O(queues) if an object moves down; a miss probes the ghost table
//! once; `victim` O(queues).
//! Invariants: no object is in a higher queue than its uses allow; ghosts stay within their bytes.
//! Weak where: the lifetime is far from the distances that the trace has, since a short one makes
//! it LRU, and a long one LFU.

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "mq",
    about: "an LRU queue for each doubling of the uses (Zhou, Philbin and Li, USENIX ATC 2001)",
    params: describe::<Params>,
    build: |capacity, _seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "queues", params.queues, 1..=QUEUES as u8)?;
        in_range(spec, "ghosts", params.ghosts, 0.0..=10.0)?;
        Ok(Box::new(Mq::new(capacity, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Queues (1 to 16).
    queues: u8,
    /// Uses of the cache after which an object moves down a queue; 0 for two for each object held.
    lifetime: u64,
    /// Bytes of the ghosts, in capacities (0 to 10).
    ghosts: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            queues: 8,
            lifetime: 0,
            ghosts: 4.0,
        }
    }
}

const QUEUES: usize = 16;

/// The uses in a lifetime for each object held, where no lifetime is given.
const LIFETIME_PER_OBJECT: u64 = 2;

/// What is known of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Note {
    uses: u32,
    /// The time after which it moves down a queue.
    until: u64,
}

struct Mq {
    params: Params,
    ghost_bytes_max: u64,
    cached: Queues<QUEUES, Note>,
    /// How many objects are held.
    held: u64,
    /// The objects that left, each with its uses.
    ghosts: Ghosts<1, u32>,
    /// Uses so far.
    now: u64,
    /// No object moves down before this time.
    due: u64,
    /// The earlier uses of the object last missed.
    missed: u32,
}

impl Mq {
    fn new(capacity: u64, params: Params) -> Self {
        Self {
            ghost_bytes_max: ghost_bytes(&params, capacity),
            params,
            cached: Queues::default(),
            held: 0,
            ghosts: Ghosts::default(),
            now: 0,
            due: 0,
            missed: 0,
        }
    }

    /// The time after which an object put into a queue now moves down.
    fn until(&self) -> u64 {
        let lifetime = match self.params.lifetime {
            0 => self.held * LIFETIME_PER_OBJECT,
            fixed => fixed,
        };
        self.now.saturating_add(lifetime)
    }

    /// What is known of an object used `uses` times, the last time now.
    fn note(&mut self, uses: u32) -> Note {
        let until = self.until();
        self.due = self.due.min(until);
        Note { uses, until }
    }

    fn queue_for(&self, uses: u32) -> u8 {
        let doublings = uses.max(1).ilog2() as u8;
        doublings.min(self.params.queues - 1)
    }

    /// One use has passed: moves down the oldest object of each queue, if its time is over.
    fn pass(&mut self) {
        self.now += 1;
        if self.due >= self.now {
            return;
        }
        let until = self.until();
        self.due = until;
        for queue in 1..self.params.queues {
            let slot = self.cached.oldest(queue);
            if slot != NONE && self.cached.member(slot).note.until < self.now {
                self.cached.note_mut(slot).until = until;
                self.cached.move_to(slot, queue - 1);
            }
            let next = self.cached.oldest(queue);
            if next != NONE {
                self.due = self.due.min(self.cached.member(next).note.until);
            }
        }
    }
}

/// The bytes that the ghosts may remember.
fn ghost_bytes(params: &Params, capacity: u64) -> u64 {
    (capacity as f64 * params.ghosts) as u64
}

impl Eviction for Mq {
    fn admit(&mut self, incoming: &Access) -> bool {
        let ghost = self.ghosts.forget(incoming.key);
        self.missed = ghost.map_or(0, |ghost| ghost.note);
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        (0..self.params.queues)
            .map(|queue| self.cached.oldest(queue))
            .find(|slot| *slot != NONE)
            .unwrap_or(NONE)
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        self.held += 1;
        let uses = std::mem::take(&mut self.missed).saturating_add(1);
        let note = self.note(uses);
        let member = Member::of(incoming, self.queue_for(uses), note);
        self.cached.push(slot, member);
        self.pass();
    }

    fn on_hit(&mut self, slot: Slot) {
        let uses = self.cached.member(slot).note.uses.saturating_add(1);
        *self.cached.note_mut(slot) = self.note(uses);
        self.cached.move_to(slot, self.queue_for(uses));
        self.pass();
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        self.held -= 1;
        let Member {
            key, bytes, note, ..
        } = self.cached.take(slot);
        if why == Removal::Evicted {
            let ghost = Member {
                key,
                bytes,
                queue: 0,
                note: note.uses,
            };
            self.ghosts.remember_within(self.ghost_bytes_max, ghost);
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.ghost_bytes_max = ghost_bytes(&self.params, capacity);
        self.ghosts.trim(0, self.ghost_bytes_max);
    }

    fn metadata_bytes(&self) -> u64 {
        self.cached.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.cached.walk()?, held)?;
        self.ghosts.audit()?;
        for slot in held {
            let Member { queue, note, .. } = self.cached.member(*slot);
            if *queue > self.queue_for(note.uses) {
                return Err(format!("slot {slot} is in queue {queue} with {note:?}"));
            }
        }
        if self.ghosts.bytes(0) > self.ghost_bytes_max || self.held != held.len() as u64 {
            return Err(format!(
                "the ghosts remember {} B of {}; {} objects are counted, {} held",
                self.ghosts.bytes(0),
                self.ghost_bytes_max,
                self.held,
                held.len()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{fill, replace};

    fn filled(lifetime: u64) -> Mq {
        let params = Params {
            lifetime,
            ..Params::default()
        };
        let mut mq = Mq::new(4, params);
        fill(&mut mq, 4);
        mq
    }

    #[test]
    fn the_queue_follows_the_uses_and_ghosts_keep_theirs() {
        let mut mq = filled(1000);
        [0, 0, 0, 1].into_iter().for_each(|slot| mq.on_hit(slot));
        let queues = |mq: &Mq| [0, 1, 2, 3].map(|slot| mq.cached.member(slot).queue);
        assert_eq!(queues(&mq), [2, 1, 0, 0], "four, two, one and one use");
        assert_eq!([10, 11].map(|key| replace(&mut mq, key)), [2, 3]);
        assert_eq!(replace(&mut mq, 2), 2, "10 leaves, and 2 returns");
        assert_eq!(queues(&mq), [2, 1, 1, 0], "its second use");
        assert_eq!(mq.audit(&[0, 1, 2, 3]), Ok(()));
    }

    #[test]
    fn an_unused_object_moves_down_a_queue_for_each_lifetime() {
        let mut mq = filled(3);
        [0, 0, 0].into_iter().for_each(|slot| mq.on_hit(slot));
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(mq.cached.member(0).queue);
            mq.on_hit(1);
        }
        assert_eq!(seen, [2, 2, 2, 1, 1, 1, 1, 0, 0]);
        assert_eq!(mq.audit(&[0, 1, 2, 3]), Ok(()));
    }
}
