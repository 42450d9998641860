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
        seeds: vec![1],
        warmup: Warmup::default(),
        windows: None,
        jobs: 2,
        quiet: true,
    }
}

fn run(name: &str, trace: &Trace, settings: &Settings) -> Vec<SimRow> {
    super::run(name, trace, settings).expect("the windows fit")
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

fn byte_ratio(outcome: &Outcome) -> Option<f64> {
    outcome.byte_miss_ratio.map(|ratio| ratio.value)
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
    assert_eq!(small.miss_ratio.value, 0.6);
    assert_eq!(byte_ratio(&small), Some(18.0 / 26.0));
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
    assert_eq!(byte_ratio(&found(&rows, "lru", "8")), Some(1.0));
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
    assert!(to_csv(&rows).contains(
        "x,unit,policy,lru,always,1%,0,,,,,,,,,,,,,,,,,false,the cache would hold nothing"
    ));
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

/// A trace in the form of libCacheSim, whose objects have skewed sizes.
fn skewed_bytes(requests: usize, objects: u64) -> Vec<u8> {
    let zipf = TrueZipf::new(objects, 0.8);
    let mut generator = Seed(7).child("sizes").generator();
    let sizes: Vec<u32> = (0..objects)
        .map(|_| (200.0 / (generator.unit() + 0.01).powf(0.8)) as u32)
        .collect();
    let mut bytes = Vec::new();
    for at in 0..requests {
        let object = zipf.draw(&mut generator) % objects;
        bytes.extend((at as u32).to_le_bytes());
        bytes.extend((object * 7919).to_le_bytes());
        bytes.extend(sizes[object as usize].to_le_bytes());
        bytes.extend((-1_i64).to_le_bytes());
    }
    bytes
}

fn sample_of(bytes: &[u8], rate: f64, seed: u64) -> Trace {
    let options = ReadOptions {
        sample: Sample::new(rate, seed),
        ..ReadOptions::default()
    };
    aura_workloads::trace::read(bytes, Format::OracleGeneral, &options).expect("a trace")
}

/// Over many samples of keys, the stated intervals of 95 % hold the truth in 93 % or more.
#[test]
fn intervals_of_samples_hold_the_truth() {
    let bytes = skewed_bytes(60_000, 8000);
    let whole = sample_of(&bytes, 1.0, 0);
    for mode in [Mode::Unit, Mode::Bytes] {
        let settings = settings(mode, "lru,sieve", "10%,30%");
        let truth = run("x", &whole, &settings);
        assert!(
            truth
                .iter()
                .all(|row| found_in(row).miss_ratio.error.is_none())
        );
        let mut all = 0;
        let mut held = 0;
        let mut widths = 0.0;
        for seed in 1..=100 {
            let rows = run("x", &sample_of(&bytes, 0.1, seed), &settings);
            for (row, truth) in rows.iter().zip(&truth) {
                let pairs = [
                    (
                        Some(found_in(row).miss_ratio),
                        Some(found_in(truth).miss_ratio),
                    ),
                    (
                        found_in(row).byte_miss_ratio,
                        found_in(truth).byte_miss_ratio,
                    ),
                ];
                for (guess, truth) in pairs.into_iter().filter_map(|(a, b)| a.zip(b)) {
                    let error = guess.error.expect("keys were sampled");
                    widths += error.half_width;
                    all += 1;
                    held += u32::from((guess.value - truth.value).abs() <= error.half_width);
                }
            }
        }
        let share = f64::from(held) / f64::from(all);
        assert!(share >= 0.93, "{mode:?}: {share} of {all}");
        let mean = widths / f64::from(all);
        assert!(mean < 0.1, "{mode:?}: intervals of {mean} say nothing");
    }
}

fn found_in(row: &SimRow) -> &Outcome {
    row.outcome.as_ref().expect("it runs")
}

#[test]
fn what_warms_up_is_not_counted() {
    let trace = trace_of(&skewed(), &ReadOptions::default());
    let mut asked = settings(Mode::Unit, "lru,sieve", "5%");
    let whole = run("x", &trace, &asked);
    let options = ReadOptions {
        limit: Some(40_000),
        ..ReadOptions::default()
    };
    // The size of the cache is a share of all objects: the same number for the part.
    let mut of_part = asked.clone();
    of_part.sizes = sizes(&whole[0].capacity.to_string()).expect("a size");
    let part = run("x", &trace_of(&skewed(), &options), &of_part);
    asked.bounds = parse_list(&bound::FAMILY, "min").expect("a bound");
    for warmup in ["40000", "20%"] {
        asked.warmup = Warmup::parse(warmup).expect("a warm-up");
        let rows = run("x", &trace, &asked);
        let refused = rows[0]
            .outcome
            .as_ref()
            .expect_err("a bound has no warm-up");
        assert!(refused.contains("warm-up"), "{refused}");
        for (at, row) in rows[1..].iter().enumerate() {
            let misses = found_in(&whole[at]).misses - found_in(&part[at]).misses;
            assert_eq!(found_in(row).requests, 160_000);
            assert_eq!(found_in(row).misses, misses);
            assert_eq!(found_in(row).miss_ratio.value, misses as f64 / 160_000.0);
        }
    }
    asked.warmup = Warmup::parse("200000").expect("a warm-up");
    let refused = super::run("x", &trace, &asked).expect_err("nothing is left");
    assert_eq!(refused, WindowError::AllWarm { requests: 200_000 });
}

#[test]
fn a_warm_up_of_a_sample_is_that_of_the_whole() {
    let bytes = skewed_bytes(60_000, 8000);
    let mut asked = settings(Mode::Bytes, "lru", "20%");
    asked.warmup = Warmup::parse("50%").expect("a warm-up");
    asked.windows = Windows::parse("4");
    let truth = run("x", &sample_of(&bytes, 1.0, 0), &asked);
    let rows = run("x", &sample_of(&bytes, 0.3, 5), &asked);
    let guess = found_in(&rows[0]).miss_ratio;
    let off = (guess.value - found_in(&truth[0]).miss_ratio.value).abs();
    assert!(
        off <= guess.error.expect("keys were sampled").half_width,
        "{off}"
    );
    let windows = &found_in(&rows[0]).windows;
    assert_eq!(windows.len(), 4);
    assert!(
        windows
            .iter()
            .all(|window| window.requests.abs_diff(7500) < 400),
        "{windows:?}"
    );
    for (window, truth) in windows.iter().zip(&found_in(&truth[0]).windows) {
        assert!(
            (window.miss_ratio - truth.miss_ratio).abs() < 0.1,
            "{window:?}"
        );
    }
}

#[test]
fn windows_add_up_to_the_whole() {
    let trace = trace_of(&skewed(), &ReadOptions::default());
    let mut asked = settings(Mode::Unit, "lru,lhd", "1%");
    asked.warmup = Warmup::parse("7").expect("a warm-up");
    asked.windows = Windows::parse("13");
    let rows = run("x", &trace, &asked);
    for row in &rows {
        let outcome = found_in(row);
        let sum = |part: fn(&Window) -> u64| outcome.windows.iter().map(part).sum::<u64>();
        assert_eq!(outcome.windows.len(), 13);
        assert_eq!(sum(|window| window.misses), outcome.misses);
        assert_eq!(sum(|window| window.requests), outcome.requests);
        assert_eq!(outcome.windows[0].first, 8);
        let ratio = outcome.windows[3].misses as f64 / outcome.windows[3].requests as f64;
        assert_eq!(outcome.windows[3].miss_ratio, ratio);
    }
    assert_eq!(windows_csv(&rows).lines().count(), 1 + 2 * 13);
    let drawn = courses(&rows);
    assert_eq!(drawn.len(), 2);
    assert!(drawn.iter().all(|course| course.points.len() == 13));
}

#[test]
fn windows_of_time_have_their_seconds() {
    let text = "time,key\n0,1\n30,2\n59,1\n60,1\n200,3\n210,1\n";
    let options = ReadOptions {
        times: true,
        ..ReadOptions::default()
    };
    let trace = trace_of(text, &options);
    let mut asked = settings(Mode::Unit, "lru", "5");
    asked.windows = Windows::parse("1min");
    let rows = run("x", &trace, &asked);
    let windows: Vec<_> = found_in(&rows[0])
        .windows
        .iter()
        .map(|window| (window.seconds.clone(), window.requests, window.misses))
        .collect();
    let expected = [
        (Some(0.0..60.0), 3, 2),
        (Some(60.0..120.0), 1, 0),
        (Some(180.0..240.0), 2, 1),
    ];
    assert_eq!(windows, expected);
}

#[test]
fn policies_that_draw_lots_run_with_every_seed() {
    let trace = trace_of(&skewed(), &ReadOptions::default());
    let mut asked = settings(Mode::Unit, "lru,hyperbolic", "2%");
    let alone: Vec<f64> = [3, 4, 5]
        .map(|seed| {
            asked.seeds = vec![seed];
            found(&run("x", &trace, &asked), "hyperbolic", "2%")
                .miss_ratio
                .value
        })
        .to_vec();
    asked.seeds = vec![3, 4, 5];
    let rows = run("x", &trace, &asked);
    let lru = found(&rows, "lru", "2%");
    assert_eq!((lru.seeds, lru.miss_ratio.error), (1, None));
    let drawn = found(&rows, "hyperbolic", "2%");
    assert_eq!(drawn.seeds, 3);
    assert!((drawn.miss_ratio.value - alone.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert!(
        drawn
            .miss_ratio
            .error
            .is_some_and(|error| error.half_width > 0.0)
    );
    assert!(
        drawn
            .seed_deviation
            .is_some_and(|deviation| deviation > 0.0)
    );
    assert!(table(&rows).contains('\u{b1}'));
}

#[test]
fn misses_weigh_what_they_cost() {
    let text = "key,size,cost\n2,4,1000\n1,4,10\n3,4,5\n2,4,1000\n";
    let trace = trace_of(text, &ReadOptions::default());
    let rows = run("x", &trace, &settings(Mode::Unit, "lru,gdsf", "2,3"));
    let ratio = |policy: &str, size: &str| {
        let outcome = found(&rows, policy, size);
        outcome.cost_miss_ratio.expect("it has costs").value
    };
    assert_eq!(ratio("lru", "2"), 1.0);
    assert_eq!(ratio("lru", "3"), 1015.0 / 2015.0);
    // Object 2 costs more than the others, and stays.
    assert_eq!(ratio("gdsf", "2"), 1015.0 / 2015.0);
    assert!(table(&rows).contains("cost miss ratio"));
    let without = trace_of("1\n2\n1\n", &ReadOptions::default());
    let rows = run("x", &without, &settings(Mode::Unit, "lru", "1"));
    assert_eq!(found(&rows, "lru", "1").cost_miss_ratio, None);
    assert!(!table(&rows).contains("cost miss ratio"));
}

#[test]
fn a_stream_counts_what_the_whole_trace_does() {
    let mut generator = Seed(3).child("stream").generator();
    let row = |at: u64| {
        let among = 1 + generator.below(3000);
        let key = generator.below(among);
        let operation = if at % 11 == 3 { "del" } else { "get" };
        format!("{key},{},{operation},{}\n", 1 + key % 90, key % 3)
    };
    let text = "key,size,op,cost\n".to_owned() + &(0..30_000).map(row).collect::<String>();
    let options = ReadOptions {
        lives: true,
        ..ReadOptions::default()
    };
    let whole = trace_of(&text, &options);
    for mode in [Mode::Unit, Mode::Bytes] {
        let mut asked = settings(mode, "lru,lhd,s3-fifo", "200,64KiB");
        asked.seeds = vec![1, 2];
        for warmup in ["0", "12345"] {
            asked.warmup = Warmup::parse(warmup).expect("a warm-up");
            let read = |take: &mut dyn FnMut(Trace)| {
                aura_workloads::trace::read_blocks(
                    text.as_bytes(),
                    Format::Csv,
                    &options,
                    1000,
                    &mut |block| {
                        take(block);
                        true
                    },
                )
            };
            let streamed = run_streamed("x", &asked, Some(mode), read);
            let (rows, rest) = streamed.expect("a trace");
            assert_eq!(rest.keys(), whole.keys());
            let plain = |rows: Vec<SimRow>| {
                let timeless = |mut row: SimRow| {
                    if let Ok(outcome) = &mut row.outcome {
                        outcome.accesses_per_s = None;
                    }
                    row
                };
                rows.into_iter().map(timeless).collect::<Vec<_>>()
            };
            let expected = plain(run("x", &whole, &asked));
            for (row, expected) in plain(rows).iter().zip(&expected) {
                assert_eq!(
                    row.outcome, expected.outcome,
                    "{:?} at {}",
                    row.arm, row.size
                );
                assert_eq!((row.mode, row.capacity), (expected.mode, expected.capacity));
            }
        }
    }
}

/// LRU replayed at a size, beside the curve's point there.
fn compare_with_curve(trace: &Trace, asked: &Settings) {
    let curve = lru_curve(trace, asked).expect("a curve");
    for row in run("x", trace, asked) {
        let outcome = found_in(&row);
        let point = curve.at(row.capacity);
        let size = &row.size;
        assert_eq!(point.misses, outcome.misses, "at {size}");
        assert_eq!(point.miss_ratio, outcome.miss_ratio.value, "at {size}");
        assert_eq!(point.byte_miss_ratio, byte_ratio(outcome), "at {size}");
    }
}

#[test]
fn one_pass_counts_what_lru_misses_at_every_size() {
    let text: String = skewed()
        .lines()
        .take(30_000)
        .map(|line| format!("{line}\n"))
        .collect();
    let trace = trace_of(&text, &ReadOptions::default());
    let objects = trace.keys().len();
    let list: Vec<String> = (1..=objects)
        .step_by(97)
        .map(|size| size.to_string())
        .collect();
    let mut asked = settings(Mode::Unit, "lru", &list.join(","));
    compare_with_curve(&trace, &asked);
    asked.warmup = Warmup::parse("10%").expect("a warm-up");
    compare_with_curve(&trace, &asked);
    let curve = lru_curve(&trace, &asked).expect("a curve");
    assert_eq!(curve.exact_from(), Some(1));
    let points = curve.points();
    let falls = points
        .windows(2)
        .all(|pair| pair[0].misses >= pair[1].misses);
    assert!(
        falls
            && points
                .last()
                .is_some_and(|last| last.capacity == objects as u64)
    );
    assert_eq!(curve.to_csv().lines().count(), 1 + points.len());
}

#[test]
fn one_pass_counts_bytes_from_the_largest_object_on() {
    let trace = sample_of(&skewed_bytes(20_000, 3000), 1.0, 0);
    let largest = trace.first_sizes().into_iter().max().expect("objects");
    let list: Vec<String> = (0..40)
        .map(|step| (largest + step * 9973).to_string())
        .collect();
    let asked = settings(Mode::Bytes, "lru", &list.join(","));
    compare_with_curve(&trace, &asked);
    let curve = lru_curve(&trace, &asked).expect("a curve");
    assert_eq!(curve.exact_from(), Some(largest));
    let changing = trace_of("key,size\n1,5\n1,6\n", &ReadOptions::default());
    let curve = lru_curve(&changing, &settings(Mode::Bytes, "lru", "9")).expect("a curve");
    assert_eq!(curve.exact_from(), None);
}

#[test]
fn one_pass_knows_the_room_of_objects_that_ended() {
    let mut generator = Seed(9).child("ends").generator();
    let row = |at: u64| {
        let among = 1 + generator.below(200);
        let key = generator.below(among);
        let operation = if at % 5 == 2 { "del" } else { "get" };
        format!("{key},{operation}\n")
    };
    let text = "key,op\n".to_owned() + &(0..6000).map(row).collect::<String>();
    let options = ReadOptions {
        lives: true,
        ..ReadOptions::default()
    };
    let trace = trace_of(&text, &options);
    let list: Vec<String> = (1..=60).map(|size| size.to_string()).collect();
    compare_with_curve(&trace, &settings(Mode::Unit, "lru", &list.join(",")));
    let bytes = trace_of("key,op,size\n1,get,4\n1,del,0\n1,get,4\n", &options);
    let refused = lru_curve(&bytes, &settings(Mode::Bytes, "lru", "9")).err();
    assert_eq!(refused, Some(CurveError::Ends));
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
    assert_eq!(frame.width(), 25);
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
        let ratio = 100.0 * (1.0 - rows[0].outcome.as_ref().expect("it runs").miss_ratio.value);
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
