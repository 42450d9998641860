//! LIRS: an object requested again soon after the last time stays. The others share a hundredth of
//! the cache.
//!
//! Stack S holds, by recency, the hot objects (LIR) and all cold ones (HIR) younger than the oldest
//! hot one, those that left (ghosts) included. Queue Q holds the cold objects in the cache. The
//! paper does not bound the ghosts.
//!
//! Source: Jiang and Zhang, "LIRS: An Efficient Low Inter-reference Recency Set Replacement Policy
//! to Improve Buffer Cache Performance", SIGMETRICS 2002.
//! Variant: Caffeine's simulator, request for request with objects of one byte. Ghosts take
//! `ghosts` times the capacity, and the oldest is forgotten first. A cold object that is already on
//! top of S does not become hot by one more hit. Until the first eviction cold objects are not put
//! on S. libCacheSim and the authors of CACHEUS bound the whole of S by twice the capacity instead;
//! the program of the LIRS authors in effect does not bound it. With sizes, all shares are bytes:
//! as many of the oldest hot objects turn cold as the new hot one needs room for, an object larger
//! than the hot share stays cold, and after the first eviction only a return makes an object hot.
//! libCacheSim in bytes is another variant: it refuses objects larger than the cold share, keeps
//! the two shares apart, so that it also evicts on hits, and bounds S as above. Its miss ratios
//! differ by up to 0.041. With its refusals here, they differ by up to 0.005 on a synthetic trace,
//! and by up to 0.033 on a trace where they differ by 0.021 with objects of one byte.
//! State: a node of 28 B, its links in both orders (16 B) and 4 B a slot; 50 to 70 B a ghost.
//! Cost: O(1) list steps a call, amortised, because what pruning takes off S was put on it once; a
//! miss probes the ghost table.
//! Invariants: the bottom of S is hot; hot bytes and ghost bytes stay within their bounds; every
//! ghost is on S.
//! Weak where: the hot set changes at once, since new objects must return while in the cold
//! hundredth or as ghosts.

use super::key_numbers::KeyNumbers;
use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::{Links, NONE, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lirs",
    about: "objects with short gaps between requests stay (Jiang and Zhang, SIGMETRICS 2002)",
    params: describe::<Params>,
    build: |capacity, _seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "hir", params.hir, 0.0..=1.0)?;
        in_range(spec, "ghosts", params.ghosts, 0.0..=10_000.0)?;
        Ok(Box::new(Lirs::new(capacity, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Share of the cache for cold objects (0 to 1).
    hir: f64,
    /// Bytes of the ghosts, in capacities (0 to 10000).
    ghosts: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            hir: 0.01,
            ghosts: 2.0,
        }
    }
}

impl Params {
    fn hot_bytes(&self, capacity: u64) -> u64 {
        (capacity as f64 * (1.0 - self.hir)) as u64
    }

    fn ghost_bytes(&self, capacity: u64) -> u64 {
        (capacity as f64 * self.ghosts) as u64
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    /// In the cache and on S, not in Q.
    #[default]
    Hot,
    /// In the cache and in Q, perhaps on S.
    Cold,
    /// Not in the cache, on S.
    Ghost,
}

/// An object in the cache, or a ghost.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    key: u64,
    bytes: u64,
    slot: Slot,
    status: Status,
    on_stack: bool,
}

struct Lirs {
    params: Params,
    capacity: u64,
    hot_bytes_max: u64,
    hot_bytes: u64,
    nodes: Vec<Node>,
    free: Vec<u32>,
    node_of: Vec<u32>,
    stack_links: Links,
    /// S.
    stack: SlotList,
    /// The links of Q and of the ghosts: no node is in both.
    queue_links: Links,
    /// Q.
    queue: SlotList,
    ghosts: GhostQueue,
    /// The ghost of the object last missed. It is not among the ghosts until the object has entered
    /// or the next miss comes.
    returning: u32,
    /// Whether the cache has not been full yet.
    filling: bool,
}

/// The ghosts, in the order in which they left and by key.
struct GhostQueue {
    bytes_max: u64,
    bytes: u64,
    order: SlotList,
    numbers: KeyNumbers,
}

impl GhostQueue {
    fn push(&mut self, links: &mut Links, node: &Node, number: u32) {
        self.bytes += node.bytes;
        self.order.push_newest(links, number);
        self.numbers.insert(node.key, number);
    }

    fn find(&self, key: u64) -> u32 {
        self.numbers.find(key)
    }

    fn take(&mut self, links: &mut Links, node: &Node, number: u32) {
        self.bytes -= node.bytes;
        self.order.unlink(links, number);
        self.numbers.remove(node.key);
    }
}

impl Lirs {
    fn new(capacity: u64, params: Params) -> Self {
        let ghosts = GhostQueue {
            bytes_max: params.ghost_bytes(capacity),
            bytes: 0,
            order: SlotList::default(),
            numbers: KeyNumbers::default(),
        };
        Self {
            hot_bytes_max: params.hot_bytes(capacity),
            params,
            capacity,
            hot_bytes: 0,
            nodes: Vec::new(),
            free: Vec::new(),
            node_of: Vec::new(),
            stack_links: Links::default(),
            stack: SlotList::default(),
            queue_links: Links::default(),
            queue: SlotList::default(),
            ghosts,
            returning: NONE,
            filling: true,
        }
    }

    fn node(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize]
    }

    fn new_node(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            (self.nodes.len() - 1) as u32
        })
    }

    /// Puts a node on top of S. It may be on S already.
    fn raise(&mut self, number: u32) {
        if std::mem::replace(&mut self.node(number).on_stack, true) {
            self.stack.touch(&mut self.stack_links, number);
        } else {
            self.stack.push_newest(&mut self.stack_links, number);
        }
    }

    fn off_stack(&mut self, number: u32) {
        if std::mem::take(&mut self.node(number).on_stack) {
            self.stack.unlink(&mut self.stack_links, number);
        }
    }

    /// Frees a node that is in neither Q nor the ghosts.
    fn release(&mut self, number: u32) {
        self.off_stack(number);
        self.free.push(number);
    }

    fn forget_ghost(&mut self, number: u32) {
        if self.returning == number {
            self.returning = NONE;
        } else {
            self.ghosts
                .take(&mut self.queue_links, &self.nodes[number as usize], number);
        }
        self.release(number);
    }

    /// Makes a node a ghost. Of two objects with one key, the later ghost replaces the earlier.
    fn remember(&mut self, number: u32) {
        self.node(number).status = Status::Ghost;
        let earlier = self.ghosts.find(self.nodes[number as usize].key);
        if earlier != NONE {
            self.forget_ghost(earlier);
        }
        self.ghosts
            .push(&mut self.queue_links, &self.nodes[number as usize], number);
        self.trim_ghosts();
    }

    fn trim_ghosts(&mut self) {
        while self.ghosts.bytes > self.ghosts.bytes_max {
            self.forget_ghost(self.ghosts.order.oldest());
        }
    }

    /// Makes the oldest hot objects cold until the others have room.
    fn trim_hot(&mut self) {
        while self.hot_bytes > self.hot_bytes_max {
            self.make_oldest_cold();
        }
    }

    /// Takes off S what lies below its oldest hot object: it could not become hot before that one
    /// turns cold.
    fn prune(&mut self) {
        loop {
            let bottom = self.stack.oldest();
            if bottom == NONE {
                return;
            }
            match self.node(bottom).status {
                Status::Hot => return,
                Status::Cold => self.off_stack(bottom),
                Status::Ghost => self.forget_ghost(bottom),
            }
        }
    }

    /// Makes the node on top of S hot, and the oldest hot ones cold if there is not room for all.
    fn make_hot(&mut self, number: u32) {
        let node = self.node(number);
        node.status = Status::Hot;
        self.hot_bytes += node.bytes;
        self.prune();
        self.trim_hot();
    }

    fn make_oldest_cold(&mut self) {
        let bottom = self.stack.oldest();
        self.off_stack(bottom);
        let node = self.node(bottom);
        node.status = Status::Cold;
        self.hot_bytes -= node.bytes;
        self.queue.push_newest(&mut self.queue_links, bottom);
        self.prune();
    }

    fn check_node(&self, number: u32, status: Status) -> Result<Node, String> {
        let node = self.nodes[number as usize];
        if node.status == status {
            Ok(node)
        } else {
            Err(format!(
                "node {number} is {:?}, not {status:?}",
                node.status
            ))
        }
    }
}

impl Eviction for Lirs {
    fn admit(&mut self, incoming: &Access) -> bool {
        let refused = std::mem::replace(&mut self.returning, NONE);
        if refused != NONE {
            self.remember(refused);
        }
        let ghost = self.ghosts.find(incoming.key);
        if ghost != NONE {
            self.ghosts
                .take(&mut self.queue_links, &self.nodes[ghost as usize], ghost);
            self.returning = ghost;
        }
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        self.filling = false;
        if self.queue.is_empty() {
            self.make_oldest_cold();
        }
        self.nodes[self.queue.oldest() as usize].slot
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let returning = std::mem::replace(&mut self.returning, NONE);
        let number = if returning == NONE {
            self.new_node()
        } else {
            returning
        };
        let node = self.node(number);
        node.key = incoming.key;
        node.bytes = incoming.bytes;
        node.slot = slot;
        node.status = Status::Cold;
        if self.node_of.len() <= slot as usize {
            self.node_of.resize(slot as usize + 1, NONE);
        }
        self.node_of[slot as usize] = number;

        // While the cache fills, no hot object has to make room.
        let beside = if self.filling { self.hot_bytes } else { 0 };
        let fits = beside + incoming.bytes <= self.hot_bytes_max;
        if fits && (self.filling || returning != NONE) {
            self.raise(number);
            return self.make_hot(number);
        }
        if !self.filling {
            self.raise(number);
        }
        self.queue.push_newest(&mut self.queue_links, number);
    }

    fn on_hit(&mut self, slot: Slot) {
        let number = self.node_of[slot as usize];
        let Node {
            bytes,
            status,
            on_stack,
            ..
        } = *self.node(number);
        if status == Status::Hot {
            let was_bottom = self.stack.oldest() == number;
            self.raise(number);
            if was_bottom {
                self.prune();
            }
            return;
        }
        let turns_hot = on_stack && self.stack.newest() != number && bytes <= self.hot_bytes_max;
        self.raise(number);
        if turns_hot {
            self.queue.unlink(&mut self.queue_links, number);
            self.make_hot(number);
        } else {
            self.queue.touch(&mut self.queue_links, number);
        }
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let number = std::mem::replace(&mut self.node_of[slot as usize], NONE);
        let Node {
            bytes,
            status,
            on_stack,
            ..
        } = *self.node(number);
        if status == Status::Hot {
            self.hot_bytes -= bytes;
            self.release(number);
        } else {
            self.queue.unlink(&mut self.queue_links, number);
            if why == Removal::Evicted && on_stack {
                self.remember(number);
            } else {
                self.release(number);
            }
        }
        self.prune();
    }

    /// A cache that grows is filling again: no hot object has to make room for another.
    fn resize(&mut self, capacity: u64) {
        self.filling |= capacity > self.capacity;
        self.capacity = capacity;
        self.hot_bytes_max = self.params.hot_bytes(capacity);
        self.ghosts.bytes_max = self.params.ghost_bytes(capacity);
        self.trim_hot();
        self.trim_ghosts();
    }

    fn metadata_bytes(&self) -> u64 {
        let numbers = (self.node_of.capacity() + self.free.capacity()) * size_of::<u32>();
        let nodes = self.nodes.capacity() * size_of::<Node>();
        let links = self.stack_links.memory_bytes() + self.queue_links.memory_bytes();
        links + self.ghosts.numbers.memory_bytes() + (numbers + nodes) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        let stack = self.stack.walk(&self.stack_links)?;
        if stack
            .iter()
            .any(|number| !self.nodes[*number as usize].on_stack)
        {
            return Err("a node on S is not marked as being there".to_owned());
        }
        let hot: Vec<u32> = stack
            .iter()
            .copied()
            .filter(|number| self.nodes[*number as usize].status == Status::Hot)
            .collect();
        if hot.last() != stack.last() && !hot.is_empty() {
            return Err("the bottom of S is not hot".to_owned());
        }
        let mut slots = Vec::new();
        for number in self.queue.walk(&self.queue_links)? {
            slots.push(self.check_node(number, Status::Cold)?.slot);
        }
        let mut hot_bytes = 0;
        for number in hot {
            let node = self.check_node(number, Status::Hot)?;
            slots.push(node.slot);
            hot_bytes += node.bytes;
        }
        check_held(slots, held)?;
        let mut ghost_bytes = 0;
        let ghosts = self.ghosts.order.walk(&self.queue_links)?;
        for number in &ghosts {
            let node = self.check_node(*number, Status::Ghost)?;
            if !node.on_stack || self.ghosts.find(node.key) != *number {
                return Err(format!(
                    "ghost {number} is not on S, or not found by its key"
                ));
            }
            ghost_bytes += node.bytes;
        }
        let counted = self.hot_bytes;
        if counted != hot_bytes {
            return Err(format!("{counted} B are counted as hot, not {hot_bytes}"));
        }
        let counted = self.ghosts.bytes;
        if counted != ghost_bytes {
            return Err(format!(
                "{counted} B are counted as ghosts, not {ghost_bytes}"
            ));
        }
        if self.ghosts.numbers.len() != ghosts.len() {
            return Err("a ghost is found by its key, but not in the order".to_owned());
        }
        if hot_bytes > self.hot_bytes_max || ghost_bytes > self.ghosts.bytes_max {
            return Err(format!(
                "{hot_bytes} B are hot and {ghost_bytes} B are ghosts, which is over a bound"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing;

    /// Room for three hot objects and one cold one, filled with the keys 0 to 3 in the slots of the
    /// same numbers.
    fn filled() -> Lirs {
        let mut lirs = Lirs::new(
            4,
            Params {
                hir: 0.25,
                ghosts: 2.0,
            },
        );
        testing::fill(&mut lirs, 4);
        lirs
    }

    /// Misses `key` in the full cache and puts it into the victim's slot.
    fn replace(lirs: &mut Lirs, key: u64) -> Slot {
        let slot = testing::replace(lirs, key);
        assert_eq!(lirs.audit(&[0, 1, 2, 3]), Ok(()));
        slot
    }

    #[test]
    fn a_scan_passes_through_the_cold_slot_and_a_return_turns_hot() {
        let mut lirs = filled();
        assert_eq!([10, 11, 12].map(|key| replace(&mut lirs, key)), [3, 3, 3]);
        // 11 is a ghost on S: it becomes hot, and the oldest hot object, key 0, turns cold and is
        // the next victim.
        assert_eq!((replace(&mut lirs, 11), replace(&mut lirs, 13)), (3, 0));
        assert_eq!(
            lirs.node_of
                .iter()
                .map(|n| lirs.nodes[*n as usize].key)
                .collect::<Vec<_>>(),
            [13, 1, 2, 11]
        );
    }

    #[test]
    fn pruning_forgets_what_lies_below_the_oldest_hot_object() {
        let mut lirs = filled();
        [10, 11]
            .into_iter()
            .for_each(|key| assert_eq!(replace(&mut lirs, key), 3));
        assert_eq!(lirs.ghosts.numbers.len(), 1, "3 was not on S, 10 is");
        (0..3).for_each(|slot| lirs.on_hit(slot));
        assert_eq!((lirs.ghosts.numbers.len(), lirs.stack.len()), (0, 3));
        lirs.on_hit(3);
        assert_eq!(lirs.hot_bytes, 3, "off S, a hit is the first of two");
        lirs.on_hit(0);
        lirs.on_hit(3);
        assert_eq!(lirs.nodes[lirs.node_of[3] as usize].status, Status::Hot);
        assert_eq!(lirs.audit(&[0, 1, 2, 3]), Ok(()));
    }

    #[test]
    fn the_oldest_ghosts_are_forgotten() {
        let mut lirs = filled();
        (10..30).for_each(|key| assert_eq!(replace(&mut lirs, key), 3));
        assert_eq!(lirs.ghosts.bytes, 8);
        assert_eq!(
            (lirs.ghosts.find(20), lirs.ghosts.find(21) != NONE),
            (NONE, true)
        );
    }

    #[test]
    fn a_ghost_whose_return_was_refused_is_a_ghost_again() {
        let mut lirs = filled();
        [10, 11]
            .into_iter()
            .for_each(|key| assert_eq!(replace(&mut lirs, key), 3));
        assert!(lirs.admit(&Access::unit(10)));
        assert_eq!(lirs.ghosts.find(10), NONE);
        assert!(lirs.admit(&Access::unit(50)));
        assert_ne!(lirs.ghosts.find(10), NONE);
        assert_eq!(lirs.audit(&[0, 1, 2, 3]), Ok(()));
    }

    #[test]
    fn a_removal_leaves_room_and_a_large_object_stays_cold() {
        let mut lirs = filled();
        lirs.on_remove(0, Removal::Died);
        lirs.on_remove(3, Removal::Died);
        assert_eq!(lirs.audit(&[1, 2]), Ok(()));
        lirs.on_remove(1, Removal::Died);
        lirs.on_remove(2, Removal::Died);
        assert!(lirs.admit(&Access::sized(60, 4)));
        lirs.on_insert(0, &Access::sized(60, 4));
        lirs.on_hit(0);
        assert_eq!((lirs.audit(&[0]), lirs.hot_bytes), (Ok(()), 0));
    }
}
