//! Random: evicts any held object, each with the same probability.
//!
//! Source: Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", IBM Systems
//! Journal 1966, where it is the baseline RAND.
//! State: the held slots in any order, and the place of each (12 B per slot).
//! Cost: every call O(1).
//! Invariants: `places` and `held` are inverse to one another.
//! Weak where: some objects are requested more often than others. Strong on loops larger than the
//! cache, where LRU hits nothing.

use aura_policies::cache::{Access, Build, Eviction, Removal, Slot, check_held};
use aura_policies::entry::{Entry, NoParams, describe, params};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What the family learns of the policy.
pub(crate) static ENTRY: Entry<Build> = Entry {
    name: "random",
    about: "evicts any object, each with the same probability (Belady, 1966)",
    params: describe::<NoParams>,
    build: |_capacity_bytes, seed, spec| {
        params::<NoParams>(spec)?;
        Ok(Box::new(Random {
            held: Vec::new(),
            places: Vec::new(),
            victim: None,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
        }))
    },
};

struct Random {
    held: Vec<Slot>,
    /// By slot: where it lies in `held`, as long as it is held.
    places: Vec<usize>,
    /// The slot named last, until something else happens: asked again, it is named again.
    victim: Option<Slot>,
    generator: Xoshiro256PlusPlus,
}

impl Eviction for Random {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        *self.victim.get_or_insert_with(|| {
            let place = self.generator.random_range(0..self.held.len());
            self.held[place]
        })
    }

    fn on_insert(&mut self, slot: Slot, _incoming: &Access) {
        self.victim = None;
        let slots = slot as usize + 1;
        if self.places.len() < slots {
            self.places.resize(slots, 0);
        }
        self.places[slot as usize] = self.held.len();
        self.held.push(slot);
    }

    fn on_hit(&mut self, _slot: Slot) {
        self.victim = None;
    }

    fn on_remove(&mut self, slot: Slot, _why: Removal) {
        self.victim = None;
        let place = self.places[slot as usize];
        self.held.swap_remove(place);
        if let Some(moved) = self.held.get(place) {
            self.places[*moved as usize] = place;
        }
    }

    fn metadata_bytes(&self) -> u64 {
        let held = self.held.capacity() * size_of::<Slot>();
        let places = self.places.capacity() * size_of::<usize>();
        (held + places) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        for (place, slot) in self.held.iter().enumerate() {
            if self.places[*slot as usize] != place {
                return Err(format!(
                    "slot {slot} lies at {place}, which is not its place"
                ));
            }
        }
        check_held(self.held.clone(), held)
    }
}
