//! A cache without contents: it says which requests of a trace would have hit under a policy.
//!
//! It is the smallest mechanism that keeps the contracts of eviction and admission. Objects are
//! numbered densely, so that the map from object to slot is an array and measured time is the
//! policy's. The budget counts the objects' bytes without metadata, as the field's simulators do.
//! An object keeps the size it entered with.

use std::collections::BTreeSet;

use crate::admission::Admission;
use crate::cache::{Access, Eviction, Removal, Slot};
use crate::slot_list::NONE;

/// An object's number in a trace, dense from 0.
pub type Object = u32;

/// An object in the cache.
#[derive(Clone, Copy, Debug)]
struct Held {
    object: Object,
    access: Access,
}

/// A cache without contents, under an eviction policy and perhaps an admission policy.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::cache::{self, Access};
/// use aura_policies::replay::Replay;
///
/// let capacity_bytes = 3;
/// let sieve = cache::build(&PolicySpec::named("sieve"), capacity_bytes, 7)?;
/// let mut cache = Replay::new(sieve, None, capacity_bytes, 10);
/// let mut hits = 0;
/// for object in [0, 1, 0, 2, 3, 0, 1] {
///     if cache.request(object, &Access::unit(u64::from(object))) {
///         hits += 1;
///     }
/// }
/// assert_eq!(hits, 2, "object 0 was hit before object 3 came in, so 1 left");
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
pub struct Replay {
    eviction: Box<dyn Eviction>,
    admission: Option<Box<dyn Admission>>,
    capacity: u64,
    used: u64,
    /// The slot of each object of the trace; [`NONE`] if it is not held.
    places: Vec<Slot>,
    slots: Vec<Held>,
    /// Slots that hold nothing; what `slots` says of them is out of date.
    free: Vec<Slot>,
}

impl Replay {
    /// An empty cache of `capacity` bytes for the objects `0..objects`.
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

    /// Makes room for the objects `0..objects`, as when a trace is longer than was known.
    pub fn expect_objects(&mut self, objects: usize) {
        if objects > self.places.len() {
            self.places.resize(objects, NONE);
        }
    }

    /// Requests `object`, which `access` describes. On a miss the object enters if the policies let
    /// it. Returns whether it was a hit.
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

    /// Requests `object` like [`Self::request`], and passes each object evicted for it to
    /// `on_evicted`.
    pub fn request_reporting(
        &mut self,
        object: Object,
        access: &Access,
        mut on_evicted: impl FnMut(Object),
    ) -> bool {
        if self.places[object as usize] != NONE {
            return self.request(object, access);
        }
        self.miss(object, access, &mut on_evicted);
        false
    }

    fn miss(&mut self, object: Object, access: &Access, on_evicted: &mut dyn FnMut(Object)) {
        // Both policies learn of the miss, whatever the other one decides.
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
            on_evicted(victim.object);
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

    /// Removes `object`, if it is held, because it died.
    pub fn remove(&mut self, object: Object) {
        match self.places[object as usize] {
            NONE => {}
            slot => self.leave(slot, Removal::Died),
        }
    }

    /// Changes the capacity, and evicts what no longer fits.
    pub fn resize(&mut self, capacity: u64, mut on_evicted: impl FnMut(Object)) {
        self.capacity = capacity;
        self.eviction.resize(capacity);
        if let Some(admission) = &mut self.admission {
            admission.resize(capacity);
        }
        while self.used > capacity {
            let slot = self.eviction.victim(&Access::unit(0));
            let victim = self.slots[slot as usize].object;
            self.leave(slot, Removal::Evicted);
            on_evicted(victim);
        }
    }

    /// How many objects are held.
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

    /// Checks the budget and the policy's structures. O(slots log slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    pub fn audit(&self) -> Result<(), String> {
        if self.used > self.capacity {
            return Err(format!("{} of {} B are used", self.used, self.capacity));
        }
        let free: BTreeSet<Slot> = self.free.iter().copied().collect();
        let slots = 0..self.slots.len() as Slot;
        let held: Vec<Slot> = slots.filter(|slot| !free.contains(slot)).collect();
        self.eviction.audit(&held)
    }
}
