//! Comparisons of made-up rows.

use super::*;
use crate::testing::tidy_row;

fn settings(primary: &[&str], also: &[&str]) -> CompareSettings {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    CompareSettings {
        baseline: "lru".to_owned(),
        primary: names(primary),
        also: names(also),
        margin: 0.005,
        overrides: BTreeMap::new(),
    }
}

/// Compares by one primary metric.
fn compared(rows: &[TidyRow], metric: &str) -> Comparison {
    compare(rows, &settings(&[metric], &[])).expect("two variants")
}

/// `lru` at 0.5, and `sieve` higher by 0.02 and a little by seed.
fn hit_ratios(seeds: u64, world: World) -> Vec<TidyRow> {
    let mut rows = Vec::new();
    for seed in 0..seeds {
        let base = 0.5 + 0.01 * seed as f64;
        let better = base + 0.02 + 0.001 * (seed % 3) as f64;
        rows.push(tidy_row("lru", seed, world, "cache.hit_ratio", base));
        rows.push(tidy_row("sieve", seed, world, "cache.hit_ratio", better));
    }
    rows
}

#[test]
fn seeds_are_paired_and_the_answer_says_so() {
    let comparison = compared(&hit_ratios(10, World::Simulated), "cache.hit_ratio");
    let [row] = comparison.rows.as_slice() else {
        panic!("one metric, one variant: {comparison:?}")
    };
    assert_eq!(row.verdict, Verdict::Better);
    assert_eq!(row.pairs, 10);
    assert_eq!(row.scale, Scale::Absolute);
    // Between seeds the base moves by 0.09; within a pair the difference moves by 0.002 only.
    assert!(row.low > Some(0.02), "{:?}", row.low);
    assert!(row.high < Some(0.022), "{:?}", row.high);
    assert_eq!(row.p, Some(2.0 / 1024.0));
    assert_eq!(
        answer(&comparison),
        "On cache.hit_ratio, sieve is better than lru by +2.09 pp [+2.03, +2.15] (10 pairs)."
    );
}

#[test]
fn one_seed_is_exact_in_a_simulation_and_one_sample_in_the_real_world() {
    for (world, verdict, note) in [
        (World::Simulated, Verdict::Exact, "exact for this seed"),
        (World::Real, Verdict::Undecided, "one sample"),
    ] {
        let comparison = compared(&hit_ratios(1, world), "cache.hit_ratio");
        let row = &comparison.rows[0];
        assert_eq!(row.verdict, verdict);
        assert_eq!(row.note, note);
        assert_eq!(row.low, None);
        assert_eq!(row.p, None);
    }
}

#[test]
fn five_pairs_decide_in_a_simulation_and_not_in_the_real_world() {
    let simulated = compared(&hit_ratios(5, World::Simulated), "cache.hit_ratio");
    assert_eq!(simulated.rows[0].verdict, Verdict::Better);
    assert_eq!(simulated.rows[0].note, "");
    assert_eq!(
        simulated.warnings.len(),
        1,
        "the p-value is Student's: {:?}",
        simulated.warnings
    );

    let real = compared(&hit_ratios(5, World::Real), "cache.hit_ratio");
    assert_eq!(real.rows[0].verdict, Verdict::Undecided);
    assert_eq!(real.rows[0].note, "5 pairs; at least 6 are needed");
    assert!(real.warnings.is_empty(), "{:?}", real.warnings);
}

#[test]
fn latency_is_compared_by_its_ratio_and_lower_is_better() {
    let metric = "read.latency_p99_us";
    let mut rows = Vec::new();
    for seed in 0..6 {
        let base = 100.0 * (1 + seed) as f64;
        rows.push(tidy_row("lru", seed, World::Real, metric, base));
        rows.push(tidy_row("sieve", seed, World::Real, metric, base * 1.1));
    }
    let comparison = compared(&rows, metric);
    let row = &comparison.rows[0];
    assert_eq!(row.verdict, Verdict::Worse);
    assert_eq!(row.scale, Scale::Relative);
    assert!((row.effect - 0.1).abs() < 1e-9, "{}", row.effect);
    assert_eq!(row.effect_label(), "+10 % [+10, +10]");
}

#[test]
fn primary_metrics_are_corrected_apart_from_the_others() {
    let mut rows = Vec::new();
    for seed in 0..6 {
        for (metric, effect) in [
            ("cache.hit_ratio", 0.1),
            ("tree.runs", 1.0),
            ("stall.count", 2.0),
        ] {
            let better = 0.2 + effect + 0.001 * seed as f64;
            rows.push(tidy_row("lru", seed, World::Simulated, metric, 0.2));
            rows.push(tidy_row("sieve", seed, World::Simulated, metric, better));
        }
    }
    let one_primary = settings(&["cache.hit_ratio"], &["tree.runs", "stall.count"]);
    let alone = compare(&rows, &one_primary).expect("pairs");
    let p: Vec<_> = alone.rows.iter().map(|row| row.p).collect();
    assert_eq!(p, [Some(0.03125), Some(0.03125), Some(0.03125)]);

    let two_primary = settings(&["cache.hit_ratio", "tree.runs"], &[]);
    let together = compare(&rows, &two_primary).expect("pairs");
    assert_eq!(together.rows[0].p, Some(0.0625));
    assert_eq!(
        together.rows[0].verdict,
        Verdict::Undecided,
        "two claims need more than six pairs"
    );
}

#[test]
fn an_overloaded_side_gets_no_verdict_on_latency() {
    let metric = "read.latency_p99_us";
    let mut rows = Vec::new();
    for seed in 0..8 {
        let latency = 50.0 + seed as f64;
        for row in [
            tidy_row("lru", seed, World::Simulated, metric, 100.0),
            tidy_row("lru", seed, World::Simulated, "run.overloaded", 0.0),
            tidy_row("sieve", seed, World::Simulated, metric, latency),
            tidy_row("sieve", seed, World::Simulated, "run.overloaded", 1.0),
        ] {
            rows.push(row);
        }
    }
    let comparison = compared(&rows, metric);
    assert_eq!(comparison.rows[0].verdict, Verdict::Undecided);
    let warning = &comparison.warnings[0];
    assert!(
        warning.contains("length of the run: sieve in phase run."),
        "{warning}"
    );
}

/// Eight seeds in which `sieve` does a fifth more than `lru` by `metric`, with `deferred` of its
/// bytes put off.
fn with_debt(metric: &str, deferred: f64) -> Vec<TidyRow> {
    let mut rows = Vec::new();
    for seed in 0..8 {
        let base = 100.0 + seed as f64;
        for (variant, value, share) in [("lru", base, 0.0), ("sieve", base * 1.2, deferred)] {
            let world = World::Simulated;
            rows.push(tidy_row(variant, seed, world, metric, value));
            rows.push(tidy_row(variant, seed, world, "debt.deferred_ratio", share));
        }
    }
    rows
}

#[test]
fn what_is_flattered_by_debt_gets_no_verdict() {
    for (deferred, verdict) in [(0.3, Verdict::Undecided), (0.004, Verdict::Better)] {
        let rows = with_debt("run.throughput_ops", deferred);
        let row = &compared(&rows, "run.throughput_ops").rows[0];
        assert_eq!(row.verdict, verdict, "{deferred}: {}", row.note);
    }
    let rows = with_debt("run.throughput_ops", 0.3);
    let comparison = compared(&rows, "run.throughput_ops");
    let note = "sieve left unpaid: 30 % of the bytes it wrote";
    assert_eq!(comparison.rows[0].note, note);
    let warning = &comparison.warnings[0];
    assert!(warning.contains("(largest): sieve 30 %."), "{warning}");

    // A hit ratio is what it is.
    let rows = with_debt("cache.hit_ratio", 0.3);
    assert_eq!(
        compared(&rows, "cache.hit_ratio").rows[0].verdict,
        Verdict::Better
    );
}

/// Moves rows to the window `whole`.
fn in_whole(rows: &[TidyRow]) -> Vec<TidyRow> {
    let moved = |row: &TidyRow| TidyRow {
        phase: "whole".to_owned(),
        ..row.clone()
    };
    rows.iter().map(moved).collect()
}

#[test]
fn the_question_about_paid_costs_is_asked_of_the_whole() {
    for (metric, expected) in [
        ("write.amplification", vec![("run", false), ("whole", true)]),
        ("run.throughput_ops", vec![("run", true), ("whole", false)]),
        ("cache.hit_ratio", vec![("run", true)]),
    ] {
        let mut rows = with_debt(metric, 0.0);
        rows.extend(in_whole(&rows));
        let comparison = compared(&rows, metric);
        let found: Vec<(&str, bool)> = comparison
            .rows
            .iter()
            .map(|row| (row.phase.as_str(), row.primary))
            .collect();
        assert_eq!(found, expected, "{metric}");
    }
}

#[test]
fn too_few_merges_measure_no_write_amplification() {
    for (merges, verdict) in [(9.0, Verdict::NotMeasured), (10.0, Verdict::Worse)] {
        let mut rows = with_debt("write.amplification", 0.0);
        for seed in 0..8 {
            // One side's merges are enough: the other side may have avoided them.
            for (variant, count) in [("lru", merges), ("sieve", 0.0)] {
                for (metric, value) in [("compaction.count", count), ("gc.count", 0.0)] {
                    rows.push(tidy_row(variant, seed, World::Simulated, metric, value));
                }
            }
        }
        let row = &compared(&rows, "write.amplification").rows[0];
        assert_eq!(row.verdict, verdict, "{merges}: {}", row.note);
    }
}

#[test]
fn policies_that_did_nothing_are_inactive() {
    let settings = |key: &str| CompareSettings {
        overrides: ["lru", "sieve"]
            .map(|name| {
                let set = Point::from([(key.to_owned(), name.to_owned())]);
                (name.to_owned(), set)
            })
            .into(),
        ..settings(&["cache.hit_ratio"], &[])
    };
    for (key, evictions, inactive) in [
        ("engine.cache.eviction", 0.0, true),
        ("engine.cache.eviction", 1.0, false),
        // Another setting acts by itself.
        ("engine.cache.size", 0.0, false),
    ] {
        let mut rows = hit_ratios(6, World::Simulated);
        for seed in 0..6 {
            for variant in ["lru", "sieve"] {
                let world = World::Simulated;
                rows.push(tidy_row(variant, seed, world, "cache.evictions", evictions));
            }
        }
        let comparison = compare(&rows, &settings(key)).expect("two variants");
        let row = &comparison.rows[0];
        assert_eq!(row.verdict == Verdict::Inactive, inactive, "{key}: {row:?}");
    }
}

#[test]
fn a_comparison_that_cannot_be_made_says_why() {
    let rows = hit_ratios(2, World::Simulated);
    let misspelt = settings(&["cache.hit_ratoi"], &[]);
    assert!(matches!(
        compare(&rows, &misspelt),
        Err(CompareError::UnknownMetric(_))
    ));

    let mut settings = settings(&["cache.hit_ratio"], &["write.amplification"]);
    let comparison = compare(&rows, &settings).expect("pairs");
    assert_eq!(comparison.missing, ["write.amplification"]);

    let mut only = rows.clone();
    only.retain(|row| row.variant == "lru");
    let error = compare(&only, &settings).expect_err("one variant");
    assert_eq!(error, CompareError::OnlyBaseline("lru".to_owned()));

    settings.baseline = "arc".to_owned();
    let error = compare(&rows, &settings).expect_err("no such variant");
    assert_eq!(
        error.to_string(),
        "no finished trial of the baseline \"arc\"; there are lru, sieve"
    );

    settings.margin = f64::NAN;
    assert!(matches!(
        compare(&rows, &settings),
        Err(CompareError::Margin(_))
    ));
}

#[test]
fn the_load_is_compared_only_if_there_is_nothing_else() {
    let mut rows = Vec::new();
    for window in ["load", "settle", "drain"] {
        for mut row in hit_ratios(2, World::Simulated) {
            row.phase = window.to_owned();
            rows.push(row);
        }
    }
    rows.extend(in_whole(&hit_ratios(2, World::Simulated)));
    assert_eq!(windows(&rows), ["load", "whole"]);
    assert_eq!(phases(&rows), ["load"]);
    rows.extend(hit_ratios(2, World::Simulated));
    assert_eq!(windows(&rows), ["run", "whole"]);
}

#[test]
fn several_variants_are_grouped_by_verdict() {
    let mut rows = Vec::new();
    for seed in 0..6 {
        for (variant, value) in [("lru", 0.5), ("arc", 0.54), ("sieve", 0.53), ("fifo", 0.5)] {
            let metric = "cache.hit_ratio";
            rows.push(tidy_row(variant, seed, World::Simulated, metric, value));
        }
    }
    let answer = answer(&compared(&rows, "cache.hit_ratio"));
    assert!(
        answer.starts_with("On cache.hit_ratio against lru: better: arc +4 pp"),
        "{answer}"
    );
    assert!(
        answer.contains(", sieve +3 pp") && answer.contains("; equivalent: fifo 0 pp"),
        "{answer}"
    );
}

#[test]
fn a_sweep_is_summed_up_by_places() {
    let mut rows = Vec::new();
    for (size, gain) in [("32MiB", 0.03), ("128MiB", 0.0)] {
        for seed in 0..6 {
            for (variant, value) in [("lru", 0.5), ("sieve", 0.5 + gain)] {
                let metric = "cache.hit_ratio";
                let mut row = tidy_row(variant, seed, World::Simulated, metric, value);
                row.point
                    .insert("engine.cache.size".to_owned(), size.to_owned());
                rows.push(row);
            }
        }
    }
    let comparison = compared(&rows, "cache.hit_ratio");
    assert_eq!(
        answer(&comparison),
        "On cache.hit_ratio, sieve against lru is better in 1, equivalent in 1 of 2 places: \
         0 to +3 pp."
    );
    let table = table(&comparison.rows);
    assert!(
        table.contains("engine.cache.size=32MiB") && table.contains("equivalent"),
        "{table}"
    );
    let csv = to_csv(&comparison.rows);
    assert_eq!(csv.lines().count(), 3);
    assert!(
        csv.starts_with("metric,phase,point,baseline,variant,"),
        "{csv}"
    );
}
