//! Two choices: of two objects drawn at random, the one used longer ago leaves.
//!
//! Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 2001,
//! for the idea; Redis approximates LRU in this way with more draws.
//! State: the held slots in any order with their last uses, and the place of each (24 B per slot).
//! Cost: every call O(1).
//! Invariants: `places` and `held` are inverse to one another.
//! Weak where: objects are requested once, since a hit is all that it learns from. Strong on loops
//! larger than the cache, where LRU hits nothing.

use aura_policies::cache::{Access, Build, Eviction, Removal, Slot, check_held};
use aura_policies::entry::{Entry, NoParams, describe, params};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What the family learns of the policy.
pub(crate) static ENTRY: Entry<Build> = Entry {
    name: "two-choices",
    about: "of two objects drawn at random, the one used longer ago leaves",
    params: describe::<NoParams>,
    build: |_capacity_bytes, seed, spec| {
        params::<NoParams>(spec)?;
        Ok(Box::new(TwoChoices {
            held: Vec::new(),
            places: Vec::new(),
            now: 0,
            victim: None,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
        }))
    },
};

#[derive(Clone, Copy)]
struct Held {
    slot: Slot,
    /// The time of its last use.
    used: u64,
}

struct TwoChoices {
    held: Vec<Held>,
    /// By slot: where it lies in `held`, as long as it is held.
    places: Vec<usize>,
    /// The slot named last, until something else happens: asked again, it is named again.
    victim: Option<Slot>,
    /// Uses so far.
    now: u64,
    generator: Xoshiro256PlusPlus,
}

impl TwoChoices {
    fn draw(&mut self) -> Held {
        let place = self.generator.random_range(0..self.held.len());
        self.held[place]
    }
}

impl Eviction for TwoChoices {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        if let Some(slot) = self.victim {
            return slot;
        }
        let [one, other] = [self.draw(), self.draw()];
        let older = if one.used <= other.used { one } else { other };
        self.victim = Some(older.slot);
        older.slot
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        self.victim = None;
        let slots = slot as usize + 1;
        if self.places.len() < slots {
            self.places.resize(slots, 0);
        }
        self.places[slot as usize] = self.held.len();
        self.now += 1;
        self.held.push(Held {
            slot,
            used: self.now,
        });
    }

    fn on_hit(&mut self, slot: Slot) {
        self.victim = None;
        self.now += 1;
        self.held[self.places[slot as usize]].used = self.now;
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.victim = None;
        let place = self.places[slot as usize];
        self.held.swap_remove(place);
        if let Some(moved) = self.held.get(place) {
            self.places[moved.slot as usize] = place;
        }
    }

    fn metadata_bytes(&self) -> u64 {
        let held = self.held.capacity() * size_of::<Held>();
        let places = self.places.capacity() * size_of::<usize>();
        (held + places) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        let slots: Vec<Slot> = self.held.iter().map(|held| held.slot).collect();
        for (place, slot) in slots.iter().enumerate() {
            if self.places[*slot as usize] != place {
                return Err(format!(
                    "slot {slot} lies at {place}, which is not its place"
                ));
            }
        }
        check_held(slots, held)
    }
}
