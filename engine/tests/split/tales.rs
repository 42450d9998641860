//! Single stories: a crash between the flushes of two sides, a lost leader, a side that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::env::sim::{CrashMode, FaultKind, SimWorld};
use aura_engine::env::{BoxFuture, Env, Spawn};
use aura_engine::{Direction, Engine, Error, SyncPolicy};

use crate::common::history::{Model, contents};
use crate::common::{run, sim, sim_config};
use crate::recorded::{open, small};

#[test]
fn a_side_that_flushes_keeps_earlier_writes_of_the_other() {
    let world = sim(1);
    let env = world.env();
    let sides = small(SyncPolicy::Never);
    let (engine, model) = run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
        let mut model = Model::new();
        let mut of_one = 0;
        // Writes of side 1 that only the log holds, before those of side 0 that make it flush.
        for number in 0..90_u64 {
            let key = number.to_be_bytes().to_vec();
            let side = engine.side_of(&key);
            if side == 0 || of_one < 3 {
                of_one += side;
                engine.put(&key, &[1; 100]).await.unwrap();
                model.insert(key, vec![1; 100].into());
            }
        }
        engine.wait_idle().await.unwrap();
        assert_eq!(engine.counts().logs_closed, 0, "that would sync the log");
        let flushes = engine.sides().map(|side| side.metrics().counts.flushes);
        assert!(flushes[0] > 0 && flushes[1] == 0, "{flushes:?}");
        (engine, model)
    });
    let image = world.crash_image(CrashMode::DropUnsynced, 1).unwrap();
    drop(engine);
    let world = SimWorld::with_image(&sim_config(1), &image).unwrap();
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
        let found = contents(&engine, Direction::Forward).await.unwrap();
        let of_one = found.keys().filter(|key| engine.side_of(key) == 1).count();
        assert!(!found.is_empty() && found.len() < model.len());
        assert_eq!(
            of_one, 3,
            "a flush of side 0 outlived earlier writes of side 1"
        );
        engine.close().await.unwrap();
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
    let sides = small(SyncPolicy::Always);
    run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
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
        let kept = engine.get(b"kept").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&b"1"[..]));
        assert!(
            engine.close().await.is_err(),
            "nobody knows what is in the log"
        );
        let again = open(&world.env(), &sides).await.unwrap();
        let kept = again.get(b"kept").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&b"1"[..]));
        again.close().await.unwrap();
    });
}

#[test]
fn a_failed_sync_of_the_log_stops_writes_of_both_sides() {
    let world = sim(1);
    let env = world.env();
    let sides = small(SyncPolicy::Always);
    run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
        engine.put(b"kept", b"1").await.unwrap();
        world.fail_nth(FaultKind::Sync, 1, 1);
        let failed = engine.put(b"failed", b"2").await;
        assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
        for number in 0..10_u8 {
            let refused = engine.put(&[number], b"3").await;
            assert!(
                matches!(refused, Err(Error::Poisoned { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(engine.get(b"failed").await.unwrap(), None);
        let flush = engine.flush().await;
        assert!(matches!(flush, Err(Error::Poisoned { .. })), "{flush:?}");
        assert!(engine.close().await.is_err());
        let again = open(&env, &sides).await.unwrap();
        let kept = again.get(b"kept").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&b"1"[..]));
        again.close().await.unwrap();
    });
}
