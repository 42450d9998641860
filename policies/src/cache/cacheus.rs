//! CACHEUS: two experts, scan-resistant LRU and churn-resistant LFU, drawn by a trust whose
//! learning rate adapts.
//!
//! SR-LRU keeps reused objects in a stack. New objects, and those that the stack demotes, are in a
//! scratch queue, from which it evicts. The scratch queue grows when an object that was evicted
//! while new returns; the stack grows when a demoted object is hit. CR-LFU evicts the least used
//! object, and of equal ones the most recent, so it keeps a part of a loop that does not fit. Once
//! in c requests, where c objects fit in the cache, the learning rate moves on in the direction
//! that last raised the hit ratio.
//!
//! Variant: the authors' program, which differs from the paper in details. A returning object keeps
//! its use count without the new use, and each queue of ghosts holds half the capacity. With sizes,
//! limits and ghosts are counted in bytes, and a boundary moves by the size of the object that
//! moves it. On two traces miss ratios are 0.012 lower to 0.017 higher than the program's; seeds
//! differ by about 0.001. libCacheSim's is another variant, 0.02 from the program on average.
//! Source: Rodriguez et al., "Learning Cache Replacement with CACHEUS", FAST 2021.
//! State: 76 B a slot and about 80 B a ghost; the ghosts are at most the capacity.
//! Cost: O(log slots) an event.
//! Invariants: the trust in each expert is between 0.01 and 0.99, and the learning rate between
//! 0.001 and 1 once it has moved. `demoted` and `new_ghosts` are the numbers of objects and ghosts
//! so marked.
//! Weak where: the cache is large and the trace short, since it learns once in c requests.

use super::experts::{Expert, Room, Trust};
use super::ghosts::Ghosts;
use super::heap::Heap;
use super::learning_rate::LearningRate;
use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, same_share};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "cacheus",
    about: "scan-resistant LRU and churn-resistant LFU as experts (Rodriguez et al., FAST 2021)",
    params: describe::<NoParams>,
    build: |capacity, seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(Cacheus::new(capacity, seed)) as _)
    },
};

/// The queue of reused objects.
const STACK: u8 = 0;
/// The queue of new and demoted objects.
const SCRATCH: u8 = 1;

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    uses: u64,
    demoted: bool,
    /// Whether it entered while the scratch queue was full, and not from a ghost.
    new: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Past {
    uses: u64,
    new: bool,
}

/// The place that the missing object will get.
#[derive(Clone, Copy, Debug, Default)]
struct Placement {
    queue: u8,
    uses: u64,
    new: bool,
    /// Whether the stack is cut to its limit afterwards.
    cut: bool,
}

struct Cacheus {
    capacity: u64,
    draws: SplitMix64,
    trust: Trust,
    room: Room,
    learning: Option<LearningRate>,
    queues: Queues<2, Note>,
    /// By use count; of equal ones, the most recent first.
    uses: Heap,
    ghosts: Ghosts<2, Past>,
    stack_limit: u64,
    demoted: u64,
    new_ghosts: u64,
    placement: Placement,
    /// The victim, once drawn, and the expert responsible for it.
    named: Option<(Slot, Option<Expert>)>,
}

/// The stack's limit at the start: the scratch queue has a hundredth.
fn first_stack_limit(capacity: u64) -> u64 {
    capacity
        - ((capacity as f64 * 0.01).round() as u64)
            .max(1)
            .min(capacity)
}

impl Cacheus {
    fn new(capacity: u64, seed: u64) -> Self {
        Self {
            capacity,
            draws: SplitMix64::new(seed),
            trust: Trust::default(),
            room: Room::new(capacity),
            learning: None,
            queues: Queues::default(),
            uses: Heap::default(),
            ghosts: Ghosts::default(),
            stack_limit: first_stack_limit(capacity),
            demoted: 0,
            new_ghosts: 0,
            placement: Placement::default(),
            named: None,
        }
    }

    /// A request begins.
    fn tick(&mut self) {
        self.named = None;
        let objects = self.room.objects();
        self.learning
            .get_or_insert_with(|| LearningRate::new(objects))
            .tick(objects, &mut self.draws);
    }

    fn blame(&mut self, ghosts: u8) {
        let loss = self.learning.as_ref().map_or(0.0, LearningRate::rate);
        self.trust.blame(ghosts, loss);
    }

    /// Moves the boundary in favour of the stack or of the scratch queue, by `bytes`.
    fn move_boundary(&mut self, to_stack: bool, bytes: u64) {
        let (for_it, against) = if to_stack {
            (self.new_ghosts, self.demoted)
        } else {
            (self.demoted, self.new_ghosts)
        };
        let objects = (for_it as f64 / against.max(1) as f64).round().max(1.0) as u64;
        let step = objects.saturating_mul(bytes);
        let most = self.capacity.saturating_sub(1);
        self.stack_limit = match to_stack {
            true => self.stack_limit.saturating_add(step).min(most),
            false => {
                self.capacity
                    - (self.capacity - self.stack_limit)
                        .saturating_add(step)
                        .min(most)
            }
        };
    }

    fn place(&mut self, incoming: &Access) -> Placement {
        if let Some(ghost) = self.ghosts.forget(incoming.key) {
            if ghost.queue == Expert::Recency as u8 && ghost.note.new {
                self.new_ghosts -= 1;
                self.move_boundary(false, incoming.bytes);
            }
            self.blame(ghost.queue);
            return Placement {
                queue: STACK,
                uses: ghost.note.uses,
                new: false,
                cut: true,
            };
        }
        let stack = self.queues.bytes(STACK);
        let scratch = self.queues.bytes(SCRATCH);
        let fits = |held: u64, limit: u64| held.saturating_add(incoming.bytes) <= limit;
        if fits(stack, self.stack_limit) && self.queues.is_empty(SCRATCH) {
            Placement {
                queue: STACK,
                uses: 1,
                new: false,
                cut: false,
            }
        } else if fits(stack + scratch, self.capacity)
            && fits(scratch, self.capacity - self.stack_limit)
        {
            Placement {
                queue: SCRATCH,
                uses: 1,
                new: false,
                cut: false,
            }
        } else {
            Placement {
                queue: SCRATCH,
                uses: 1,
                new: true,
                cut: true,
            }
        }
    }

    fn demote_oldest(&mut self) {
        let slot = self.queues.oldest(STACK);
        self.queues.move_to(slot, SCRATCH);
        self.queues.note_mut(slot).demoted = true;
        self.demoted += 1;
    }

    fn remember(&mut self, ghost: Member<Past>) {
        let recency = Expert::Recency as u8;
        self.new_ghosts += u64::from(ghost.queue == recency && ghost.note.new);
        // Two objects may share a key.
        if let Some(earlier) = self.ghosts.forget(ghost.key) {
            self.new_ghosts -= u64::from(earlier.queue == recency && earlier.note.new);
        }
        self.ghosts.remember(ghost);
        self.trim(ghost.queue);
    }

    /// Drops the oldest ghosts of `queue` until they are at most half the capacity.
    fn trim(&mut self, queue: u8) {
        while self.ghosts.bytes(queue) > self.capacity / 2 {
            let Some(dropped) = self.ghosts.pop_oldest(queue) else {
                return;
            };
            let counted = queue == Expert::Recency as u8 && dropped.note.new;
            self.new_ghosts -= u64::from(counted);
        }
    }
}

impl Eviction for Cacheus {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.room.note_miss(incoming.bytes);
        self.tick();
        self.placement = self.place(incoming);
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        let (slot, _) = *self.named.get_or_insert_with(|| {
            let expert = self.trust.draw(&mut self.draws);
            let oldest = match self.queues.oldest(SCRATCH) {
                NONE => self.queues.oldest(STACK),
                oldest => oldest,
            };
            match self.uses.lowest().map_or(NONE, |(slot, _)| slot) {
                least if oldest == least => (oldest, None),
                _ if expert == Expert::Recency => (oldest, Some(expert)),
                least => (least, Some(expert)),
            }
        });
        slot
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let Placement {
            queue,
            uses,
            new,
            cut,
        } = self.placement;
        let note = Note {
            uses,
            demoted: false,
            new,
        };
        self.queues.push(slot, Member::of(incoming, queue, note));
        self.uses.rank_first(slot, uses as f64);
        while cut && self.queues.bytes(STACK) >= self.stack_limit && !self.queues.is_empty(STACK) {
            self.demote_oldest();
        }
        self.named = None;
    }

    fn on_hit(&mut self, slot: Slot) {
        self.tick();
        if let Some(learning) = &mut self.learning {
            learning.note_hit();
        }
        let note = self.queues.note_mut(slot);
        note.uses += 1;
        self.uses.rank_first(slot, note.uses as f64);
        let Member {
            bytes, queue, note, ..
        } = *self.queues.member(slot);
        if queue == SCRATCH {
            if note.demoted {
                self.move_boundary(true, bytes);
                self.queues.note_mut(slot).demoted = false;
                self.demoted -= 1;
            }
            while self.queues.bytes(STACK) + bytes > self.stack_limit
                && !self.queues.is_empty(STACK)
            {
                self.demote_oldest();
            }
        }
        self.queues.move_to(slot, STACK);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let Member {
            key, bytes, note, ..
        } = self.queues.take(slot);
        self.uses.remove(slot);
        self.demoted -= u64::from(note.demoted);
        if let (Removal::Evicted, Some((_, Some(expert)))) = (why, self.named.take()) {
            self.remember(Member {
                key,
                bytes,
                queue: expert as u8,
                note: Past {
                    uses: note.uses,
                    new: note.new,
                },
            });
        }
    }

    /// The boundary keeps its share. What the stack has above its limit is demoted.
    fn resize(&mut self, capacity: u64) {
        if capacity == self.capacity {
            return;
        }
        let moved = self.stack_limit != first_stack_limit(self.capacity);
        self.stack_limit = if moved {
            let limit = same_share(self.stack_limit as f64, self.capacity, capacity);
            (limit as u64).min(capacity.saturating_sub(1))
        } else {
            first_stack_limit(capacity)
        };
        self.capacity = capacity;
        self.room.resize(capacity);
        (0..2).for_each(|queue| self.trim(queue));
        while self.queues.bytes(STACK) > self.stack_limit {
            self.demote_oldest();
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.queues.memory_bytes() + self.uses.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queues.walk()?, held)?;
        check_held(self.uses.walk()?, held)?;
        self.ghosts.audit()?;
        self.trust.audit()?;
        let demoted = held
            .iter()
            .filter(|slot| self.queues.member(**slot).note.demoted)
            .count() as u64;
        if demoted != self.demoted
            || self.new_ghosts > self.ghosts.len(Expert::Recency as u8) as u64
        {
            return Err(format!(
                "{demoted} objects are demoted, {} counted; {} new ghosts",
                self.demoted, self.new_ghosts
            ));
        }
        match (0..2).find(|queue| self.ghosts.bytes(*queue) > self.capacity / 2) {
            Some(queue) => Err(format!(
                "{} B of ghosts in queue {queue}",
                self.ghosts.bytes(queue)
            )),
            None => Ok(()),
        }
    }
}
