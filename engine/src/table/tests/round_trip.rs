//! Random tables compared with the sorted lists they were made of, with every codec, index policy
//! and filter policy, and several block sizes.

use super::*;

/// Shapes of keys, each of which stresses something else.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A few bytes of a small alphabet with 0x00 and 0xff, so that keys are prefixes of each other.
    Binary,
    /// Big-endian numbers with gaps, which models fit well.
    Numbers,
    /// A prefix of 100 bytes, 8 bytes with few different values, then a tail: many ties.
    Crowded,
    /// A few keys of 64 KiB that differ at the end.
    Huge,
}

/// The sequence numbers to read at.
const SNAPSHOTS: [u64; 4] = [u64::MAX, 700, 300, 0];

const SHAPES: [Shape; 4] = [Shape::Binary, Shape::Numbers, Shape::Crowded, Shape::Huge];

fn random_key(shape: Shape, chance: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    match shape {
        Shape::Binary => (0..chance.random_range(1..7))
            .map(|_| [0, 1, b'a', 0xff][chance.random_range(0..4)])
            .collect(),
        Shape::Numbers => chance
            .random_range(0..4_000u64)
            .pow(2)
            .to_be_bytes()
            .to_vec(),
        Shape::Crowded => {
            let mut key = vec![b'p'; 100];
            key.extend_from_slice(&chance.random_range(0..6u64).to_be_bytes());
            key.extend((0..chance.random_range(0..4)).map(|_| chance.random_range(0..4u8)));
            key
        }
        Shape::Huge => {
            let mut key = vec![b'h'; crate::storage::KEY_BYTES_MAX];
            key[65_500] = chance.random_range(0..9);
            key
        }
    }
}

/// Makes sorted entries: most keys have one version, some a few, some a hundred.
fn random_entries(shape: Shape, chance: &mut Xoshiro256PlusPlus) -> Vec<Entry> {
    let keys = if matches!(shape, Shape::Huge) {
        8
    } else {
        chance.random_range(1..160)
    };
    let mut entries = Vec::new();
    for _ in 0..keys {
        let key = random_key(shape, chance);
        let versions = match chance.random_range(0..40) {
            0 if !matches!(shape, Shape::Huge) => 100,
            1..8 => chance.random_range(2..6),
            _ => 1,
        };
        for _ in 0..versions {
            let sequence = chance.random_range(1..1_000);
            let bytes = [0, 3, 20, 20, 90][chance.random_range(0..5)];
            let value = vec![chance.random_range(0..5u8); bytes];
            let tombstone = chance.random_range(0..5) == 0;
            entries.push(if tombstone {
                delete(&key, sequence)
            } else {
                put(&key, sequence, &value)
            });
        }
    }
    entries.sort_by(Entry::order);
    entries.dedup_by(|a, b| a.key == b.key && a.sequence == b.sequence);
    entries
}

/// Makes keys to look up: the present ones, their neighbours, and some others.
fn questions(shape: Shape, entries: &[Entry], chance: &mut Xoshiro256PlusPlus) -> Vec<Vec<u8>> {
    let mut keys = vec![vec![0], vec![0xff; 9]];
    for entry in entries {
        let key = entry.key.to_vec();
        let last = key.len() - 1;
        let mut above = key.clone();
        above[last] = above[last].wrapping_add(1);
        let mut below = key.clone();
        below[last] = below[last].wrapping_sub(1);
        let longer = [&key[..], &[0]].concat();
        keys.extend([above, below, longer, key[..last.max(1)].to_vec(), key]);
    }
    keys.extend((0..50).map(|_| random_key(shape, chance)));
    keys.sort();
    keys.dedup();
    keys
}

struct Trial {
    world: World,
    table: Arc<Table>,
    entries: Vec<Entry>,
    label: String,
}

impl Trial {
    /// Makes point reads, and seeks in both directions, of every key at several snapshots.
    fn ask(&self, keys: &[Vec<u8>]) {
        let Self {
            world,
            table,
            entries,
            label,
        } = self;
        let mut context = world.context();
        let mut cursor = TableCursor::new(Arc::clone(table));
        for key in keys {
            for snapshot in SNAPSHOTS {
                let found = get(table, key, snapshot, &mut context).unwrap();
                assert_eq!(
                    found.as_ref(),
                    newest(entries, key, snapshot),
                    "{label}: get {key:?} at {snapshot}"
                );
                let target = put(key, snapshot, b"");
                ready(cursor.seek(key, snapshot, &mut context)).unwrap();
                let expected = entries.iter().find(|entry| entry.order(&target).is_ge());
                assert_eq!(
                    cursor.entry_to_keep().as_ref(),
                    expected,
                    "{label}: seek {key:?} at {snapshot}"
                );
            }
            ready(cursor.seek_before(key, &mut context)).unwrap();
            let expected = entries.iter().rfind(|entry| entry.key[..] < key[..]);
            assert_eq!(
                cursor.entry_to_keep().as_ref(),
                expected,
                "{label}: seek before {key:?}"
            );
        }
        let stats = context.stats;
        assert_eq!(
            stats.filter_probes,
            stats.filter_negatives + self.passes(keys) + stats.filter_false_positives
        );
    }

    /// Counts the point reads of `ask` that a filter must pass.
    fn passes(&self, keys: &[Vec<u8>]) -> u64 {
        if self.table.filter_bytes() == 0 {
            return 0;
        }
        let found = |key: &Vec<u8>| {
            SNAPSHOTS
                .iter()
                .filter(|snapshot| newest(&self.entries, key, **snapshot).is_some())
                .count() as u64
        };
        keys.iter().map(found).sum()
    }

    /// Walks from end to end in both directions, and back and forth at random.
    fn walk(&self, chance: &mut Xoshiro256PlusPlus) {
        let Self {
            world,
            table,
            entries,
            label,
        } = self;
        let mut context = world.context();
        for mut cursor in [
            TableCursor::new(Arc::clone(table)),
            TableCursor::sequential(Arc::clone(table)),
        ] {
            ready(cursor.seek_first(&mut context)).unwrap();
            for entry in entries {
                assert_eq!(cursor.entry(), Some(entry.into()), "{label}: forward");
                ready(cursor.next(&mut context)).unwrap();
            }
            assert_eq!(
                cursor.entry_to_keep().as_ref(),
                None,
                "{label}: after the end"
            );
            ready(cursor.seek_last(&mut context)).unwrap();
            for entry in entries.iter().rev() {
                assert_eq!(
                    cursor.entry_to_keep().as_ref(),
                    Some(entry),
                    "{label}: reverse"
                );
                ready(cursor.prev(&mut context)).unwrap();
            }
            assert_eq!(
                cursor.entry_to_keep().as_ref(),
                None,
                "{label}: before the start"
            );
            let mut at = chance.random_range(0..entries.len());
            ready(cursor.seek(&entries[at].key, entries[at].sequence, &mut context)).unwrap();
            for step in 0..200 {
                assert_eq!(
                    cursor.entry_to_keep().as_ref(),
                    Some(&entries[at]),
                    "{label}: step {step} of to and fro"
                );
                if chance.random_range(0..2) == 0 && at + 1 < entries.len() {
                    at += 1;
                    ready(cursor.next(&mut context)).unwrap();
                } else if at > 0 {
                    at -= 1;
                    ready(cursor.prev(&mut context)).unwrap();
                }
            }
        }
    }

    fn verify(&self) {
        let mut seen = Vec::new();
        let audit = ready(
            self.table
                .verify(&mut self.world.context(), |entry| seen.push(entry.clone())),
        )
        .unwrap();
        assert_eq!(seen, self.entries, "{}", self.label);
        assert_eq!(audit.entries, self.entries.len() as u64, "{}", self.label);
        assert_eq!(
            audit.blocks,
            self.table.block_count() as u64,
            "{}",
            self.label
        );
    }
}

fn names<B>(family: &aura_policies::Family<B>) -> Vec<&'static str> {
    family.names()
}

#[test]
fn random_tables_answer_like_the_lists_they_were_made_of() {
    let mut with_model = 0;
    let mut seed = 0;
    for compression in [
        Compression::None,
        Compression::Lz4,
        Compression::Zstd,
        Compression::Snappy,
    ] {
        for index in names(&aura_policies::index::FAMILY) {
            for filter in names(&aura_policies::filter::FAMILY) {
                for block_bytes in [64, 300, 4096] {
                    for shape in SHAPES {
                        seed += 1;
                        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
                        let world = World::new([0, 20 << 10, 1 << 20][chance.random_range(0..3)]);
                        let entries = random_entries(shape, &mut chance);
                        let keys = questions(shape, &entries, &mut chance);
                        let table = world
                            .table(&options(compression, index, filter, block_bytes), &entries);
                        with_model +=
                            u32::from(table.index_report().used == crate::index::IndexUse::Model);
                        let label = format!(
                            "seed {seed}: {shape:?}, {compression:?}, {index}, {filter}, \
                             blocks of {block_bytes} B"
                        );
                        let trial = Trial {
                            world,
                            table,
                            entries,
                            label,
                        };
                        trial.verify();
                        trial.ask(&keys);
                        trial.walk(&mut chance);
                    }
                }
            }
        }
    }
    assert!(
        with_model > 30,
        "only {with_model} tables were searched through a model"
    );
}
