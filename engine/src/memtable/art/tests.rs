//! Tests of what only a radix tree has. The tests of a sorted map are those of all memtables.

use bytes::Bytes;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::storage::EntryKind;

fn entry(key: impl Into<Bytes>, sequence: Sequence) -> Entry {
    Entry {
        key: key.into(),
        sequence,
        kind: EntryKind::Put,
        value: Bytes::new(),
    }
}

/// Builds a tree of these positions, inserted in a random order.
fn tree(positions: &[(Vec<u8>, Sequence)], seed: u64) -> Art {
    let art = Art::default();
    let mut shuffled = positions.to_vec();
    shuffled.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    for (key, sequence) in shuffled {
        art.push(entry(key, sequence));
    }
    art
}

/// Looks up every position of a tree and every neighbour.
fn check(art: &Art, mut positions: Vec<(Vec<u8>, Sequence)>, what: &str) {
    let show = |entries: Vec<Entry>| -> Vec<(Vec<u8>, Sequence)> {
        entries
            .into_iter()
            .map(|entry| (entry.key.to_vec(), entry.sequence))
            .collect()
    };
    positions.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
    assert!(
        show(art.walk(Start::First, usize::MAX)) == positions,
        "{what}: forward"
    );
    assert!(
        show(art.walk(Start::Last, usize::MAX))
            .iter()
            .eq(positions.iter().rev()),
        "{what}: backward"
    );
    for (at, (key, sequence)) in positions.iter().enumerate() {
        let what = format!("{what}, {} bytes, sequence {sequence}", key.len());
        assert_eq!(
            art.get(key, *sequence).map(|found| found.sequence),
            Some(*sequence),
            "{what}"
        );
        let next = |from: usize| {
            positions[from.min(positions.len())..]
                .iter()
                .take(2)
                .cloned()
                .collect::<Vec<_>>()
        };
        let previous = positions[..at]
            .iter()
            .rev()
            .take(2)
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!(
            show(art.walk(Start::At(key, *sequence), 2)),
            next(at),
            "{what}"
        );
        assert_eq!(
            show(art.walk(Start::After(key, *sequence), 2)),
            next(at + 1),
            "{what}"
        );
        assert_eq!(
            show(art.walk(Start::Before(key, *sequence), 2)),
            previous,
            "{what}"
        );
    }
}

/// Looks up a key that a tree does not contain.
fn check_absent(art: &Art, keys: &[Vec<u8>], absent: &[u8]) {
    assert_eq!(art.get(absent, Sequence::MAX), None, "{absent:?}");
    let next = keys.iter().filter(|key| ***key > *absent).min();
    let previous = keys.iter().filter(|key| ***key < *absent).max();
    let found = |start| art.walk(start, 1).pop().map(|entry| entry.key.to_vec());
    assert_eq!(
        found(Start::At(absent, 5)).as_ref(),
        next,
        "after {absent:?}"
    );
    assert_eq!(
        found(Start::Before(absent, 5)).as_ref(),
        previous,
        "before {absent:?}"
    );
}

/// Returns the number of nodes of each size that were created.
fn made(art: &Art) -> [usize; 4] {
    art.nodes.made().map(|(number, _)| number)
}

#[test]
fn a_key_may_be_a_prefix_of_others() {
    let mut keys = vec![Vec::new()];
    for byte in [0, 1, b'a', 0xff] {
        for length in 1..12 {
            keys.push(vec![byte; length]);
            keys.push([vec![byte; length], vec![0]].concat());
            keys.push([vec![byte; length], vec![0xff, 0]].concat());
        }
    }
    keys.sort();
    keys.dedup();
    for seed in 0..8 {
        let (there, absent): (Vec<_>, Vec<_>) = keys
            .iter()
            .cloned()
            .enumerate()
            .partition(|(at, _)| at % 3 != 0);
        let there: Vec<Vec<u8>> = there.into_iter().map(|(_, key)| key).collect();
        let positions: Vec<_> = there
            .iter()
            .flat_map(|key| [(key.clone(), 2), (key.clone(), 1)])
            .collect();
        let art = tree(&positions, seed);
        check(&art, positions, &format!("seed {seed}"));
        absent
            .iter()
            .for_each(|(_, key)| check_absent(&art, &there, key));
    }
}

/// Nodes store 8 of the bytes that they skip. The keys differ inside these bytes, before them and
/// behind them.
#[test]
fn nodes_part_anywhere_in_what_they_skip() {
    for length in [1, 7, 8, 9, 10, 16, 17, 40, 1000] {
        let stem: Vec<u8> = (0..length).map(|at| at as u8 | 1).collect();
        let leaves = [0, 0, 1, 1]
            .iter()
            .zip([0, 9, 0, 9])
            .map(|(a, b)| [&stem[..], &[*a, 7, 7, b]].concat());
        let mut keys: Vec<Vec<u8>> = leaves.collect();
        let strays: Vec<Vec<u8>> = (0..length)
            .flat_map(|at| [-1, 1].map(|by| (at, by)))
            .map(|(at, by)| {
                let mut key = keys[at % 4].clone();
                key[at] = key[at].wrapping_add_signed(by);
                key
            })
            .collect();
        let art = tree(
            &keys.iter().map(|key| (key.clone(), 1)).collect::<Vec<_>>(),
            1,
        );
        strays.iter().for_each(|key| check_absent(&art, &keys, key));
        strays
            .iter()
            .step_by(3)
            .for_each(|key| art.push(entry(key.clone(), 1)));
        keys.extend(strays.iter().step_by(3).cloned());
        check(
            &art,
            keys.iter().map(|key| (key.clone(), 1)).collect(),
            &format!("{length} bytes shared"),
        );
        strays
            .iter()
            .skip(1)
            .step_by(3)
            .for_each(|key| check_absent(&art, &keys, key));
    }
}

#[test]
fn a_node_grows_through_all_sizes() {
    let art = Art::default();
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let mut keys = vec![b"stem".to_vec()];
    art.push(entry(b"stem".to_vec(), 1));
    for (number, byte) in (1..).zip(bytes) {
        // Keys that end at the node use no slot.
        let nodes = [
            1,
            (number > 4).into(),
            (number > 16).into(),
            1 + usize::from(number > 48),
        ];
        keys.push([b"stem".to_vec(), vec![byte]].concat());
        art.push(entry(keys[number].clone(), 1));
        assert_eq!(made(&art), nodes, "{number} children");
        if [1, 4, 5, 15, 16, 17, 47, 48, 49, 255, 256].contains(&number) {
            check(
                &art,
                keys.iter().map(|key| (key.clone(), 1)).collect(),
                &format!("{number} children"),
            );
        }
        let absent = [b"stem".to_vec(), vec![byte, 0]].concat();
        check_absent(&art, &keys, &absent);
    }
}

#[test]
fn versions_come_in_any_order() {
    let key = b"key".to_vec();
    let sequences =
        (0..3000)
            .map(|number| number * number + 7)
            .chain([1 << 40, 1 << 62, Sequence::MAX]);
    let mut positions: Vec<(Vec<u8>, Sequence)> =
        sequences.map(|sequence| (key.clone(), sequence)).collect();
    let near = [
        (b"ke".to_vec(), 9),
        (b"key\0".to_vec(), 9),
        (b"key\0\0\0\0\0\0\0\0\0".to_vec(), 9),
    ];
    positions.extend(near);
    for seed in 0..2 {
        let art = tree(&positions, seed);
        check(&art, positions.clone(), &format!("seed {seed}"));
        assert_eq!(art.get(&key, 6), None, "seed {seed}");
        assert_eq!(
            art.get(&key, 9).map(|found| found.sequence),
            Some(8),
            "seed {seed}"
        );
        assert_eq!(art.get(b"ke", 8), None, "seed {seed}");
        let before_all = art
            .walk(Start::At(&key, 6), 1)
            .pop()
            .map(|found| found.key.to_vec());
        assert_eq!(before_all, Some(b"key\0".to_vec()), "seed {seed}");
    }
}

/// A small alphabet, so that keys share prefixes in every way. It contains 0, which is also the
/// content of empty slots.
#[test]
fn keys_of_few_bytes_are_kept_apart() {
    for seed in 0..300 {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        let longest = [2, 6, 14, 30][seed as usize % 4];
        let mut key = || -> Vec<u8> {
            let likely = chance.random_range(0..3usize);
            let length = chance.random_range(0..=longest);
            (0..length)
                .map(|_| {
                    [0, 1, 0xff][if chance.random_bool(0.8) {
                        likely
                    } else {
                        length % 3
                    }]
                })
                .collect()
        };
        let mut keys: Vec<Vec<u8>> = (0..100).map(|_| key()).collect();
        let strangers: Vec<Vec<u8>> = (0..50)
            .map(|_| key())
            .filter(|key| !keys.contains(key))
            .collect();
        keys.sort();
        keys.dedup();
        let versions =
            |key: &Vec<u8>| [0, 1, 255, 256, 1 << 24].map(|sequence| (key.clone(), sequence));
        let positions: Vec<_> = keys.iter().flat_map(versions).collect();
        let art = tree(&positions, seed);
        check(&art, positions, &format!("seed {seed}"));
        strangers
            .iter()
            .for_each(|key| check_absent(&art, &keys, key));
    }
}

/// A walk with inserts between its steps returns all earlier entries, in order, and no entry on the
/// wrong side of its start.
#[test]
fn a_walk_holds_its_course_while_the_tree_changes() {
    for seed in 0..2000 {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        let art = Art::default();
        let mut sequence = 0;
        let mut insert = |chance: &mut Xoshiro256PlusPlus| {
            sequence += 1;
            let key: Vec<u8> = (0..chance.random_range(0..4))
                .map(|_| chance.random_range(0..6))
                .collect();
            art.push(entry(key, sequence));
        };
        (0..seed % 60).for_each(|_| insert(&mut chance));
        let start: Vec<u8> = (0..chance.random_range(0..4))
            .map(|_| chance.random_range(0..6))
            .collect();
        let at = Probe::new(&start, chance.random_range(0..60));
        let backward = chance.random();
        let is_ahead =
            |one: &Entry| ((&one.key[..], !one.sequence) < (at.key, at.inverted)) == backward;
        let mut due = art.walk(
            if backward { Start::Last } else { Start::First },
            usize::MAX,
        );
        due.retain(is_ahead);

        let mut cursor = Cursor::seek(&art, at, backward, !backward);
        let mut walked = Vec::new();
        for _ in 0..9 {
            (0..20).for_each(|_| insert(&mut chance));
            walked.extend(cursor.next().map(|number| art.entries.get(number)));
        }
        walked.extend(cursor.map(|number| art.entries.get(number)));
        assert!(
            walked.iter().all(|one| is_ahead(one)),
            "seed {seed}: {at:?}, {walked:?}"
        );
        assert!(
            walked.is_sorted_by(|a, b| a.order(b).is_gt() == backward),
            "seed {seed}: {at:?}, {walked:?}"
        );
        assert!(
            due.iter().all(|one| walked.contains(&one)),
            "seed {seed}: {at:?}, {walked:?}, not {due:?}"
        );
    }
}

/// A node at each of the first 20,000 bytes of a key of 64 KiB: built, searched, walked and dropped
/// on a small stack.
#[test]
fn depth_takes_no_stack() {
    let deep = || {
        let long = Bytes::from(vec![b'x'; 64 << 10]);
        let art = Art::default();
        art.push(entry(long.clone(), 1));
        (1..20_000)
            .rev()
            .for_each(|length| art.push(entry(long.slice(..length), 2)));
        assert_eq!(made(&art), [19_999, 0, 0, 1]);
        assert_eq!(art.get(&long, 9).map(|found| found.sequence), Some(1));
        assert_eq!(
            art.get(&long[..19_999], 9).map(|found| found.sequence),
            Some(2)
        );
        assert_eq!(art.get(&long[..20_000], 9), None);
        let lengths = |start| {
            art.walk(start, 20_000)
                .iter()
                .map(|entry| entry.key.len())
                .collect::<Vec<_>>()
        };
        assert!(
            lengths(Start::First)
                .into_iter()
                .eq((1..20_000).chain([64 << 10]))
        );
        assert!(
            lengths(Start::Last)
                .into_iter()
                .eq([64 << 10].into_iter().chain((1..20_000).rev()))
        );
        assert_eq!(lengths(Start::Before(&long[..20_000], 1))[0], 19_999);
    };
    let thread = std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(deep)
        .expect("a thread");
    thread.join().expect("no panic");
}

/// The bytes counted per entry are close to the bytes in use.
#[test]
fn memory_is_counted() {
    type Shape = (&'static str, fn(u64) -> Vec<u8>);
    fn scattered(number: u64) -> u64 {
        Xoshiro256PlusPlus::seed_from_u64(number).random()
    }
    let shapes: [Shape; 3] = [
        ("dense", |number| format!("user{number:019}").into_bytes()),
        ("hashed", |number| {
            format!("user{:019}", scattered(number) / 2).into_bytes()
        }),
        ("random", |number| scattered(number).to_be_bytes().to_vec()),
    ];
    for (shape, key) in shapes {
        for entries in [10_000, 100_000] {
            let art = Art::default();
            (0..entries).for_each(|number| art.push(entry(key(number), number)));
            let nodes: usize = art
                .nodes
                .made()
                .iter()
                .map(|(number, size)| number * size)
                .sum();
            let taken = nodes as u64 / entries + size_of::<std::sync::OnceLock<Entry>>() as u64;
            let off = taken.abs_diff(ENTRY_OVERHEAD_BYTES);
            assert!(
                off <= 12,
                "{taken} bytes an entry taken, {shape} keys, {entries} entries"
            );
        }
    }
}
