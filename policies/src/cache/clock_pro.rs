//! CLOCK-Pro: LIRS's idea without moving an object on a hit. An object that returns soon after it
//! entered turns hot, and one of the cold objects leaves.
//!
//! One circular list, the clock, holds the hot objects, the cold ones and ghosts, by when they were
//! last put at its head. A hit sets a bit. An object enters cold, on trial; it stays in the clock
//! as a ghost if it leaves before its trial ends. Three hands move from the oldest object to the
//! newest. The cold hand finds the victim: it turns the cold objects on trial that were hit into
//! hot ones. The hot hand turns hot objects that were not hit into cold ones, and ends the trials
//! that it passes. The test hand ends trials while there are too many ghosts. The share of the cold
//! objects grows by one object with each return during a trial and shrinks with each trial that
//! ends without one.
//!
//! Source: Jiang, Chen and Zhang, "CLOCK-Pro: An Effective Improvement of the CLOCK Replacement",
//! USENIX ATC 2005.
//! Variant: Caffeine's simulator at 3.2.4, request for request with objects of one byte. Like the
//! authors' program, it leaves an object cold if the hot hand meets no hot object to turn cold
//! before it meets that object. Until the first eviction objects enter hot, up to the least share
//! of cold ones. With sizes, all shares are bytes, and the target moves by the object's bytes.
//! State: a node of 24 B, its links (8 B) and 4 B a slot; 50 to 70 B a ghost.
//! Cost: a hit sets one bit; a miss probes the ghost table once; `victim` and `on_insert` move the
//! hands, O(1) amortised on most traces and O(objects and ghosts) at worst.
//! Invariants: no hand points outside the clock; ghosts stay within their bytes; each ghost is
//! found by its key.
//! Weak where: the cache has few objects, since the cold ones then hardly outlive a trial.

use super::key_numbers::KeyNumbers;
use super::{Access, Build, Eviction, Removal, Slot, check_held, same_share};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::{Links, NONE, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "clock-pro",
    about: "LIRS on a clock with three hands (Jiang, Chen and Zhang, USENIX ATC 2005)",
    params: describe::<Params>,
    build: |capacity, _seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "cold_min", params.cold_min, 0.0..=1.0)?;
        in_range(spec, "cold_max", params.cold_max, 0.0..=1.0)?;
        in_range(spec, "ghosts", params.ghosts, 0.0..=10.0)?;
        Ok(Box::new(ClockPro::new(capacity, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The least share of the cache for cold objects (0 to 1; at least two bytes).
    cold_min: f64,
    /// The largest share of the cache for cold objects (0 to 1; at least `cold_min`).
    cold_max: f64,
    /// Bytes of the ghosts, in capacities (0 to 10).
    ghosts: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            cold_min: 0.01,
            cold_max: 0.99,
            ghosts: 2.0,
        }
    }
}

/// What the parameters come to with a capacity.
#[derive(Debug)]
struct Bounds {
    capacity: u64,
    cold_min: u64,
    /// How much the target of the cold objects may exceed its least.
    extra_max: u64,
    ghost_bytes_max: u64,
}

impl Bounds {
    fn new(params: &Params, capacity: u64) -> Self {
        let of_capacity = |share: f64| (capacity as f64 * share) as u64;
        let cold_min = of_capacity(params.cold_min).max(2).min(capacity);
        let cold_max = of_capacity(params.cold_max).min(capacity - cold_min);
        Self {
            capacity,
            cold_min,
            extra_max: cold_max.saturating_sub(cold_min),
            ghost_bytes_max: of_capacity(params.ghosts),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    /// Not in the clock.
    #[default]
    Gone,
    Hot,
    /// Cold, its trial over.
    Cold,
    /// Cold and on trial.
    Trial,
    /// On trial, no longer in the cache.
    Ghost,
}

/// An object in the cache, or a ghost.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    key: u64,
    bytes: u64,
    slot: Slot,
    status: Status,
    /// Whether it was hit since it was put at the head.
    hit: bool,
}

impl Node {
    fn on_trial(&self) -> bool {
        matches!(self.status, Status::Trial | Status::Ghost)
    }

    fn is_cold(&self) -> bool {
        matches!(self.status, Status::Cold | Status::Trial)
    }
}

struct ClockPro {
    params: Params,
    bounds: Bounds,
    nodes: Vec<Node>,
    free: Vec<u32>,
    node_of: Vec<u32>,
    links: Links,
    clock: SlotList,
    ghosts: KeyNumbers,
    /// How many nodes have each status, and their bytes.
    counts: [usize; 5],
    bytes: [u64; 5],
    /// The oldest hot object, the oldest cold one and the oldest one on trial; `NONE` if there is
    /// no such object.
    hot_hand: u32,
    cold_hand: u32,
    trial_hand: u32,
    /// The target of the cold objects beyond its least, in bytes.
    extra: u64,
    /// The ghost of the object that is entering.
    returning: u32,
    /// Whether nothing was evicted yet, or since the cache grew.
    filling: bool,
}

impl ClockPro {
    fn new(capacity: u64, params: Params) -> Self {
        Self {
            bounds: Bounds::new(&params, capacity),
            params,
            nodes: Vec::new(),
            free: Vec::new(),
            node_of: Vec::new(),
            links: Links::default(),
            clock: SlotList::default(),
            ghosts: KeyNumbers::default(),
            counts: [0; 5],
            bytes: [0; 5],
            hot_hand: NONE,
            cold_hand: NONE,
            trial_hand: NONE,
            extra: 0,
            returning: NONE,
            filling: true,
        }
    }

    fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    fn count(&self, status: Status) -> usize {
        self.counts[status as usize]
    }

    /// The bytes of the objects in the cache.
    fn held_bytes(&self) -> u64 {
        [Status::Hot, Status::Cold, Status::Trial]
            .map(|status| self.bytes[status as usize])
            .iter()
            .sum()
    }

    fn set_status(&mut self, number: u32, status: Status) {
        let node = &mut self.nodes[number as usize];
        let before = std::mem::replace(&mut node.status, status);
        let Node { key, bytes, .. } = *node;
        if before != Status::Gone {
            self.counts[before as usize] -= 1;
            self.bytes[before as usize] -= bytes;
        }
        if status != Status::Gone {
            self.counts[status as usize] += 1;
            self.bytes[status as usize] += bytes;
        }
        if before == Status::Ghost {
            self.ghosts.remove(key);
        }
        if status == Status::Ghost {
            self.ghosts.insert(key, number);
        }
    }

    /// The next newer number in the clock; after the newest, the oldest.
    fn after(&self, number: u32) -> u32 {
        match self.links.newer(number) {
            NONE => self.clock.oldest(),
            newer => newer,
        }
    }

    /// Takes a number out of the clock. Hands that point to it move on.
    fn take_out(&mut self, number: u32) {
        let after = match self.after(number) {
            after if after == number => NONE,
            after => after,
        };
        for hand in [
            &mut self.hot_hand,
            &mut self.cold_hand,
            &mut self.trial_hand,
        ] {
            if *hand == number {
                *hand = after;
            }
        }
        self.clock.unlink(&mut self.links, number);
        self.nodes[number as usize].hit = false;
        self.set_status(number, Status::Gone);
    }

    /// Takes a number out of the clock and frees it.
    fn release(&mut self, number: u32) {
        self.take_out(number);
        if number != self.returning {
            self.free.push(number);
        }
    }

    /// Puts a number that is not in the clock at its head.
    fn push(&mut self, number: u32, status: Status) {
        self.clock.push_newest(&mut self.links, number);
        self.set_status(number, status);
    }

    /// Moves a number to the head of the clock.
    fn renew(&mut self, number: u32, status: Status) {
        self.take_out(number);
        self.push(number, status);
    }

    /// Ends the trial of an object, if it is on trial.
    fn end_trial(&mut self, number: u32) {
        let Node {
            status, hit, bytes, ..
        } = *self.node(number);
        match status {
            Status::Trial => self.set_status(number, Status::Cold),
            Status::Ghost => self.release(number),
            Status::Gone | Status::Hot | Status::Cold => return,
        }
        if hit {
            self.more_cold(bytes);
        } else {
            self.extra = self.extra.saturating_sub(bytes);
        }
    }

    fn more_cold(&mut self, bytes: u64) {
        self.extra = (self.extra + bytes).min(self.bounds.extra_max);
    }

    /// Whether an object of `bytes` that returned during its trial turns hot. Hot objects turn cold
    /// to make room for it.
    fn turns_hot(&mut self, number: u32, bytes: u64) -> bool {
        if !self.node(number).on_trial() {
            return false;
        }
        self.more_cold(bytes);
        loop {
            let cold = self.bounds.cold_min + self.extra;
            let hot = self.bytes[Status::Hot as usize] + bytes;
            if hot <= self.bounds.capacity.saturating_sub(cold) {
                return true;
            }
            if !self.node(number).on_trial() || !self.demote_hot(number) {
                return false;
            }
        }
    }

    /// Moves the hot hand until a hot object turns cold. Returns false if it came to `until` first.
    fn demote_hot(&mut self, until: u32) -> bool {
        let mut demoted = false;
        while !demoted && self.hot_hand != until && self.hot_hand != NONE {
            let number = self.hot_hand;
            let Node { status, hit, .. } = *self.node(number);
            if status != Status::Hot {
                self.hot_hand = self.after(number);
                self.end_trial(number);
            } else if hit {
                self.renew(number, Status::Hot);
            } else {
                self.renew(number, Status::Cold);
                demoted = true;
            }
        }
        self.seek_hot();
        demoted
    }

    /// Moves the hot hand to a hot object, and the trial hand if its object's trial ended.
    fn seek_hot(&mut self) {
        if self.count(Status::Hot) == 0 {
            self.hot_hand = NONE;
            return;
        }
        if self.hot_hand == NONE {
            self.hot_hand = self.clock.oldest();
        }
        while self.node(self.hot_hand).status != Status::Hot {
            let passed = self.hot_hand;
            self.hot_hand = self.after(passed);
            self.end_trial(passed);
        }
        self.seek_trial();
    }

    fn seek_cold(&mut self) {
        if self.count(Status::Cold) + self.count(Status::Trial) == 0 {
            self.cold_hand = NONE;
            return;
        }
        if self.cold_hand == NONE {
            self.cold_hand = self.clock.oldest();
        }
        while !self.node(self.cold_hand).is_cold() {
            self.cold_hand = self.after(self.cold_hand);
        }
    }

    fn seek_trial(&mut self) {
        if self.count(Status::Trial) + self.count(Status::Ghost) == 0 {
            self.trial_hand = NONE;
            return;
        }
        if self.trial_hand == NONE {
            self.trial_hand = match self.hot_hand {
                NONE => self.clock.oldest(),
                hot => hot,
            };
        }
        while !self.node(self.trial_hand).on_trial() {
            self.trial_hand = self.after(self.trial_hand);
        }
    }

    fn seek_all(&mut self) {
        self.seek_cold();
        self.seek_hot();
        self.seek_trial();
    }

    /// Ends the oldest trials until the ghosts are within their bytes.
    fn trim_ghosts(&mut self) {
        while self.bytes[Status::Ghost as usize] > self.bounds.ghost_bytes_max {
            self.seek_trial();
            self.end_trial(self.trial_hand);
        }
        self.seek_trial();
    }
}

impl Eviction for ClockPro {
    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.filling = false;
        loop {
            let number = self.cold_hand;
            if number == NONE {
                self.demote_hot(NONE);
            } else if !self.node(number).hit {
                if self.hot_hand == NONE {
                    self.seek_hot();
                }
                self.seek_trial();
                return self.node(number).slot;
            } else {
                let bytes = self.node(number).bytes;
                let status = if self.turns_hot(number, bytes) {
                    Status::Hot
                } else {
                    Status::Trial
                };
                self.renew(number, status);
            }
            self.seek_cold();
        }
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        self.returning = self.ghosts.find(incoming.key);
        let returns = self.returning != NONE;
        let hot = if self.filling {
            self.held_bytes() + incoming.bytes <= self.bounds.capacity - self.bounds.cold_min
        } else {
            returns && self.turns_hot(self.returning, incoming.bytes)
        };
        let number = match std::mem::replace(&mut self.returning, NONE) {
            NONE => self.free.pop().unwrap_or_else(|| {
                self.nodes.push(Node::default());
                (self.nodes.len() - 1) as u32
            }),
            ghost => {
                if self.node(ghost).status == Status::Ghost {
                    self.take_out(ghost);
                }
                ghost
            }
        };
        self.nodes[number as usize] = Node {
            key: incoming.key,
            bytes: incoming.bytes,
            slot,
            ..Node::default()
        };
        if self.node_of.len() <= slot as usize {
            self.node_of.resize(slot as usize + 1, NONE);
        }
        self.node_of[slot as usize] = number;
        self.push(number, if hot { Status::Hot } else { Status::Trial });
        self.seek_all();
    }

    #[inline]
    fn on_hit(&mut self, slot: Slot) {
        self.nodes[self.node_of[slot as usize] as usize].hit = true;
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let number = std::mem::replace(&mut self.node_of[slot as usize], NONE);
        let Node { key, status, .. } = *self.node(number);
        if why == Removal::Evicted && status == Status::Trial {
            // Of two objects with one key, the later ghost replaces the earlier.
            match self.ghosts.find(key) {
                NONE => {}
                earlier => self.release(earlier),
            }
            self.set_status(number, Status::Ghost);
            self.cold_hand = self.after(number);
        } else {
            self.release(number);
        }
        self.trim_ghosts();
        self.seek_cold();
        if why == Removal::Died {
            self.seek_hot();
        }
    }

    /// A cache that grows is filling again.
    fn resize(&mut self, capacity: u64) {
        if capacity == self.bounds.capacity {
            return;
        }
        let before = std::mem::replace(&mut self.bounds, Bounds::new(&self.params, capacity));
        self.filling |= capacity > before.capacity;
        let extra = same_share(self.extra as f64, before.capacity, capacity) as u64;
        self.extra = extra.min(self.bounds.extra_max);
        self.trim_ghosts();
    }

    fn metadata_bytes(&self) -> u64 {
        let numbers = (self.node_of.capacity() + self.free.capacity()) * size_of::<u32>();
        let nodes = self.nodes.capacity() * size_of::<Node>();
        self.links.memory_bytes() + self.ghosts.memory_bytes() + (numbers + nodes) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        let clock = self.clock.walk(&self.links)?;
        let mut slots = Vec::new();
        let mut counts = [0; 5];
        let mut bytes = [0; 5];
        for number in &clock {
            let node = self.node(*number);
            counts[node.status as usize] += 1;
            bytes[node.status as usize] += node.bytes;
            if node.status != Status::Ghost {
                slots.push(node.slot);
            } else if self.ghosts.find(node.key) != *number {
                return Err(format!("ghost {number} is not found by its key"));
            }
        }
        check_held(slots, held)?;
        if counts != self.counts || bytes != self.bytes {
            return Err(format!(
                "the clock has {counts:?} nodes of {bytes:?} B, counted are {:?} of {:?}",
                self.counts, self.bytes
            ));
        }
        if self.ghosts.len() != self.count(Status::Ghost) {
            return Err("a ghost is found by its key, but not in the clock".to_owned());
        }
        let points = |hand: u32, right: fn(&Node) -> bool| match hand {
            NONE => !clock.iter().any(|number| right(self.node(*number))),
            hand => right(self.node(hand)),
        };
        if !points(self.hot_hand, |node| node.status == Status::Hot)
            || !points(self.cold_hand, Node::is_cold)
            || !points(self.trial_hand, Node::on_trial)
        {
            return Err("a hand points to an object of another kind".to_owned());
        }
        let ghost_bytes = self.bytes[Status::Ghost as usize];
        if ghost_bytes > self.bounds.ghost_bytes_max || self.extra > self.bounds.extra_max {
            return Err(format!(
                "{ghost_bytes} B of ghosts and {} B more for cold objects: over a bound of {:?}",
                self.extra, self.bounds
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{self, fill};

    /// Four objects: 0 and 1 are hot, 2 and 3 cold and on trial.
    fn filled() -> ClockPro {
        let mut policy = ClockPro::new(4, Params::default());
        fill(&mut policy, 4);
        policy
    }

    fn replace(policy: &mut ClockPro, key: u64) -> Slot {
        let slot = testing::replace(policy, key);
        assert_eq!(policy.audit(&[0, 1, 2, 3]), Ok(()));
        slot
    }

    fn status(policy: &ClockPro, slot: Slot) -> Status {
        policy.node(policy.node_of[slot as usize]).status
    }

    #[test]
    fn the_first_objects_are_hot_and_a_scan_takes_the_cold_ones() {
        let mut policy = filled();
        let statuses = [0, 1, 2, 3].map(|slot| status(&policy, slot));
        assert_eq!(
            statuses,
            [Status::Hot, Status::Hot, Status::Trial, Status::Trial]
        );
        assert_eq!(
            [10, 11, 12, 13].map(|key| replace(&mut policy, key)),
            [2, 3, 2, 3]
        );
        assert_eq!(policy.ghosts.len(), 4);
    }

    #[test]
    fn a_return_during_the_trial_turns_hot_and_an_old_hot_object_cold() {
        let mut policy = filled();
        assert_eq!(replace(&mut policy, 10), 2);
        assert_eq!(replace(&mut policy, 2), 3, "key 2 returns, in slot 3");
        assert_eq!(status(&policy, 3), Status::Hot);
        assert_eq!(status(&policy, 0), Status::Cold, "0 was not hit");
        policy.on_hit(1);
        assert_eq!(
            replace(&mut policy, 11),
            2,
            "10 is on trial and was not hit"
        );
    }

    #[test]
    fn ghosts_are_bounded_and_a_removal_leaves_no_trace() {
        let mut policy = filled();
        for key in 10..60 {
            replace(&mut policy, key);
        }
        assert_eq!(policy.ghosts.len(), 8, "two capacities");
        for slot in 0..4 {
            policy.on_remove(slot, Removal::Died);
            let held: Vec<Slot> = (slot + 1..4).collect();
            assert_eq!(policy.audit(&held), Ok(()));
        }
        policy.resize(2);
        assert_eq!(policy.ghosts.len(), 4);
        assert_eq!(policy.audit(&[]), Ok(()));
    }

    #[test]
    fn where_no_object_is_cold_the_oldest_hot_one_leaves() {
        let mut policy = filled();
        [2, 3]
            .into_iter()
            .for_each(|slot| policy.on_remove(slot, Removal::Died));
        policy.on_hit(0);
        let large = Access::sized(70, 3);
        assert!(policy.admit(&large));
        assert_eq!(policy.victim(&large), 1, "0 was hit");
        policy.on_remove(1, Removal::Evicted);
        assert_eq!(policy.audit(&[0]), Ok(()));
    }
}
