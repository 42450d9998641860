//! The behaviour of tables beyond right answers: what they read, cache, count, refuse and remove.

use aura_policies::index::{IndexPolicy, Trained};

use super::*;
use crate::config::Metadata;
use crate::context::ReadStats;
use crate::index::{IndexUse, Refusal};
use crate::storage::{KEY_BYTES_MAX, ValuePointer};

#[test]
fn a_present_key_costs_one_block_and_a_cached_one_no_device_read() {
    let world = World::new(4 << 20);
    let entries = even_numbers(5_000);
    let table = world.table(
        &options(Compression::None, "fence", "bloom", 4096),
        &entries,
    );
    let mut context = world.context();
    for round in 0..2 {
        for entry in &entries {
            let found = get(&table, &entry.key, u64::MAX, &mut context).unwrap();
            assert_eq!(found.as_ref(), Some(entry));
        }
        let blocks = table.block_count() as u64;
        let stats = context.stats;
        assert_eq!(stats.index_probes, 5_000 * (round + 1));
        assert_eq!(
            (stats.device_reads, stats.block_misses),
            (blocks, blocks),
            "round {round}"
        );
        assert_eq!(stats.block_hits, stats.index_probes - blocks);
    }
    // A cached value is not copied: both reads return the same memory.
    let mut value = || {
        let key = &entries[77].key;
        get(&table, key, u64::MAX, &mut context)
            .unwrap()
            .unwrap()
            .value
            .as_ptr()
    };
    assert_eq!(value(), value());
}

#[test]
fn work_is_charged_before_the_device_read() {
    let world = World::new(0);
    let table = world.table(
        &options(Compression::None, "fence", "bloom", 256),
        &even_numbers(100),
    );
    world.clock.charged.lock().unwrap().clear();
    let mut context = world.context();
    let key = 4u64.to_be_bytes();
    get(&table, &key, u64::MAX, &mut context).unwrap().unwrap();
    let charged = world.clock.charged.lock().unwrap();
    let [before] = charged[..] else {
        panic!("one device read charges once, not {charged:?}")
    };
    assert_eq!(before.filter_probes, 1);
    assert_eq!(before.cache_probes, 1);
    assert_eq!(before.system_calls, 1);
    assert!(before.comparisons > 0 && before.bytes_checksummed == 0);
    assert!(
        context.work.bytes_checksummed > 200 && context.work.comparisons > 0,
        "work after the read is not charged yet"
    );
}

#[test]
fn a_sequential_cursor_reads_far_ahead_without_the_cache() {
    let world = World::new(4 << 20);
    let entries = even_numbers(40_000);
    let table = world.table(&options(Compression::None, "fence", "none", 4096), &entries);
    let mut context = world.context();
    let mut cursor = TableCursor::sequential(Arc::clone(&table));
    ready(cursor.seek_first(&mut context)).unwrap();
    for entry in &entries {
        assert_eq!(cursor.entry_to_keep().as_ref(), Some(entry));
        ready(cursor.next(&mut context)).unwrap();
    }
    let reads = context.stats.device_reads;
    assert_eq!(world.cache.stats().entries, 0);
    assert!(
        reads >= 5 && reads <= table.facts().bytes / (200 << 10),
        "{reads} reads for {} B",
        table.facts().bytes
    );
    assert!(
        context.stats.device_read_bytes < table.facts().bytes,
        "no block is read twice"
    );
}

#[test]
fn a_model_takes_less_memory_than_fences_and_reports_its_error() {
    let world = World::new(4 << 20);
    let entries = even_numbers(20_000);
    let by_fence = world
        .build(&options(Compression::None, "fence", "none", 1024), &entries)
        .unwrap()
        .index;
    assert_eq!(by_fence.used, IndexUse::Fence);
    assert_eq!(by_fence.segments, 0);
    assert_eq!(by_fence.error_max, 0);
    assert_eq!(by_fence.kind, "fence");
    assert_eq!(by_fence.keys, 20_000);
    assert_eq!(by_fence.memory_bytes, by_fence.packed_fence_bytes);
    assert_eq!(by_fence.refused, None);
    // Plain: for each block a key of 8 B, its end and the address. Packed: the key, and some bits
    // for the number of its entries and bytes, which vary with the prefix that its heads leave out.
    assert_eq!(by_fence.fence_bytes, by_fence.blocks * (8 + 4 + 8) + 8);
    assert!(
        by_fence.packed_fence_bytes < by_fence.blocks * 12,
        "{by_fence:?}"
    );

    let built = world
        .build(
            &options(Compression::None, "greedy-plr", "none", 1024),
            &entries,
        )
        .unwrap();
    let report = built.index.clone();
    assert_eq!(
        (report.used, report.refused.as_deref()),
        (IndexUse::Model, None)
    );
    assert!(report.segments >= 1 && report.error_max < 100, "{report:?}");
    assert_eq!(report.fence_bytes, by_fence.fence_bytes);
    assert_eq!(report.packed_fence_bytes, by_fence.packed_fence_bytes);
    assert!(report.memory_bytes * 10 <= report.fence_bytes, "{report:?}");

    let table = world.open_as(facts(&built)).unwrap();
    assert_eq!(
        table.index_report(),
        &report,
        "the report of the opened table is that of the built one"
    );
    assert_eq!(table.index_bytes(), report.memory_bytes);
    let mut context = world.context();
    for entry in &entries {
        get(&table, &entry.key, u64::MAX, &mut context)
            .unwrap()
            .unwrap();
    }
    let probes = context.stats.index_probes as f64 / entries.len() as f64;
    assert!(probes < 1.5, "{probes} blocks per look-up");
    let counted = table.lookups().read(0);
    assert_eq!(counted.found, 20_000);
    assert_eq!(counted.absent, 0);
    assert_eq!(counted.probes, context.stats.index_probes);
    let measured = report.probes_milli as f64 / 1e3;
    assert!(
        (measured - probes).abs() < 0.05,
        "{measured} blocks per look-up were measured, {probes} examined"
    );
}

/// Trains a real model on wrong numbers.
struct Mistaken(Box<dyn IndexPolicy>);

impl IndexPolicy for Mistaken {
    fn train(&self, images: &[u64]) -> Trained {
        let shifted: Vec<u64> = images.iter().map(|image| image / 3).collect();
        self.0.train(&shifted)
    }
}

#[test]
fn a_wrong_model_is_refused_with_a_reason_and_fences_serve() {
    let world = World::new(1 << 20);
    let good = options(Compression::None, "greedy-plr", "none", 512);
    let policy = aura_policies::index::build(&PolicySpec::named("greedy-plr")).unwrap();
    let mistaken = TableOptions {
        block_bytes: 512,
        compression: Compression::None,
        filter: Arc::clone(&good.filter),
        filter_name: good.filter_name.clone(),
        index: IndexBuild {
            policy: Arc::new(Mistaken(policy)),
            ..index_build(&PolicySpec::named("greedy-plr"), any_model())
        },
        facts: good.facts.clone(),
        keeps_cuts: false,
    };
    let entries = even_numbers(2_000);
    let table = world.table(&Arc::new(mistaken), &entries);
    let report = table.index_report();
    assert_eq!(report.used, IndexUse::Fence);
    assert!(
        report
            .refused
            .as_ref()
            .is_some_and(|why| why.contains("rank")),
        "{report:?}"
    );
    assert_eq!(report.refusal, Some(Refusal::Wrong));
    let mut context = world.context();
    for entry in &entries {
        let found = get(&table, &entry.key, u64::MAX, &mut context).unwrap();
        assert_eq!(found.as_ref(), Some(entry));
    }
}

fn world_with(metadata: Metadata, cache_bytes: u64) -> World {
    let config = CacheConfig {
        size: ByteSize(cache_bytes),
        shards: 1,
        metadata,
        ..CacheConfig::default()
    };
    World {
        cache: Arc::new(BlockCache::new(&config, 0).unwrap()),
        ..World::new(0)
    }
}

#[test]
fn index_and_filter_may_live_in_the_cache() {
    let entries = even_numbers(5_000);
    for index in ["fence", "greedy-plr"] {
        for metadata in [Metadata::Normal, Metadata::Priority] {
            let world = world_with(metadata, 4 << 20);
            let table = world.table(&options(Compression::None, index, "bloom", 1024), &entries);
            assert_eq!(
                (
                    world.cache.stats().entries,
                    world.cache.stats().pinned_bytes
                ),
                (2, 0),
                "put in when opened"
            );
            let mut context = world.context();
            for entry in &entries {
                assert_eq!(
                    get(&table, &entry.key, u64::MAX, &mut context)
                        .unwrap()
                        .as_ref(),
                    Some(entry)
                );
            }
            let stats = context.stats;
            assert_eq!(
                (stats.index_hits, stats.index_misses),
                (5_000, 0),
                "{index}, {metadata:?}"
            );
            assert_eq!(
                (stats.filter_hits, stats.filter_misses),
                (5_000, 0),
                "{index}, {metadata:?}"
            );

            // Evicted metadata is read again, by a point read and by a cursor, with the same
            // result.
            let names = ready(table.cached_names(&mut world.context())).unwrap();
            names.iter().for_each(|name| world.cache.remove(name));
            let mut context = world.context();
            assert_eq!(
                get(&table, &entries[9].key, u64::MAX, &mut context)
                    .unwrap()
                    .as_ref(),
                Some(&entries[9])
            );
            let stats = context.stats;
            let expected = ReadStats {
                index_misses: 1,
                filter_misses: 1,
                block_misses: stats.index_probes,
                ..stats
            };
            assert_eq!(stats, expected);
            assert_eq!(
                stats.device_reads,
                2 + stats.block_misses,
                "{index}, {metadata:?}"
            );
            let mut cursor = TableCursor::new(Arc::clone(&table));
            ready(cursor.seek_first(&mut context)).unwrap();
            assert_eq!(
                (cursor.entry_to_keep().as_ref(), context.stats.index_hits),
                (Some(&entries[0]), 1),
                "{index}, {metadata:?}"
            );
        }
    }
}

#[test]
fn a_cache_smaller_than_the_metadata_still_works() {
    let entries = even_numbers(5_000);
    for metadata in [Metadata::Pinned, Metadata::Normal, Metadata::Priority] {
        let world = world_with(metadata, 2 << 10);
        let table = world.table(&options(Compression::None, "fence", "bloom", 512), &entries);
        let pinned = if metadata == Metadata::Pinned {
            table.index_bytes() + table.filter_bytes()
        } else {
            0
        };
        let stats = world.cache.stats();
        assert_eq!(
            (stats.pinned_bytes, stats.capacity_bytes),
            (pinned, 2 << 10),
            "{metadata:?}"
        );
        for entry in entries.iter().step_by(50) {
            let found = get(&table, &entry.key, u64::MAX, &mut world.context()).unwrap();
            assert_eq!(found.as_ref(), Some(entry), "{metadata:?}");
        }
        if metadata == Metadata::Pinned {
            assert_eq!(world.cache.stats().entries, 0, "the budget is spent");
            drop(table);
            assert_eq!(
                world.cache.stats().pinned_bytes,
                0,
                "the charge ends with the table"
            );
        }
    }
}

#[test]
fn versions_of_one_key_may_fill_many_blocks() {
    let world = World::new(1 << 20);
    let mut entries = vec![put(b"a", 1, b"x")];
    entries.extend(
        (1..=2_000u64)
            .rev()
            .map(|sequence| put(b"k", sequence, &sequence.to_le_bytes())),
    );
    entries.push(put(b"z", 1, b"y"));
    for index in ["fence", "greedy-plr"] {
        let table = world.table(&options(Compression::None, index, "bloom", 128), &entries);
        let mut context = world.context();
        for snapshot in (0..2_100).step_by(7) {
            let found = get(&table, b"k", snapshot, &mut context).unwrap();
            assert_eq!(
                found.as_ref(),
                newest(&entries, b"k", snapshot),
                "{index} at {snapshot}"
            );
        }
    }
}

#[test]
fn a_builder_counts_its_entries() {
    let world = World::new(0);
    let pointer = ValuePointer {
        file: 9,
        offset: 5,
        stored_bytes: 1_000,
        raw_bytes: 3_000,
        compression: Compression::Zstd,
        checksum: 1,
    };
    let mut separated = put(b"c", 12, &pointer.encode());
    separated.kind = EntryKind::Pointer;
    let entries = [put(b"a", 30, b"1"), delete(b"a", 4), separated];
    let built = world
        .build(&options(Compression::None, "fence", "none", 4096), &entries)
        .unwrap();
    let expected = TableFacts {
        bytes: world.contents().len() as u64,
        entries: 3,
        deletions: 1,
        separated_bytes: 1_000,
        smallest: Bytes::from_static(b"a"),
        largest: Bytes::from_static(b"c"),
        sequence_min: 4,
        sequence_max: 30,
        ..facts(&built)
    };
    assert_eq!(facts(&built), expected);
    let table = world.open_as(facts(&built)).unwrap();
    let mut pointers = Vec::new();
    ready(table.verify(&mut world.context(), |entry| {
        pointers.extend(entry.pointer())
    }))
    .unwrap();
    assert_eq!(pointers, [pointer]);
}

#[test]
fn entries_that_cannot_be_stored_are_refused() {
    let world = World::new(0);
    let options = options(Compression::None, "fence", "bloom", 4096);
    let mut torn = put(b"a", 1, b"short");
    torn.kind = EntryKind::Pointer;
    let bad = [
        vec![],
        vec![put(b"b", 1, b""), put(b"a", 2, b"")],
        vec![put(b"a", 1, b""), put(b"a", 2, b"")],
        vec![put(b"a", 1, b""), put(b"a", 1, b"")],
        vec![put(b"a", 1 << 56, b"")],
        vec![torn],
    ];
    for entries in bad {
        let error = world.build(&options, &entries).unwrap_err();
        assert!(
            matches!(error, Error::Corruption { .. }),
            "{entries:?}: {error}"
        );
    }
    for key in [vec![], vec![0; KEY_BYTES_MAX + 1]] {
        let error = world.build(&options, &[put(&key, 1, b"")]).unwrap_err();
        assert!(matches!(error, Error::KeySize { .. }), "{error}");
    }
}

#[test]
fn an_obsolete_table_is_read_to_the_end_and_then_removed() {
    let world = World::new(1 << 20);
    let entries = even_numbers(1_000);
    let options = options(Compression::None, "fence", "bloom", 512);
    let table = world.table(&options, &entries);
    let reader = Arc::clone(&table);
    let names = ready(table.cached_names(&mut world.context())).unwrap();
    get(&table, &entries[0].key, u64::MAX, &mut world.context())
        .unwrap()
        .unwrap();
    assert!(world.cache.peek(&names[0]).is_some());
    names.iter().for_each(|name| world.cache.remove(name));

    table.mark_obsolete();
    drop(table);
    let mut context = world.context();
    for entry in &entries {
        let found = get(&reader, &entry.key, u64::MAX, &mut context).unwrap();
        assert_eq!(found.as_ref(), Some(entry));
    }
    assert_eq!(
        world.cache.stats().entries,
        0,
        "blocks of a dead table do not enter the cache"
    );
    drop(reader);
    assert!(
        world.fs.open(path()).is_err(),
        "the file goes with the last reader"
    );

    let kept = world.table(&options, &entries);
    drop(kept);
    assert!(world.fs.open(path()).is_ok(), "a table in use stays");
}
