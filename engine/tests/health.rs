//! Each rule of health, in simulation: a scenario that brings the ailment on, and the like of it
//! that does not. The healthy ones name nothing at all.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use aura_engine::env::sim::{CpuCosts, DeviceProfile, FaultKind, SimConfig, SimWorld};
use aura_engine::{
    Ailment, AuraEngine, Engine, EngineBuilder, EngineConfig, EventKind, Health, HealthRule,
    IndexGate, SyncPolicy, Telemetry,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::{compacted_by_hand, key, run};

const WINDOW: Duration = Duration::from_millis(100);

/// The usual rules, for as little work as a test does in a window.
fn rules() -> Vec<HealthRule> {
    let mut rules = HealthRule::all();
    for rule in &mut rules {
        rule.least = match rule.ailment {
            Ailment::Debt | Ailment::Space => 64 << 10,
            Ailment::Device => 1,
            _ => rule.least.min(200),
        };
        if rule.ailment == Ailment::Unsynced {
            rule.enter = 16_384.0;
            rule.leave = 8_192.0;
        }
    }
    rules
}

fn world() -> SimWorld {
    SimWorld::new(&SimConfig {
        device: DeviceProfile::named("nvme").expect("known"),
        cpu: CpuCosts::default(),
        cores: 2,
        seed: 1,
    })
}

fn ailments(health: &Health) -> BTreeSet<Ailment> {
    match health {
        Health::Degraded { symptoms } => symptoms.iter().map(|it| it.ailment).collect(),
        Health::Ok => BTreeSet::new(),
        Health::Failed { why, .. } => panic!("{why}"),
    }
}

async fn open(world: &SimWorld, config: &EngineConfig) -> AuraEngine {
    let telemetry = Telemetry {
        health: rules(),
        health_window: WINDOW,
        ..Telemetry::default()
    };
    let builder = EngineBuilder::new(world.env(), "/db").config(config.clone());
    builder.telemetry(telemetry).open().await.unwrap()
}

/// What is found in eight windows, in each of which `work` is done.
async fn found(
    world: &SimWorld,
    engine: &AuraEngine,
    work: impl AsyncFn(AuraEngine, u64),
) -> BTreeSet<Ailment> {
    let mut found = BTreeSet::new();
    for window in 0..8 {
        work(engine.clone(), window).await;
        world.env().clock.sleep(WINDOW.as_nanos() as u64).await;
        found.extend(ailments(&engine.health()));
    }
    found
}

/// Runs a scenario ill and well.
fn check(ailment: Ailment, scenario: impl AsyncFn(&SimWorld, bool) -> BTreeSet<Ailment>) {
    let ill = world();
    let found = run(&ill, scenario(&ill, true));
    assert!(
        found.contains(&ailment),
        "{ailment:?} is not found: {found:?}"
    );
    let well = world();
    let found = run(&well, scenario(&well, false));
    assert_eq!(found, BTreeSet::new(), "{ailment:?}: it is well");
}

async fn put_many(engine: &AuraEngine, numbers: std::ops::Range<u64>, bytes: usize) {
    for number in numbers {
        let value: Vec<u8> = (0..bytes)
            .map(|at| (number as usize + at * 7) as u8)
            .collect();
        engine.put(&key(number), &value).await.unwrap();
    }
}

async fn get_many(engine: &AuraEngine, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        engine.get(&key(number)).await.unwrap();
    }
}

/// Settings of a small tree that flushes and compacts often.
fn small() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.size = ByteSize::kib(64);
    config.compaction.base = ByteSize::kib(256);
    config.cache.size = ByteSize::mib(1);
    config
}

#[test]
fn stalls() {
    check(Ailment::Stalls, async |world, ill| {
        let mut config = small();
        config.memtables_sealed_max = 1;
        if ill {
            config.io_limit = ByteSize::kib(512);
        }
        let engine = open(world, &config).await;
        let mut found = found(world, &engine, async |engine, window| {
            put_many(&engine, window * 1_000..(window + 1) * 1_000, 200).await;
        })
        .await;
        // A background that is slower than its writers runs up debt, too.
        found.remove(&Ailment::Debt);
        found
    });
}

#[test]
fn debt() {
    check(Ailment::Debt, async |world, ill| {
        let mut config = small();
        config.compaction.level0_slowdown = 5_000;
        config.compaction.level0_stop = 10_000;
        config.memtables_sealed_max = 64;
        if ill {
            // More than the flushes need, and less than they and the compactions do.
            config.io_limit = ByteSize::mib(3);
        }
        let engine = open(world, &config).await;
        found(world, &engine, async |engine, window| {
            put_many(&engine, window * 500..(window + 1) * 500, 500).await;
            if !ill {
                engine.wait_idle().await.unwrap();
            }
        })
        .await
    });
}

#[test]
fn space() {
    check(Ailment::Space, async |world, ill| {
        let mut config = small();
        config.value_log.separation = PolicySpec::named("threshold").with("bytes", 100);
        config.value_log.file = ByteSize::kib(64);
        if ill {
            config.value_log.gc_low = 1.0;
            config.value_log.gc_high = 1.0;
            config.value_log.gc_stop = 1.0;
        }
        let engine = open(world, &config).await;
        found(world, &engine, async |engine, window| {
            // One of ten values stays, so that no file is garbage as a whole.
            for ten in 0..30 {
                put_many(&engine, ten * 10..ten * 10 + 9, 1_000).await;
                let stays = 1_000 + window * 30 + ten;
                put_many(&engine, stays..stays + 1, 1_000).await;
            }
            engine.compact().await.unwrap();
            engine.wait_idle().await.unwrap();
        })
        .await
    });
}

#[test]
fn read_amplification() {
    check(Ailment::ReadAmplification, async |world, ill| {
        let mut config = compacted_by_hand(ByteSize::mib(1));
        config.table.filter = PolicySpec::named("none");
        config.cache.size = ByteSize::b(0);
        let engine = open(world, &config).await;
        for _ in 0..12 {
            put_many(&engine, 0..500, 100).await;
            engine.flush().await.unwrap();
        }
        if !ill {
            engine.compact().await.unwrap();
        }
        // Between the keys: every run is read.
        found(world, &engine, async |engine, window| {
            for number in 0..300 {
                let absent = [&key(number + window)[..], b"x"].concat();
                engine.get(&absent).await.unwrap();
            }
        })
        .await
    });
}

#[test]
fn filters() {
    check(Ailment::Filters, async |world, ill| {
        let mut config = compacted_by_hand(ByteSize::mib(1));
        let bits = if ill { 1 } else { 10 };
        config.table.filter = PolicySpec::named("bloom").with("bits_per_key", bits);
        let engine = open(world, &config).await;
        put_many(&engine, 0..2_000, 20).await;
        engine.flush().await.unwrap();
        found(world, &engine, async |engine, _| {
            for number in 0..500 {
                let absent = [&key(number)[..], b"x"].concat();
                engine.get(&absent).await.unwrap();
            }
        })
        .await
    });
}

#[test]
fn models() {
    check(Ailment::Models, async |world, ill| {
        let mut config = compacted_by_hand(ByteSize::mib(1));
        config.table.index = PolicySpec::named("pgm");
        config.table.index_gate = IndexGate {
            memory: if ill { 1e-9 } else { 1e9 },
            window_blocks: u32::MAX,
            probes: 1e9,
        };
        let engine = open(world, &config).await;
        put_many(&engine, 0..2_000, 20).await;
        engine.flush().await.unwrap();
        found(world, &engine, async |engine, _| {
            get_many(&engine, 0..500).await;
        })
        .await
    });
}

#[test]
fn a_collapse_of_hits() {
    check(Ailment::HitRatio, async |world, ill| {
        let mut config = compacted_by_hand(ByteSize::mib(8));
        config.cache.size = ByteSize::kib(256);
        let engine = open(world, &config).await;
        put_many(&engine, 0..8_000, 200).await;
        engine.flush().await.unwrap();
        found(world, &engine, async |engine, window| {
            let spread = if ill && window >= 5 { 8_000 } else { 200 };
            let numbers = (0..2_000).map(move |at| at * 7_919 % spread);
            get_many(&engine, numbers).await;
        })
        .await
    });
}

#[test]
fn a_slow_device() {
    check(Ailment::Device, async |world, ill| {
        let mut config = small();
        config.wal.sync = SyncPolicy::Always;
        let engine = open(world, &config).await;
        if ill {
            world.delay_nth(FaultKind::Sync, 1, u64::MAX, 1_200_000_000);
        }
        let found = found(world, &engine, async |engine, window| {
            put_many(&engine, window..window + 1, 20).await;
        })
        .await;
        let events = engine.take_events();
        let slow = events.iter().filter(|it| it.kind == EventKind::SlowSync);
        assert_eq!(slow.count(), if ill { 8 } else { 0 });
        found
    });
}

#[test]
fn unsynced_bytes() {
    check(Ailment::Unsynced, async |world, ill| {
        let mut config = EngineConfig::default();
        let interval = if ill { 36_000_000 } else { 1 };
        config.wal.sync = SyncPolicy::Interval(Duration::from_millis(interval));
        let engine = open(world, &config).await;
        found(world, &engine, async |engine, window| {
            put_many(&engine, window * 50..(window + 1) * 50, 200).await;
        })
        .await
    });
}

#[test]
fn failures_of_the_background() {
    check(Ailment::Background, async |world, ill| {
        let engine = open(world, &small()).await;
        found(world, &engine, async |engine, window| {
            put_many(&engine, window * 50..(window + 1) * 50, 200).await;
            if ill && window == 2 {
                // The new log is made; the table is not.
                world.fail_nth(FaultKind::Create, 2, 1);
            }
            engine.flush().await.unwrap();
        })
        .await
    });
}

#[test]
fn a_task_judges_and_a_listener_hears_of_it() {
    let world = world();
    run(&world, async {
        let mut config = small();
        config.wal.sync = SyncPolicy::Always;
        let telemetry = Telemetry {
            watch: Some(WINDOW),
            health_window: WINDOW,
            ..Telemetry::default()
        };
        let builder = EngineBuilder::new(world.env(), "/db").config(config);
        let engine = builder.telemetry(telemetry).open().await.unwrap();
        let mut listener = engine.subscribe(100);
        world.delay_nth(FaultKind::Sync, 1, 4, 300_000_000);
        for number in 0..40 {
            put_many(&engine, number..number + 1, 20).await;
            world.env().clock.sleep(50_000_000).await;
        }
        engine.close().await.unwrap();
        let mut states = Vec::new();
        while let Some(event) = listener.next().await {
            if let EventKind::Health { state, why } = event.kind {
                states.push((state, why.concat()));
            }
        }
        assert_eq!(states.len(), 2, "{states:?}");
        assert_eq!(states[0].0, "degraded");
        assert!(
            states[0].1.starts_with("a sync of the logs took 3"),
            "{states:?}"
        );
        assert_eq!(states[1], ("ok", String::new()));
    });
}
