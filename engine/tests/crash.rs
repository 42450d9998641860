//! Crashes and faults: after a crash at any I/O call the database opens to a prefix of history that holds everything
//! acknowledged as durable; after a failing call it answers rightly or says that it cannot.
//!
//! The suite tries a seeded slice of the I/O calls; `AURA_SEEDS=<n>` tries as many workloads. A failure prints the seed.

mod common;

use std::collections::BTreeMap;

use aura_engine::env::Env;
use aura_engine::env::sim::{CrashMode, FaultKind, SimWorld};
use aura_engine::{AuraEngine, Batch, Direction, Engine, EngineBuilder, EngineConfig, Error, Range, SyncPolicy};
use common::{Chance, random_config, repeatable, seeds, sim, sim_config};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Every state the database went through, in order, and how much of it must survive.
struct History {
    states: Vec<Model>,
    /// States up to this one were acknowledged as durable.
    durable: usize,
}

async fn open(env: &Env, config: &EngineConfig) -> Result<AuraEngine, Error> {
    EngineBuilder::new(env.clone(), "/db").config(config.clone()).open().await
}

/// A write: a batch of puts, deletes and range deletes, the values small and large.
fn batch(chance: &mut Chance, model: &mut Model) -> Batch {
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
                model.insert(key, value);
            }
        }
    }
    batch
}

/// Writes until an error; the state after a failed write is a possible one too.
async fn workload(env: &Env, config: &EngineConfig, seed: u64, history: &mut History) -> Result<(), Error> {
    let mut chance = Chance::new(seed ^ 0x9e37);
    let engine = open(env, config).await?;
    for step in 0..220 {
        let mut model = history.states.last().expect("one at least").clone();
        let batch = batch(&mut chance, &mut model);
        let next = history.states.len();
        history.states.push(model);
        engine.write(batch).await?;
        if config.wal.sync == SyncPolicy::Always {
            history.durable = next;
        }
        match step % 70 {
            30 => {
                engine.flush().await?;
                history.durable = next;
            }
            60 => {
                engine.compact().await?;
                history.durable = next;
            }
            _ => {}
        }
    }
    engine.close().await?;
    history.durable = history.states.len() - 1;
    Ok(())
}

async fn contents(engine: &AuraEngine) -> Result<Model, Error> {
    let mut model = Model::new();
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    while let Some((key, value)) = scan.next().await? {
        model.insert(key.to_vec(), value.to_vec());
    }
    Ok(model)
}

/// Opens what is left, twice, and holds it against the history.
fn check_recovery(world: &SimWorld, config: &EngineConfig, history: &History, what: &str) {
    let env = world.env();
    let found = world.block_on(async {
        let engine = open(&env, config).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = contents(&engine).await.unwrap();
        let report = engine.verify().await.unwrap();
        assert_eq!(report.problems, [] as [String; 0], "{what}");
        engine.put(b"after", b"the crash").await.unwrap();
        engine.delete(b"after").await.unwrap();
        engine.close().await.unwrap();
        let engine = open(&env, config).await.unwrap_or_else(|error| panic!("{what}, again: {error}"));
        assert_eq!(contents(&engine).await.unwrap(), found, "{what}: the second open found another state");
        engine.close().await.unwrap();
        found
    });
    let found = found.unwrap();
    let at = history.states.iter().rposition(|state| *state == found);
    let at = at.unwrap_or_else(|| panic!("{what}: {} keys, a state that never was", found.len()));
    assert!(at >= history.durable, "{what}: recovered state {at}, but {} was durable", history.durable);
}

fn history() -> History {
    History { states: vec![Model::new()], durable: 0 }
}

fn crash_everywhere(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut config = random_config(&mut chance);
    config.compaction.agent_window = 50;
    let calls = {
        let world = sim(seed);
        world.block_on(workload(&world.env(), &config, seed, &mut history())).unwrap().unwrap();
        world.io_count()
    };
    for _ in 0..40 {
        let call = 1 + chance.below(calls);
        let mode = chance.pick(&CrashMode::ALL);
        let what = format!("seed {seed}, {mode:?} at call {call} of {calls}");
        let world = sim(seed);
        world.crash_at(call);
        let mut history = history();
        let ended = world.block_on(workload(&world.env(), &config, seed, &mut history)).unwrap();
        // Only a removal of what nobody needs any more may fail unnoticed.
        assert!(world.crashed(), "{what}: it did not come to that call");
        assert!(ended.is_err() || history.durable + 1 == history.states.len(), "{what}: the crash was not noticed");
        let image = world.crash_image(mode, seed ^ call).unwrap();
        // A crash while it recovers must leave something to recover from.
        let again = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        again.crash_at(1 + chance.below(30));
        let _ = again.block_on(async { open(&again.env(), &config).await.map(drop) });
        let image = again.crash_image(mode, seed ^ call ^ 1).unwrap();
        let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
        check_recovery(&world, &config, &history, &what);
    }
}

#[test]
fn a_crash_anywhere_recovers_to_a_prefix_with_everything_durable() {
    for seed in seeds(14) {
        repeatable(seed, || crash_everywhere(seed));
    }
}

fn fail_somewhere(seed: u64) {
    let mut chance = Chance::new(seed);
    let config = random_config(&mut chance);
    let kinds = [
        FaultKind::Read,
        FaultKind::Write,
        FaultKind::Sync,
        FaultKind::Rename,
        FaultKind::Create,
        FaultKind::Remove,
        FaultKind::NoSpace,
    ];
    for kind in kinds {
        for _ in 0..6 {
            let nth = 1 + chance.below(60);
            let what = format!("seed {seed}, {kind:?} {nth} fails");
            let world = sim(seed);
            world.fail_nth(kind, nth, 1);
            let mut history = history();
            let ended = world.block_on(workload(&world.env(), &config, seed, &mut history)).unwrap();
            if let Err(error) = ended {
                assert!(matches!(error, Error::Io { .. } | Error::Poisoned { .. }), "{what}: {error}");
            }
            // The process ends here, the machine does not: what the system was handed is there.
            let image = world.crash_image(CrashMode::KeepAll, seed).unwrap();
            let world = SimWorld::with_image(&sim_config(seed), &image).unwrap();
            check_recovery(&world, &config, &history, &what);
        }
    }
}

#[test]
fn a_call_that_fails_costs_no_acknowledged_write() {
    for seed in seeds(8) {
        repeatable(seed, || fail_somewhere(seed));
    }
}

#[test]
fn a_directory_is_opened_once() {
    let world = sim(1);
    let env = world.env();
    world
        .block_on(async {
            let engine = open(&env, &EngineConfig::default()).await.unwrap();
            let second = open(&env, &EngineConfig::default()).await.map(drop).unwrap_err();
            assert!(matches!(second, Error::Locked { .. }), "{second}");
            engine.close().await.unwrap();
            assert!(matches!(engine.put(b"k", b"v").await, Err(Error::Closed)));
            assert!(matches!(engine.get(b"k").await, Err(Error::Closed)));
            open(&env, &EngineConfig::default()).await.unwrap().close().await.unwrap();
        })
        .unwrap();
}
