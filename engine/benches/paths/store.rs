//! Engines with data in them, and the keys to ask for.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use aura_engine::env::memory::MemoryFs;
use aura_engine::{
    AuraEngine, Batch, Engine, EngineBuilder, EngineConfig, SplitBuilder, SplitEngine, Telemetry,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use tempfile::TempDir;

/// Keys of a loaded engine.
pub(crate) const KEYS: u64 = 100_000;

/// Bytes of a value, where nothing else is said.
pub(crate) const VALUE_BYTES: usize = 100;

/// Returns the key of a number: a bijection that scatters the numbers, in hexadecimal.
pub(crate) fn key(number: u64) -> [u8; 16] {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 16];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(scattered >> (60 - 4 * at)) as usize & 15];
    }
    key
}

/// Returns the numbers of keys without end: each is met once before the first comes again.
pub(crate) fn numbers() -> impl FnMut() -> u64 {
    let mut at = 0;
    move || {
        at = (at + 7_919) % KEYS;
        at
    }
}

/// Returns the result of a call that has nothing to wait for. It is there at the first poll;
/// anything else would be measured wrongly.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call that needs no device has to wait"),
    }
}

/// Returns settings with small memtables and a cache that holds everything.
pub(crate) fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(4);
    config.cache.size = ByteSize::mib(256);
    config
}

/// Returns the ways to store values, and the separation policy of each.
pub(crate) fn separations() -> [(&'static str, PolicySpec); 2] {
    let threshold = PolicySpec::named("threshold").with("bytes", 128);
    [
        ("inline", PolicySpec::named("never")),
        ("separated", threshold),
    ]
}

/// An engine, and the world that it works in.
pub(crate) struct Store<E = AuraEngine> {
    pub(crate) engine: E,
    world: DiskWorld,
    _directory: Option<TempDir>,
}

impl Store {
    /// Opens an empty engine whose files are in memory.
    pub(crate) fn in_memory(config: EngineConfig) -> Self {
        Self::observed(config, Telemetry::default())
    }

    /// Opens an empty engine whose files are in memory, with these settings of telemetry.
    pub(crate) fn observed(config: EngineConfig, telemetry: Telemetry) -> Self {
        let (world, env) = memory();
        let builder = EngineBuilder::new(env, "/bench")
            .config(config)
            .telemetry(telemetry);
        let engine = world.block_on(builder.open()).expect("it opens");
        Self {
            engine,
            world,
            _directory: None,
        }
    }

    /// Opens an empty engine in a temporary directory.
    pub(crate) fn on_disk(config: EngineConfig) -> Self {
        let world = DiskWorld::new(2).expect("threads");
        let directory = tempfile::tempdir().expect("a directory");
        let builder = EngineBuilder::new(world.env(), directory.path()).config(config);
        let engine = world.block_on(builder.open()).expect("it opens");
        Self {
            engine,
            world,
            _directory: Some(directory),
        }
    }
}

impl Store<SplitEngine> {
    /// Opens an empty split database whose files are in memory: each side has half of the memory
    /// that `config` gives to memtables and cache.
    pub(crate) fn split(mut config: EngineConfig) -> Self {
        config.memtable = ByteSize::b(config.memtable.as_u64() / 2);
        config.cache.size = ByteSize::b(config.cache.size.as_u64() / 2);
        let (world, env) = memory();
        let builder = SplitBuilder::new(env, "/bench").sides([config.clone(), config]);
        let engine = world.block_on(builder.open()).expect("it opens");
        Self {
            engine,
            world,
            _directory: None,
        }
    }
}

impl<E: Engine> Store<E> {
    /// Writes every key, merges all into one run, and reads every key once.
    pub(crate) fn loaded(self, value_bytes: usize) -> Self {
        self.run(load(&self.engine, value_bytes));
        self
    }

    /// Returns the result of `future`.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.world.block_on(future)
    }
}

/// A world whose files are in memory.
fn memory() -> (DiskWorld, Env) {
    let world = DiskWorld::new(2).expect("threads");
    let env = Env {
        fs: Arc::new(MemoryFs::default()),
        ..world.env()
    };
    (world, env)
}

/// Writes every key, merges all into one run, and reads every key once.
pub(crate) async fn load(engine: &impl Engine, value_bytes: usize) {
    fill(engine, 0..KEYS, key, value_bytes).await;
    engine.compact().await.expect("it merges");
    for number in 0..KEYS {
        engine.get(&key(number)).await.expect("it reads");
    }
}

/// Writes the keys of `numbers`, in batches of 100.
pub(crate) async fn fill<K: AsRef<[u8]>>(
    engine: &impl Engine,
    numbers: impl IntoIterator<Item = u64>,
    key: fn(u64) -> K,
    value_bytes: usize,
) {
    let mut numbers = numbers.into_iter().peekable();
    while numbers.peek().is_some() {
        let mut batch = Batch::new();
        for number in numbers.by_ref().take(100) {
            let value = vec![number as u8; value_bytes];
            batch.put(key(number).as_ref(), &value).expect("it fits");
        }
        engine.write(batch).await.expect("it writes");
    }
}
