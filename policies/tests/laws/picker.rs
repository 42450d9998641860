//! Laws of compaction picking.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::facts::{RunFacts, TableFacts};
use aura_policies::picker::{Candidates, FAMILY, build};
use bytes::Bytes;

use crate::SplitMix64;

/// A run of `tables` tables with gaps between them.
fn run(random: &mut SplitMix64, tables: u64) -> RunFacts {
    let key = |number: u64| Bytes::copy_from_slice(&number.to_be_bytes());
    let mut end = 0;
    let mut table = |id| {
        let start = end + 1 + random.below(50);
        end = start + random.below(50);
        let sequence_max = random.below(1000);
        let bytes = random.below(1000);
        let (smallest, largest) = (key(start), key(end));
        TableFacts {
            id,
            bytes,
            entries: bytes,
            deletions: 0,
            separated_bytes: 0,
            smallest,
            largest,
            sequence_min: 0,
            sequence_max,
        }
        .into()
    };
    RunFacts {
        id: 1,
        tables: (0..tables).map(&mut table).collect(),
    }
}

#[test]
fn the_choice_is_a_candidate() {
    for entry in FAMILY.entries {
        for seed in 0..50 {
            let mut random = SplitMix64(seed);
            let mut picker = build(&PolicySpec::named(entry.name)).expect("defaults build");
            for _ in 0..50 {
                let (tables, below) = (1 + random.below(20), random.below(30));
                let (run, next) = (run(&mut random, tables), run(&mut random, below));
                let tables: Vec<&TableFacts> = run.tables.iter().map(AsRef::as_ref).collect();
                let level = 1 + random.below(3) as usize;
                let picked = picker.pick(&Candidates {
                    level,
                    tables: &tables,
                    next: &next,
                });
                assert!(
                    picked < tables.len(),
                    "{}, seed {seed}: {picked} of {}",
                    entry.name,
                    tables.len()
                );
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
        let picks = (0..37).map(|_| {
            picker.pick(&Candidates {
                level: 1,
                tables: &tables,
                next: &next,
            })
        });
        assert_eq!(picks.collect::<BTreeSet<_>>().len(), 37, "cycle {cycle}");
    }
}
