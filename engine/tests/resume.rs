//! Failures of the background are tried again, and an engine that stopped taking writes takes them
//! again once the cause is mended. No acknowledged write is lost, whatever fails and when.
//!
//! The sweep makes every call of the tour fail, and the next ones with it, for a while. A failure
//! prints its seed.

mod common;

use std::sync::Arc;

use aura_engine::env::sim::{CrashMode, FaultKind, SimWorld};
use aura_engine::{
    AuraEngine, Counts, Direction, Engine, EngineBuilder, EngineConfig, Error, EventKind, Health,
    SyncPolicy,
};
use bytesize::ByteSize;
use common::cancel::{Calls, poll_at_most};
use common::history::{check_recovery, contents};
use common::tour::{Recorded, tour, tour_config};
use common::{key, repeatable, run, seeds, sim, sim_config, tried};

const FAULTS: [FaultKind; 6] = [
    FaultKind::Read,
    FaultKind::Write,
    FaultKind::Sync,
    FaultKind::Rename,
    FaultKind::Create,
    FaultKind::NoSpace,
];

async fn open(world: &SimWorld, config: &EngineConfig) -> AuraEngine {
    let builder = EngineBuilder::new(world.env(), "/db").config(config.clone());
    builder.open().await.unwrap()
}

/// Settings whose memtables are full after some puts of [`put_some`].
fn small() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(4);
    config.table.size = ByteSize::kib(4);
    config.compaction.base = ByteSize::kib(8);
    config.compaction.level0_trigger = 2;
    config
}

/// Puts about three memtables of keys that end with `salt`. Returns the first error.
async fn put_some(engine: &AuraEngine, salt: u64) -> Result<(), Error> {
    for number in 0..60 {
        let value = [salt as u8; 200];
        engine.put(&key(number * 10 + salt % 10), &value).await?;
    }
    Ok(())
}

fn failures(engine: &AuraEngine) -> Vec<(&'static str, bool)> {
    let events = engine.take_events().into_iter();
    let failure = |kind| match kind {
        EventKind::Failure {
            work, retry_nanos, ..
        } => Some((work, retry_nanos.is_some())),
        _ => None,
    };
    events.filter_map(|event| failure(event.kind)).collect()
}

#[test]
fn a_job_that_fails_is_tried_again_and_no_write_is_refused() {
    // The seal makes a log and appends its header; then the flush makes its table.
    for (kind, of_table) in [(FaultKind::Create, 2), (FaultKind::NoSpace, 3)] {
        let world = sim(1);
        run(&world, async {
            let engine = open(&world, &small()).await;
            put_some(&engine, 1).await.unwrap();
            engine.wait_idle().await.unwrap();
            engine.take_events();
            engine.put(b"more", b"1").await.unwrap();
            world.fail_nth(kind, of_table, 3);
            engine.flush().await.unwrap();
            let counts = engine.metrics().counts;
            assert!(counts.background_errors >= 1, "{kind:?}: {counts:?}");
            assert_eq!(counts.background_errors, counts.background_retries);
            let failures = failures(&engine);
            assert!(!failures.is_empty() && failures.iter().all(|it| *it == ("flush", true)));
            put_some(&engine, 2).await.unwrap();
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn a_failure_that_lasts_stops_writes_until_it_is_mended() {
    let world = sim(1);
    run(&world, async {
        let engine = open(&world, &small()).await;
        put_some(&engine, 1).await.unwrap();
        engine.resume().await.unwrap();
        world.fail_nth(FaultKind::NoSpace, 1, 500);
        let refused = loop {
            if let Err(error) = put_some(&engine, 2).await {
                break error;
            }
        };
        assert!(refused.to_string().contains("no space"), "{refused}");
        assert_eq!(engine.health().state(), "failed");
        let mut attempts = 0;
        while let Err(error) = engine.resume().await {
            assert!(error.to_string().contains("no space"), "{error}");
            assert!(engine.put(b"refused", b"").await.is_err());
            attempts += 1;
        }
        assert!(attempts > 10, "{attempts}: it was not mended for long");
        assert_eq!(engine.health(), Health::Ok);
        let resumed = |kind: &EventKind| matches!(kind, EventKind::Resumed { .. });
        let events = engine.take_events();
        assert_eq!(events.iter().filter(|it| resumed(&it.kind)).count(), 1);
        put_some(&engine, 3).await.unwrap();
        engine.compact().await.unwrap();
        engine.close().await.unwrap();
        let again = open(&world, &small()).await;
        for number in 0..60 {
            for salt in [1, 3] {
                let found = again.get(&key(number * 10 + salt)).await.unwrap();
                assert_eq!(found.as_deref(), Some(&[salt as u8; 200][..]));
            }
        }
        assert_eq!(again.get(b"refused").await.unwrap(), None);
        again.close().await.unwrap();
    });
}

#[test]
fn a_failed_sync_of_the_log_is_never_tried_again_by_itself() {
    let world = sim(1);
    let mut config = small();
    config.wal.sync = SyncPolicy::Always;
    run(&world, async {
        let engine = open(&world, &config).await;
        engine.put(b"kept", b"1").await.unwrap();
        world.fail_nth(FaultKind::Sync, 1, 1);
        assert!(engine.put(b"lost", b"2").await.is_err());
        let refused = engine.put(b"refused", b"3").await;
        assert!(matches!(refused, Err(Error::Poisoned { .. })));
        engine.resume().await.unwrap();
        engine.put(b"more", b"4").await.unwrap();
    });
    // The bytes whose sync failed are gone, and nobody misses them.
    let image = world.crash_image(CrashMode::DropUnsynced, 1).unwrap();
    let world = SimWorld::with_image(&sim_config(1), &image).unwrap();
    run(&world, async {
        let engine = open(&world, &config).await;
        let found = contents(&engine, Direction::Forward).await.unwrap();
        let keys: Vec<&[u8]> = found.keys().map(Vec::as_slice).collect();
        assert_eq!(keys, [&b"kept"[..], b"more"]);
        engine.close().await.unwrap();
    });
}

/// Calls `resume`, and drops the first call after a poll. The second one may find that the first
/// has done it.
async fn resume(engine: &AuraEngine) -> Result<(), Error> {
    let first = engine.clone();
    let call = Box::pin(async move { first.resume().await });
    match poll_at_most(call, 1).await {
        Ok(ended) => ended,
        Err(dropped) => {
            drop(dropped);
            engine.resume().await
        }
    }
}

/// Goes on with a tour that failed. Returns whether the engine took writes again.
async fn go_on(db: &mut Recorded, what: &dyn Fn() -> String) -> bool {
    let engine = db.engine.clone().expect("it is open");
    match resume(&engine).await {
        Err(Error::Closed) => return false,
        Err(error) => {
            let is_typed = matches!(error, Error::Io { .. } | Error::Poisoned { .. });
            assert!(is_typed, "{}: {error}", what());
            return false;
        }
        Ok(()) => {}
    }
    // What failed has not happened, and never will have.
    db.history.states.truncate(db.history.acknowledged + 1);
    db.history.all_durable();
    let on = async {
        db.read().await?;
        for (number, bytes) in [(1, 700), (2, 30), (3, 900), (4, 450), (5, 700)] {
            db.put(number, bytes).await?;
        }
        db.read().await?;
        db.compact().await?;
        db.wait_idle().await?;
        db.verify().await?;
        db.delete(2).await?;
        db.put(6, 700).await?;
        db.reopen().await?;
        db.verify().await?;
        db.read().await
    };
    on.await
        .unwrap_or_else(|error: Error| panic!("{}, then resumed: {error}", what()));
    true
}

fn resume_everywhere(seed: u64) {
    let config = tour_config(seed);
    let mut resumed = 0;
    let mut refused = 0;
    let mut retries = 0;
    for kind in FAULTS {
        for times in [1, 12] {
            for nth in 1.. {
                let world = sim(seed);
                world.fail_nth(kind, nth, times);
                let calls = Arc::<Calls>::default();
                let mut db = Recorded::with_calls(world.env(), config.clone(), calls);
                let ended = run(&world, tour(&mut db));
                if world.failed_calls() == 0 {
                    break;
                }
                let what = || format!("seed {seed}, {kind:?} {nth} fails {times} times");
                let sum = |counts: &[Counts]| -> u64 {
                    counts.iter().map(|it| it.background_retries).sum()
                };
                retries += sum(&db.counts);
                if ended.is_err() && db.engine.is_some() {
                    world.mend();
                    match run(&world, go_on(&mut db, &what)) {
                        true => resumed += 1,
                        false => refused += 1,
                    }
                }
                let history = &db.history;
                for (mode, required) in [
                    (CrashMode::KeepAll, history.acknowledged),
                    (CrashMode::DropUnsynced, history.durable),
                ] {
                    let image = world.crash_image(mode, seed).unwrap();
                    let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
                    let what = || format!("{}, then {mode:?}", what());
                    check_recovery(&world, &config, history, required, &what);
                }
                tried("faults", 1);
            }
        }
    }
    tried("resumed", resumed);
    tried("refused", refused);
    tried("retries", retries);
    assert!(resumed > 20, "seed {seed}: only {resumed} were resumed");
    assert!(
        retries > 20,
        "seed {seed}: only {retries} jobs were tried again"
    );
}

#[test]
fn after_every_failure_of_the_tour_the_engine_goes_on_with_what_was_acknowledged() {
    for seed in seeds(2) {
        repeatable(seed, || resume_everywhere(seed));
    }
}

/// Crashes at each call of a resumption: what was acknowledged before is recovered.
fn crash_everywhere_in_resume(seed: u64) {
    let config = tour_config(seed);
    for kind in [FaultKind::NoSpace, FaultKind::Sync, FaultKind::Rename] {
        for nth in (1..).step_by(5) {
            let mut call = 1;
            loop {
                let world = sim(seed);
                world.fail_nth(kind, nth, 1);
                let mut db = Recorded::new(world.env(), config.clone());
                let ended = run(&world, tour(&mut db));
                let Some(engine) = db.engine.clone().filter(|_| ended.is_err()) else {
                    break;
                };
                world.crash_at(world.io_count() + call);
                let resumed = run(&world, async { engine.resume().await });
                if !world.crashed() {
                    break;
                }
                tried("crashes", 4);
                let history = &db.history;
                for mode in CrashMode::ALL {
                    let required = match mode {
                        CrashMode::KeepAll => history.acknowledged,
                        _ => history.durable,
                    };
                    let image = world.crash_image(mode, seed ^ call).unwrap();
                    let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
                    let what = || {
                        format!(
                            "seed {seed}, {kind:?} {nth} fails, {mode:?} at call {call} of resume, \
                             which returned {resumed:?}"
                        )
                    };
                    check_recovery(&world, &config, history, required, &what);
                }
                call += 1;
            }
            let world = sim(seed);
            world.fail_nth(kind, nth, 1);
            let mut db = Recorded::new(world.env(), config.clone());
            let _ = run(&world, tour(&mut db));
            if world.failed_calls() == 0 {
                break;
            }
        }
    }
}

#[test]
fn a_crash_at_every_call_of_a_resumption_loses_nothing() {
    for seed in seeds(2) {
        repeatable(seed, || crash_everywhere_in_resume(seed));
    }
}
