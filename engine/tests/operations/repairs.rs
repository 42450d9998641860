//! A repair keeps what is sound, reports exactly what is lost, and can be run again.

use super::*;

async fn repair(env: &Env, dry_run: bool) -> Result<RepairReport, Error> {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config());
    if dry_run {
        builder.plan_repair().await
    } else {
        builder.repair().await
    }
}

/// Repairs a damaged image. Returns the report and what the database holds afterwards.
fn repaired(image: &FsImage, damage: impl FnOnce(&SimWorld)) -> (RepairReport, Model) {
    let world = world_of(image);
    damage(&world);
    let env = world.env();
    let before = all(&world.crash_image(CrashMode::KeepAll, 0).unwrap());
    let planned = world.block_on(repair(&env, true)).unwrap().unwrap();
    assert_eq!(
        all(&world.crash_image(CrashMode::KeepAll, 0).unwrap()),
        before,
        "a dry run changes nothing"
    );
    let report = world.block_on(repair(&env, false)).unwrap().unwrap();
    assert_eq!((planned.dry_run, report.dry_run), (true, false));
    assert_eq!(planned.losses, report.losses);
    assert_eq!(planned.entries_kept, report.entries_kept);
    let after = all(&world.crash_image(CrashMode::DropUnsynced, 0).unwrap());
    for (path, content) in &before {
        let is_there = after.values().any(|other| other == content);
        assert!(
            is_there || path.ends_with("SETTINGS.json"),
            "{} is gone",
            path.display()
        );
    }
    if report.sound {
        assert_eq!(after, before, "nothing was wrong");
    }
    let check = async {
        let checked = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(checked.problems, NO_PROBLEMS, "{report:?}");
        assert_eq!(checked.leftovers, NO_PROBLEMS, "{report:?}");
        let again = repair(&env, false).await.unwrap();
        assert!(again.sound, "{again:?}");
        contents_of(&env, "/db", &config()).await.unwrap()
    };
    let found = world.block_on(check).unwrap();
    (report, found)
}

fn without(model: &Model, keys: impl IntoIterator<Item = u64>) -> Model {
    let mut model = model.clone();
    for number in keys {
        model.remove(&key(number)).unwrap();
    }
    model
}

fn remove_current(world: &SimWorld) {
    world.env().fs.remove(Path::new("/db/CURRENT")).unwrap();
}

#[test]
fn a_sound_database_is_not_touched() {
    let (image, model) = built(&config());
    let (report, found) = repaired(&image, |_| {});
    assert!(
        report.sound && report.losses.is_empty() && report.moved.is_empty(),
        "{report:?}"
    );
    assert_eq!((report.tables_sound, report.entries_kept), (1, 300));
    assert_eq!(found, model);
}

#[test]
fn unfinished_tables_of_an_interrupted_repair_are_removed() {
    let (image, model) = built(&config());
    let world = world_of(&image);
    let env = world.env();
    let create = |name: &str| env.fs.create(&Path::new("/db").join(name)).unwrap();
    create("000099.sst.repair");
    create("notes.sst.repair");
    let run = async {
        let report = repair(&env, false).await.unwrap();
        assert!(report.sound, "{report:?}");
        let names = env.fs.list(Path::new("/db")).unwrap();
        let mut left = names.iter().filter(|name| name.ends_with(".repair"));
        assert_eq!(left.next().unwrap(), "notes.sst.repair");
        assert_eq!(left.next(), None);
        contents_of(&env, "/db", &config()).await.unwrap()
    };
    assert_eq!(world.block_on(run).unwrap(), model);
}

#[test]
fn without_current_or_manifest_the_tree_is_rebuilt() {
    let (image, model) = built(&config());
    let manifest = files(&image, "manifest").remove(0);
    let remove = |path: &'static str| {
        move |world: &SimWorld| world.env().fs.remove(Path::new(path)).unwrap()
    };
    type Damage<'a> = Box<dyn Fn(&SimWorld) + 'a>;
    let damages: [(&str, Damage<'_>); 4] = [
        ("/db/CURRENT", Box::new(remove("/db/CURRENT"))),
        (
            "/db/CURRENT",
            Box::new(|world| flip(world, Path::new("/db/CURRENT"), 3)),
        ),
        (
            manifest.to_str().unwrap(),
            Box::new(|world| flip(world, &manifest, 30)),
        ),
        (
            manifest.to_str().unwrap(),
            Box::new(|world| world.env().fs.remove(&manifest).unwrap()),
        ),
    ];
    for (place, (file, damage)) in damages.into_iter().enumerate() {
        let (report, found) = repaired(&image, damage);
        assert!(report.rebuilt && !report.sound, "{place}: {report:?}");
        assert_eq!(report.losses.len(), 1, "{place}: {report:?}");
        assert_eq!(report.losses[0].file, Path::new(file), "{place}");
        assert_eq!(report.tables_sound, 1, "{place}");
        assert_eq!(report.entries_kept, 300, "{place}");
        assert_eq!(report.log_writes_kept, 40, "{place}");
        assert_eq!(found, model, "{place}");
    }
}

/// Files that are not the engine's: their numbers are far away, or are not written as it does.
const FOREIGN: [&str; 10] = [
    "+00007.wal",
    "00000000000000000007.vlog",
    "007.manifest",
    "7.sst",
    "70000000000000.sst",
    "70000000000000.wal",
    "70000000000001.wal",
    "72057594037927934.vlog",
    "72057594037927935.manifest",
    "72057594037927935.sst",
];

/// Puts foreign files into a database. Each has the bytes of a file of its kind.
async fn put_foreign_files(env: &Env, image: &FsImage) {
    let directory = Path::new("/db");
    for name in FOREIGN {
        let extension = name.split_once('.').unwrap().1;
        let original = files(image, extension).remove(0);
        let file = env.fs.create(&directory.join(name)).unwrap();
        file.append(&image.read(&original).unwrap()).await.unwrap();
        file.sync().await.unwrap();
    }
    env.fs.sync_directory(directory).await.unwrap();
}

#[test]
fn a_repair_leaves_foreign_files_alone() {
    let (image, _) = built(&config());
    let table = files(&image, "sst").remove(0);
    type Damage<'a> = Box<dyn Fn(&SimWorld) + 'a>;
    let damages: [Damage<'_>; 2] = [
        Box::new(|world| flip(world, &table, 3_000)),
        Box::new(remove_current),
    ];
    for damage in damages {
        let (alone, expected) = repaired(&image, &damage);
        let world = world_of(&image);
        damage(&world);
        let env = world.env();
        let run = async {
            put_foreign_files(&env, &image).await;
            let report = repair(&env, false).await.unwrap();
            assert_eq!(report, alone);
            for _ in 0..2 {
                let found = contents_of(&env, "/db", &config()).await.unwrap();
                assert_eq!(found, expected);
            }
        };
        world.block_on(run).unwrap();
        let after = world.crash_image(CrashMode::DropUnsynced, 0).unwrap();
        for name in FOREIGN {
            let path = Path::new("/db").join(name);
            let extension = name.split_once('.').unwrap().1;
            let original = files(&image, extension).remove(0);
            let content = after.read(&path).expect("it is there");
            assert_eq!(content, image.read(&original).unwrap(), "{name}");
        }
    }
}

/// Overwrites, deletes, flushes and compacts under any settings, ends the process, and rebuilds.
fn rebuild_anything(seed: u64) {
    let mut chance = Chance::new(seed);
    let config = random_config(&mut chance);
    let world = sim(seed);
    let env = world.env();
    let run = async {
        let engine = open(&env, "/db", &config).await.unwrap();
        let mut model = Model::new();
        for _ in 0..1_500 {
            let number = chance.below(150);
            if chance.below(4) == 0 {
                engine.delete(&key(number)).await.unwrap();
                model.remove(&key(number));
            } else {
                let value = value(chance.below(1_000));
                engine.put(&key(number), &value).await.unwrap();
                model.insert(key(number), value);
            }
        }
        engine.wait_idle().await.unwrap();
        model
    };
    let model = world.block_on(run).unwrap();
    let world = SimWorld::with_image(
        &sim_config(seed),
        &world.crash_image(CrashMode::KeepAll, 0).unwrap(),
    )
    .unwrap();
    let env = world.env();
    let run = async {
        env.fs.remove(Path::new("/db/CURRENT")).unwrap();
        let builder = EngineBuilder::new(env.clone(), "/db").config(config.clone());
        let report = builder.repair().await.unwrap();
        assert!(report.rebuilt && report.losses.len() == 1, "{report:?}");
        assert_eq!(contents_of(&env, "/db", &config).await.unwrap(), model);
    };
    world.block_on(run).unwrap();
}

#[test]
fn a_rebuilt_tree_gives_the_same_answers() {
    for seed in seeds(10) {
        repeatable(seed, || rebuild_anything(seed));
    }
}

#[test]
fn the_sound_blocks_of_a_damaged_table_stay() {
    let (image, model) = built(&config());
    let table = files(&image, "sst").remove(0);
    let bytes = image.read(&table).unwrap().len() as u64;
    let (report, found) = repaired(&image, |world| {
        flip(world, &table, 5);
        flip(world, &table, 3_000);
    });
    assert_eq!(report.tables_sound, 0, "{report:?}");
    assert_eq!(report.tables_salvaged, 1, "{report:?}");
    assert_eq!(report.losses.len(), 2, "{report:?}");
    let mut left = model.clone();
    for loss in &report.losses {
        assert_eq!(loss.file, table);
        assert!(loss.what.contains("data block"), "{loss}");
        let first = loss.first.clone().unwrap().into_bytes();
        let last = loss.last.clone().unwrap().into_bytes();
        let gone: Vec<_> = model
            .keys()
            .filter(|key| !found.contains_key(*key) && (&first..=&last).contains(key))
            .collect();
        assert_eq!(loss.entries, Some(gone.len() as u64), "{loss}");
        for key in gone {
            left.remove(key);
        }
    }
    assert_eq!(found, left, "nothing else is gone");
    assert_eq!(
        (report.losses[0].offset, report.losses[0].first.as_deref()),
        (0, Some("key0000"))
    );
    assert!(
        (2_500..=3_000).contains(&report.losses[1].offset),
        "{report:?}"
    );

    // Index, properties and footer are not needed.
    for back in [20, 100, 300, 900] {
        let (report, found) = repaired(&image, |world| flip(world, &table, bytes - back));
        assert_eq!(
            (report.tables_salvaged, report.losses.len()),
            (1, 0),
            "{back}: {report:?}"
        );
        assert_eq!((report.entries_kept, &found), (300, &model), "{back}");
    }
    let (report, found) = repaired(&image, |world| world.truncate(&table, bytes / 3).unwrap());
    let [loss] = &report.losses[..] else {
        panic!("{report:?}")
    };
    let first = found.len() as u64 - 40;
    assert_eq!(
        (loss.entries, loss.last.as_deref()),
        (Some(300 - first), Some("key0299"))
    );
    assert_eq!(found, without(&model, first..300));
    assert!(first > 50, "{first}");
}

#[test]
fn a_missing_table_is_reported_with_its_keys() {
    let (image, model) = built(&config());
    let table = files(&image, "sst").remove(0);
    let (report, found) = repaired(&image, |world| world.env().fs.remove(&table).unwrap());
    let [loss] = &report.losses[..] else {
        panic!("{report:?}")
    };
    assert_eq!((&loss.file, loss.entries), (&table, Some(300)));
    assert_eq!(
        (loss.first.as_deref(), loss.last.as_deref()),
        (Some("key0000"), Some("key0299"))
    );
    assert_eq!(found, without(&model, 0..300));
}

#[test]
fn entries_whose_values_are_lost_are_dropped_and_no_others() {
    let (image, model) = built(&config());
    let values = files(&image, "vlog");
    assert!(values.len() > 4);
    // The first frame of the second file: 17 bytes before its key.
    let lost = image.read(&values[1]).unwrap()[8 + 17..][..7].to_vec();
    let (report, found) = repaired(&image, |world| flip(world, &values[1], 60));
    let [loss] = &report.losses[..] else {
        panic!("{report:?}")
    };
    let name = String::from_utf8(lost.clone()).unwrap();
    assert_eq!(loss.file, values[1]);
    assert_eq!(loss.offset, 8);
    assert_eq!(loss.entries, Some(1));
    assert_eq!(
        (&loss.first, &loss.last),
        (&Some(name.clone()), &Some(name))
    );
    let mut left = model.clone();
    left.remove(&lost).unwrap();
    assert_eq!(found, left);

    // The last file has values of tables and of the log.
    for file in [&values[0], values.last().unwrap()] {
        let (report, found) = repaired(&image, |world| world.env().fs.remove(file).unwrap());
        assert_eq!(
            (&report.losses[0].file, report.losses[0].what.as_str()),
            (file, "it is missing")
        );
        let reported: u64 = report.losses.iter().filter_map(|loss| loss.entries).sum();
        assert_eq!(reported as usize, model.len() - found.len(), "{report:?}");
        assert!(
            reported > 3 && found.iter().all(|(key, value)| model[key] == *value),
            "{report:?}"
        );
        let gone = model.keys().filter(|key| !found.contains_key(*key));
        assert!(
            gone.into_iter().all(|key| model[key].len() == 700),
            "only large values were there"
        );
    }
}

#[test]
fn the_sound_prefix_of_a_damaged_log_stays() {
    let (image, model) = built(&config());
    let log = files(&image, "wal").remove(0);
    let bytes = image.read(&log).unwrap().len() as u64;
    for offset in [60, bytes / 2, bytes - 300] {
        let world = world_of(&image);
        flip(&world, &log, offset);
        let env = world.env();
        let refused = world
            .block_on(async { open(&env, "/db", &config()).await.map(drop) })
            .unwrap()
            .unwrap_err();
        assert!(matches!(refused, Error::Corruption { .. }), "{refused}");
        let (report, found) = repaired(&image, |world| flip(world, &log, offset));
        let [loss] = &report.losses[..] else {
            panic!("{report:?}")
        };
        assert!(
            loss.file == log && loss.offset <= offset && loss.offset + 200 > offset,
            "{report:?}"
        );
        // The damaged record itself is not counted, because it cannot be read.
        let kept = report.log_writes_kept;
        assert_eq!(loss.entries, Some(40 - kept - 1), "{report:?}");
        assert_eq!(found, without(&model, 300 + kept..340));
    }
    let (report, found) = repaired(&image, |world| flip(world, &log, 20));
    assert_eq!(
        (report.log_writes_kept, report.losses.len()),
        (0, 1),
        "{report:?}"
    );
    assert_eq!(found, without(&model, 300..340));
}

#[test]
fn collections_and_range_deletes_outlive_a_repair() {
    let Built {
        image,
        model,
        hidden,
    } = built_with_collections();
    let table = files(&image, "sst").remove(0);
    let log = files(&image, "wal").remove(0);
    let copies = collected(&image);
    assert!(!copies.is_empty() && hidden.len() == 10);
    let (report, found) = repaired(&image, |_| {});
    assert!(report.sound && found == model, "{report:?}");

    let (report, found) = repaired(&image, |world| flip(world, &table, 5));
    let [loss] = &report.losses[..] else {
        panic!("{report:?}")
    };
    let last = loss.last.clone().unwrap().into_bytes();
    let mut left = model.clone();
    left.retain(|key, _| *key >= last);
    assert_eq!(found, left, "{loss}");

    let bytes = image.read(&log).unwrap().len() as u64;
    let (report, found) = repaired(&image, |world| flip(world, &log, bytes - 300));
    let kept = report.log_writes_kept;
    assert!(
        (13..20).contains(&kept),
        "the range delete and what came before the damage: {report:?}"
    );
    assert_eq!(found, without(&model, 298 + kept..320));

    // Only the keys that the manifest's range delete hid are there again.
    let (report, found) = repaired(&image, remove_current);
    assert!(report.rebuilt && report.losses.len() == 1, "{report:?}");
    let mut expected = model.clone();
    expected.extend(hidden.clone());
    assert_eq!(found, expected);

    // Without its map, nothing in a collected file can be found, with or without the manifest.
    let bytes = image.read(&copies[0]).unwrap().len() as u64;
    for rebuilds in [false, true] {
        let (report, found) = repaired(&image, |world| {
            flip(world, &copies[0], bytes - 20);
            if rebuilds {
                remove_current(world);
            }
        });
        assert_eq!(report.rebuilt, rebuilds);
        let reported: u64 = report.losses.iter().filter_map(|loss| loss.entries).sum();
        let gone: Vec<_> = model
            .keys()
            .filter(|key| !found.contains_key(*key))
            .collect();
        assert!(
            gone.len() > 1 && reported >= gone.len() as u64 && reported <= 10 + gone.len() as u64,
            "{report:?}"
        );
        assert!(
            gone.iter().all(|key| model[*key].len() == 700),
            "only large values were there"
        );
    }
}

/// Crashes at every call of a collection, and loses the manifest.
#[test]
fn a_rebuild_finds_how_far_a_collection_got() {
    let world = sim(3);
    let env = world.env();
    let run = async {
        let (engine, model) = build_garbage(&env, &collecting(false)).await;
        assert_eq!(engine.metrics().counts.gc_runs, 0);
        engine.close().await.unwrap();
        model
    };
    let model = world.block_on(run).unwrap();
    let image = world.crash_image(CrashMode::KeepAll, 0).unwrap();
    let mut doubled = 0;
    for call in 1.. {
        let world = world_of(&image);
        world.crash_at(call);
        let env = world.env();
        let collect = async {
            let engine = open(&env, "/db", &collecting(true)).await?;
            engine.wait_idle().await?;
            engine.close().await
        };
        let _ = world.block_on(collect).unwrap();
        if !world.crashed() {
            assert!(
                call > 40 && doubled > 0,
                "{call} calls, {doubled} files were there twice"
            );
            break;
        }
        for mode in CrashMode::ALL {
            let image = world.crash_image(mode, call).unwrap();
            let both = files(&image, "vlog").len() > collected(&image).len()
                && !collected(&image).is_empty();
            doubled += u64::from(both);
            let world = world_of(&image);
            let env = world.env();
            let rebuild = async {
                env.fs.remove(Path::new("/db/CURRENT")).unwrap();
                let report = repair(&env, false).await.unwrap();
                assert!(
                    report.rebuilt && report.losses.len() == 1,
                    "{mode:?} at call {call}: {report:?}"
                );
                contents_of(&env, "/db", &config()).await.unwrap()
            };
            assert_eq!(
                world.block_on(rebuild).unwrap(),
                model,
                "{mode:?} at call {call}"
            );
        }
    }
}

/// Kinds of I/O calls that fail during a repair.
const REPAIR_FAULTS: [FaultKind; 6] = [
    FaultKind::Read,
    FaultKind::Write,
    FaultKind::Sync,
    FaultKind::Rename,
    FaultKind::Create,
    FaultKind::NoSpace,
];

/// A damaged database.
struct Damaged {
    image: FsImage,
    /// What a repair that nothing disturbs keeps.
    expected: Model,
}

/// Creates a database of each kind of damage.
fn damaged_databases() -> Vec<Damaged> {
    let (plain, _) = built(&config());
    let with_collections = built_with_collections().image;
    let table = files(&plain, "sst").remove(0);
    let log = files(&plain, "wal").remove(0);
    let values = files(&plain, "vlog").remove(0);
    let other_log = files(&with_collections, "wal").remove(0);
    type Damage<'a> = Box<dyn Fn(&SimWorld) + 'a>;
    let damages: [(&FsImage, Damage<'_>); 6] = [
        (&plain, Box::new(remove_current)),
        (
            &plain,
            Box::new(|world| (flip(world, &table, 3_000), remove_current(world)).0),
        ),
        (
            &plain,
            Box::new(|world| (flip(world, &table, 3_000), flip(world, &log, 900)).0),
        ),
        (
            &plain,
            Box::new(|world| world.env().fs.remove(&values).unwrap()),
        ),
        (&with_collections, Box::new(remove_current)),
        (
            &with_collections,
            Box::new(|world| flip(world, &other_log, 1_000)),
        ),
    ];
    let mut databases = Vec::new();
    for (image, damage) in damages {
        let (_, expected) = repaired(image, &damage);
        let world = world_of(image);
        damage(&world);
        let image = world.crash_image(CrashMode::KeepAll, 0).unwrap();
        databases.push(Damaged { image, expected });
    }
    databases
}

#[test]
fn an_interrupted_repair_can_be_run_again() {
    for (case, Damaged { image, expected }) in damaged_databases().iter().enumerate() {
        interrupt_by_crashes(case, image, expected);
        for kind in REPAIR_FAULTS {
            for nth in 1..=8 {
                let what = format!("case {case}, {kind:?} {nth} fails");
                let world = world_of(image);
                world.fail_nth(kind, nth, 1);
                let ended = world.block_on(repair(&world.env(), false)).unwrap();
                let ends_well = matches!(ended, Ok(_) | Err(Error::Io { .. }));
                assert!(ends_well, "{what}: {ended:?}");
                let left = world.crash_image(CrashMode::KeepAll, nth).unwrap();
                repair_again(image, &left, expected, &what);
            }
        }
    }
}

/// Repairs a database on a disk that is full from the `nth` append or creation on, and that may
/// not be able to link. Returns what is left, or `None` if there was room for all.
fn repair_on_full_disk(image: &FsImage, nth: u64, can_link: bool) -> Option<FsImage> {
    let world = world_of(image);
    world.fail_nth(FaultKind::NoSpace, nth, u64::MAX);
    if !can_link {
        world.fail_nth(FaultKind::Link, 1, u64::MAX);
    }
    let repaired = world.block_on(repair(&world.env(), false)).unwrap();
    let error = repaired.err()?;
    assert!(matches!(error, Error::Io { .. }), "{error}");
    Some(world.crash_image(CrashMode::KeepAll, nth).unwrap())
}

#[test]
fn repeated_repairs_on_a_full_disk_leave_no_more_files_than_one() {
    for (case, Damaged { image, expected }) in damaged_databases().iter().enumerate() {
        for can_link in [true, false] {
            let mut last = None;
            let mut attempts = 0;
            for nth in 1.. {
                let what = format!("case {case}, full at {nth}, can link: {can_link}");
                let Some(alone) = repair_on_full_disk(image, nth, can_link) else {
                    break;
                };
                for _ in 0..2 {
                    attempts += 1;
                    let left = repair_on_full_disk(last.as_ref().unwrap_or(image), nth, can_link);
                    let left = left.unwrap_or_else(|| panic!("{what}: there was room"));
                    assert_eq!(left.paths(), alone.paths(), "{what}");
                    last = Some(left);
                }
            }
            assert!(attempts > 10, "{attempts} attempts");
            let left = last.expect("an attempt failed");
            let what = format!("case {case} after {attempts} attempts");
            repair_again(image, &left, expected, &what);
        }
    }
}

/// Crashes at every I/O call of a repair, and repairs again.
fn interrupt_by_crashes(case: usize, damaged: &FsImage, expected: &Model) {
    let world = world_of(damaged);
    let whole = world.block_on(repair(&world.env(), false));
    whole.unwrap().unwrap();
    let calls = world.io_count();
    assert!(calls > 10, "{calls}");
    for call in 1..=calls {
        for mode in CrashMode::ALL {
            let what = format!("case {case}, {mode:?} at call {call} of {calls}");
            let world = world_of(damaged);
            world.crash_at(call);
            let cut = world.block_on(repair(&world.env(), false)).unwrap();
            assert!(cut.is_err(), "{what}");
            let left = world.crash_image(mode, call).unwrap();
            repair_again(damaged, &left, expected, &what);
        }
    }
}

/// Repairs what an interrupted repair has left of `damaged`. No file of that may be missing.
fn repair_again(damaged: &FsImage, left: &FsImage, expected: &Model, what: &str) {
    let now = all(left);
    for (path, content) in &all(damaged) {
        let is_there =
            now.values().any(|other| other == content) || path.ends_with("SETTINGS.json");
        assert!(is_there, "{what}: {} is gone", path.display());
    }
    let world = world_of(left);
    let env = world.env();
    let again = async {
        repair(&env, false)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        contents_of(&env, "/db", &config())
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    assert_eq!(world.block_on(again).unwrap(), *expected, "{what}");
    let after = all(&world.crash_image(CrashMode::KeepAll, 0).unwrap());
    for (path, content) in &after {
        let again = format!("{}.1", path.display());
        let other = after.get(Path::new(&again));
        let is_twice = other.is_some_and(|other| other == content);
        assert!(!is_twice, "{what}: {} is there twice", path.display());
    }
}
