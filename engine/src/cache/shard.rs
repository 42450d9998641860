//! One shard: a map, numbered slots, a byte budget, and the policies of eviction and admission.

use std::sync::atomic::{AtomicU64, Ordering};

use aura_policies::admission::Admission;
use aura_policies::cache::{Access, BlockKind, Eviction, Removal, Slot};
use hashbrown::HashTable;

use super::CacheStats;
use super::object::{CacheEntry, CacheKey, Object};

/// How an object comes in.
#[derive(Clone, Copy)]
pub(super) enum InsertOrigin<'a> {
    /// The workload has asked for it and missed it.
    Miss {
        /// See [`Access::scanned`].
        scanned: u32,
    },
    /// As a miss of a point read, if the counter still says what is given: see [`crate::read`].
    Row {
        /// The counter.
        epoch: &'a AtomicU64,
        /// What it must say.
        expected: u64,
    },
    /// A flush or a compaction has written it.
    Warmed,
    /// A table has been opened, and this is its index or filter.
    Opened,
}

/// The policies of a shard.
pub(super) struct Policies {
    pub(super) eviction: Box<dyn Eviction>,
    /// None where everybody enters.
    pub(super) admission: Option<Box<dyn Admission>>,
}

impl Policies {
    fn metadata_bytes(&self) -> u64 {
        self.eviction.metadata_bytes()
            + self
                .admission
                .as_ref()
                .map_or(0, |admission| admission.metadata_bytes())
    }
}

/// What an incoming object is compared with where it is the budget that shrinks.
fn nobody() -> Access {
    Access::sized(0, 1)
}

pub(super) struct Shard {
    capacity_bytes: u64,
    /// The part of the capacity that is not the cache's to give: see [`super::Pin`].
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
        let slots = &self.slots;
        self.by_id
            .find(hash, |slot| {
                held(slots, *slot).is_some_and(|held| held.is(name))
            })
            .copied()
    }

    /// The object and its cost, for the workload.
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
        // News of a hit may have grown the policies' tables.
        self.trim(&nobody());
        Some(found)
    }

    /// The object, for somebody whose interest says nothing of the workload's, and how often that has hit it.
    pub(super) fn peek(&self, name: &CacheKey<'_>, hash: u64) -> Option<(Object, u32)> {
        let held = held(&self.slots, self.find(name, hash)?)?;
        Some((held.object.clone(), held.hits))
    }

    /// Bytes for objects and metadata.
    fn room_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.pinned_bytes)
    }

    /// Whether an object of `bytes` more would go over the budget.
    fn over_budget_with(&self, bytes: u64) -> bool {
        self.used_bytes + self.policies.metadata_bytes() + bytes > self.room_bytes()
    }

    /// Whether the object is held afterwards.
    pub(super) fn insert(
        &mut self,
        name: &CacheKey<'_>,
        hash: u64,
        object: Object,
        cost: u32,
        entrance: InsertOrigin<'_>,
    ) -> bool {
        if let InsertOrigin::Row { epoch, expected } = entrance
            && epoch.load(Ordering::Acquire) != expected
        {
            return false;
        }
        if self.find(name, hash).is_some() {
            return true;
        }
        let held = CacheEntry::new(name, object, cost);
        let (scanned, gated) = match entrance {
            InsertOrigin::Miss { scanned } => (scanned, true),
            InsertOrigin::Row { .. } => (0, true),
            InsertOrigin::Warmed | InsertOrigin::Opened => (0, false),
        };
        let incoming = held.access(scanned);
        if !self.make_room(&incoming, gated) {
            self.counts.rejected += 1;
            // News of a miss may have grown the policies' tables.
            self.trim(&incoming);
            return false;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.slots[slot as usize] = Some(held);
        let slots = &self.slots;
        let rehash = |slot: &Slot| {
            slots
                .get(*slot as usize)
                .and_then(Option::as_ref)
                .map_or(0, CacheEntry::hash)
        };
        self.by_id.insert_unique(hash, slot, rehash);
        self.used_bytes += incoming.bytes;
        self.counts.inserts += 1;
        self.counts.warmed += u64::from(matches!(entrance, InsertOrigin::Warmed));
        self.policies.eviction.on_insert(slot, &incoming);
        // The policy may have grown its own tables for the new slot, and give up the newcomer for them.
        self.trim(&incoming);
        self.slots[slot as usize].is_some()
    }

    /// Asks the policies, and evicts until `incoming` fits. False where it stays outside.
    fn make_room(&mut self, incoming: &Access, gated: bool) -> bool {
        // Both are told of the miss, whatever the other says.
        let wanted = !gated
            || self
                .policies
                .admission
                .as_mut()
                .is_none_or(|admission| admission.admit(incoming));
        if incoming.bytes > self.room_bytes() || !wanted || !self.policies.eviction.admit(incoming)
        {
            return false;
        }
        while self.used_bytes > 0 && self.over_budget_with(incoming.bytes) {
            let slot = self.policies.eviction.victim(incoming);
            if gated && let Some(admission) = &mut self.policies.admission {
                let victim = held(&self.slots, slot)
                    .expect("the eviction policy names slots that are held")
                    .access(0);
                if !admission.contest(incoming, &victim) {
                    return false;
                }
            }
            self.evict(slot);
        }
        !self.over_budget_with(incoming.bytes)
    }

    fn evict(&mut self, slot: Slot) {
        self.policies.eviction.on_remove(slot, Removal::Evicted);
        self.release(slot);
        self.counts.evictions += 1;
    }

    /// Evicts down to the budget.
    fn trim(&mut self, incoming: &Access) {
        while self.used_bytes > 0 && self.over_budget_with(0) {
            let slot = self.policies.eviction.victim(incoming);
            self.evict(slot);
        }
    }

    /// Sets the part of the capacity that is taken by others.
    pub(super) fn pin(&mut self, bytes: u64) {
        self.pinned_bytes = bytes;
        self.trim(&nobody());
    }

    /// Changes size and policies. What is held goes over to the new policies in the order in which the old one would
    /// have evicted it, so that the most valuable is the newest there; what no longer fits leaves. O(objects).
    pub(super) fn replace(&mut self, capacity_bytes: u64, policies: Policies) {
        let mut order = Vec::with_capacity(self.by_id.len());
        while order.len() < self.by_id.len() {
            let slot = self.policies.eviction.victim(&nobody());
            self.policies.eviction.on_remove(slot, Removal::Evicted);
            order.push(slot);
        }
        self.policies = policies;
        self.capacity_bytes = capacity_bytes;
        let mut waiting = std::mem::take(&mut self.used_bytes);
        for slot in order {
            let access = held(&self.slots, slot)
                .expect("the old policy named each slot once")
                .access(0);
            waiting -= access.bytes;
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
        debug_assert_eq!(waiting, 0, "the old policy named every slot");
    }

    /// Drops an object that is of no use any more.
    pub(super) fn remove(&mut self, name: &CacheKey<'_>, hash: u64) {
        if let Some(slot) = self.find(name, hash) {
            self.policies.eviction.on_remove(slot, Removal::Died);
            self.release(slot);
            self.counts.dead += u64::from(!matches!(
                name.kind,
                BlockKind::KeyValue | BlockKind::KeyPointer
            ));
        }
    }

    /// Drops the rows of the keys that `is_old` names. O(slots).
    pub(super) fn remove_rows(&mut self, is_old: impl Fn(&[u8]) -> bool) {
        for slot in 0..self.slots.len() as Slot {
            if held(&self.slots, slot)
                .and_then(CacheEntry::row_key)
                .is_some_and(&is_old)
            {
                self.policies.eviction.on_remove(slot, Removal::Died);
                self.release(slot);
            }
        }
    }

    /// Empties a slot that the policy has forgotten.
    fn release(&mut self, slot: Slot) {
        let left = self.slots.get_mut(slot as usize).and_then(Option::take);
        let left = left.expect("the eviction policy names slots that are held");
        if let Ok(entry) = self
            .by_id
            .find_entry(left.hash(), |candidate| *candidate == slot)
        {
            entry.remove();
        }
        self.used_bytes -= left.charge();
        self.free.push(slot);
    }

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

fn held(slots: &[Option<CacheEntry>], slot: Slot) -> Option<&CacheEntry> {
    slots.get(slot as usize).and_then(Option::as_ref)
}
