//! ARC: two LRU lists, seen once and seen again, whose sizes follow the ghosts of what each has lost.
//!
//! Source: Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, Figure 4. The target is
//! a real number. With sizes, all lengths are bytes and the adaptation step is at least the object's size: a floor of
//! one byte, as in a literal reading, would let the target crawl. With objects of one byte it is the paper's ARC.
//! State: T1 (`recent`), T2 (`frequent`): 32 B a slot. Their ghosts B1, B2: up to `capacity` bytes' worth of keys that
//! left, about 40 B each. The target p for the bytes of T1.
//! Cost: a hit O(1) without allocation; a miss one probe of the ghost table and O(1) list steps for each object moved.
//! Invariants: T1 + B1 <= c; T1 + T2 + B1 + B2 <= 2c; 0 <= p <= c; no key is in a ghost list twice.
//! Weak where: a loop a little larger than the cache, as with LRU; sizes enter the lists but not the choice of victim.

use hashbrown::HashTable;

use super::{Access, Build, Eviction, Removal, Slot, check_held};
use crate::entry::{Entry, NoParams, describe, params};
use crate::slot_list::{Links, NONE, SlotList};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "arc",
    about: "recency and frequency lists balanced by ghosts (Megiddo and Modha, FAST 2003)",
    params: describe::<NoParams>,
    build: |capacity, _seed, spec| {
        params::<NoParams>(spec).map(|NoParams {}| Box::new(AdaptiveReplacement::new(capacity)) as _)
    },
};

/// Which of a pair of lists: seen once (T1, B1) or more often (T2, B2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    #[default]
    Recent,
    Frequent,
}

/// An object in the cache, or the memory of one.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    key: u64,
    bytes: u64,
    side: Side,
}

/// Two LRU lists over one set of numbers, with the bytes of each.
#[derive(Debug, Default)]
struct Pair {
    links: Links,
    lists: [SlotList; 2],
    bytes: [u64; 2],
    members: Vec<Member>,
}

impl Pair {
    fn bytes(&self, side: Side) -> u64 {
        self.bytes[side as usize]
    }

    fn oldest(&self, side: Side) -> u32 {
        self.lists[side as usize].oldest()
    }

    fn push(&mut self, number: u32, member: Member) {
        if self.members.len() <= number as usize {
            self.members.resize(number as usize + 1, Member::default());
        }
        self.members[number as usize] = member;
        self.bytes[member.side as usize] += member.bytes;
        self.lists[member.side as usize].push_newest(&mut self.links, number);
    }

    fn take(&mut self, number: u32) -> Member {
        let member = self.members[number as usize];
        self.bytes[member.side as usize] -= member.bytes;
        self.lists[member.side as usize].unlink(&mut self.links, number);
        member
    }

    fn memory_bytes(&self) -> u64 {
        self.links.memory_bytes() + (self.members.capacity() * size_of::<Member>()) as u64
    }

    /// All numbers listed, once the byte counts are known to be right.
    fn walk(&self) -> Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        for side in [Side::Recent, Side::Frequent] {
            let listed = self.lists[side as usize].walk(&self.links)?;
            let members = listed.iter().map(|number| self.members[*number as usize]);
            let bytes: u64 = members.clone().map(|member| member.bytes).sum();
            if bytes != self.bytes(side) || members.clone().any(|member| member.side != side) {
                return Err(format!(
                    "{side:?}: {bytes} B listed, {} counted, or a member of the other side",
                    self.bytes(side)
                ));
            }
            numbers.extend(listed);
        }
        Ok(numbers)
    }
}

/// Keys of objects that left, found by key.
#[derive(Debug, Default)]
struct Ghosts {
    pair: Pair,
    numbers: HashTable<u32>,
    free: Vec<u32>,
}

/// Keys are hashes already; the multiplication spreads what varies in them to the bits the table looks at.
fn table_hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Ghosts {
    fn remember(&mut self, member: Member) {
        // Two objects may share a hash: the later ghost replaces the earlier.
        self.forget(member.key);
        let number = self.free.pop().unwrap_or(self.pair.members.len() as u32);
        self.pair.push(number, member);
        let members = &self.pair.members;
        self.numbers.insert_unique(table_hash(member.key), number, |number| table_hash(members[*number as usize].key));
    }

    fn forget(&mut self, key: u64) -> Option<Member> {
        let members = &self.pair.members;
        let found = self.numbers.find_entry(table_hash(key), |number| members[*number as usize].key == key);
        let (number, _) = found.ok()?.remove();
        self.free.push(number);
        Some(self.pair.take(number))
    }

    /// Forgets the oldest ghost of `side`; false if there is none.
    fn drop_oldest(&mut self, side: Side) -> bool {
        match self.pair.oldest(side) {
            NONE => false,
            number => self.forget(self.pair.members[number as usize].key).is_some(),
        }
    }

    fn memory_bytes(&self) -> u64 {
        let free = self.free.capacity() * size_of::<u32>();
        self.pair.memory_bytes() + (free + self.numbers.allocation_size()) as u64
    }
}

struct AdaptiveReplacement {
    capacity: u64,
    /// p: the bytes that T1 should have.
    recent_target: f64,
    cached: Pair,
    ghosts: Ghosts,
    /// The ghost list in which the object last missed was found.
    missed_in: Option<Side>,
    /// Whether the victim last named goes to a ghost list.
    leaves_ghost: bool,
}

impl AdaptiveReplacement {
    fn new(capacity: u64) -> Self {
        Self {
            capacity,
            recent_target: 0.0,
            cached: Pair::default(),
            ghosts: Ghosts::default(),
            missed_in: None,
            leaves_ghost: false,
        }
    }

    /// T1 + B1 once `incoming_bytes` more have entered T1.
    fn recent_bytes_with(&self, incoming_bytes: u64) -> u64 {
        self.cached.bytes(Side::Recent) + self.ghosts.pair.bytes(Side::Recent) + incoming_bytes
    }

    /// Cases II and III: a ghost of `side` was asked for, so that side deserves more room. The lengths in the ratio
    /// still count the ghost.
    fn adapt(&mut self, side: Side, bytes: u64, ghost_bytes: u64) {
        let lengths = [Side::Recent, Side::Frequent]
            .map(|each| self.ghosts.pair.bytes(each) + if each == side { ghost_bytes } else { 0 });
        let (own, other) = match side {
            Side::Recent => (lengths[0], lengths[1]),
            Side::Frequent => (lengths[1], lengths[0]),
        };
        let step = bytes as f64 * (other as f64 / own.max(1) as f64).max(1.0);
        let target = match side {
            Side::Recent => self.recent_target + step,
            Side::Frequent => self.recent_target - step,
        };
        self.recent_target = target.clamp(0.0, self.capacity as f64);
    }

    /// Drops ghosts until the lists keep their bounds with the incoming object. In the first two branches of the
    /// paper's case IV this is one ghost; a miss in a full T1 without ghosts is left to `victim`.
    fn trim(&mut self, incoming_bytes: u64) {
        let enters_recent = self.missed_in.is_none();
        if enters_recent {
            while self.recent_bytes_with(incoming_bytes) > self.capacity && self.ghosts.drop_oldest(Side::Recent) {}
        }
        loop {
            let recent = if enters_recent {
                self.recent_bytes_with(incoming_bytes).min(self.capacity)
            } else {
                self.recent_bytes_with(0)
            };
            let frequent = self.cached.bytes(Side::Frequent)
                + self.ghosts.pair.bytes(Side::Frequent)
                + if enters_recent { 0 } else { incoming_bytes };
            let over = recent + frequent > 2 * self.capacity;
            if !over || !(self.ghosts.drop_oldest(Side::Frequent) || self.ghosts.drop_oldest(Side::Recent)) {
                return;
            }
        }
    }
}

impl Eviction for AdaptiveReplacement {
    /// Refuses, and learns nothing from, an object larger than the whole cache.
    fn admit(&mut self, incoming: &Access) -> bool {
        if incoming.bytes > self.capacity {
            return false;
        }
        let ghost = self.ghosts.forget(incoming.key);
        self.missed_in = ghost.map(|ghost| ghost.side);
        if let Some(ghost) = ghost {
            self.adapt(ghost.side, incoming.bytes, ghost.bytes);
        }
        self.trim(incoming.bytes);
        true
    }

    fn victim(&mut self, incoming: &Access) -> Slot {
        let (recent, frequent) = (self.cached.oldest(Side::Recent), self.cached.oldest(Side::Frequent));
        if recent != NONE && self.missed_in.is_none() && self.recent_bytes_with(incoming.bytes) > self.capacity {
            // T1 alone fills the cache: its oldest leaves no ghost, or T1 + B1 would outgrow c.
            self.leaves_ghost = false;
            return recent;
        }
        let recent_bytes = self.cached.bytes(Side::Recent) as f64;
        let over_target = recent_bytes > self.recent_target
            || (recent_bytes >= self.recent_target && self.missed_in == Some(Side::Frequent));
        self.leaves_ghost = true;
        if frequent == NONE || (recent != NONE && over_target) { recent } else { frequent }
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let side = if self.missed_in.take().is_some() { Side::Frequent } else { Side::Recent };
        self.cached.push(slot, Member { key: incoming.key, bytes: incoming.bytes, side });
    }

    fn on_hit(&mut self, slot: Slot) {
        if self.cached.members[slot as usize].side == Side::Frequent {
            return self.cached.lists[Side::Frequent as usize].touch(&mut self.cached.links, slot);
        }
        let member = self.cached.take(slot);
        self.cached.push(slot, Member { side: Side::Frequent, ..member });
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let member = self.cached.take(slot);
        if why == Removal::Evicted && self.leaves_ghost {
            self.ghosts.remember(member);
        }
    }

    fn metadata_bytes(&self) -> u64 {
        self.cached.memory_bytes() + self.ghosts.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.cached.walk()?, held)?;
        let ghosts = self.ghosts.pair.walk()?;
        if ghosts.len() != self.ghosts.numbers.len() {
            return Err(format!("{} ghosts are listed, {} can be found", ghosts.len(), self.ghosts.numbers.len()));
        }
        let recent = self.recent_bytes_with(0);
        let frequent = self.cached.bytes(Side::Frequent) + self.ghosts.pair.bytes(Side::Frequent);
        if recent > self.capacity || recent + frequent > 2 * self.capacity {
            return Err(format!("T1 + B1 = {recent} B and T2 + B2 = {frequent} B, with c = {} B", self.capacity));
        }
        if !(0.0..=self.capacity as f64).contains(&self.recent_target) {
            return Err(format!("the target {} is outside 0..={}", self.recent_target, self.capacity));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Misses `key` in a full cache and puts it where the victim was.
    fn replace(arc: &mut AdaptiveReplacement, key: u64) -> Slot {
        assert!(arc.admit(&Access::unit(key)));
        let slot = arc.victim(&Access::unit(key));
        arc.on_remove(slot, Removal::Evicted);
        arc.on_insert(slot, &Access::unit(key));
        slot
    }

    #[test]
    fn a_ghost_hit_moves_the_target_and_goes_to_the_frequent_list() {
        let mut arc = AdaptiveReplacement::new(2);
        for slot in 0..2 {
            assert!(arc.admit(&Access::unit(u64::from(slot))));
            arc.on_insert(slot, &Access::unit(u64::from(slot)));
        }
        arc.on_hit(0);
        assert_eq!(replace(&mut arc, 7), 1, "T1 is over its target of 0: its only object goes to B1");
        assert_eq!((arc.recent_target, arc.ghosts.pair.bytes), (0.0, [1, 0]));
        assert_eq!(replace(&mut arc, 1), 0, "T1 is at its target now, so T2 gives way");
        assert_eq!((arc.recent_target, arc.cached.bytes, arc.ghosts.pair.bytes), (1.0, [1, 1], [0, 1]));
        assert_eq!(arc.audit(&[0, 1]), Ok(()));
    }

    #[test]
    fn a_full_recent_list_leaves_no_ghost() {
        let mut arc = AdaptiveReplacement::new(2);
        for slot in 0..2 {
            assert!(arc.admit(&Access::unit(u64::from(slot))));
            arc.on_insert(slot, &Access::unit(u64::from(slot)));
        }
        assert_eq!(replace(&mut arc, 9), 0);
        assert_eq!(arc.ghosts.numbers.len(), 0);
    }

    #[test]
    fn an_object_that_died_leaves_no_ghost_and_one_too_large_is_refused() {
        let mut arc = AdaptiveReplacement::new(4);
        assert!(!arc.admit(&Access::sized(1, 5)));
        assert!(arc.admit(&Access::sized(2, 4)));
        arc.on_insert(0, &Access::sized(2, 4));
        arc.on_remove(0, Removal::Died);
        assert_eq!(arc.ghosts.numbers.len(), 0);
        assert_eq!(arc.audit(&[]), Ok(()));
    }

    #[test]
    fn two_objects_of_one_hash_leave_one_ghost() {
        let mut arc = AdaptiveReplacement::new(6);
        for slot in 0..6 {
            let access = Access::unit(if slot < 2 { 7 } else { u64::from(slot) });
            assert!(arc.admit(&access));
            arc.on_insert(slot, &access);
        }
        (2..6).for_each(|slot| arc.on_hit(slot));
        assert_eq!((replace(&mut arc, 8), replace(&mut arc, 9)), (0, 1));
        assert_eq!(arc.ghosts.pair.bytes, [1, 0]);
        assert_eq!(arc.audit(&[0, 1, 2, 3, 4, 5]), Ok(()));
    }
}
