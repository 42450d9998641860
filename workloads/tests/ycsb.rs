//! The workloads against YCSB's own figures: proportions, hottest keys, and the counts of its
//! generators.
//!
//! Files of counts are read from the folder that `AURA_ORACLES` names.

use aura_workloads::{
    Acknowledged, Distribution, KeyOrder, KeySpace, Mix, Op, OpKind, Preset, Seed, WorkloadConfig,
    fnv_hash,
};

const READS: Mix = Mix {
    read: 1.0,
    update: 0.0,
    insert: 0.0,
    scan: 0.0,
    read_modify_write: 0.0,
    delete: 0.0,
    read_absent: 0.0,
};

/// How often each of `records` keys is read in `draws` operations.
fn read_counts(distribution: Distribution, records: u64, draws: u64) -> Vec<u64> {
    let config = WorkloadConfig {
        records: Some(records),
        operations: Some(draws),
        mix: Some(READS),
        distribution: Some(distribution),
        ..Default::default()
    };
    let workload = config.resolve().unwrap();
    let acknowledged = Acknowledged::new(records);
    let mut counts = vec![0; records as usize];
    let mut stream = workload.phases[0].stream(0, Seed(2024));
    while let Some(op) = stream.next(&acknowledged) {
        counts[op.key().number as usize] += 1;
    }
    counts
}

/// The fields of an oracle file's lines; `None` if no folder is named.
#[expect(
    clippy::disallowed_methods,
    reason = "expected figures are files outside the workspace"
)]
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn oracle(file: &str) -> Option<Vec<Vec<String>>> {
    let Ok(folder) = std::env::var("AURA_ORACLES") else {
        eprintln!("skipped: AURA_ORACLES is not set");
        return None;
    };
    let path = std::path::Path::new(&folder).join("ycsb").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    Some(text.lines().skip(1).map(fields).collect())
}

/// Checks that two samples follow one law: no value is further apart than five sigma, and
/// chi-square is as large as chance makes it.
fn assert_same_law(ours: &[u64], file: &str) {
    let Some(rows) = oracle(file) else { return };
    let theirs: Vec<u64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours.iter().sum::<u64>(), theirs.iter().sum::<u64>());
    let mut chi_square = 0.0;
    let mut degrees = -1.0;
    for (value, (&ours, &theirs)) in ours.iter().zip(&theirs).enumerate() {
        let difference = ours.abs_diff(theirs) as f64;
        let total = (ours + theirs) as f64;
        assert!(
            difference <= 5.0 * total.sqrt(),
            "{file}, value {value}: {ours}, {theirs}"
        );
        if total > 0.0 {
            chi_square += difference * difference / total;
            degrees += 1.0;
        }
    }
    let bound = degrees + 4.5 * f64::sqrt(2.0 * degrees);
    assert!(
        chi_square < bound,
        "{file}: chi-square {chi_square} with {degrees} degrees of freedom"
    );
}

#[test]
fn presets_have_the_proportions_of_the_core_workloads() {
    const DRAWS: u64 = 1_000_000;
    for (preset, proportions) in [
        (Preset::YcsbA, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]),
        (Preset::YcsbB, [0.95, 0.05, 0.0, 0.0, 0.0, 0.0]),
        (Preset::YcsbC, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (Preset::YcsbD, [0.95, 0.0, 0.05, 0.0, 0.0, 0.0]),
        (Preset::YcsbE, [0.0, 0.0, 0.05, 0.95, 0.0, 0.0]),
        (Preset::YcsbF, [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]),
    ] {
        let config = WorkloadConfig {
            preset: Some(preset),
            operations: Some(DRAWS),
            value: Some(aura_workloads::ValueConfig {
                bytes: aura_workloads::Length::Constant(16).into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let workload = config.resolve().unwrap();
        let acknowledged = Acknowledged::new(workload.records);
        let mut counts = [0_u64; OpKind::ALL.len()];
        let mut stream = workload.phases[0].stream(0, Seed(5));
        while let Some(op) = stream.next(&acknowledged) {
            counts[op.kind() as usize] += 1;
            match op {
                Op::Insert { key, .. } => acknowledged.acknowledge(key.number),
                Op::Scan { length, .. } => assert!((1..=100).contains(&length)),
                _ => {}
            }
        }
        for (kind, (count, proportion)) in
            OpKind::ALL.iter().zip(counts.into_iter().zip(proportions))
        {
            let expected = DRAWS as f64 * proportion;
            let sigma = (expected * (1.0 - proportion)).sqrt();
            let difference = (count as f64 - expected).abs();
            assert!(
                difference <= 5.0 * sigma,
                "{}: {kind:?} {count}",
                preset.name()
            );
        }
    }
}

#[test]
fn the_two_zipfs_have_their_own_top_keys() {
    const DRAWS: u64 = 3_000_000;
    let shares = |distribution| {
        let mut counts = read_counts(distribution, 1000, DRAWS);
        let hottest = counts
            .iter()
            .enumerate()
            .max_by_key(|&(_, count)| count)
            .unwrap()
            .0;
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let share = |keys| counts[..keys].iter().sum::<u64>() as f64 / DRAWS as f64;
        (hottest, [share(1), share(10), share(200)])
    };
    for (distribution, expected) in [
        (
            Distribution::Zipfian {
                theta: 0.99,
                permute: true,
                scatter: 0,
            },
            [0.129, 0.38, 0.78],
        ),
        (
            Distribution::Zipfian {
                theta: 0.99,
                permute: false,
                scatter: 0,
            },
            [0.129, 0.38, 0.78],
        ),
        // YCSB's bounds are inclusive: it folds onto 1001 numbers and draws the last one again.
        // Folded onto 1000, the shares would be 13.1 % and 39.3 %.
        (Distribution::YcsbZipfian {}, [0.039, 0.1265, 0.401]),
    ] {
        let (hottest, shares) = shares(distribution);
        for (share, (expected, tolerance)) in shares
            .into_iter()
            .zip(expected.into_iter().zip([0.002, 0.006, 0.006]))
        {
            assert!(
                (share - expected).abs() <= tolerance,
                "{distribution:?}: {shares:?}"
            );
        }
        if let Distribution::Zipfian { permute, .. } = distribution {
            assert_eq!(
                hottest == 0,
                !permute,
                "{distribution:?}: hottest is {hottest}"
            );
        }
    }
}

#[test]
fn latest_chooses_the_keys_that_ycsb_does() {
    let counts = read_counts(Distribution::Latest {}, 1000, 2_000_000);
    assert_eq!(
        counts[0], 0,
        "the Zipf draw is over 999 items, so the oldest key is never drawn"
    );
    assert_same_law(&counts, "core_latest_rc1000.csv");
    assert_same_law(&counts, "freq_skewed_latest_n1000.csv");
}

#[test]
fn gray_zipfian_draws_what_ycsb_does() {
    let mut zipfian = aura_workloads::GrayZipfian::new(1000, 0.99);
    let mut generator = Seed(77).generator();
    let mut counts = vec![0; 1000];
    for _ in 0..2_000_000 {
        counts[zipfian.draw(&mut generator) as usize] += 1;
    }
    assert_same_law(&counts, "freq_zipfian_n1000_t0.99.csv");
}

#[test]
fn key_names_are_those_of_ycsb() {
    let Some(rows) = oracle("hash_keys.csv") else {
        return;
    };
    let mut key = Vec::new();
    for row in rows {
        let number: u64 = row[0].parse().unwrap();
        assert_eq!(fnv_hash(number).to_string(), row[1]);
        for (order, zero_padding, expected) in [
            (KeyOrder::Hashed, 1, &row[3]),
            (KeyOrder::Hashed, 20, &row[4]),
            (KeyOrder::Ordered, 1, &row[5]),
            (KeyOrder::Ordered, 10, &row[6]),
        ] {
            let space = KeySpace {
                order,
                prefix: "user".to_owned(),
                zero_padding,
                ..KeySpace::default()
            };
            space.render(number, &mut key);
            assert_eq!(String::from_utf8_lossy(&key), expected.as_str());
        }
    }
}

#[test]
fn the_other_distributions_have_their_shapes() {
    const RECORDS: u64 = 1000;
    const DRAWS: u64 = 200_000;
    let counts = |distribution| read_counts(distribution, RECORDS, DRAWS);
    let share = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / DRAWS as f64;

    let uniform = counts(Distribution::Uniform {});
    assert!(
        uniform.iter().all(|count| count.abs_diff(200) < 75),
        "{uniform:?}"
    );

    let sequential = counts(Distribution::Sequential {});
    assert!(sequential.iter().all(|&count| count == 200));

    let data_fraction = 0.2;
    let operation_fraction = 0.8;
    let hotspot = counts(Distribution::Hotspot {
        data_fraction,
        operation_fraction,
        drift: None,
    });
    assert!((share(&hotspot[..200]) - 0.8).abs() < 0.005);
    let drift = Some(aura_workloads::Drift {
        fraction: 0.1,
        every_operations: 20_000,
    });
    let moved = counts(Distribution::Hotspot {
        data_fraction,
        operation_fraction,
        drift,
    });
    assert!(
        moved
            .chunks(100)
            .all(|tenth| (share(tenth) - 0.1).abs() < 0.01),
        "all were hot once"
    );

    // It is cut at the oldest key: of the whole curve, 1 - 0.05^(7/6) lies on the records.
    let exponential = counts(Distribution::Exponential {
        percentile: 95.0,
        fraction: 0.857_142_857_1,
    });
    let expected = 0.95 / (1.0 - 0.05_f64.powf(7.0 / 6.0));
    assert!((share(&exponential[143..]) - expected).abs() < 0.005);
}
