//! Learned indexes in tables: which are refused and why, and that a wrong one costs blocks but
//! never a right answer.

use aura_policies::index::{IndexPolicy, Ranks, Trained};

use super::*;
use crate::index::{Candidates, IndexUse, Refusal};

/// Options with blocks of 1 KiB for an index that must keep to `gate`.
fn gated(spec: &PolicySpec, gate: IndexGate) -> Arc<TableOptions> {
    with_index(index_build(spec, gate))
}

fn with_index(index: IndexBuild) -> Arc<TableOptions> {
    let options = Arc::into_inner(options(Compression::None, "fence", "none", 1024)).unwrap();
    Arc::new(TableOptions { index, ..options })
}

fn newest(table: &Table, key: &[u8], context: &mut ReadContext<'_>) -> Option<Entry> {
    get(table, key, u64::MAX, context).unwrap()
}

/// The index of error-bounded lines, with a bound of `epsilon` ranks.
fn lines(epsilon: u32) -> PolicySpec {
    PolicySpec::named("greedy-plr").with("epsilon", epsilon)
}

#[test]
fn a_model_that_is_too_large_is_refused_and_the_reason_stored() {
    let world = World::new(1 << 20);
    let entries = even_numbers(20_000);
    let memory = |memory| IndexGate {
        memory,
        ..any_model()
    };
    let narrow = IndexGate {
        window_blocks: 2,
        ..any_model()
    };
    let cases = [
        (lines(16), memory(0.01), Some(Refusal::TooLarge)),
        (lines(16), memory(0.2), None),
        (lines(256), narrow, None),
        (lines(16), IndexGate::default(), None),
    ];
    for (spec, gate, expected) in cases {
        let built = world.build(&gated(&spec, gate), &entries).unwrap();
        let index = &built.index;
        assert_eq!(index.refusal, expected, "{spec} {gate:?}: {index:?}");
        let used = match expected {
            Some(_) => IndexUse::Fence,
            None => IndexUse::Model,
        };
        assert_eq!(index.used, used, "{spec}");
        let small = index.memory_bytes * 10 <= index.fence_bytes;
        assert!(
            expected.is_some() || small,
            "a tenth of plain fence pointers: {index:?}"
        );
        let table = world.open_as(facts(&built)).unwrap();
        assert_eq!(table.index_report(), index, "the report is read back");
        assert_eq!(table.index_report().parameters, spec.to_string());
        let found = newest(&table, &entries[7_777].key, &mut world.context());
        assert_eq!(found, Some(entries[7_777].clone()));
    }
    let one = [put(b"key", 1, b"")];
    let built = world.build(&gated(&lines(16), any_model()), &one).unwrap();
    assert_eq!(built.index.refusal, Some(Refusal::Declined));
}

#[test]
fn a_model_whose_windows_are_too_wide_is_refused() {
    let world = World::new(1 << 20);
    // The keys are squares, so that a line errs by as much as its bound allows.
    let squares: Vec<Entry> = (0..20_000u64)
        .map(|i| put(&(i * i).to_be_bytes(), 1, b"0123456789"))
        .collect();
    let narrow = IndexGate {
        window_blocks: 3,
        ..any_model()
    };
    let few_probes = IndexGate {
        probes: 1.5,
        ..any_model()
    };
    for (gate, expected) in [
        (narrow, Some(Refusal::TooWide)),
        (few_probes, Some(Refusal::TooWide)),
        (any_model(), None),
    ] {
        let built = world.build(&gated(&lines(512), gate), &squares).unwrap();
        let index = built.index;
        assert_eq!(index.refusal, expected, "{gate:?}: {index:?}");
        let wide = index.window_blocks > 3 && index.probes_milli > 1_500;
        assert!(expected.is_some() || wide, "{index:?}");
    }
}

/// Encodes a model that cannot be decoded.
struct Garbage;

impl IndexPolicy for Garbage {
    fn train(&self, _images: &[u64]) -> Trained {
        Trained::Model(vec![0xff; 7])
    }
}

#[test]
fn a_model_that_cannot_be_decoded_is_refused() {
    let world = World::new(0);
    for entry in aura_policies::index::FAMILY.entries() {
        let build = index_build(&PolicySpec::named(entry.name), any_model());
        let build = IndexBuild {
            policy: Arc::new(Garbage),
            ..build
        };
        let index = world
            .build(&with_index(build), &even_numbers(100))
            .unwrap()
            .index;
        assert_eq!(
            (index.used, index.refusal),
            (IndexUse::Fence, Some(Refusal::Wrong)),
            "{}",
            entry.name
        );
    }
}

/// Makes another policy count blocks instead of entries.
struct ByBlock(Arc<dyn IndexPolicy>);

impl IndexPolicy for ByBlock {
    fn ranks(&self) -> Ranks {
        Ranks::Blocks
    }

    fn train(&self, images: &[u64]) -> Trained {
        self.0.train(images)
    }
}

/// Makes entries with unique images, a thousand ties, and one key with a hundred versions.
fn with_ties() -> Vec<Entry> {
    let mut entries = even_numbers(4_000);
    entries.retain(|entry| entry.key[..] != 4_000u64.to_be_bytes());
    entries.extend((0..1_000u16).map(|i| {
        put(
            &[&4_000u64.to_be_bytes()[..], &i.to_be_bytes()].concat(),
            5,
            b"tie",
        )
    }));
    entries.extend((1..=100).map(|version| put(&5_001u64.to_be_bytes(), version, b"version")));
    // The first byte differs, so the keys share no prefix.
    entries.push(put(&[0xff; 12], 1, b"last"));
    entries.sort_by(Entry::order);
    entries
}

#[test]
fn many_ties_widen_only_their_own_window() {
    let entries = with_ties();
    let plr = index_build(
        &PolicySpec::named("greedy-plr").with("epsilon", 4),
        any_model(),
    );
    let by_block = IndexBuild {
        policy: Arc::new(ByBlock(plr.policy.clone())),
        ..index_build(&PolicySpec::named("greedy-plr"), any_model())
    };
    for build in [plr, by_block] {
        let world = World::new(1 << 20);
        let table = world.table(&with_index(build), &entries);
        let index = table.index_report();
        assert_eq!(index.used, IndexUse::Model, "{index:?}");
        let ties = if index.by_block { 20 } else { 1_000 };
        assert!(index.longest_run >= ties, "{index:?}");
        let mut context = world.context();
        for entry in even_numbers(2_000) {
            newest(&table, &entry.key, &mut context);
        }
        let probes = context.stats.index_probes as f64 / 2_000.0;
        assert!(
            probes < 2.5,
            "{probes} blocks per look-up of keys beside the ties"
        );
        let mut context = world.context();
        let mut cursor = TableCursor::new(Arc::clone(&table));
        for entry in &entries {
            let expected = entries.iter().find(|other| other.key == entry.key);
            assert_eq!(newest(&table, &entry.key, &mut context).as_ref(), expected);
            ready(cursor.seek(&entry.key, entry.sequence, &mut context)).unwrap();
            assert_eq!(cursor.entry_to_keep().as_ref(), Some(entry));
        }
        // Absent: beside the ties, between them, and after the last of them.
        for suffix in [&[][..], &[0], &[0, 0, 1], &[1, 200, 9], &[9]] {
            let key = [&4_000u64.to_be_bytes()[..], suffix].concat();
            ready(cursor.seek(&key, u64::MAX, &mut context)).unwrap();
            assert_eq!(
                cursor.entry_to_keep().as_ref(),
                entries.iter().find(|entry| entry.key[..] >= key[..]),
                "{key:?}"
            );
            assert_eq!(newest(&table, &key, &mut context), None, "{key:?}");
        }
        let probes = context.stats.index_probes as f64 / context.stats.index_lookups as f64;
        assert!(probes < 3.0, "{probes} blocks per look-up");
        ready(table.verify(&mut world.context(), |_| {})).unwrap();
    }
}

#[test]
fn wrong_candidates_cost_blocks_but_never_a_right_answer() {
    let world = World::new(1 << 20);
    let mut entries = even_numbers(300);
    entries.extend((1..=40).map(|version| put(&201u64.to_be_bytes(), version, b"version")));
    entries.sort_by(Entry::order);
    let options = options(Compression::None, "greedy-plr", "none", 200);
    let table = world.table(&options, &entries);
    assert_eq!(table.index_report().used, IndexUse::Model);
    let blocks = table.block_count();
    let seed = 4;
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    for round in 0..20_000 {
        // An absent key, because models are checked at all present ones.
        let key = (2 * chance.random_range(0..310u64) + 1).to_be_bytes();
        if key == 201u64.to_be_bytes() {
            continue;
        }
        let mut context = world.context();
        let start = chance.random_range(0..blocks);
        let end = chance.random_range(start + 1..=blocks);
        let lo = chance.random_range(0..350);
        let likely = chance.random_range(start..end);
        let ranks = Some((lo, lo + chance.random_range(0..50)));
        let candidates = Candidates {
            span: start..end,
            likely,
            ranks,
            exact: false,
        };
        let index = ready(table.index(&mut context)).unwrap();
        let found = table.examine(
            &index,
            candidates.clone(),
            &key,
            u64::MAX,
            false,
            &mut context,
        );
        let found = ready(found).unwrap();
        let found = found.map(|position| table.entry(&position).unwrap());
        let expected = entries.iter().find(|entry| entry.key[..] >= key[..]);
        assert_eq!(
            found.as_ref(),
            expected,
            "seed {seed}, round {round}: {key:?} among {candidates:?} of {blocks}"
        );
    }
}

#[test]
fn training_is_charged_and_a_policy_without_images_is_not_trained() {
    let world = World::new(0);
    let entries = even_numbers(1_000);
    let mut work = [CpuWork::default(); 2];
    for (index, work) in ["fence", "greedy-plr"].into_iter().zip(&mut work) {
        let file = Files::on(&*world.fs).create(path()).unwrap();
        let mut builder = TableBuilder::new(file, options(Compression::None, index, "none", 1024));
        for entry in &entries {
            ready(builder.add(entry, work)).unwrap();
        }
        ready(builder.finish(work)).unwrap();
    }
    assert_eq!(work[0].model_evaluations, 0);
    assert_eq!(work[0].keys_fitted, 0);
    assert_eq!(work[1].keys_fitted, 1_000);
    // Every key, both edges of every 16th gap and of the end, and every 16th key for its blocks.
    assert_eq!(work[1].model_evaluations, 1_000 + (62 * 2 + 2) + 63);
}

/// Makes `count` entries with random keys and values of `value_bytes`, in order.
fn random_keys(seed: u64, count: usize, value_bytes: usize) -> Vec<Entry> {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let value = vec![7; value_bytes];
    let mut entries: Vec<Entry> = (0..count)
        .map(|_| put(&chance.random::<u64>().to_be_bytes(), 1, &value))
        .collect();
    entries.sort_by(Entry::order);
    entries
}

#[test]
fn a_model_of_few_entries_a_block_is_refused_for_a_fraction_of_its_training() {
    let world = World::new(0);
    let gate = IndexGate::default();
    let training = |entries: &[Entry]| {
        let file = Files::on(&*world.fs).create(path()).unwrap();
        let mut builder = TableBuilder::new(file, gated(&lines(16), gate));
        let mut work = CpuWork::default();
        for entry in entries {
            ready(builder.add(entry, &mut work)).unwrap();
        }
        let built = ready(builder.finish(&mut work)).unwrap();
        (built.index, work.keys_fitted, work.model_evaluations)
    };
    let (index, fitted, evaluated) = training(&random_keys(3, 8_192, 200));
    assert_eq!(index.refusal, Some(Refusal::TooWide), "{index:?}");
    assert!(index.refused.unwrap().contains("in a stretch"));
    // Two stretches of a 32nd each, fitted and measured once.
    assert!((512..=560).contains(&fitted), "{fitted}");
    assert_eq!(evaluated, 128);
    // Many entries a block: the trial passes, and all of the table is fitted and checked.
    let (index, fitted, evaluated) = training(&even_numbers(8_192));
    assert_eq!(index.refusal, None, "{index:?}");
    assert!(fitted > 8_192 && evaluated > 8_192, "{fitted} {evaluated}");
}

#[test]
fn a_whole_window_is_read_at_once() {
    let entries = random_keys(9, 4_000, 200);
    let read = |index_reads| {
        // The cache holds nothing: each block that is examined is read.
        let world = World::new(0);
        let table = world.table(&gated(&lines(64), any_model()), &entries);
        let index = table.index_report();
        assert!(index.window_blocks > 4, "{index:?}");
        let mut context = ReadContext {
            index_reads,
            ..world.context()
        };
        for entry in &entries {
            assert_eq!(
                newest(&table, &entry.key, &mut context).as_ref(),
                Some(entry)
            );
            let absent = [&entry.key[..], b"!"].concat();
            assert_eq!(newest(&table, &absent, &mut context), None);
        }
        context.stats
    };
    let blocks = read(IndexReads::Blocks);
    let window = read(IndexReads::Window);
    assert_eq!(window.index_probes, blocks.index_probes);
    assert_eq!(blocks.device_reads, blocks.index_probes);
    assert!(window.index_probes > 2 * window.index_lookups);
    // A look-up that ends beyond its window reads one block more.
    assert!(window.device_reads <= window.index_lookups + window.index_lookups / 50);
    assert!(window.device_read_bytes > 2 * blocks.device_read_bytes);
}

#[test]
fn a_block_of_a_window_is_cached_without_the_window() {
    let entries = random_keys(9, 4_000, 200);
    let world = World::new(16 << 20);
    let table = world.table(&gated(&lines(64), any_model()), &entries);
    let mut context = ReadContext {
        index_reads: IndexReads::Window,
        ..world.context()
    };
    for _ in 0..2 {
        newest(&table, &entries[2_000].key, &mut context);
    }
    let stats = context.stats;
    assert_eq!(stats.device_reads, 1, "the second time all is cached");
    assert_eq!(stats.block_misses, stats.block_hits, "{stats:?}");
    let held = world.cache.stats().entries;
    assert_eq!(held, stats.block_hits, "only what a look-up examined");
}
