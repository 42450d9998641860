//! Tables move on though no level is full: a picker with a deadline drops tombstones, as soon as no
//! snapshot needs them, and one that counts look-ups in vain merges tables that were asked so, in a
//! tree that is not written to any more.

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

/// Settings under which no level is ever full and every look-up asks every run.
fn without_filters(picker: PolicySpec) -> EngineConfig {
    let mut config = config(picker);
    config.table.filter = PolicySpec::named("none");
    config.compaction.agent_window = 100;
    config
}

/// A run of level 1 with the even keys, and two of level 0 with odd ones between them.
async fn put_overlapping_runs(engine: &AuraEngine) {
    for first in [0, 1, 3] {
        for number in (first..4 * KEYS).step_by(if first == 0 { 2 } else { 4 }) {
            engine.put(&key(number), &[7; 20]).await.expect("a put");
        }
        engine.flush().await.expect("a flush");
        if first == 0 {
            engine.compact().await.expect("one run");
        }
    }
    engine.wait_idle().await.expect("work that ends");
}

/// Reads every even key, which level 0 is asked for in vain.
async fn read_even_keys(engine: &AuraEngine) {
    for number in (0..4 * KEYS).step_by(2) {
        let value = engine.get(&key(number)).await.expect("a get");
        assert!(value.is_some(), "key {number}");
    }
}

/// The runs of level 0, and the merges so far.
fn runs_and_merges(engine: &AuraEngine) -> (u64, u64) {
    let metrics = engine.metrics();
    (metrics.levels[0].runs, metrics.counts.compactions)
}

#[test]
fn reads_in_vain_merge_tables_of_a_tree_that_is_not_written_to_and_then_no_more() {
    let cases = [
        ("min-overlap", None, false),
        ("read-triggered", Some(1e6), false),
        ("read-triggered", None, true),
    ];
    for (name, reads_per_byte, moves) in cases {
        let mut picker = PolicySpec::named(name);
        if let Some(reads) = reads_per_byte {
            picker = picker.with("reads_per_byte", reads);
        }
        let world = sim(3);
        let env = world.env();
        run(&world, async {
            let clock = env.clock.clone();
            let builder = EngineBuilder::new(env, "/db").config(without_filters(picker.clone()));
            let engine = builder.open().await.expect("a new database");
            put_overlapping_runs(&engine).await;
            let (_, merges) = runs_and_merges(&engine);
            clock.sleep(10_000_000_000).await;
            let before = (2, merges);
            assert_eq!(runs_and_merges(&engine), before, "{picker}: nobody reads");

            read_even_keys(&engine).await;
            clock.sleep(1_000_000_000).await;
            let after = if moves { (0, merges + 1) } else { before };
            assert_eq!(runs_and_merges(&engine), after, "{picker}");
            engine.wait_idle().await.expect("nothing is left to do");

            // Where nothing older overlaps, nothing is rewritten, however often it is asked.
            for number in 0..20 * KEYS {
                let absent = [&*key(number % (4 * KEYS)), b"!"].concat();
                assert_eq!(engine.get(&absent).await.expect("a get"), None);
            }
            clock.sleep(1_000_000_000).await;
            assert_eq!(runs_and_merges(&engine), after, "{picker}: read on");
            engine.close().await.expect("a close");
        });
    }
}

#[test]
fn a_picker_that_is_set_later_learns_of_reads_as_well() {
    let world = sim(4);
    let env = world.env();
    run(&world, async {
        let clock = env.clock.clone();
        let config = without_filters(PolicySpec::named("min-overlap"));
        let builder = EngineBuilder::new(env, "/db").config(config);
        let engine = builder.open().await.expect("a new database");
        put_overlapping_runs(&engine).await;
        let picker = PolicySpec::named("read-triggered");
        let change = engine.reconfigure(|config| config.compaction.picker = picker);
        change.await.expect("the picker may change");
        assert_eq!(runs_and_merges(&engine).0, 2);
        read_even_keys(&engine).await;
        clock.sleep(1_000_000_000).await;
        assert_eq!(runs_and_merges(&engine).0, 0);
        engine.close().await.expect("a close");
    });
}
