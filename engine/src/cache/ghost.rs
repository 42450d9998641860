//! A ghost cache: what caches of other sizes would hold, without their contents.
//!
//! Three lists of names, each least recently used first out, stand for a cache as large as the one
//! in force, a smaller one and a larger one. They hold a sample of the objects, chosen by hash, and
//! are as much smaller as the sample is (spatial sampling: Waldspurger et al., "Efficient MRC
//! Construction with SHARDS", FAST 2015). So the cost of a look-up that is not in the sample is one
//! comparison, and the memory is bounded whatever the cache's size.
//!
//! The cache in force may evict by another policy. The ghosts say what memory is worth to a cache
//! of the usual policy; a policy that is better needs a little less of it.

use std::sync::Mutex;

use aura_policies::facts::GhostFacts;
use aura_policies::slot_list::{Links, SlotList};
use aura_policies::splitmix::remix;
use hashbrown::HashTable;

use super::object::ENTRY_OVERHEAD_BYTES;
use crate::sync::lock;

/// Bytes of cache that the largest ghost stands for in its sample.
const SAMPLE_BYTES: u64 = 8 << 20;

/// The most names that one ghost remembers, at about 40 bytes each.
const NAMES_MAX: usize = 32_768;

/// The share of the cache's size by which the smaller ghost is smaller, and the larger one larger.
const STEP_SHARE: u64 = 10;

/// What the ghosts have counted, in the order smaller, as large, larger.
#[derive(Default)]
struct Ghosts {
    ghosts: [Names; 3],
    hits: [u64; 3],
    asked: u64,
    step_bytes: u64,
}

/// Ghosts of one cache.
pub(crate) struct GhostCache {
    /// The share of objects in the sample.
    share: f64,
    /// The largest mixed hash that is in the sample.
    highest: u64,
    ghosts: Mutex<Ghosts>,
}

impl GhostCache {
    /// Ghosts of a cache that may become as large as `most` bytes.
    pub(crate) fn new(most: u64) -> Self {
        let share = (SAMPLE_BYTES as f64 / most.max(1) as f64).min(1.0);
        Self {
            share,
            // As a float, the largest hash rounds up; the cast brings it back.
            highest: (share * u64::MAX as f64) as u64,
            ghosts: Mutex::default(),
        }
    }

    fn is_sampled(&self, hash: u64) -> bool {
        remix(hash) <= self.highest
    }

    /// Notes that an object of `bytes` bytes was looked up. Returns whether it is in the sample.
    /// O(1), amortised.
    pub(crate) fn look_up(&self, hash: u64, bytes: u64) -> bool {
        if !self.is_sampled(hash) {
            return false;
        }
        let mut all = lock(&self.ghosts);
        let Ghosts {
            ghosts,
            hits,
            asked,
            ..
        } = &mut *all;
        *asked += 1;
        for (ghost, hits) in ghosts.iter_mut().zip(hits) {
            *hits += u64::from(ghost.look_up(hash, bytes + ENTRY_OVERHEAD_BYTES));
        }
        true
    }

    /// Forgets an object that no read can use any more.
    pub(super) fn remove(&self, hash: u64) {
        if self.is_sampled(hash) {
            for ghost in &mut lock(&self.ghosts).ghosts {
                ghost.remove(hash);
            }
        }
    }

    /// Takes what was counted since the last call. From now on the ghosts are those of a cache of
    /// `size` bytes, of which `room` are for objects.
    pub(crate) fn take(&self, size: u64, room: u64) -> GhostFacts {
        let mut all = lock(&self.ghosts);
        let [hits_smaller, hits, hits_larger] = std::mem::take(&mut all.hits);
        let facts = GhostFacts {
            share: self.share,
            step_bytes: all.step_bytes,
            asked: std::mem::take(&mut all.asked),
            hits_smaller,
            hits,
            hits_larger,
        };
        let step = size / STEP_SHARE;
        all.step_bytes = step;
        let rooms = [room.saturating_sub(step), room, room.saturating_add(step)];
        for (ghost, room) in all.ghosts.iter_mut().zip(rooms) {
            ghost.resize((room as f64 * self.share) as u64);
        }
        facts
    }
}

/// The names of the objects of one ghost.
#[derive(Default)]
struct Names {
    capacity: u64,
    used: u64,
    /// The slots, found by the hash of their object.
    by_hash: HashTable<u32>,
    /// Hash and bytes of the object of each slot.
    objects: Vec<(u64, u64)>,
    /// Slots without an object.
    free: Vec<u32>,
    links: Links,
    order: SlotList,
}

impl Names {
    /// Whether the object is held. It is held afterwards, if it fits at all.
    fn look_up(&mut self, hash: u64, bytes: u64) -> bool {
        let objects = &self.objects;
        let held = |slot: &u32| objects[*slot as usize].0 == hash;
        if let Some(slot) = self.by_hash.find(hash, held).copied() {
            self.order.touch(&mut self.links, slot);
            return true;
        }
        if bytes > self.capacity {
            return false;
        }
        self.shrink_to(self.capacity - bytes, NAMES_MAX - 1);
        let slot = self.free.pop().unwrap_or(self.objects.len() as u32);
        if slot as usize == self.objects.len() {
            self.objects.push((hash, bytes));
        } else {
            self.objects[slot as usize] = (hash, bytes);
        }
        self.used += bytes;
        self.order.push_newest(&mut self.links, slot);
        let objects = &self.objects;
        self.by_hash
            .insert_unique(hash, slot, |slot| objects[*slot as usize].0);
        false
    }

    fn remove(&mut self, hash: u64) {
        let objects = &self.objects;
        let held = |slot: &u32| objects[*slot as usize].0 == hash;
        if let Ok(entry) = self.by_hash.find_entry(hash, held) {
            let (slot, _) = entry.remove();
            self.order.unlink(&mut self.links, slot);
            self.release(slot);
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.capacity = capacity;
        self.shrink_to(capacity, NAMES_MAX);
    }

    /// Drops the oldest objects until the others have at most `bytes` bytes and `names` names.
    fn shrink_to(&mut self, bytes: u64, names: usize) {
        while self.used > bytes || self.order.len() > names {
            let slot = self.order.pop_oldest(&mut self.links);
            let hash = self.objects[slot as usize].0;
            if let Ok(entry) = self.by_hash.find_entry(hash, |held| *held == slot) {
                entry.remove();
            }
            self.release(slot);
        }
    }

    fn release(&mut self, slot: u32) {
        self.used -= self.objects[slot as usize].1;
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: u64 = 1000;
    const CHARGED: u64 = OBJECT + ENTRY_OVERHEAD_BYTES;

    #[test]
    fn a_loop_is_held_by_the_cache_that_is_large_enough() {
        let cache = GhostCache::new(1 << 20);
        let size = 100 * CHARGED;
        cache.take(size, size);
        for _ in 0..10 {
            for object in 0..105 {
                assert!(cache.look_up(remix(object), OBJECT), "all are sampled");
            }
        }
        let facts = cache.take(size, size);
        assert_eq!(facts.asked, 1050);
        assert_eq!(facts.step_bytes, size / 10);
        assert_eq!(
            (facts.hits_smaller, facts.hits, facts.hits_larger),
            (0, 0, 945)
        );
        assert_eq!(cache.take(size, size).asked, 0, "they were taken");
    }

    #[test]
    fn the_memory_is_bounded_and_the_sample_is_a_share() {
        let cache = GhostCache::new(80 << 20);
        cache.take(80 << 20, 80 << 20);
        let objects = 100_000;
        let sampled = (0..objects)
            .filter(|object| cache.look_up(*object, 0))
            .count();
        let share = sampled as f64 / objects as f64;
        assert!((share - cache.share).abs() < 0.01, "{share}");
        let all = lock(&cache.ghosts);
        for ghost in &all.ghosts {
            assert!(ghost.used <= ghost.capacity);
            assert!(ghost.order.len() <= NAMES_MAX);
            assert_eq!(ghost.by_hash.len(), ghost.order.len());
        }
    }

    /// Look-ups, removals and sizes at random, against lists that are searched.
    #[test]
    fn it_is_a_list_of_the_least_recently_used() {
        let mut names = Names::default();
        let mut model: Vec<(u64, u64)> = Vec::new();
        let mut capacity = 0;
        for step in 0..20_000_u64 {
            let hash = remix(step) % 50;
            match remix(step ^ 99) % 40 {
                0 => {
                    capacity = remix(step) % 200;
                    names.resize(capacity);
                }
                1 => {
                    names.remove(hash);
                    model.retain(|(held, _)| *held != hash);
                }
                _ => {
                    let bytes = 1 + hash % 7;
                    let at = model.iter().position(|(held, _)| *held == hash);
                    assert_eq!(names.look_up(hash, bytes), at.is_some());
                    if let Some(at) = at {
                        model.remove(at);
                    }
                    if bytes <= capacity {
                        model.push((hash, bytes));
                    }
                }
            }
            while model.iter().map(|(_, bytes)| bytes).sum::<u64>() > capacity {
                model.remove(0);
            }
            assert_eq!(names.order.len(), model.len(), "step {step}");
        }
    }
}
