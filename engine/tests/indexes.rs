//! Learned indexes in a whole engine: the same answers under each, a registry that outlives it, and a tuner that chooses.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::{
    AuraEngine, Direction, Engine, EngineBuilder, EngineConfig, EventKind, IndexGate,
    IndexRegistry, IndexUse, Metrics, Range, TableModel, inspect_indexes,
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

/// Random keys of one shape, which each index sees another way.
fn random_key(shape: u64, chance: &mut Chance) -> Vec<u8> {
    match shape % 5 {
        0 => chance.below(5_000).pow(2).to_be_bytes().to_vec(),
        1 => format!("user{:019}", chance.below(3_000) * 7_919).into_bytes(),
        2 => (0..1 + chance.below(6))
            .map(|_| [0, 1, b'a', 0xff][chance.below(4) as usize])
            .collect(),
        // Runs of equal images, some of hundreds of keys.
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

/// Rows of scans and answers of gets over random keys, with a snapshot taken half-way.
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
                answers.push(
                    scan.next()
                        .await
                        .unwrap()
                        .map(|(key, value)| [&key[..], b"=", &value[..]].concat()),
                );
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
fn every_index_gives_the_answers_of_the_first() {
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
                    "seed {seed}: {} answers otherwise",
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

fn sums(registry: &IndexRegistry) -> (u64, u64, u64) {
    let lookups = registry.tables.iter().map(|table| &table.lookups);
    lookups.fold((0, 0, 0), |sum, it| {
        (sum.0 + it.found, sum.1 + it.absent, sum.2 + it.probes)
    })
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
            let (found, absent, probes) = sums(&registry);
            assert_eq!((found, absent), (12_000, 1));
            let counts = engine.metrics().counts;
            assert_eq!(counts.index_lookups, 12_001);
            assert_eq!(counts.index_probes, probes);
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
            assert_eq!(
                sums(&beside),
                (0, 0, 0),
                "what is counted is written at close"
            );
            engine.close().await.unwrap();

            let left = inspect_indexes(&env, Path::new("/db")).await.unwrap();
            assert_eq!(sums(&left), (found, absent, probes));
            assert_eq!(left.levels.len(), registry.levels.len());
            let again = open(&env, &config).await;
            again.get(&key(5)).await.unwrap().unwrap();
            let (found, _, _) = sums(&again.index_registry());
            assert_eq!(found, 12_001, "it goes on where it was");
            again.close().await.unwrap();

            // A registry that cannot be read is as none.
            let file = env.fs.create(Path::new("/db/MODELS.json")).unwrap();
            let torn = b"{ \"version\": 1, \"levels\": [";
            file.append(torn).await.unwrap();
            let left = inspect_indexes(&env, Path::new("/db")).await.unwrap();
            assert_eq!(left.tables.len(), registry.tables.len());
            assert_eq!(sums(&left), (0, 0, 0));
        })
        .unwrap();
}

/// Loads and asks under a tuner: the metrics, the registry, and how often each reason was given for which policy.
fn tuned(tuner: PolicySpec) -> (Metrics, IndexRegistry, BTreeMap<(IndexReason, String), u64>) {
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
            let (metrics, registry) = (engine.metrics(), engine.index_registry());
            engine.close().await.unwrap();
            (metrics, registry, reasons)
        })
        .unwrap()
}

#[test]
fn a_tuner_with_nothing_to_choose_from_does_what_the_settings_say() {
    let (fixed, registry, reasons) = tuned(PolicySpec::named("fixed"));
    assert!(reasons.is_empty() && fixed.model_tables > 0);
    let neutral = tuned(PolicySpec::named("adaptive"));
    assert_eq!(
        (neutral.0, neutral.1, neutral.2),
        (fixed, registry, reasons)
    );
}

#[test]
fn tuners_turn_from_the_settings_and_say_why() {
    let count = |reasons: &BTreeMap<(IndexReason, String), u64>, reason, index: &str| {
        reasons
            .get(&(reason, index.to_owned()))
            .copied()
            .unwrap_or(0)
    };
    // Every table dies within an hour, so that none is worth training once two of a level have died.
    let short = PolicySpec::named("cost-benefit")
        .with("bootstrap", json!([2]))
        .with("wait_millis", 3_600_000);
    let (metrics, registry, reasons) = tuned(short);
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

    // Models that cost nothing to ask or train, and take less memory; then one whose training costs all.
    let free = ["model_nanos", "block_nanos", "training_weight"];
    let adaptive = PolicySpec::named("adaptive").with("candidates", json!(["fence"]));
    let adaptive = free
        .iter()
        .fold(adaptive, |spec, price| spec.with(price, 0));
    for (spec, cheapest, other) in [
        (adaptive.clone(), "greedy-plr", "fence"),
        (adaptive.with("training_weight", 1e6), "fence", "greedy-plr"),
    ] {
        let (_, _, reasons) = tuned(spec);
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
