//! What the trait `Engine` promises, for every target, beside a `BTreeMap` as the model.

use std::collections::BTreeMap;
use std::ops::Bound;

use aura_engine::{Batch, Cursor, Direction, Error, Key, Range, Value};
use aura_experiments::trial::Target;
use aura_rivals::{OnBTreeMap, OnFjall, OnRocksDb};
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::common::{SETTINGS, on, separated};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Runs a law on every target; on those that separate values with that, too.
macro_rules! laws {
    ($($law:ident,)+) => {
        $(
            mod $law {
                use super::*;

                #[test]
                fn btreemap() {
                    on::<OnBTreeMap, _>("btreemap", SETTINGS, super::$law);
                }

                #[test]
                fn fjall() {
                    on::<OnFjall, _>("fjall", SETTINGS, super::$law);
                }

                #[test]
                fn fjall_separated() {
                    on::<OnFjall, _>("fjall", &separated(), super::$law);
                }

                #[test]
                fn rocksdb() {
                    on::<OnRocksDb, _>("rocksdb", SETTINGS, super::$law);
                }

                #[test]
                fn rocksdb_separated() {
                    on::<OnRocksDb, _>("rocksdb", &separated(), super::$law);
                }
            }
        )+
    };
}

laws! {
    answers_are_those_of_a_map,
    batches_are_carried_out_in_their_order,
    limits_and_sizes_are_kept,
    large_values_outlive_what_follows,
    a_scan_is_as_of_its_first_row,
    a_closed_engine_refuses,
}

/// One of 200 keys, in which lengths differ and bytes are not letters.
fn key(random: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let number = random.random_range(0..200_u16);
    let mut key = vec![(number % 7) as u8; 1 + usize::from(number % 3)];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn bound(random: &mut Xoshiro256PlusPlus) -> Bound<Key> {
    match random.random_range(0..4) {
        0 => Bound::Unbounded,
        1 => Bound::Excluded(Key::from(key(random))),
        _ => Bound::Included(Key::from(key(random))),
    }
}

fn range(random: &mut Xoshiro256PlusPlus) -> Range {
    Range {
        start: bound(random),
        end: bound(random),
    }
}

fn within(range: &Range, key: &[u8]) -> bool {
    range.after_start(key) && range.before_end(key)
}

async fn rows<C: Cursor>(mut scan: C) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    while let Some((key, value)) = scan.next().await.expect("a row") {
        rows.push((key.to_vec(), value.to_vec()));
    }
    rows
}

/// Compares scans of a range in both directions, with and without a limit.
async fn compare<T: Target>(engine: &T, model: &Model, range: Range, limit: usize) {
    let inside = model.iter().filter(|(key, _)| within(&range, key));
    let expected: Vec<_> = inside
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let forward = rows(engine.scan(range.clone(), Direction::Forward)).await;
    assert_eq!(forward, expected, "{range:?}");
    let mut reverse = rows(engine.scan(range.clone(), Direction::Reverse)).await;
    reverse.reverse();
    assert_eq!(reverse, expected, "{range:?}");
    let some = rows(engine.scan(range.clone(), Direction::Forward).limit(limit)).await;
    assert_eq!(
        some,
        expected[..limit.min(expected.len())],
        "{range:?}, {limit}"
    );
    let some = rows(engine.scan(range.clone(), Direction::Reverse).limit(limit)).await;
    let last: Vec<_> = expected.iter().rev().take(limit).cloned().collect();
    assert_eq!(some, last, "{range:?}, {limit}");
}

async fn answers_are_those_of_a_map<T: Target>(engine: T) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut model = Model::new();
    for step in 0..4000 {
        let key = key(&mut random);
        match random.random_range(0..20) {
            0..10 => {
                // From nothing to beyond a block, and beyond the threshold of separation.
                let length = [0, 9, 100, 700, 3000][random.random_range(0..5)];
                let value = vec![random.random_range(0..=255_u8); length];
                engine.put(&key, &value).await.expect("a put");
                model.insert(key, value);
            }
            10..14 => {
                engine.delete(&key).await.expect("a delete");
                model.remove(&key);
            }
            14 if step % 5 == 0 => {
                let range = range(&mut random);
                engine.delete_range(range.clone()).await.expect("a range");
                model.retain(|key, _| !within(&range, key));
            }
            15 => {
                let limit = random.random_range(0..20);
                compare(&engine, &model, range(&mut random), limit).await;
            }
            _ => {
                let found = engine.get(&key).await.expect("a get");
                assert_eq!(
                    found.as_deref(),
                    model.get(&key).map(Vec::as_slice),
                    "{key:?}"
                );
            }
        }
        match step {
            1500 | 3000 => engine.flush().await.expect("a flush"),
            2200 => engine.compact().await.expect("a compaction"),
            2600 => engine.wait_idle().await.expect("rest"),
            _ => {}
        }
    }
    compare(&engine, &model, Range::all(), 50).await;
    let audit = engine.audit().await.expect("an audit");
    let bytes = model.iter().map(|(key, value)| key.len() + value.len());
    assert_eq!(audit.reachable_bytes, bytes.sum::<usize>() as u64);
    assert_eq!(audit.problems, Vec::<String>::new());
}

async fn batches_are_carried_out_in_their_order<T: Target>(engine: T) {
    let mut batch = Batch::new();
    batch.put(b"a", b"1").expect("room");
    batch.put(b"b", b"1").expect("room");
    engine.write(batch).await.expect("a batch");
    let mut batch = Batch::new();
    batch.put(b"b", b"2").expect("room");
    batch.delete(b"a").expect("room");
    batch.put(b"a", b"3").expect("room");
    batch.delete(b"b").expect("room");
    batch.put(b"c", b"4").expect("room");
    engine.write(batch).await.expect("a batch");
    let expected = [("a", "3"), ("c", "4")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(
        rows(engine.scan(Range::all(), Direction::Forward)).await,
        expected
    );
    // A range removes what the database held before, and what the batch has written so far.
    let mut batch = Batch::new();
    batch.put(b"e", b"5").expect("room");
    batch.delete_range(&Range::from(b"b")).expect("room");
    batch.put(b"d", b"5").expect("room");
    engine.write(batch).await.expect("a batch");
    let expected = [("a", "3"), ("d", "5")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(
        rows(engine.scan(Range::all(), Direction::Forward)).await,
        expected
    );
    engine.delete_range(Range::all()).await.expect("a range");
    assert!(
        rows(engine.scan(Range::all(), Direction::Reverse))
            .await
            .is_empty()
    );
    engine
        .delete_range(Range::all())
        .await
        .expect("nothing is there");
}

async fn limits_and_sizes_are_kept<T: Target>(engine: T) {
    let long = vec![b'k'; aura_engine::KEY_BYTES_MAX + 1];
    for key in [&[][..], &long] {
        let refused = |error| matches!(error, Some(Error::KeySize { bytes }) if bytes == key.len());
        assert!(refused(engine.get(key).await.err()), "{} B", key.len());
        assert!(
            refused(engine.put(key, b"v").await.err()),
            "{} B",
            key.len()
        );
        assert!(refused(engine.delete(key).await.err()), "{} B", key.len());
    }
    // The limit of fjall is a byte below AuraDB's.
    let longest = &long[2..];
    engine.put(longest, b"v").await.expect("it fits");
    assert_eq!(
        engine.get(longest).await.expect("a get"),
        Some(Value::from("v"))
    );
    engine.put(b"empty", b"").await.expect("a put");
    assert_eq!(
        engine.get(b"empty").await.expect("a get"),
        Some(Value::new())
    );
    let both = engine.scan(Range::all(), Direction::Forward).limit(5);
    assert_eq!(rows(both).await.len(), 2);
    let none = engine.scan(Range::all(), Direction::Forward).limit(0);
    assert!(rows(none).await.is_empty());
}

async fn large_values_outlive_what_follows<T: Target>(engine: T) {
    let old = |number: u8| vec![number; 6_000 + usize::from(number)];
    for number in 0..40 {
        engine.put(&[number], &old(number)).await.expect("a put");
    }
    engine.flush().await.expect("a flush");
    let mut values = Vec::new();
    for number in 0..40 {
        values.push(engine.get(&[number]).await.expect("a get"));
    }
    assert_eq!(engine.get(&[200]).await.expect("a get"), None);
    for number in 0..40 {
        engine.put(&[number], b"new").await.expect("a put");
    }
    engine.compact().await.expect("it compacts");
    assert_eq!(
        engine.get(&[7]).await.expect("a get"),
        Some(Value::from("new"))
    );
    drop(engine);
    for (number, value) in (0..40).zip(values) {
        assert_eq!(value, Some(Value::from(old(number))), "value {number}");
    }
}

async fn a_scan_is_as_of_its_first_row<T: Target>(engine: T) {
    for number in 0..300_u16 {
        let key = number.to_be_bytes();
        engine.put(&key, b"old").await.expect("a put");
    }
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    assert!(scan.next().await.expect("a row").is_some());
    for number in 0..300_u16 {
        engine
            .put(&number.to_be_bytes(), b"new")
            .await
            .expect("a put");
    }
    engine.put(b"zzz", b"new").await.expect("a put");
    let rest = rows(scan).await;
    let unexpected = rest.iter().find(|(_, value)| value != b"old");
    assert_eq!(unexpected, None);
    assert_eq!(rest.len(), 299);
}

async fn a_closed_engine_refuses<T: Target>(engine: T) {
    engine.put(b"k", b"v").await.expect("a put");
    engine.close().await.expect("it closes");
    engine.close().await.expect("it is closed");
    let closed = |error| matches!(error, Some(Error::Closed));
    assert!(closed(engine.get(b"k").await.err()));
    assert!(closed(engine.put(b"k", b"v").await.err()));
    assert!(closed(engine.delete(b"k").await.err()));
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    assert!(closed(scan.next().await.err()));
}
