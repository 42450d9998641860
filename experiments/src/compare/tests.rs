//! Comparisons of made-up rows.

use std::sync::Arc;

use super::*;
use crate::testing::tidy_row;

fn settings(primary: &[&str], also: &[&str]) -> CompareSettings {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    CompareSettings {
        baseline: "lru".to_owned(),
        primary: names(primary),
        also: names(also),
        margin: 0.005,
        absolute_margin: BTreeMap::new(),
        whole: false,
        sequential: false,
        overrides: BTreeMap::new(),
    }
}

fn answer(comparison: &Comparison) -> String {
    super::answer(comparison, Context::default())
}

/// Values of one metric: variant, and by seed.
pub(super) fn values(metric: &str, world: World, sides: &[(&str, &[f64])]) -> Vec<TidyRow> {
    let mut rows = Vec::new();
    for (variant, values) in sides {
        for (seed, value) in (1..).zip(*values) {
            rows.push(tidy_row(variant, seed, world, metric, *value));
        }
    }
    rows
}

/// Compares by one primary metric.
pub(super) fn compared(rows: &[TidyRow], metric: &str) -> Comparison {
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
    // Student's: the mean is 76 standard errors from zero.
    assert!(row.p < Some(1e-12), "{:?}", row.p);
    assert_eq!(
        answer(&comparison),
        "On cache.hit_ratio, sieve is better than lru by +2.09 pp [+2.03, +2.15] (10 pairs, p < \
         0.0001).\nComparisons: 1 of primary metrics, corrected as one family: a 5 % chance that \
         any of their differences is false, and as much that any equivalence is."
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
fn primary_metrics_are_one_family_over_variants_points_and_metrics() {
    let mut rows = Vec::new();
    for seed in 0..6 {
        for (variant, gain) in [("lru", 0.0), ("arc", 0.1), ("sieve", 0.2)] {
            for metric in ["cache.hit_ratio", "tree.runs", "stall.count"] {
                let value = 0.2 + gain + 0.001 * seed as f64 * (1.0 + gain);
                rows.push(tidy_row(variant, seed, World::Real, metric, value));
            }
        }
    }
    let one_primary = settings(&["cache.hit_ratio"], &["tree.runs", "stall.count"]);
    let alone = compare(&rows, &one_primary).expect("pairs");
    let family = Family {
        primary: 2,
        exploratory: 4,
    };
    assert_eq!(alone.family, family);
    for row in &alone.rows {
        // Sign flips of six give 1/32: Holm doubles it for two, and Benjamini and Hochberg leave
        // equal ones as they are.
        let p = if row.primary { 0.0625 } else { 0.03125 };
        assert_eq!(row.p, Some(p), "{}", row.metric);
        let decided = row.verdict != Verdict::Undecided;
        assert_eq!(decided, !row.primary, "two claims need more than six pairs");
    }
    let note = &alone.rows[0].note;
    assert_eq!(note, "about 7 pairs would decide");
    let answer = answer(&alone);
    assert!(
        answer.contains("2 of primary metrics, corrected as one family")
            && answer.contains("4 exploratory, of which chance alone would call about 0.2"),
        "{answer}"
    );
}

#[test]
fn more_seeds_of_a_simulation_never_decide_less() {
    let verdicts: Vec<Verdict> = (2..12)
        .map(|seeds| {
            let mut rows = hit_ratios(seeds, World::Simulated);
            for row in hit_ratios(seeds, World::Simulated) {
                let value = row.value * 1000.0;
                let row = row.of_metric("run.throughput_ops");
                rows.push(TidyRow { value, ..row });
            }
            let two = settings(&["cache.hit_ratio", "run.throughput_ops"], &[]);
            compare(&rows, &two).expect("pairs").rows[0].verdict
        })
        .collect();
    assert!(
        verdicts.iter().all(|it| *it == Verdict::Better),
        "{verdicts:?}"
    );
}

#[test]
fn a_count_that_moves_by_one_in_two_seeds_decides_nothing() {
    for (seeds, verdict) in [(2, Verdict::Undecided), (6, Verdict::Worse)] {
        let more = vec![4.0; seeds];
        let fewer = vec![3.0; seeds];
        let sides: [(&str, &[f64]); 2] = [("lru", &fewer), ("sieve", &more)];
        let rows = values("stall.count", World::Simulated, &sides);
        let comparison = compared(&rows, "stall.count");
        assert_eq!(comparison.rows[0].verdict, verdict, "{seeds} seeds");
    }
}

#[test]
fn sixty_equal_variants_are_all_left_undecided() {
    let mut rows = Vec::new();
    let mut state = 1_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    for variant in 0..61 {
        for seed in 0..10 {
            let name = if variant == 0 {
                "lru".to_owned()
            } else {
                format!("v{variant}")
            };
            let value = 0.5 + 0.01 * (draw() + draw() + draw());
            let metric = "cache.hit_ratio";
            rows.push(tidy_row(&name, seed, World::Simulated, metric, value));
        }
    }
    let exact = CompareSettings {
        margin: 0.0,
        ..settings(&["cache.hit_ratio"], &[])
    };
    let comparison = compare(&rows, &exact).expect("pairs");
    assert_eq!(comparison.family.primary, 60);
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| !row.verdict.is_difference())
    );
    assert!(answer(&comparison).contains("60 of primary metrics"));
}

#[test]
fn margins_are_shares_of_the_baseline_unless_the_config_says_otherwise() {
    let metric = "filter.false_positive_ratio";
    let ten = [0.0095, 0.0096, 0.0094, 0.0095, 0.0096, 0.0094];
    let more = [
        0.000_034, 0.000_035, 0.000_033, 0.000_034, 0.000_035, 0.000_033,
    ];
    let rows = values(metric, World::Simulated, &[("lru", &ten), ("sieve", &more)]);
    let relative = compared(&rows, metric);
    assert_eq!(
        relative.rows[0].verdict,
        Verdict::Better,
        "{:?}",
        relative.rows
    );
    let absolute = CompareSettings {
        absolute_margin: BTreeMap::from([(metric.to_owned(), 0.02)]),
        ..settings(&[metric], &[])
    };
    let absolute = compare(&rows, &absolute).expect("pairs");
    assert_eq!(absolute.rows[0].verdict, Verdict::Equivalent);

    let zero = [0.0; 6];
    let rows = values(metric, World::Simulated, &[("lru", &zero), ("sieve", &ten)]);
    let from_zero = compared(&rows, metric);
    assert_eq!(
        from_zero.rows[0].margin, 0.0,
        "a share of nothing is nothing"
    );
    assert_eq!(from_zero.rows[0].verdict, Verdict::Worse);
    let rows = values(
        metric,
        World::Simulated,
        &[("lru", &zero), ("sieve", &zero)],
    );
    assert_eq!(compared(&rows, metric).rows[0].verdict, Verdict::Equivalent);
}

#[test]
fn unequal_seeds_have_no_verdict() {
    let mut rows = hit_ratios(8, World::Simulated);
    rows.retain(|row| row.trial.variant == "lru" || row.trial.seed != 3);
    let row = compared(&rows, "cache.hit_ratio").rows.remove(0);
    assert_eq!(row.verdict, Verdict::Refused);
    assert_eq!(
        row.note,
        "unequal seeds: the variant has no value under seed 3"
    );
    assert_eq!((row.pairs, row.p, row.low), (7, None, None));
    for row in &mut rows {
        if row.trial.variant == "lru" {
            Arc::make_mut(&mut row.trial).seed += 100;
        }
    }
    let comparison = compared(&rows, "cache.hit_ratio");
    let row = &comparison.rows[0];
    assert_eq!(
        (row.verdict, row.pairs, row.effect),
        (Verdict::Refused, 0, 0.0)
    );
    assert!(answer(&comparison).contains("May not be compared: sieve (unequal seeds"));
}

#[test]
fn other_workloads_and_worlds_have_no_verdict() {
    let side = |variant: &str, run: usize, settings: &[(&str, &str)]| Side {
        variant: variant.to_owned(),
        point: Point::new(),
        run,
        settings: Arc::new(
            settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        ),
    };
    let real = [
        ("world.kind", "real"),
        ("world.device", "nvme"),
        ("workload.preset", "a"),
    ];
    let disk = [
        ("world.kind", "real"),
        ("world.directory", "/mnt"),
        ("workload.preset", "a"),
    ];
    let other = [
        ("world.kind", "real"),
        ("world.device", "nvme"),
        ("workload.preset", "b"),
    ];
    let cores = [("world.kind", "simulated"), ("world.cores", "2")];
    let more = [("world.kind", "simulated"), ("world.cores", "4")];
    let refusal = |baseline: Side, other: Side, allowed: &[Part]| {
        let refusals = Refusals::between(&[baseline, other], "lru", allowed);
        let rows = hit_ratios(6, World::Simulated);
        let settings = settings(&["cache.hit_ratio"], &[]);
        let compared = compare_but(&rows, &settings, &refusals).expect("pairs");
        let row = &compared.rows[0];
        (row.verdict == Verdict::Refused).then(|| row.note.clone())
    };
    let baseline = || side("lru", 0, &real);
    assert_eq!(refusal(baseline(), side("sieve", 0, &disk), &[]), None);
    let apart = refusal(baseline(), side("sieve", 1, &real), &[]).expect("two runs");
    assert!(apart.contains("not interleaved"), "{apart}");
    let workload = refusal(baseline(), side("sieve", 0, &other), &[]).expect("refused");
    assert_eq!(workload, "another workload: workload.preset is b against a");
    let on_purpose = refusal(baseline(), side("sieve", 0, &other), &[Part::Workload]);
    assert_eq!(on_purpose, None);
    let world = refusal(side("lru", 0, &cores), side("sieve", 1, &more), &[]).expect("refused");
    assert_eq!(world, "another world: world.cores is 4 against 2");
}

#[test]
fn the_effect_leads_from_one_mean_to_the_other() {
    let metric = "read.latency_p99_us";
    let rows = values(
        metric,
        World::Simulated,
        &[("lru", &[1.0, 100.0, 10.0]), ("sieve", &[2.0, 100.0, 40.0])],
    );
    let row = &compared(&rows, metric).rows[0];
    assert!(
        (row.baseline_mean - 10.0).abs() < 1e-9,
        "{}",
        row.baseline_mean
    );
    let ratio = row.variant_mean / row.baseline_mean - 1.0;
    assert!((row.effect - ratio).abs() < 1e-9, "{} {ratio}", row.effect);
}

#[test]
fn differences_that_mislead_are_noted() {
    let base = [100.0; 8];
    let few = [101.0, 101.1, 100.9, 101.0, 101.05, 100.95, 101.0, 300.0];
    let metric = "read.latency_p99_us";
    let rows = values(metric, World::Simulated, &[("lru", &base), ("sieve", &few)]);
    let note = &compared(&rows, metric).rows[0].note;
    assert!(
        note.contains("skewed differences: their median is +1 %"),
        "{note}"
    );
}

#[test]
fn several_variants_are_ranked_with_ties() {
    let lru = [0.50, 0.51, 0.49, 0.50, 0.52, 0.48];
    let near = [0.481, 0.53, 0.47, 0.52, 0.50, 0.50];
    let arc = [0.60, 0.612, 0.59, 0.601, 0.62, 0.581];
    let sides: [(&str, &[f64]); 4] = [
        ("lru", &lru),
        ("near", &near),
        ("arc", &arc),
        ("sieve", &arc),
    ];
    let rows = values("cache.hit_ratio", World::Simulated, &sides);
    let comparison = compared(&rows, "cache.hit_ratio");
    let letters: Vec<(&str, &str)> = comparison.rankings[0]
        .places
        .iter()
        .map(|place| (place.variant.as_str(), place.letters.as_str()))
        .collect();
    assert_eq!(
        letters,
        [("arc", "a"), ("sieve", "a"), ("near", "b"), ("lru", "b")]
    );
    let context = Context {
        hypothesis: "ARC and SIEVE win over LRU; near is undecidable.",
        ..Context::default()
    };
    let answer = super::answer(&comparison, context);
    let first = answer.lines().next().expect("a line");
    assert!(
        first.starts_with("On cache.hit_ratio, arc is best (0.6007): +10.1 pp [")
            && first.ends_with("; not distinguished from it: sieve."),
        "{first}"
    );
    assert!(
        answer.contains("Ranking on cache.hit_ratio: arc a, sieve a, near b, lru b."),
        "{answer}"
    );
    assert!(answer.contains("Not decided: near (about "), "{answer}");
    assert!(
        answer.contains("hypothesis names, decided: arc, sieve; not decided: near."),
        "{answer}"
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
fn what_debt_may_have_decided_is_undecided() {
    for (metric, deferred, verdict) in [
        ("run.throughput_ops", 0.3, Verdict::Undecided),
        ("run.throughput_ops", 0.004, Verdict::Better),
        // Slower, though it put off more: it is slower.
        ("run.duration_s", 0.3, Verdict::Worse),
        // It paid for others, and is slower: that may be why.
        ("run.duration_s", -0.3, Verdict::Undecided),
        // A hit ratio is what it is.
        ("cache.hit_ratio", 0.3, Verdict::Better),
    ] {
        let row = &compared(&with_debt(metric, deferred), metric).rows[0];
        assert_eq!(row.verdict, verdict, "{metric}, {deferred}: {}", row.note);
    }
    let rows = with_debt("run.throughput_ops", 0.3);
    let comparison = compared(&rows, "run.throughput_ops");
    let note =
        "of the bytes written, the variant left 30 % unpaid and the baseline left 0 % unpaid";
    assert_eq!(comparison.rows[0].note, note);
    let warning = &comparison.warnings[0];
    assert!(warning.contains("(largest): sieve 30 %."), "{warning}");
}

/// Moves rows to the window `whole`.
fn in_whole(rows: &[TidyRow]) -> Vec<TidyRow> {
    let moved = |row: &TidyRow| row.clone().in_phase("whole");
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
        let asked = expected.iter().filter(|(_, primary)| *primary);
        let ranked = comparison.rankings.iter().map(|it| it.phase.as_str());
        assert!(ranked.eq(asked.map(|(phase, _)| *phase)), "{metric}");
    }
}

#[test]
fn the_settings_ask_the_whole_where_debt_flatters() {
    for (metric, expected) in [
        ("write.amplification", vec![("run", false), ("whole", true)]),
        ("run.throughput_ops", vec![("run", false), ("whole", true)]),
        ("cache.hit_ratio", vec![("run", true)]),
    ] {
        let mut rows = with_debt(metric, 0.0);
        rows.extend(in_whole(&rows));
        let whole = CompareSettings {
            whole: true,
            ..settings(&[metric], &[])
        };
        let comparison = compare(&rows, &whole).unwrap();
        let found = comparison.rows.iter();
        let found: Vec<(&str, bool)> = found.map(|row| (row.phase.as_str(), row.primary)).collect();
        assert_eq!(found, expected, "{metric}");
    }
    // Where there is no window of that kind, the question stays with the phases.
    let whole = CompareSettings {
        whole: true,
        ..settings(&["run.throughput_ops"], &[])
    };
    let comparison = compare(&with_debt("run.throughput_ops", 0.0), &whole).unwrap();
    assert!(comparison.rows[0].primary);
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
fn recovery_is_compared_only_towards_one_level() {
    let metric = "cache.recovery_ops";
    for (level, verdict) in [(0.7, Verdict::NotMeasured), (0.79, Verdict::Worse)] {
        let mut rows = with_debt(metric, 0.0);
        let bound = "cache.bound_hit_ratio";
        let sides = [("lru", &[0.8; 8][..]), ("sieve", &[level; 8])];
        rows.extend(numbered_from_zero(bound, &sides));
        let row = &compared(&rows, metric).rows[0];
        assert_eq!(row.verdict, verdict, "{level}: {}", row.note);
    }
}

/// Values as [`values`], under the seeds from 0 on.
fn numbered_from_zero(metric: &str, sides: &[(&str, &[f64])]) -> Vec<TidyRow> {
    let mut rows = values(metric, World::Simulated, sides);
    for row in &mut rows {
        Arc::make_mut(&mut row.trial).seed -= 1;
    }
    rows
}

#[test]
fn what_never_recovered_is_no_better_and_may_be_worse() {
    let metric = "cache.recovery_ops";
    let all = [1.0; 8];
    let most = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    let none = [0.0; 8];
    // `sieve` takes a fifth longer than `lru`; the last two are the other way round.
    for (baseline, sieve, lru, verdict, note) in [
        ("lru", &all, &all, Verdict::Worse, ""),
        (
            "lru",
            &none,
            &all,
            Verdict::Worse,
            "the variant never reached the level under 8 of 8",
        ),
        (
            "lru",
            &all,
            &most,
            Verdict::Undecided,
            "the baseline never reached the level under 1 of",
        ),
        (
            "lru",
            &none,
            &none,
            Verdict::NotMeasured,
            "neither reached the level",
        ),
        (
            "sieve",
            &most,
            &all,
            Verdict::Better,
            "the baseline never reached the level under 1 of",
        ),
        (
            "sieve",
            &all,
            &most,
            Verdict::Undecided,
            "the variant never reached the level under 1 of",
        ),
    ] {
        let mut rows = with_debt(metric, 0.0);
        let bound = [("lru", &[0.8; 8][..]), ("sieve", &[0.8; 8])];
        rows.extend(numbered_from_zero("cache.bound_hit_ratio", &bound));
        let reached = [("lru", &lru[..]), ("sieve", &sieve[..])];
        rows.extend(numbered_from_zero("cache.recovered", &reached));
        let settings = CompareSettings {
            baseline: baseline.to_owned(),
            ..settings(&[metric], &[])
        };
        let row = &compare(&rows, &settings).expect("two variants").rows[0];
        assert_eq!(row.verdict, verdict, "{note}: {}", row.note);
        assert!(row.note.starts_with(note), "{}", row.note);
        assert_eq!(row.note.is_empty(), note.is_empty(), "{}", row.note);
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

        // What a policy did before the window is in the cache.
        let mut whole = in_whole(&rows);
        for row in whole
            .iter_mut()
            .filter(|row| row.name.metric == "cache.evictions")
        {
            row.value = 1.0;
        }
        rows.extend(whole);
        let comparison = compare(&rows, &settings(key)).expect("two variants");
        let row = &comparison.rows[0];
        assert_eq!(row.verdict, Verdict::Better, "{key}: {row:?}");
        assert_eq!(
            row.note.contains("nothing was evicted in this window"),
            inactive
        );
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
    only.retain(|row| row.trial.variant == "lru");
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
        for row in hit_ratios(2, World::Simulated) {
            rows.push(row.in_phase(window));
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
        answer.starts_with(
            "On cache.hit_ratio, arc is best (0.54): +4 pp [+4, +4] against lru, p < 0.0001, and \
             ahead of all others."
        ),
        "{answer}"
    );
    assert!(
        answer.contains("\nOn cache.hit_ratio against lru: better: arc +4 pp"),
        "{answer}"
    );
    assert!(
        answer.contains(", sieve +3 pp") && answer.contains("; equivalent: fifo 0 pp"),
        "{answer}"
    );
}

#[test]
fn what_is_not_decided_is_named_with_its_places() {
    let metric = "run.throughput_ops";
    let wide = [90.0, 112.0, 95.0, 108.0, 91.0, 110.0];
    let mut rows = Vec::new();
    for (phase, sieve) in [("before", [120.0; 6]), ("moved", wide), ("back", wide)] {
        let sides = [
            ("lru", &[100.0, 101.0, 99.0, 100.0, 101.0, 99.0][..]),
            ("sieve", &sieve),
        ];
        let of_phase = values(metric, World::Simulated, &sides).into_iter();
        rows.extend(of_phase.map(|row| row.in_phase(phase)));
    }
    let found = answer(&compared(&rows, metric));
    assert!(
        found.contains("Not decided: sieve in moved, back (about "),
        "{found}"
    );
    rows.retain(|row| row.name.phase != "before");
    let found = answer(&compared(&rows, metric));
    assert!(
        found.contains("Not decided: sieve in all 2 places (about "),
        "{found}"
    );
    rows.retain(|row| row.name.phase == "moved");
    let found = answer(&compared(&rows, metric));
    assert!(found.contains("Not decided: sieve (about "), "{found}");
}

#[test]
fn a_sweep_is_summed_up_by_places() {
    let mut rows = Vec::new();
    for (size, gain) in [("32MiB", 0.03), ("128MiB", 0.0)] {
        for seed in 0..6 {
            for (variant, value) in [("lru", 0.5), ("sieve", 0.5 + gain)] {
                let metric = "cache.hit_ratio";
                let mut row = tidy_row(variant, seed, World::Simulated, metric, value);
                let point = &mut Arc::make_mut(&mut row.trial).point;
                point.insert("engine.cache.size".to_owned(), size.to_owned());
                rows.push(row);
            }
        }
    }
    let comparison = compared(&rows, "cache.hit_ratio");
    let answer = answer(&comparison);
    assert!(
        answer.starts_with("Best point: sieve at engine.cache.size=32MiB, 0.53."),
        "{answer}"
    );
    assert!(
        answer.contains(
            "On cache.hit_ratio, sieve against lru is better in 1, equivalent in 1 of 2 places: \
             0 to +3 pp."
        ),
        "{answer}"
    );
    let table = table(&comparison.rows, None);
    assert!(
        table.contains("engine.cache.size=32MiB") && table.contains("equivalent"),
        "{table}"
    );
    assert!(table.contains("baseline mean"), "{table}");
    let csv = to_csv(&comparison.rows);
    assert_eq!(csv.lines().count(), 3);
    assert!(
        csv.starts_with("metric,phase,point,baseline,variant,"),
        "{csv}"
    );
}

#[test]
fn an_order_is_given_only_where_the_metric_is_judged() {
    let sides: [(&str, &[f64]); 3] = [
        ("lru", &[0.5, 0.51]),
        ("sieve", &[0.6, 0.61]),
        ("arc", &[0.7, 0.71]),
    ];
    let mut rows = values("cache.hit_ratio", World::Simulated, &sides);
    rows.extend(in_whole(&rows));
    let comparison = compared(&rows, "cache.hit_ratio");
    let phases: Vec<&str> = comparison
        .rankings
        .iter()
        .map(|it| it.phase.as_str())
        .collect();
    assert_eq!(phases, ["run"]);
    let answer = answer(&comparison);
    assert!(
        !answer.contains("baseline arc"),
        "arc is not the baseline: {answer}"
    );
    let rows: Vec<TidyRow> = rows
        .into_iter()
        .map(|row| row.of_metric("write.amplification"))
        .collect();
    let comparison = compared(&rows, "write.amplification");
    let rankings = comparison.rankings.iter();
    let phases: Vec<&str> = rankings.map(|it| it.phase.as_str()).collect();
    assert_eq!(phases, ["whole"], "in a phase it is exploratory");
}

#[test]
fn a_table_keeps_to_the_width_of_its_terminal() {
    let mut rows = values(
        "run.throughput_ops",
        World::Simulated,
        &[
            ("lru", &[10.0, 11.0]),
            ("a-variant-with-a-long-name", &[11.0, 10.0]),
        ],
    );
    rows.extend(values(
        "cache.hit_ratio",
        World::Simulated,
        &[
            ("lru", &[0.5, 0.7]),
            ("a-variant-with-a-long-name", &[0.6, 0.5]),
        ],
    ));
    let asked = settings(&["run.throughput_ops"], &["cache.hit_ratio"]);
    let mut comparison = compare(&rows, &asked).expect("two variants");
    for row in &mut comparison.rows {
        row.note = "about 17 pairs would decide".to_owned();
    }
    for width in [72, 80, 100, 119, 120, 160] {
        let table = table(&comparison.rows, Some(width));
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(usize::from(width)), "{width}:\n{table}");
        assert_eq!(table.contains("baseline"), width >= 120, "{table}");
        assert!(table.contains("undecided"), "{table}");
        assert!(
            table.contains("run.throughput_ops *"),
            "a name is broken:\n{table}"
        );
        if width < 120 {
            assert_eq!(table.matches("[1] about 17 pairs").count(), 1, "{table}");
        }
    }
}

#[test]
fn what_can_never_be_decided_is_said_before_it_runs() {
    assert_eq!(undecidable(6, 1, World::Real), None);
    let two = undecidable(6, 2, World::Real).expect("six cannot decide two");
    assert!(two.contains("needs at least 7"), "{two}");
    assert_eq!(undecidable(2, 100, World::Simulated), None);
    assert!(undecidable(1, 1, World::Simulated).is_some());
}
