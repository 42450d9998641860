//! LRB: a model learns how long it takes until an object is requested again. Of a sample, an object
//! expected beyond the memory window leaves ("relaxed Belady"), otherwise the one expected last.
//!
//! The memory window is `memory` times the objects held, in requests. It is the Belady boundary,
//! beyond which all objects are equally good victims, and the time after which a training example
//! without a request is labelled as beyond. The features are logarithms: of the gaps between the
//! object's last requests, of six counters of its requests that decay at different speeds, of its
//! size, of the time since its last request, and of how far that exceeds its last gap. Examples are
//! held objects drawn at random, one in four requests. Every `batch` labelled examples train a new
//! model and are dropped.
//!
//! Variant: much smaller than the paper's. The model is linear, fitted by ridge regression (linfa),
//! where the paper boosts 32 trees. It predicts the logarithm of the time, so it can learn products
//! of powers of the features, but no other interactions. 6 gaps and 6 counters; the paper has 32
//! and 10. Examples are drawn from held objects, not from the whole window. The window follows the
//! cache's size, where the paper tunes it for each trace. Until there is a model, the least recent
//! object of the sample leaves.
//! Source: Song et al., "Learning Relaxed Belady for Content Distribution Network Caching", NSDI
//! 2020.
//! State: 92 B a slot, about 150 B for each of the last `memory` * slots objects that left, and 88
//! B an example.
//! Cost: `on_hit`, `on_insert` and `on_remove` O(features), except that one call in four `batch`
//! trains: O(batch * features^2); `victim` O(samples * features).
//! Invariants: an example waits for its label no longer than the window; the ghosts are no more
//! than the window is long.
//! Weak where: objects differ much in size, which is a feature but not a goal; the trace is shorter
//! than a few windows.

use std::collections::VecDeque;

use super::ghosts::Ghosts;
use super::queues::Member;
use super::ridge::{Examples, Model};
use super::sampling::HeldSlots;
use super::{Access, Build, Eviction, Removal, Slot};
use crate::entry::{Entry, describe, in_range, params};
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lrb",
    about: "relaxed Belady by a learned model of the next request (after Song et al., NSDI 2020)",
    params: describe::<Params>,
    build: |_capacity, seed, spec| {
        let params: Params = params(spec)?;
        in_range(spec, "samples", params.samples, 1..=4096)?;
        in_range(spec, "memory", params.memory, 1..=64)?;
        in_range(spec, "batch", params.batch, 64..=1 << 20)?;
        Ok(Box::new(Lrb::new(seed, params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Held objects drawn for each victim (1 to 4096).
    samples: u32,
    /// The memory window and Belady boundary, in requests for each object held (1 to 64).
    memory: u32,
    /// Labelled examples that train a model (64 to 1048576).
    batch: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            samples: 64,
            memory: 4,
            batch: 4096,
        }
    }
}

const GAPS: usize = 6;
const COUNTERS: usize = 6;
/// One constant, the size, the age, and the excess over the last gap; the gaps; the counters.
const FEATURES: usize = 4 + GAPS + COUNTERS;
type Features = [f32; FEATURES];

/// The shortest window, in requests.
const LEAST_WINDOW: u64 = 256;
/// Requests for each example.
const EXAMPLE_EVERY: u64 = 4;

/// Stands for no example.
const NO_EXAMPLE: u64 = u64::MAX;

/// What is known of an object.
#[derive(Clone, Copy, Debug)]
struct Note {
    key: u64,
    /// The time of its last request, in requests.
    used: u64,
    /// The number of the example that waits for its next request.
    example: u64,
    /// The logarithm of the size.
    size: f32,
    /// The logarithms of the gaps, the last first; infinite where there was none.
    gaps: [f32; GAPS],
    /// Counters with half-lives of 2^10, 2^12, ... 2^20 requests. These are not logarithms.
    counters: [f32; COUNTERS],
}

impl Default for Note {
    fn default() -> Self {
        let gaps = [f32::INFINITY; GAPS];
        let counters = [1.0; COUNTERS];
        Self {
            key: 0,
            used: 0,
            example: NO_EXAMPLE,
            size: 0.0,
            gaps,
            counters,
        }
    }
}

fn log(requests: u64) -> f32 {
    (requests as f32 + 1.0).log2()
}

impl Note {
    fn note_use(&mut self, now: u64) {
        let gap = now - self.used;
        self.gaps.rotate_right(1);
        self.gaps[0] = log(gap);
        for (counter, doublings) in self.counters.iter_mut().zip((10..).step_by(2)) {
            *counter = 1.0 + *counter * (-(gap as f32) / (1u32 << doublings) as f32).exp2();
        }
        self.used = now;
    }

    /// The features at `now`; `longest` stands for unknown gaps.
    fn features(&self, now: u64, longest: f32) -> Features {
        let age = log(now - self.used);
        let last = self.gaps[0].min(longest);
        let mut features = [1.0; FEATURES];
        features[1] = self.size;
        features[2] = age;
        features[3] = (age - last).max(0.0);
        for (feature, gap) in features[4..].iter_mut().zip(self.gaps) {
            *feature = gap.min(longest);
        }
        for (feature, counter) in features[4 + GAPS..].iter_mut().zip(self.counters) {
            *feature = counter.log2();
        }
        features
    }
}

/// An example that waits for its label.
struct Example {
    taken: u64,
    features: Features,
    labelled: bool,
}

struct Lrb {
    params: Params,
    draws: SplitMix64,
    /// Requests so far.
    now: u64,
    held: HeldSlots<Note>,
    /// Notes on objects that left, in the order in which they left.
    past: Ghosts<1, Note>,
    /// The examples in the order of their numbers; the first has the number `first`.
    waiting: VecDeque<Example>,
    first: u64,
    labelled: Examples<FEATURES>,
    model: Option<Model<FEATURES>>,
    /// What was known of the missing object.
    returning: Option<Note>,
    /// The victim, once drawn.
    named: Slot,
}

impl Lrb {
    fn new(seed: u64, params: Params) -> Self {
        let labelled = Examples::new(params.batch as usize);
        Self {
            params,
            draws: SplitMix64::new(seed),
            now: 0,
            held: HeldSlots::default(),
            past: Ghosts::default(),
            waiting: VecDeque::new(),
            first: 0,
            labelled,
            model: None,
            returning: None,
            named: NONE,
        }
    }

    fn window(&self) -> u64 {
        (self.held.len() as u64 * u64::from(self.params.memory)).max(LEAST_WINDOW)
    }

    /// The label of a time beyond the window.
    fn beyond(&self) -> f32 {
        log(2 * self.window())
    }

    fn learn(&mut self, features: &Features, label: f32) {
        if self.labelled.push(features, label) {
            // With too little variety to learn from, the old model stays.
            self.model = self.labelled.train().or(self.model.take());
        }
    }

    /// A request begins: labels the example that waited too long, and takes an example now and
    /// then.
    fn tick(&mut self) {
        self.now += 1;
        self.named = NONE;
        let window = self.window();
        while self
            .waiting
            .front()
            .is_some_and(|example| example.labelled || self.now - example.taken > window)
        {
            self.first += 1;
            if let Some(Example {
                features,
                labelled: false,
                ..
            }) = self.waiting.pop_front()
            {
                self.learn(&features, self.beyond());
            }
        }
        if self.now.is_multiple_of(EXAMPLE_EVERY) && self.held.len() > 0 {
            let (slot, note) = self.held.draw(&mut self.draws);
            if note.example == NO_EXAMPLE {
                let features = note.features(self.now, self.beyond());
                self.held.note_mut(slot).example = self.first + self.waiting.len() as u64;
                self.waiting.push_back(Example {
                    taken: self.now,
                    features,
                    labelled: false,
                });
            }
        }
    }

    /// The object of `note` is requested: labels the example that waited for it.
    fn note_use(&mut self, mut note: Note) -> Note {
        let number = std::mem::replace(&mut note.example, NO_EXAMPLE);
        let waits = number
            .checked_sub(self.first)
            .and_then(|at| self.waiting.get_mut(at as usize));
        if let Some(example) = waits.filter(|_| number != NO_EXAMPLE) {
            example.labelled = true;
            let features = example.features;
            let time = self.now - example.taken;
            self.learn(&features, log(time));
        }
        note.note_use(self.now);
        note
    }

    fn draw_victim(&mut self) -> Slot {
        let boundary = log(self.window());
        let longest = self.beyond();
        let mut victim = NONE;
        let mut latest = f32::NEG_INFINITY;
        for _ in 0..self.params.samples {
            let (slot, note) = self.held.draw(&mut self.draws);
            let next = match &self.model {
                Some(model) => model.predict(&note.features(self.now, longest)),
                None => log(self.now - note.used),
            };
            if next > latest || victim == NONE {
                victim = slot;
                latest = next;
            }
            if self.model.is_some() && next > boundary {
                break;
            }
        }
        victim
    }
}

impl Eviction for Lrb {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.tick();
        self.returning = self
            .past
            .forget(incoming.key)
            .map(|ghost| self.note_use(ghost.note));
        true
    }

    fn victim(&mut self, _incoming: &Access) -> Slot {
        if self.named == NONE {
            self.named = self.draw_victim();
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        let new = Note {
            used: self.now,
            ..Note::default()
        };
        let known = self.returning.take().unwrap_or(new);
        self.held.insert(
            slot,
            Note {
                key: incoming.key,
                size: log(incoming.bytes),
                ..known
            },
        );
        self.named = NONE;
    }

    fn on_hit(&mut self, slot: Slot) {
        self.tick();
        let note = self.note_use(*self.held.note(slot));
        *self.held.note_mut(slot) = note;
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        let note = self.held.remove(slot);
        self.named = NONE;
        if why == Removal::Evicted {
            self.past.remember(Member {
                key: note.key,
                bytes: 0,
                queue: 0,
                note,
            });
        }
        while self.past.len(0) as u64 > self.window() {
            self.past.drop_oldest(0);
        }
    }

    fn metadata_bytes(&self) -> u64 {
        let waiting = self.waiting.capacity() * size_of::<Example>();
        self.held.memory_bytes()
            + self.past.memory_bytes()
            + self.labelled.memory_bytes()
            + waiting as u64
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        self.held.audit(held)?;
        self.past.audit()?;
        if self.past.len(0) as u64 > self.window() {
            return Err(format!(
                "{} ghosts, the window is {}",
                self.past.len(0),
                self.window()
            ));
        }
        match self.waiting.front() {
            // The window shrinks when objects die; its examples are dropped at the next request.
            Some(example) if self.waiting.len() as u64 > self.now + 1 - example.taken => {
                Err(format!(
                    "{} examples of {} requests",
                    self.waiting.len(),
                    self.now - example.taken
                ))
            }
            _ => Ok(()),
        }
    }
}
