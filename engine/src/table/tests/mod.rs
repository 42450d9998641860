//! Helpers for the tests of tables: a world that never waits, and tables made from lists of
//! entries.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aura_policies::PolicySpec;
use aura_policies::facts::TableFacts;
use aura_policies::filter::FilterFacts;
use bytes::Bytes;
use bytesize::ByteSize;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::cache::BlockCache;
use crate::config::{CacheConfig, Compression, IndexGate, IndexReads};
use crate::context::ReadContext;
use crate::directory::Files;
use crate::env::memory::MemoryFs;
use crate::env::{Clock, CpuWork, Fs, MaybeReady};
use crate::error::{Error, Result};
use crate::index::IndexBuild;
use crate::storage::{Entry, EntryKind};

mod behaviour;
mod damage;
mod golden;
mod indexes;
mod round_trip;

/// A clock that stands still and records the work charged to it.
#[derive(Default)]
struct Still {
    charged: Mutex<Vec<CpuWork>>,
}

impl Clock for Still {
    fn now(&self) -> u64 {
        0
    }

    fn sleep(&self, _nanos: u64) -> MaybeReady<()> {
        MaybeReady::ready(())
    }

    fn charge(&self, work: &CpuWork) {
        self.charged.lock().unwrap().push(*work);
    }

    fn wait_for_cpu(&self) -> MaybeReady<()> {
        MaybeReady::ready(())
    }
}

/// Files in memory, a cache and a clock. No operation waits.
struct World {
    fs: Arc<MemoryFs>,
    clock: Still,
    cache: Arc<BlockCache>,
}

impl World {
    fn new(cache_bytes: u64) -> Self {
        let config = CacheConfig {
            size: ByteSize(cache_bytes),
            shards: 1,
            ..CacheConfig::default()
        };
        Self {
            fs: Arc::default(),
            clock: Still::default(),
            cache: Arc::new(BlockCache::new(&config, 0).unwrap()),
        }
    }

    fn context(&self) -> ReadContext<'_> {
        ReadContext::new(&self.cache, &self.clock)
    }

    fn build(&self, options: &Arc<TableOptions>, entries: &[Entry]) -> Result<Built> {
        let file = Files::on(&*self.fs).create(path())?;
        let mut work = CpuWork::default();
        let mut builder = TableBuilder::new(file, Arc::clone(options));
        for entry in entries {
            let before = builder.file_bytes();
            ready(builder.add(entry, &mut work))?;
            assert!(options.compression != Compression::None || builder.file_bytes() > before);
        }
        ready(builder.finish(&mut work))
    }

    fn open_as(&self, facts: TableFacts) -> Result<Table> {
        self.open_counting(facts, &mut self.context())
    }

    fn open_counting(&self, facts: TableFacts, context: &mut ReadContext<'_>) -> Result<Table> {
        let file = Files::on(&*self.fs).open(path())?;
        ready(Table::open(self.fs.clone(), file, Arc::new(facts), context))
    }

    fn table(&self, options: &Arc<TableOptions>, entries: &[Entry]) -> Arc<Table> {
        let built = self.build(options, entries).unwrap();
        Arc::new(self.open_as(facts(&built)).unwrap())
    }

    fn contents(&self) -> Vec<u8> {
        let file = self.fs.open(path()).unwrap();
        ready(file.read_at(0, file.bytes().unwrap() as usize))
            .unwrap()
            .to_vec()
    }

    fn overwrite(&self, contents: &[u8]) {
        ready(self.fs.create(path()).unwrap().append(contents)).unwrap();
    }
}

/// A point read.
fn get(
    table: &Table,
    key: &[u8],
    snapshot: u64,
    context: &mut ReadContext<'_>,
) -> Result<Option<Entry>> {
    Ok(ready(table.get(key, hash_key(key), snapshot, context))?.map(|found| found.entry))
}

fn path() -> &'static Path {
    Path::new("t.sst")
}

/// Polls a future that never waits, and returns its result.
fn ready<T>(future: impl Future<Output = T> + Send) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call that needs no device waited"),
    }
}

fn facts(built: &Built) -> TableFacts {
    TableFacts {
        id: 7,
        bytes: built.bytes,
        entries: built.entries,
        deletions: built.deletions,
        separated_bytes: built.separated_bytes,
        smallest: built.smallest.clone(),
        largest: built.largest.clone(),
        sequence_min: built.sequence_min,
        sequence_max: built.sequence_max,
    }
}

/// A gate that accepts every correct model.
fn any_model() -> IndexGate {
    IndexGate {
        memory: 1e9,
        window_blocks: u32::MAX,
        probes: 1e9,
    }
}

fn index_build(spec: &PolicySpec, gate: IndexGate) -> IndexBuild {
    let policy = aura_policies::index::build(spec).unwrap().into();
    IndexBuild {
        policy,
        spec: spec.clone(),
        gate,
        clock: Arc::new(Still::default()),
    }
}

fn options(
    compression: Compression,
    index: &str,
    filter: &str,
    block_bytes: usize,
) -> Arc<TableOptions> {
    Arc::new(TableOptions {
        block_bytes,
        compression,
        filter: aura_policies::filter::build(&PolicySpec::named(filter))
            .unwrap()
            .into(),
        filter_name: filter.to_owned(),
        index: index_build(&PolicySpec::named(index), any_model()),
        facts: FilterFacts {
            level: 1,
            deepest: 3,
            ..FilterFacts::default()
        },
        keeps_cuts: false,
    })
}

fn put(key: &[u8], sequence: u64, value: &[u8]) -> Entry {
    let key = Bytes::copy_from_slice(key);
    let value = Bytes::copy_from_slice(value);
    Entry {
        key,
        sequence,
        kind: EntryKind::Put,
        value,
    }
}

fn delete(key: &[u8], sequence: u64) -> Entry {
    Entry {
        key: Bytes::copy_from_slice(key),
        sequence,
        kind: EntryKind::Delete,
        value: Bytes::new(),
    }
}

/// Numbers 0, 2, 4, .. as 8-byte keys.
fn even_numbers(count: u64) -> Vec<Entry> {
    (0..count)
        .map(|i| {
            put(
                &(2 * i).to_be_bytes(),
                i + 1,
                format!("value {i}").as_bytes(),
            )
        })
        .collect()
}

/// Returns the entry that a table must return for `key` at `snapshot`, by a search through all
/// entries.
fn newest<'a>(entries: &'a [Entry], key: &[u8], snapshot: u64) -> Option<&'a Entry> {
    entries
        .iter()
        .find(|entry| entry.key == key && entry.sequence <= snapshot)
}
