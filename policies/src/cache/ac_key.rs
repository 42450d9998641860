//! After AC-Key: one budget for blocks, key-value pairs and key pointers, divided by what the
//! ghosts of each side are worth.
//!
//! There are two boundaries, each moved like ARC's target: one between objects found by key and
//! blocks (data, index, filter, and values of the value log), and within the former one between
//! pairs and pointers. A ghost that is requested again moves its boundary in its favour by k * b /
//! s, where a hit saves b device reads for an object of s bytes. The factor k is such that a ghost
//! of average b / s moves the boundary by `step` of the capacity; the paper's own value is not
//! known to us. The victim is, of the `recent` least recent objects of a side, the one with the
//! least b / s. The cost of an object comes with the access. What enters as a pointer, and when a
//! pointer becomes a pair, is up to the mechanism.
//!
//! Variant: written from notes on the paper; not a reproduction. With objects of one kind there is
//! no boundary, and the order is that of E-LRU; with one kind, size and cost it is that of LRU.
//! Source: Wu et al., "AC-Key: Adaptive Caching for LSM-based Key-Value Stores", USENIX ATC 2020.
//! State: 32 B a slot and about 80 B a ghost.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(1) amortised; `victim` O(recent).
//! Invariants: both shares are between 0 and 1; what a side holds and its ghosts are at most the
//! capacity.
//! Weak where: scans, since E-LRU keeps a scan's objects as long as any others; only one kind of
//! object is cached.

use std::ops::Bound::{Excluded, Included};

use super::ghosts::Ghosts;
use super::queues::{Member, Queues};
use super::{Access, BlockKind, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "ac-key",
    about: "one budget for blocks, pairs and pointers, moved by ghosts (after Wu et al., ATC 2020)",
    params: describe::<Params>,
    build: |capacity, _seed, spec| {
        let params: Params = params(spec)?;
        in_range(spec, "recent", params.recent, 1..=1024)?;
        in_range(spec, "step", params.step, (Excluded(0.0), Included(1.0)))?;
        Ok(Box::new(AcKey::new(capacity, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The least recent objects of a side that are compared for each victim (1 to 1024).
    recent: u32,
    /// How far a ghost of average efficiency moves the boundary, as a share of the capacity (above
    /// 0, at most 1).
    step: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            recent: 8,
            step: 0.001,
        }
    }
}

const BLOCKS: u8 = 0;
const PAIRS: u8 = 1;
const POINTERS: u8 = 2;
const SIDES: usize = 3;

fn side(kind: BlockKind) -> u8 {
    match kind {
        BlockKind::KeyValue => PAIRS,
        BlockKind::KeyPointer => POINTERS,
        BlockKind::Data | BlockKind::Index | BlockKind::Filter | BlockKind::Value => BLOCKS,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    cost: u32,
}

/// Device reads that a hit saves, for each byte held.
fn efficiency(bytes: u64, cost: u32) -> f64 {
    f64::from(cost) / bytes.max(1) as f64
}

struct AcKey {
    params: Params,
    capacity: u64,
    queues: Queues<SIDES, Note>,
    ghosts: Ghosts<SIDES, Note>,
    /// The share of the capacity meant for pairs and pointers.
    point_share: f64,
    /// The share of that meant for pairs.
    pair_share: f64,
    misses: f64,
    /// The sum of the missed objects' efficiencies.
    efficiencies: f64,
}

impl AcKey {
    fn new(capacity: u64, params: Params) -> Self {
        Self {
            params,
            capacity,
            queues: Queues::default(),
            ghosts: Ghosts::default(),
            point_share: 0.5,
            pair_share: 0.5,
            misses: 0.0,
            efficiencies: 0.0,
        }
    }

    /// A ghost of `side` is requested: the side should have been larger.
    fn grow(&mut self, side: u8, efficiency: f64) {
        let mean = self.efficiencies / self.misses;
        let step = if mean > 0.0 {
            self.params.step * efficiency / mean
        } else {
            0.0
        };
        let toward = |share: f64, grows: bool| {
            (if grows { share + step } else { share - step }).clamp(0.0, 1.0)
        };
        self.point_share = toward(self.point_share, side != BLOCKS);
        if side != BLOCKS {
            self.pair_share = toward(self.pair_share, side == PAIRS);
        }
    }

    /// The side that is over its share once `incoming` is in. A side that holds nothing cannot
    /// give.
    fn giving_side(&self, incoming: &Access) -> u8 {
        let holds = |side: u8| !self.queues.is_empty(side);
        let pairs = self.bytes_with(PAIRS, incoming);
        let points = pairs + self.bytes_with(POINTERS, incoming);
        let target = self.point_share * self.capacity as f64;
        let points_give = points > target && (holds(PAIRS) || holds(POINTERS));
        if holds(BLOCKS) && !points_give {
            return BLOCKS;
        }
        let pairs_over = pairs > self.pair_share * target.max(points);
        if holds(PAIRS) && (pairs_over || !holds(POINTERS)) {
            PAIRS
        } else {
            POINTERS
        }
    }

    /// Bytes that `queue` holds once `incoming` is in.
    fn bytes_with(&self, queue: u8, incoming: &Access) -> f64 {
        let held = self.queues.bytes(queue) as f64;
        if side(incoming.kind) == queue {
            held + incoming.bytes as f64
        } else {
            held
        }
    }

    /// Drops ghosts until those of `side` and the objects it holds are at most the capacity.
    fn trim(&mut self, side: u8) {
        while self.ghosts.bytes(side) + self.queues.bytes(side) > self.capacity
            && self.ghosts.drop_oldest(side)
        {}
    }
}

impl Eviction for AcKey {
    fn admit(&mut self, incoming: &Access) -> bool {
        let worth = efficiency(incoming.bytes, incoming.cost);
        self.misses += 1.0;
        self.efficiencies += worth;
        if let Some(ghost) = self.ghosts.forget(incoming.key) {
            self.grow(ghost.queue, efficiency(ghost.bytes, ghost.note.cost));
        }
        true
    }

    fn victim(&mut self, incoming: &Access) -> Slot {
        let mut slot = self.queues.oldest(self.giving_side(incoming));
        let mut victim = slot;
        let mut least = f64::INFINITY;
        for _ in 0..self.params.recent {
            if slot == NONE {
                break;
            }
            let member = self.queues.member(slot);
            let worth = efficiency(member.bytes, member.note.cost);
            if worth < least {
                victim = slot;
                least = worth;
            }
            slot = self.queues.newer(slot);
        }
        victim
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let queue = side(incoming.kind);
        let note = Note {
            cost: incoming.cost,
        };
        self.queues.push(slot, Member::of(incoming, queue, note));
        self.trim(queue);
    }

    fn on_hit(&mut self, slot: Slot) {
        let queue = self.queues.member(slot).queue;
        self.queues.move_to(slot, queue);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let member = self.queues.take(slot);
        if why == Removal::Evicted {
            self.ghosts.remember(member);
            self.trim(member.queue);
        }
    }

    fn resize(&mut self, capacity: u64) {
        self.capacity = capacity;
        (0..SIDES as u8).for_each(|side| self.trim(side));
    }

    fn metadata_bytes(&self) -> u64 {
        self.queues.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queues.walk()?, held)?;
        self.ghosts.audit()?;
        let over = (0..SIDES as u8)
            .find(|side| self.ghosts.bytes(*side) + self.queues.bytes(*side) > self.capacity);
        match over {
            Some(side) => Err(format!(
                "side {side}: {} B of ghosts",
                self.ghosts.bytes(side)
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Replay;
    use crate::splitmix::SplitMix64;

    fn policy(capacity: u64, recent: u32) -> AcKey {
        AcKey::new(capacity, Params { recent, step: 0.01 })
    }

    #[test]
    fn with_one_kind_size_and_cost_it_is_lru() {
        for kind in [BlockKind::Data, BlockKind::KeyValue, BlockKind::KeyPointer] {
            let lru =
                crate::cache::build(&crate::PolicySpec::named("lru"), 40, 0).expect("it builds");
            let mut lru = Replay::new(lru, None, 40, 100);
            let mut ours = Replay::new(Box::new(policy(40, 8)), None, 40, 100);
            let mut draws = SplitMix64::new(5);
            for request in 0..5000 {
                let most = 1 + draws.below(100);
                let object = draws.below(most) as u32;
                let access = Access {
                    kind,
                    ..Access::unit(u64::from(object))
                };
                assert_eq!(
                    ours.request(object, &access),
                    lru.request(object, &access),
                    "{kind:?}, {request}"
                );
            }
        }
    }

    #[test]
    fn of_the_least_recent_the_least_efficient_leaves() {
        let mut policy = policy(1000, 3);
        let objects = [(10, 1), (40, 3), (20, 1), (500, 1)];
        for (slot, (bytes, cost)) in (0..).zip(objects) {
            policy.on_insert(
                slot,
                &Access {
                    cost,
                    ..Access::sized(u64::from(slot), bytes)
                },
            );
        }
        assert_eq!(
            policy.victim(&Access::sized(9, 600)),
            2,
            "slot 3 is worth less but not among the three"
        );
        policy.on_hit(0);
        assert_eq!(policy.victim(&Access::sized(9, 600)), 3);
    }

    /// The policy after a load of `before` and a loop over more objects of `kind` than fit.
    fn after_a_loop(before: BlockKind, kind: BlockKind) -> AcKey {
        let mut policy = policy(100, 1);
        let mut held: Vec<Option<u64>> = vec![None; 100];
        let mut keys: Vec<(u64, BlockKind)> = (0..100).map(|i| (i, before)).collect();
        for _ in 0..100 {
            keys.extend((0..60).map(|i| (1000 + i, kind)));
        }
        for (key, kind) in keys {
            let access = Access {
                kind,
                ..Access::unit(key)
            };
            if let Some(slot) = held.iter().position(|held| *held == Some(key)) {
                policy.on_hit(slot as Slot);
                continue;
            }
            assert!(policy.admit(&access));
            let slot = held.iter().position(Option::is_none).unwrap_or_else(|| {
                let slot = policy.victim(&access);
                policy.on_remove(slot, Removal::Evicted);
                slot as usize
            });
            held[slot] = Some(key);
            policy.on_insert(slot as Slot, &access);
            let slots = 0..100;
            let used: Vec<Slot> = slots.filter(|at| held[*at as usize].is_some()).collect();
            assert_eq!(policy.audit(&used), Ok(()));
        }
        policy
    }

    #[test]
    fn the_side_whose_ghosts_return_grows_until_they_fit() {
        let points = after_a_loop(BlockKind::KeyValue, BlockKind::Data).point_share;
        assert!(points <= 0.4, "60 blocks of 100 objects fit: {points}");
        let points = after_a_loop(BlockKind::Filter, BlockKind::KeyPointer).point_share;
        assert!(points >= 0.6, "{points}");
        let policy = after_a_loop(BlockKind::KeyPointer, BlockKind::KeyValue);
        let points = policy.point_share;
        let pairs = policy.pair_share;
        assert!(points * pairs >= 0.2 && pairs > 0.5, "{points} {pairs}");
    }
}
