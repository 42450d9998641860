//! Random operations under random settings against a `BTreeMap`, in simulation, with reopens in
//! between.
//!
//! Every draw of settings runs the same kinds of operations, so this is the metamorphic test too:
//! whatever the policies decide, the answers are the model's. A failure prints the seed;
//! `AURA_SEED=<seed> cargo test -p aura-engine --test model` repeats it.

mod common;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use aura_engine::env::Env;
use aura_engine::env::disk::{DiskWorld, check_direct_io};
use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::{
    AuraEngine, Batch, CHANGEABLE, Direction, Engine, EngineBuilder, EngineConfig, Key, Range,
    Scan, Snapshot, Value, is_table_or_values,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::cancel::{Call, poll_at_most};
use common::{Chance, random_config, repeatable, seeds, sim, tried};
use serde_json::Value as Json;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A scan and how many rows of it are read.
struct ScanCall {
    bounds: Bounds,
    direction: Direction,
    limit: usize,
    /// Polls after which each call for a row is dropped once, before the row is asked for again.
    dropped_after: Option<u64>,
}

struct Checked {
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    engine: AuraEngine,
    model: Model,
    snapshots: Vec<(Snapshot, Model)>,
    chance: Chance,
}

impl Checked {
    fn key(&mut self) -> Vec<u8> {
        let number = self.chance.below(300);
        // Short keys, keys that share a long prefix, binary keys, and keys that are prefixes of
        // others.
        match number % 4 {
            0 => format!("k{number}").into_bytes(),
            1 => format!("a-long-common-prefix-{number:05}").into_bytes(),
            2 => vec![0xff, number as u8, 0, (number >> 8) as u8],
            _ => vec![number as u8; 1 + (number % 7) as usize],
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let bytes = match self.chance.below(10) {
            0 => 0,
            1..=7 => self.chance.below(100),
            8 => self.chance.below(2_000),
            _ => self.chance.below(20_000),
        };
        let fill = self.chance.below(256) as u8;
        (0..bytes)
            .map(|at| if at % 3 == 0 { fill } else { at as u8 })
            .collect()
    }

    fn bounds(&mut self) -> Bounds {
        let mut bound = || match self.chance.below(3) {
            0 => 0,
            1 => 1,
            _ => 2,
        };
        let low = bound();
        let high = bound();
        let mut a = self.key();
        let mut b = self.key();
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        // BTreeMap refuses an empty range of excluded equal bounds.
        if a == b {
            b.push(1);
        }
        let make = |kind, key| match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        };
        (make(low, a), make(high, b))
    }

    /// Draws bounds of a range delete: mostly of a few keys, sometimes of all keys or of no key.
    fn delete_bounds(&mut self) -> Bounds {
        let (low, high) = self.bounds();
        if self.chance.below(6) == 0 {
            return if self.chance.below(4) == 0 {
                (high, low)
            } else {
                (low, high)
            };
        }
        let from = self.key();
        let few = 1 + self.chance.below(12) as usize;
        let mut above = self.model.range(from.clone()..);
        let to = above.nth(few).map(|(key, _)| key.clone());
        match (to, self.chance.below(4)) {
            (Some(to), 0) => (Bound::Included(from), Bound::Included(to)),
            (Some(to), 1) => (Bound::Excluded(from), Bound::Excluded(to)),
            (Some(to), _) => (Bound::Included(from), Bound::Excluded(to)),
            (None, _) => (Bound::Excluded(from), Bound::Unbounded),
        }
    }

    /// Gives up a call after some polls, and finds out what became of it.
    async fn give_up(&mut self) {
        let engine = self.engine.clone();
        let polls = self.chance.below(6);
        let before = self.model.clone();
        let call: Call<()> = match self.chance.below(8) {
            0 => Box::pin(async move { engine.flush().await.unwrap() }),
            1 => Box::pin(async move { engine.compact().await.unwrap() }),
            2 => Box::pin(async move { engine.wait_idle().await.unwrap() }),
            3 => Box::pin(async move { drop(engine.verify().await.unwrap()) }),
            4 => {
                let name = format!("copy{}", self.chance.below(1 << 40));
                let target = self.directory.with_file_name(name);
                Box::pin(async move {
                    engine.checkpoint(&target).await.unwrap();
                })
            }
            _ => {
                let batch = self.random_batch();
                Box::pin(async move { engine.write(batch).await.unwrap() })
            }
        };
        if poll_at_most(call, polls).await.is_ok() {
            return;
        }
        // After the next acknowledged write, it has happened or never will.
        self.engine.put(b"mark", b"").await.unwrap();
        let mut found = Model::new();
        let mut scan = self.engine.scan(Range::all(), Direction::Forward);
        while let Some((key, value)) = scan.next().await.unwrap() {
            found.insert(key.to_vec(), value.to_vec());
        }
        let mark = |mut model: Model| {
            model.insert(b"mark".to_vec(), Vec::new());
            model
        };
        let possible = [mark(before), mark(self.model.clone())];
        assert!(possible.contains(&found), "neither with nor without it");
        self.model = found;
    }

    async fn step(&mut self) {
        match self.chance.below(104) {
            0..=39 => {
                let key = self.key();
                let value = self.value();
                self.engine.put(&key, &value).await.unwrap();
                self.model.insert(key, value);
            }
            40..=51 => {
                let key = self.key();
                self.engine.delete(&key).await.unwrap();
                self.model.remove(&key);
            }
            52..=59 => self.batch().await,
            60..=62 => {
                let bounds = self.delete_bounds();
                self.engine.delete_range(range(&bounds)).await.unwrap();
                delete_range(&mut self.model, &bounds);
            }
            63..=84 => {
                let key = self.key();
                let found = self.engine.get(&key).await.unwrap();
                let expected = self.model.get(&key).map(|value| &value[..]);
                assert_eq!(found.as_deref(), expected, "get {key:?}");
            }
            85..=91 => {
                let engine = self.engine.clone();
                let model = self.model.clone();
                let call = self.scan_call();
                let scan = engine.scan(range(&call.bounds), call.direction);
                check_scan(scan, &model, &call).await;
            }
            92..=93 if self.snapshots.len() < 4 => {
                self.snapshots
                    .push((self.engine.snapshot(), self.model.clone()));
            }
            92..=95 => self.use_snapshot().await,
            96 => self.reconfigure().await,
            97 => self.engine.flush().await.unwrap(),
            98 => match self.chance.below(4) {
                0 => self.engine.compact().await.unwrap(),
                _ => self.engine.wait_idle().await.unwrap(),
            },
            99 => self.reopen().await,
            _ => self.give_up().await,
        }
    }

    async fn batch(&mut self) {
        let batch = self.random_batch();
        self.engine.write(batch).await.unwrap();
    }

    /// Draws a batch and applies it to the model as well.
    fn random_batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..self.chance.below(8) {
            let key = self.key();
            match self.chance.below(12) {
                0..=2 => {
                    batch.delete(&key).unwrap();
                    self.model.remove(&key);
                }
                3 => {
                    let bounds = self.delete_bounds();
                    batch.delete_range(&range(&bounds)).unwrap();
                    delete_range(&mut self.model, &bounds);
                }
                _ => {
                    let value = self.value();
                    batch.put(&key, &value).unwrap();
                    self.model.insert(key, value);
                }
            }
        }
        batch
    }

    fn scan_call(&mut self) -> ScanCall {
        let bounds = self.bounds();
        let direction = match self.chance.below(2) {
            0 => Direction::Forward,
            _ => Direction::Reverse,
        };
        ScanCall {
            bounds,
            direction,
            limit: 1 + self.chance.below(60) as usize,
            dropped_after: self.chance.pick(&[None, Some(0), Some(1), Some(2)]),
        }
    }

    async fn use_snapshot(&mut self) {
        if self.snapshots.is_empty() {
            return;
        }
        let at = self.chance.below(self.snapshots.len() as u64) as usize;
        let key = self.key();
        let call = self.scan_call();
        let (snapshot, model) = &self.snapshots[at];
        let found = snapshot.get(&key).await.unwrap();
        let expected = model.get(&key).map(|value| &value[..]);
        assert_eq!(found.as_deref(), expected, "snapshot get {key:?}");
        let scan = snapshot.scan(range(&call.bounds), call.direction);
        check_scan(scan, model, &call).await;
        if self.chance.below(3) == 0 {
            self.snapshots.swap_remove(at);
        }
    }

    /// Changes settings of the running engine; no answer may change.
    async fn reconfigure(&mut self) {
        let next = changed(&mut self.chance, &self.engine.config());
        let wanted = next.clone();
        let changing = self.engine.reconfigure(move |config| *config = wanted);
        changing.await.unwrap();
        let config = self.engine.config();
        assert_eq!(without_knobs(&config), without_knobs(&next));
        let cache = self.engine.metrics().cache;
        let size = config.cache.size.as_u64();
        assert_eq!(cache.capacity_bytes, size, "{cache:?}");
    }

    async fn reopen(&mut self) {
        self.snapshots.clear();
        // Sometimes the caller gives up its close, and another caller closes again.
        let engine = self.engine.clone();
        let polls = self.chance.below(8);
        let close: Call<()> = Box::pin(async move { engine.close().await.unwrap() });
        if poll_at_most(close, polls).await.is_err() {
            self.engine.close().await.unwrap();
        }
        // A directory does not depend on the settings with which it was written.
        self.config = random_config(&mut self.chance);
        let env = self.env.clone();
        let config = self.config.clone();
        let polls = self.chance.below(40);
        let directory = self.directory.clone();
        let opening = async move { open(&env, &directory, &config).await };
        let opening: Call<AuraEngine> = Box::pin(opening);
        self.engine = match poll_at_most(opening, polls).await {
            Ok(engine) => engine,
            Err(opening) => {
                drop(opening);
                open(&self.env, &self.directory, &self.config).await
            }
        };
    }

    async fn check_everything(&mut self) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let scan = self.engine.scan(Range::all(), direction);
            let whole = ScanCall {
                bounds: (Bound::Unbounded, Bound::Unbounded),
                direction,
                limit: usize::MAX,
                dropped_after: None,
            };
            check_scan(scan, &self.model, &whole).await;
        }
        let report = self.engine.verify().await.unwrap();
        assert_eq!(report.problems, [] as [String; 0]);
        assert_eq!(report.rows, self.model.len() as u64);
        let rows = self.model.iter();
        let bytes: usize = rows.map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(report.reachable_bytes, bytes as u64);
        let metrics = self.engine.metrics();
        let counts = metrics.counts;
        let cache = metrics.cache;
        assert_eq!(counts.plans_refused, 0);
        let of_tables = [
            counts.block_hits + counts.index_hits + counts.filter_hits,
            counts.block_misses + counts.index_misses + counts.filter_misses,
        ];
        let of_levels =
            [&counts.level_hits, &counts.level_misses].map(|levels| levels.iter().sum::<u64>());
        assert_eq!(of_levels, of_tables, "each look-up has a level");
        assert!(
            counts.scan_hits <= of_tables[0] + counts.value_hits,
            "{counts:?}"
        );
        // If a policy's own tables exceed its shard, that shard stays empty and in debt; the tests
        // of shards cover that.
        assert!(cache.used_bytes <= cache.capacity_bytes, "{cache:?}");
    }
}

fn range((start, end): &Bounds) -> Range {
    let key = |bound: &Bound<Vec<u8>>| bound.clone().map(Into::into);
    Range {
        start: key(start),
        end: key(end),
    }
}

fn delete_range(model: &mut Model, bounds: &Bounds) {
    let range = range(bounds);
    model.retain(|key, _| !(range.after_start(key) && range.before_end(key)));
}

/// Returns the next row. A call for it may be dropped before.
async fn next_row(scan: &mut Scan, dropped_after: Option<u64>) -> Option<(Key, Value)> {
    if let Some(polls) = dropped_after
        && let Ok(row) = poll_at_most(Box::pin(scan.next()), polls).await
    {
        return row.unwrap();
    }
    scan.next().await.unwrap()
}

async fn check_scan(mut scan: Scan, model: &Model, call: &ScanCall) {
    let ScanCall {
        bounds,
        direction,
        limit,
        dropped_after,
    } = call;
    let rows: Vec<_> = model.range(bounds.clone()).collect();
    let expected: Vec<_> = match direction {
        Direction::Forward => rows,
        Direction::Reverse => rows.into_iter().rev().collect(),
    };
    for (at, (key, value)) in expected.iter().take(*limit).enumerate() {
        let row = next_row(&mut scan, *dropped_after).await;
        let row = row.as_ref().map(|(key, value)| (&key[..], &value[..]));
        assert_eq!(
            row,
            Some((&key[..], &value[..])),
            "row {at} of {bounds:?} {direction:?}"
        );
    }
    if expected.len() < *limit {
        assert_eq!(
            scan.next().await.unwrap(),
            None,
            "after the last row of {bounds:?} {direction:?}"
        );
    }
}

async fn open(env: &Env, directory: &Path, config: &EngineConfig) -> AuraEngine {
    EngineBuilder::new(env.clone(), directory)
        .config(config.clone())
        .open()
        .await
        .unwrap()
}

fn run(seed: u64, steps: usize) {
    let world = sim(seed);
    let env = world.env();
    let checked = check(&env, Path::new("/db"), seed, steps);
    world.block_on(checked).unwrap();
}

/// Compares `steps` random calls with the model, in an empty `directory`.
async fn check(env: &Env, directory: &Path, seed: u64, steps: usize) {
    let mut chance = Chance::new(seed);
    let config = random_config(&mut chance);
    let engine = open(env, directory, &config).await;
    let mut checked = Checked {
        env: env.clone(),
        directory: directory.to_owned(),
        config,
        engine,
        model: Model::new(),
        snapshots: Vec::new(),
        chance,
    };
    for _ in 0..steps {
        checked.step().await;
    }
    tried("operations", steps as u64);
    checked.check_everything().await;
    checked.reopen().await;
    checked.check_everything().await;
    checked.engine.close().await.unwrap();
}

#[test]
fn answers_are_the_models_with_direct_io() {
    for seed in seeds(8) {
        let directory = tempfile::tempdir().unwrap();
        if check_direct_io(directory.path()).is_err() {
            // Nothing to test: this file system, or system, has no direct I/O.
            return;
        }
        let world = DiskWorld::with_direct_io(2, is_table_or_values).unwrap();
        // Copies of the database are made beside it.
        let database = directory.path().join("db");
        world.block_on(check(&world.env(), &database, seed, 500));
    }
}

#[test]
fn answers_are_the_models_whatever_the_policies_decide() {
    for seed in seeds(40) {
        repeatable(seed, || run(seed, 2_000));
    }
}

/// Rows of a database with tables, a memtable, large values and range deletes.
async fn mixed_rows(env: &Env) -> (AuraEngine, Model) {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.block = ByteSize(256);
    config.cache.size = ByteSize(0);
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    let engine = open(env, Path::new("/db"), &config).await;
    let mut model = Model::new();
    for number in 0..120u64 {
        let key = format!("key{number:04}").into_bytes();
        let value = vec![number as u8; if number % 3 == 0 { 900 } else { 90 }];
        engine.put(&key, &value).await.unwrap();
        model.insert(key, value);
        if number == 80 {
            engine.flush().await.unwrap();
        }
    }
    let hidden = Range::between(b"key0020", b"key0060");
    engine.delete_range(hidden).await.unwrap();
    model.retain(|key, _| key < &b"key0020".to_vec() || key >= &b"key0060".to_vec());
    (engine, model)
}

#[test]
fn a_call_for_a_row_may_be_dropped_at_any_poll() {
    let world = SimWorld::new(&SimConfig::default());
    let walk = async {
        let (engine, model) = mixed_rows(&world.env()).await;
        for polls in 0..12 {
            for direction in [Direction::Forward, Direction::Reverse] {
                let call = ScanCall {
                    bounds: (Bound::Unbounded, Bound::Unbounded),
                    direction,
                    limit: usize::MAX,
                    dropped_after: Some(polls),
                };
                check_scan(engine.scan(Range::all(), direction), &model, &call).await;
            }
        }
        engine.close().await.unwrap();
    };
    world.block_on(walk).expect("no deadlock");
}

/// The settings but those that a self-tuner may have changed meanwhile.
fn without_knobs(config: &EngineConfig) -> EngineConfig {
    let mut config = config.clone();
    if config.self_tuning.is_some() {
        let default = EngineConfig::default();
        config.memtable = default.memtable;
        config.cache.size = default.cache.size;
        config.table.filter = default.table.filter;
        config.compaction.level0_trigger = default.compaction.level0_trigger;
        config.io_limit = default.io_limit;
    }
    config
}

/// Returns `config` with some of the settings that may change in a running engine drawn again: one
/// of them, or all of its group.
fn changed(chance: &mut Chance, config: &EngineConfig) -> EngineConfig {
    let other = serde_json::to_value(random_config(chance)).unwrap();
    let (key, _) = chance.pick(CHANGEABLE);
    let group = key.split_once('.').map_or(key, |(group, _)| group);
    let alone = copied(config, &other, |changeable| changeable == key);
    // Settings of a group may bound one another; together they are in range.
    if chance.below(2) == 0 && alone.validate().is_ok() {
        return alone;
    }
    copied(config, &other, |changeable| changeable.starts_with(group))
}

/// Returns `config` with the changeable settings that `wanted` names taken from `other`.
fn copied(config: &EngineConfig, other: &Json, wanted: impl Fn(&str) -> bool) -> EngineConfig {
    let mut next = serde_json::to_value(config).unwrap();
    for (key, _) in CHANGEABLE.iter().filter(|(key, _)| wanted(key)) {
        let place = format!("/{}", key.replace('.', "/"));
        let (section, name) = place.rsplit_once('/').unwrap();
        let is_empty = [&next, other]
            .iter()
            .any(|it| it.pointer(section).is_none());
        if is_empty {
            continue;
        }
        // Without an entry, `table.levels` is not written, and what is unset is not either.
        let unset = match *key {
            "table.levels" => serde_json::json!({}),
            _ => Json::Null,
        };
        let value = other.pointer(&place).cloned().unwrap_or(unset);
        next.pointer_mut(section).unwrap()[name] = value;
    }
    serde_json::from_value(next).unwrap()
}
