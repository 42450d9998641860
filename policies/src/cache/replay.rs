//! A cache of nothing but names: what a trace would have done to a cache under a policy.
//!
//! The smallest mechanism that keeps the contracts of eviction and admission. Objects are numbered densely, so that the map
//! from object to slot is an array: what is timed here is the policy. Budget: the objects' bytes, without metadata, as
//! the field's simulators count; an object keeps the size it entered with.

use super::{Access, Eviction, Removal, Slot};
use crate::admission::Admission;
use crate::slot_list::NONE;

/// An object's number in a trace, dense from 0.
pub type Object = u32;

#[derive(Clone, Copy, Debug)]
struct Held {
    object: Object,
    access: Access,
}

/// The cache.
pub struct Replay {
    eviction: Box<dyn Eviction>,
    admission: Option<Box<dyn Admission>>,
    capacity: u64,
    used: u64,
    places: Vec<Slot>,
    slots: Vec<Held>,
    free: Vec<Slot>,
}

impl Replay {
    /// An empty cache of `capacity` bytes for objects `0..objects`.
    pub fn new(
        eviction: Box<dyn Eviction>,
        admission: Option<Box<dyn Admission>>,
        capacity: u64,
        objects: usize,
    ) -> Self {
        let places = vec![NONE; objects];
        Self {
            eviction,
            admission,
            capacity,
            used: 0,
            places,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Asks for `object`, which `access` describes; on a miss brings it in where the policies let it. True for a hit.
    #[inline]
    pub fn request(&mut self, object: Object, access: &Access) -> bool {
        let slot = self.places[object as usize];
        if slot == NONE {
            self.miss(object, access, &mut |_| {});
            return false;
        }
        if let Some(admission) = &mut self.admission {
            admission.on_hit(access);
        }
        self.eviction.on_hit(slot);
        true
    }

    /// As [`Self::request`], and tells the objects evicted.
    pub fn request_telling(
        &mut self,
        object: Object,
        access: &Access,
        mut evicted: impl FnMut(Object),
    ) -> bool {
        if self.places[object as usize] != NONE {
            return self.request(object, access);
        }
        self.miss(object, access, &mut evicted);
        false
    }

    fn miss(&mut self, object: Object, access: &Access, evicted: &mut dyn FnMut(Object)) {
        // Both are told of the miss, whatever the other says.
        let wanted = self
            .admission
            .as_mut()
            .is_none_or(|admission| admission.admit(access));
        if access.bytes > self.capacity || !wanted || !self.eviction.admit(access) {
            return;
        }
        while self.used + access.bytes > self.capacity {
            let slot = self.eviction.victim(access);
            let victim = self.slots[slot as usize];
            if self
                .admission
                .as_mut()
                .is_some_and(|admission| !admission.contest(access, &victim.access))
            {
                return;
            }
            self.leave(slot, Removal::Evicted);
            evicted(victim.object);
        }
        let held = Held {
            object,
            access: *access,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = held;
                slot
            }
            None => {
                self.slots.push(held);
                (self.slots.len() - 1) as Slot
            }
        };
        self.places[object as usize] = slot;
        self.used += access.bytes;
        self.eviction.on_insert(slot, access);
    }

    fn leave(&mut self, slot: Slot, why: Removal) {
        let Held { object, access } = self.slots[slot as usize];
        let place = std::mem::replace(&mut self.places[object as usize], NONE);
        assert_eq!(place, slot, "the eviction policy names slots that are held");
        self.eviction.on_remove(slot, why);
        self.used -= access.bytes;
        self.free.push(slot);
    }

    /// `object` dies, if it is held.
    pub fn remove(&mut self, object: Object) {
        match self.places[object as usize] {
            NONE => {}
            slot => self.leave(slot, Removal::Died),
        }
    }

    /// Objects held.
    pub fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes of the objects held.
    pub fn used_bytes(&self) -> u64 {
        self.used
    }

    /// Bytes of memory that the policies use.
    pub fn metadata_bytes(&self) -> u64 {
        self.eviction.metadata_bytes()
            + self
                .admission
                .as_ref()
                .map_or(0, |admission| admission.metadata_bytes())
    }

    /// Checks the budget and the policy's structures. O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub fn audit(&self) -> Result<(), String> {
        if self.used > self.capacity {
            return Err(format!("{} of {} B are used", self.used, self.capacity));
        }
        let mut holds = vec![true; self.slots.len()];
        self.free
            .iter()
            .for_each(|slot| holds[*slot as usize] = false);
        let held: Vec<Slot> = (0..self.slots.len() as Slot)
            .filter(|slot| holds[*slot as usize])
            .collect();
        self.eviction.audit(&held)
    }
}
