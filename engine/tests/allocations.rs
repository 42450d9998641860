//! How often an operation allocates memory, exactly.
//!
//! The calling thread's allocations are counted. Of many equal operations the median counts:
//! buffers that grow with the database are enlarged now and then.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{AuraEngine, Direction, Engine, EngineBuilder, EngineConfig, Range};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
struct Counting;

fn count() {
    // A thread that ends has no counter any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

#[expect(
    unsafe_code,
    reason = "an allocator's methods are unsafe; these count, and hand each call on as it is"
)]
// SAFETY: every call goes to the system's allocator, with the arguments that the caller vouches
// for. Counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const KEYS: u64 = 2_000;

fn key(number: u64) -> String {
    format!(
        "user{:016}",
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 14
    )
}

/// Returns the allocations of one operation of many: the median.
async fn typical<F: Future>(mut operation: impl FnMut(u64) -> F) -> u64 {
    let mut counts = Vec::with_capacity(201);
    for number in 0..201 {
        let operation = operation(number);
        let before = ALLOCATIONS.get();
        operation.await;
        counts.push(ALLOCATIONS.get() - before);
    }
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// Runs `test` on an engine in a directory of its own, whose values of 500 bytes go to the value
/// log.
fn with_engine(cache: ByteSize, test: impl AsyncFn(&AuraEngine)) {
    let directory = tempfile::tempdir().unwrap();
    let world = DiskWorld::new(1).unwrap();
    let mut config = EngineConfig::default();
    config.cache.size = cache;
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    world.block_on(async {
        let builder = EngineBuilder::new(world.env(), directory.path()).config(config);
        let engine = builder.open().await.unwrap();
        for number in 0..KEYS {
            engine.put(key(number).as_bytes(), &[7; 100]).await.unwrap();
        }
        test(&engine).await;
        engine.close().await.unwrap();
    });
}

async fn get(engine: &AuraEngine, key: String) {
    assert!(engine.get(key.as_bytes()).await.unwrap().is_some());
}

async fn put(engine: &AuraEngine, key: String, value: &[u8]) {
    engine.put(key.as_bytes(), value).await.unwrap();
}

/// Reads rows, and returns the allocations that took.
async fn scan(engine: &AuraEngine, rows: usize) -> u64 {
    let before = ALLOCATIONS.get();
    let mut scan = engine.scan(Range::all(), Direction::Forward).limit(rows);
    let mut read = 0;
    while scan.next().await.unwrap().is_some() {
        read += 1;
    }
    assert_eq!(read, rows);
    ALLOCATIONS.get() - before
}

#[test]
fn a_put_allocates_its_record_and_no_more() {
    with_engine(ByteSize::mib(8), async |engine| {
        let put_small = |number| put(engine, key(KEYS + number), &[7; 100]);
        assert_eq!(typical(put_small).await, 1);
        // And the frame of its value.
        let put_large = |number| put(engine, key(KEYS + number), &[7; 1_000]);
        assert_eq!(typical(put_large).await, 2);
    });
}

#[test]
fn a_get_allocates_what_it_reads() {
    with_engine(ByteSize::mib(8), async |engine| {
        // A copy of the value.
        assert_eq!(typical(|number| get(engine, key(number))).await, 1);
        engine.flush().await.unwrap();
        for number in 0..KEYS {
            get(engine, key(number)).await;
        }
        assert_eq!(typical(|number| get(engine, key(number))).await, 0);
    });
}

#[test]
fn a_get_that_reads_a_block_allocates_the_block() {
    with_engine(ByteSize::b(0), async |engine| {
        engine.flush().await.unwrap();
        assert_eq!(typical(|number| get(engine, key(number))).await, 2);
    });
}

#[test]
fn a_scan_allocates_by_slices_and_blocks_and_not_by_rows() {
    with_engine(ByteSize::mib(8), async |engine| {
        let of_memtable = scan(engine, 1_500).await - scan(engine, 500).await;
        engine.flush().await.unwrap();
        scan(engine, 1_500).await;
        let of_blocks = scan(engine, 1_500).await - scan(engine, 500).await;
        // Four for every 128 rows of a memtable: two lists, and a buffer with its counter.
        assert_eq!((of_memtable, of_blocks), (32, 0));
    });
}
