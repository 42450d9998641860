//! LHD: of a random sample of held objects, the one with the fewest expected hits for the space and
//! time it will still take leaves.
//!
//! Objects fall into classes by how soon their last two hits came. An object's age is the time
//! since its last use. For each age, a class counts how many objects were hit and how many were
//! evicted. The hit density at an age is the number of hits at that age or later, divided by the
//! time that the objects of that age stay from then on. It is divided by the object's size.
//!
//! Variant: the authors' simulator. A few of the objects that entered last with a low density are
//! always candidates. One use in 32 makes an object an explorer, which is kept as long as explorers
//! take at most 1 % of the cache. Until the 50th reconfiguration 8 objects are drawn instead of
//! `samples`. Unlike there, there are no classes by application, and ages are made coarser or finer
//! at every reconfiguration at which they are wrong by more than a factor of two.
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
const DECAY: f32 = 0.9;

struct Note {
    /// The time of its last use, in uses.
    used: u64,
    /// The ages of its last two hits.
    hit_ages: [u32; 2],
    bytes: f32,
    explorer: bool,
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

    fn decay(&mut self) {
        for count in self.hits.iter_mut().chain(&mut self.evictions) {
            *count *= DECAY;
        }
    }

    /// Computes the densities from the counts, in one sweep from the oldest age.
    fn model(&mut self) {
        let mut hits = 0.0;
        let mut events = 0.0;
        let mut lifetime = 0.0;
        for age in (0..self.densities.len()).rev() {
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
    reconfigurations: u32,
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
            params,
            draws: SplitMix64::new(seed),
            held: HeldSlots::default(),
            classes: (0..CLASSES)
                .map(|number| Class::new(number, ages))
                .collect(),
            now: 0,
            coarseness: 10,
            reconfigurations: 0,
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

    /// The sooner the last two hits came, the higher the number.
    fn class(&self, note: &Note) -> usize {
        let [last, before] = note.hit_ages;
        match u64::from(last) + u64::from(before) {
            0 => CLASSES - 1,
            age => {
                let doublings = (0..)
                    .take_while(|log| (age << log) < u64::from(self.params.ages))
                    .count();
                doublings.min(CLASSES - 1)
            }
        }
    }

    fn density(&self, note: &Note) -> f32 {
        let age = self.age(note);
        if age + 1 == self.params.ages {
            return f32::MIN;
        }
        let density = self.classes[self.class(note)].densities[age as usize] / note.bytes;
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
        if self.now.is_multiple_of(self.params.reconfigure) {
            self.reconfigure();
        }
    }

    /// Fits the coarseness of ages to the objects held, and computes the densities again.
    fn reconfigure(&mut self) {
        let uses_an_age = 100 * self.held.len() / self.params.ages as usize;
        let fit = uses_an_age.max(2).next_power_of_two().ilog2();
        let by = fit as i32 - self.coarseness as i32;
        let rescales = by.abs() > 1;
        for class in &mut self.classes {
            class.decay();
            if rescales {
                rescale(&mut class.hits, by);
                rescale(&mut class.evictions, by);
            }
            class.model();
        }
        if rescales {
            self.coarseness = fit;
        }
        self.reconfigurations = self.reconfigurations.saturating_add(1);
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
            hit_ages: [0, self.params.ages],
            bytes,
            explorer,
        };
        if !explorer && self.density(&note) < self.victims {
            self.recent[self.recent_at] = slot;
            self.recent_at = (self.recent_at + 1) % RECENT;
        }
        self.held.insert(slot, note);
        self.count_use();
    }

    fn on_hit(&mut self, slot: Slot) {
        let note = self.held.note(slot);
        let age = self.age(note);
        let class = self.class(note);
        let bytes = note.bytes;
        self.classes[class].hits[age as usize] += 1.0;
        if note.explorer {
            self.explore += bytes as i64;
        }
        let explorer = self.explores(bytes);
        let used = self.now;
        let note = self.held.note_mut(slot);
        *note = Note {
            used,
            hit_ages: [age, note.hit_ages[0]],
            bytes,
            explorer,
        };
        self.count_use();
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let note = self.held.remove(slot);
        if why == Removal::Evicted {
            let age = self.age(&note);
            let class = self.class(&note);
            self.classes[class].evictions[age as usize] += 1.0;
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
        class.model();
        // At age 0: 6 hits. Ten objects stay for ages 0 and 1, four of them for ages 2 and 3 too.
        assert_eq!(class.densities, [6.0 / 28.0, 6.0 / 18.0, 0.0, 0.0]);
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
