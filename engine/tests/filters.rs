//! Filters in a whole engine: each kind is read back by an engine that is set to another, and bits
//! are shared out by the tree that the engine shows.

mod common;

use std::sync::Mutex;

use aura_engine::env::Env;
use aura_engine::{AuraEngine, Counts, Engine, EngineBuilder, EngineConfig};
use aura_policies::PolicySpec;
use aura_policies::entry::{Entry, describe, params};
use aura_policies::filter::{self, FilterFacts, FilterPolicy};
use bytesize::ByteSize;
use common::{Chance, run, sim};

const KEYS: u64 = 20_000;

/// Settings under which a few thousand writes make a tree of several levels.
fn config(filter: PolicySpec) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.cache.size = ByteSize::mib(1);
    config.table.size = ByteSize::kib(32);
    config.table.filter = filter;
    config.compaction.base = ByteSize::kib(256);
    config
}

async fn open(env: &Env, filter: &PolicySpec) -> AuraEngine {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config(filter.clone()));
    builder.open().await.expect("the settings are in range")
}

fn key(number: u64) -> [u8; 8] {
    (number * 2).to_be_bytes()
}

/// Writes keys at random, the same ones for one seed.
async fn write(engine: &AuraEngine, writes: u64, seed: u64) {
    let mut chance = Chance::new(seed);
    for _ in 0..writes {
        let key = key(chance.below(KEYS));
        engine.put(&key, &[seed as u8; 50]).await.expect("a put");
    }
    engine.flush().await.expect("a flush");
    engine.wait_idle().await.expect("nothing is left to do");
}

/// Reads every key, and as many that were never written. Returns the keys found, and the counts.
async fn read(engine: &AuraEngine) -> (Vec<u64>, Counts) {
    let before = engine.metrics().counts;
    let mut found = Vec::new();
    for number in 0..KEYS {
        if engine.get(&key(number)).await.expect("a get").is_some() {
            found.push(number);
        }
        let absent = (number * 2 + 1).to_be_bytes();
        assert_eq!(engine.get(&absent).await.expect("a get"), None);
    }
    (found, engine.metrics().counts.since(&before))
}

#[test]
fn a_table_is_read_with_the_filter_that_it_was_written_with() {
    let ribbon = || PolicySpec::named("ribbon");
    let bloom = PolicySpec::named("bloom");
    let layered = ribbon().with("bloom_before_level", 1);
    let none = PolicySpec::named("none");
    for (first, second) in [
        (&ribbon(), &bloom),
        (&bloom, &ribbon()),
        (&layered, &none),
        (&none, &layered),
    ] {
        let world = sim(7);
        let env = world.env();
        run(&world, async {
            let engine = open(&env, first).await;
            write(&engine, 6_000, 1).await;
            let (expected, _) = read(&engine).await;
            assert!(expected.len() > 4_000);
            engine.close().await.expect("a close");

            let engine = open(&env, second).await;
            let (found, rose) = read(&engine).await;
            assert!(found == expected, "{first} read under {second}");
            let has_filters = first.policy != "none";
            assert_eq!(rose.filter_negatives > KEYS / 2, has_filters, "{first}");
            let absent = rose.filter_negatives + rose.filter_false_positives;
            let wrong = rose.filter_false_positives as f64 / absent as f64;
            // Bloom's 7 bits err more often than Ribbon's.
            let most = if first.params.is_empty() { 0.02 } else { 0.04 };
            assert!(!has_filters || wrong < most, "{first}: {wrong}");
            // Tables of both kinds.
            write(&engine, 3_000, 2).await;
            let (expected, _) = read(&engine).await;
            engine.close().await.expect("a close");

            let engine = open(&env, first).await;
            let (found, _) = read(&engine).await;
            assert!(found == expected, "{first} and {second}");
            engine.compact().await.expect("a compaction");
            let (found, _) = read(&engine).await;
            assert!(found == expected, "{first} after {second}");
            engine.close().await.expect("a close");
        });
    }
}

/// A filter that was built.
#[derive(Clone, Debug)]
struct Made {
    allocation: String,
    facts: FilterFacts,
    bits_per_key: f64,
}

/// All filters that `recording` built, in order.
static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    allocation: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            allocation: "uniform".to_owned(),
        }
    }
}

/// A Bloom filter of 4 bits that records what it was built from.
struct Recording {
    allocation: String,
    bloom: Box<dyn FilterPolicy>,
}

impl FilterPolicy for Recording {
    fn build(&self, hashes: &[u64], facts: &FilterFacts) -> Option<Vec<u8>> {
        let encoded = self.bloom.build(hashes, facts);
        let bytes = encoded.as_ref().map_or(0, Vec::len);
        MADE.lock().expect("no panic under it").push(Made {
            allocation: self.allocation.clone(),
            facts: facts.clone(),
            bits_per_key: 8.0 * bytes as f64 / hashes.len() as f64,
        });
        encoded
    }
}

static RECORDING: Entry<filter::Build> = Entry {
    name: "recording",
    about: "records what it is shown",
    params: describe::<Params>,
    build: filter::Build {
        policy: |spec| {
            let Params { allocation } = params(spec)?;
            let bloom = PolicySpec::named("bloom").with("bits_per_key", 4.0);
            Ok(Box::new(Recording {
                bloom: filter::build(&bloom.with("allocation", allocation.clone()))?,
                allocation,
            }))
        },
        decode: |bytes| filter::decode("bloom", bytes),
    },
};

/// Mean bits a key of the tables of each level that were built with `allocation`, the last `count`
/// of each level, and the tree that the last table saw. Deeper tables may have been moved there.
fn made(allocation: &str, count: usize) -> (Vec<f64>, FilterFacts) {
    let made = MADE.lock().expect("no panic under it");
    let mine: Vec<&Made> = made
        .iter()
        .filter(|it| it.allocation == allocation)
        .collect();
    let last = mine.last().expect("tables were written").facts.clone();
    let deepest = mine.iter().map(|it| it.facts.level).max().unwrap_or(0);
    let means = (0..=deepest).map(|level| {
        let of_level = mine.iter().rev().filter(|it| it.facts.level == level);
        let bits: Vec<f64> = of_level.take(count).map(|it| it.bits_per_key).collect();
        bits.iter().sum::<f64>() / bits.len().max(1) as f64
    });
    (means.collect(), last)
}

#[test]
fn small_levels_get_more_bits_and_those_that_reads_find_keys_in_get_fewer() {
    filter::FAMILY
        .register(&RECORDING)
        .expect("the name is free");
    let allocations = ["uniform", "monkey", "by-access"];
    for allocation in allocations {
        let spec = PolicySpec::named("recording").with("allocation", allocation);
        let world = sim(3);
        let env = world.env();
        run(&world, async {
            let engine = open(&env, &spec).await;
            // Every key, scattered, so that tables overlap and are merged instead of moved.
            for number in 0..KEYS {
                let key = key(number * 7_919 % KEYS);
                engine.put(&key, &[0; 50]).await.expect("a put");
            }
            write(&engine, 5_000, 1).await;
            // All of them exist, and most are found in the deepest level.
            for number in 0..KEYS {
                engine.get(&key(number)).await.expect("a get");
            }
            write(&engine, 10_000, 2).await;
            engine.close().await.expect("a close");
        });
    }
    let [uniform, monkey, by_access] = allocations.map(|allocation| made(allocation, 10));
    for (bits, tree) in [&uniform, &monkey, &by_access] {
        let deepest = bits.len() - 1;
        assert!(deepest >= 2, "{tree:?}");
        let entries: u64 = tree.levels.iter().map(|it| it.entries).sum();
        assert!((KEYS / 2..2 * KEYS).contains(&entries), "{tree:?}");
        let fruitless = |level: usize| tree.levels[level].fruitless;
        assert!(fruitless(1) > 2 * fruitless(deepest), "{tree:?}");
    }
    let (uniform, (monkey, _), (by_access, _)) = (uniform.0, monkey, by_access);
    let deepest = uniform.len() - 1;
    assert!(
        uniform.iter().all(|bits| (4.0..5.5).contains(bits)),
        "{uniform:?}"
    );
    assert!(monkey[0] > monkey[deepest] + 4.0, "{monkey:?}");
    assert!(monkey[deepest] < uniform[deepest], "{monkey:?}");
    assert!(
        by_access[deepest] <= monkey[deepest],
        "{by_access:?} {monkey:?}"
    );
    assert!(by_access[1] > monkey[1] + 1.0, "{by_access:?} {monkey:?}");
}
