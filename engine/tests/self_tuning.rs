//! Self-tuning: what a self-tuner may do, and what the engine does with it. A hostile one ends no
//! worse than it began, one that only proposes changes nothing, and what pays is kept.

mod common;

use std::sync::{Arc, LazyLock, Mutex};

use aura_engine::env::sim::{SimStats, SimWorld};
use aura_engine::env::{Clock, Env};
use aura_engine::{
    AuraEngine, Counts, Engine, EngineBuilder, EngineConfig, EventKind, Metrics, SelfTuningConfig,
    TuningMode, TuningRecord, TuningStep,
};
use aura_policies::PolicySpec;
use aura_policies::entry::{Entry, describe, params};
use aura_policies::facts::{Judgement, Knob, Standing, TuningFacts, Verdict};
use aura_policies::self_tuner::{self, Change, Proposal, SelfTuner};
use bytesize::ByteSize;
use common::{Chance, repeatable, run, seeds};

/// What a scripted self-tuner proposes after each window.
type Script = Arc<dyn Fn(&TuningFacts) -> Option<Change> + Send + Sync>;

/// The scripts of all tests. A self-tuner's parameter is the number of its script.
static SCRIPTS: Mutex<Vec<Script>> = Mutex::new(Vec::new());

struct Scripted(Script);

impl SelfTuner for Scripted {
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        (self.0)(facts).map(|change| Proposal::new(change, "scripted"))
    }
}

#[derive(Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    script: usize,
}

static SCRIPTED: Entry<self_tuner::Build> = Entry {
    name: "scripted",
    about: "what a test says",
    params: describe::<Params>,
    build: |_seed, spec| {
        let Params { script } = params(spec)?;
        let scripts = SCRIPTS.lock().expect("no test panics with the lock");
        let idle: Script = Arc::new(|_| None);
        let script = scripts.get(script).cloned().unwrap_or(idle);
        Ok(Box::new(Scripted(script)))
    },
};

static REGISTERED: LazyLock<()> = LazyLock::new(|| {
    let registered = self_tuner::FAMILY.register(&SCRIPTED);
    registered.expect("the name is free");
});

/// The self-tuner that follows `script`.
fn scripted(script: impl Fn(&TuningFacts) -> Option<Change> + Send + Sync + 'static) -> PolicySpec {
    LazyLock::force(&REGISTERED);
    let mut scripts = SCRIPTS.lock().expect("no test panics with the lock");
    scripts.push(Arc::new(script));
    PolicySpec::named("scripted").with("script", scripts.len() - 1)
}

const KIB: u64 = 1 << 10;

/// Operations of a window.
const WINDOW: u64 = 400;

/// Windows that are compared before and after a change.
const WATCH: u64 = 3;

/// Two memtables of 64 KiB and a cache of 384 KiB, over some 700 KiB of data.
fn config(policy: PolicySpec) -> EngineConfig {
    let mut tuning = SelfTuningConfig {
        policy,
        window: WINDOW,
        watch: WATCH as u32,
        ..SelfTuningConfig::default()
    };
    tuning.ranges.memtable = Some([ByteSize::kib(8), ByteSize::kib(248)]);
    tuning.ranges.cache.size = Some([ByteSize::kib(16), ByteSize::kib(496)]);
    tuning.ranges.filter_bits = Some([1.0, 16.0]);
    tuning.ranges.level0_trigger = Some([1, 6]);
    let mut config = EngineConfig {
        memtable: ByteSize::kib(64),
        memtables_sealed_max: 1,
        self_tuning: Some(tuning),
        ..EngineConfig::default()
    };
    config.cache.size = ByteSize::kib(384);
    config.table.size = ByteSize::kib(32);
    config.table.block = ByteSize(1024);
    config.compaction.base = ByteSize::kib(256);
    config
}

/// Memory that memtables and cache may have.
const TOTAL: u64 = 512 * KIB;

fn tuning(config: &mut EngineConfig) -> &mut SelfTuningConfig {
    config.self_tuning.as_mut().expect("it is there")
}

struct Bench {
    engine: AuraEngine,
    clock: Arc<dyn Clock>,
    chance: Chance,
    records: Vec<TuningRecord>,
}

impl Bench {
    /// A database of 3,000 rows.
    async fn open(env: &Env, config: EngineConfig, seed: u64) -> Self {
        let builder = EngineBuilder::new(env.clone(), "/db").config(config);
        let mut bench = Self {
            engine: builder.open().await.expect("the settings are in range"),
            clock: env.clock.clone(),
            chance: Chance::new(seed),
            records: Vec::new(),
        };
        for number in 0..3_000 {
            let key = format!("key-{number:05}");
            bench.engine.put(key.as_bytes(), &[7; 200]).await.unwrap();
        }
        bench.engine.flush().await.unwrap();
        bench.engine.wait_idle().await.unwrap();
        bench.windows(2 * WATCH, 1.0).await;
        bench
    }

    /// Runs windows with a share of reads. Returns the nanoseconds that they took.
    async fn windows(&mut self, windows: u64, reads: f64) -> u64 {
        let start = self.clock.now();
        for _ in 0..windows * WINDOW {
            let key = format!("key-{:05}", self.chance.below(3_000));
            if self.chance.below(1000) as f64 / 1000.0 < reads {
                let found = self.engine.get(key.as_bytes()).await.unwrap();
                assert!(found.is_some(), "{key}");
            } else {
                self.engine.put(key.as_bytes(), &[8; 200]).await.unwrap();
            }
            let config = self.engine.config();
            let memory = 2 * config.memtable.as_u64() + config.cache.size.as_u64();
            assert!(memory <= TOTAL, "{memory}");
        }
        let took = self.clock.now() - start;
        for event in self.engine.take_events() {
            if let EventKind::SelfTuning(record) = event.kind {
                self.records.push(record);
            }
        }
        took
    }

    fn steps(&self) -> Vec<TuningStep> {
        self.records.iter().map(|record| record.step).collect()
    }

    fn count(&self, step: TuningStep) -> usize {
        self.records
            .iter()
            .filter(|record| record.step == step)
            .count()
    }

    fn counts(&self) -> Counts {
        self.engine.metrics().counts
    }

    async fn close(self) {
        assert!(self.engine.verify().await.unwrap().problems.is_empty());
        self.engine.close().await.unwrap();
    }
}

/// Runs `test` on a bench in a simulation of an NVMe drive.
fn on_a_bench<F: Future<Output = ()>>(config: EngineConfig, test: impl FnOnce(Bench) -> F) {
    let world = SimWorld::new(&Default::default());
    let env = world.env();
    run(&world, async {
        test(Bench::open(&env, config, 1).await).await
    });
}

fn set(knob: Knob, value: u64) -> Change {
    Change::Set {
        knob,
        value: value as f64,
    }
}

fn to_cache(bytes: u64) -> Change {
    Change::Shift {
        from: Knob::Memtable,
        to: Knob::CacheSize,
        bytes,
    }
}

/// Proposes `change` once, in the first window in which it can be carried out, after the load.
fn once(change: Change) -> PolicySpec {
    let done = Mutex::new(false);
    scripted(move |facts| {
        let mut done = done.lock().expect("no panic");
        if *done || facts.window.index < 20 || facts.standing != Standing::Free {
            return None;
        }
        *done = true;
        Some(change)
    })
}

#[test]
fn what_costs_more_is_taken_back() {
    on_a_bench(
        config(once(set(Knob::CacheSize, 16 * KIB))),
        |mut bench| async move {
            bench.windows(20, 1.0).await;
            assert_eq!(bench.steps(), [TuningStep::Applied, TuningStep::Undone]);
            let undone = &bench.records[1];
            assert!(undone.after > undone.before * 1.03, "{undone:?}");
            assert_eq!(undone.why, "costs-more");
            assert_eq!(bench.engine.config().cache.size, ByteSize::kib(384));
            let counts = bench.counts();
            assert_eq!(
                (counts.self_tuning_applied, counts.self_tuning_undone),
                (1, 1)
            );
            assert_eq!(bench.records[0].knobs["cache.size"], (16 * KIB) as f64);
            bench.close().await;
        },
    );
}

#[test]
fn what_pays_is_kept_and_memory_shrinks_before_it_grows() {
    let change = to_cache(112 * KIB);
    on_a_bench(config(once(change)), |mut bench| async move {
        bench.windows(30, 1.0).await;
        assert_eq!(
            bench.steps(),
            [TuningStep::Applied, TuningStep::Kept],
            "{:?}",
            bench.records
        );
        let kept = &bench.records[1];
        assert!(kept.after < kept.before, "{kept:?}");
        let config = bench.engine.config();
        assert_eq!(config.memtable, ByteSize::kib(8));
        assert_eq!(config.cache.size, ByteSize::kib(496));
        assert!(bench.engine.metrics().memory_bytes() <= TOTAL + 4 * KIB);
        bench.close().await;
    });
}

/// A change is watched before another one, and what is out of range is refused.
#[test]
fn one_knob_at_a_time_and_within_its_range() {
    let policy = scripted(|facts| {
        Some(match facts.window.index % 5 {
            0 => set(Knob::Level0Trigger, 7),
            1 => set(Knob::IoLimit, 1 << 20),
            2 => set(Knob::CacheSize, 400 * KIB),
            _ => set(Knob::Level0Trigger, 3 + facts.window.index / 5 % 2),
        })
    });
    on_a_bench(config(policy), |mut bench| async move {
        bench.windows(40, 1.0).await;
        let whys = |why| bench.records.iter().filter(|it| it.why == why).count();
        assert!(whys("out-of-range") >= 8);
        assert!(whys("no-range") >= 8);
        assert!(whys("more-than-the-memory") >= 8);
        assert!(whys("another-change-is-watched") >= 2);
        assert!(bench.count(TuningStep::Kept) >= 2, "{:?}", bench.steps());
        let mut watched = false;
        for record in &bench.records {
            match record.step {
                TuningStep::Applied => assert!(!std::mem::replace(&mut watched, true)),
                TuningStep::Kept
                | TuningStep::Undone
                | TuningStep::Abandoned
                | TuningStep::FellBack => watched = false,
                _ => {}
            }
        }
        let counts = bench.counts();
        assert_eq!(
            counts.self_tuning_refused as usize,
            bench.count(TuningStep::Refused)
        );
        bench.close().await;
    });
}

/// Wants the opposite of what is good: a cache as small as may be, or another small one.
fn hostile() -> PolicySpec {
    scripted(|facts| {
        let now = facts.knob(Knob::CacheSize)?.value as u64;
        let to = if now == 16 * KIB { 24 * KIB } else { 16 * KIB };
        Some(set(Knob::CacheSize, to))
    })
}

#[test]
fn too_many_bad_windows_bring_the_settings_at_opening_back() {
    let mut config = config(hostile());
    tuning(&mut config).fall_back = 2;
    tuning(&mut config).rest = 16;
    tuning(&mut config).harm = 0.2;
    let opening = config.clone();
    on_a_bench(config, |mut bench| async move {
        bench.windows(90, 1.0).await;
        assert!(
            bench.count(TuningStep::FellBack) >= 2,
            "{:?}",
            bench.steps()
        );
        let fell: Vec<u64> = bench
            .records
            .iter()
            .filter(|it| it.step == TuningStep::FellBack && it.window > 20)
            .map(|it| it.window)
            .collect();
        assert!(fell[1] - fell[0] > 16, "{fell:?}");
        assert!(bench.records.iter().any(|it| it.why == "rests"));
        // Another mix ends the rest.
        let before = bench.count(TuningStep::Applied);
        bench.windows(20, 0.5).await;
        assert!(bench.count(TuningStep::Applied) > before);
        bench.windows(40, 0.5).await;
        let fallbacks = bench.counts().self_tuning_fallbacks as usize;
        assert_eq!(fallbacks, bench.count(TuningStep::FellBack));
        assert_eq!(bench.engine.config().memtable, opening.memtable);
        bench.close().await;
    });
}

#[test]
fn a_change_that_waits_for_its_judgement_is_given_up_when_the_mix_changes() {
    on_a_bench(
        config(once(set(Knob::Level0Trigger, 5))),
        |mut bench| async move {
            while bench.counts().self_tuning_applied == 0 {
                bench.windows(1, 1.0).await;
            }
            bench.windows(3, 0.2).await;
            assert_eq!(bench.steps()[1], TuningStep::Abandoned);
            assert_eq!(bench.records[1].why, "another-mix");
            assert_eq!(bench.engine.config().compaction.level0_trigger, 4);
            bench.close().await;
        },
    );
}

#[test]
fn what_an_operator_sets_stays() {
    on_a_bench(
        config(once(set(Knob::CacheSize, 16 * KIB))),
        |mut bench| async move {
            while bench.counts().self_tuning_applied == 0 {
                bench.windows(1, 1.0).await;
            }
            let by_hand = ByteSize::kib(100);
            let change = bench
                .engine
                .reconfigure(move |config| config.cache.size = by_hand);
            change.await.unwrap();
            bench.windows(12, 1.0).await;
            assert_eq!(bench.steps(), [TuningStep::Applied, TuningStep::Abandoned]);
            assert_eq!(bench.records[1].why, "changed-by-hand");
            assert_eq!(bench.engine.config().cache.size, by_hand);
            let outside = bench
                .engine
                .reconfigure(|config| config.cache.size = ByteSize::kib(8));
            assert!(outside.await.is_err(), "the operator's own range");
            bench.close().await;
        },
    );
}

#[test]
fn a_hold_stops_all_changes_until_it_ends() {
    let mut held = config(hostile());
    tuning(&mut held).hold = true;
    on_a_bench(held, |mut bench| async move {
        bench.windows(10, 1.0).await;
        assert_eq!(bench.count(TuningStep::Refused), bench.records.len());
        assert!(bench.records.iter().all(|record| record.why == "held"));
        let hold = |hold| {
            let change = move |config: &mut EngineConfig| tuning(config).hold = hold;
            bench.engine.reconfigure(change)
        };
        hold(false).await.unwrap();
        while bench.counts().self_tuning_applied == 0 {
            bench.windows(1, 1.0).await;
        }
        let change = |config: &mut EngineConfig| tuning(config).hold = true;
        bench.engine.reconfigure(change).await.unwrap();
        bench.windows(20, 1.0).await;
        // The change that was being watched is neither kept nor taken back.
        assert_eq!(bench.engine.config().cache.size, ByteSize::kib(16));
        let change = |config: &mut EngineConfig| tuning(config).hold = false;
        bench.engine.reconfigure(change).await.unwrap();
        bench.windows(8, 1.0).await;
        assert_eq!(bench.counts().self_tuning_undone, 1);
        bench.close().await;
    });
}

/// A self-tuner learns what became of its proposals.
#[test]
fn verdicts_reach_the_self_tuner() {
    let verdicts: Arc<Mutex<Vec<Judgement>>> = Arc::default();
    let seen = verdicts.clone();
    let policy = scripted(move |facts| {
        seen.lock().expect("no panic").extend(facts.judged);
        let trigger = facts.knob(Knob::Level0Trigger)?.value as u64;
        match facts.window.index {
            20 => Some(set(Knob::Level0Trigger, 9)),
            21 => Some(set(Knob::Level0Trigger, trigger)),
            22 => Some(set(Knob::Level0Trigger, trigger + 1)),
            30 => Some(set(Knob::CacheSize, 16 * KIB)),
            _ => None,
        }
    });
    on_a_bench(config(policy), |mut bench| async move {
        bench.windows(40, 1.0).await;
        let verdicts = verdicts.lock().expect("no panic").clone();
        let expected = [
            Verdict::Refused,
            Verdict::Unchanged,
            Verdict::Kept,
            Verdict::Undone,
        ];
        let found: Vec<Verdict> = verdicts.iter().map(|it| it.verdict).collect();
        assert_eq!(found, expected);
        assert!(verdicts[3].after > verdicts[3].before);
        bench.close().await;
    });
}

/// A mixed workload; returns what it leaves in the counters, the tree and the machine.
fn workload(tuning: Option<SelfTuningConfig>) -> (Metrics, SimStats, u64) {
    let world = SimWorld::new(&Default::default());
    let env = world.env();
    run(&world, async {
        let mut config = config(PolicySpec::named("none"));
        config.self_tuning = tuning;
        let mut bench = Bench::open(&env, config, 3).await;
        let took = bench.windows(60, 0.6).await;
        bench.engine.flush().await.unwrap();
        bench.engine.wait_idle().await.unwrap();
        let mut metrics = bench.engine.metrics();
        metrics.counts.self_tuning_proposed = 0;
        metrics.counts.self_tuning_refused = 0;
        bench.engine.close().await.unwrap();
        // Asking the self-tuner is an event of the simulation, and takes no time. The directory
        // holds the settings, with its name.
        let machine = SimStats {
            events: 0,
            device_write_bytes: 0,
            ..world.stats()
        };
        (metrics, machine, took)
    })
}

#[test]
fn none_and_proposals_alone_leave_every_number_as_it_is() {
    let expected = workload(None);
    let with = |policy, mode| {
        let mut tuning = config(policy).self_tuning.expect("it is there");
        tuning.mode = mode;
        workload(Some(tuning))
    };
    assert_eq!(with(PolicySpec::named("none"), TuningMode::Apply), expected);
    let proposals = Arc::new(Mutex::new(0));
    let made = proposals.clone();
    let policy = scripted(move |facts| {
        let now = facts.knob(Knob::CacheSize)?.value as u64;
        *made.lock().expect("no panic") += 1;
        Some(set(Knob::CacheSize, now - 1))
    });
    assert_eq!(with(policy, TuningMode::Propose), expected);
    assert!(*proposals.lock().expect("no panic") > 50);
}

#[test]
fn proposals_are_recorded_and_not_carried_out() {
    let mut config = config(hostile());
    tuning(&mut config).mode = TuningMode::Propose;
    let opening = config.clone();
    on_a_bench(config, |mut bench| async move {
        bench.windows(60, 1.0).await;
        assert!(
            bench.count(TuningStep::Proposed) >= 20,
            "{:?}",
            bench.steps()
        );
        assert_eq!(bench.counts().self_tuning_applied, 0);
        assert_eq!(*bench.engine.config(), opening);
        bench.close().await;
    });
}

/// The time of a long run under `policy`, with noise in what its windows cost.
fn cost_of_a_run(policy: PolicySpec, seed: u64) -> u64 {
    let world = SimWorld::new(&Default::default());
    let env = world.env();
    run(&world, async {
        let config = config(policy);
        let ranges = config.self_tuning.clone().expect("it is there").ranges;
        let mut bench = Bench::open(&env, config, seed).await;
        let mut took = 0;
        for _ in 0..150 {
            // Windows differ by a few percent in what they do, but not in kind.
            let reads = 0.88 + bench.chance.below(5) as f64 / 100.0;
            took += bench.windows(2, reads).await;
        }
        for record in &bench.records {
            let within = |knob: Knob, [least, most]: [f64; 2]| {
                let value = record.knobs[knob.name()];
                assert!((least..=most).contains(&value), "{record:?}");
            };
            let bytes = |range: Option<[ByteSize; 2]>| range.unwrap().map(|it| it.as_u64() as f64);
            within(Knob::Memtable, bytes(ranges.memtable));
            within(Knob::CacheSize, bytes(ranges.cache.size));
            within(Knob::FilterBits, ranges.filter_bits.unwrap());
            within(
                Knob::Level0Trigger,
                ranges.level0_trigger.unwrap().map(f64::from),
            );
        }
        bench.close().await;
        took
    })
}

#[test]
fn hostile_and_random_tuners_end_no_worse_than_they_began() {
    for seed in seeds(4) {
        repeatable(seed, || {
            let start = cost_of_a_run(PolicySpec::named("none"), seed);
            for policy in [hostile(), PolicySpec::named("random")] {
                let end = cost_of_a_run(policy.clone(), seed);
                let ratio = end as f64 / start as f64;
                assert!(ratio < 1.05, "{policy}, seed {seed}: {ratio}");
            }
        });
    }
}

/// The tuner of the memory split leaves a bad split, and its ghosts agree with what it finds.
#[test]
fn the_memory_split_follows_the_workload() {
    let mut tuned = config(PolicySpec::named("memory"));
    tuned.memtable = ByteSize::kib(224);
    tuned.cache.size = ByteSize::kib(64);
    let mut still = tuned.clone();
    tuning(&mut still).policy = PolicySpec::named("none");
    let took = |config| {
        let world = SimWorld::new(&Default::default());
        let env = world.env();
        run(&world, async {
            let mut bench = Bench::open(&env, config, 5).await;
            bench.windows(200, 0.97).await;
            let took = bench.windows(50, 0.97).await;
            let cache = bench.engine.config().cache.size;
            bench.close().await;
            (took, cache)
        })
    };
    let (before, _) = took(still);
    let (after, cache) = took(tuned);
    assert!(cache >= ByteSize::kib(256), "{cache}");
    assert!(after * 100 < before * 85, "{after} of {before}");
}

#[test]
fn closing_and_dropping_are_safe_at_any_moment() {
    for seed in seeds(30) {
        repeatable(seed, || {
            let world = SimWorld::new(&Default::default());
            let env = world.env();
            run(&world, async {
                let random = PolicySpec::named("random").with("rate", 1.0);
                let mut config = config(random);
                tuning(&mut config).window = 20;
                tuning(&mut config).watch = 1;
                let builder = EngineBuilder::new(env.clone(), "/db").config(config.clone());
                let engine = builder.open().await.unwrap();
                let mut chance = Chance::new(seed);
                let writes = 1_000 + chance.below(2_000);
                for number in 0..writes {
                    let key = format!("key-{number:05}");
                    engine.put(key.as_bytes(), &[7; 100]).await.unwrap();
                }
                match seed % 2 {
                    0 => engine.close().await.unwrap(),
                    _ => drop(engine),
                }
                env.clock.sleep(1_000_000_000).await;
                let builder = EngineBuilder::new(env.clone(), "/db").config(config);
                let engine = builder.open().await.unwrap();
                for number in 0..writes {
                    let key = format!("key-{number:05}");
                    assert!(engine.get(key.as_bytes()).await.unwrap().is_some());
                }
                engine.close().await.unwrap();
            });
        });
    }
}
