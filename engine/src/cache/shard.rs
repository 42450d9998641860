//! One shard of the cache: a map, numbered slots, a byte budget, an eviction policy and an
//! admission policy.
//!
//! The policies see slot numbers and facts, never objects. After every event that may have grown a
//! policy's metadata the shard evicts down to its budget again, so that objects and metadata
//! together never exceed it.

use std::sync::atomic::{AtomicU64, Ordering};

use aura_policies::admission::Admission;
use aura_policies::cache::{Access, BlockKind, Eviction, Removal, Slot};
use hashbrown::HashTable;

use super::CacheStats;
use super::object::{CacheEntry, CacheKey, Object};

/// The reason for an insertion.
#[derive(Clone, Copy)]
pub(super) enum InsertOrigin<'a> {
    /// The workload looked the object up and missed it.
    Miss {
        /// The position in a scan (see [`Access::scanned`]).
        scanned: u32,
    },
    /// A point read missed the row. Dropped if the row epoch has changed since the read began: see
    /// [`crate::read`].
    Row {
        /// The row epoch.
        epoch: &'a AtomicU64,
        /// The row epoch when the read began.
        expected: u64,
    },
    /// A flush or a compaction wrote the block.
    Warmed,
    /// A table was opened, and the object is its index or filter.
    Opened,
}

/// The policies of a shard.
pub(super) struct Policies {
    pub(super) eviction: Box<dyn Eviction>,
    /// None if every object is admitted.
    pub(super) admission: Option<Box<dyn Admission>>,
}

impl Policies {
    /// Gives both policies the bytes that the shard has for objects.
    fn resize(&mut self, room_bytes: u64) {
        self.eviction.resize(room_bytes);
        if let Some(admission) = &mut self.admission {
            admission.resize(room_bytes);
        }
    }

    fn metadata_bytes(&self) -> u64 {
        let eviction = self.eviction.metadata_bytes();
        match &self.admission {
            Some(admission) => eviction + admission.metadata_bytes(),
            None => eviction,
        }
    }
}

/// Returns the access that a policy sees when it must evict although no object comes in.
fn no_incoming() -> Access {
    Access::sized(0, 1)
}

/// A part of the cache behind one lock.
pub(super) struct Shard {
    capacity_bytes: u64,
    /// The part of the capacity that pinned memory takes: see [`super::Pin`].
    pinned_bytes: u64,
    used_bytes: u64,
    counts: CacheStats,
    by_id: HashTable<Slot>,
    slots: Vec<Option<CacheEntry>>,
    free: Vec<Slot>,
    policies: Policies,
}

impl Shard {
    pub(super) fn new(capacity_bytes: u64, policies: Policies) -> Self {
        Self {
            capacity_bytes,
            pinned_bytes: 0,
            used_bytes: 0,
            counts: CacheStats::default(),
            by_id: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            policies,
        }
    }

    fn find(&self, name: &CacheKey<'_>, hash: u64) -> Option<Slot> {
        let is_named = |slot: &Slot| held(&self.slots, *slot).is_some_and(|held| held.is(name));
        self.by_id.find(hash, is_named).copied()
    }

    /// Returns the object and its cost for the workload, and reports the hit to the policies.
    pub(super) fn get(
        &mut self,
        name: &CacheKey<'_>,
        hash: u64,
        scanned: u32,
    ) -> Option<(Object, u32)> {
        let slot = self.find(name, hash)?;
        self.policies.eviction.on_hit(slot);
        let held = self.slots.get_mut(slot as usize).and_then(Option::as_mut)?;
        held.hits = held.hits.saturating_add(1);
        if let Some(admission) = &mut self.policies.admission {
            admission.on_hit(&held.access(scanned));
        }
        let found = (held.object.clone(), held.access(scanned).cost);
        // The hit may have grown the policies' metadata.
        self.trim(&no_incoming());
        Some(found)
    }

    /// Returns the object and the number of its hits, without counting an access.
    pub(super) fn peek(&self, name: &CacheKey<'_>, hash: u64) -> Option<(Object, u32)> {
        let held = held(&self.slots, self.find(name, hash)?)?;
        Some((held.object.clone(), held.hits))
    }

    /// Returns the bytes available to objects and metadata.
    fn room_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.pinned_bytes)
    }

    /// Returns whether another object of `bytes` bytes would exceed the budget.
    fn over_budget_with(&self, bytes: u64) -> bool {
        self.used_bytes + self.policies.metadata_bytes() + bytes > self.room_bytes()
    }

    /// Offers an object. Returns whether the shard holds it afterwards.
    pub(super) fn insert(
        &mut self,
        name: &CacheKey<'_>,
        hash: u64,
        object: Object,
        cost: u32,
        origin: InsertOrigin<'_>,
    ) -> bool {
        if let InsertOrigin::Row { epoch, expected } = origin
            && epoch.load(Ordering::Acquire) != expected
        {
            return false;
        }
        if self.find(name, hash).is_some() {
            return true;
        }
        let held = CacheEntry::new(name, object, cost);
        let scanned = match origin {
            InsertOrigin::Miss { scanned } => scanned,
            InsertOrigin::Row { .. } | InsertOrigin::Warmed | InsertOrigin::Opened => 0,
        };
        let gated = matches!(origin, InsertOrigin::Miss { .. } | InsertOrigin::Row { .. });
        let incoming = held.access(scanned);
        if !self.make_room(&incoming, gated) {
            self.counts.rejected += 1;
            // The miss may have grown the policies' metadata.
            self.trim(&incoming);
            return false;
        }
        let slot = self.place(hash, held);
        self.used_bytes += incoming.bytes;
        self.counts.inserts += 1;
        self.counts.warmed += u64::from(matches!(origin, InsertOrigin::Warmed));
        self.policies.eviction.on_insert(slot, &incoming);
        // The policy may have grown its metadata for the new slot, so that even the new object must
        // go.
        self.trim(&incoming);
        self.slots[slot as usize].is_some()
    }

    /// Puts an object into a free slot and the slot into the map.
    fn place(&mut self, hash: u64, object: CacheEntry) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.slots[slot as usize] = Some(object);
        let slots = &self.slots;
        let rehash = |slot: &Slot| held(slots, *slot).map_or(0, CacheEntry::hash);
        self.by_id.insert_unique(hash, slot, rehash);
        slot
    }

    /// Asks the policies for `incoming` and evicts until it fits. Returns false if it is refused or
    /// does not fit.
    ///
    /// The admission policy decides only if `gated`.
    fn make_room(&mut self, incoming: &Access, gated: bool) -> bool {
        // The admission policy sees every miss, even one that cannot be inserted for another
        // reason.
        let admitted = match &mut self.policies.admission {
            Some(admission) if gated => admission.admit(incoming),
            _ => true,
        };
        if incoming.bytes > self.room_bytes() || !admitted {
            return false;
        }
        if !self.policies.eviction.admit(incoming) {
            return false;
        }
        while self.used_bytes > 0 && self.over_budget_with(incoming.bytes) {
            let slot = self.policies.eviction.victim(incoming);
            if gated && let Some(admission) = &mut self.policies.admission {
                let victim = held(&self.slots, slot)
                    .expect("the eviction policy names slots that hold an object")
                    .access(0);
                if !admission.contest(incoming, &victim) {
                    return false;
                }
            }
            self.evict(slot);
        }
        !self.over_budget_with(incoming.bytes)
    }

    /// Evicts the object in a slot.
    fn evict(&mut self, slot: Slot) {
        self.policies.eviction.on_remove(slot, Removal::Evicted);
        self.release(slot);
        self.counts.evictions += 1;
    }

    /// Evicts until the shard is within its budget.
    fn trim(&mut self, incoming: &Access) {
        while self.used_bytes > 0 && self.over_budget_with(0) {
            let slot = self.policies.eviction.victim(incoming);
            self.evict(slot);
        }
    }

    /// Sets the part of the capacity that pinned memory takes.
    pub(super) fn pin(&mut self, bytes: u64) {
        let before = self.room_bytes();
        self.pinned_bytes = bytes;
        self.room_changed(before);
    }

    /// Changes the capacity. The policies stay, with what they have learned.
    pub(super) fn resize(&mut self, capacity_bytes: u64) {
        let before = self.room_bytes();
        self.capacity_bytes = capacity_bytes;
        self.room_changed(before);
    }

    /// Gives the policies their room if it is no longer `before`, and evicts what is over it.
    fn room_changed(&mut self, before: u64) {
        if self.room_bytes() != before {
            self.policies.resize(self.room_bytes());
        }
        self.trim(&no_incoming());
    }

    /// Changes the capacity and the policies. O(objects).
    ///
    /// The new policies receive the objects in the order in which the old policy would have evicted
    /// them, so that the most valuable object is the newest. Objects that no longer fit are
    /// evicted.
    pub(super) fn replace(&mut self, capacity_bytes: u64, policies: Policies) {
        let mut order = Vec::with_capacity(self.by_id.len());
        while order.len() < self.by_id.len() {
            let slot = self.policies.eviction.victim(&no_incoming());
            self.policies.eviction.on_remove(slot, Removal::Evicted);
            order.push(slot);
        }
        self.policies = policies;
        self.capacity_bytes = capacity_bytes;
        self.policies.resize(self.room_bytes());
        let mut waiting_bytes = std::mem::take(&mut self.used_bytes);
        for slot in order {
            let access = held(&self.slots, slot)
                .expect("the old policy named each slot once")
                .access(0);
            waiting_bytes -= access.bytes;
            let entered = self.make_room(&access, false);
            self.used_bytes += access.bytes;
            if entered {
                self.policies.eviction.on_insert(slot, &access);
                self.trim(&access);
            } else {
                self.release(slot);
                self.counts.evictions += 1;
            }
        }
        debug_assert_eq!(waiting_bytes, 0, "the old policy named every slot");
    }

    /// Drops an object that no read can use any more.
    pub(super) fn remove(&mut self, name: &CacheKey<'_>, hash: u64) {
        if let Some(slot) = self.find(name, hash) {
            self.policies.eviction.on_remove(slot, Removal::Died);
            self.release(slot);
            let is_row = matches!(name.kind, BlockKind::KeyValue | BlockKind::KeyPointer);
            self.counts.dead += u64::from(!is_row);
        }
    }

    /// Drops all objects. The policies keep what they have learned. O(slots).
    pub(super) fn clear(&mut self) {
        for slot in 0..self.slots.len() as Slot {
            if held(&self.slots, slot).is_some() {
                self.policies.eviction.on_remove(slot, Removal::Died);
                self.release(slot);
            }
        }
    }

    /// Drops the rows whose keys satisfy `is_stale`. O(slots).
    pub(super) fn remove_rows(&mut self, is_stale: impl Fn(&[u8]) -> bool) {
        for slot in 0..self.slots.len() as Slot {
            let row_key = held(&self.slots, slot).and_then(CacheEntry::row_key);
            if row_key.is_some_and(&is_stale) {
                self.policies.eviction.on_remove(slot, Removal::Died);
                self.release(slot);
            }
        }
    }

    /// Empties a slot that the eviction policy no longer knows.
    fn release(&mut self, slot: Slot) {
        let object = self.slots.get_mut(slot as usize).and_then(Option::take);
        let object = object.expect("the eviction policy names slots that hold an object");
        let found = self.by_id.find_entry(object.hash(), |other| *other == slot);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.used_bytes -= object.charge();
        self.free.push(slot);
    }

    /// Returns the shard's state and counters.
    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            used_bytes: self.used_bytes,
            capacity_bytes: self.capacity_bytes,
            entries: self.by_id.len() as u64,
            metadata_bytes: self.policies.metadata_bytes(),
            ..self.counts
        }
    }

    /// Checks the eviction policy's structures. O(slots).
    #[cfg(test)]
    pub(super) fn audit(&self) -> Result<(), String> {
        let slots = (0..self.slots.len() as Slot).filter(|slot| held(&self.slots, *slot).is_some());
        self.policies.eviction.audit(&slots.collect::<Vec<_>>())
    }
}

/// Returns the object in a slot; None if the slot is free.
fn held(slots: &[Option<CacheEntry>], slot: Slot) -> Option<&CacheEntry> {
    slots.get(slot as usize).and_then(Option::as_ref)
}
