//! The frequency sketch of TinyLFU: how often each key was requested lately, in four bits, for keys
//! present and absent.
//!
//! ```text
//! block of 64 bytes:  part 0   part 1   part 2   part 3     a key has one counter in each part
//!                     2 words  2 words  2 words  2 words    16 counters of 4 bits a word
//! ```
//!
//! Source: Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
//! ToS 13(4), 2017. The layout and the reset are those of Caffeine's FrequencySketch: a count-min
//! sketch (Cormode and Muthukrishnan 2005) with plain increments, and a word for each object that
//! fits in the cache. Unlike Caffeine's, it learns from the objects' sizes how many fit, and keeps
//! its counts when it grows: both halves of the larger table start as the smaller one.
//! State: the table, 8 to 16 B for each object that fits in the cache.
//! Cost: one cache line a call; O(table) once in ten requests for each object that fits.
//! Invariants: an estimate is at most 15 and, between two halvings, never less than the requests
//! counted, up to 15.
//! Weak where: popularity changes, since old requests count as much as new ones until the next
//! halving.

use crate::splitmix::remix;

const BLOCK_WORDS: usize = 8;
const PARTS: usize = 4;
/// The smallest table: 256 words.
const BLOCKS_MIN: usize = 32;
const COUNTER_MAX: u64 = 15;
/// The lowest bit of each counter.
const ONES: u64 = 0x1111_1111_1111_1111;
/// All bits of each counter but the highest.
const HALVES: u64 = 0x7777_7777_7777_7777;
/// Requests between two halvings, for each object that fits in the cache.
const SAMPLE: u64 = 10;

/// How many objects fit in a cache, judged by the mean size of those missed.
#[derive(Debug)]
pub(crate) struct Population {
    capacity: u64,
    objects: u64,
    bytes: u64,
}

/// Estimates from few objects may be as large as this.
const GUESS_MIN: u64 = 4096;

impl Population {
    /// The estimate for a cache of `capacity` bytes that has seen no object.
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            objects: 0,
            bytes: 0,
        }
    }

    /// Counts an object of `bytes` that was missed. Whenever the number of objects counted has
    /// doubled, returns a new estimate: at least 1, and at most a small multiple of that number, so
    /// that memory follows use.
    pub(crate) fn see(&mut self, bytes: u64) -> Option<u64> {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.objects.is_power_of_two().then(|| self.estimate())
    }

    fn estimate(&self) -> u64 {
        let fitting =
            u128::from(self.capacity) * u128::from(self.objects) / u128::from(self.bytes.max(1));
        fitting.clamp(1, u128::from(GUESS_MIN.max(8 * self.objects))) as u64
    }

    /// The cache has `capacity` bytes from now on. Returns the estimate for them if it has seen an
    /// object; `None` also if nothing changed.
    pub(crate) fn resize(&mut self, capacity: u64) -> Option<u64> {
        let changed = std::mem::replace(&mut self.capacity, capacity) != capacity;
        (changed && self.objects > 0).then(|| self.estimate())
    }
}

/// The sketch of one cache.
#[derive(Debug)]
pub(crate) struct FrequencySketch {
    population: Population,
    blocks: Vec<[u64; BLOCK_WORDS]>,
    /// Requests counted since the last halving, minus those that it took away.
    counted: u64,
    /// The count at which all counters are halved.
    sample: u64,
}

impl FrequencySketch {
    /// A sketch for a cache of `capacity` bytes.
    pub(crate) fn new(capacity: u64) -> Self {
        let blocks = vec![[0; BLOCK_WORDS]; BLOCKS_MIN];
        Self {
            population: Population::new(capacity),
            blocks,
            counted: 0,
            sample: SAMPLE,
        }
    }

    /// Counts a request for `key`.
    #[inline]
    pub(crate) fn increment(&mut self, key: u64) {
        let hash = remix(key);
        let index = self.block_of(hash);
        let block = &mut self.blocks[index];
        let mut added = false;
        for part in 0..PARTS {
            let (word, shift) = counter(hash, part);
            let below = (block[word] >> shift) & COUNTER_MAX < COUNTER_MAX;
            block[word] += u64::from(below) << shift;
            added |= below;
        }
        // Otherwise requests for the most popular keys would age all others.
        self.counted += u64::from(added);
        if self.counted >= self.sample {
            self.halve();
        }
    }

    /// Counts a request for `key`, an object of `bytes` that is not held.
    pub(crate) fn on_miss(&mut self, key: u64, bytes: u64) {
        if let Some(entries) = self.population.see(bytes) {
            self.hold(entries);
        }
        self.increment(key);
    }

    /// The cache has `capacity` bytes from now on. A table that became too large is folded, and
    /// counts of more requests than the sample has are halved.
    pub(crate) fn resize(&mut self, capacity: u64) {
        let Some(entries) = self.population.resize(capacity) else {
            return;
        };
        self.hold(entries);
        while self.blocks.len() > BLOCKS_MIN
            && (self.blocks.len() / 2 * BLOCK_WORDS) as u64 >= entries
        {
            self.fold();
        }
        while self.counted >= self.sample {
            self.halve();
        }
    }

    /// Makes the table, if it is too small, and the sample those of `entries` objects.
    fn hold(&mut self, entries: u64) {
        self.sample = SAMPLE * entries;
        while ((self.blocks.len() * BLOCK_WORDS) as u64) < entries {
            self.blocks.extend_from_within(..);
        }
    }

    /// Lays the upper half of the table on the lower one. A counter becomes the larger of two, so
    /// that no estimate falls.
    fn fold(&mut self) {
        let upper = self.blocks.split_off(self.blocks.len() / 2);
        let words = self.blocks.as_flattened_mut().iter_mut();
        for (word, other) in words.zip(upper.as_flattened()) {
            *word = (0..64).step_by(4).fold(0, |joined, shift| {
                let counter = |word: u64| (word >> shift) & COUNTER_MAX;
                joined | counter(*word).max(counter(*other)) << shift
            });
        }
        self.blocks.shrink_to_fit();
    }

    /// How often `key` was requested, at most 15. Too high if other keys share all its counters.
    #[inline]
    pub(crate) fn estimate(&self, key: u64) -> u64 {
        let hash = remix(key);
        let block = &self.blocks[self.block_of(hash)];
        let counters = std::array::from_fn::<u64, PARTS, _>(|part| {
            let (word, shift) = counter(hash, part);
            (block[word] >> shift) & COUNTER_MAX
        });
        counters.into_iter().fold(COUNTER_MAX, u64::min)
    }

    /// Requests between two halvings, if all were counted.
    pub(crate) fn sample(&self) -> u64 {
        self.sample
    }

    /// Bytes of memory used.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.blocks.capacity() * size_of::<[u64; BLOCK_WORDS]>()) as u64
    }

    /// The upper half of the hash chooses the block, the lower half the counters.
    #[inline]
    fn block_of(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.blocks.len() - 1)
    }

    /// Halves all counters. An odd counter loses half a request in rounding; each request is in
    /// four counters.
    fn halve(&mut self) {
        let mut odd = 0;
        for word in self.blocks.as_flattened_mut() {
            odd += u64::from((*word & ONES).count_ones());
            *word = (*word >> 1) & HALVES;
        }
        self.counted = self.counted.saturating_sub(odd / PARTS as u64) / 2;
    }
}

/// The word in the block, and the shift in the word, of the counter of `hash` in `part`: five bits
/// of the hash.
#[inline]
fn counter(hash: u64, part: usize) -> (usize, u32) {
    let bits = (hash >> (8 * part)) as usize;
    (2 * part + (bits & 1), 4 * ((bits as u32 >> 1) & 15))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::splitmix::SplitMix64;

    /// A sketch for a cache of `objects` objects of one byte, which has learned that many fit.
    fn grown(objects: u64) -> FrequencySketch {
        let mut sketch = FrequencySketch::new(objects);
        (0..objects).for_each(|key| sketch.on_miss(u64::MAX - key, 1));
        assert_eq!(sketch.sample, 10 * objects);
        sketch.blocks.as_flattened_mut().fill(0);
        sketch.counted = 0;
        sketch
    }

    #[test]
    fn estimates_are_live_and_never_too_low_between_halvings() {
        let mut sketch = grown(4096);
        let mut lots = SplitMix64::new(3);
        let mut counts = BTreeMap::new();
        for _ in 0..40_000 {
            let key = lots.draw() % 100 * (lots.draw() % 60);
            sketch.increment(key);
            *counts.entry(key).or_insert(0_u64) += 1;
        }
        assert!(
            sketch.counted > 20_000,
            "{} of 40,000 requests were counted, and no halving came",
            sketch.counted
        );
        let mut too_high = 0;
        for (key, count) in &counts {
            let estimate = sketch.estimate(*key);
            assert!(
                estimate >= (*count).min(15),
                "key {key}: {estimate}, asked for {count} requests"
            );
            too_high += u64::from(estimate > (*count).min(15));
        }
        let few = counts.len() as u64 / 20;
        assert!(
            too_high < few,
            "{too_high} of {} keys are estimated too high",
            counts.len()
        );
        assert!(
            (1 << 40..(1 << 40) + 1000)
                .filter(|key| sketch.estimate(*key) > 0)
                .count()
                < 200
        );
    }

    #[test]
    fn a_halving_halves_each_counter_and_takes_the_odd_ones_off_the_sample() {
        let mut sketch = grown(1024);
        for key in 0..15 {
            (0..=key).for_each(|_| sketch.increment(key));
        }
        let before: Vec<u64> = (0..15).map(|key| sketch.estimate(key)).collect();
        assert_eq!(
            before,
            (1..=15).collect::<Vec<u64>>(),
            "15 keys in 1024 words do not collide"
        );
        assert_eq!(sketch.counted, 120);
        sketch.halve();
        assert_eq!(
            (0..15).map(|key| sketch.estimate(key)).collect::<Vec<_>>(),
            (1..=15).map(|n| n / 2).collect::<Vec<_>>()
        );
        // Eight keys had an odd count in each of four counters: (120 - 32 / 4) / 2.
        assert_eq!(sketch.counted, 56);
    }

    #[test]
    fn a_halving_comes_after_ten_requests_an_object_and_saturated_keys_do_not_count() {
        let mut sketch = grown(300);
        (0..10_000).for_each(|_| sketch.increment(1));
        assert_eq!((sketch.counted, sketch.estimate(1)), (15, 15));
        (2..2990).for_each(|key| sketch.increment(key));
        assert!(
            sketch.counted < 1600 && sketch.estimate(1) == 7,
            "{}, {}",
            sketch.counted,
            sketch.estimate(1)
        );
    }

    #[test]
    fn growing_keeps_the_counts() {
        let mut sketch = FrequencySketch::new(100_000);
        (0..600).for_each(|key| (0..7).for_each(|_| sketch.increment(key)));
        sketch.counted = 0;
        let before: Vec<u64> = (0..600).map(|key| sketch.estimate(key)).collect();
        let small = sketch.blocks.len();
        sketch.on_miss(1 << 50, 1);
        assert!(sketch.blocks.len() > 8 * small);
        let after: Vec<u64> = (0..600).map(|key| sketch.estimate(key)).collect();
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before <= after && *after <= before + 1)
        );
    }

    #[test]
    fn a_smaller_room_folds_the_table_and_keeps_what_its_sample_can_hold() {
        let mut sketch = grown(4096);
        assert_eq!(sketch.blocks.len(), 4096 / BLOCK_WORDS);
        (0..600).for_each(|key| (0..=key % 9).for_each(|_| sketch.increment(key)));
        let before: Vec<u64> = (0..600).map(|key| sketch.estimate(key)).collect();
        sketch.resize(1024);
        assert_eq!(
            (sketch.blocks.len(), sketch.sample),
            (1024 / BLOCK_WORDS, 10_240)
        );
        let after: Vec<u64> = (0..600).map(|key| sketch.estimate(key)).collect();
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before <= after)
        );
        assert!(
            before
                .iter()
                .zip(&after)
                .filter(|(before, after)| before < after)
                .count()
                < 200,
            "few keys share all four counters with a larger one"
        );
        let memory = sketch.memory_bytes();
        assert_eq!(memory, 1024 * 8, "what was folded away is given back");
        sketch.resize(100);
        assert!(
            sketch.counted < 1000,
            "{} of a sample of 1000",
            sketch.counted
        );
        assert_eq!(sketch.blocks.len(), BLOCKS_MIN);
        sketch.resize(4096);
        assert_eq!(
            (sketch.blocks.len(), sketch.sample),
            (4096 / BLOCK_WORDS, 40_960)
        );
    }

    #[test]
    fn the_population_follows_the_mean_size_and_no_single_object() {
        let mut population = Population::new(1 << 40);
        assert_eq!(population.see(1), Some(4096));
        (2..1024).for_each(|_| _ = population.see(1 << 30));
        assert_eq!(population.see(1 << 30), Some(1025));
        assert_eq!(Population::new(10).see(100), Some(1));
        assert_eq!(Population::new(u64::MAX).see(0), Some(4096));
    }
}
