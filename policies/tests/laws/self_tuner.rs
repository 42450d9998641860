//! Laws of self-tuners.

use aura_policies::PolicySpec;
use aura_policies::facts::{
    GhostFacts, Judgement, Knob, KnobFacts, Latency, MemoryFacts, StallNanos, Standing,
    TuningFacts, Verdict, WindowStats,
};
use aura_policies::self_tuner::{Change, FAMILY, Proposal, build};

use crate::SplitMix64;

fn specs() -> Vec<PolicySpec> {
    FAMILY.names().into_iter().map(PolicySpec::named).collect()
}

/// Knobs with ranges around values that are drawn.
fn knobs(draws: &mut SplitMix64) -> Vec<KnobFacts> {
    let mut drawn = Vec::new();
    for knob in Knob::ALL {
        let least = draws.below(1 << 20);
        let value = least + draws.below(1 << 20);
        let most = value + draws.below(1 << 20);
        if draws.below(5) > 0 {
            drawn.push(KnobFacts {
                knob,
                value: value as f64,
                least: least as f64,
                most: most as f64,
            });
        }
    }
    drawn
}

/// Facts of which each number is an extreme one, or any.
fn extreme(draws: &mut SplitMix64) -> TuningFacts {
    let large = u64::MAX / 2;
    let mut draw = || [0, 1, 1000, large, draws.next() / 2][draws.below(5) as usize];
    let latency = Latency {
        count: draw(),
        nanos: draw(),
        p99_nanos: draw(),
    };
    let window = WindowStats {
        index: draw(),
        gets: draw(),
        gets_found: draw(),
        writes: draw(),
        scans: draw(),
        block_misses: draw(),
        filter_false_positives: draw(),
        device_write_bytes: draw(),
        device_read_bytes: draw(),
        flush_bytes: draw(),
        compaction_read_bytes: draw(),
        compaction_write_bytes: draw(),
        debt_bytes: draw(),
        get_latency: latency,
        write_latency: latency,
        stalls: StallNanos {
            debt: draw(),
            ..StallNanos::default()
        },
        ..WindowStats::default()
    };
    let ghost = GhostFacts {
        share: 0.5,
        step_bytes: draw(),
        asked: draw(),
        hits_smaller: draw(),
        hits: draw(),
        hits_larger: draw(),
    };
    let memory = MemoryFacts {
        total_bytes: draw(),
        memtables: draw(),
        entries: draw(),
        data_bytes: draw(),
        ghost: Some(ghost),
        ..MemoryFacts::default()
    };
    let limiter_wait_nanos = draw();
    let verdicts = [Verdict::Kept, Verdict::Undone, Verdict::Refused];
    let judged = (draws.below(2) == 0).then(|| Judgement {
        verdict: verdicts[draws.below(3) as usize],
        before: draws.below(100) as f64,
        after: draws.below(100) as f64,
    });
    TuningFacts {
        window,
        limiter_wait_nanos,
        memory,
        knobs: knobs(draws),
        standing: Standing::Free,
        judged,
    }
}

/// What a self-tuner proposes in a hundred windows, with the facts of each.
fn proposals(spec: &PolicySpec, seed: u64) -> Vec<(TuningFacts, Option<Proposal>)> {
    let mut tuner = build(spec, seed).expect("it builds");
    let mut draws = SplitMix64(seed);
    let mut step = || {
        let facts = extreme(&mut draws);
        let proposal = tuner.step(&facts);
        (facts, proposal)
    };
    (0..100).map(|_| step()).collect()
}

#[test]
fn the_same_seed_proposes_the_same() {
    for spec in specs() {
        for seed in 0..5 {
            let twice = [proposals(&spec, seed), proposals(&spec, seed)];
            assert_eq!(twice[0], twice[1], "{spec}, seed {seed}");
        }
    }
}

/// A step back may leave a range that was not there when the step was made.
fn is_in_range(change: &Change, facts: &TuningFacts) -> bool {
    let find = |knob| facts.knob(knob);
    match change {
        Change::Set { knob, value } => {
            find(*knob).is_some_and(|knob| (knob.least..=knob.most).contains(value))
        }
        Change::Shift { from, to, bytes } => {
            let bytes = *bytes as f64;
            let memtables = facts.memory.memtables.max(1) as f64;
            let of = |knob| match knob {
                Knob::Memtable => bytes / memtables,
                _ => bytes,
            };
            let loser = find(*from).is_some_and(|knob| knob.value - of(*from) >= knob.least);
            let winner = find(*to).is_some_and(|knob| knob.value + of(*to) <= knob.most);
            from != to && loser && winner
        }
    }
}

#[test]
fn extreme_facts_never_panic_and_never_bring_a_change_out_of_range() {
    for spec in specs() {
        for seed in 0..20 {
            for (facts, proposal) in proposals(&spec, seed) {
                let Some(proposal) = proposal else { continue };
                let is_back = proposal.reason == "saved-nothing";
                assert!(
                    is_back || is_in_range(&proposal.change, &facts),
                    "{spec}, seed {seed}: {proposal:?} in {facts:?}"
                );
            }
        }
    }
}

#[test]
fn a_self_tuner_that_says_it_is_idle_never_proposes() {
    for spec in specs() {
        if !build(&spec, 0).expect("it builds").is_active() {
            let all = proposals(&spec, 1);
            assert!(all.iter().all(|(_, it)| it.is_none()), "{spec}");
        }
    }
}

#[test]
fn without_a_range_nothing_is_proposed() {
    for spec in specs() {
        for (mut facts, _) in proposals(&spec, 3) {
            facts.knobs.clear();
            facts.judged = None;
            let mut tuner = build(&spec, 3).expect("it builds");
            for _ in 0..40 {
                assert_eq!(tuner.step(&facts), None, "{spec}");
            }
        }
    }
}

const MIB: f64 = (1 << 20) as f64;

/// All memory.
const TOTAL: f64 = 16.0 * MIB;

/// A world with a closed form: merges of `x` bytes of write memory cost ln(D / x), and misses fall
/// with the square of what the cache leaves out.
struct Split {
    /// Nanoseconds of stalls for one unit of the logarithm.
    writes: f64,
    /// Look-ups a window.
    reads: f64,
}

impl Split {
    fn stalls(&self, memtables: f64) -> f64 {
        self.writes * (256.0 * MIB / memtables).ln()
    }

    fn hits(&self, cache: f64) -> f64 {
        let left_out = 1.0 - (cache / (32.0 * MIB)).min(1.0);
        self.reads * (1.0 - left_out * left_out)
    }

    fn cost(&self, memtables: f64) -> f64 {
        let misses = self.reads - self.hits(TOTAL - memtables);
        self.stalls(memtables) + 80_000.0 * misses
    }

    fn facts(&self, index: u64, memtables: f64) -> TuningFacts {
        let cache = TOTAL - memtables;
        let misses = self.reads - self.hits(cache);
        let latency = |nanos: f64| Latency {
            count: 1000,
            nanos: nanos as u64,
            p99_nanos: 0,
        };
        let knob = |knob, value, most| KnobFacts {
            knob,
            value,
            least: MIB / 8.0,
            most,
        };
        TuningFacts {
            window: WindowStats {
                index,
                gets: self.reads as u64,
                writes: self.writes as u64 / 1000,
                block_misses: misses as u64,
                get_latency: latency(80_000.0 * misses),
                write_latency: latency(self.stalls(memtables)),
                stalls: StallNanos {
                    level0_runs: self.stalls(memtables) as u64,
                    ..StallNanos::default()
                },
                ..WindowStats::default()
            },
            memory: MemoryFacts {
                total_bytes: TOTAL as u64,
                memtables: 2,
                data_bytes: 256 << 20,
                ghost: Some(GhostFacts {
                    share: 1.0,
                    step_bytes: 1 << 20,
                    asked: self.reads as u64,
                    hits_smaller: self.hits(cache - MIB) as u64,
                    hits: self.hits(cache) as u64,
                    hits_larger: self.hits(cache + MIB) as u64,
                }),
                ..MemoryFacts::default()
            },
            knobs: vec![
                knob(Knob::Memtable, memtables / 2.0, TOTAL / 2.0),
                knob(Knob::CacheSize, cache, TOTAL),
            ],
            ..TuningFacts::default()
        }
    }
}

/// The self-tuner of the memory split comes within 12 % of the best split of any of four worlds,
/// from either end, in 120 windows: its means are those of 64. It counts all that a window costs in
/// which writers stall as merges, which is more than merges cost in these worlds.
#[test]
fn the_memory_split_is_found() {
    for (writes, reads) in [(1e8, 1e3), (3e7, 2e3), (1e7, 4e3), (2e8, 100.0)] {
        let world = Split { writes, reads };
        let splits = (1..64).map(|at| world.cost(TOTAL * f64::from(at) / 64.0));
        let best = splits.fold(f64::INFINITY, f64::min);
        for start in [MIB / 2.0, 15.0 * MIB] {
            let mut tuner = build(&PolicySpec::named("memory"), 0).expect("it builds");
            let mut memtables = start;
            for index in 0..120 {
                let proposal = tuner.step(&world.facts(index, memtables));
                if let Some(Change::Shift { from, bytes, .. }) = proposal.map(|it| it.change) {
                    let sign = if from == Knob::Memtable { -1.0 } else { 1.0 };
                    memtables += sign * bytes as f64;
                }
            }
            let cost = world.cost(memtables);
            let at = memtables / MIB;
            assert!(
                cost < best * 1.12,
                "{writes}, {reads}: {at} MiB, {cost} of {best}"
            );
        }
    }
}
