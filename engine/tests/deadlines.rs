//! A picker with a deadline drops tombstones though no level is full, as soon as no snapshot needs
//! them.

mod common;

use aura_engine::{AuraEngine, Engine, EngineBuilder, EngineConfig, EventKind};
use aura_policies::PolicySpec;
use aura_policies::facts::Reason;
use bytesize::ByteSize;
use common::{compacted_by_hand, key, run, sim};

const KEYS: u64 = 300;

/// Settings under which no level is ever full.
fn config(picker: PolicySpec) -> EngineConfig {
    let mut config = compacted_by_hand(ByteSize::kib(4));
    config.compaction.picker = picker;
    config
}

fn lethe(deadline: u64) -> PolicySpec {
    PolicySpec::named("lethe").with("deadline", deadline)
}

async fn put(engine: &AuraEngine, keys: std::ops::Range<u64>) {
    for number in keys {
        engine.put(&key(number), &[7; 20]).await.expect("a put");
    }
    engine.flush().await.expect("a flush");
}

async fn delete(engine: &AuraEngine, keys: std::ops::Range<u64>) {
    for number in keys {
        engine.delete(&key(number)).await.expect("a delete");
    }
    engine.flush().await.expect("a flush");
}

/// Entries in tables once nothing is due.
async fn entries(engine: &AuraEngine) -> u64 {
    engine.wait_idle().await.expect("work that ends");
    engine.metrics().table_entries()
}

#[test]
fn tombstones_and_what_they_hide_are_gone_after_the_deadline() {
    let cases = [
        (PolicySpec::named("min-overlap"), 4 * KEYS),
        (lethe(100 * KEYS), 4 * KEYS),
        (lethe(2 * KEYS), 2 * KEYS),
    ];
    for (picker, expected) in cases {
        let world = sim(1);
        let env = world.env();
        run(&world, async {
            let builder = EngineBuilder::new(env, "/db").config(config(picker.clone()));
            let engine = builder.open().await.expect("a new database");
            put(&engine, 0..KEYS).await;
            engine.compact().await.expect("one run");
            delete(&engine, 0..KEYS).await;
            assert_eq!(
                entries(&engine).await,
                2 * KEYS,
                "{picker}: it is too early"
            );
            put(&engine, KEYS..3 * KEYS).await;
            assert_eq!(entries(&engine).await, expected, "{picker}");
            for number in 0..3 * KEYS {
                let value = engine.get(&key(number)).await.expect("a get");
                assert_eq!(value.is_some(), number >= KEYS, "{picker}: key {number}");
            }
            engine.close().await.expect("a close");
        });
    }
}

#[test]
fn a_snapshot_keeps_tombstones_in_the_deepest_level_until_it_is_dropped() {
    let world = sim(2);
    let env = world.env();
    run(&world, async {
        let builder = EngineBuilder::new(env.clone(), "/db").config(config(lethe(1)));
        let engine = builder.open().await.expect("a new database");
        put(&engine, 0..KEYS).await;
        let snapshot = engine.snapshot();
        delete(&engine, 0..KEYS).await;
        assert_eq!(entries(&engine).await, 2 * KEYS);
        engine.take_events();
        drop(snapshot);
        assert_eq!(entries(&engine).await, 0);
        let events = engine.take_events();
        let late = events.iter().filter(|event| {
            matches!(
                event.kind,
                EventKind::Compaction {
                    reason: Reason::Deadline,
                    level: 1,
                    ..
                }
            )
        });
        assert!(late.count() > 0, "{events:?}");

        // What a reopened database does not know of its tables, it finds out by rewriting them.
        let snapshot = engine.snapshot();
        delete(&engine, 0..KEYS).await;
        put(&engine, KEYS..2 * KEYS).await;
        assert_eq!(entries(&engine).await, 2 * KEYS);
        engine.close().await.expect("a close");
        drop(snapshot);
        let builder = EngineBuilder::new(env, "/db").config(config(lethe(1)));
        let engine = builder.open().await.expect("the database is there");
        assert_eq!(entries(&engine).await, KEYS);
        engine.close().await.expect("a close");
    });
}
