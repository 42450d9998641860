//! Tests of crashes and injected faults.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::*;

fn world() -> SimWorld {
    let device = DeviceProfile::named("nvme").unwrap();
    let world = SimWorld::new(&SimConfig {
        device,
        ..SimConfig::default()
    });
    world.env().fs.create_directory(Path::new("db")).unwrap();
    world
}

/// Returns a world with the file `db/f`: 5000 synced bytes of 1 and 20,000 others of 2. Its name is
/// synced.
fn half_synced() -> SimWorld {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        file.append(&[1; 5000]).await.unwrap();
        file.sync().await.unwrap();
        env.fs.sync_directory(Path::new("db")).await.unwrap();
        file.append(&[2; 20_000]).await.unwrap();
    };
    world.block_on(work).unwrap();
    world
}

/// Returns the bytes of `db/f` that a crash leaves.
fn left(world: &SimWorld, mode: CrashMode, seed: u64) -> Vec<u8> {
    world
        .crash_image(mode, seed)
        .unwrap()
        .read(Path::new("db/f"))
        .unwrap()
}

#[test]
fn synced_bytes_survive_and_others_by_the_mode() {
    let world = half_synced();
    let whole = [vec![1; 5000], vec![2; 20_000]].concat();
    assert_eq!(left(&world, CrashMode::DropUnsynced, 0), whole[..5000]);
    assert_eq!(left(&world, CrashMode::KeepAll, 0), whole);
    let mut lengths = BTreeSet::new();
    let mut patterns = BTreeSet::new();
    for seed in 0..50 {
        let torn = left(&world, CrashMode::Torn, seed);
        assert!(
            torn.len() >= 5000 && whole.starts_with(&torn),
            "seed {seed}"
        );
        lengths.insert(torn.len());

        let reordered = left(&world, CrashMode::Reordered, seed);
        assert_eq!(reordered[..5000], whole[..5000], "seed {seed}");
        // From 5120 on, each sector is kept or zero as a whole.
        for sector in reordered[5120.min(reordered.len())..].chunks(512) {
            assert!(
                sector.iter().all(|&byte| byte == sector[0]) && [0, 2].contains(&sector[0]),
                "seed {seed}"
            );
        }
        patterns.insert(reordered);
        assert_eq!(
            left(&world, CrashMode::Torn, seed),
            torn,
            "seed {seed}: not repeated"
        );
    }
    assert!(
        lengths.len() > 40 && patterns.len() > 40,
        "{} lengths, {} patterns",
        lengths.len(),
        patterns.len()
    );
    assert!(
        patterns
            .iter()
            .any(|bytes| bytes.len() == 25_000 && bytes[5000..].contains(&0)),
        "no hole was made"
    );
}

#[test]
fn an_image_starts_another_world_in_which_all_of_it_is_durable() {
    let image = half_synced().crash_image(CrashMode::Torn, 3).unwrap();
    let bytes = image.read(Path::new("db/f")).unwrap();
    let next = SimWorld::with_image(&SimConfig::default(), &image).unwrap();
    assert_eq!(next.env().fs.list(Path::new("db")).unwrap(), ["f"]);
    assert_eq!(left(&next, CrashMode::DropUnsynced, 0), bytes);
    let file = next.env().fs.open(Path::new("db/f")).unwrap();
    assert_eq!(
        next.block_on(file.read_at(0, bytes.len()))
            .unwrap()
            .unwrap(),
        bytes
    );
    assert!(next.now() > 20_000, "its bytes are read from the device");
}

#[test]
fn a_sync_under_way_when_another_fails_does_not_claim_to_be_done() {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        env.fs.sync_directory(Path::new("db")).await.unwrap();
        file.append(&[1; 5000]).await.unwrap();
        let under_way = file.sync();
        world.fail_nth(FaultKind::Sync, 1, 1);
        file.sync().await.unwrap_err();
        under_way.await.unwrap_err();
    };
    world.block_on(work).unwrap();
    assert_eq!(left(&world, CrashMode::DropUnsynced, 0), [0; 0]);
}

#[test]
fn names_survive_once_their_directory_is_synced() {
    let world = world();
    let env = world.env();
    let names = |mode, seed| -> Vec<String> {
        let image = world.crash_image(mode, seed).unwrap();
        image
            .paths()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let work = async {
        for name in ["db/old", "db/gone"] {
            env.fs.create(Path::new(name)).unwrap();
        }
        env.fs.sync_directory(Path::new("db")).await.unwrap();
        env.fs
            .create(Path::new("db/new.tmp"))
            .unwrap()
            .sync()
            .await
            .unwrap();
        env.fs
            .rename(Path::new("db/new.tmp"), Path::new("db/old"))
            .unwrap();
        env.fs.remove(Path::new("db/gone")).unwrap();
    };
    world.block_on(work).unwrap();
    assert_eq!(names(CrashMode::DropUnsynced, 0), ["gone", "old"]);
    assert_eq!(names(CrashMode::KeepAll, 0), ["old"]);
    // In order: created, renamed, removed; or each by itself, where a rename is whole.
    let in_order: BTreeSet<_> = (0..100).map(|seed| names(CrashMode::Torn, seed)).collect();
    assert_eq!(
        in_order,
        BTreeSet::from(
            [
                vec!["gone", "old"],
                vec!["gone", "new.tmp", "old"],
                vec!["old"]
            ]
            .map(owned)
        )
    );
    let any: BTreeSet<_> = (0..100)
        .map(|seed| names(CrashMode::Reordered, seed))
        .collect();
    assert!(
        any.is_superset(&in_order) && any.contains(&owned(vec!["new.tmp", "old"])),
        "{any:?}"
    );
    assert!(
        any.iter().all(|names| names.contains(&"old".to_owned())),
        "{any:?}"
    );

    world
        .block_on(env.fs.sync_directory(Path::new("db")))
        .unwrap()
        .unwrap();
    for mode in CrashMode::ALL {
        assert_eq!(names(mode, 5), ["old"], "{mode:?}");
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn what_is_changed_during_a_sync_is_not_part_of_it() {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        let first = env.fs.sync_directory(Path::new("db"));
        env.fs.create(Path::new("db/late")).unwrap();
        first.await.unwrap();
        file.append(&[1; 10]).await.unwrap();
        let sync = file.sync();
        file.append(&[2; 10]).await.unwrap();
        sync.await.unwrap();
    };
    world.block_on(work).unwrap();
    assert_eq!(
        world
            .crash_image(CrashMode::DropUnsynced, 0)
            .unwrap()
            .paths(),
        [Path::new("db/f")]
    );
    assert_eq!(left(&world, CrashMode::DropUnsynced, 0), [1; 10]);
}

#[test]
fn after_the_crash_nothing_succeeds() {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        file.append(b"abc").await.unwrap();
        file.sync().await.unwrap();
        env.fs.sync_directory(Path::new("db")).await.unwrap();
        assert_eq!(world.io_count(), 5);
        file.append(b"def").await.unwrap();
        // The eighth call crashes the machine while the seventh is under way.
        world.crash_at(8);
        let sync = file.sync();
        assert!(!world.crashed());
        assert!(file.append(b"ghi").await.is_err());
        assert!(world.crashed());
        assert!(sync.await.unwrap_err().to_string().contains("crashed"));
        assert!(file.read_at(0, 1).await.is_err());
        assert!(file.bytes().is_err());
        assert!(env.fs.list(Path::new("db")).is_err());
        assert!(env.fs.lock(Path::new("db/LOCK")).is_err());
    };
    world.block_on(work).unwrap();
    assert_eq!(left(&world, CrashMode::DropUnsynced, 0), b"abc");
    assert_eq!(left(&world, CrashMode::KeepAll, 0), b"abcdef");
}

#[test]
fn the_nth_call_of_a_kind_fails_as_often_as_asked() {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        world.fail_nth(FaultKind::Write, 2, 2);
        let mut failed = Vec::new();
        for _ in 0..5 {
            failed.push(file.append(b"ab").await.is_err());
        }
        assert_eq!(failed, [false, true, true, false, false]);
        assert_eq!(world.failed_calls(), 2);
        assert_eq!(file.bytes().unwrap(), 6, "a failed append writes nothing");

        world.fail_nth(FaultKind::Read, 1, 1);
        let error = file.read_at(0, 1).await.unwrap_err();
        assert!(
            error.to_string().contains("injected fault: Read"),
            "{error}"
        );
        assert!(file.read_at(0, 1).await.is_ok());

        world.fail_nth(FaultKind::NoSpace, 1, 2);
        assert_eq!(
            file.append(b"cdef").await.unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        assert_eq!(
            &file.read_at(6, 2).await.unwrap()[..],
            b"cd",
            "a full disk accepts what fits"
        );
        let refused = env.fs.create(Path::new("db/g"));
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(ErrorKind::StorageFull)
        );

        for kind in [FaultKind::Create, FaultKind::Rename, FaultKind::Remove] {
            world.fail_nth(kind, 1, 1);
        }
        assert!(env.fs.create(Path::new("db/g")).is_err());
        assert!(env.fs.rename(Path::new("db/f"), Path::new("db/g")).is_err());
        assert!(env.fs.remove(Path::new("db/f")).is_err());
        assert_eq!(
            env.fs.list(Path::new("db")).unwrap(),
            ["f"],
            "a call that failed changed nothing"
        );
        env.fs.rename(Path::new("db/f"), Path::new("db/g")).unwrap();
        env.fs.remove(Path::new("db/g")).unwrap();
    };
    world.block_on(work).unwrap();
}

#[test]
fn bytes_whose_sync_failed_never_become_durable() {
    let world = world();
    let env = world.env();
    let work = async {
        let file = env.fs.create(Path::new("db/f")).unwrap();
        env.fs.sync_directory(Path::new("db")).await.unwrap();
        file.append(b"abc").await.unwrap();
        file.sync().await.unwrap();
        file.append(b"def").await.unwrap();
        world.fail_nth(FaultKind::Sync, 1, 1);
        // The caller may be gone when the result arrives.
        drop(file.sync());
        assert!(file.sync().await.is_err());
        // Another handle gets a success.
        let other = env.fs.open(Path::new("db/f")).unwrap();
        other.sync().await.unwrap();
        assert!(file.sync().await.is_err());
    };
    world.block_on(work).unwrap();
    assert_eq!(left(&world, CrashMode::DropUnsynced, 0), b"abc");
}

#[test]
fn calls_are_delayed() {
    let world = half_synced();
    let env = world.env();
    let file = env.fs.open(Path::new("db/f")).unwrap();
    let start = world.now();
    world.delay_nth(FaultKind::Read, 2, 1, 3_000_000);
    let work = async {
        let mut took = Vec::new();
        for _ in 0..3 {
            let before = env.clock.now();
            file.read_at(0, 100).await.unwrap();
            took.push((env.clock.now() - before) / 1_000_000);
        }
        took
    };
    assert_eq!(world.block_on(work).unwrap(), [0, 3, 0]);
    assert!(world.now() > start + 3_000_000);
}

#[test]
fn files_at_rest_are_damaged() {
    let world = half_synced();
    let path = Path::new("db/f");
    world.flip_bit(path, 4999, 3).unwrap();
    world.truncate(path, 5001).unwrap();
    let left = left(&world, CrashMode::KeepAll, 0);
    assert_eq!(left.len(), 5001);
    assert_eq!(left[4998..], [1, 9, 2]);
    assert_eq!(
        world.flip_bit(path, 5001, 0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        world.truncate(Path::new("db/none"), 0).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_link_is_durable_with_its_directory_and_both_names_have_one_fate() {
    let world = half_synced();
    let fs = world.env().fs;
    fs.create_directory(Path::new("copy")).unwrap();
    world.fail_nth(FaultKind::Link, 1, 1);
    let refused = fs
        .hard_link(Path::new("db/f"), Path::new("copy/f"))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CrossesDevices);
    let calls = world.io_count();
    fs.hard_link(Path::new("db/f"), Path::new("copy/f"))
        .unwrap();
    assert_eq!(world.io_count(), calls + 1);
    let copy = |mode, seed| {
        world
            .crash_image(mode, seed)
            .unwrap()
            .read(Path::new("copy/f"))
            .ok()
    };
    assert_eq!(copy(CrashMode::DropUnsynced, 0), None);
    world
        .block_on(fs.sync_directory(Path::new("copy")))
        .unwrap()
        .unwrap();
    assert_eq!(copy(CrashMode::DropUnsynced, 0), Some(vec![1; 5000]));
    for seed in 0..20 {
        for mode in [CrashMode::Torn, CrashMode::Reordered] {
            assert_eq!(
                copy(mode, seed),
                Some(left(&world, mode, seed)),
                "{mode:?} {seed}"
            );
        }
    }
    fs.remove(Path::new("db/f")).unwrap();
    assert_eq!(copy(CrashMode::DropUnsynced, 0), Some(vec![1; 5000]));
}
