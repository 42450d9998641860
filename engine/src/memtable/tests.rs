//! Tests of memtables, which every structure must pass.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::storage::EntryKind;

fn entry(key: &[u8], sequence: u64, value: &str) -> Entry {
    Entry {
        key: Bytes::copy_from_slice(key),
        sequence,
        kind: EntryKind::Put,
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn tables() -> impl Iterator<Item = (MemtableStructure, Memtable)> {
    MemtableStructure::ALL.into_iter().map(|structure| {
        let config = EngineConfig {
            memtable_structure: structure,
            ..EngineConfig::default()
        };
        (structure, Memtable::new(&config, 1))
    })
}

#[test]
fn a_get_sees_the_newest_version_of_its_snapshot() {
    for (structure, table) in tables() {
        let mut work = CpuWork::default();
        for (key, sequence, value) in [
            ("b", 2, "two"),
            ("a", 1, "one"),
            ("b", 5, "five"),
            ("bb", 3, "three"),
        ] {
            table.insert(&entry(key.as_bytes(), sequence, value), &mut work);
        }
        let get = |key: &str, at| {
            table
                .get(
                    key.as_bytes(),
                    hash_key(key.as_bytes()),
                    at,
                    &mut CpuWork::default(),
                )
                .map(|entry| entry.value)
        };
        assert_eq!(get("b", 9).as_deref(), Some(&b"five"[..]), "{structure:?}");
        assert_eq!(get("b", 4).as_deref(), Some(&b"two"[..]), "{structure:?}");
        assert_eq!(get("b", 1), None, "{structure:?}");
        assert_eq!(get("c", 9), None, "{structure:?}");
        assert_eq!(work.memtable_inserts, 4);
    }
}

#[test]
fn the_inline_list_is_charged_its_words_and_the_others_more() {
    let charge = |structure| {
        let config = EngineConfig {
            memtable_structure: structure,
            ..EngineConfig::default()
        };
        let table = Memtable::new(&config, 1);
        assert_eq!(table.bytes(), 0);
        let filter = config.memtable.as_u64() / 64;
        for number in 0..10_000u64 {
            let key = format!(
                "user{:016}",
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 14
            );
            let entry = entry(key.as_bytes(), number + 1, &"v".repeat(100));
            table.insert(&entry, &mut CpuWork::default());
        }
        (table.bytes() - filter) as f64 / 10_000.0
    };
    let inline = charge(MemtableStructure::InlineSkipList);
    // Two words of header, two links, and the words that hold 120 bytes.
    let expected = 16.0 + 16.0 + 120.0;
    assert!((inline - expected).abs() < 1.0, "{inline} of {expected}");
    assert_eq!(charge(MemtableStructure::SkipList), 240.0);
}

#[test]
fn walks_go_both_ways_in_internal_order() {
    for (structure, table) in tables() {
        for (key, sequence) in [("a", 1), ("b", 2), ("b", 5), ("c", 3)] {
            table.insert(
                &entry(key.as_bytes(), sequence, ""),
                &mut CpuWork::default(),
            );
        }
        let show = |start, limit| {
            let text = |e: &Entry| format!("{}{}", String::from_utf8_lossy(&e.key), e.sequence);
            table
                .walk(start, limit)
                .iter()
                .map(text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(show(Start::First, 9), "a1 b5 b2 c3", "{structure:?}");
        assert_eq!(show(Start::At(b"b", u64::MAX), 2), "b5 b2", "{structure:?}");
        assert_eq!(show(Start::After(b"b", 5), 9), "b2 c3", "{structure:?}");
        assert_eq!(
            show(Start::Before(b"b", u64::MAX), 9),
            "a1",
            "{structure:?}"
        );
        assert_eq!(show(Start::Before(b"b", 2), 9), "b5 a1", "{structure:?}");
        assert_eq!(show(Start::Last, 3), "c3 b2 b5", "{structure:?}");
    }
}

/// Makes keys of several shapes: long common prefixes, binary bytes, prefixes of each other, zeros
/// at the end, many versions of one key.
fn random_key(chance: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let zeros_and_ones = |chance: &mut Xoshiro256PlusPlus, most: usize| {
        let bytes = chance.random_range(0..most);
        (0..bytes)
            .map(|_| u8::from(chance.random::<u8>() < 40))
            .collect::<Vec<u8>>()
    };
    match chance.random_range(0..8) {
        4 => [vec![b'p'; 253], zeros_and_ones(chance, 6)].concat(),
        5 => [vec![b'a'], zeros_and_ones(chance, 12)].concat(),
        6 => [vec![b'q'; 3_000], zeros_and_ones(chance, 4)].concat(),
        0 => format!("user{:020}", chance.random_range(0..20_000u64)).into_bytes(),
        1 => chance.random::<u64>().to_be_bytes().to_vec(),
        2 => vec![b'a'; chance.random_range(1..40)],
        3 => vec![chance.random_range(0..3) * 0x7f, 0, chance.random()],
        _ => b"hot".to_vec(),
    }
}

/// Values by key and inverted sequence number, which is the order of a memtable.
type Model = BTreeMap<(Vec<u8>, u64), Vec<u8>>;

/// Checks that the memtable and the model agree at a position.
fn check_around(
    table: &Memtable,
    model: &Model,
    (key, at): (Vec<u8>, u64),
    limit: usize,
    what: &str,
) {
    let position = (key.clone(), u64::MAX - at);
    let shown = |start| -> Vec<(Vec<u8>, u64)> {
        let entries = table.walk(start, limit);
        let shown = entries.iter().map(|it| (it.key.to_vec(), it.sequence));
        shown.collect()
    };
    let expected = |keys: &mut dyn Iterator<Item = &(Vec<u8>, u64)>| -> Vec<(Vec<u8>, u64)> {
        keys.take(limit)
            .map(|(key, inverted)| (key.clone(), u64::MAX - inverted))
            .collect()
    };

    let newest = model.range(position.clone()..).next();
    let newest = newest.filter(|((found, _), _)| *found == key);
    let got = table.get(&key, hash_key(&key), at, &mut CpuWork::default());
    let got = got.map(|entry| entry.value.to_vec());
    assert_eq!(got, newest.map(|(_, value)| value.clone()), "{what}");

    let mut from = model.range(position.clone()..).map(|(key, _)| key);
    assert_eq!(shown(Start::At(&key, at)), expected(&mut from), "{what}");
    let from = model.range(position.clone()..).map(|(key, _)| key);
    let mut after = from.filter(|key| **key != position);
    assert_eq!(
        shown(Start::After(&key, at)),
        expected(&mut after),
        "{what}"
    );
    let mut before = model.range(..position).rev().map(|(key, _)| key);
    assert_eq!(
        shown(Start::Before(&key, at)),
        expected(&mut before),
        "{what}"
    );
}

#[test]
fn every_structure_is_a_sorted_map() {
    for (structure, table) in tables() {
        let seed = 3;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut model = Model::new();
        for sequence in 1..=15_000u64 {
            let key = random_key(&mut chance);
            // Some values are not copied into nodes, and some fill whole words.
            let bytes = [0, 8, 13, 2_000][sequence as usize % 4];
            let value = format!("{sequence:0bytes$}");
            table.insert(&entry(&key, sequence, &value), &mut CpuWork::default());
            model.insert((key, u64::MAX - sequence), value.into_bytes());
            if sequence % 31 != 0 {
                continue;
            }
            let key = random_key(&mut chance);
            let at = chance.random_range(0..=sequence + 1);
            let limit = chance.random_range(1..80);
            let what = format!("{structure:?}, seed {seed}, {sequence} entries, {key:?} at {at}");
            check_around(&table, &model, (key, at), limit, &what);
        }
        assert!(
            table
                .iter()
                .map(|entry| (entry.key.to_vec(), u64::MAX - entry.sequence))
                .eq(model.into_keys())
        );
        assert_eq!(table.walk(Start::Last, 1).len(), 1, "{structure:?}");
    }
}

/// Readers that run beside the writer see all published entries, in order, and no torn ones.
#[test]
fn readers_see_everything_published() {
    for (structure, table) in tables() {
        let published = AtomicU64::new(0);
        let key = |number: u64| {
            format!("key{:08}", number.wrapping_mul(2_654_435_761) % 50_000).into_bytes()
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for sequence in 1..=50_000 {
                    table.insert(
                        &entry(&key(sequence), sequence, &sequence.to_string()),
                        &mut CpuWork::default(),
                    );
                    published.store(sequence, Ordering::Release);
                }
            });
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(5);
            loop {
                let seen = published.load(Ordering::Acquire);
                if seen > 0 {
                    let sequence = chance.random_range(1..=seen);
                    let sought = key(sequence);
                    let hash = hash_key(&sought);
                    let found = table.get(&sought, hash, sequence, &mut CpuWork::default());
                    assert_eq!(
                        found.map(|entry| entry.sequence),
                        Some(sequence),
                        "{structure:?}, {seen} published"
                    );
                    let walked = table.walk(Start::At(&key(sequence), sequence), 200);
                    assert!(
                        walked.is_sorted_by(|a, b| a.order(b).is_lt()),
                        "{structure:?}"
                    );
                }
                if seen == 50_000 {
                    break;
                }
            }
        });
        assert_eq!(table.iter().count(), 50_000, "{structure:?}");
    }
}

#[test]
fn range_tombstones_count_and_make_it_no_longer_empty() {
    for (structure, table) in tables() {
        assert!(
            table.is_empty() && table.ranges().is_none(),
            "{structure:?}"
        );
        let empty = table.bytes();
        let range = |sequence, start: &'static str, end: &'static str| RangeTombstone {
            sequence,
            start: Bytes::from(start),
            end: Bytes::from(end),
        };
        table.insert_ranges(
            &[range(4, "a", "c"), range(5, "b", "")],
            &mut CpuWork::default(),
        );
        table.insert_ranges(&[], &mut CpuWork::default());
        let before = table.bytes();
        assert!(before > empty, "{structure:?}");
        table.insert_ranges(&[range(6, "x", "y")], &mut CpuWork::default());
        let ranges = table.ranges().unwrap();
        assert_eq!(ranges.sequences(), [4, 5, 6].into(), "{structure:?}");
        assert!(!table.is_empty() && table.bytes() > before, "{structure:?}");
        assert_eq!(table.bytes() - empty, ranges.bytes());
        assert_eq!(table.iter().count(), 0);
    }
}
