//! Crashes, faults and dropped callers, each at every place of a short workload.

use std::sync::Arc;

use aura_engine::env::sim::{CrashMode, FaultKind, SimWorld};
use aura_engine::{Direction, Engine, EngineConfig, Error, SyncPolicy};

use crate::common::cancel::{Calls, Cut, GivenUp};
use crate::common::history::contents;
use crate::common::{repeatable, run, seeds, sim, sim_config, tried};
use crate::recorded::{POLICIES, Recorded, check_recovery, open, small, tour};

/// Writes of the workload that is crashed at every call.
const WRITES: u64 = 80;

/// Runs the workload once undisturbed, and checks that it goes everywhere. Returns its I/O calls.
fn calls_of(seed: u64, sides: &[EngineConfig; 2]) -> u64 {
    let world = sim(seed);
    let mut db = Recorded::new(world.env(), sides.clone(), Arc::default());
    run(&world, tour(&mut db, seed, WRITES)).unwrap();
    let [closed, removed] = db.logs;
    assert!(
        closed > 0 && removed > 0,
        "{closed} logs closed, {removed} removed"
    );
    world.io_count()
}

fn crash_everywhere(seed: u64) {
    let sides = small(POLICIES[seed as usize % 4]);
    let calls = calls_of(seed, &sides);
    for call in 1..=calls {
        let world = sim(seed);
        world.crash_at(call);
        let mut db = Recorded::new(world.env(), sides.clone(), Arc::default());
        let _ = run(&world, tour(&mut db, seed, WRITES));
        assert!(world.crashed(), "seed {seed}: it did not reach call {call}");
        for (number, mode) in CrashMode::ALL.into_iter().enumerate() {
            let lots = seed << 32 | call << 2 | number as u64;
            let mut image = world.crash_image(mode, lots).unwrap();
            let twice = (call + number as u64).is_multiple_of(3);
            if twice {
                // A crash during recovery must leave something to recover from.
                let again = SimWorld::with_image(&sim_config(seed), &image).unwrap();
                again.crash_at(1 + lots % 40);
                let env = again.env();
                let _ = run(&again, async { open(&env, &sides).await.map(drop) });
                image = again.crash_image(mode, lots ^ 1).unwrap();
            }
            // The end of the process alone loses nothing that was acknowledged.
            let required = match mode {
                CrashMode::KeepAll => db.history.acknowledged,
                _ => db.history.durable,
            };
            let what = || {
                let policy = sides[0].wal.sync;
                format!("seed {seed}, {policy:?}, {mode:?} at call {call} of {calls}, {twice}")
            };
            let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
            check_recovery(&world, &sides, &db.history, required, &what);
        }
        tried("crashes", 4);
    }
}

#[test]
fn a_crash_at_every_call_recovers_to_a_prefix_with_everything_durable() {
    for seed in seeds(4) {
        repeatable(seed, || crash_everywhere(seed));
    }
}

/// A process ends; the next one opens what it left, part of which is in the memory of the system
/// only, and the machine crashes at every call of that.
fn crash_opening_everywhere(seed: u64) {
    let sides = small(SyncPolicy::Never);
    for call in 1.. {
        let world = sim(seed);
        let mut db = Recorded::new(world.env(), sides.clone(), Arc::default());
        run(&world, async {
            db.begin(seed, 12).await.unwrap();
            db.engine = None;
            // Its tasks see that nobody can call them.
            world.env().clock.sleep(1_000_000_000).await;
            world.crash_at(world.io_count() + call);
            let _ = open(&world.env(), &sides).await;
        });
        if !world.crashed() {
            assert!(call > 20, "seed {seed}: opening made {call} calls only");
            break;
        }
        for mode in CrashMode::ALL {
            let image = world.crash_image(mode, seed ^ call).unwrap();
            let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
            let what = || format!("seed {seed}, {mode:?} at call {call} of opening");
            check_recovery(&world, &sides, &db.history, 0, &what);
        }
    }
}

#[test]
fn a_crash_at_every_call_of_an_opening_that_reads_from_memory_leaves_a_prefix() {
    for seed in seeds(2) {
        repeatable(seed, || crash_opening_everywhere(seed));
    }
}

const FAULTS: [FaultKind; 7] = [
    FaultKind::Read,
    FaultKind::Write,
    FaultKind::Sync,
    FaultKind::Rename,
    FaultKind::Create,
    FaultKind::Remove,
    FaultKind::NoSpace,
];

fn is_typed(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::Poisoned { .. })
}

/// Checks what a failed call left: readers see whole batches, the acknowledged ones at least, and
/// opening finds them again.
fn check_failed(world: &SimWorld, seed: u64, db: &Recorded, what: &dyn Fn() -> String) {
    let history = &db.history;
    if let Some(engine) = db.engine.clone() {
        run(world, async {
            match contents(&engine, Direction::Forward).await {
                Ok(found) => assert_eq!(found, *history.visible(), "{}: half a batch", what()),
                Err(error) => {
                    let closed = matches!(error, Error::Closed);
                    assert!(closed || is_typed(&error), "{}: {error}", what());
                }
            }
            if let Err(error) = engine.close().await {
                assert!(is_typed(&error), "{}: {error}", what());
            }
        });
    }
    for (mode, required) in [
        (CrashMode::KeepAll, history.acknowledged),
        (CrashMode::DropUnsynced, history.durable),
    ] {
        let image = world.crash_image(mode, seed).unwrap();
        let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        let what = || format!("{}, then {mode:?}", what());
        check_recovery(&world, &sides_of(seed), history, required, &what);
    }
}

fn sides_of(seed: u64) -> [EngineConfig; 2] {
    small(POLICIES[seed as usize % 4])
}

fn fail_everywhere(seed: u64) {
    for kind in FAULTS {
        for times in [1, u64::MAX] {
            for nth in 1.. {
                let world = sim(seed);
                world.fail_nth(kind, nth, times);
                let mut db = Recorded::new(world.env(), sides_of(seed), Arc::default());
                let ended = run(&world, tour(&mut db, seed, 24));
                if world.failed_calls() == 0 {
                    assert!(nth > 1, "seed {seed}: no call that {kind:?} affects");
                    break;
                }
                let what = || format!("seed {seed}, {kind:?} {nth}, {times} times");
                if let Err(error) = ended {
                    assert!(is_typed(&error), "{}: {error}", what());
                }
                check_failed(&world, seed, &db, &what);
                tried("faults", 1);
            }
        }
    }
}

#[test]
fn a_call_that_fails_costs_no_acknowledged_write_and_leaves_no_half_batch() {
    for seed in seeds(2) {
        repeatable(seed, || fail_everywhere(seed));
    }
}

/// Gives up every call of the workload after its n-th poll, for every n.
fn give_up_everywhere(seed: u64, given_up: GivenUp) {
    let sides = sides_of(seed);
    let writes = 24;
    let calls = Arc::<Calls>::default();
    let world = sim(seed);
    let mut db = Recorded::new(world.env(), sides.clone(), calls.clone());
    run(&world, tour(&mut db, seed, writes)).unwrap();
    for call in 1..=calls.made() {
        for polls in 0.. {
            let cut = Cut {
                call,
                polls,
                given_up,
            };
            let world = sim(seed);
            let calls = Calls::cut(cut, || {});
            let mut db = Recorded::new(world.env(), sides.clone(), calls.clone());
            let ended = run(&world, tour(&mut db, seed, writes));
            ended.unwrap_or_else(|error| panic!("seed {seed}, {cut:?}: {error}"));
            if !calls.was_cut() {
                break;
            }
            for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced] {
                let image = world.crash_image(mode, seed).unwrap();
                let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
                let what = || format!("seed {seed}, {cut:?}, then {mode:?}");
                let history = &db.history;
                check_recovery(&world, &sides, history, history.acknowledged, &what);
            }
            tried("drops", 1);
        }
    }
}

#[test]
fn every_call_may_be_dropped_after_any_poll() {
    for seed in seeds(4) {
        repeatable(seed, || give_up_everywhere(seed, GivenUp::Dropped));
    }
}

#[test]
fn a_call_that_is_no_longer_polled_delays_no_other() {
    for seed in seeds(1) {
        repeatable(seed, || give_up_everywhere(seed, GivenUp::Held));
    }
}
