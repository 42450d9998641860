//! Writers whose every commit is synced, on a real disk: alone, together in one thread, and on
//! threads of their own.

use aura_engine::env::disk::DiskWorld;
use aura_engine::{AuraEngine, Counts, Engine, EngineBuilder, EngineConfig, SyncPolicy};

const PUTS: u32 = 400;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.wal.sync = SyncPolicy::Always;
    config
}

/// Puts the keys of a writer, one after the other.
async fn write(engine: &AuraEngine, writer: u32) {
    for number in 0..PUTS {
        let key = [writer.to_be_bytes(), number.to_be_bytes()].concat();
        engine.put(&key, &number.to_le_bytes()).await.unwrap();
    }
}

/// Lets `write` write with as many writers, and checks that nothing is missing after the database
/// is opened again. Returns what the engine counted.
fn written_by(writers: u32, write: impl FnOnce(&DiskWorld, &AuraEngine)) -> Counts {
    let directory = tempfile::tempdir().unwrap();
    let world = DiskWorld::new(2).unwrap();
    let open = || {
        let builder = EngineBuilder::new(world.env(), directory.path()).config(config());
        world.block_on(builder.open()).unwrap()
    };
    let engine = open();
    write(&world, &engine);
    let counts = engine.metrics().counts;
    world.block_on(engine.close()).unwrap();
    drop(engine);
    let engine = open();
    world.block_on(async {
        for (writer, number) in (0..writers).flat_map(|it| (0..PUTS).map(move |n| (it, n))) {
            let key = [writer.to_be_bytes(), number.to_be_bytes()].concat();
            let value = engine.get(&key).await.unwrap();
            assert_eq!(value.as_deref(), Some(&number.to_le_bytes()[..]));
        }
        engine.close().await.unwrap();
    });
    counts
}

/// Every group is synced before it is acknowledged.
fn assert_synced(counts: &Counts, writers: u32) {
    assert_eq!(counts.puts, u64::from(writers * PUTS));
    assert_eq!(counts.batches, counts.puts);
    assert_eq!(counts.wal_syncs, counts.groups);
    assert!(counts.groups <= counts.batches);
}

#[test]
fn a_lone_writer_syncs_each_of_its_puts() {
    let counts = written_by(1, |world, engine| world.block_on(write(engine, 0)));
    assert_synced(&counts, 1);
    assert_eq!(counts.groups, u64::from(PUTS));
}

#[test]
fn writers_of_one_thread_are_all_synced() {
    let counts = written_by(3, |world, engine| {
        world.block_on(async {
            tokio::join!(write(engine, 0), write(engine, 1), write(engine, 2));
        });
    });
    assert_synced(&counts, 3);
}

#[test]
fn writers_of_several_threads_are_all_synced() {
    let counts = written_by(3, |world, engine| {
        std::thread::scope(|scope| {
            for writer in 0..3 {
                scope.spawn(move || world.block_on(write(engine, writer)));
            }
        });
    });
    assert_synced(&counts, 3);
}
