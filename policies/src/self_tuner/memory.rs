//! Memory: the split between memtables, cache and filters follows the derivatives of costs.
//!
//! Source: Luo and Carey, "Breaking Down Memory Walls: Adaptive Memory Management in LSM-based
//! Storage Systems", PVLDB 14(3), 2020. A merge of a tree of D bytes costs a write ln(D / x) for
//! write memory x, so that a byte more saves merges / (x ln(D / x)). A byte more of cache saves the
//! misses that a ghost cache would have answered. Memory goes where it saves more, at most a tenth
//! of the poorer pool a step. Four things differ. Where writers stall, clients are as fast as
//! merges are, so that all that such a window costs counts as merges. Elsewhere merges are priced
//! by the slope of costs over the bytes that they write, since they make reads slower and push
//! blocks out of the cache. In place of Newton's step, the step is halved when the direction turns,
//! and grows slowly while it does not. Filters take part: a bit more a key turns a share of 1 -
//! 2^(-ln 2) of the false positives away, for an eighth of a byte a key (Bloom). It counts for new
//! tables only: what is gained by tracking filters continuously is a few percent (arXiv
//! 2606.18138).
//! State: means of the last windows, prices, the step, and for how long a direction is left alone.
//! Cost: O(1) a window, and a ghost cache in the engine.
//! Invariants: a step takes at most `step` of the pool that loses, and keeps both ranges. A change
//! of the mix forgets the means. A direction that was undone waits, twice as long each time.
//! Weak where: writes are merged in the memtable (skew), which the formula does not see; the
//! eviction policy is far from least-recently-used; a phase is shorter than about twenty steps.

use super::{Build, Change, Proposal, SelfTuner, shiftable, weight};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{Knob, KnobFacts, Standing, TuningFacts, Verdict, WindowStats};
use crate::mix::Watch;
use crate::recursive::Recursive;
use crate::referee::client_nanos;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "memory",
    about: "memtables, cache and filters get memory where its derivative says (Luo and Carey)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "step", params.step, 0.001..=0.5)?;
        in_range(spec, "min_step", params.min_step, 0.0..=0.5)?;
        in_range(spec, "min_gain", params.min_gain, 0.0..=1.0)?;
        in_range(spec, "filters_every", params.filters_every, 0..=1_000_000)?;
        Ok(Box::new(Memory::new(params)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The share of the pool that loses memory which a step takes at most (0.001 to 0.5).
    step: f64,
    /// The share of all memory that a step moves at least (0 to 0.5).
    min_step: f64,
    /// The share of a window's cost that a step must be expected to save (0 to 1).
    min_gain: f64,
    /// Windows between two looks at the filters (0 to 1000000); 0 leaves them as they are.
    filters_every: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            step: 0.1,
            min_step: 0.002,
            min_gain: 0.001,
            filters_every: 32,
        }
    }
}

/// Windows over which means are taken.
const WINDOWS: f64 = 64.0;

/// Windows of a mix before the means say anything.
const WINDOWS_MIN: f64 = 2.0;

/// Windows that a direction waits after it was undone for the first time, and at most.
const WAIT: u64 = 8;
const WAIT_MAX: u64 = 256;

/// What merges cost is learned from windows. Each weighs this many times as much as the next one.
const MEMORY: f64 = 0.998;

/// The share of costs that merges have before windows say something, and its variance.
const MERGES_SHARE: [f64; 2] = [0.1, 0.1];

/// The share of a window in the sums that are compared: what a merge costs comes in the next few
/// windows, too.
const SMOOTHED: f64 = 0.25;

/// How many times as large the step may be as the last one in that direction.
const GROWTH: f64 = 1.2;

/// The share of stalls in a window above which merges hold it up.
const HELD_UP: f64 = 0.05;

/// What remains of the false positives with a bit more a key: 2^(-ln 2).
const KEPT_BY_A_BIT: f64 = 0.618_5;

/// A pool that gets memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gainer {
    Memtable,
    Cache,
}

/// Means of a window's facts since the mix began.
#[derive(Clone, Copy, Debug, Default)]
struct Means {
    windows: f64,
    /// The currency of the referee that clients paid.
    own: f64,
    stalls: f64,
    /// What the windows cost in which writers stalled, as part of the mean of all.
    held_up: f64,
    /// Bytes that flushes and compactions wrote while the windows lasted.
    merge_bytes: f64,
    /// Hits that a cache larger by a byte would have had.
    hits_a_byte: f64,
    false_positives: f64,
}

impl Means {
    fn take(&mut self, next: &Self) {
        self.windows = (self.windows + 1.0).min(WINDOWS);
        let gain = 1.0 / self.windows;
        let follow = |mean: &mut f64, value: f64| *mean += gain * (value - *mean);
        follow(&mut self.own, next.own);
        follow(&mut self.stalls, next.stalls);
        follow(&mut self.held_up, next.held_up);
        follow(&mut self.merge_bytes, next.merge_bytes);
        follow(&mut self.hits_a_byte, next.hits_a_byte);
        follow(&mut self.false_positives, next.false_positives);
    }
}

/// For how long a direction is left alone.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    /// The first window in which it may be proposed again.
    until: u64,
    /// Windows that it waits if it is undone once more.
    wait: u64,
}

/// How much of what a window costs is the work of merges: the slope of costs over what is written.
struct Merges {
    model: Recursive<2>,
    cost: f64,
    bytes: f64,
}

impl Merges {
    fn new() -> Self {
        let [share, variance] = MERGES_SHARE;
        Self {
            model: Recursive::new([1.0 - share, share], variance),
            cost: 1.0,
            bytes: 1.0,
        }
    }

    /// Takes a window in; both numbers are relative to their means.
    fn take(&mut self, cost: f64, bytes: f64) {
        self.cost += SMOOTHED * (cost - self.cost);
        self.bytes += SMOOTHED * (bytes - self.bytes);
        self.model.learn(&[1.0, self.bytes], self.cost, MEMORY);
    }

    /// The share of the mean cost that merges have (0 to 1).
    fn share(&self) -> f64 {
        self.model.weights()[1].clamp(0.0, 1.0)
    }
}

struct Memory {
    params: Params,
    watch: Watch,
    merges: Merges,
    means: Means,
    /// The least that a miss has cost.
    miss_price: Option<f64>,
    /// The share of the losing pool that the next step takes.
    stride: f64,
    last: Option<Gainer>,
    /// What the proposal asked for that is not judged yet.
    asked: Option<Gainer>,
    patience: [Patience; 2],
}

impl Memory {
    fn new(params: Params) -> Self {
        Self {
            stride: params.step,
            params,
            watch: Watch::default(),
            merges: Merges::new(),
            means: Means::default(),
            miss_price: None,
            last: None,
            asked: None,
            patience: [Patience::default(); 2],
        }
    }

    fn learn(&mut self, facts: &TuningFacts) {
        let window = &facts.window;
        if self.watch.see(window) {
            self.means = Means::default();
            self.merges = Merges::new();
            self.patience = [Patience::default(); 2];
            self.stride = self.params.step;
            self.last = None;
        }
        let misses = window.block_misses as f64;
        if misses >= 16.0 {
            let price = read_cost(window) / misses;
            let least = self.miss_price.map_or(price, |least| least.min(price));
            self.miss_price = Some(least);
        }
        let ghost = facts.memory.ghost.unwrap_or_default();
        let more = ghost.hits_larger as f64 - ghost.hits_smaller as f64;
        let bytes = 2.0 * ghost.step_bytes as f64 * ghost.share;
        let stalls = window.stalls.total() as f64;
        let own = own_cost(window);
        let next = Means {
            windows: 1.0,
            own,
            stalls,
            held_up: if stalls > HELD_UP * own { own } else { 0.0 },
            merge_bytes: window.device_write_bytes.saturating_sub(window.wal_bytes) as f64,
            hits_a_byte: if bytes > 0.0 { more / bytes } else { 0.0 },
            false_positives: window.filter_false_positives as f64,
        };
        self.means.take(&next);
        let working = (self.means.own - self.means.stalls).max(1.0);
        let cost = (next.own - stalls) / working;
        self.merges
            .take(cost, next.merge_bytes / self.means.merge_bytes.max(1.0));
    }

    fn take_verdict(&mut self, facts: &TuningFacts) {
        let Some(judged) = facts.judged else { return };
        // What was kept at first may be taken back later.
        let Some(gainer) = self.asked.take().or(self.last) else {
            return;
        };
        let patience = &mut self.patience[gainer as usize];
        match judged.verdict {
            Verdict::Undone => {
                patience.wait = (patience.wait * 2).clamp(WAIT, WAIT_MAX);
                patience.until = facts.window.index.saturating_add(patience.wait);
                self.halve();
            }
            Verdict::Kept => patience.wait = 0,
            _ => {}
        }
    }

    fn halve(&mut self) {
        self.stride = (self.stride / 2.0).max(self.params.step / 8.0);
    }

    /// What a byte more of cache saves in a window.
    fn worth_of_cache(&self) -> f64 {
        self.means.hits_a_byte.max(0.0) * self.miss_price.unwrap_or(0.0)
    }

    /// What a byte more for memtables saves in a window.
    fn worth_of_memtables(&self, memtable: &KnobFacts, facts: &TuningFacts) -> f64 {
        let bytes = (memtable.value * weight(Knob::Memtable, facts)).max(1.0);
        let sizes = libm::log(facts.memory.data_bytes as f64 / bytes).max(1.0);
        let free = (self.means.own - self.means.held_up).max(0.0);
        let share = match self.means.merge_bytes > 0.0 {
            true => self.merges.share(),
            false => 0.0,
        };
        (share * free + self.means.held_up) / (bytes * sizes)
    }

    fn shift(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        let memtable = facts.knob(Knob::Memtable)?;
        let cache = facts.knob(Knob::CacheSize)?;
        let worth = self.worth_of_cache() - self.worth_of_memtables(memtable, facts);
        let (gainer, from, to, reason) = match worth > 0.0 {
            true => (Gainer::Cache, memtable, cache, "cache-is-worth-more"),
            false => (
                Gainer::Memtable,
                cache,
                memtable,
                "memtables-are-worth-more",
            ),
        };
        if facts.window.index < self.patience[gainer as usize].until {
            return None;
        }
        let turned = self.last.is_some_and(|last| last != gainer);
        if turned {
            self.halve();
        }
        let pool = from.value * weight(from.knob, facts);
        let bytes = shiftable(from, to, self.stride * pool, facts);
        let least = self.params.min_step * facts.memory.total_bytes as f64;
        let gain = worth.abs() * bytes as f64;
        if bytes == 0 || (bytes as f64) < least || gain < self.params.min_gain * self.means.own {
            return None;
        }
        if !turned {
            self.stride = (self.stride * GROWTH).min(self.params.step);
        }
        self.last = Some(gainer);
        self.asked = Some(gainer);
        let change = Change::Shift {
            from: from.knob,
            to: to.knob,
            bytes,
        };
        Some(Proposal::new(change, reason))
    }

    fn filters(&self, facts: &TuningFacts) -> Option<Proposal> {
        let bits = facts.knob(Knob::FilterBits)?;
        let price = self.miss_price?;
        let memory = facts.memory.entries as f64 / 8.0 * self.worth_of_cache();
        let errors = self.means.false_positives * price;
        let least = self.params.min_gain * self.means.own;
        let more = errors * (1.0 - KEPT_BY_A_BIT) - memory;
        let fewer = memory - errors * (1.0 / KEPT_BY_A_BIT - 1.0);
        let set = |value: f64, reason| {
            let change = Change::Set {
                knob: Knob::FilterBits,
                value: value.clamp(bits.least, bits.most),
            };
            Some(Proposal::new(change, reason))
        };
        if more > least && bits.value < bits.most {
            return set(bits.value + 1.0, "false-positives-cost-more");
        }
        if fewer > least && bits.value > bits.least {
            return set(bits.value - 1.0, "filters-cost-more");
        }
        None
    }
}

impl SelfTuner for Memory {
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        self.take_verdict(facts);
        self.learn(facts);
        if facts.standing != Standing::Free || self.means.windows < WINDOWS_MIN {
            return None;
        }
        let every = self.params.filters_every;
        let is_turn_of_filters = facts.window.index.checked_rem(every) == Some(0);
        if is_turn_of_filters && let Some(proposal) = self.filters(facts) {
            return Some(proposal);
        }
        self.shift(facts)
    }

    fn asks_for_ghost(&self) -> bool {
        true
    }
}

/// What clients paid, in the referee's currency.
fn own_cost(window: &WindowStats) -> f64 {
    match client_nanos(window) {
        0.0 => window.device_write_bytes as f64 + window.device_read_bytes as f64,
        nanos => nanos,
    }
}

/// What reads of the window cost, in the referee's currency.
fn read_cost(window: &WindowStats) -> f64 {
    let nanos = window.get_latency.nanos as f64 + window.scan_latency.nanos as f64;
    if nanos > 0.0 {
        return nanos;
    }
    let compactions = window.compaction_read_bytes;
    window.device_read_bytes.saturating_sub(compactions) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{GhostFacts, Judgement, Latency, MemoryFacts, StallNanos};

    const MIB: u64 = 1 << 20;

    fn knob(knob: Knob, value: u64, least: u64, most: u64) -> KnobFacts {
        KnobFacts {
            knob,
            value: value as f64,
            least: least as f64,
            most: most as f64,
        }
    }

    /// A window in which the ghosts differ by `hits`, and writers stall for `stalls` nanoseconds.
    fn facts(hits: u64, stalls: u64) -> TuningFacts {
        let latency = |nanos| Latency {
            count: 500,
            nanos,
            p99_nanos: 0,
        };
        TuningFacts {
            window: WindowStats {
                gets: 500,
                writes: 500,
                block_misses: 400,
                get_latency: latency(40_000_000),
                write_latency: latency(stalls + 1_000_000),
                stalls: StallNanos {
                    level0_runs: stalls,
                    ..StallNanos::default()
                },
                ..WindowStats::default()
            },
            memory: MemoryFacts {
                total_bytes: 16 * MIB,
                memtables: 2,
                data_bytes: 64 * MIB,
                ghost: Some(GhostFacts {
                    share: 0.5,
                    step_bytes: MIB,
                    asked: 500,
                    hits_smaller: 100,
                    hits: 100 + hits / 2,
                    hits_larger: 100 + hits,
                }),
                ..MemoryFacts::default()
            },
            knobs: vec![
                knob(Knob::Memtable, 4 * MIB, MIB, 7 * MIB),
                knob(Knob::CacheSize, 8 * MIB, 2 * MIB, 14 * MIB),
            ],
            ..TuningFacts::default()
        }
    }

    fn build() -> Box<dyn SelfTuner> {
        (ENTRY.build)(0, &PolicySpec::named("memory")).expect("the defaults are in range")
    }

    /// The change after the last of three windows.
    fn third(tuner: &mut dyn SelfTuner, facts: &TuningFacts) -> Option<Change> {
        let mut facts = facts.clone();
        let mut last = None;
        for _ in 0..3 {
            last = tuner.step(&facts).map(|proposal| proposal.change);
            facts.window.index += 1;
        }
        last
    }

    #[test]
    fn memory_goes_where_it_saves_more_and_a_tenth_at_most() {
        let cache = third(&mut *build(), &facts(200, 0));
        let expected = Change::Shift {
            from: Knob::Memtable,
            to: Knob::CacheSize,
            bytes: 8 * MIB / 10,
        };
        assert_eq!(cache, Some(expected));
        let memtables = third(&mut *build(), &facts(0, 500_000_000));
        let expected = Change::Shift {
            from: Knob::CacheSize,
            to: Knob::Memtable,
            bytes: 8 * MIB / 10,
        };
        assert_eq!(memtables, Some(expected));
        assert_eq!(third(&mut *build(), &facts(0, 0)), None, "nothing to gain");
    }

    #[test]
    fn merges_cost_as_much_as_windows_differ_by_them() {
        // Half of the cost, all of it, and none: whatever is written.
        for (fixed, rise, share) in [(0.5, 0.5, 0.5), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0)] {
            let mut merges = Merges::new();
            for window in 0..2_000 {
                let bytes = f64::from(window % 10) / 4.5;
                merges.take(fixed + rise * bytes, bytes);
            }
            let found = merges.share();
            // What is assumed at first pulls a little.
            assert!((found - share).abs() < 0.1, "{found} for {share}");
        }
    }

    #[test]
    fn what_was_undone_waits_and_then_takes_a_smaller_step() {
        let mut tuner = build();
        let mut facts = facts(200, 0);
        assert!(third(&mut *tuner, &facts).is_some());
        facts.window.index = 10;
        facts.judged = Some(Judgement {
            verdict: Verdict::Undone,
            before: 1.0,
            after: 2.0,
        });
        assert_eq!(tuner.step(&facts), None);
        facts.judged = None;
        facts.window.index = 10 + WAIT - 1;
        assert_eq!(tuner.step(&facts), None);
        facts.window.index = 10 + WAIT;
        let Some(Change::Shift { bytes, .. }) = tuner.step(&facts).map(|it| it.change) else {
            panic!("it tries again")
        };
        assert_eq!(bytes, 8 * MIB / 20);
    }

    #[test]
    fn filters_get_bits_for_false_positives_and_lose_them_to_the_cache() {
        let mut facts = facts(0, 0);
        facts.knobs.push(knob(Knob::FilterBits, 10, 2, 16));
        facts.memory.entries = 1 << 20;
        facts.window.filter_false_positives = 100;
        let bits = |facts: &TuningFacts| {
            let mut tuner = build();
            let mut facts = facts.clone();
            facts.window.index = 29;
            third(&mut *tuner, &facts);
            facts.window.index = 32;
            tuner.step(&facts).map(|proposal| proposal.change)
        };
        let set = |value| {
            Some(Change::Set {
                knob: Knob::FilterBits,
                value,
            })
        };
        assert_eq!(bits(&facts), set(11.0));
        facts.window.filter_false_positives = 1;
        if let Some(ghost) = &mut facts.memory.ghost {
            ghost.hits_larger += 400;
        }
        assert_eq!(bits(&facts), set(9.0));
    }
}
