//! Tests of stall controls as users see them: answers stay right, level 0 and memory stay within
//! what each control promises, and another control takes over in a running engine.

mod common;

use std::collections::BTreeMap;

use aura_engine::env::Env;
use aura_engine::env::sim::{CpuCosts, DeviceProfile, SimConfig, SimWorld};
use aura_engine::{AuraEngine, Engine, EngineBuilder, EngineConfig, Event, EventKind, StallCause};
use aura_policies::{PolicySpec, stall};
use bytesize::ByteSize;
use common::{Chance, key, run};

const KIB: u64 = 1 << 10;
const WRITES: u64 = 12_000;
const KEYS: u64 = 4_000;
const SLOWDOWN: u32 = 4;
const STOP: u32 = 8;
const SEALED_MAX: u32 = 2;

/// A world in which only the limit of the background takes time.
fn world(seed: u64) -> SimWorld {
    let device = DeviceProfile::named("null").expect("known");
    SimWorld::new(&SimConfig {
        device,
        cpu: CpuCosts::FREE,
        cores: 2,
        seed,
    })
}

/// Settings under which the background is far slower than writers are.
fn config(policy: &str) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.memtables_sealed_max = SEALED_MAX;
    config.table.size = ByteSize::kib(64);
    config.cache.size = ByteSize::kib(256);
    config.compaction.base = ByteSize::kib(256);
    config.compaction.level0_trigger = 2;
    config.compaction.level0_slowdown = SLOWDOWN;
    config.compaction.level0_stop = STOP;
    config.compaction.stall = Some(PolicySpec::named(policy));
    config.io_limit = ByteSize::mib(2);
    config
}

async fn open(env: &Env, config: EngineConfig) -> AuraEngine {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config);
    builder.open().await.expect("it opens")
}

/// What a load of writes met.
#[derive(Default)]
struct Met {
    level0_max: u64,
    memtable_bytes_max: u64,
    stalls: Vec<Event>,
}

impl Met {
    /// Whether writers were slowed down, and whether they were stopped, by level 0.
    fn slowed_and_stopped(&self) -> (bool, bool) {
        let rates = self.stalls.iter().filter_map(|event| match event.kind {
            EventKind::Stall {
                cause: StallCause::Level0Runs,
                rate_bytes,
            } => Some(rate_bytes),
            _ => None,
        });
        let rates: Vec<u64> = rates.collect();
        let slowed = rates.iter().any(|rate| *rate > 0);
        (slowed, rates.contains(&0))
    }
}

/// Overwrites random keys, and watches level 0 and memory after each write.
async fn load(
    engine: &AuraEngine,
    model: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    chance: &mut Chance,
    writes: u64,
) -> Met {
    let mut met = Met::default();
    for number in 0..writes {
        let key = key(chance.below(KEYS));
        let value = vec![number as u8; 200];
        engine.put(&key, &value).await.expect("it writes");
        model.insert(key, value);
        let metrics = engine.metrics();
        let runs = metrics.levels.first().map_or(0, |level| level.runs);
        met.level0_max = met.level0_max.max(runs);
        met.memtable_bytes_max = met.memtable_bytes_max.max(metrics.memtable_bytes);
        if number % 100 == 0 {
            met.stalls.extend(engine.take_events());
        }
    }
    met.stalls.extend(engine.take_events());
    met
}

async fn check(engine: &AuraEngine, model: &BTreeMap<Vec<u8>, Vec<u8>>, policy: &str) {
    for number in 0..KEYS {
        let key = key(number);
        let found = engine.get(&key).await.expect("it reads");
        let expected = model.get(&key).map(Vec::as_slice);
        assert_eq!(found.as_deref(), expected, "{policy}, key {number}");
    }
}

/// Runs that level 0 may hold beyond the stop: those of memtables that were in use when it was met.
fn level0_bound() -> u64 {
    u64::from(STOP + SEALED_MAX)
}

#[test]
fn answers_are_right_and_what_is_bounded_stays_within_its_bounds() {
    for policy in stall::FAMILY.names() {
        let world = world(1);
        let env = world.env();
        let test = async {
            let engine = open(&env, config(policy)).await;
            let mut model = BTreeMap::new();
            let met = load(&engine, &mut model, &mut Chance::new(1), WRITES).await;
            check(&engine, &model, policy).await;
            engine.wait_idle().await.expect("the debt is paid");
            check(&engine, &model, policy).await;
            engine.close().await.expect("it closes");

            let most = 64 * KIB * u64::from(SEALED_MAX + 1) + 16 * KIB;
            let bytes = met.memtable_bytes_max;
            assert!(bytes <= most, "{policy}: {bytes} bytes of memtables");
            let runs = met.level0_max;
            match policy {
                "none" => assert!(runs > 2 * level0_bound(), "none: {runs} runs"),
                _ => assert!(runs <= level0_bound(), "{policy}: {runs} runs"),
            }
            let expected = match policy {
                "none" => (false, false),
                "stop-only" => (false, true),
                // At this rate of the background, slowing down does not do.
                "smooth" => (true, true),
                _ => (true, met.slowed_and_stopped().1),
            };
            assert_eq!(met.slowed_and_stopped(), expected, "{policy}");
        };
        run(&world, test);
    }
}

/// Garbage is debt. Where no collector takes it, no work ever pays it, and writers that waited for
/// that would wait for ever.
#[test]
fn debt_that_nobody_pays_holds_no_writer_up() {
    // What is left is beyond the stop, and between the point of slowing down and the stop.
    let names = stall::FAMILY.names();
    for (policy, slowdown) in names.iter().flat_map(|it| [(*it, 4), (*it, 16)]) {
        let world = world(3);
        let env = world.env();
        run(&world, async {
            let mut config = config(policy);
            config.io_limit = ByteSize::b(0);
            config.compaction.debt_slowdown = ByteSize::kib(slowdown);
            config.value_log.separation = PolicySpec::named("threshold").with("bytes", 100);
            config.value_log.file = ByteSize::kib(64);
            config.value_log.gc = PolicySpec::named("never");
            let engine = open(&env, config).await;
            for number in 0..4_000 {
                let key = key(number % 50);
                let put = engine.put(&key, &[7; 200]);
                put.await.expect("it writes");
            }
            engine.wait_idle().await.expect("nothing is due");
            let debt = engine.metrics().debt_bytes;
            assert!(debt > slowdown * KIB, "{policy}: {debt} bytes of debt");
            engine.take_events();
            engine.put(&key(0), &[7; 200]).await.expect("it writes");
            let events = engine.take_events();
            let is_stall = |it: &Event| matches!(it.kind, EventKind::Stall { .. });
            assert!(!events.iter().any(is_stall), "{policy}: {events:?}");
            engine.close().await.expect("it closes");
        });
    }
}

#[test]
fn another_control_takes_over_while_the_engine_runs() {
    let world = world(2);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, config("none")).await;
        let mut model = BTreeMap::new();
        let mut chance = Chance::new(2);
        let before = load(&engine, &mut model, &mut chance, WRITES).await;
        assert!(before.level0_max > level0_bound(), "{}", before.level0_max);
        let stop = |config: &mut EngineConfig| {
            config.compaction.stall = Some(PolicySpec::named("stop-only"));
        };
        engine.reconfigure(stop).await.expect("it may change");
        // The first write waits until level 0 is below the stop.
        load(&engine, &mut model, &mut chance, 1).await;
        let after = load(&engine, &mut model, &mut chance, WRITES).await;
        assert!(after.level0_max <= level0_bound(), "{}", after.level0_max);
        let unknown = |config: &mut EngineConfig| {
            config.compaction.stall = Some(PolicySpec::named("no such"));
        };
        assert!(engine.reconfigure(unknown).await.is_err());
        check(&engine, &model, "stop-only").await;
        engine.close().await.expect("it closes");
    });
}
