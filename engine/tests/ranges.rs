//! Tests of range deletes as their users see them: what they cost, and that they are dropped once
//! they are no longer needed.

mod common;

use aura_engine::{AuraEngine, Batch, Direction, Engine, EngineBuilder, EngineConfig, Range, Rows};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::{compacted_by_hand, key, sim};

const KEYS: u64 = 4_000;

/// Returns settings with small tables and blocks, values in the tables, and compactions only on
/// request.
fn config() -> EngineConfig {
    let mut config = compacted_by_hand(ByteSize::kib(16));
    config.value_log.separation = PolicySpec::named("never");
    config
}

fn run(config: &EngineConfig, test: impl AsyncFnOnce(AuraEngine)) {
    let world = sim(1);
    let env = world.env();
    world
        .block_on(async {
            let engine = EngineBuilder::new(env, "/db")
                .config(config.clone())
                .open()
                .await
                .unwrap();
            test(engine.clone()).await;
            engine.close().await.unwrap();
        })
        .unwrap();
}

/// Writes every key to one sorted run of many tables. Two runs are merged, because a single one
/// would only be moved.
async fn fill(engine: &AuraEngine) {
    for number in 0..KEYS {
        engine.put(&key(number), &[7; 80]).await.unwrap();
        if number == KEYS / 2 {
            engine.flush().await.unwrap();
        }
    }
    engine.compact().await.unwrap();
}

async fn rows(engine: &AuraEngine, direction: Direction) -> u64 {
    let mut scan = engine.scan(Range::all(), direction);
    let mut rows = 0;
    while scan.next().await.unwrap().is_some() {
        rows += 1;
    }
    rows
}

#[test]
fn a_memtable_of_range_deletes_alone_is_flushed_without_a_table() {
    run(&config(), async |engine| {
        fill(&engine).await;
        let tables = |engine: &AuraEngine| {
            let levels = engine.metrics().levels;
            levels.iter().map(|level| level.tables).sum::<u64>()
        };
        let before = tables(&engine);
        engine
            .delete_range(Range::between(&key(10), &key(12)))
            .await
            .unwrap();
        engine.flush().await.unwrap();
        let metrics = engine.metrics();
        assert_eq!(metrics.counts.flushes, 3);
        assert_eq!(metrics.counts.range_deletes, 1);
        assert_eq!(metrics.range_tombstones, 1);
        assert_eq!(tables(&engine), before);
        assert_eq!(rows(&engine, Direction::Forward).await, KEYS - 2);
        assert_eq!(engine.get(&key(11)).await.unwrap(), None);
        assert!(engine.get(&key(12)).await.unwrap().is_some());
    });
}

#[test]
fn a_range_delete_leaves_when_the_tables_below_it_are_rewritten() {
    run(&config(), async |engine| {
        fill(&engine).await;
        engine
            .delete_range(Range::between(&key(10), &key(12)))
            .await
            .unwrap();
        engine.put(&key(11), b"again").await.unwrap();
        let snapshot = engine.snapshot();
        engine.put(&key(13), b"newer").await.unwrap();
        engine
            .delete_range(Range::between(&key(13), &key(15)))
            .await
            .unwrap();
        engine.compact().await.unwrap();
        // The tables hold nothing that the first tombstone hides and the snapshot sees; the second
        // one hides such an entry.
        assert_eq!(engine.metrics().range_tombstones, 1);
        let seen = snapshot.get(&key(13)).await.unwrap();
        assert_eq!(seen.as_deref(), Some(&[7; 80][..]));
        assert_eq!(engine.get(&key(13)).await.unwrap(), None);
        drop(snapshot);
        // There is one run already, and still something to do.
        engine.compact().await.unwrap();
        let metrics = engine.metrics();
        assert_eq!(
            (metrics.range_tombstones, metrics.table_entries()),
            (0, KEYS - 3)
        );
        let again = engine.get(&key(11)).await.unwrap();
        assert_eq!(again.as_deref(), Some(&b"again"[..]));
        assert_eq!(rows(&engine, Direction::Reverse).await, KEYS - 3);
    });
}

#[test]
fn newer_range_deletes_replace_older_ones() {
    run(&config(), async |engine| {
        fill(&engine).await;
        for end in 1..=50 {
            engine
                .delete_range(Range::between(b"", &key(end)))
                .await
                .unwrap();
        }
        assert_eq!(engine.metrics().range_tombstones, 50);
        engine.flush().await.unwrap();
        assert_eq!(engine.metrics().range_tombstones, 1);
        assert_eq!(rows(&engine, Direction::Forward).await, KEYS - 50);
        // A range without keys has nothing to hide.
        engine
            .delete_range(Range::prefix(b"elsewhere"))
            .await
            .unwrap();
        engine.flush().await.unwrap();
        assert_eq!(engine.metrics().range_tombstones, 1);
    });
}

#[test]
fn fully_hidden_tables_are_dropped_unread_once_no_snapshot_sees_them() {
    run(&config(), async |engine| {
        fill(&engine).await;
        let before = engine.metrics();
        let snapshot = engine.snapshot();
        engine
            .delete_range(Range::between(&key(100), &key(3_900)))
            .await
            .unwrap();
        engine.flush().await.unwrap();
        engine.wait_idle().await.unwrap();
        assert_eq!(
            engine.metrics().table_bytes(),
            before.table_bytes(),
            "the snapshot sees them"
        );
        assert!(snapshot.get(&key(2_000)).await.unwrap().is_some());
        drop(snapshot);
        engine.wait_idle().await.unwrap();
        let after = engine.metrics();
        let counts = after.counts.since(&before.counts);
        assert!(
            counts.tables_dropped > 10 && after.table_bytes() < before.table_bytes() / 5,
            "{counts:?}"
        );
        assert_eq!((counts.compactions, counts.compaction_read_bytes), (0, 0));
        assert_eq!(rows(&engine, Direction::Forward).await, KEYS - 3_800);
        assert_eq!(engine.verify().await.unwrap().problems, [] as [String; 0]);
    });
}

#[test]
fn a_scan_does_not_read_what_a_range_delete_hides() {
    run(&config(), async |engine| {
        fill(&engine).await;
        let snapshot = engine.snapshot();
        engine
            .delete_range(Range::between(&key(100), &key(3_900)))
            .await
            .unwrap();
        for direction in [Direction::Forward, Direction::Reverse] {
            let before = engine.metrics().counts;
            assert_eq!(
                rows(&engine, direction).await,
                KEYS - 3_800,
                "{direction:?}"
            );
            let counts = engine.metrics().counts.since(&before);
            let blocks = counts.block_hits + counts.block_misses;
            assert!(
                blocks < 60,
                "{direction:?}: {blocks} of more than 300 blocks"
            );
        }
        drop(snapshot);
    });
}

#[test]
fn cached_rows_are_not_used_under_a_range_delete() {
    for rows in [Rows::KeyValue, Rows::KeyPointer, Rows::Both] {
        let config = EngineConfig {
            cache: aura_engine::CacheConfig {
                rows,
                ..config().cache
            },
            ..config()
        };
        run(&config, async |engine| {
            fill(&engine).await;
            for _ in 0..3 {
                for number in 0..20 {
                    assert!(engine.get(&key(number)).await.unwrap().is_some());
                }
            }
            let hits = |engine: &AuraEngine| {
                let counts = engine.metrics().counts;
                counts.key_value_hits + counts.key_pointer_hits
            };
            let mut batch = Batch::new();
            batch
                .delete_range(&Range::between(&key(5), &key(10)))
                .unwrap();
            batch.put(&key(7), b"kept").unwrap();
            engine.write(batch).await.unwrap();
            for flushed in [false, true] {
                let before = hits(&engine);
                for number in 5..10 {
                    let found = engine.get(&key(number)).await.unwrap();
                    let expected = (number == 7).then_some(&b"kept"[..]);
                    assert_eq!(
                        found.as_deref(),
                        expected,
                        "{rows:?}, {number}, flushed {flushed}"
                    );
                }
                assert_eq!(
                    hits(&engine),
                    before,
                    "{rows:?}: no row is asked under a range tombstone"
                );
                assert!(engine.get(&key(12)).await.unwrap().is_some());
                assert_eq!(hits(&engine), before + 1, "{rows:?}: others stay");
                engine.flush().await.unwrap();
            }
            // Without the tombstone, rows are cached again with what is there now.
            engine.compact().await.unwrap();
            assert_eq!(engine.metrics().range_tombstones, 0);
            for _ in 0..3 {
                assert_eq!(engine.get(&key(6)).await.unwrap(), None, "{rows:?}");
                assert_eq!(
                    engine.get(&key(7)).await.unwrap().as_deref(),
                    Some(&b"kept"[..]),
                    "{rows:?}"
                );
            }
            let before = hits(&engine);
            engine.get(&key(7)).await.unwrap();
            assert_eq!(hits(&engine), before + 1, "{rows:?}");
        });
    }
}

#[test]
fn range_deletes_survive_a_reopening() {
    let world = sim(1);
    let env = world.env();
    let open = async || {
        EngineBuilder::new(env.clone(), "/db")
            .config(config())
            .open()
            .await
            .unwrap()
    };
    world
        .block_on(async {
            let engine = open().await;
            fill(&engine).await;
            engine
                .delete_range(Range::between(&key(10), &key(20)))
                .await
                .unwrap();
            engine.flush().await.unwrap();
            engine.delete_range(Range::from(&key(3_990))).await.unwrap();
            engine.close().await.unwrap();
            for _ in 0..2 {
                let engine = open().await;
                assert_eq!(
                    engine.metrics().range_tombstones,
                    2,
                    "one from the manifest, one from the log"
                );
                assert_eq!(rows(&engine, Direction::Reverse).await, KEYS - 20);
                engine.close().await.unwrap();
            }
        })
        .unwrap();
}
