//! Tests of learned indexes in a whole engine: the same answers under each, a registry that
//! outlives the engine, and a tuner that chooses.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::{
    AuraEngine, Direction, Engine, EngineBuilder, EngineConfig, EventKind, IndexGate,
    IndexRegistry, IndexUse, LevelConfig, Metrics, Range, TableModel, inspect_indexes,
};
use aura_policies::PolicySpec;
use aura_policies::tuner::IndexReason;
use bytesize::ByteSize;
use common::{Chance, repeatable, seeds, sim};
use serde_json::json;

fn small_config(index: PolicySpec) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.size = ByteSize::kib(64);
    config.table.block = ByteSize(512);
    config.table.index = index;
    config.table.index_gate = IndexGate {
        memory: 1e9,
        window_blocks: u32::MAX,
        probes: 1e9,
    };
    config.cache.size = ByteSize::mib(1);
    config.compaction.base = ByteSize::kib(256);
    config
}

async fn open(env: &Env, config: &EngineConfig) -> AuraEngine {
    EngineBuilder::new(env.clone(), "/db")
        .config(config.clone())
        .open()
        .await
        .unwrap()
}

/// Draws a random key of one shape. Each shape is hard for another index.
fn random_key(shape: u64, chance: &mut Chance) -> Vec<u8> {
    match shape % 5 {
        0 => chance.below(5_000).pow(2).to_be_bytes().to_vec(),
        1 => format!("user{:019}", chance.below(3_000) * 7_919).into_bytes(),
        2 => (0..1 + chance.below(6))
            .map(|_| [0, 1, b'a', 0xff][chance.below(4) as usize])
            .collect(),
        // Ties: keys with equal images, some of them hundreds.
        3 => {
            let tail = chance.below(300).to_string();
            [
                &[b'p'; 40][..],
                &(chance.below(4) * chance.below(3)).to_be_bytes(),
                tail.as_bytes(),
            ]
            .concat()
        }
        _ => chance.below(u64::MAX).to_be_bytes()[..1 + chance.below(8) as usize].to_vec(),
    }
}

/// Returns the answers of gets and scans over random keys, with a snapshot taken half-way.
async fn answers(env: &Env, config: &EngineConfig, shape: u64, seed: u64) -> Vec<Option<Vec<u8>>> {
    let mut chance = Chance::new(seed);
    let engine = open(env, config).await;
    let mut snapshot = None;
    for step in 0..3_000u64 {
        let key = random_key(shape, &mut chance);
        if chance.below(8) == 0 {
            engine.delete(&key).await.unwrap();
        } else {
            engine
                .put(&key, &vec![step as u8; chance.below(60) as usize])
                .await
                .unwrap();
        }
        match step {
            1_500 => snapshot = Some(engine.snapshot()),
            2_400 => engine.compact().await.unwrap(),
            _ => {}
        }
    }
    engine.flush().await.unwrap();
    let snapshot = snapshot.expect("taken half-way");
    let mut answers = Vec::new();
    let owned = |value: Option<aura_engine::Value>| value.map(|value| value.to_vec());
    for _ in 0..600 {
        let key = random_key(shape, &mut chance);
        answers.push(owned(engine.get(&key).await.unwrap()));
        answers.push(owned(snapshot.get(&key).await.unwrap()));
        let direction = [Direction::Forward, Direction::Reverse][chance.below(2) as usize];
        let range = match direction {
            Direction::Forward => Range::from(&key),
            Direction::Reverse => Range::to_inclusive(&key),
        };
        for mut scan in [
            engine.scan(range.clone(), direction),
            snapshot.scan(range, direction),
        ] {
            for _ in 0..3 {
                let row = scan.next().await.unwrap();
                answers.push(row.map(|(key, value)| [&key[..], b"=", &value[..]].concat()));
            }
        }
    }
    let report = engine.verify().await.unwrap();
    assert_eq!(report.problems, [] as [String; 0]);
    drop(snapshot);
    engine.close().await.unwrap();
    answers
}

#[test]
fn every_index_gives_the_same_answers() {
    for seed in seeds(5) {
        repeatable(seed, || {
            let mut expected = None;
            for entry in aura_policies::index::FAMILY.entries() {
                let world = sim(seed);
                let config = small_config(PolicySpec::named(entry.name));
                let found = world
                    .block_on(answers(&world.env(), &config, seed, seed))
                    .unwrap();
                let expected = expected.get_or_insert_with(|| found.clone());
                assert!(
                    *expected == found,
                    "seed {seed}: {} gives other answers",
                    entry.name
                );
            }
        });
    }
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

async fn load(engine: &AuraEngine, rounds: u64) {
    for round in 0..rounds {
        for number in 0..4_000 {
            engine
                .put(&key(number * 3 + round % 3), &[round as u8; 50])
                .await
                .unwrap();
        }
    }
    engine.flush().await.unwrap();
    engine.wait_idle().await.unwrap();
}

/// Sums over the tables of a registry.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    found: u64,
    absent: u64,
    probes: u64,
}

fn sums(registry: &IndexRegistry) -> Sums {
    let mut sums = Sums::default();
    for table in &registry.tables {
        sums.found += table.lookups.found;
        sums.absent += table.lookups.absent;
        sums.probes += table.lookups.probes;
    }
    sums
}

#[test]
fn the_registry_counts_what_tables_are_asked_and_outlives_the_engine() {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let mut config = small_config(PolicySpec::named("greedy-plr"));
    config.table.filter = PolicySpec::named("none");
    world
        .block_on(async {
            let engine = open(&env, &config).await;
            load(&engine, 3).await;
            engine.compact().await.unwrap();
            let before = engine.index_registry().tables;
            let modelled = |it: &TableModel| it.index.used == IndexUse::Model;
            assert!(before.len() > 4 && before.iter().all(modelled));
            for number in 0..12_000 {
                engine.get(&key(number)).await.unwrap().unwrap();
            }
            let absent = [&key(77)[..], b"x"].concat();
            assert_eq!(engine.get(&absent).await.unwrap(), None);
            let registry = engine.index_registry();
            let asked = sums(&registry);
            assert_eq!(asked.found, 12_000);
            assert_eq!(asked.absent, 1);
            let counts = engine.metrics().counts;
            assert_eq!(counts.index_lookups, 12_001);
            assert_eq!(counts.index_probes, asked.probes);
            let mut levels = registry.levels.iter();
            let level = levels.find(|it| it.kind.live.tables > 0).unwrap();
            assert_eq!(level.kind.live.found, 12_000);
            assert_eq!(level.kind.live.keys, 12_000);
            assert!(
                registry.levels.iter().any(|it| it.kind.dead.tables > 0),
                "compactions replaced tables"
            );
            let training = registry.tables.iter().map(|it| it.index.training_nanos);
            let mut each = training.clone();
            assert!(each.all(|nanos| nanos > 0), "training is charged for");
            assert!(counts.index_training_nanos > training.sum::<u64>());
            assert!(
                counts.index_training_nanos < counts.compaction_cpu_nanos,
                "{counts:?}"
            );
            let beside = inspect_indexes(&env, Path::new("/db")).await.unwrap();
            assert_eq!(beside.tables.len(), registry.tables.len());
            let stored = sums(&beside);
            assert_eq!(stored, Sums::default(), "counts are written at close");
            engine.close().await.unwrap();

            let left = inspect_indexes(&env, Path::new("/db")).await.unwrap();
            assert_eq!(sums(&left), asked);
            assert_eq!(left.levels.len(), registry.levels.len());
            let again = open(&env, &config).await;
            again.get(&key(5)).await.unwrap().unwrap();
            let found = sums(&again.index_registry()).found;
            assert_eq!(found, 12_001, "it continues from the stored counts");
            again.close().await.unwrap();

            // A registry that cannot be read counts as missing.
            let file = env.fs.create(Path::new("/db/MODELS.json")).unwrap();
            let torn = b"{ \"version\": 1, \"levels\": [";
            file.append(torn).await.unwrap();
            let left = inspect_indexes(&env, Path::new("/db")).await.unwrap();
            assert_eq!(left.tables.len(), registry.tables.len());
            assert_eq!(sums(&left), Sums::default());
        })
        .unwrap();
}

#[test]
fn tables_have_the_settings_of_their_level() {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let mut config = small_config(PolicySpec::named("fence"));
    let deep = |block, index| LevelConfig {
        block: Some(ByteSize(block)),
        index: Some(PolicySpec::named(index)),
        ..LevelConfig::default()
    };
    config.table.levels = BTreeMap::from([(1, deep(2_048, "greedy-plr"))]);
    let kinds = |engine: &AuraEngine| -> BTreeSet<(bool, String, bool)> {
        let tables = engine.index_registry().tables.into_iter();
        let kind = |it: TableModel| {
            let entries_a_block = it.index.keys / it.index.blocks;
            (it.level == 0, it.index.kind, entries_a_block > 20)
        };
        tables.map(kind).collect()
    };
    world
        .block_on(async {
            let engine = open(&env, &config).await;
            load(&engine, 3).await;
            engine.compact().await.unwrap();
            engine.put(&key(1), b"newest").await.unwrap();
            for number in 20_000..20_100 {
                engine.put(&key(number), &[1; 50]).await.unwrap();
            }
            engine.flush().await.unwrap();
            let shallow = (true, "fence".to_owned(), false);
            let of_level_1 = (false, "greedy-plr".to_owned(), true);
            let both = BTreeSet::from([shallow, of_level_1]);
            assert_eq!(kinds(&engine), both);

            let changed = move |config: &mut EngineConfig| {
                config.table.levels.insert(1, deep(512, "binary"));
            };
            engine.reconfigure(changed).await.unwrap();
            engine.compact().await.unwrap();
            let merged = (false, "binary".to_owned(), false);
            assert_eq!(kinds(&engine), BTreeSet::from([merged.clone()]));
            let newest = engine.get(&key(1)).await.unwrap().unwrap();
            assert_eq!(&newest[..], b"newest");
            engine.close().await.unwrap();

            // A table says itself how it is read.
            let again = open(&env, &config).await;
            assert_eq!(kinds(&again), BTreeSet::from([merged]));
            for number in (2..12_000).chain(20_000..20_100) {
                assert!(again.get(&key(number)).await.unwrap().is_some(), "{number}");
            }
            again.close().await.unwrap();
        })
        .unwrap();
}

/// How often a tuner gave each reason for which policy.
type Reasons = BTreeMap<(IndexReason, String), u64>;

/// What an engine did under a tuner.
#[derive(Debug, PartialEq)]
struct Tuned {
    metrics: Metrics,
    registry: IndexRegistry,
    reasons: Reasons,
}

/// Loads an engine and reads from it under a tuner.
fn tuned(tuner: PolicySpec) -> Tuned {
    let world = SimWorld::new(&SimConfig::default());
    let mut config = small_config(PolicySpec::named("greedy-plr"));
    config.table.index_tuner = tuner;
    let env = world.env();
    world
        .block_on(async {
            let engine = open(&env, &config).await;
            for round in 0..6 {
                load(&engine, 3).await;
                for number in (0..12_000).skip(round).step_by(7) {
                    engine.get(&key(number)).await.unwrap();
                }
            }
            let mut reasons = BTreeMap::new();
            for event in engine.take_events() {
                if let EventKind::Index { reason, index, .. } = event.kind {
                    *reasons.entry((reason, index)).or_insert(0) += 1;
                }
            }
            let tuned = Tuned {
                metrics: engine.metrics(),
                registry: engine.index_registry(),
                reasons,
            };
            engine.close().await.unwrap();
            tuned
        })
        .unwrap()
}

#[test]
fn a_tuner_without_a_choice_follows_the_settings() {
    let fixed = tuned(PolicySpec::named("fixed"));
    assert!(fixed.reasons.is_empty() && fixed.metrics.model_tables > 0);
    assert_eq!(tuned(PolicySpec::named("adaptive")), fixed);
}

#[test]
fn tuners_depart_from_the_settings_and_give_reasons() {
    let count = |reasons: &Reasons, reason, index: &str| {
        let count = reasons.get(&(reason, index.to_owned()));
        count.copied().unwrap_or(0)
    };
    // Every table dies within an hour, so training does not pay once two tables of a level have
    // died.
    let short = PolicySpec::named("cost-benefit")
        .with("bootstrap", json!([2]))
        .with("wait_millis", 3_600_000);
    let Tuned {
        metrics,
        registry,
        reasons,
    } = tuned(short);
    assert!(
        count(&reasons, IndexReason::Bootstrap, "greedy-plr") >= 2,
        "{reasons:?}"
    );
    let short_lived = count(&reasons, IndexReason::ShortLived, "fence");
    assert!(short_lived > 2, "{reasons:?}");
    assert_eq!(metrics.counts.index_tuned, short_lived);
    assert!(
        registry
            .tables
            .iter()
            .any(|it| it.index.kind == "fence" && it.index.refusal.is_none())
    );

    // Models cost nothing to use or train and take less memory; in the second case, training is too
    // expensive.
    let free = ["model_nanos", "block_nanos", "training_weight"];
    let adaptive = PolicySpec::named("adaptive").with("candidates", json!(["fence"]));
    let mut adaptive = adaptive;
    for price in free {
        adaptive = adaptive.with(price, 0);
    }
    for (spec, cheapest, other) in [
        (adaptive.clone(), "greedy-plr", "fence"),
        (adaptive.with("training_weight", 1e6), "fence", "greedy-plr"),
    ] {
        let reasons = tuned(spec).reasons;
        for explored in [cheapest, other] {
            assert!(
                count(&reasons, IndexReason::Explore, explored) > 0,
                "{explored}: {reasons:?}"
            );
        }
        assert!(
            count(&reasons, IndexReason::Cheapest, cheapest) > 2,
            "{cheapest}: {reasons:?}"
        );
        assert_eq!(
            count(&reasons, IndexReason::Cheapest, other),
            0,
            "{other}: {reasons:?}"
        );
    }
}
