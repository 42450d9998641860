//! Simulations of small traces, and of the oracles' traces if they are there.

use std::path::{Path, PathBuf};

use aura_policies::{admission, bound, cache};
use aura_workloads::trace::{Format, ReadOptions, Sample};
use aura_workloads::{Seed, TrueZipf};

use super::*;
use crate::files;
use crate::formats::parquet::Frame;
use crate::specs::{all_of, parse_list};
use crate::traces;

fn settings(mode: Mode, policies: &str, sizes_asked: &str) -> Settings {
    Settings {
        mode,
        policies: parse_list(&cache::FAMILY, policies).expect("policies"),
        admissions: vec![admission::FAMILY.default_spec()],
        bounds: Vec::new(),
        sizes: sizes(sizes_asked).expect("sizes"),
        seed: 1,
        jobs: 2,
        quiet: true,
    }
}

fn trace_of(text: &str, options: &ReadOptions) -> Trace {
    aura_workloads::trace::read(text.as_bytes(), Format::Csv, options).expect("a trace")
}

/// 200,000 requests, P(rank) proportional to 1 / rank over 20,000 keys.
fn skewed() -> String {
    let zipf = TrueZipf::new(20_000, 1.0);
    let mut generator = Seed(7).child("trace").generator();
    (0..200_000)
        .map(|_| format!("{}\n", zipf.draw(&mut generator) * 7919))
        .collect()
}

fn found(rows: &[SimRow], name: &str, size: &str) -> Outcome {
    let row = rows
        .iter()
        .find(|row| row.arm.name() == name && row.size == size)
        .expect("it was asked for");
    row.outcome
        .clone()
        .unwrap_or_else(|reason| panic!("{name} at {size}: {reason}"))
}

#[test]
fn units_and_bytes_are_counted_as_stated() {
    // Objects of 4, 4 and 10 bytes; the last is larger than a cache of 8.
    let trace = trace_of(
        "time,key,size\n0,1,4\n0,2,4\n0,3,10\n0,1,4\n0,2,4\n",
        &ReadOptions::default(),
    );
    let rows = run("x", &trace, &settings(Mode::Bytes, "lru", "8,50%,100%"));
    let small = found(&rows, "lru", "8");
    assert_eq!(small.requests, 5);
    assert_eq!(small.misses, 3);
    assert_eq!(small.miss_ratio, 0.6);
    assert_eq!(small.byte_miss_ratio, Some(18.0 / 26.0));
    assert_eq!(
        rows.iter().map(|row| row.capacity).collect::<Vec<_>>(),
        [8, 9, 18]
    );
    let rows = run("x", &trace, &settings(Mode::Unit, "lru", "2,70%"));
    let small = found(&rows, "lru", "2");
    assert_eq!(small.misses, 5);
    assert_eq!(small.byte_miss_ratio, None);
    assert_eq!(found(&rows, "lru", "70%").misses, 5);
}

#[test]
fn an_object_that_ends_is_missed_again() {
    let text = "time,key,size,op,ttl\n0,1,4,put,0\n1,2,4,put,9\n2,1,4,get,0\n3,1,4,del,0\n\
                4,1,4,get,0\n9,2,4,get,0\n10,2,4,get,0\n11,1,4,get,0\n";
    let options = ReadOptions {
        lives: true,
        ..ReadOptions::default()
    };
    let trace = trace_of(text, &options);
    for (mode, bounds, size) in [(Mode::Unit, "min", "10"), (Mode::Bytes, "pfoo-l", "100")] {
        let mut settings = settings(mode, "all", size);
        settings.bounds = parse_list(&bound::FAMILY, bounds).expect("bounds");
        for row in run("x", &trace, &settings) {
            let outcome = row.outcome.expect("it runs");
            // The first requests, one after the deletion, one after the time to live.
            assert_eq!((outcome.requests, outcome.misses), (7, 4), "{:?}", row.arm);
        }
    }
    let ignored = trace_of(text, &ReadOptions::default());
    let rows = run("x", &ignored, &settings(Mode::Unit, "lru", "10"));
    assert_eq!(found(&rows, "lru", "10").misses, 2);
}

#[test]
fn misses_of_more_bytes_than_can_be_counted_are_all_of_them() {
    let huge = 1_u64 << 63;
    let text = format!("time,key,size\n0,1,{huge}\n1,2,{huge}\n");
    let trace = trace_of(&text, &ReadOptions::default());
    let rows = run("x", &trace, &settings(Mode::Bytes, "lru", "8"));
    assert_eq!(found(&rows, "lru", "8").byte_miss_ratio, Some(1.0));
}

#[test]
fn bounds_stand_beside_the_policies_and_lie_below_them() {
    let trace = trace_of(&skewed(), &ReadOptions::default());
    let mut settings = settings(Mode::Unit, "all", "1%,5%");
    settings.bounds = all_of(&bound::FAMILY);
    let rows = run("x", &trace, &settings);
    let best_rows = best(&rows);
    for size in ["1%", "5%"] {
        let least = found(&rows, "min-bypass", size).misses;
        for row in rows
            .iter()
            .filter(|row| row.size == size && !row.arm.is_bound())
        {
            if let Ok(outcome) = &row.outcome {
                assert!(outcome.misses >= least, "{} at {size}", row.arm.name());
                assert!(outcome.accesses_per_s.is_some() && outcome.metadata_bytes.is_some());
            }
        }
        assert!(
            best_rows
                .iter()
                .any(|at| rows[*at].size == size && !rows[*at].arm.is_bound())
        );
    }
    assert!(best_rows.iter().all(|at| !rows[*at].arm.is_bound()));
}

#[test]
fn what_cannot_run_is_a_row_with_its_reason() {
    let trace = trace_of("1\n2\n3\n1\n", &ReadOptions::default());
    let rows = run("x", &trace, &settings(Mode::Unit, "lru", "64MiB,1%,2"));
    let reasons: Vec<_> = rows
        .iter()
        .map(|row| row.outcome.as_ref().err().map(String::as_str))
        .collect();
    let expected = [
        Some("64MiB is a size in bytes, and objects are charged one each"),
        Some("the cache would hold nothing"),
        None,
    ];
    assert_eq!(reasons, expected);
    let shown = table(&rows);
    assert!(
        shown.contains("hold nothing") && shown.contains("refused"),
        "{shown}"
    );
    assert_eq!(json(&rows).lines().count(), 3);
    assert!(
        to_csv(&rows)
            .contains("x,unit,policy,lru,always,1%,0,,,,,,,,,,false,the cache would hold nothing")
    );
}

#[test]
fn admissions_that_decide_by_size_are_refused_without_sizes() {
    let trace = trace_of("1\n2\n3\n1\n", &ReadOptions::default());
    let mut asked = settings(Mode::Unit, "lru", "2");
    asked.admissions = all_of(&admission::FAMILY);
    for row in run("x", &trace, &asked) {
        let Arm::Policy {
            admission: spec, ..
        } = &row.arm
        else {
            continue;
        };
        let needs_sizes = admission::FAMILY
            .find(spec)
            .expect("listed")
            .build
            .needs_sizes;
        let refused = row
            .outcome
            .as_ref()
            .err()
            .is_some_and(|reason| reason.contains("the trace has no sizes"));
        assert_eq!(refused, needs_sizes, "{}", row.arm.name());
    }
}

/// The names of keys do not matter, not even to policies that hash them.
#[test]
fn renaming_the_keys_changes_no_count() {
    let text = skewed();
    let renamed: String = text
        .lines()
        .map(|key| format!("{}\n", key.parse::<u64>().expect("a key") ^ 0x5555_5555))
        .collect();
    let count = |text: &str| {
        let rows = run(
            "x",
            &trace_of(text, &ReadOptions::default()),
            &settings(Mode::Unit, "all", "2%"),
        );
        rows.into_iter()
            .map(|row| row.outcome.map(|outcome| outcome.misses))
            .collect::<Vec<_>>()
    };
    assert_eq!(count(&text), count(&renamed));
}

/// Over several samples of keys the error must be as stated: never beyond four standard errors, and
/// on the whole no larger than one.
#[test]
fn a_sampled_ratio_is_within_its_stated_error() {
    let text = skewed();
    let settings = settings(Mode::Unit, "lru,sieve", "10%");
    let whole = run("x", &trace_of(&text, &ReadOptions::default()), &settings);
    let mut squares = Vec::new();
    for seed in 1..=12 {
        let sample = Sample::new(0.1, seed);
        let options = ReadOptions {
            sample,
            ..ReadOptions::default()
        };
        let sampled = run("x", &trace_of(&text, &options), &settings);
        for name in ["lru", "sieve"] {
            let truth = found(&whole, name, "10%");
            let guess = found(&sampled, name, "10%");
            let error = guess.standard_error.expect("keys were sampled");
            assert!(error > 0.0 && error < 0.03, "{error}");
            let off = (guess.miss_ratio - truth.miss_ratio) / error;
            assert!(
                off.abs() < 4.0,
                "{name}, seed {seed}: {} for {}, error {error}",
                guess.miss_ratio,
                truth.miss_ratio
            );
            squares.push(off * off);
        }
    }
    let typical = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!(typical < 1.6, "errors are {typical} times what is stated");
    assert_eq!(found(&whole, "lru", "10%").standard_error, None);
}

#[test]
fn tables_say_the_same_in_every_form() {
    let trace = trace_of(
        "time,key,size\n0,1,4\n0,2,4\n0,3,10\n0,1,4\n0,2,4\n",
        &ReadOptions::default(),
    );
    let mut asked = settings(Mode::Bytes, "lru,sieve", "8,18");
    asked.bounds = parse_list(&bound::FAMILY, "pfoo-l").expect("a bound");
    let rows = run("x", &trace, &asked);
    let frame = Frame::from_bytes(frame_bytes(&rows).expect("a table")).expect("it reads back");
    assert_eq!(frame.height(), rows.len());
    assert_eq!(frame.width(), 18);
    let counted = |row: &SimRow| row.outcome.as_ref().ok().map(|outcome| outcome.misses);
    assert_eq!(
        frame.counts("misses").expect("counts"),
        rows.iter().map(counted).collect::<Vec<_>>()
    );
    let first: serde_json::Value =
        serde_json::from_str(json(&rows).lines().next().expect("rows")).expect("JSON");
    assert_eq!(first["arm"], "bound");
    assert_eq!(first["policy"], "pfoo-l");
    let drawn = curves(&rows, true);
    assert_eq!(
        drawn
            .iter()
            .map(|curve| (curve.bound, curve.points.len()))
            .collect::<Vec<_>>(),
        [(true, 2), (false, 2), (false, 2)]
    );
    let shown = table(&rows);
    assert!(
        shown.contains("pfoo-l (bound)")
            && shown.contains("byte miss ratio")
            && shown.contains(" *"),
        "{shown}"
    );
}

/// The folder that AURA_ORACLES names; without it a test says that it was skipped, and passes.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn oracles() -> Option<PathBuf> {
    let folder = std::env::var_os("AURA_ORACLES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: AURA_ORACLES is not set");
    }
    folder
}

fn oracle_trace(path: &Path) -> Trace {
    traces::read(path, None, &ReadOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
        .trace
}

/// What libCacheSim counted.
struct Counted {
    mode: Mode,
    policy: &'static str,
    capacity: u64,
    misses: u64,
}

fn counted(folder: &Path, trace: &str) -> Vec<Counted> {
    let text = files::read_to_string(&folder.join("cache/miss_ratios.csv"))
        .expect("the oracle file is there");
    let mut counted = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let policy = match fields[3] {
            "LRU" => "lru",
            "SIEVE" => "sieve",
            "ARC" => "arc",
            _ => continue,
        };
        if (fields[0], fields[1]) != ("libCacheSim", trace) {
            continue;
        }
        let mode = if fields[2] == "unit" {
            Mode::Unit
        } else {
            Mode::Bytes
        };
        let number = |at: usize| fields[at].parse().expect("a count");
        counted.push(Counted {
            mode,
            policy,
            capacity: number(6),
            misses: number(9),
        });
    }
    counted
}

#[test]
fn counts_are_those_of_another_simulator_from_either_file() {
    let Some(folder) = oracles() else { return };
    let expected = counted(&folder, "cloudPhysicsIO");
    assert!(expected.len() > 20, "{}", expected.len());
    for file in [
        "cloudPhysicsIO.csv.zst",
        "cloudPhysicsIO.oracleGeneral.bin.zst",
    ] {
        let trace = oracle_trace(&folder.join("cache/traces").join(file));
        assert_eq!(
            (trace.objects().len(), trace.keys().len()),
            (113_872, 48_974)
        );
        for Counted {
            mode,
            policy,
            capacity,
            misses,
        } in &expected
        {
            // With sizes our ARC is another variant by default: its module doc says why.
            let policy = if *policy == "arc" {
                "arc(step=one)"
            } else {
                *policy
            };
            let rows = run("x", &trace, &settings(*mode, policy, &capacity.to_string()));
            let count = rows[0].outcome.as_ref().expect("it runs").misses;
            assert_eq!(count, *misses, "{file}, {mode:?}, {policy} at {capacity}");
        }
        // Shares are rounded as there, too.
        let rows = run("x", &trace, &settings(Mode::Bytes, "lru", "0.1%"));
        assert_eq!(rows[0].capacity, 2_029_769);
    }
}

#[test]
fn hit_ratios_are_those_of_the_arc_paper() {
    let Some(folder) = oracles() else { return };
    let trace = oracle_trace(&folder.join("papers/OLTP.lis.zst"));
    assert_eq!(
        (trace.objects().len(), trace.keys().len()),
        (914_145, 186_880)
    );
    let text = files::read_to_string(&folder.join("papers/arc_fast03_oltp.csv"))
        .expect("the table is there");
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let size = fields[3];
        let policy = fields[4];
        let printed: f64 = fields[5].parse().expect("a ratio");
        let rows = run("x", &trace, &settings(Mode::Unit, policy, size));
        let ratio = 100.0 * (1.0 - rows[0].outcome.as_ref().expect("it runs").miss_ratio);
        let slack = if policy == "lru" { 0.005 } else { 0.02 };
        assert!(
            (ratio - printed).abs() < slack + 1e-9,
            "{policy} at {size}: {ratio}, printed {printed}"
        );
    }
}

/// With next accesses computed, the written file is byte for byte the one that the trace's project
/// ships.
#[test]
fn a_converted_trace_is_the_one_that_is_shipped() {
    let Some(folder) = oracles() else { return };
    let options = ReadOptions {
        times: true,
        ..ReadOptions::default()
    };
    let read = |file: &str| {
        traces::read(&folder.join("cache/traces").join(file), None, &options)
            .expect("a trace")
            .trace
    };
    let scratch = tempfile::tempdir().expect("a folder");
    let [from_csv, shipped] = [
        "cloudPhysicsIO.csv.zst",
        "cloudPhysicsIO.oracleGeneral.bin.zst",
    ]
    .map(read)
    .map(|trace| {
        let path = scratch.path().join("out.bin");
        traces::write(&path, Format::OracleGeneral, &trace).expect("it can be written");
        files::read(&path).expect("it is there")
    });
    assert_eq!(from_csv.len(), 24 * 113_872);
    assert!(from_csv == shipped);
    let compressed = files::open(&folder.join("cache/traces/cloudPhysicsIO.oracleGeneral.bin.zst"))
        .expect("it is there");
    assert!(zstd::decode_all(compressed).expect("a zstd frame") == shipped);
}
