//! Laws of compaction picking.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::facts::{
    LevelFacts, RunFacts, TableFacts, TableReads, TreeShape, key_of_number,
};
use aura_policies::picker::{Candidates, FAMILY, build};

use crate::SplitMix64;

/// A run of `tables` tables with gaps between them.
fn run(random: &mut SplitMix64, tables: u64) -> RunFacts {
    let mut end = 0;
    let mut run = RunFacts {
        id: 1,
        ..RunFacts::default()
    };
    for id in 0..tables {
        let start = end + 1 + random.below(50);
        end = start + random.below(50);
        let sequence_max = random.below(1000);
        let bytes = random.below(1000);
        let table = TableFacts {
            sequence_min: random.below(sequence_max + 1),
            sequence_max,
            deletions: random.below(bytes + 1) * random.below(2),
            ..TableFacts::sized(id, key_of_number(start), key_of_number(end), bytes)
        };
        run.tables.push(table.into());
    }
    run
}

/// A tree of `upper` in `level` and `lower` below it, some of whose tables were asked.
fn tree(random: &mut SplitMix64, level: usize, upper: &RunFacts, lower: &RunFacts) -> TreeShape {
    let mut tree = TreeShape::default();
    tree.levels.resize(level + 2, LevelFacts::default());
    tree.levels[level].runs.push(upper.clone());
    tree.levels[level + 1].runs.push(lower.clone());
    for table in &upper.tables {
        if random.below(4) > 0 {
            let lookups = random.below(100);
            let life_nanos = random.below(1_000_000);
            let reads = TableReads {
                lookups,
                misses: random.below(lookups + 1),
                life_nanos,
            };
            tree.reads.insert(table.id, reads);
        }
    }
    tree
}

#[test]
fn the_choice_is_a_candidate_and_asking_again_changes_nothing() {
    for name in FAMILY.names() {
        for seed in 0..50 {
            let mut random = SplitMix64(seed);
            let mut picker = build(&PolicySpec::named(name)).expect("defaults build");
            for _ in 0..50 {
                let tables = 1 + random.below(20);
                let below = random.below(30);
                let run = run(&mut random, tables);
                let next = self::run(&mut random, below);
                let tables: Vec<&TableFacts> = run.tables.iter().map(AsRef::as_ref).collect();
                let level = 1 + random.below(3) as usize;
                let tree = tree(&mut random, level, &run, &next);
                let candidates = Candidates {
                    level,
                    tables: &tables,
                    next: &next,
                    tree: &tree,
                };
                let picked = picker.pick(&candidates);
                let count = tables.len();
                assert!(picked < count, "{name}, seed {seed}: {picked} of {count}");
                assert_eq!(picker.pick(&candidates), picked, "{name}, seed {seed}");
                if random.below(2) == 0 {
                    picker.on_moved(level, tables[picked]);
                }
            }
        }
    }
}

#[test]
fn round_robin_visits_every_table_once_a_cycle() {
    let mut picker = build(&PolicySpec::named("round-robin")).expect("defaults build");
    let run = run(&mut SplitMix64(1), 37);
    let tables: Vec<&TableFacts> = run.tables.iter().map(AsRef::as_ref).collect();
    let next = RunFacts::default();
    for cycle in 0..3 {
        let mut picks = BTreeSet::new();
        for _ in 0..37 {
            let picked = picker.pick(&Candidates {
                level: 1,
                tables: &tables,
                next: &next,
                tree: &TreeShape::default(),
            });
            picker.on_moved(1, tables[picked]);
            picks.insert(picked);
        }
        assert_eq!(picks.len(), 37, "cycle {cycle}");
    }
}

/// Which tables of one level leave first, by id, if each one that is picked is gone.
fn order(spec: &PolicySpec, tree: &TreeShape, level: usize) -> Vec<u64> {
    let mut picker = build(spec).expect("the picker builds");
    let mut tables: Vec<&TableFacts> = tree.levels[level].runs[0]
        .tables
        .iter()
        .map(AsRef::as_ref)
        .collect();
    let mut order = Vec::new();
    while !tables.is_empty() {
        let picked = picker.pick(&Candidates {
            level,
            tables: &tables,
            next: &tree.levels[level + 1].runs[0],
            tree,
        });
        let table = tables.remove(picked);
        picker.on_moved(level, table);
        order.push(table.id);
    }
    order
}

/// Each picker's rule, as a number that never falls from one choice to the next.
#[test]
fn tables_leave_in_the_order_that_the_rule_gives() {
    type Rule = fn(&TreeShape, &TableFacts) -> f64;
    let rules: [(&str, Rule); 5] = [
        ("oldest", |_, table| table.sequence_max as f64),
        ("oldest-largest-seq", |_, table| table.sequence_max as f64),
        ("oldest-smallest-seq", |_, table| table.sequence_min as f64),
        ("most-tombstones", |_, table| -(table.deletions as f64)),
        ("coldest", |tree, table| {
            let reads = tree.reads.get(&table.id).copied().unwrap_or_default();
            let moments = table.bytes.max(1) as f64 * (reads.life_nanos as f64 + 1000.0);
            (reads.lookups as f64 + 1.0) / moments
        }),
    ];
    for (name, rule) in rules {
        for seed in 0..20 {
            let mut random = SplitMix64(seed);
            let upper = run(&mut random, 30);
            let lower = run(&mut random, 30);
            let tree = tree(&mut random, 1, &upper, &lower);
            let order = order(&PolicySpec::named(name), &tree, 1);
            let ranks: Vec<f64> = order
                .iter()
                .map(|id| rule(&tree, &upper.tables[*id as usize]))
                .collect();
            assert!(ranks.is_sorted(), "{name}, seed {seed}: {ranks:?}");
        }
    }
}

#[test]
fn random_draws_by_seed_level_and_moves_alone() {
    let mut random = SplitMix64(3);
    let upper = run(&mut random, 100);
    let lower = run(&mut random, 100);
    let tree = tree(&mut random, 1, &upper, &lower);
    let seeded = |seed: u64| PolicySpec::named("random").with("seed", seed);
    let one = order(&seeded(1), &tree, 1);
    assert_eq!(one, order(&seeded(1), &tree, 1));
    assert_ne!(one, order(&seeded(2), &tree, 1));
    // The expected distance of two independent places among 100 is a third of 100.
    let distances = one.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    let mean = distances.sum::<u64>() / 99;
    assert!((25..45).contains(&mean), "{mean}");
}
