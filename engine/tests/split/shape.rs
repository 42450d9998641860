//! What the log keeps and gives up, and which directories are refused.

use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::sim::{CrashMode, FsImage, SimWorld};
use aura_engine::{
    Direction, Engine, EngineBuilder, EngineConfig, Error, SplitBuilder, SplitEngine, SyncPolicy,
    verify_directory,
};
use bytesize::ByteSize;

use crate::common::history::{Model, contents};
use crate::common::{run, sim, sim_config};
use crate::recorded::{open, small};

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

/// Puts `count` keys of a side from key `first` on. Returns the key after them.
async fn put_on(engine: &SplitEngine, side: usize, count: u64, first: u64) -> u64 {
    let mut next = first;
    for _ in 0..count {
        while engine.side_of(&key(next)) != side {
            next += 1;
        }
        engine.put(&key(next), &[7; 200]).await.unwrap();
        next += 1;
    }
    next
}

fn logs(env: &Env) -> usize {
    let names = env.fs.list(Path::new("/db")).unwrap();
    names.iter().filter(|name| name.ends_with(".wal")).count()
}

#[test]
fn logs_are_removed_and_a_side_that_holds_them_is_flushed() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &small(SyncPolicy::Never)).await.unwrap();
        let mut next = put_on(&engine, 1, 1, 0).await;
        let mut most = 0;
        for _ in 0..40 {
            next = put_on(&engine, 0, 20, next).await;
            engine.wait_idle().await.unwrap();
            most = most.max(logs(&env));
        }
        let counts = engine.counts();
        assert!(counts.logs_closed >= 10, "{counts:?}");
        assert!(most <= 5, "{most} log files at a time, {counts:?}");
        // One write of a side that is otherwise idle would keep all logs.
        assert_eq!(engine.sides()[1].metrics().counts.flushes, 1);
        assert_eq!(counts.flushes_for_log, 1);
        engine.flush().await.unwrap();
        assert_eq!(logs(&env), 1, "a flush leaves the log that is written");
        let rows = contents(&engine, Direction::Forward).await.unwrap().len();
        assert_eq!(rows, 801);
        engine.close().await.unwrap();
        let again = open(&env, &small(SyncPolicy::Never)).await.unwrap();
        assert_eq!(
            contents(&again, Direction::Forward).await.unwrap().len(),
            801
        );
        again.close().await.unwrap();
    });
}

#[test]
fn what_opening_finds_in_the_logs_is_reported_and_becomes_tables() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let sides = small(SyncPolicy::Always);
        let engine = open(&env, &sides).await.unwrap();
        put_on(&engine, 0, 3, 0).await;
        put_on(&engine, 1, 2, 0).await;
        engine.close().await.unwrap();
        let engine = open(&env, &sides).await.unwrap();
        let report = engine.recovery();
        assert_eq!((report.logs, report.batches, report.writes), (1, 5, 5));
        let flushes = engine.sides().map(|side| side.metrics().counts.flushes);
        assert_eq!(flushes, [1, 1]);
        let puts = engine.sides().map(|side| side.metrics().counts.puts);
        assert_eq!(puts, [0, 0], "a replay is no operation");
        engine.close().await.unwrap();
    });
}

/// A closed split database with a few keys in its log.
fn closed() -> FsImage {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &small(SyncPolicy::Always)).await.unwrap();
        put_on(&engine, 0, 5, 0).await;
        put_on(&engine, 1, 5, 0).await;
        engine.close().await.unwrap();
    });
    world.crash_image(CrashMode::KeepAll, 1).unwrap()
}

/// Opens the split database with an outcome that must be an error.
fn refusal(world: &SimWorld, sides: &[EngineConfig; 2], seed: Option<u64>) -> Error {
    run(world, async {
        let mut builder = SplitBuilder::new(world.env(), "/db").sides(sides.clone());
        if let Some(seed) = seed {
            builder = builder.hash_seed(seed);
        }
        match builder.open().await {
            Ok(_) => panic!("it opened"),
            Err(error) => error,
        }
    })
}

async fn plain_refusal(env: &Env, directory: &str) -> [Error; 3] {
    let builder = || EngineBuilder::new(env.clone(), directory);
    let read = builder().open_read_only().await.map(drop);
    [
        builder().open().await.map(drop).unwrap_err(),
        read.unwrap_err(),
        builder().repair().await.map(drop).unwrap_err(),
    ]
}

#[test]
fn a_split_directory_opens_as_what_it_is_only() {
    let image = closed();
    let world = SimWorld::with_image(&sim_config(1), &image).unwrap();
    let env = world.env();
    let before = world.crash_image(CrashMode::KeepAll, 1).unwrap().paths();
    run(&world, async {
        for directory in ["/db", "/db/side-0", "/db/side-1"] {
            for error in plain_refusal(&env, directory).await {
                assert!(matches!(error, Error::Split { .. }), "{directory}: {error}");
                assert!(error.to_string().contains("SplitBuilder"), "{error}");
            }
            let verified = verify_directory(&env, Path::new(directory)).await;
            assert!(matches!(verified, Err(Error::Split { .. })), "{directory}");
        }
    });
    let sides = small(SyncPolicy::Always);
    let error = refusal(&world, &sides, Some(12)).to_string();
    assert!(error.contains("hash seed 11, not 12"), "{error}");
    let mut unequal = sides.clone();
    unequal[1].wal.sync = SyncPolicy::Never;
    let error = refusal(&world, &unequal, None).to_string();
    assert!(error.starts_with("setting wal.sync: "), "{error}");
    let mut after = world.crash_image(CrashMode::KeepAll, 1).unwrap().paths();
    after.retain(|path| !path.ends_with("LOCK"));
    assert!(after.iter().all(|path| before.contains(path)), "{after:?}");
    run(&world, async {
        // The seed is known to the directory.
        let engine = SplitBuilder::new(env, "/db")
            .sides(sides)
            .open()
            .await
            .unwrap();
        assert_eq!(
            contents(&engine, Direction::Forward).await.unwrap().len(),
            10
        );
        engine.close().await.unwrap();
    });
}

#[test]
fn a_database_that_is_not_split_is_not_opened_as_one() {
    let world = sim(1);
    run(&world, async {
        let engine = EngineBuilder::new(world.env(), "/db").open().await.unwrap();
        engine.put(b"k", b"v").await.unwrap();
        engine.close().await.unwrap();
    });
    let error = refusal(&world, &small(SyncPolicy::Never), None).to_string();
    assert!(error.contains("not split"), "{error}");
}

/// The image with one file changed, or removed.
fn with(image: &FsImage, path: &str, bytes: Option<&[u8]>) -> SimWorld {
    let world = SimWorld::with_image(&sim_config(1), image).unwrap();
    let env = world.env();
    env.fs.remove(Path::new(path)).unwrap();
    if let Some(bytes) = bytes {
        run(&world, async {
            let file = env.fs.create(Path::new(path)).unwrap();
            file.append(bytes).await.unwrap();
        });
    }
    world
}

#[test]
fn damage_to_what_was_durable_is_an_error() {
    let image = closed();
    let sides = small(SyncPolicy::Always);
    let path = |name: &str| image.paths().into_iter().find(|path| path.ends_with(name));
    let log = image
        .paths()
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "wal"));
    let log = log.unwrap();
    let log = log.to_str().unwrap();
    let bytes = image.read(Path::new(log)).unwrap();
    let mut cases = Vec::new();
    // The last record was synced by the close: only the marker knows.
    cases.push((log, Some(bytes[..bytes.len() - 1].to_vec())));
    let mut flipped = bytes.clone();
    flipped[60] ^= 1;
    cases.push((log, Some(flipped)));
    cases.push((log, None));
    let marker = image.read(&path("SPLIT").unwrap()).unwrap();
    let mut damaged = marker.clone();
    damaged[9] ^= 1;
    cases.push(("/db/SPLIT", Some(damaged)));
    cases.push(("/db/SPLIT", None));
    cases.push(("/db/side-1/CURRENT", None));
    for (file, bytes) in cases {
        let world = with(&image, file, bytes.as_deref());
        let error = refusal(&world, &sides, None);
        assert!(matches!(error, Error::Corruption { .. }), "{file}: {error}");
    }
    let other = image.read(Path::new("/db/side-0/SIDE")).unwrap();
    let world = with(&image, "/db/side-1/SIDE", Some(&other));
    let error = refusal(&world, &sides, None);
    assert!(matches!(error, Error::Split { .. }), "{error}");
}

#[test]
fn a_torn_end_that_was_never_durable_is_the_end() {
    let world = sim(1);
    let env = world.env();
    let sides = small(SyncPolicy::Never);
    let mut model = Model::new();
    let engine = run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
        for number in 0..5 {
            engine.put(&key(number), &[1; 50]).await.unwrap();
            model.insert(key(number), vec![1; 50].into());
        }
        engine
    });
    let image = world.crash_image(CrashMode::KeepAll, 1).unwrap();
    drop(engine);
    let log = image
        .paths()
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "wal"));
    let log = log.unwrap();
    let bytes = image.read(&log).unwrap();
    let world = with(
        &image,
        log.to_str().unwrap(),
        Some(&bytes[..bytes.len() - 3]),
    );
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &sides).await.unwrap();
        model.remove(&key(4));
        assert_eq!(contents(&engine, Direction::Forward).await.unwrap(), model);
        engine.put(&key(9), b"goes on").await.unwrap();
        engine.close().await.unwrap();
        let engine = open(&env, &sides).await.unwrap();
        model.insert(key(9), b"goes on"[..].into());
        assert_eq!(contents(&engine, Direction::Forward).await.unwrap(), model);
        engine.close().await.unwrap();
    });
}

#[test]
fn each_side_has_its_own_settings_and_counters() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &small(SyncPolicy::Never)).await.unwrap();
        put_on(&engine, 0, 30, 0).await;
        put_on(&engine, 1, 10, 0).await;
        for number in 0..40 {
            engine.get(&key(number)).await.unwrap();
        }
        let [zero, one] = engine.sides().map(|side| side.metrics().counts);
        assert_eq!((zero.puts, one.puts), (30, 10));
        assert_eq!(zero.gets + one.gets, 40);
        let change = |config: &mut EngineConfig| config.cache.size = ByteSize::kib(1);
        engine.sides()[1].reconfigure(change).await.unwrap();
        let sizes = engine.sides().map(|side| side.config().cache.size);
        assert_eq!(sizes, [ByteSize::kib(16), ByteSize::kib(1)]);
        let fixed = engine.sides()[0]
            .reconfigure(|config| config.wal.sync = SyncPolicy::Always)
            .await;
        assert!(
            fixed
                .unwrap_err()
                .to_string()
                .starts_with("setting wal.sync: ")
        );
        engine.close().await.unwrap();
        assert!(matches!(engine.put(b"k", b"v").await, Err(Error::Closed)));
        assert!(matches!(engine.get(b"k").await, Err(Error::Closed)));
        assert!(
            engine.close().await.is_ok(),
            "a second close has the same result"
        );
    });
}
