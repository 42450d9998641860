//! Tests of the three worlds: one law for all file systems, and what only real ones do.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::{DiskWorld, check_direct_io};
use super::memory::MemoryWorld;
use super::sim::{SimConfig, SimWorld};
use super::{CpuWork, Env};

/// Checks what every file system must do, in an empty directory `root`.
async fn file_system_law(env: &Env, root: &Path) {
    files_law(env, root).await;
    links_law(env, root).await;
    names_law(env, root).await;
    locks_law(env, root);
}

async fn files_law(env: &Env, root: &Path) {
    let path = root.join("a.log");
    let file = env.fs.create(&path).unwrap();
    assert_eq!(file.bytes().unwrap(), 0);
    file.append(b"hello ").await.unwrap();
    file.append(b"world").await.unwrap();
    file.append(b"").await.unwrap();
    assert_eq!(file.bytes().unwrap(), 11);
    file.sync().await.unwrap();
    file.sync().await.unwrap();

    let reader = env.fs.open(&path).unwrap();
    for handle in [&file, &reader] {
        assert_eq!(&handle.read_at(0, 11).await.unwrap()[..], b"hello world");
        assert_eq!(&handle.read_at(4, 3).await.unwrap()[..], b"o w");
        assert_eq!(handle.read_at(11, 0).await.unwrap().len(), 0);
        for (offset, bytes) in [(11, 1), (0, 12), (1000, 1), (0, 1 << 40)] {
            let error = handle.read_at(offset, bytes).await.unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::UnexpectedEof,
                "{bytes} at {offset}: {error}"
            );
        }
    }
    assert_eq!(
        reader.append(b"x").await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );

    let bulk: Vec<u8> = (0..700_000u32).map(|i| (i % 253) as u8).collect();
    file.append(&bulk).await.unwrap();
    assert_eq!(reader.bytes().unwrap(), 700_011);
    assert_eq!(
        &reader.read_at(200_011, 400_000).await.unwrap()[..],
        &bulk[200_000..600_000]
    );

    file.reserve(1 << 20);
    file.append(b"behind").await.unwrap();
    file.reserve(10);
    file.sync().await.unwrap();
    assert_eq!(file.bytes().unwrap(), 700_017);
    assert_eq!(&file.read_at(700_009, 8).await.unwrap()[2..], b"behind");
    file.finish();
    let whole = reader.read_at(0, reader.bytes().unwrap() as usize).await;
    assert_eq!(&whole.unwrap()[..17], b"hello world\0\x01\x02\x03\x04\x05");
    assert_eq!(reader.bytes().unwrap(), 700_017);

    let again = env.fs.create(&path).unwrap();
    assert_eq!(again.bytes().unwrap(), 0);
    assert_eq!(env.fs.open(&path).unwrap().bytes().unwrap(), 0);
    env.fs.remove(&path).unwrap();
    again.append(b"kept while it is open").await.unwrap();
    assert_eq!(&again.read_at(0, 4).await.unwrap()[..], b"kept");
}

async fn links_law(env: &Env, root: &Path) {
    let fs = &env.fs;
    let first = root.join("first");
    let second = root.join("linked/second");
    fs.create_directory(&root.join("linked")).unwrap();
    let file = fs.create(&first).unwrap();
    file.append(b"one").await.unwrap();
    fs.hard_link(&first, &second).unwrap();
    file.append(b" and two").await.unwrap();
    assert_eq!(
        &fs.open(&second).unwrap().read_at(0, 11).await.unwrap()[..],
        b"one and two"
    );
    fs.create(&root.join("third")).unwrap();
    let third = root.join("third");
    let nowhere = root.join("nowhere");
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(fs.hard_link(&third, &second)),
        ErrorKind::AlreadyExists
    );
    let missing_file = fs.hard_link(&nowhere, &root.join("x"));
    assert_eq!(kind(missing_file), ErrorKind::NotFound);
    let missing_directory = fs.hard_link(&first, &nowhere.join("x"));
    assert_eq!(kind(missing_directory), ErrorKind::NotFound);
    fs.remove(&first).unwrap();
    fs.rename(&root.join("third"), &first).unwrap();
    assert_eq!(
        &fs.open(&second).unwrap().read_at(0, 11).await.unwrap()[..],
        b"one and two"
    );
    fs.remove(&first).unwrap();
    fs.remove(&second).unwrap();
}

async fn names_law(env: &Env, root: &Path) {
    let fs = &env.fs;
    let deep = root.join("one/two");
    fs.create_directory(&deep).unwrap();
    fs.create_directory(&deep).unwrap();
    for name in ["b", "c", "a"] {
        let file = fs.create(&root.join("one").join(name)).unwrap();
        file.append(name.as_bytes()).await.unwrap();
    }
    fs.create(&deep.join("below")).unwrap();
    assert_eq!(fs.list(&root.join("one")).unwrap(), ["a", "b", "c"]);
    assert_eq!(fs.list(&deep).unwrap(), ["below"]);
    fs.sync_directory(&root.join("one")).await.unwrap();

    fs.rename(&root.join("one/a"), &root.join("one/c")).unwrap();
    fs.rename(&root.join("one/b"), &root.join("one/d")).unwrap();
    assert_eq!(fs.list(&root.join("one")).unwrap(), ["c", "d"]);
    let renamed = fs.open(&root.join("one/c")).unwrap();
    assert_eq!(&renamed.read_at(0, 1).await.unwrap()[..], b"a");

    let nowhere = root.join("nowhere");
    let missing = [
        fs.open(&nowhere).err(),
        fs.remove(&nowhere).err(),
        fs.rename(&nowhere, &root.join("x")).err(),
        fs.rename(&root.join("one/c"), &nowhere.join("x")).err(),
        fs.create(&nowhere.join("x")).err(),
        fs.list(&nowhere).err(),
        fs.sync_directory(&nowhere).await.err(),
        fs.lock(&nowhere.join("x")).err(),
    ];
    for (index, error) in missing.into_iter().enumerate() {
        assert_eq!(
            error.map(|error| error.kind()),
            Some(ErrorKind::NotFound),
            "call {index}"
        );
    }
    assert!(
        fs.create(&deep).is_err(),
        "a file cannot replace a directory"
    );
    assert!(
        fs.create_directory(&root.join("one/c/x")).is_err(),
        "a directory cannot be made below a file"
    );
    assert_eq!(fs.list(&root.join("one")).unwrap(), ["c", "d"]);
}

fn locks_law(env: &Env, root: &Path) {
    let path = root.join("LOCK");
    let held = env.fs.lock(&path).unwrap();
    assert_eq!(
        env.fs.lock(&path).err().map(|error| error.kind()),
        Some(ErrorKind::WouldBlock)
    );
    let other = env.fs.lock(&root.join("LOCK2")).unwrap();
    drop(held);
    drop(env.fs.lock(&path).unwrap());
    drop(other);
    let kind = |lock: std::io::Result<Box<dyn Send + Sync>>| lock.err().map(|error| error.kind());
    let missing = env.fs.lock_shared(&root.join("LOCK3"));
    assert_eq!(kind(missing), Some(ErrorKind::NotFound));
    let first = env.fs.lock_shared(&path).unwrap();
    let second = env.fs.lock_shared(&path).unwrap();
    drop(first);
    assert_eq!(kind(env.fs.lock(&path)), Some(ErrorKind::WouldBlock));
    drop(second);
    let held = env.fs.lock(&path).unwrap();
    assert_eq!(kind(env.fs.lock_shared(&path)), Some(ErrorKind::WouldBlock));
    drop(held);
    assert_eq!(env.fs.list(root).unwrap(), ["LOCK", "LOCK2"]);
}

#[test]
fn the_disk_keeps_the_law() {
    let directory = tempfile::tempdir().unwrap();
    let world = DiskWorld::new(2).unwrap();
    world.block_on(file_system_law(&world.env(), directory.path()));
}

#[test]
fn direct_io_keeps_the_law() {
    let directory = tempfile::tempdir().unwrap();
    if check_direct_io(directory.path()).is_err() {
        // Nothing to test: this file system, or system, has no direct I/O.
        return;
    }
    let world = DiskWorld::with_direct_io(2, |_| true).unwrap();
    world.block_on(file_system_law(&world.env(), directory.path()));
}

/// Reads that need no wait are the same reads. Returns how many there were.
async fn ready_reads(env: &Env, directory: &Path) -> usize {
    let file = env.fs.create(&directory.join("file")).unwrap();
    let written: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
    file.append(&written).await.unwrap();
    let mut ready = 0;
    for number in 0..100 {
        let (offset, bytes) = (number * 997, number * 7 % 5_000);
        let mut into = vec![0; bytes];
        if let Some(read) = file.read_ready(offset as u64, &mut into) {
            read.unwrap();
            assert_eq!(into, written[offset..offset + bytes]);
            ready += 1;
        }
        if let Some(beyond) = file.read_ready(99_999, &mut vec![0; 2 + number]) {
            let failure = beyond.map_err(|error| error.kind());
            assert_eq!(failure, Err(ErrorKind::UnexpectedEof));
        }
    }
    ready
}

#[test]
fn a_read_that_needs_no_wait_is_the_same_read() {
    let memory = MemoryWorld::new(1).unwrap();
    let root = Path::new("/root");
    memory.env().fs.create_directory(root).unwrap();
    assert_eq!(memory.block_on(ready_reads(&memory.env(), root)), 100);
    let simulated = SimWorld::new(&SimConfig::default());
    simulated.env().fs.create_directory(root).unwrap();
    let ready = simulated.block_on(ready_reads(&simulated.env(), root));
    assert_eq!(ready.unwrap(), 0, "a simulated device is always waited for");
    // How many depends on the file system.
    let directory = tempfile::tempdir().unwrap();
    let disk = DiskWorld::new(1).unwrap();
    disk.block_on(ready_reads(&disk.env(), directory.path()));
}

/// Returns whether each wait ended, and at its moment or later.
async fn waits_end_on_time(env: &Env) -> bool {
    let mut on_time = true;
    for nanos in [0, 1, 70_000, 400_000, 1_500_000] {
        let at = env.clock.now() + nanos;
        env.clock.sleep_until(at).await;
        env.clock.sleep_until(at).await;
        on_time &= env.clock.now() >= at;
    }
    on_time
}

#[test]
fn no_world_ends_a_wait_before_its_moment() {
    let disk = DiskWorld::new(1).unwrap();
    assert!(disk.block_on(waits_end_on_time(&disk.env())));
    let simulated = SimWorld::new(&SimConfig::default());
    let env = simulated.env();
    let start = env.clock.now();
    assert!(simulated.block_on(waits_end_on_time(&env)).unwrap());
    // Virtual time has no delays.
    assert_eq!(env.clock.now() - start, 1_970_001);
}

#[test]
fn symbolic_links_to_files_are_files_and_dangling_ones_take_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("elsewhere");
    let world = DiskWorld::new(1).unwrap();
    let fs = world.env().fs;
    fs.create_directory(&target).unwrap();
    fs.create(&target.join("file")).unwrap();
    for (name, leads_to) in [("a", "file"), ("b", "nothing"), ("c", "")] {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(target.join(leads_to), link).unwrap();
    }
    assert_eq!(fs.list(directory.path()).unwrap(), ["a", "b"]);
}

#[test]
fn memory_keeps_the_law() {
    let world = MemoryWorld::new(1).unwrap();
    let env = world.env();
    env.fs.create_directory(Path::new("db")).unwrap();
    world.block_on(file_system_law(&env, Path::new("db")));
}

#[test]
fn the_simulation_keeps_the_law_on_every_device() {
    for device in super::sim::profiles() {
        let world = SimWorld::new(&SimConfig {
            device,
            ..SimConfig::default()
        });
        let env = world.env();
        env.fs.create_directory(Path::new("/db")).unwrap();
        world
            .block_on(file_system_law(&env, Path::new("/db")))
            .unwrap();
    }
}

#[test]
fn memory_worlds_share_their_files_between_envs_and_not_with_others() {
    let one = MemoryWorld::new(1).unwrap();
    let other = MemoryWorld::new(1).unwrap();
    one.env().fs.create(Path::new("x")).unwrap();
    assert!(one.env().fs.open(Path::new("x")).is_ok());
    assert!(other.env().fs.open(Path::new("x")).is_err());
}

/// A task that it woke waits on the same thread until the job gives way.
#[test]
fn a_job_on_a_disk_gives_way_to_the_task_that_it_woke() {
    let world = DiskWorld::new(1).unwrap();
    let env = world.env();
    let (tx, rx) = tokio::sync::oneshot::channel();
    let job = async move {
        let woken = Arc::new(AtomicU64::new(0));
        let task = woken.clone();
        env.tasks.spawn(
            "woken",
            Box::pin(async move { task.store(1, Ordering::SeqCst) }),
        );
        for _ in 0..100 {
            env.clock.wait_for_cpu().await;
        }
        tx.send(woken.load(Ordering::SeqCst)).unwrap();
    };
    world.env().tasks.spawn("job", Box::pin(job));
    assert_eq!(world.block_on(async { rx.await.unwrap() }), 1);
}

#[test]
fn the_disk_world_runs_tasks_and_timers_and_can_be_dropped_inside_a_runtime() {
    let outer = DiskWorld::new(1).unwrap();
    let counter = Arc::new(AtomicU64::new(0));
    outer.block_on(async {
        let inner = DiskWorld::new(1).unwrap();
        let env = inner.env();
        let (tx, rx) = tokio::sync::oneshot::channel();
        let clock = env.clock.clone();
        let count = counter.clone();
        let task = async move {
            let before = clock.now();
            clock.sleep(1_000_000).await;
            clock.charge(&CpuWork {
                operations: 1,
                ..CpuWork::default()
            });
            clock.wait_for_cpu().await;
            count.store(clock.now() - before, Ordering::SeqCst);
            tx.send(()).unwrap();
        };
        env.tasks.spawn("timer", Box::pin(task));
        rx.await.unwrap();
        // Created by one runtime's clock and awaited in another.
        env.clock.sleep(1).await;
    });
    assert!(counter.load(Ordering::SeqCst) >= 1_000_000);
}
