//! Tests of opening damaged or unusual directories: full disks, holes in logs, damage at their end,
//! foreign files, tables with the bytes of another; and of opening for reading, beside other
//! engines and on full disks.

#![expect(
    clippy::disallowed_methods,
    reason = "directories are made on the disk without the engine"
)]

mod common;

use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use aura_engine::env::sim::{CrashMode, FaultKind, FsImage, SimWorld};
use aura_engine::{
    AuraEngine, Direction, Engine, EngineBuilder, EngineConfig, Error, Range, SyncPolicy,
    verify_directory,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::history::{Model, contents, open};
use common::{Chance, key, run, sim, sim_config};

const NO_PROBLEMS: [String; 0] = [];

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(16);
    config.table.size = ByteSize::kib(8);
    config.table.block = ByteSize(512);
    config.wal.sync = SyncPolicy::Always;
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    config
}

fn value(number: u64) -> Vec<u8> {
    let mut chance = Chance::new(number);
    (0..100).map(|_| chance.below(256) as u8).collect()
}

async fn put(engine: &AuraEngine, numbers: std::ops::Range<u64>) {
    for number in numbers {
        engine.put(&key(number), &value(number)).await.unwrap();
    }
}

fn model(numbers: std::ops::Range<u64>) -> Model {
    numbers
        .map(|number| (key(number), value(number).into()))
        .collect()
}

async fn rows(engine: &AuraEngine) -> Model {
    contents(engine, Direction::Forward).await.unwrap()
}

/// Returns what a killed process leaves that has written `numbers`, the last of them only to the
/// log.
fn killed(config: &EngineConfig, numbers: std::ops::Range<u64>) -> FsImage {
    let world = sim(1);
    run(&world, async {
        let engine = open(&world.env(), config).await.unwrap();
        put(&engine, numbers).await;
    });
    world.crash_image(CrashMode::KeepAll, 1).unwrap()
}

fn world_of(image: &FsImage) -> SimWorld {
    SimWorld::with_image(&sim_config(1), image).unwrap()
}

fn names(env: &Env) -> Vec<String> {
    env.fs.list(Path::new("/db")).unwrap()
}

async fn read_only(env: &Env) -> Result<AuraEngine, Error> {
    EngineBuilder::new(env.clone(), "/db")
        .config(config())
        .open_read_only()
        .await
}

/// Opens a database on a disk that is full from the `nth` append or creation on. Returns how many
/// files exist after that, or `None` if there was room for all.
async fn open_on_full_disk(world: &SimWorld, nth: u64) -> Option<usize> {
    world.fail_nth(FaultKind::NoSpace, nth, 1000);
    let env = world.env();
    let opened = open(&env, &config()).await;
    // Use up the injected faults, so that there is room again.
    while env.fs.create(Path::new("/probe")).is_err() {}
    match opened {
        Ok(_) => None,
        Err(error) => {
            assert!(matches!(error, Error::Io { .. }), "{error}");
            Some(names(&env).len())
        }
    }
}

#[test]
fn repeated_openings_on_a_full_disk_leave_no_more_files_than_one() {
    let large = EngineConfig {
        memtable: ByteSize::mib(1),
        ..config()
    };
    let image = killed(&large, 0..500);
    let world = world_of(&image);
    let env = world.env();
    let mut attempts = 0;
    for nth in (1..).step_by(2) {
        let fresh = world_of(&image);
        let Some(alone) = run(&fresh, open_on_full_disk(&fresh, nth)) else {
            break;
        };
        for _ in 0..5 {
            attempts += 1;
            let left = run(&world, open_on_full_disk(&world, nth));
            assert_eq!(
                left,
                Some(alone),
                "attempt {attempts}, full at {nth}: {:?}",
                names(&env)
            );
        }
        run(&world, async {
            let engine = read_only(&env).await.unwrap();
            assert_eq!(rows(&engine).await, model(0..500));
            engine.close().await.unwrap();
        });
    }
    assert!(attempts > 50, "{attempts} attempts");
    run(&world, async {
        let engine = open(&env, &config()).await.unwrap();
        assert_eq!(rows(&engine).await, model(0..500));
        engine.close().await.unwrap();
    });
}

#[test]
fn a_full_disk_can_be_opened_for_reading_and_is_not_changed() {
    let image = killed(&config(), 0..300);
    let world = world_of(&image);
    let env = world.env();
    world.fail_nth(FaultKind::NoSpace, 1, u64::MAX);
    world.fail_nth(FaultKind::Remove, 1, u64::MAX);
    world.fail_nth(FaultKind::Rename, 1, u64::MAX);
    let calls = world.io_count();
    run(&world, async {
        let engine = read_only(&env).await.unwrap();
        assert_eq!(rows(&engine).await, model(0..300));
        for number in 0..300 {
            let found = engine.get(&key(number)).await.unwrap();
            assert_eq!(found.unwrap(), value(number));
        }
        assert_eq!(engine.recovery().logs, 1);
        let refused = [
            engine.put(b"k", b"v").await.unwrap_err(),
            engine.delete_range(Range::all()).await.unwrap_err(),
            engine.flush().await.unwrap_err(),
            engine.compact().await.unwrap_err(),
            engine.checkpoint(Path::new("/copy")).await.unwrap_err(),
            engine.reconfigure(|_| {}).await.unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, Error::ReadOnly), "{error}");
        }
        engine.wait_idle().await.unwrap();
        assert_eq!(engine.verify().await.unwrap().problems, NO_PROBLEMS);
        // Other readers may open it too, but no writer.
        let second = read_only(&env).await.unwrap();
        let writer = open(&env, &config()).await.err().unwrap();
        assert!(!matches!(writer, Error::Corruption { .. }), "{writer}");
        second.close().await.unwrap();
        engine.close().await.unwrap();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
    });
    // The lock file that the writer asked for is the only call that could have changed anything.
    assert_eq!(world.io_count(), calls + 1);
}

#[test]
fn a_reader_beside_a_running_engine_sees_the_state_of_one_moment() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &config()).await.unwrap();
        for round in 0..20 {
            put(&engine, round * 40..(round + 1) * 40).await;
            // Flushes and compactions replace files meanwhile.
            let reader = read_only(&env).await.unwrap();
            assert_eq!(rows(&reader).await, model(0..(round + 1) * 40));
            let report = verify_directory(&env, Path::new("/db")).await.unwrap();
            assert!(report.in_use);
            assert_eq!(report.problems, NO_PROBLEMS, "round {round}");
            reader.close().await.unwrap();
        }
        engine.close().await.unwrap();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert!(!report.in_use);
    });
}

#[test]
fn a_directory_without_a_database_is_not_opened_for_reading() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let missing = read_only(&env).await.err().unwrap();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
        env.fs.create_directory(Path::new("/db")).unwrap();
        let empty = read_only(&env).await.err().unwrap();
        assert!(matches!(empty, Error::NoDatabase { .. }), "{empty}");
        let verified = verify_directory(&env, Path::new("/db")).await.unwrap_err();
        assert!(matches!(verified, Error::NoDatabase { .. }), "{verified}");
        assert_eq!(names(&env), [] as [String; 0]);
    });
}

/// Returns the only log of an image, and the places where its records start and the last one ends.
fn records(image: &FsImage) -> (std::path::PathBuf, Vec<usize>) {
    let mut logs = image.paths().into_iter();
    let log = logs
        .find(|path| path.extension().is_some_and(|it| it == "wal"))
        .unwrap();
    let bytes = image.read(&log).unwrap();
    let mut places = vec![52];
    while let Some(header) = bytes
        .get(*places.last().unwrap()..)
        .filter(|it| it.iter().any(|byte| *byte != 0))
    {
        let body = u32::from_le_bytes(header[8..12].try_into().unwrap());
        places.push(places.last().unwrap() + 32 + body as usize);
    }
    (log, places)
}

/// Returns a world in which a file has other bytes.
fn with_bytes(image: &FsImage, path: &Path, bytes: &[u8]) -> SimWorld {
    let world = world_of(image);
    run(&world, async {
        let file = world.env().fs.create(path).unwrap();
        file.append(bytes).await.unwrap();
        file.sync().await.unwrap();
    });
    world
}

#[test]
fn room_reserved_in_a_log_is_no_part_of_it() {
    let image = killed(&config(), 0..20);
    let (log, places) = records(&image);
    let bytes = image.read(&log).unwrap();
    assert_eq!(places.len(), 21);
    assert!(bytes.len() > places[20] + 100_000, "nothing was reserved");
    let world = world_of(&image);
    let env = world.env();
    run(&world, async {
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!((report.log_records, report.problems), (20, vec![]));
        let engine = open(&env, &config()).await.unwrap();
        assert_eq!(rows(&engine).await, model(0..20));
        put(&engine, 20..25).await;
        engine.close().await.unwrap();
        let log = names(&env).into_iter().find(|it| it.ends_with(".wal"));
        let log = env.fs.open(&Path::new("/db").join(log.unwrap())).unwrap();
        assert!(log.bytes().unwrap() < 2_000, "closing gives it back");
    });
}

#[test]
fn a_value_in_the_value_log_is_carried_by_its_record_or_synced_before_it() {
    for (bytes, syncs) in [(1_000, 0), (40_000, 5)] {
        let value = |number: u64| vec![number as u8; bytes];
        let world = sim(1);
        run(&world, async {
            let engine = open(&world.env(), &config()).await.unwrap();
            for number in 0..5 {
                engine.put(&key(number), &value(number)).await.unwrap();
            }
            let counts = engine.metrics().counts;
            assert_eq!((counts.wal_syncs, counts.value_log_syncs), (5, syncs));
            assert!(counts.value_log_bytes > 5 * bytes as u64);
        });
        let image = world.crash_image(CrashMode::DropUnsynced, 1).unwrap();
        let world = world_of(&image);
        let env = world.env();
        run(&world, async {
            let engine = open(&env, &config()).await.unwrap();
            for number in 0..5 {
                let found = engine.get(&key(number)).await.unwrap();
                assert_eq!(found.as_deref(), Some(&value(number)[..]));
            }
            assert_eq!(engine.verify().await.unwrap().problems, NO_PROBLEMS);
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn the_records_of_a_large_group_point_at_their_values() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &config()).await.unwrap();
        let put = async |number| engine.put(&key(number), &[7; 12_000]).await.unwrap();
        tokio::join!(put(0), put(1), put(2), put(3));
        let counts = engine.metrics().counts;
        // One value could be carried. Three and more are too much to write twice.
        assert!(counts.groups <= 2, "{}", counts.groups);
        assert_eq!(counts.value_log_syncs, 1);
        engine.close().await.unwrap();
    });
}

#[test]
fn a_hole_in_a_log_is_named() {
    let image = killed(&config(), 0..20);
    let (log, places) = records(&image);
    let bytes = image.read(&log).unwrap();
    for (from, to) in [(0, 1), (3, 5), (10, 19)] {
        let mut cut = bytes[..places[from]].to_vec();
        cut.extend_from_slice(&bytes[places[to]..]);
        let world = with_bytes(&image, &log, &cut);
        let env = world.env();
        run(&world, async {
            let refused = open(&env, &config()).await.err().unwrap();
            let Error::Corruption { file, offset, .. } = &refused else {
                panic!("{refused}");
            };
            assert_eq!((file, *offset), (&log, places[from] as u64), "{refused}");
            let report = verify_directory(&env, Path::new("/db")).await.unwrap();
            assert_eq!(report.problems, [refused.to_string()]);
            let repair = EngineBuilder::new(env.clone(), "/db").config(config());
            let report = repair.repair().await.unwrap();
            assert_eq!(report.losses.len(), 1, "{report:?}");
            assert_eq!(report.losses[0].entries, Some(20 - to as u64));
            assert_eq!(report.problems, NO_PROBLEMS);
            let engine = open(&env, &config()).await.unwrap();
            assert_eq!(rows(&engine).await, model(0..from as u64));
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn damage_at_the_end_of_the_log_of_a_closed_database_is_named() {
    let config = EngineConfig {
        memtable: ByteSize::mib(1),
        ..config()
    };
    let world = sim(1);
    run(&world, async {
        let engine = open(&world.env(), &config).await.unwrap();
        put(&engine, 0..20).await;
        engine.close().await.unwrap();
    });
    let image = world.crash_image(CrashMode::KeepAll, 1).unwrap();
    let (log, places) = records(&image);
    let last = places[19] as u64;
    let damages: [&dyn Fn(&SimWorld); 3] = [
        &|world| world.flip_bit(&log, last + 40, 0).unwrap(),
        &|world| world.truncate(&log, last + 10).unwrap(),
        &|world| world.truncate(&log, last).unwrap(),
    ];
    for damage in damages {
        let world = world_of(&image);
        damage(&world);
        run(&world, async {
            let refused = open(&world.env(), &config).await.err().unwrap();
            let Error::Corruption { file, offset, .. } = &refused else {
                panic!("{refused}");
            };
            assert_eq!((file, *offset), (&log, last), "{refused}");
        });
    }
    let world = world_of(&image);
    world.env().fs.remove(&log).unwrap();
    run(&world, async {
        let refused = open(&world.env(), &config).await.err().unwrap();
        assert!(matches!(refused, Error::Corruption { .. }), "{refused}");
    });
}

#[test]
fn a_log_shorter_than_recorded_is_damage() {
    // The flush of the memtable before has recorded how far the last log was synced by then.
    let image = killed(&config(), 0..400);
    let (log, places) = records(&image);
    let mut damaged = 0;
    for (kept, place) in places.iter().enumerate() {
        let world = world_of(&image);
        world.truncate(&log, *place as u64).unwrap();
        let opened = run(&world, async { open(&world.env(), &config()).await });
        match opened {
            Err(Error::Corruption { file, .. }) => {
                assert_eq!(file, log);
                assert_eq!(damaged, kept, "what is recorded is a prefix");
                damaged += 1;
            }
            Err(error) => panic!("{error}"),
            // What is not recorded counts as the torn end.
            Ok(engine) => {
                let found = run(&world, rows(&engine)).len();
                assert_eq!(found, 400 - (places.len() - 1) + kept);
            }
        }
    }
    assert!(damaged > 0, "some records are known to be durable");
    assert!(damaged < places.len(), "not all of them are");
}

/// The bytes of a log that follows `previous`, and holds a put of the next sequence number.
fn forged_log(number: u64, previous: u64, previous_bytes: u64, sequence: u64) -> Vec<u8> {
    let mut log = b"AURAWAL2".to_vec();
    for field in [number, previous, previous_bytes, previous_bytes, sequence] {
        log.extend_from_slice(&field.to_le_bytes());
    }
    log.extend_from_slice(&crc32c::crc32c(&log).to_le_bytes());
    // A put of a key and a value of one byte each.
    let body = [1, 1, b'k', 1, b'v'];
    let mut header = crc32c::crc32c(&body).to_le_bytes().to_vec();
    header.extend_from_slice(&(body.len() as u32).to_le_bytes());
    header.extend_from_slice(&1u32.to_le_bytes());
    header.extend_from_slice(&sequence.to_le_bytes());
    header.extend_from_slice(&52u64.to_le_bytes());
    let salted = [&number.to_le_bytes()[..], &header].concat();
    log.extend_from_slice(&crc32c::crc32c(&salted).to_le_bytes());
    log.extend_from_slice(&header);
    log.extend_from_slice(&body);
    log
}

/// Returns a world with more logs, by number.
fn with_logs(image: &FsImage, logs: &[(u64, Vec<u8>)]) -> SimWorld {
    let world = world_of(image);
    run(&world, async {
        for (number, bytes) in logs {
            let path = Path::new("/db").join(format!("{number:06}.wal"));
            let file = world.env().fs.create(&path).unwrap();
            file.append(bytes).await.unwrap();
            file.sync().await.unwrap();
        }
    });
    world
}

/// What opening and verifying say of a database: the error, and the problems.
fn judged(world: &SimWorld) -> (Option<String>, Vec<String>) {
    run(world, async {
        let env = world.env();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        let opened = open(&env, &config()).await.err();
        (opened.map(|error| error.to_string()), report.problems)
    })
}

#[test]
fn logs_must_follow_on_one_another() {
    let image = killed(&config(), 0..20);
    let (log, places) = records(&image);
    let bytes = *places.last().unwrap() as u64;
    let header = image.read(&log).unwrap();
    let number = u64::from_le_bytes(header[8..16].try_into().unwrap());
    let next = number + 5;

    let sound = with_logs(&image, &[(next, forged_log(next, number, bytes, 21))]);
    assert_eq!(
        judged(&sound),
        (None, Vec::new()),
        "it goes on where the other ends"
    );

    let other = forged_log(next + 1, number, bytes, 21);
    let fork = with_logs(
        &image,
        &[
            (next, forged_log(next, number, bytes, 21)),
            (next + 1, other),
        ],
    );
    let hole = with_logs(&image, &[(next, forged_log(next, number, bytes, 25))]);
    let longer = with_logs(&image, &[(next, forged_log(next, number, bytes + 40, 21))]);
    for (what, world) in [
        ("a fork", fork),
        ("a hole", hole),
        ("a missing end", longer),
    ] {
        let (error, problems) = judged(&world);
        let error = error.unwrap_or_else(|| panic!("{what} is opened"));
        assert!(error.contains("is damaged at offset"), "{what}: {error}");
        assert!(!problems.is_empty(), "{what} is not verified");
    }
}

#[test]
fn a_log_behind_the_end_of_history_is_reported_and_removed() {
    let mut config = config();
    config.wal.sync = SyncPolicy::Never;
    let image = killed(&config, 0..150);
    let mut logs: Vec<_> = image.paths().into_iter().collect();
    logs.retain(|path| path.extension().is_some_and(|it| it == "wal"));
    let [.., torn, behind] = &logs[..] else {
        panic!("two logs: {logs:?}")
    };
    let world = world_of(&image);
    let bytes = image.read(torn).unwrap().len() as u64;
    world.truncate(torn, bytes - 3).unwrap();
    let name = behind.file_name().unwrap().to_str().unwrap();
    run(&world, async {
        let env = world.env();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
        assert_eq!(report.logs_cut_off, [name]);
        let engine = open(&env, &config).await.unwrap();
        let found = rows(&engine).await;
        let count = found.len() as u64;
        assert!((50..149).contains(&count), "{count} rows");
        assert_eq!(found, model(0..count), "a prefix");
        assert!(!names(&env).contains(&name.to_owned()), "it is removed");
        engine.close().await.unwrap();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
    });
}

#[test]
fn a_log_without_records_that_no_log_follows_is_skipped() {
    let image = killed(&config(), 0..20);
    let world = world_of(&image);
    let env = world.env();
    // An engine of version 1 left such a log when a flush was dropped: it follows the log that went
    // on, and holds no records.
    let (log, _) = records(&image);
    let header = image.read(&log).unwrap()[..52].to_vec();
    let number = u64::from_le_bytes(header[8..16].try_into().unwrap());
    let mut orphan = header.clone();
    orphan[8..16].copy_from_slice(&(number + 7).to_le_bytes());
    orphan[16..24].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32c::crc32c(&orphan[..48]);
    orphan[48..52].copy_from_slice(&checksum.to_le_bytes());
    run(&world, async {
        let path = Path::new("/db").join(format!("{:06}.wal", number + 7));
        let file = env.fs.create(&path).unwrap();
        file.append(&orphan).await.unwrap();
        file.sync().await.unwrap();
        env.fs.sync_directory(Path::new("/db")).await.unwrap();
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
        let engine = open(&env, &config()).await.unwrap();
        assert_eq!(rows(&engine).await, model(0..20));
        engine.close().await.unwrap();
    });
}

#[test]
fn foreign_files_are_left_alone() {
    let world = sim(1);
    let env = world.env();
    let foreign = [
        "99999999999999999.sst",
        "72057594037927935.sst",
        "00000000000000000007.sst",
        "7.sst",
        "+00007.wal",
        "70000000000000.wal",
        "notes.txt",
    ];
    run(&world, async {
        let engine = open(&env, &config()).await.unwrap();
        put(&engine, 0..300).await;
        engine.close().await.unwrap();
        for name in foreign {
            env.fs.create(&Path::new("/db").join(name)).unwrap();
        }
        for round in 1..3 {
            let engine = open(&env, &config()).await.unwrap();
            put(&engine, round * 300..(round + 1) * 300).await;
            assert_eq!(rows(&engine).await, model(0..(round + 1) * 300));
            engine.close().await.unwrap();
        }
        let names = names(&env);
        for name in foreign {
            assert!(names.iter().any(|it| it == name), "{name} is gone");
        }
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
    });
}

#[test]
fn a_database_of_symbolic_links_is_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real");
    let linked = directory.path().join("linked");
    let world = DiskWorld::new(2).unwrap();
    let builder = |path: &Path| EngineBuilder::new(world.env(), path.to_owned()).config(config());
    world.block_on(async {
        let engine = builder(&real).open().await.unwrap();
        put(&engine, 0..300).await;
        engine.close().await.unwrap();
        std::fs::create_dir(&linked).unwrap();
        for file in std::fs::read_dir(&real).unwrap() {
            let file = file.unwrap();
            std::os::unix::fs::symlink(file.path(), linked.join(file.file_name())).unwrap();
        }
        let engine = builder(&linked).open_read_only().await.unwrap();
        assert_eq!(rows(&engine).await, model(0..300));
        engine.close().await.unwrap();
        let engine = builder(&linked).open().await.unwrap();
        assert_eq!(rows(&engine).await, model(0..300));
        engine.close().await.unwrap();
        // A dangling link is not an empty database.
        std::fs::remove_file(linked.join("CURRENT")).unwrap();
        std::os::unix::fs::symlink(real.join("nothing"), linked.join("CURRENT")).unwrap();
        let refused = builder(&linked).open().await.err().unwrap();
        assert!(refused.to_string().contains("CURRENT"), "{refused}");
    });
}

#[test]
fn a_table_with_the_bytes_of_another_is_lost_and_the_tree_is_lawful() {
    let world = sim(1);
    run(&world, async {
        let engine = open(&world.env(), &config()).await.unwrap();
        put(&engine, 0..600).await;
        engine.compact().await.unwrap();
        put(&engine, 600..900).await;
        engine.flush().await.unwrap();
        engine.close().await.unwrap();
    });
    let image = world.crash_image(CrashMode::KeepAll, 1).unwrap();
    let tables: Vec<_> = image
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "sst"))
        .collect();
    assert!(tables.len() > 5);
    for one in &tables {
        for other in tables.iter().filter(|other| *other != one) {
            let world = with_bytes(&image, one, &image.read(other).unwrap());
            let env = world.env();
            run(&world, async {
                let repair = EngineBuilder::new(env.clone(), "/db").config(config());
                let report = repair.repair().await.unwrap();
                assert!(!report.sound);
                assert_eq!(report.problems, NO_PROBLEMS, "{one:?} holds {other:?}");
                let verified = verify_directory(&env, Path::new("/db")).await.unwrap();
                assert_eq!(verified.problems, NO_PROBLEMS);
                let engine = open(&env, &config()).await.unwrap();
                let found = rows(&engine).await;
                let all = model(0..900);
                assert!(found.iter().all(|(key, value)| all.get(key) == Some(value)));
                let lost: u64 = report.losses.iter().filter_map(|loss| loss.entries).sum();
                assert_eq!(found.len() as u64 + lost, 900, "{report:?}");
                engine.close().await.unwrap();
            });
        }
    }
}

#[test]
fn a_second_close_waits_until_the_directory_is_released() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        for _ in 0..2 {
            let engine = open(&env, &config()).await.unwrap();
            put(&engine, 0..300).await;
            // The first close is dropped after a poll; the second waits for what the first began.
            let first = Box::pin({
                let engine = engine.clone();
                async move { engine.close().await }
            });
            assert!(common::cancel::poll_at_most(first, 1).await.is_err());
            engine.close().await.unwrap();
            let again = open(&env, &config()).await.unwrap();
            engine.close().await.unwrap();
            again.close().await.unwrap();
        }
    });
}

#[test]
fn a_verification_needs_no_lock_file_and_creates_none() {
    let image = killed(&config(), 0..50);
    let world = world_of(&image);
    let env = world.env();
    env.fs.remove(Path::new("/db/LOCK")).unwrap();
    run(&world, async {
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
    });
    assert!(!names(&env).iter().any(|name| name == "LOCK"));
}
