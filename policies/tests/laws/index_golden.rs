//! How many pieces the models need: counts of other programs for the same keys, and exhaustive
//! search.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::index::{Trained, build, decode};
use bytes::Bytes;

use crate::index_sets::{golden, oracle, oracle_keys};

/// The pieces that a policy cuts `images` into. It must make a model.
fn pieces(policy: &str, epsilon: u32, images: &[u64]) -> u64 {
    let spec = PolicySpec::named(policy).with("epsilon", epsilon);
    match build(&spec).expect("in range").train(images) {
        Trained::Model(encoded) => decode(policy, Bytes::from(encoded))
            .expect("it reads back")
            .segments(),
        other => panic!("{spec}: {other:?}"),
    }
}

/// Set, epsilon, then the pieces: optimal, greedy, cone, knots.
const GOLDEN: [(&str, u32, [u64; 4]); 17] = [
    ("square", 8, [56, 79, 79, 80]),
    ("square", 32, [28, 39, 40, 41]),
    ("square", 128, [14, 20, 20, 21]),
    ("uniform44", 8, [386, 1104, 1122, 1162]),
    ("uniform44", 16, [101, 323, 325, 327]),
    ("uniform44", 32, [26, 85, 85, 86]),
    ("uniform44", 64, [7, 23, 23, 26]),
    ("uniform44", 128, [3, 5, 5, 6]),
    ("gaps", 8, [295, 913, 920, 939]),
    ("gaps", 16, [68, 236, 241, 243]),
    ("gaps", 32, [19, 59, 60, 62]),
    ("gaps", 64, [5, 16, 16, 17]),
    ("gaps", 128, [1, 3, 3, 4]),
    ("clusters", 8, [100, 100, 100, 200]),
    ("clusters", 128, [100, 100, 100, 200]),
    ("linear", 8, [1, 1, 1, 2]),
    ("linear", 1, [1, 1, 1, 2]),
];

#[test]
fn pieces_are_those_counted_before() {
    for (set, epsilon, [optimal, greedy, cone, knots]) in GOLDEN {
        let images = golden(set);
        assert_eq!(
            pieces("pgm", epsilon, &images),
            optimal,
            "optimal, {set}, {epsilon}"
        );
        for (policy, counted) in [
            ("greedy-plr", greedy),
            ("cone", cone),
            ("radix-spline", knots),
        ] {
            assert_eq!(
                pieces(policy, epsilon, &images),
                counted,
                "{policy}, {set}, {epsilon}"
            );
        }
    }
}

#[test]
fn the_optimum_falls_with_epsilon_and_is_never_beaten() {
    for set in ["square", "uniform44", "gaps", "clusters"] {
        let images = golden(set);
        let mut before = u64::MAX;
        for epsilon in [4, 5, 8, 13, 32, 64, 200, 1000] {
            let optimal = pieces("pgm", epsilon, &images);
            let greedy = ["greedy-plr", "cone"].map(|policy| pieces(policy, epsilon, &images));
            assert!(
                optimal <= before && greedy.iter().all(|greedy| optimal <= *greedy),
                "{set}, {epsilon}"
            );
            // Each piece but the last spans at least 2 epsilon ranks.
            assert!(
                (optimal - 1) * 2 * u64::from(epsilon) <= images.len() as u64,
                "{set}, {epsilon}"
            );
            before = optimal;
        }
    }
}

/// The rows of a table of counts, by column name.
fn rows(name: &str) -> Option<Vec<BTreeMap<String, String>>> {
    let text = String::from_utf8(oracle(name)?).expect("text");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let header: Vec<String> = lines.next().expect("a header").collect();
    Some(
        lines
            .map(|fields| header.iter().cloned().zip(fields).collect())
            .collect(),
    )
}

#[test]
fn the_optimum_agrees_with_the_oracles() {
    let Some(rows) = rows("pla_segments.csv") else {
        return;
    };
    assert_eq!(rows.len(), 49);
    let mut keys: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for row in &rows {
        let dataset = row["dataset"].as_str();
        let images = keys
            .entry(dataset)
            .or_insert_with(|| oracle_keys(dataset).expect("the folder is set"));
        assert_eq!(images.len().to_string(), row["n"], "{dataset}");
        let found = pieces("pgm", row["epsilon"].parse().expect("a number"), images);
        assert_eq!(found.to_string(), row["segments"], "{row:?}");
    }
}

#[test]
fn the_optimum_agrees_with_exhaustive_search() {
    let Some(rows) = rows("pla_bruteforce_n2000.csv") else {
        return;
    };
    assert_eq!(rows.len(), 56);
    for row in rows {
        let images = oracle_keys(&row["dataset"]).expect("the folder is set");
        let step = if row["subset"] == "head" {
            1
        } else {
            images.len() / 2000
        };
        let subset: Vec<u64> = images.into_iter().step_by(step).take(2000).collect();
        let found = pieces("pgm", row["epsilon"].parse().expect("a number"), &subset);
        assert_eq!(found.to_string(), row["segments_bruteforce"], "{row:?}");
    }
}
