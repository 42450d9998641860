//! Policies that choose at random, against the counts of public programs: within a band, because
//! their generators differ.

use aura_policies::PolicySpec;

use crate::cache_trace::{Trace, skewed};
use crate::oracle::oracle_text;

/// A policy of ours, the program's policy that it is, and how far the miss ratio may lie outside
/// that program's over its seeds, counting objects and counting bytes; `None` if that is not
/// compared.
struct Drawn {
    spec: fn() -> PolicySpec,
    source: &'static str,
    theirs: &'static str,
    unit: Option<f64>,
    bytes: Option<f64>,
}

const LIBCACHESIM: &str = "libCacheSim";

const DRAWN: &[Drawn] = &[
    // The program's draws go through the buckets of its hash table in a fixed cycle, so that no
    // object is drawn again before all others were. The same is true of hyperbolic.
    Drawn {
        spec: || PolicySpec::named("random"),
        source: LIBCACHESIM,
        theirs: "Random",
        unit: Some(0.02),
        bytes: Some(0.016),
    },
    Drawn {
        spec: || PolicySpec::named("hyperbolic").with("size_aware", false),
        source: LIBCACHESIM,
        theirs: "Hyperbolic",
        unit: Some(0.01),
        bytes: Some(0.01),
    },
    Drawn {
        spec: || PolicySpec::named("lhd"),
        source: LIBCACHESIM,
        theirs: "LHD",
        unit: Some(0.003),
        bytes: Some(0.003),
    },
    // Of equal use counts the program takes the lower block number, ours the less recent.
    Drawn {
        spec: || PolicySpec::named("lecar"),
        source: "cacheus-authors",
        theirs: "LeCaR",
        unit: Some(0.045),
        bytes: None,
    },
    Drawn {
        spec: || PolicySpec::named("cacheus"),
        source: "cacheus-authors",
        theirs: "Cacheus",
        unit: Some(0.02),
        bytes: None,
    },
];

/// The largest difference between the miss ratios of two seeds. CACHEUS has it: its learning rate
/// wanders at random.
const SPREAD: f64 = 0.02;

/// Compares on a trace at these capacities, in objects and in bytes.
fn compare(name: &str, slots: &[u64], bytes: &[u64], seeds: u64) {
    let (Some(trace), Some(table)) = (
        Trace::of_oracle(name),
        oracle_text("cache/miss_ratios_summary.csv"),
    ) else {
        return;
    };
    let mut outside = Vec::new();
    for drawn in DRAWN {
        let spec = (drawn.spec)();
        for (mode, capacities, band) in [("unit", slots, drawn.unit), ("bytes", bytes, drawn.bytes)]
        {
            let Some(band) = band else { continue };
            for capacity in capacities {
                let [low, high] = theirs(&table, drawn, name, mode, *capacity);
                let misses = |seed| match mode {
                    "unit" => trace.misses_drawn(&spec, *capacity, seed),
                    _ => trace.misses_in_bytes_drawn(&spec, *capacity, seed),
                };
                let ratios: Vec<f64> = (1..=seeds)
                    .map(|seed| misses(seed) as f64 / trace.len() as f64)
                    .collect();
                let (least, most) = ratios.iter().fold((1.0f64, 0.0f64), |(least, most), r| {
                    (least.min(*r), most.max(*r))
                });
                if least < low - band || most > high + band || most - least > SPREAD {
                    outside.push(format!(
                        "{spec} on {name} at {capacity}: {ratios:?}, {} {low}..={high}",
                        drawn.source
                    ));
                }
            }
        }
    }
    assert!(outside.is_empty(), "{outside:#?}");
}

/// The program's lowest and highest miss ratio over its seeds.
fn theirs(table: &str, drawn: &Drawn, trace: &str, mode: &str, capacity: u64) -> [f64; 2] {
    // source,trace,mode,policy,fraction,capacity,runs,miss_ratio_mean,miss_ratio_min,
    // miss_ratio_max,...
    let capacity = capacity.to_string();
    let wanted = [drawn.source, trace, mode, drawn.theirs, &*capacity];
    let line = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<&str>>())
        .find(|fields| [0, 1, 2, 3, 5].map(|column| fields[column]) == wanted);
    let line = line.unwrap_or_else(|| panic!("there is no line for {wanted:?}"));
    [8, 9].map(|column| line[column].parse().expect("a miss ratio"))
}

#[test]
fn cloud_physics() {
    let slots = [48, 489, 2448, 4897, 9794, 19_589];
    let bytes = [2_029_769, 101_488_486, 811_907_891];
    compare("cloudPhysicsIO", &slots, &bytes, 2);
}

#[test]
fn oltp() {
    compare("arc_oltp", &[1868, 37_376], &[], 1);
}

#[test]
fn on_a_skewed_trace_they_beat_lru_and_not_min() {
    let trace = Trace::of_keys(skewed());
    let misses = |policy: &str| {
        [500, 2000, 8000].map(|slots| trace.misses(&PolicySpec::named(policy), slots))
    };
    let lru = [190_086, 162_485, 75_216];
    let min = [143_152, 96_087, 35_081];
    for policy in ["hyperbolic", "lecar", "cacheus", "lrb", "lru-k", "mq"] {
        let found = misses(policy);
        let between = (0..3).all(|at| min[at] <= found[at] && found[at] <= lru[at]);
        assert!(between, "{policy}: {found:?}, LRU {lru:?}, MIN {min:?}");
    }
}
