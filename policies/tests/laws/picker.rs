//! Laws of compaction picking.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::facts::{RunFacts, TableFacts, key_of_number};
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
            sequence_min: 0,
            sequence_max,
            ..TableFacts::sized(id, key_of_number(start), key_of_number(end), bytes)
        };
        run.tables.push(table.into());
    }
    run
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
                let candidates = Candidates {
                    level,
                    tables: &tables,
                    next: &next,
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
            });
            picker.on_moved(1, tables[picked]);
            picks.insert(picked);
        }
        assert_eq!(picks.len(), 37, "cycle {cycle}");
    }
}
