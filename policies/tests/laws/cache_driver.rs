//! The smallest cache around an eviction policy: a byte budget, slots, and a map from keys to them.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::cache::{self, Access, Eviction, Slot};

pub(crate) struct CacheDriver {
    policy: Box<dyn Eviction>,
    capacity: u64,
    used: u64,
    slots: Vec<Option<Access>>,
    free: Vec<Slot>,
    by_key: BTreeMap<u64, Slot>,
    /// The keys evicted so far, in order.
    pub(crate) evicted: Vec<u64>,
    /// Requests that found nothing.
    pub(crate) misses: u64,
}

impl CacheDriver {
    pub(crate) fn new(policy: &str, capacity: u64, seed: u64) -> Self {
        let policy = cache::build(&PolicySpec::named(policy), capacity, seed).expect("defaults build");
        Self {
            policy,
            capacity,
            used: 0,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: BTreeMap::new(),
            evicted: Vec::new(),
            misses: 0,
        }
    }

    /// Asks for an object and, on a miss, brings it in if the policy admits it. An object keeps the size it came with.
    pub(crate) fn request(&mut self, access: Access) {
        if let Some(slot) = self.by_key.get(&access.key) {
            return self.policy.on_hit(*slot);
        }
        self.misses += 1;
        if access.bytes > self.capacity || !self.policy.admit(&access) {
            return;
        }
        while self.used + access.bytes > self.capacity {
            let slot = self.policy.evict(&access);
            let victim = self.release(slot);
            self.evicted.push(victim.key);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.slots[slot as usize] = Some(access);
        self.by_key.insert(access.key, slot);
        self.used += access.bytes;
        self.policy.on_insert(slot, &access);
    }

    /// Asks for objects of one byte each.
    pub(crate) fn request_units(&mut self, keys: impl IntoIterator<Item = u64>) {
        keys.into_iter().for_each(|key| self.request(Access { key, bytes: 1 }));
    }

    /// The object of that key dies, if it is held.
    pub(crate) fn remove(&mut self, key: u64) {
        if let Some(slot) = self.by_key.get(&key).copied() {
            self.release(slot);
            self.policy.on_remove(slot);
        }
    }

    fn release(&mut self, slot: Slot) -> Access {
        let held = self.slots.get_mut(slot as usize).and_then(Option::take);
        let object = held.unwrap_or_else(|| panic!("slot {slot} is not held"));
        self.by_key.remove(&object.key);
        self.used -= object.bytes;
        self.free.push(slot);
        object
    }

    pub(crate) fn audit(&self) -> Result<(), String> {
        let held: Vec<Slot> = self.by_key.values().copied().collect();
        if self.used > self.capacity {
            return Err(format!("{} of {} B are used", self.used, self.capacity));
        }
        self.policy.audit(&held)
    }

    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.policy.metadata_bytes()
    }

    pub(crate) fn held(&self) -> usize {
        self.by_key.len()
    }
}
