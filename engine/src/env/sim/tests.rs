//! Tests of the simulated machine against numbers computed by hand.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::*;
use crate::env::{File, lock};

const PAGE: usize = 4096;

/// A device with two units. A page takes 1 us on the link, a read 1 + 10 us, a program 100 us, an
/// acknowledgement 4 us, a sync 50 us.
fn two_units() -> DeviceModel {
    DeviceModel {
        units: 2,
        stripe: 4096,
        base_us: 1.0,
        read_us: Latency::constant(10.0),
        write_us: Latency::constant(4.0),
        program_us: 100.0,
        write_bytes: 4096,
        write_depth: 2,
        write_cache: true,
        sync_us: Latency::constant(50.0),
        read_bandwidth: 4_096_000_000,
        write_bandwidth: 4_096_000_000,
        ..DeviceModel::NULL
    }
}

fn config(model: DeviceModel) -> SimConfig {
    let device = DeviceProfile {
        profile: "test".to_owned(),
        source: "by hand".to_owned(),
        model,
    };
    SimConfig {
        device,
        cpu: CpuCosts::FREE,
        cores: 2,
        seed: 1,
    }
}

/// Returns a world with one file of `pages` pages at rest, open for reading.
fn world_with_file(config: &SimConfig, pages: usize) -> (SimWorld, Arc<dyn File>) {
    let maker = SimWorld::new(&self::config(DeviceModel::NULL));
    let file = maker.env().fs.create(Path::new("f")).unwrap();
    maker
        .block_on(file.append(&vec![7; pages * PAGE]))
        .unwrap()
        .unwrap();
    let image = maker.crash_image(CrashMode::KeepAll, 0).unwrap();
    let world = SimWorld::with_image(config, &image).unwrap();
    let file = world.env().fs.open(Path::new("f")).unwrap();
    (world, file)
}

/// Waits for all futures. Returns when each was ready.
async fn join<T>(env: &Env, futures: impl IntoIterator<Item = MaybeReady<T>>) -> Vec<u64>
where
    T: Unpin,
{
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (future, None)).collect();
    poll_fn(|context| {
        for (future, done) in &mut waiting {
            if done.is_none() && Pin::new(future).poll(context).is_ready() {
                *done = Some(env.clock.now());
            }
        }
        match waiting.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

fn read_times(config: &SimConfig, pages: usize, reads: &[(u64, usize)]) -> Vec<u64> {
    let (world, file) = world_with_file(config, pages);
    let reads = reads.iter().map(|&(page, pages)| {
        let offset = page * PAGE as u64;
        file.read_at(offset, pages * PAGE)
    });
    world.block_on(join(&world.env(), reads)).unwrap()
}

#[test]
fn reads_wait_for_their_unit_and_then_for_the_link() {
    let config = config(two_units());
    assert_eq!(read_times(&config, 8, &[(0, 1)]), [12_000]);
    // On one unit: 1 + 10 + 10, then the link.
    assert_eq!(read_times(&config, 8, &[(0, 1), (2, 1)]), [12_000, 22_000]);
    // On two units, ready together: the link takes them in turn.
    assert_eq!(read_times(&config, 8, &[(0, 1), (1, 1)]), [12_000, 13_000]);
    // One read over both units, and one over four stripes: 1 + 10 + 10 + 2 x 1.
    assert_eq!(read_times(&config, 8, &[(0, 2)]), [13_000]);
    assert_eq!(read_times(&config, 8, &[(0, 4)]), [23_000]);
}

#[test]
fn a_slow_unit_does_not_hold_the_link() {
    // The third read reaches the link only after 31 us. The fourth, on the other unit, overtakes
    // it.
    let times = read_times(&config(two_units()), 8, &[(0, 1), (2, 1), (4, 1), (1, 1)]);
    assert_eq!(times, [12_000, 22_000, 32_000, 13_000]);
}

#[test]
fn sixteen_reads_on_sixteen_units_take_one_latency() {
    let model = DeviceModel {
        units: 16,
        read_bandwidth: 0,
        ..two_units()
    };
    let spread: Vec<_> = (0..16).map(|page| (page, 1)).collect();
    assert_eq!(
        read_times(&config(model.clone()), 64, &spread),
        [11_000; 16]
    );
    let one_unit: Vec<_> = (0..4).map(|page| (page * 16, 1)).collect();
    assert_eq!(
        read_times(&config(model), 64, &one_unit),
        [11_000, 21_000, 31_000, 41_000]
    );
}

#[test]
fn a_read_that_takes_no_time_waits_for_no_other_work_and_is_counted() {
    let model = DeviceModel {
        read_us: Latency::constant(0.0),
        read_bandwidth: 0,
        base_us: 0.0,
        ..two_units()
    };
    let mut config = config(model);
    let reads = [(0, 1), (0, 4), (8, 1)];
    assert_eq!(read_times(&config, 16, &reads), [0, 0, 0]);
    config.device.model.iops = 1000;
    // Of 1,000 a second, one after the other.
    let limited = read_times(&config, 16, &[(0, 1), (4, 1), (8, 1)]);
    assert_eq!(limited, [0, 1_000_000, 2_000_000]);
}

#[test]
fn a_volume_limits_requests_and_bytes_a_second() {
    let model = DeviceModel {
        iops: 1000,
        read_bandwidth: 0,
        units: 16,
        ..two_units()
    };
    let reads: Vec<_> = (0..5).map(|page| (page, 1)).collect();
    let every_ms: Vec<u64> = (0..5).map(|i| i * 1_000_000 + 11_000).collect();
    assert_eq!(read_times(&config(model.clone()), 16, &reads), every_ms);
    // A credit of 2 ms lets the first three go at once.
    let burst = DeviceModel {
        burst_ms: 2.0,
        ..model.clone()
    };
    assert_eq!(
        read_times(&config(burst), 16, &reads),
        [11_000, 11_000, 11_000, 1_011_000, 2_011_000]
    );
    let bytes = DeviceModel {
        iops: 0,
        throughput: 4_096_000,
        ..model
    };
    assert_eq!(read_times(&config(bytes), 16, &reads), every_ms);
}

#[test]
fn heads_seek_unless_they_are_at_the_place() {
    let model = DeviceModel {
        read_bandwidth: 4_096_000_000,
        seek_capacity: 1 << 40,
        seek_min_us: 1000.0,
        seek_max_us: 1000.0,
        rotation_us: 8000.0,
        ..DeviceModel::NULL
    };
    let (world, file) = world_with_file(&config(model), 64);
    let env = world.env();
    world
        .block_on(async {
            for (page, expected) in [
                (0, 1_000),
                (1, 2_000),
                (40, 5_003_000),
                (41, 5_004_000),
                (0, 10_005_000),
            ] {
                file.read_at(page * PAGE as u64, PAGE).await.unwrap();
                assert_eq!(env.clock.now(), expected, "page {page}");
            }
        })
        .unwrap();
}

/// Returns when a sync of `bytes` appended bytes ends, from time 0.
fn sync_time(model: DeviceModel, bytes: usize) -> u64 {
    let world = SimWorld::new(&config(model));
    let file = world.env().fs.create(Path::new("f")).unwrap();
    world
        .block_on(async {
            file.append(&vec![1; bytes]).await.unwrap();
            file.sync().await.unwrap();
        })
        .unwrap();
    world.now()
}

#[test]
fn a_sync_waits_for_the_write_back() {
    // Link 1, acknowledged 4, sync 50.
    assert_eq!(sync_time(two_units(), PAGE), 55_000);
    // The device takes two pieces. The third goes when the first is programmed, at 101: link 102,
    // acknowledged 106.
    assert_eq!(sync_time(two_units(), 3 * PAGE), 156_000);
    // A tail is written back because of the sync; 100 bytes take 24 ns.
    assert_eq!(sync_time(two_units(), 100), 54_024);
    // Without a write cache a piece is acknowledged once programmed: 1 + 100 + 4. The third piece
    // goes at 105 and waits for its transfer (106) and its program (206).
    let plain = DeviceModel {
        write_cache: false,
        ..two_units()
    };
    assert_eq!(sync_time(plain.clone(), PAGE), 155_000);
    assert_eq!(sync_time(plain, 3 * PAGE), 260_000);
    assert_eq!(sync_time(DeviceModel::NULL, 3 * PAGE), 0);
}

#[test]
fn a_synced_file_overtakes_the_write_back_of_others() {
    let world = SimWorld::new(&config(two_units()));
    let fs = world.env().fs;
    let table = fs.create(Path::new("table")).unwrap();
    let log = fs.create(Path::new("log")).unwrap();
    world
        .block_on(async {
            table.append(&vec![1; 100 * PAGE]).await.unwrap();
            log.append(&[2; 100]).await.unwrap();
            log.sync().await.unwrap();
        })
        .unwrap();
    // Two pieces of the table are under way. The log's piece goes at 101 us.
    assert_eq!(world.now(), 101_000 + 54_024);
}

#[test]
fn the_pieces_of_a_synced_file_keep_their_order() {
    let world = SimWorld::new(&config(two_units()));
    let fs = world.env().fs;
    let table = fs.create(Path::new("table")).unwrap();
    let log = fs.create(Path::new("log")).unwrap();
    world
        .block_on(async {
            table.append(&vec![1; 10 * PAGE]).await.unwrap();
            log.append(&vec![2; 3 * PAGE + 100]).await.unwrap();
            log.sync().await.unwrap();
        })
        .unwrap();
    // The log's four pieces go at 101, 102, 202 and 203 us (two in flight, 1 us on the link, 100 us
    // a program).
    assert_eq!(world.now(), 203_000 + 54_024);
}

#[test]
fn an_append_waits_while_too_much_is_dirty() {
    let world = SimWorld::new(&config(DeviceModel {
        dirty_limit: 2 * PAGE as u64,
        ..two_units()
    }));
    let file = world.env().fs.create(Path::new("f")).unwrap();
    world
        .block_on(file.append(&vec![1; 2 * PAGE]))
        .unwrap()
        .unwrap();
    assert_eq!(world.now(), 0);
    // Six pages are dirty. Those acknowledged at 5, 6, 106 and 107 us make room.
    world
        .block_on(file.append(&vec![1; 4 * PAGE]))
        .unwrap()
        .unwrap();
    assert_eq!(world.now(), 107_000);
    let read = world.block_on(file.read_at(5 * PAGE as u64, 3)).unwrap();
    assert_eq!(&read.unwrap()[..], &[1; 3]);
    assert_eq!(
        world.now(),
        107_000,
        "bytes not yet written back are in memory"
    );
}

#[test]
fn reads_wait_behind_programs() {
    let world = SimWorld::new(&config(two_units()));
    let env = world.env();
    let file = env.fs.create(Path::new("f")).unwrap();
    world
        .block_on(async {
            file.append(&vec![1; 2 * PAGE]).await.unwrap();
            env.clock.sleep(10_000).await;
            // Units are programmed until 101 and 102 us; file 0 starts on unit 0.
            file.read_at(0, PAGE).await.unwrap();
        })
        .unwrap();
    assert_eq!(world.now(), 112_000);
    let stats = world.stats();
    let expected = SimStats {
        events: stats.events,
        device_reads: 1,
        device_read_bytes: 4096,
        device_writes: 2,
        device_write_bytes: 8192,
        device_syncs: 0,
        device_busy_nanos: 210_000,
        device_wait_nanos: 90_000,
        cpu_nanos: stats.cpu_nanos,
        cpu_wait_nanos: stats.cpu_wait_nanos,
    };
    assert_eq!(stats, expected);
}

#[test]
fn cores_are_shared_and_fractions_are_kept() {
    let cpu = CpuCosts {
        operation_ns: 100.0,
        comparison_ns: 0.4,
        ..CpuCosts::FREE
    };
    let world = SimWorld::new(&SimConfig {
        cpu,
        ..config(two_units())
    });
    let env = world.env();
    let ends = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..5 {
        let clock = env.clock.clone();
        let ends = ends.clone();
        let task = async move {
            clock.charge(&CpuWork {
                operations: 1,
                ..CpuWork::default()
            });
            clock.wait_for_cpu().await;
            lock(&ends).push(clock.now());
        };
        env.tasks.spawn("worker", Box::pin(task));
    }
    world.block_on(env.clock.sleep(1000)).unwrap();
    assert_eq!(*lock(&ends), [100, 100, 200, 200, 300]);
    assert_eq!(world.stats().cpu_nanos, 500);
    assert_eq!(world.stats().cpu_wait_nanos, 400);

    world
        .block_on(async {
            for expected in [1000, 1000, 1001, 1001, 1002] {
                env.clock.charge(&CpuWork {
                    comparisons: 1,
                    ..CpuWork::default()
                });
                env.clock.wait_for_cpu().await;
                assert_eq!(env.clock.now(), expected);
            }
        })
        .unwrap();
}

#[test]
fn a_request_starts_after_the_work_charged_before_it() {
    let cpu = CpuCosts {
        operation_ns: 500.0,
        ..CpuCosts::FREE
    };
    let config = SimConfig {
        cpu,
        ..config(two_units())
    };
    for beside in [false, true] {
        let (world, file) = world_with_file(&config, 8);
        let env = world.env();
        if beside {
            // With an event in between, the clock cannot move in place.
            let clock = env.clock.clone();
            env.tasks
                .spawn("sleeper", Box::pin(async move { clock.sleep(100).await }));
        }
        world
            .block_on(async {
                env.clock.charge(&CpuWork {
                    operations: 1,
                    ..CpuWork::default()
                });
                file.read_at(0, PAGE).await.unwrap();
                assert_eq!(env.clock.now(), 12_500);
                env.clock.wait_for_cpu().await;
                assert_eq!(env.clock.now(), 12_500, "it was charged once");
            })
            .unwrap();
    }
}

#[test]
fn sleeps_are_exact_and_ties_keep_their_order() {
    let world = SimWorld::new(&config(DeviceModel::NULL));
    let env = world.env();
    let log = Arc::new(Mutex::new(Vec::new()));
    for (name, nanos) in [("c", 7), ("a", 5), ("b", 5), ("d", 7)] {
        let clock = env.clock.clone();
        let log = log.clone();
        let task = async move {
            clock.sleep(nanos).await;
            lock(&log).push((name, clock.now()));
            clock.sleep(1_000_000_007).await;
            lock(&log).push((name, clock.now()));
        };
        env.tasks.spawn(name, Box::pin(task));
    }
    world.block_on(env.clock.sleep(2_000_000_000)).unwrap();
    let second = [
        ("a", 1_000_000_012),
        ("b", 1_000_000_012),
        ("c", 1_000_000_014),
        ("d", 1_000_000_014),
    ];
    assert_eq!(lock(&log)[..4], [("a", 5), ("b", 5), ("c", 7), ("d", 7)]);
    assert_eq!(lock(&log)[4..], second);
}

/// What two runs with the same seed must have in common.
#[derive(Debug, PartialEq)]
struct BusyRun {
    fingerprint: u64,
    end: u64,
    stats: SimStats,
}

/// Runs some tasks that read, write, sync and compute.
fn busy_run(seed: u64) -> BusyRun {
    let world = SimWorld::new(&SimConfig {
        seed,
        ..SimConfig::default()
    });
    let env = world.env();
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..6u64 {
        let env = env.clone();
        let tx = tx.clone();
        let task = async move {
            let file = env.fs.create(Path::new(&format!("f{number}"))).unwrap();
            for round in 0..40u64 {
                file.append(&vec![number as u8; 9000]).await.unwrap();
                env.clock.charge(&CpuWork {
                    operations: 1,
                    comparisons: round,
                    ..CpuWork::default()
                });
                env.clock.wait_for_cpu().await;
                if round % 5 == number % 5 {
                    file.sync().await.unwrap();
                }
                file.read_at(round * 4096, 4096).await.unwrap();
            }
            tx.send(number).unwrap();
        };
        env.tasks.spawn("client", Box::pin(task));
    }
    drop(tx);
    world
        .block_on(async {
            let mut ended = 0;
            while rx.recv().await.is_some() {
                ended += 1;
            }
            assert_eq!(ended, 6);
        })
        .unwrap();
    BusyRun {
        fingerprint: world.fingerprint(),
        end: world.now(),
        stats: world.stats(),
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    assert_eq!(busy_run(1), busy_run(1));
    assert_ne!(busy_run(1).fingerprint, busy_run(2).fingerprint);
}

#[test]
fn a_deadlock_names_the_tasks_that_wait() {
    let world = SimWorld::new(&config(DeviceModel::NULL));
    let (_tx, rx) = tokio::sync::oneshot::channel::<()>();
    world
        .env()
        .tasks
        .spawn("flusher", Box::pin(async move { drop(rx.await) }));
    world.env().tasks.spawn("done", Box::pin(async {}));
    let error = world.block_on(std::future::pending::<()>()).unwrap_err();
    assert_eq!(
        error,
        SimError::Deadlock {
            tasks: vec!["flusher"]
        }
    );
    assert!(error.to_string().contains("flusher"));
    assert_eq!(
        world.block_on(async { world.block_on(async {}) }).unwrap(),
        Err(SimError::Reentered)
    );
}

#[test]
fn tasks_go_on_in_the_next_block_on_and_end_with_the_world() {
    let world = SimWorld::new(&config(DeviceModel::NULL));
    let env = world.env();
    let alive = Arc::new(Mutex::new(0));
    let held = alive.clone();
    let clock = env.clock.clone();
    let keeps = env.clone();
    let task = async move {
        loop {
            clock.sleep(10).await;
            *lock(&held) += 1;
            let _ = &keeps;
        }
    };
    env.tasks.spawn("ticker", Box::pin(task));
    world.block_on(env.clock.sleep(35)).unwrap();
    assert_eq!(*lock(&alive), 3);
    world.block_on(env.clock.sleep(20)).unwrap();
    assert_eq!(*lock(&alive), 5);
    drop(world);
    assert_eq!(Arc::strong_count(&alive), 1, "the task was dropped");
    let late = alive.clone();
    env.tasks
        .spawn("late", Box::pin(async move { *lock(&late) += 1 }));
    assert_eq!(
        Arc::strong_count(&alive),
        1,
        "nothing starts in a world that is gone"
    );
}
