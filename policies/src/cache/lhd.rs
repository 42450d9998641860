//! LHD: of a random sample of held objects, the one with the fewest expected hits for the space and
//! time it will still take leaves.
//!
//! Objects fall into classes by how soon their last two hits came. An object's age is the time
//! since its last use. For each age, a class counts how many objects were hit and how many were
//! evicted. The hit density at an age is the number of hits at that age or later, divided by the
//! time that the objects of that age stay from then on. It is divided by the object's size.
//!
//! Variant: the authors' simulator, which libCacheSim has too: miss ratios agree within 0.002 on
//! three public traces. A few of the objects that entered last with a low density are always
//! candidates. One use in 32 makes an object an explorer, which is kept as long as explorers take
//! at most 1 % of the cache. Until the 50th reconfiguration 8 objects are drawn instead of
//! `samples`. Ages are fitted to the objects held at the 6th and the 26th reconfiguration; unlike
//! there, also later if they are wrong by more than a factor of two. There are no classes by
//! application.
//! Why not sooner: with 4 to 16 uses for each object held as `reconfigure`, misses fall by up to
//! 0.035 of the requests on one trace and rise by 0.06 on another.
//! Source: Beckmann, Chen and Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density",
//! NSDI 2018.
//! State: 36 B a slot, and 16 classes of three numbers an age: 3.8 MB at 20,000 ages.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(1), except that one call in `reconfigure` costs
//! O(ages); `victim` O(samples).
//! Invariants: explorers exceed their share of the cache by at most one object.
//! Weak where: the trace has fewer requests than `reconfigure`, since until then it guesses: use
//! counts divided by age.

use super::sampling::HeldSlots;
use super::{Access, Build, Eviction, Removal, Slot};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lhd",
    about: "least hit density of a sample leaves (Beckmann et al., NSDI 2018)",
    params: describe::<Params>,
    build: |capacity, seed, spec| {
        let params: Params = params(spec)?;
        in_range(spec, "samples", params.samples, 1..=4096)?;
        in_range(spec, "ages", params.ages, 16..=1_000_000)?;
        in_range(spec, "reconfigure", params.reconfigure, 1..)?;
        Ok(Box::new(Lhd::new(capacity, seed, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Held objects drawn for each victim (1 to 4096).
    samples: u32,
    /// Distinct ages (16 to 1000000). Together they span about 100 times the objects held, in uses.
    ages: u32,
    /// Uses between two computations of the densities (at least 1).
    reconfigure: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            samples: 32,
            ages: 20_000,
            reconfigure: 1 << 20,
        }
    }
}

const CLASSES: usize = 16;
/// Objects that entered last and are always candidates.
const RECENT: usize = 8;
/// Objects drawn, and explorers allowed, during the first reconfigurations.
const YOUNG_SAMPLES: u32 = 8;
const YOUNG: u32 = 50;
const EXPLORE_ONE_IN: usize = 32;
/// The reconfigurations at which ages are fitted to the objects held. Earlier, the counts of coarse
/// ages would be spread over many fine ones and make the densities wrong until the next.
const REFITS: [u32; 2] = [5, 25];
const DECAY: f32 = 0.9;
/// A count below this is forgotten: it no longer changes a sum of counts.
const FORGOTTEN: f32 = 1e-9;

struct Note {
    /// The time of its last use, in uses.
    used: u64,
    /// The age at its last hit.
    hit_age: u32,
    /// Its class, which follows from the ages at its last two hits.
    class: u8,
    explorer: bool,
    bytes: f32,
}

/// What happened to the objects of one class at each age.
struct Class {
    hits: Vec<f32>,
    evictions: Vec<f32>,
    densities: Vec<f32>,
}

impl Class {
    /// Until something is known, an object's density is a guess that rises with its class and falls
    /// with its age. The authors number classes across their applications, of which the default is
    /// the second: hence the offset.
    fn new(number: usize, ages: usize) -> Self {
        let densities = (0..ages)
            .map(|age| (CLASSES + number + 1) as f32 / (age + 1) as f32)
            .collect();
        Self {
            hits: vec![0.0; ages],
            evictions: vec![0.0; ages],
            densities,
        }
    }

    /// Lets the counts at the first `reach` ages fade. What is too small to matter becomes 0.
    fn decay(&mut self, reach: usize) {
        for count in self.hits[..reach]
            .iter_mut()
            .chain(&mut self.evictions[..reach])
        {
            *count = if *count < FORGOTTEN {
                0.0
            } else {
                *count * DECAY
            };
        }
    }

    /// The age after the last one that has a count.
    fn reach(&self) -> usize {
        let counts = self.hits.iter().zip(&self.evictions);
        let last = counts.rev().position(|counts| counts != (&0.0, &0.0));
        last.map_or(0, |from_end| self.hits.len() - from_end)
    }

    /// Computes the densities from the counts, in one sweep from the oldest age that has any.
    fn model(&mut self, reach: usize) {
        let mut hits = 0.0;
        let mut events = 0.0;
        let mut lifetime = 0.0;
        self.densities[reach..].fill(0.0);
        for age in (0..reach).rev() {
            hits += self.hits[age];
            events += self.hits[age] + self.evictions[age];
            lifetime += events;
            self.densities[age] = if events > 1e-5 { hits / lifetime } else { 0.0 };
        }
    }
}

/// Rescales counts by age, where a new age is worth 2^`by` as many uses as an old one.
fn rescale(counts: &mut [f32], by: i32) {
    let Some(last) = counts.len().checked_sub(1) else {
        return;
    };
    let factor = 1usize << by.unsigned_abs().min(31);
    let old = counts.to_vec();
    counts.fill(0.0);
    for (age, count) in old.into_iter().enumerate() {
        if by >= 0 {
            counts[age / factor] += count;
        } else if age == last {
            counts[last] += count;
        } else {
            let first = age.saturating_mul(factor);
            for age in first..first.saturating_add(factor) {
                counts[age.min(last)] += count / factor as f32;
            }
        }
    }
}

struct Lhd {
    params: Params,
    draws: SplitMix64,
    held: HeldSlots<Note>,
    classes: Vec<Class>,
    /// Uses so far. An age drops the lowest `coarseness` bits of a time.
    now: u64,
    coarseness: u32,
    /// Uses until the densities are computed again.
    uses_left: u64,
    reconfigurations: u32,
    /// All counts are at ages below this one.
    reach: usize,
    recent: [Slot; RECENT],
    recent_at: usize,
    /// The usual density of victims.
    victims: f32,
    /// Bytes that explorers may take in all.
    explore_max: i64,
    /// Bytes that explorers may still take; below 0 if they have taken more.
    explore: i64,
    /// The victim, once drawn.
    named: Slot,
}

/// Bytes that explorers may take in a cache of `capacity` bytes: a hundredth.
fn explorers(capacity: u64) -> i64 {
    (capacity / 100).min(i64::MAX as u64) as i64
}

impl Lhd {
    fn new(capacity: u64, seed: u64, params: Params) -> Self {
        let ages = params.ages as usize;
        Self {
            uses_left: params.reconfigure,
            params,
            draws: SplitMix64::new(seed),
            held: HeldSlots::default(),
            classes: (0..CLASSES)
                .map(|number| Class::new(number, ages))
                .collect(),
            now: 0,
            coarseness: 10,
            reconfigurations: 0,
            reach: 0,
            recent: [NONE; RECENT],
            recent_at: 0,
            victims: 0.0,
            explore_max: explorers(capacity),
            explore: explorers(capacity),
            named: NONE,
        }
    }

    fn age(&self, note: &Note) -> u32 {
        let age = (self.now - note.used) >> self.coarseness;
        age.min(u64::from(self.params.ages) - 1) as u32
    }

    /// The class of an object with these ages at its last two hits: the doublings of their sum that
    /// reach all ages. The sooner the hits, the higher.
    fn class(&self, last: u32, before: u32) -> u8 {
        let highest = CLASSES as u8 - 1;
        let ages = u64::from(self.params.ages);
        match u64::from(last) + u64::from(before) {
            0 => highest,
            age => {
                let doublings = ages.ilog2().saturating_sub(age.ilog2());
                let short = age << doublings < ages;
                (doublings as u8 + u8::from(short)).min(highest)
            }
        }
    }

    fn density(&self, note: &Note) -> f32 {
        let age = self.age(note);
        if age + 1 == self.params.ages {
            return f32::MIN;
        }
        let density = self.classes[usize::from(note.class)].densities[age as usize] / note.bytes;
        if note.explorer {
            density + 1.0
        } else {
            density
        }
    }

    fn draw_victim(&mut self) -> Slot {
        let samples = if self.reconfigurations > YOUNG {
            self.params.samples
        } else {
            YOUNG_SAMPLES
        };
        let mut victim = NONE;
        let mut least = f32::INFINITY;
        for _ in 0..samples {
            let (slot, note) = self.held.draw(&mut self.draws);
            let density = self.density(note);
            if density < least {
                victim = slot;
                least = density;
            }
        }
        for slot in self.recent.into_iter().filter(|slot| *slot != NONE) {
            let density = self.density(self.held.note(slot));
            if density < least {
                victim = slot;
                least = density;
            }
        }
        self.victims = DECAY * self.victims + (1.0 - DECAY) * least;
        victim
    }

    /// Whether an object of `bytes` is kept to learn from it.
    fn explores(&mut self, bytes: f32) -> bool {
        let lot = self.draws.below(EXPLORE_ONE_IN) == 0;
        let explores = lot && self.explore > 0 && self.reconfigurations < YOUNG;
        if explores {
            self.explore -= bytes as i64;
        }
        explores
    }

    fn count_use(&mut self) {
        self.named = NONE;
        self.now += 1;
        self.uses_left -= 1;
        if self.uses_left == 0 {
            self.reconfigure();
            self.uses_left = self.params.reconfigure;
        }
    }

    /// Computes the densities again, after fitting the coarseness of ages if it is time to.
    fn reconfigure(&mut self) {
        let by = self.misfit();
        let refits = by != 0
            && (REFITS.contains(&self.reconfigurations)
                || (self.reconfigurations > REFITS[1] && by.abs() > 1));
        if refits {
            self.coarseness = self.coarseness.saturating_add_signed(by);
        }
        for class in &mut self.classes {
            class.decay(self.reach);
            if refits {
                rescale(&mut class.hits, by);
                rescale(&mut class.evictions, by);
            }
        }
        if refits {
            self.reach = self.classes.iter().map(Class::reach).max().unwrap_or(0);
        }
        for class in &mut self.classes {
            class.model(self.reach);
        }
        self.reconfigurations = self.reconfigurations.saturating_add(1);
    }

    /// By how many doublings ages should be coarser for the objects held: all ages together are to
    /// span 100 times as many uses as there are objects.
    fn misfit(&self) -> i32 {
        let uses_an_age = 100 * self.held.len() / self.params.ages as usize;
        let fit = uses_an_age.max(2).next_power_of_two().ilog2();
        fit as i32 - self.coarseness as i32
    }
}

impl Eviction for Lhd {
    fn admit(&mut self, _incoming: &Access) -> bool {
        self.named = NONE;
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE {
            self.named = self.draw_victim();
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let bytes = incoming.bytes.max(1) as f32;
        let explorer = self.explores(bytes);
        let note = Note {
            used: self.now,
            hit_age: 0,
            class: self.class(0, self.params.ages),
            explorer,
            bytes,
        };
        if !explorer && self.density(&note) < self.victims {
            self.recent[self.recent_at] = slot;
            self.recent_at = (self.recent_at + 1) % RECENT;
        }
        self.held.insert(slot, note);
        self.count_use();
    }

    fn on_hit(&mut self, slot: Slot) {
        let &Note {
            hit_age,
            class,
            bytes,
            explorer,
            ..
        } = self.held.note(slot);
        let age = self.age(self.held.note(slot));
        self.classes[usize::from(class)].hits[age as usize] += 1.0;
        self.reach = self.reach.max(age as usize + 1);
        if explorer {
            self.explore += bytes as i64;
        }
        let explorer = self.explores(bytes);
        *self.held.note_mut(slot) = Note {
            used: self.now,
            hit_age: age,
            class: self.class(age, hit_age),
            explorer,
            bytes,
        };
        self.count_use();
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let note = self.held.remove(slot);
        if why == Removal::Evicted {
            let age = self.age(&note);
            self.classes[usize::from(note.class)].evictions[age as usize] += 1.0;
            self.reach = self.reach.max(age as usize + 1);
        }
        if note.explorer {
            self.explore += note.bytes as i64;
        }
        for recent in &mut self.recent {
            if *recent == slot {
                *recent = NONE;
            }
        }
        self.named = NONE;
    }

    fn resize(&mut self, capacity: u64) {
        let before = std::mem::replace(&mut self.explore_max, explorers(capacity));
        self.explore = self
            .explore
            .saturating_add(self.explore_max.saturating_sub(before));
    }

    fn metadata_bytes(&self) -> u64 {
        let class = 3 * self.params.ages as usize * size_of::<f32>();
        self.held.memory_bytes() + (CLASSES * class) as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        self.held.audit(held)?;
        for slot in self.recent {
            if slot != NONE && !held.contains(&slot) {
                return Err(format!("slot {slot} is a candidate but not held"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_density_is_hits_to_come_over_time_to_stay() {
        let mut class = Class::new(0, 4);
        // Of ten objects, six are hit at age 1 and four are evicted at age 3.
        class.hits[1] = 6.0;
        class.evictions[3] = 4.0;
        class.model(4);
        // At age 0: 6 hits. Ten objects stay for ages 0 and 1, four of them for ages 2 and 3 too.
        assert_eq!(class.densities, [6.0 / 28.0, 6.0 / 18.0, 0.0, 0.0]);
    }

    #[test]
    fn the_class_is_how_often_the_age_can_double() {
        let policy = Lhd::new(100, 1, Params::default());
        let classes = [0, 1, 2, 3, 9_999, 10_000, 10_001, 19_999, 20_000, 40_000]
            .map(|age| policy.class(age, 0));
        assert_eq!(classes, [15, 15, 14, 13, 2, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn coarser_and_finer_ages_keep_the_counts() {
        let mut counts = [1.0, 3.0, 0.0, 4.0, 8.0];
        rescale(&mut counts, 1);
        assert_eq!(counts, [4.0, 4.0, 8.0, 0.0, 0.0]);
        rescale(&mut counts, -1);
        assert_eq!(counts, [2.0, 2.0, 2.0, 2.0, 8.0]);
    }
}
