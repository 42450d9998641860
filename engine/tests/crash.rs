//! Tests of crashes and faults. After a crash at any I/O call, the database opens to a prefix of
//! history that holds everything acknowledged as durable. After a failed call, it answers rightly
//! or reports that it cannot.
//!
//! The sweeps stop one short workload, the tour, at every one of its calls; the others stop a
//! longer random workload at random calls. `AURA_SEEDS=<n>` sets the number of settings and
//! workloads. A failure prints the seed.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::env::sim::{CrashMode, FaultKind, FsImage, SimWorld};
use aura_engine::env::{BoxFuture, Env, Spawn};
use aura_engine::{Batch, Direction, Engine, EngineConfig, Error, Range, SyncPolicy};
use bytesize::ByteSize;
use common::cancel::{Calls, Cut, GivenUp};
use common::history::{check_recovery, contents, open};
use common::tour::{Recorded, check_coverage, tour, tour_config};
use common::{Chance, random_config, repeatable, run, seeds, sim, sim_config, tried};

const FAULTS: [FaultKind; 7] = [
    FaultKind::Read,
    FaultKind::Write,
    FaultKind::Sync,
    FaultKind::Rename,
    FaultKind::Create,
    FaultKind::Remove,
    FaultKind::NoSpace,
];

/// Writes a batch of puts, deletes and range deletes, with small and large values.
async fn random_write(chance: &mut Chance, db: &mut Recorded) -> Result<(), Error> {
    let mut model = db.history.last().clone();
    let mut batch = Batch::new();
    for _ in 0..1 + chance.below(4) {
        let number = chance.below(120);
        let key = format!("key{number:03}").into_bytes();
        match chance.below(20) {
            0..=3 => {
                batch.delete(&key).unwrap();
                model.remove(&key);
            }
            4 => {
                let end = format!("key{:03}", number + chance.pick(&[2, 8, 40])).into_bytes();
                batch.delete_range(&Range::between(&key, &end)).unwrap();
                model.retain(|other, _| *other < key || *other >= end);
            }
            _ => {
                let bytes = chance.pick(&[0, 10, 200, 3_000]);
                let value: Vec<u8> = (0..bytes).map(|_| chance.below(256) as u8).collect();
                batch.put(&key, &value).unwrap();
                model.insert(key, value.into());
            }
        }
    }
    db.commit(batch, model).await
}

/// Writes until an error.
async fn random_workload(db: &mut Recorded, seed: u64) -> Result<(), Error> {
    let mut chance = Chance::new(seed ^ 0x9e37);
    db.open().await?;
    for step in 0..220 {
        random_write(&mut chance, db).await?;
        match step % 70 {
            30 => db.flush().await?,
            60 => db.compact().await?,
            _ => {}
        }
    }
    db.close().await
}

/// Crashes `image` once more while it is being opened, at a call drawn from `seed`.
fn crash_again(image: &FsImage, config: &EngineConfig, mode: CrashMode, seed: u64) -> FsImage {
    let again = SimWorld::with_image(&sim_config(seed), image).unwrap();
    again.crash_at(1 + Chance::new(seed).below(30));
    let _ = run(&again, async { open(&again.env(), config).await.map(drop) });
    again.crash_image(mode, seed).unwrap()
}

fn crash_somewhere(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut config = random_config(&mut chance);
    config.compaction.agent_window = 50;
    let calls = {
        let world = sim(seed);
        let mut db = Recorded::new(world.env(), config.clone());
        run(&world, random_workload(&mut db, seed)).unwrap();
        let rolls = db.counts.iter().map(|counts| counts.manifest_rolls).sum();
        tried("rolls", rolls);
        world.io_count()
    };
    for _ in 0..40 {
        let call = 1 + chance.below(calls);
        let mode = chance.pick(&CrashMode::ALL);
        let what = || format!("seed {seed}, {mode:?} at call {call} of {calls}");
        let world = sim(seed);
        world.crash_at(call);
        let mut db = Recorded::new(world.env(), config.clone());
        let ended = run(&world, random_workload(&mut db, seed));
        // Only the removal of an unneeded file may fail without a report.
        assert!(world.crashed(), "{}: it did not reach that call", what());
        let history = &db.history;
        assert!(
            ended.is_err() || history.durable + 1 == history.states.len(),
            "{}: not reported",
            what()
        );
        let image = world.crash_image(mode, seed ^ call).unwrap();
        // A crash during recovery must leave something to recover from.
        let image = crash_again(&image, &config, mode, seed ^ call ^ 1);
        let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        check_recovery(&world, &config, history, history.durable, &what);
        tried("operations", history.acknowledged as u64);
    }
    tried("crashes", 80);
}

#[test]
fn a_crash_anywhere_recovers_to_a_prefix_with_everything_durable() {
    for seed in seeds(14) {
        repeatable(seed, || crash_somewhere(seed));
    }
}

/// Counts the calls of the tour, and checks that it goes everywhere.
fn tour_calls(seed: u64, config: &EngineConfig) -> u64 {
    let world = sim(seed);
    let mut db = Recorded::new(world.env(), config.clone());
    run(&world, tour(&mut db)).unwrap();
    check_coverage(&db.counts);
    assert_eq!(db.history.durable + 1, db.history.states.len());
    world.io_count()
}

fn crash_everywhere(seed: u64) {
    let config = tour_config(seed);
    let calls = tour_calls(seed, &config);
    let mut crashes = 0;
    let mut operations = 0;
    for call in 1..=calls {
        let world = sim(seed);
        world.crash_at(call);
        let mut db = Recorded::new(world.env(), config.clone());
        let _ = run(&world, tour(&mut db));
        assert!(world.crashed(), "seed {seed}: it did not reach call {call}");
        operations += db.history.acknowledged as u64;
        for (number, mode) in CrashMode::ALL.into_iter().enumerate() {
            let lots = seed << 32 | call << 2 | number as u64;
            let mut image = world.crash_image(mode, lots).unwrap();
            let twice = (call + number as u64).is_multiple_of(4);
            if twice {
                image = crash_again(&image, &config, mode, lots ^ 1);
            }
            crashes += 1 + u64::from(twice);
            // The end of the process alone loses nothing that was acknowledged.
            let history = &db.history;
            let required = match mode {
                CrashMode::KeepAll => history.acknowledged,
                _ => history.durable,
            };
            let what =
                || format!("seed {seed}, {mode:?} at call {call} of {calls}, twice: {twice}");
            let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
            check_recovery(&world, &config, history, required, &what);
        }
    }
    tried("crashes", crashes);
    tried("operations", operations);
}

#[test]
fn a_crash_at_every_call_of_the_tour_recovers_to_a_prefix_with_everything_durable() {
    for seed in seeds(4) {
        repeatable(seed, || crash_everywhere(seed));
    }
}

/// Crashes at every call of a recovery. Under smaller memtables, a recovery makes several tables of
/// one log, and may find a whole value file to be garbage before it reaches the log's end.
fn crash_everywhere_in_recovery(seed: u64) {
    let small = tour_config(seed);
    let large = EngineConfig {
        memtable: ByteSize::mib(1),
        ..small.clone()
    };
    let world = sim(seed);
    let mut db = Recorded::new(world.env(), large);
    run(&world, async {
        db.open().await.unwrap();
        for round in 0..9 {
            for key in [0, 1, 1, 1, 1, 1, 1, 2] {
                db.put(key + round / 3, 900).await.unwrap();
                db.put(7, 120).await.unwrap();
            }
        }
    });
    let image = world.crash_image(CrashMode::KeepAll, seed).unwrap();
    let history = &db.history;
    let mut call = 1;
    loop {
        let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        world.crash_at(call);
        let _ = run(&world, async { open(&world.env(), &small).await.map(drop) });
        if !world.crashed() {
            break;
        }
        for mode in CrashMode::ALL {
            let image = world.crash_image(mode, seed ^ call).unwrap();
            let what = || format!("seed {seed}, {mode:?} at call {call} of recovery");
            let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
            check_recovery(&world, &small, history, history.acknowledged, &what);
        }
        call += 1;
    }
    assert!(
        call > 25,
        "seed {seed}: recovery made only {call} calls, so not several tables"
    );
    tried("crashes", 4 * (call - 1));
}

#[test]
fn a_crash_at_every_call_of_a_recovery_loses_nothing() {
    for seed in seeds(2) {
        repeatable(seed, || crash_everywhere_in_recovery(seed));
    }
}

fn fail_somewhere(seed: u64) {
    let mut chance = Chance::new(seed);
    let config = random_config(&mut chance);
    for kind in FAULTS {
        for _ in 0..6 {
            let nth = 1 + chance.below(60);
            let world = sim(seed);
            world.fail_nth(kind, nth, 1);
            let mut db = Recorded::new(world.env(), config.clone());
            let ended = run(&world, random_workload(&mut db, seed));
            let what = || format!("seed {seed}, {kind:?} {nth} fails");
            check_failure(&world, &mut db, ended, false, &what);
            check_remains(&world, seed, &config, &db, &what);
            tried("faults", world.failed_calls());
            tried("operations", db.history.acknowledged as u64);
        }
    }
}

fn is_typed(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::Poisoned { .. })
}

/// Checks that reads return what was acknowledged, with or without the call that was given up.
fn check_possible(world: &SimWorld, db: &Recorded, what: &dyn Fn() -> String) {
    let Some(engine) = db.engine.clone() else {
        return;
    };
    run(world, async {
        match contents(&engine, Direction::Forward).await {
            Ok(found) => {
                let possible = &db.history.states[db.history.acknowledged..];
                assert!(possible.contains(&found), "{}: a wrong answer", what());
            }
            Err(error) => assert!(is_typed(&error), "{}: {error}", what()),
        }
        if let Err(error) = engine.close().await {
            assert!(is_typed(&error), "{}: {error}", what());
        }
    });
}

/// Checks that a failed call reported its reason, and that what was acknowledged can still be read,
/// unless reads themselves fail.
fn check_failure(
    world: &SimWorld,
    db: &mut Recorded,
    ended: Result<(), Error>,
    reads_fail: bool,
    what: &dyn Fn() -> String,
) {
    let Err(error) = ended else { return };
    assert!(is_typed(&error), "{}: {error}", what());
    let Some(engine) = db.engine.clone() else {
        return;
    };
    run(world, async {
        if let Err(error) = db.read().await {
            let closed = matches!(error, Error::Closed);
            assert!(
                closed || reads_fail && is_typed(&error),
                "{}: no reads any more: {error}",
                what()
            );
        }
        if let Err(error) = engine.close().await {
            assert!(is_typed(&error), "{}: {error}", what());
        }
    });
}

/// Ends the process, with and without the machine, and checks what is recovered.
fn check_remains(
    world: &SimWorld,
    seed: u64,
    config: &EngineConfig,
    db: &Recorded,
    what: &dyn Fn() -> String,
) {
    let history = &db.history;
    for (mode, required) in [
        (CrashMode::KeepAll, history.acknowledged),
        (CrashMode::DropUnsynced, history.durable),
    ] {
        let image = world.crash_image(mode, seed).unwrap();
        let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        check_recovery(&world, config, history, required, &|| {
            format!("{}, then {mode:?}", what())
        });
    }
}

#[test]
fn a_call_that_fails_costs_no_acknowledged_write() {
    for seed in seeds(8) {
        repeatable(seed, || fail_somewhere(seed));
    }
}

fn fail_everywhere(seed: u64) {
    let config = tour_config(seed);
    for kind in FAULTS {
        for times in [1, u64::MAX] {
            for nth in 1.. {
                let world = sim(seed);
                world.fail_nth(kind, nth, times);
                let mut db = Recorded::new(world.env(), config.clone());
                let ended = run(&world, tour(&mut db));
                let failed = world.failed_calls();
                if failed == 0 {
                    assert!(
                        nth > 1,
                        "seed {seed}: the tour makes no call that {kind:?} affects"
                    );
                    break;
                }
                let goes_on = if times == 1 { "" } else { " and all after it" };
                let what = || format!("seed {seed}, {kind:?} {nth}{goes_on} fails");
                let reads_fail = kind == FaultKind::Read && times > 1;
                check_failure(&world, &mut db, ended, reads_fail, &what);
                check_remains(&world, seed, &config, &db, &what);
                tried("faults", 1);
                tried("operations", db.history.acknowledged as u64);
            }
        }
    }
}

#[test]
fn every_call_of_the_tour_may_fail_once_or_for_ever_and_costs_no_acknowledged_write() {
    for seed in seeds(2) {
        repeatable(seed, || fail_everywhere(seed));
    }
}

/// What happens right after a caller has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Everything goes on.
    GoesOn,
    /// The machine crashes at the n-th I/O call after that.
    Crash(u64),
    /// The next call of a kind fails.
    Fault(FaultKind),
}

/// One tour in which a caller gives up.
struct GivenUpTour {
    world: Arc<SimWorld>,
    calls: Arc<Calls>,
    db: Recorded,
    ended: Result<(), Error>,
}

fn tour_with(seed: u64, config: &EngineConfig, cut: Cut, after: After) -> GivenUpTour {
    let world = Arc::new(sim(seed));
    let happens = world.clone();
    let calls = Calls::cut(cut, move || match after {
        After::GoesOn => {}
        After::Crash(nth) => happens.crash_at(happens.io_count() + nth),
        After::Fault(kind) => happens.fail_nth(kind, 1, 1),
    });
    let mut db = Recorded::with_calls(world.env(), config.clone(), calls.clone());
    let ended = run(&world, tour(&mut db));
    GivenUpTour {
        world,
        calls,
        db,
        ended,
    }
}

/// Checks the outcome of a tour in which a caller gave up.
fn check_given_up(seed: u64, config: &EngineConfig, tour: GivenUpTour, after: After, what: &str) {
    let GivenUpTour {
        world, db, ended, ..
    } = tour;
    let what = || what.to_owned();
    match after {
        After::GoesOn => {
            ended.unwrap_or_else(|error| panic!("{}: {error}", what()));
            check_remains(&world, seed, config, &db, &what);
        }
        After::Crash(_) => {
            for mode in CrashMode::ALL {
                let image = world.crash_image(mode, seed).unwrap();
                let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
                let history = &db.history;
                let required = match mode {
                    CrashMode::KeepAll => history.acknowledged,
                    _ => history.durable,
                };
                check_recovery(&world, config, history, required, &|| {
                    format!("{}, {mode:?}", what())
                });
            }
        }
        After::Fault(_) => {
            if let Err(error) = ended {
                assert!(is_typed(&error), "{}: {error}", what());
                check_possible(&world, &db, &what);
            }
            check_remains(&world, seed, config, &db, &what);
        }
    }
}

/// Gives up every call of the tour after its n-th poll, for every n. Each time, `afters_each` of
/// `afters` are tried, in turn.
fn give_up_everywhere(seed: u64, given_up: GivenUp, afters: &[After], afters_each: usize) {
    let config = tour_config(seed);
    let calls = Arc::<Calls>::default();
    let world = sim(seed);
    let mut db = Recorded::with_calls(world.env(), config.clone(), calls.clone());
    run(&world, tour(&mut db)).unwrap();
    let mut turn = afters.iter().cycle().skip(seed as usize);
    for call in 1..=calls.made() {
        for polls in 0.. {
            let cut = Cut {
                call,
                polls,
                given_up,
            };
            let mut was_cut = false;
            for after in turn.by_ref().take(afters_each) {
                let tour = tour_with(seed, &config, cut, *after);
                was_cut = tour.calls.was_cut();
                if !was_cut {
                    break;
                }
                let what = format!("seed {seed}, {cut:?}, then {after:?}");
                tried("operations", tour.db.history.acknowledged as u64);
                check_given_up(seed, &config, tour, *after, &what);
                tried("drops", 1);
            }
            if !was_cut {
                break;
            }
        }
    }
}

#[test]
fn every_call_of_the_tour_may_be_dropped_after_any_poll() {
    for seed in seeds(4) {
        repeatable(seed, || {
            give_up_everywhere(seed, GivenUp::Dropped, &[After::GoesOn], 1)
        });
    }
}

#[test]
fn a_call_that_is_no_longer_polled_delays_no_other() {
    for seed in seeds(2) {
        repeatable(seed, || {
            give_up_everywhere(seed, GivenUp::Held, &[After::GoesOn], 1)
        });
    }
}

#[test]
fn a_crash_or_a_fault_right_after_a_drop_costs_no_acknowledged_write() {
    let crashes = [After::Crash(1), After::Crash(2), After::Crash(3)];
    let faults = FAULTS.map(After::Fault);
    let afters = [&crashes[..], &faults[..]].concat();
    // The suite tries a part of them; with `AURA_SEEDS`, all are tried.
    let each = match std::env::var("AURA_SEEDS") {
        Ok(_) => afters.len(),
        Err(_) => 3,
    };
    for seed in seeds(1) {
        repeatable(seed, || {
            give_up_everywhere(seed, GivenUp::Dropped, &afters, each)
        });
    }
}

#[test]
fn a_directory_is_opened_once() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let config = EngineConfig::default();
        let engine = open(&env, &config).await.unwrap();
        let second = open(&env, &config).await.map(drop).unwrap_err();
        assert!(matches!(second, Error::Locked { .. }), "{second}");
        engine.close().await.unwrap();
        assert!(matches!(engine.put(b"k", b"v").await, Err(Error::Closed)));
        assert!(matches!(engine.get(b"k").await, Err(Error::Closed)));
        open(&env, &config).await.unwrap().close().await.unwrap();
    });
}

/// A runtime that loses each commit once `loses` is set.
struct Losing {
    tasks: Arc<dyn Spawn>,
    loses: AtomicBool,
}

impl Spawn for Losing {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        if name != "commit" || !self.loses.load(Ordering::Relaxed) {
            self.tasks.spawn(name, task);
        }
    }
}

#[test]
fn writers_do_not_wait_for_a_lost_leader() {
    let world = sim(1);
    let tasks = Arc::new(Losing {
        tasks: world.env().tasks,
        loses: AtomicBool::new(false),
    });
    let env = Env {
        tasks: tasks.clone(),
        ..world.env()
    };
    let mut config = EngineConfig::default();
    config.wal.sync = SyncPolicy::Always;
    run(&world, async {
        let engine = open(&env, &config).await.unwrap();
        engine.put(b"kept", b"1").await.unwrap();
        tasks.loses.store(true, Ordering::Relaxed);
        let lost = engine.put(b"lost", b"2").await;
        assert!(matches!(lost, Err(Error::Interrupted { .. })), "{lost:?}");
        tasks.loses.store(false, Ordering::Relaxed);
        let refused = engine.put(b"refused", b"3").await;
        assert!(
            matches!(refused, Err(Error::Poisoned { .. })),
            "{refused:?}"
        );
        assert_eq!(
            engine.get(b"kept").await.unwrap().as_deref(),
            Some(&b"1"[..])
        );
        assert!(
            engine.close().await.is_err(),
            "nobody knows what is in the log"
        );
        let again = open(&world.env(), &config).await.unwrap();
        assert_eq!(
            again.get(b"kept").await.unwrap().as_deref(),
            Some(&b"1"[..])
        );
        again.close().await.unwrap();
    });
}
