//! Tests of the limit on background I/O as its users see it: it is kept over virtual time, counted,
//! can be changed while jobs wait, and ends with a close.

mod common;

use aura_engine::env::Env;
use aura_engine::env::sim::{CpuCosts, DeviceProfile, SimConfig, SimWorld};
use aura_engine::{AuraEngine, Counts, Engine, EngineBuilder, EngineConfig, Error, EventKind};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::Chance;

const MIB: u64 = 1 << 20;
const SECOND_NANOS: u64 = 1_000_000_000;

/// Returns a world in which only the limit takes time.
fn world() -> SimWorld {
    let device = DeviceProfile::named("null").expect("known");
    SimWorld::new(&SimConfig {
        device,
        cpu: CpuCosts::FREE,
        cores: 2,
        seed: 1,
    })
}

fn config(io_limit: u64) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(1);
    config.table.size = ByteSize::mib(1);
    config.cache.size = ByteSize(0);
    config.compaction.base = ByteSize::mib(2);
    config.compaction.jobs = 2;
    config.io_limit = ByteSize(io_limit);
    config
}

async fn open(env: &Env, config: EngineConfig) -> AuraEngine {
    EngineBuilder::new(env.clone(), "/db")
        .config(config)
        .open()
        .await
        .unwrap()
}

/// Writes `bytes` in values of 1 KB, under random keys that are overwritten a few times.
async fn write(engine: &AuraEngine, bytes: u64, seed: u64) {
    let mut chance = Chance::new(seed);
    for _ in 0..bytes / 1000 {
        let key = format!("key-{:05}", chance.below(8000));
        engine.put(key.as_bytes(), &[7; 1000]).await.unwrap();
    }
}

fn background_bytes(counts: &Counts) -> u64 {
    let compacted = counts.compaction_read_bytes + counts.compaction_write_bytes;
    counts.flush_bytes + compacted + counts.gc_read_bytes + counts.gc_write_bytes
}

#[test]
fn the_background_keeps_to_the_limit_and_flushes_go_first() {
    for limit in [2 * MIB, 16 * MIB] {
        let world = world();
        let env = world.env();
        world
            .block_on(async {
                let engine = open(&env, config(limit)).await;
                let start = env.clock.now();
                write(&engine, 40_000_000, 1).await;
                engine.flush().await.unwrap();
                engine.wait_idle().await.unwrap();
                let seconds = (env.clock.now() - start) as f64 / SECOND_NANOS as f64;
                let counts = engine.metrics().counts;
                let rate = background_bytes(&counts) as f64 / seconds / limit as f64;
                assert!(
                    (0.9..1.03).contains(&rate),
                    "{rate} of the limit of {limit} B/s: {counts:?}"
                );
                assert!(
                    counts.compaction_read_bytes > 0 && counts.limiter_flush_nanos > 0,
                    "{counts:?}"
                );
                assert!(
                    counts.limiter_level0_nanos > 0 && counts.limiter_deep_nanos > 0,
                    "{counts:?}"
                );
                for event in engine.take_events() {
                    if let EventKind::Flush { bytes } = event.kind {
                        // A flush gets at least seven tenths, except for a step that another job
                        // has just begun.
                        let most = bytes as f64 / (0.7 * limit as f64) * SECOND_NANOS as f64 + 2e7;
                        let took = event.end_nanos - event.start_nanos;
                        assert!(
                            (took as f64) < most,
                            "{took} ns for a flush of {bytes} B at {limit} B/s"
                        );
                    }
                }
                engine.close().await.unwrap();
            })
            .unwrap();
    }
}

#[test]
fn collections_of_the_value_log_are_limited_too() {
    let world = world();
    let limit = 2 * MIB;
    let env = world.env();
    world
        .block_on(async {
            let mut config = config(limit);
            config.value_log.separation = PolicySpec::named("threshold").with("bytes", 100);
            config.value_log.file = ByteSize::mib(1);
            config.memtable = ByteSize::kib(64);
            let engine = open(&env, config).await;
            let start = env.clock.now();
            write(&engine, 40_000_000, 4).await;
            engine.flush().await.unwrap();
            engine.wait_idle().await.unwrap();
            let seconds = (env.clock.now() - start) as f64 / SECOND_NANOS as f64;
            let counts = engine.metrics().counts;
            assert!(
                counts.gc_runs > 3 && counts.limiter_collection_nanos > 0,
                "{counts:?}"
            );
            let rate = background_bytes(&counts) as f64 / seconds / limit as f64;
            assert!(
                (0.8..1.03).contains(&rate),
                "{rate} of the limit: {counts:?}"
            );
            engine.close().await.unwrap();
        })
        .unwrap();
}

#[test]
fn without_a_limit_nothing_waits() {
    let world = world();
    let env = world.env();
    world
        .block_on(async {
            let engine = open(&env, config(0)).await;
            write(&engine, 10_000_000, 2).await;
            engine.wait_idle().await.unwrap();
            let counts = engine.metrics().counts;
            assert_eq!(counts.limiter_wait_nanos(), 0);
            assert!(background_bytes(&counts) > 10 * MIB, "{counts:?}");
            engine.close().await.unwrap();
        })
        .unwrap();
}

/// Fills an engine until it flushes at 64 KiB a second, which takes about 16 s a memtable.
async fn stuck(env: &Env) -> AuraEngine {
    let engine = open(env, config(64 << 10)).await;
    write(&engine, 2_500_000, 3).await;
    env.clock.sleep(SECOND_NANOS).await;
    assert_eq!(engine.metrics().counts.flushes, 0, "the first is under way");
    engine
}

#[test]
fn a_close_does_not_wait_for_the_limit() {
    let world = world();
    let env = world.env();
    world
        .block_on(async {
            let engine = stuck(&env).await;
            let start = env.clock.now();
            engine.close().await.unwrap();
            assert!(
                env.clock.now() - start < SECOND_NANOS / 100,
                "{} ns",
                env.clock.now() - start
            );
            // Recovery flushes what was left, without a limit.
            let engine = open(&env, config(64 << 10)).await;
            assert!(
                env.clock.now() - start < SECOND_NANOS / 100,
                "{} ns",
                env.clock.now() - start
            );
            engine.close().await.unwrap();
        })
        .unwrap();
}

#[test]
fn a_changed_limit_holds_for_waiting_jobs() {
    let world = world();
    let env = world.env();
    let limit = |bytes| move |config: &mut EngineConfig| config.io_limit = ByteSize(bytes);
    world
        .block_on(async {
            let engine = stuck(&env).await;
            let refused = engine.reconfigure(limit(1000)).await;
            assert!(matches!(&refused, Err(Error::Config { .. })), "{refused:?}");
            let start = env.clock.now();
            engine.reconfigure(limit(4 * MIB)).await.unwrap();
            engine.flush().await.unwrap();
            let seconds = (env.clock.now() - start) as f64 / SECOND_NANOS as f64;
            assert!(
                (0.4..0.7).contains(&seconds),
                "{seconds} s for 2.5 MB, a part of which was granted before"
            );
            engine.reconfigure(limit(0)).await.unwrap();
            let start = env.clock.now();
            engine.compact().await.unwrap();
            assert!(
                env.clock.now() - start < SECOND_NANOS / 1000,
                "{} ns",
                env.clock.now() - start
            );
            engine.close().await.unwrap();
            let refused = EngineBuilder::new(env.clone(), "/db")
                .config(config(1000))
                .open()
                .await;
            assert!(matches!(refused.map(drop), Err(Error::Config { .. })));
        })
        .unwrap();
}

/// Writes values of 1 KB at `rate` bytes a second for `seconds`. Returns the bytes that the
/// background moved meanwhile, a second.
async fn paced(env: &Env, engine: &AuraEngine, rate: u64, seconds: u64) -> u64 {
    let before = background_bytes(&engine.metrics().counts);
    let start = env.clock.now();
    let mut chance = Chance::new(rate);
    for number in 0..rate * seconds / 1000 {
        let due = start + number * 1000 * SECOND_NANOS / rate;
        env.clock.sleep(due.saturating_sub(env.clock.now())).await;
        let key = format!("key-{:05}", chance.below(8000));
        engine.put(key.as_bytes(), &[7; 1000]).await.unwrap();
    }
    let nanos = env.clock.now() - start;
    let moved = background_bytes(&engine.metrics().counts) - before;
    (u128::from(moved) * u128::from(SECOND_NANOS) / u128::from(nanos.max(1))) as u64
}

/// Settings under which there is always work, and nobody waits for it.
fn busy(limit: u64, limiter: PolicySpec) -> EngineConfig {
    let mut config = config(limit);
    config.compaction.stall = Some(PolicySpec::named("none"));
    config.io_limiter = Some(limiter);
    config.memtables_sealed_max = 64;
    config
}

#[test]
fn silk_gives_the_background_what_users_leave() {
    let world = world();
    let env = world.env();
    let limit = 16 * MIB;
    let silk = PolicySpec::named("silk").with("reserve", 0.0);
    world
        .block_on(async {
            let engine = open(&env, busy(limit, silk)).await;
            // Debt for the rest of the test.
            write(&engine, 100_000_000, 1).await;
            for users in [4 * MIB, 12 * MIB] {
                // A log's record is a little larger than what users write.
                let moved = paced(&env, &engine, users, 3).await as f64;
                let left = (limit - users) as f64;
                assert!(
                    (0.85..1.05).contains(&(moved / left)),
                    "{moved} of {left} B/s beside {users}"
                );
            }
            let start = background_bytes(&engine.metrics().counts);
            env.clock.sleep(2 * SECOND_NANOS).await;
            let moved = background_bytes(&engine.metrics().counts) - start;
            let share = moved as f64 / (2 * limit) as f64;
            assert!((0.95..1.05).contains(&share), "{share} without users");
            engine.close().await.unwrap();
        })
        .unwrap();
}

#[test]
fn another_limiter_takes_over_while_the_engine_runs() {
    let world = world();
    let env = world.env();
    let limit = 8 * MIB;
    let auto = PolicySpec::named("auto-tuned");
    world
        .block_on(async {
            let engine = open(&env, busy(limit, auto)).await;
            write(&engine, 100_000_000, 1).await;
            let moved = async || {
                let before = background_bytes(&engine.metrics().counts);
                env.clock.sleep(3 * SECOND_NANOS).await;
                background_bytes(&engine.metrics().counts) - before
            };
            // It begins at half of the limit, and decides in ten seconds.
            let share = moved().await as f64 / (3 * limit) as f64;
            assert!((0.35..0.65).contains(&share), "{share} when it begins");
            let fixed = |config: &mut EngineConfig| config.io_limiter = None;
            engine.reconfigure(fixed).await.unwrap();
            let share = moved().await as f64 / (3 * limit) as f64;
            assert!((0.8..1.2).contains(&share), "{share} at the fixed rate");
            let unknown = |config: &mut EngineConfig| {
                config.io_limiter = Some(PolicySpec::named("no such"));
            };
            assert!(engine.reconfigure(unknown).await.is_err());
            engine.close().await.unwrap();
        })
        .unwrap();
}
