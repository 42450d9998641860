//! AdaptSize: an object of size s enters with probability exp(-s / c), and a model of the cache
//! chooses c.
//!
//! After each `window` requests, c is chosen by the paper's Markov model of an LRU cache. An object
//! of size s, requested at rate r, is held with probability p (e^(rT) - 1) / (1 + p (e^(rT) - 1)),
//! where p = exp(-s / c). T is the time that an object stays without requests; it is such that the
//! objects held fill the capacity. Four values of c for each doubling are tried, from 1 B to four
//! times the capacity. The one with the highest modelled hit ratio wins; of equal ones, the
//! largest. Rates are averaged over windows, of which the latest counts 0.3. Objects whose sizes
//! and rates differ by less than an eighth of a doubling form one class of the model, for speed.
//!
//! Source: Berger, Sitaraman and Harchol-Balter, "AdaptSize: Orchestrating the Hot Object Memory
//! Cache in a Content Delivery Network", NSDI 2017. libCacheSim's policy of this name is another
//! one, a fixed threshold.
//! State: 24 B and a table entry of 18 B for each object requested lately.
//! Cost: one table probe a request. A new c takes about 160 evaluations of the model over some
//! hundreds of classes, which is tens of milliseconds.
//! Invariants: until the first window ends, c is four times the capacity, so nearly every object
//! enters.
//! Weak where: bytes count rather than objects, since it gives up large hits for more small ones;
//! the workload changes within a window.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::{Admission, Build};
use crate::cache::Access;
use crate::entry::{Entry, describe, in_range, params};
use crate::splitmix::{SplitMix64, remix};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "adaptsize",
    about: "small objects are likelier to enter; a model sets how much (Berger et al., NSDI 2017)",
    params: describe::<Params>,
    build: Build {
        needs_sizes: true,
        make: |capacity, seed, spec| {
            let Params { window } = params(spec)?;
            in_range(spec, "window", window, 1..)?;
            Ok(Some(Box::new(AdaptSize::new(capacity, seed, window))))
        },
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Requests after which c is chosen again (at least 1).
    window: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { window: 50_000 }
    }
}

/// The weight of the latest window in a rate.
const LATEST: f64 = 0.3;
/// An object with fewer requests a window is forgotten.
const RATE_MIN: f64 = 0.1;
/// Values of c tried for each doubling.
const STEPS_PER_OCTAVE: u32 = 4;
/// Classes of size, and of rate, for each doubling.
const CLASSES_PER_OCTAVE: f64 = 8.0;
/// A larger exponent changes nothing: the object is held with certainty.
const EXPONENT_MAX: f64 = 500.0;

/// An object requested lately.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: u64,
    bytes: u64,
    /// Requests in this window.
    requests: u32,
    /// Average requests a window before this one; negative for an object first seen in this one.
    rate: f64,
}

struct AdaptSize {
    capacity: u64,
    lots: SplitMix64,
    window: u64,
    c: f64,
    requests: u64,
    seen: Vec<Seen>,
    numbers: HashTable<u32>,
}

impl AdaptSize {
    fn new(capacity: u64, seed: u64, window: u64) -> Self {
        Self {
            capacity,
            lots: SplitMix64::new(seed),
            window,
            c: 4.0 * capacity as f64,
            requests: 0,
            seen: Vec::new(),
            numbers: HashTable::new(),
        }
    }

    fn count(&mut self, asked: &Access) {
        let seen = &mut self.seen;
        let hash = remix(asked.key);
        let number = seen.len() as u32;
        match self
            .numbers
            .find(hash, |number| seen[*number as usize].key == asked.key)
        {
            Some(number) => {
                let object = &mut seen[*number as usize];
                object.requests += 1;
                object.bytes = asked.bytes;
            }
            None => {
                seen.push(Seen {
                    key: asked.key,
                    bytes: asked.bytes,
                    requests: 1,
                    rate: -1.0,
                });
                self.numbers
                    .insert_unique(hash, number, |number| remix(seen[*number as usize].key));
            }
        }
        self.requests += 1;
        if self.requests >= self.window {
            self.requests = 0;
            self.end_window();
        }
    }

    fn end_window(&mut self) {
        for object in &mut self.seen {
            let latest = f64::from(std::mem::take(&mut object.requests));
            object.rate = if object.rate < 0.0 {
                latest
            } else {
                LATEST * latest + (1.0 - LATEST) * object.rate
            };
        }
        self.seen.retain(|object| object.rate >= RATE_MIN);
        self.numbers.clear();
        for (number, object) in self.seen.iter().enumerate() {
            let seen = &self.seen;
            self.numbers
                .insert_unique(remix(object.key), number as u32, |number| {
                    remix(seen[*number as usize].key)
                });
        }
        self.c = best_c(&classes(&self.seen), self.capacity);
    }
}

impl Admission for AdaptSize {
    fn on_hit(&mut self, asked: &Access) {
        self.count(asked);
    }

    fn admit(&mut self, incoming: &Access) -> bool {
        self.count(incoming);
        self.lots.chance((-(incoming.bytes as f64) / self.c).exp())
    }

    /// c stays within its range until the window ends. One that admits nearly every object still
    /// does.
    fn resize(&mut self, capacity: u64) {
        let before = std::mem::replace(&mut self.capacity, capacity);
        let admits_all = 4.0 * capacity as f64;
        self.c = if self.c >= 4.0 * before as f64 {
            admits_all
        } else {
            self.c.min(admits_all)
        };
    }

    fn metadata_bytes(&self) -> u64 {
        (self.seen.capacity() * size_of::<Seen>() + self.numbers.allocation_size()) as u64
    }
}

/// Objects of about the same size and rate.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    objects: f64,
    /// The sum over the objects, as `rate` is.
    bytes: f64,
    rate: f64,
}

fn classes(seen: &[Seen]) -> Vec<Class> {
    let octaves = |value: f64| (value.max(RATE_MIN).log2() * CLASSES_PER_OCTAVE).floor() as i32;
    let mut classes = BTreeMap::<(i32, i32), Class>::new();
    for object in seen {
        let bytes = object.bytes as f64;
        let class = classes
            .entry((octaves(bytes), octaves(object.rate)))
            .or_default();
        class.objects += 1.0;
        class.bytes += bytes;
        class.rate += object.rate;
    }
    classes.into_values().collect()
}

/// The c with the highest modelled hit ratio; of equal ones, the largest.
fn best_c(classes: &[Class], capacity: u64) -> f64 {
    let octaves = 2 + u64::BITS - capacity.leading_zeros();
    let admits_all = 4.0 * capacity as f64;
    let mut best_c = admits_all;
    let mut best_hits = model_hits(classes, capacity as f64, admits_all);
    for step in (0..=octaves * STEPS_PER_OCTAVE).rev() {
        let c = (f64::from(step) / f64::from(STEPS_PER_OCTAVE)).exp2();
        let hits = model_hits(classes, capacity as f64, c);
        // A gain within rounding error is no reason to refuse objects.
        if hits > best_hits * (1.0 + 1e-9) {
            best_c = c;
            best_hits = hits;
        }
    }
    best_c
}

/// Hits in a window, by the model.
fn model_hits(classes: &[Class], capacity: f64, c: f64) -> f64 {
    let admitted: Vec<f64> = classes
        .iter()
        .map(|class| (-class.bytes / class.objects / c).exp())
        .collect();
    let held = |time: f64| {
        classes.iter().zip(&admitted).map(move |(class, admitted)| {
            let odds =
                admitted * ((class.rate / class.objects * time).min(EXPONENT_MAX).exp() - 1.0);
            (class, odds / (1.0 + odds))
        })
    };
    let bytes = |time: f64| {
        held(time)
            .map(|(class, held)| class.bytes * held)
            .sum::<f64>()
    };
    // T in windows. It is doubled until the objects held fill the cache, then bisected. If they
    // never fill it, all of them are held.
    let mut low = 0.0;
    let mut high = 1e-6;
    while bytes(high) < capacity && high < EXPONENT_MAX / RATE_MIN {
        low = high;
        high *= 2.0;
    }
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if bytes(middle) < capacity {
            low = middle;
        } else {
            high = middle;
        }
    }
    held(high).map(|(class, held)| class.rate * held).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(objects: f64, bytes: f64, rate: f64) -> Class {
        Class {
            objects,
            bytes: objects * bytes,
            rate: objects * rate,
        }
    }

    #[test]
    fn the_model_gives_the_known_hit_ratios() {
        // 100 objects of equal size and rate, room for 25: a quarter of the requests hit, whatever
        // c is.
        for c in [1000.0, 1e6] {
            let hits = model_hits(&[class(100.0, 1000.0, 10.0)], 25_000.0, c);
            assert!((hits - 250.0).abs() < 0.1, "{hits} at c = {c}");
        }
        // With room for all, all requests hit.
        assert!((model_hits(&[class(100.0, 1000.0, 10.0)], 200_000.0, 1e6) - 1000.0).abs() < 0.1);
        // Two rates, all admitted: Che's approximation. T solves (1 - e^-T) + (1 - e^-9T) = 1 for
        // 50 objects each.
        let mut low: f64 = 0.0;
        let mut high: f64 = 10.0;
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if 2.0 - (-middle).exp() - (-9.0 * middle).exp() < 1.0 {
                low = middle
            } else {
                high = middle
            }
        }
        let expected = 50.0 * (1.0 - (-high).exp()) + 450.0 * (1.0 - (-9.0 * high).exp());
        let hits = model_hits(
            &[class(50.0, 100.0, 1.0), class(50.0, 100.0, 9.0)],
            5000.0,
            1e12,
        );
        assert!((hits - expected).abs() < 0.1, "{hits}, expected {expected}");
    }

    #[test]
    fn large_objects_rarely_requested_are_refused_and_none_where_all_fit() {
        let mixed = [class(1000.0, 1000.0, 5.0), class(1000.0, 100_000.0, 1.0)];
        let c = best_c(&mixed, 1_000_000);
        assert!((2000.0..60_000.0).contains(&c), "c = {c}");
        assert!(model_hits(&mixed, 1e6, c) > 1.5 * model_hits(&mixed, 1e6, 1e9));
        assert!(best_c(&mixed, 1 << 30) >= 4.0 * f64::from(1 << 30));
        assert_eq!(best_c(&[], 1000), 4000.0);
    }

    #[test]
    fn rates_are_averaged_and_forgotten() {
        let mut policy = AdaptSize::new(1000, 0, 10);
        (0..10).for_each(|_| policy.on_hit(&Access::sized(1, 100)));
        assert_eq!(policy.seen[0].rate, 10.0);
        (0..10).for_each(|_| policy.on_hit(&Access::sized(2, 100)));
        assert_eq!((policy.seen[0].rate, policy.seen[1].rate), (7.0, 10.0));
        (0..200).for_each(|_| policy.on_hit(&Access::sized(2, 100)));
        assert_eq!((policy.seen.len(), policy.seen[0].key), (1, 2));
    }
}
