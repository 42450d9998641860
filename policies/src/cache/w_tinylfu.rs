//! W-TinyLFU: a small LRU window, then a segmented LRU. An object leaves the window for the
//! segmented LRU only if it was requested more often than the object it would displace.
//!
//! An object enters the window. The window's oldest object goes on probation as a candidate. In a
//! full cache, the candidate is compared with the oldest object on probation; it stays only if its
//! estimated frequency is strictly greater. A hit on probation protects an object; what overflows
//! the protected segment goes back on probation. These rules are Caffeine's. `jitter` is Caffeine's
//! defence against hash flooding: a losing candidate of frequency 6 or more is still let in once in
//! 128. `adaptive` is its simple hill climber: after each ten requests for each object held, the
//! window moves by 6.25 % of the capacity, in the same direction while the hit ratio does not fall,
//! else back. Each step is 2 % smaller than the last; when the hit ratio changes by five points,
//! the next is a full one.
//!
//! Source: Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
//! ToS 13(4), 2017.
//! Variant: Caffeine's. With sizes, shares are bytes, and an object larger than the window is its
//! own candidate, against the first victim it would need. libCacheSim's is another variant: it does
//! not count hits in the window, halves its counts a third as often, and in bytes refuses objects
//! larger than the window. In bytes its miss ratios differ by up to 0.033. With its refusals here,
//! they differ by up to 0.008 on a synthetic trace, and by up to 0.033 on a trace where they differ
//! by 0.040 with objects of one byte, because of the counts.
//! State: a key, a size, a region and two links (32 B) a slot; the sketch, 8 to 16 B for each
//! object that fits.
//! Cost: a hit reads one cache line of the sketch and changes O(1) links; a miss costs the same and
//! two estimates.
//! Invariants: the window and the protected segment stay within their shares. There are no
//! candidates between misses unless an admission policy refused the missing object.
//! Weak where: new objects are popular at once and briefly, with a small fixed window. Without
//! jitter, also where a set that was once popular never meets a candidate of strictly greater
//! frequency.

use super::queues::{Member, Queues};
use super::{Access, Build, Eviction, Removal, Slot, check_held, same_share};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::sketch::FrequencySketch;
use crate::slot_list::NONE;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "w-tinylfu",
    about: "an LRU window, then a segmented LRU guarded by a sketch (Einziger et al., ToS 2017)",
    params: describe::<Params>,
    build: |capacity, seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        for (name, share) in [("window", params.window), ("protected", params.protected)] {
            in_range(spec, name, share, 0.0..=1.0)?;
        }
        Ok(Box::new(WindowTinyLfu::new(capacity, seed, &params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Share of the cache that is the window (0 to 1; at least one byte). If adaptive, its share at
    /// the start.
    window: f64,
    /// Share of the rest that is protected (0 to 1).
    protected: f64,
    /// Whether the window's share follows the hit ratio.
    adaptive: bool,
    /// Whether a losing candidate of high frequency is still let in once in 128, drawn from the
    /// seed.
    jitter: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            window: 0.01,
            protected: 0.8,
            adaptive: false,
            jitter: false,
        }
    }
}

const WINDOW: u8 = 0;
/// Objects that left the window for the current miss, until they are compared: the newest end of
/// probation.
const CANDIDATES: u8 = 1;
const PROBATION: u8 = 2;
const PROTECTED: u8 = 3;

/// The frequency from which a losing candidate may still be let in, and how often.
const JITTER_FREQUENCY: u64 = 6;
const JITTER_CHANCE: f64 = 1.0 / 128.0;

struct WindowTinyLfu {
    capacity: u64,
    window_share: f64,
    protected_share: f64,
    window_bytes_max: u64,
    protected_bytes_max: u64,
    queues: Queues<4>,
    sketch: FrequencySketch,
    climber: Option<Climber>,
    jitter: Option<SplitMix64>,
    /// The answer of `victim`, until the next event.
    named: Slot,
    /// The candidate that beats `named`.
    winner: Slot,
}

impl WindowTinyLfu {
    fn new(capacity: u64, seed: u64, params: &Params) -> Self {
        let mut policy = Self {
            capacity,
            window_share: params.window,
            protected_share: params.protected,
            window_bytes_max: 0,
            protected_bytes_max: 0,
            queues: Queues::default(),
            sketch: FrequencySketch::new(capacity),
            climber: None,
            jitter: params.jitter.then(|| SplitMix64::new(seed)),
            named: NONE,
            winner: NONE,
        };
        policy.divide();
        policy.climber = params.adaptive.then(|| policy.climber_at_start());
        policy
    }

    /// Gives the window and the protected segment their shares of the capacity.
    fn divide(&mut self) {
        self.climber = None;
        let rest = (self.capacity as f64 * (1.0 - self.window_share)) as u64;
        self.set_window(self.capacity - rest);
    }

    /// The climber of a cache that was just divided. It gives the window what it takes from the
    /// protected segment, and leaves probation its share.
    fn climber_at_start(&self) -> Climber {
        let window_limit = self.window_bytes_max + self.protected_bytes_max;
        Climber::new(self.capacity, self.window_bytes_max, window_limit)
    }

    fn set_window(&mut self, bytes_max: u64) {
        self.window_bytes_max = bytes_max.clamp(1, self.capacity.max(1));
        let main = self.capacity.saturating_sub(self.window_bytes_max);
        self.protected_bytes_max = match &self.climber {
            Some(climber) => climber
                .window_limit
                .saturating_sub(self.window_bytes_max)
                .min(self.protected_of(main)),
            None => self.protected_of(main),
        };
    }

    fn protected_of(&self, main: u64) -> u64 {
        (main as f64 * self.protected_share) as u64
    }

    /// Whether `candidate` is let in at the cost of `victim`.
    fn beats(&mut self, candidate: u64, victim: u64) -> bool {
        let frequency = self.sketch.estimate(candidate);
        frequency > self.sketch.estimate(victim)
            || (frequency >= JITTER_FREQUENCY
                && self
                    .jitter
                    .as_mut()
                    .is_some_and(|jitter| jitter.chance(JITTER_CHANCE)))
    }

    /// The oldest object of the first of `regions` that is not empty; `NONE` if all are empty.
    fn oldest_of(&self, regions: &[u8]) -> Slot {
        regions
            .iter()
            .map(|region| self.queues.oldest(*region))
            .find(|slot| *slot != NONE)
            .unwrap_or(NONE)
    }

    /// Makes room in the window for `incoming_bytes`. The objects that leave it become candidates.
    fn name_victim(&mut self, incoming_bytes: u64) -> Slot {
        let enters_window = incoming_bytes <= self.window_bytes_max;
        if enters_window {
            self.drain_window(self.window_bytes_max - incoming_bytes, CANDIDATES);
        }
        let candidate = self.queues.oldest(CANDIDATES);
        if !enters_window || candidate == NONE {
            return self.oldest_of(&[PROBATION, CANDIDATES, PROTECTED, WINDOW]);
        }
        let victim = self.queues.oldest(PROBATION);
        if victim == NONE
            || !self.beats(
                self.queues.member(candidate).key,
                self.queues.member(victim).key,
            )
        {
            return candidate;
        }
        self.winner = candidate;
        victim
    }

    /// Moves the window's oldest objects to `region` until the window has at most `bytes_max`.
    fn drain_window(&mut self, bytes_max: u64, region: u8) {
        while self.queues.bytes(WINDOW) > bytes_max {
            self.queues.move_to(self.queues.oldest(WINDOW), region);
        }
    }

    fn demote_protected(&mut self) {
        while self.queues.bytes(PROTECTED) > self.protected_bytes_max {
            self.queues
                .move_to(self.queues.oldest(PROTECTED), PROBATION);
        }
    }

    /// Moves to probation what the window and the protected segment hold above their limits.
    fn keep_limits(&mut self) {
        self.drain_window(self.window_bytes_max, PROBATION);
        self.demote_protected();
    }

    /// Something happened: the next victim is decided again.
    fn forget_victim(&mut self) {
        self.named = NONE;
        self.winner = NONE;
    }

    fn climb(&mut self, hit: bool) {
        let sample = self.sketch.sample();
        let Some(window) = self
            .climber
            .as_mut()
            .and_then(|climber| climber.observe(hit, sample))
        else {
            return;
        };
        self.set_window(window);
        self.keep_limits();
        loop {
            let slot = self.queues.oldest(PROBATION);
            let room = self.window_bytes_max - self.queues.bytes(WINDOW);
            if slot == NONE || self.queues.member(slot).bytes > room {
                return;
            }
            self.queues.move_to(slot, WINDOW);
        }
    }
}

impl Eviction for WindowTinyLfu {
    /// Refuses an object larger than the window if it would displace one requested as often.
    fn admit(&mut self, incoming: &Access) -> bool {
        self.forget_victim();
        self.climb(false);
        self.sketch.on_miss(incoming.key, incoming.bytes);
        let used: u64 = [WINDOW, CANDIDATES, PROBATION, PROTECTED]
            .map(|region| self.queues.bytes(region))
            .iter()
            .sum();
        if incoming.bytes <= self.window_bytes_max || used + incoming.bytes <= self.capacity {
            return true;
        }
        match self.oldest_of(&[PROBATION, CANDIDATES, PROTECTED, WINDOW]) {
            NONE => true,
            victim => self.beats(incoming.key, self.queues.member(victim).key),
        }
    }

    fn victim(&mut self, incoming: &Access) -> Slot {
        if let Some(climber) = &mut self.climber {
            climber.cache_is_full = true;
        }
        if self.named == NONE {
            self.named = self.name_victim(incoming.bytes);
        }
        self.named
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        self.forget_victim();
        // Those not compared fitted in.
        while !self.queues.is_empty(CANDIDATES) {
            self.queues
                .move_to(self.queues.oldest(CANDIDATES), PROBATION);
        }
        let queue = if incoming.bytes <= self.window_bytes_max {
            WINDOW
        } else {
            PROBATION
        };
        self.queues.push(slot, Member::of(incoming, queue, ()));
        self.drain_window(self.window_bytes_max, PROBATION);
    }

    #[inline]
    fn on_hit(&mut self, slot: Slot) {
        self.forget_victim();
        let Member {
            key, bytes, queue, ..
        } = *self.queues.member(slot);
        self.sketch.increment(key);
        match queue {
            WINDOW | PROTECTED => self.queues.move_to(slot, queue),
            _ if bytes > self.protected_bytes_max => self.queues.move_to(slot, PROBATION),
            _ => {
                self.queues.move_to(slot, PROTECTED);
                self.demote_protected();
            }
        }
        self.climb(true);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        if why == Removal::Evicted && self.winner != NONE {
            self.queues.move_to(self.winner, PROBATION);
        }
        self.queues.take(slot);
        self.forget_victim();
    }

    fn resize(&mut self, capacity: u64) {
        if capacity == self.capacity {
            return;
        }
        self.forget_victim();
        self.sketch.resize(capacity);
        let before = std::mem::replace(&mut self.capacity, capacity);
        let climber = self.climber.take();
        self.divide();
        if let Some(climber) = climber {
            let resized = climber.resized(self.climber_at_start(), before, capacity);
            let window = resized.window as u64;
            self.climber = Some(resized);
            self.set_window(window);
        }
        self.keep_limits();
    }

    fn metadata_bytes(&self) -> u64 {
        self.queues.memory_bytes() + self.sketch.memory_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        check_held(self.queues.walk()?, held)?;
        let window = self.queues.bytes(WINDOW);
        let protected = self.queues.bytes(PROTECTED);
        if window > self.window_bytes_max || protected > self.protected_bytes_max {
            let window_max = self.window_bytes_max;
            let protected_max = self.protected_bytes_max;
            return Err(format!(
                "window {window} B of {window_max}, protected {protected} B of {protected_max}"
            ));
        }
        let share = self.protected_of(self.capacity.saturating_sub(self.window_bytes_max));
        if self.protected_bytes_max > share {
            return Err(format!(
                "{} B may be protected, the share is {share}",
                self.protected_bytes_max
            ));
        }
        Ok(())
    }
}

/// Moves the window's size and watches the hit ratio.
#[derive(Debug)]
struct Climber {
    window: f64,
    window_limit: u64,
    step: f64,
    step_max: f64,
    grows: bool,
    /// Whether the cache has been full: before that the hit ratio says nothing.
    cache_is_full: bool,
    requests: u64,
    hits: u64,
    hit_ratio_before: f64,
}

impl Climber {
    fn new(capacity: u64, window: u64, window_limit: u64) -> Self {
        let step_max = capacity as f64 * 0.0625;
        Self {
            window: window as f64,
            window_limit,
            step: step_max,
            step_max,
            grows: false,
            cache_is_full: false,
            requests: 0,
            hits: 0,
            hit_ratio_before: 0.0,
        }
    }

    /// What this climber becomes when the capacity changes and `fresh` is one that starts then. If
    /// it has climbed, the window and the step keep their shares.
    fn resized(self, fresh: Self, before: u64, after: u64) -> Self {
        if !self.cache_is_full {
            return fresh;
        }
        let window_max = fresh.window_limit.max(1) as f64;
        Self {
            window: same_share(self.window, before, after).clamp(1.0, window_max),
            window_limit: fresh.window_limit,
            step: same_share(self.step, before, after),
            step_max: fresh.step_max,
            ..self
        }
    }

    /// Counts a request. After `sample` requests, returns the size that the window should have.
    #[inline]
    fn observe(&mut self, hit: bool, sample: u64) -> Option<u64> {
        if !self.cache_is_full {
            return None;
        }
        self.requests += 1;
        self.hits += u64::from(hit);
        if self.requests < sample {
            return None;
        }
        let hit_ratio = self.hits as f64 / self.requests as f64;
        if hit_ratio < self.hit_ratio_before {
            self.grows = !self.grows;
        }
        if (hit_ratio - self.hit_ratio_before).abs() >= 0.05 {
            self.step = self.step_max;
        }
        let window = if self.grows {
            self.window + self.step
        } else {
            self.window - self.step
        };
        self.window = window.clamp(1.0, self.window_limit.max(1) as f64);
        self.step *= 0.98;
        self.requests = 0;
        self.hits = 0;
        self.hit_ratio_before = hit_ratio;
        Some(self.window as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(policy: &mut WindowTinyLfu, slot: Slot, access: &Access) {
        assert!(policy.admit(access));
        policy.on_insert(slot, access);
    }

    /// Ten objects: a window of one; of the nine others seven may be protected.
    fn filled() -> WindowTinyLfu {
        let mut policy = WindowTinyLfu::new(10, 0, &Params::default());
        (0..10).for_each(|slot| insert(&mut policy, slot, &Access::unit(u64::from(slot))));
        assert_eq!(
            (policy.window_bytes_max, policy.protected_bytes_max),
            (1, 7)
        );
        policy
    }

    #[test]
    fn a_candidate_must_have_been_requested_more_often_than_the_victim() {
        let mut policy = filled();
        let newcomer = Access::unit(100);
        assert!(policy.admit(&newcomer));
        assert_eq!(
            policy.victim(&newcomer),
            9,
            "the window's oldest and the oldest on probation are even"
        );
        assert_eq!(
            policy.victim(&newcomer),
            9,
            "asked again, it names the same victim"
        );
        policy.on_remove(9, Removal::Evicted);
        policy.on_insert(9, &newcomer);
        policy.on_hit(9);
        let newcomer = Access::unit(101);
        assert!(policy.admit(&newcomer));
        assert_eq!(
            policy.victim(&newcomer),
            0,
            "requested twice, the candidate wins"
        );
        policy.on_remove(0, Removal::Evicted);
        assert_eq!(policy.queues.member(9).queue, PROBATION);
        policy.on_insert(0, &newcomer);
        assert_eq!(policy.audit(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Ok(()));
    }

    #[test]
    fn what_overflows_the_protected_segment_goes_back_on_probation() {
        let mut policy = filled();
        (0..9).for_each(|slot| policy.on_hit(slot));
        let regions: Vec<u8> = (0..10)
            .map(|slot| policy.queues.member(slot).queue)
            .collect();
        assert_eq!(regions, [2, 2, 3, 3, 3, 3, 3, 3, 3, 0]);
        assert_eq!(policy.audit(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Ok(()));
    }

    #[test]
    fn an_object_larger_than_the_window_is_its_own_candidate() {
        let mut policy = WindowTinyLfu::new(1000, 0, &Params::default());
        (0..10).for_each(|slot| insert(&mut policy, slot, &Access::sized(u64::from(slot), 100)));
        let large = Access::sized(50, 300);
        assert!(!policy.admit(&large), "requested as often as its victim");
        assert!(policy.admit(&large), "requested more often");
        assert_eq!(policy.victim(&large), 0);
    }

    #[test]
    fn the_climber_goes_on_while_it_gains_and_turns_where_it_loses() {
        let mut climber = Climber::new(1600, 16, 1280);
        climber.cache_is_full = true;
        let mut sample = |hits: u64| {
            (0..100)
                .filter_map(|i| climber.observe(i < hits, 100))
                .last()
                .unwrap()
        };
        assert_eq!(sample(50), 1, "it starts downwards and stops at one byte");
        assert_eq!(sample(49), 99, "worse: a step of 98 up");
        assert_eq!(sample(50), 195, "better: on, by 96.04");
        assert_eq!(sample(40), 95, "much worse: back, by a full step");
    }
}
