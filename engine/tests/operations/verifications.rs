//! A verification counts everything, and finds what is missing, left over or damaged.

use super::*;

/// Verifies a closed database after some damage.
fn verified(image: &FsImage, damage: impl FnOnce(&SimWorld)) -> VerifyReport {
    let world = world_of(image);
    damage(&world);
    let before = all(&world.crash_image(CrashMode::KeepAll, 0).unwrap());
    let env = world.env();
    let report = world
        .block_on(verify_directory(&env, Path::new("/db")))
        .unwrap()
        .unwrap();
    assert_eq!(
        all(&world.crash_image(CrashMode::KeepAll, 0).unwrap()),
        before,
        "nothing is changed"
    );
    report
}

#[test]
fn verification_counts_and_traces_everything() {
    let (image, model) = built(&config());
    let report = verified(&image, |_| {});
    assert_eq!(report.problems, NO_PROBLEMS);
    assert_eq!(report.tables, 1);
    assert_eq!(report.entries, 300);
    assert_eq!(report.rows, 340);
    assert_eq!(report.logs, 1);
    assert_eq!(report.log_records, 40);
    assert_eq!(report.values, 136);
    let bytes: usize = model
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(report.reachable_bytes, bytes as u64);
    assert_eq!(report.value_reachable_bytes, 136 * 707);
    for file in &report.value_files {
        assert_eq!(file.live_bytes, file.frames * (17 + 7 + 700), "{file:?}");
        assert_eq!(file.live_bytes, file.frame_bytes, "{file:?}");
        assert_eq!(file.garbage_bytes, 0, "{file:?}");
        assert_eq!(file.unreadable_bytes, 0, "{file:?}");
    }
    let mut on_disk = 0;
    for kind in ["sst", "vlog", "wal"] {
        for path in files(&image, kind) {
            on_disk += image.read(&path).unwrap().len() as u64;
        }
    }
    assert_eq!(report.disk_bytes, on_disk);
    assert!(
        report
            .space_amplification()
            .is_some_and(|ratio| ratio > 1.0 && ratio < 2.0),
        "{report:?}"
    );
    assert!(
        report
            .value_log_amplification()
            .is_some_and(|ratio| ratio > 1.0 && ratio < 1.1),
        "{report:?}"
    );
}

#[test]
fn verification_finds_what_is_missing_left_over_too_long_or_damaged() {
    let (image, _) = built(&config());
    let table = files(&image, "sst").remove(0);
    let values = files(&image, "vlog").remove(0);
    let log = files(&image, "wal").remove(0);
    let reports = |damage: &dyn Fn(&SimWorld), words: &[&str]| {
        let report = verified(&image, damage);
        assert!(!report.problems.is_empty(), "{words:?}");
        for word in words {
            assert!(
                report.problems.iter().any(|it| it.contains(word)),
                "{word}: {:?}",
                report.problems
            );
        }
    };
    let table_name = table.to_str().unwrap();
    let values_name = values.to_str().unwrap();
    reports(
        &|world| world.env().fs.remove(&table).unwrap(),
        &[table_name],
    );
    reports(
        &|world| world.env().fs.remove(&values).unwrap(),
        &[values_name],
    );
    reports(
        &|world| flip(world, &table, 3_000),
        &[table_name, "offset 2"],
    );
    reports(
        &|world| flip(world, &values, 60),
        &[values_name, "offset 8"],
    );
    reports(
        &|world| world.truncate(&values, 5_000).unwrap(),
        &[values_name, "5000 bytes where"],
    );
    reports(&|world| flip(world, &log, 900), &[log.to_str().unwrap()]);
    reports(
        &|world| flip(world, Path::new("/db/CURRENT"), 2),
        &["/db/CURRENT"],
    );
    let longer = |world: &SimWorld| {
        let env = world.env();
        let content = image.read(&values).unwrap();
        let grow = async {
            let file = env.fs.create(&values).unwrap();
            file.append(&content).await.unwrap();
            file.append(b"more").await.unwrap();
        };
        world.block_on(grow).unwrap();
    };
    reports(&longer, &[values_name, "are recorded"]);
    let report = verified(&image, |world| {
        drop(world.env().fs.create(Path::new("/db/000999.sst")).unwrap())
    });
    assert_eq!(
        (report.leftovers, report.problems),
        (vec!["000999.sst".to_owned()], vec![])
    );
}

#[test]
fn an_open_engine_reports_damage_that_its_cache_hides() {
    let (image, model) = built(&config());
    let world = world_of(&image);
    let env = world.env();
    let run = async {
        let engine = open(&env, "/db", &config()).await.unwrap();
        assert_eq!(contents(&engine).await, model);
        let report = engine.verify().await.unwrap();
        assert_eq!(report.problems, NO_PROBLEMS);
        assert_eq!(report.rows, 340);
        assert_eq!(report.logs, 1);
        flip(&world, &files(&image, "vlog")[1], 60);
        let report = engine.verify().await.unwrap();
        assert!(
            report
                .problems
                .iter()
                .any(|it| it.contains("vlog") && it.contains("offset 8")),
            "{:?}",
            report.problems
        );
        flip(&world, &files(&image, "sst")[0], 1_000);
        let report = engine.verify().await.unwrap();
        assert!(
            report
                .problems
                .iter()
                .any(|it| it.contains("sst") && it.contains("data block")),
            "{:?}",
            report.problems
        );
        engine.close().await.unwrap();
    };
    world.block_on(run).unwrap();
}
