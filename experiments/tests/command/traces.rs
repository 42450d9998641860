//! `aura cache-sim` and `aura trace`.

use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;
use serde_json::Value;

use crate::{Ended, Lab};

/// A loop over 30 keys, a scan of 100 others, the loop again: 240 requests with sizes.
fn requests() -> String {
    let keys = (0..70)
        .map(|i| i % 30)
        .chain(1000..1100)
        .chain((0..70).map(|i| i % 30));
    let row = |(at, key): (usize, u64)| format!("{at},{key},{}\n", 100 + key % 7);
    "time,key,size\n".to_owned() + &keys.enumerate().map(row).collect::<String>()
}

/// The rows of a command that must have succeeded.
fn rows(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, 0, "{}", ended.errors);
    ended.rows()
}

#[test]
fn a_simulation_prints_its_rows_and_leaves_tables_and_figures() {
    let lab = Lab::new();
    lab.config("loop.csv", &requests());
    let arguments = [
        "cache-sim",
        "loop.csv",
        "--policies",
        "lru,sieve",
        "--sizes",
        "40,20%",
        "--unit",
    ];
    let ended = lab.aura(&arguments);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    for word in [
        "loop: 240 requests, 130 objects",
        "lru",
        "sieve",
        "min (bound)",
        "min-bypass (bound)",
        "M accesses/s",
        " *",
    ] {
        assert!(ended.output.contains(word), "{word}:\n{}", ended.output);
    }
    let folder = lab.path("results/cache-sim/loop");
    for file in [
        "results.csv",
        "results.parquet",
        "miss-ratio.svg",
        "miss-ratio.png",
        "miss-ratio.csv",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    assert!(
        !folder.join("byte-miss-ratio.svg").exists(),
        "objects were charged one each"
    );

    let rows =
        rows(&lab.aura(&[&arguments[..], &["--format", "json", "--out", "elsewhere"]].concat()));
    assert_eq!(rows.len(), 2 * (2 + 2));
    assert!(lab.path("elsewhere/results.csv").is_file());
    let lru = rows
        .iter()
        .find(|row| row["policy"] == "lru" && row["size"] == "40")
        .expect("it was asked for");
    // The loop fits, the scan evicts it: 30 + 100 + 30 misses.
    assert_eq!(lru["misses"], 160);
    assert_eq!(lru["capacity"], 40);
    assert_eq!(lru["refused"], Value::Null);
    assert!(
        lru["accesses_per_s"]
            .as_f64()
            .is_some_and(|rate| rate > 0.0)
    );
    let share = rows
        .iter()
        .find(|row| row["size"] == "20%")
        .expect("it was asked for");
    assert_eq!(share["capacity"], 26);
}

#[test]
fn every_compression_is_read_and_written() {
    let lab = Lab::new();
    let text = requests();
    lab.config("plain.csv", &text);
    fs::write(
        lab.path("z.csv.zst"),
        zstd::encode_all(text.as_bytes(), 1).expect("memory"),
    )
    .expect("writable");
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    fs::write(lab.path("g.csv.gz"), gzip.finish().expect("memory")).expect("writable");
    let mut xz = XzEncoder::new(Vec::new(), 1);
    xz.write_all(text.as_bytes()).expect("memory");
    let xz = xz.finish().expect("memory");
    fs::write(lab.path("x.csv.xz"), &xz).expect("writable");
    // Its first bytes say what its name does not.
    fs::write(lab.path("unnamed.csv"), &xz).expect("writable");
    let info = |file: &str| {
        let rows = rows(&lab.aura(&["trace", "info", file, "--format", "json"]));
        rows.into_iter()
            .map(|row| (row["what"].clone(), row["value"].clone()))
            .collect::<Vec<_>>()
    };
    let plain = info("plain.csv");
    assert!(
        plain.contains(&("requests".into(), 240.into()))
            && plain.contains(&("objects".into(), 130.into()))
    );
    for file in ["z.csv.zst", "g.csv.gz", "x.csv.xz", "unnamed.csv"] {
        assert_eq!(info(file), plain, "{file}");
    }
    for output in [
        "a.aurat",
        "a.aurat.zst",
        "a.aurat.gz",
        "a.aurat.xz",
        "b.oracleGeneral.bin.zst",
        "c.csv.gz",
    ] {
        let ended = lab.aura(&["trace", "convert", "plain.csv", output]);
        assert_eq!(ended.code, 0, "{}", ended.errors);
        assert_eq!(info(output)[1..], plain[1..], "{output}");
    }
    assert!(
        fs::metadata(lab.path("a.aurat.zst")).expect("there").len()
            < fs::metadata(lab.path("a.aurat")).expect("there").len()
    );
    let cut = fs::read(lab.path("z.csv.zst")).expect("readable");
    fs::write(lab.path("cut.csv.zst"), &cut[..cut.len() / 2]).expect("writable");
    lab.aura(&["trace", "info", "cut.csv.zst"])
        .refuses(2, &["cut.csv.zst"]);
}

#[test]
fn what_a_policy_cannot_take_is_named_and_not_dropped() {
    let lab = Lab::new();
    lab.config("blocks.lis", "1 30 0 0\n1 30 0 1\n");
    let arguments = [
        "cache-sim",
        "blocks.lis",
        "--policies",
        "lru",
        "--sizes",
        "64KiB,0.1%,10",
        "--format",
        "json",
    ];
    let ended = lab.aura(&arguments);
    let refused: Vec<Value> = rows(&ended)
        .into_iter()
        .filter(|row| row["arm"] == "policy")
        .map(|row| row["refused"].clone())
        .collect();
    assert_eq!(refused.len(), 3);
    assert!(
        refused[0]
            .as_str()
            .is_some_and(|reason| reason.contains("size in bytes")),
        "{refused:?}"
    );
    assert!(
        refused[1]
            .as_str()
            .is_some_and(|reason| reason.contains("hold nothing")),
        "{refused:?}"
    );
    assert_eq!(refused[2], Value::Null);
    lab.aura(&[
        "cache-sim",
        "blocks.lis",
        "--policies",
        "lru",
        "--sizes",
        "0.1%",
    ])
    .refuses(2, &["nothing ran"]);
    lab.aura(&["cache-sim", "blocks.lis", "--bytes"])
        .refuses(2, &["the trace has no sizes"]);
}

#[test]
fn bad_usage_and_bad_traces_are_reported_with_their_place() {
    let lab = Lab::new();
    lab.config("bad.csv", "time,key,size\n1,2,3\n1,2,x\n");
    lab.config("words.txt", "no trace at all\n");
    fs::create_dir(lab.path("b")).expect("a folder");
    lab.config("b/bad.csv", "time,key,size\n1,2,3\n");
    for (arguments, words) in [
        (
            &["cache-sim", "bad.csv"][..],
            &["bad.csv", "line 3", "`x`"][..],
        ),
        (
            &["cache-sim", "words.txt"],
            &["words.txt", "--trace-format", "oracle-general"],
        ),
        (
            &["cache-sim", "nothing.csv"],
            &["nothing.csv", "No such file"],
        ),
        (
            &["cache-sim", "bad.csv", "b/bad.csv"],
            &["two traces are called bad"],
        ),
        (
            &["cache-sim", "bad.csv", "--policies", "lur"],
            &["lur", "lru"],
        ),
        (
            &["cache-sim", "bad.csv", "--policies", "lru(bits=1)"],
            &["unknown parameter `bits`"],
        ),
        (
            &["cache-sim", "bad.csv", "--sizes", "200%"],
            &["--sizes", "`200%` is not a size"],
        ),
        (&["cache-sim", "bad.csv", "--sample", "2"], &["--sample 2"]),
        (
            &["cache-sim", "bad.csv", "--columns", "size"],
            &["map of columns"],
        ),
        (
            &["trace", "info", "bad.csv", "--trace-format", "cvs"],
            &["`cvs`", "nearest: `csv`"],
        ),
        (
            &["trace", "convert", "b/bad.csv", "out.txt"],
            &["out.txt", "--to"],
        ),
        (
            &["trace", "convert", "b/bad.csv", "out.lis"],
            &["lis cannot be written"],
        ),
    ] {
        lab.aura(arguments).refuses(2, words);
    }
    assert!(!lab.path("out.lis").exists() && !lab.path("out.lis.part").exists());
}

#[test]
fn a_sample_is_reported_and_its_error_stated() {
    let lab = Lab::new();
    let keys: String = (0..20_000_u64)
        .map(|i| format!("{}\n", i * i % 3001))
        .collect();
    lab.config("keys.csv", &keys);
    let arguments = [
        "cache-sim",
        "keys.csv",
        "--policies",
        "lru",
        "--sizes",
        "30%",
        "--sample",
        "0.2",
        "--seed",
        "4",
    ];
    let rows = rows(&lab.aura(&[&arguments[..], &["--format", "json"]].concat()));
    let lru = rows
        .iter()
        .find(|row| row["arm"] == "policy")
        .expect("it was asked for");
    assert!(
        lru["standard_error"]
            .as_f64()
            .is_some_and(|error| error > 0.0)
    );
    assert!(
        lru["requests"]
            .as_u64()
            .is_some_and(|requests| (1000..9000).contains(&requests)),
        "{lru}"
    );
    let ended = lab.aura(&arguments);
    assert!(ended.output.contains("0.2 of the keys of 20000 requests"));
    assert!(
        ended.output.contains('\u{b1}') && ended.errors.contains("the sample has only"),
        "{}{}",
        ended.output,
        ended.errors
    );
}

#[test]
fn warm_up_windows_and_seeds_are_in_rows_files_and_figures() {
    let lab = Lab::new();
    lab.config("loop.csv", &requests());
    let arguments = [
        "cache-sim",
        "loop.csv",
        "--policies",
        "lru,hyperbolic",
        "--sizes",
        "40,20%",
        "--unit",
        "--warmup",
        "40",
        "--over-time",
        "50s",
        "--seeds",
        "1..3",
        "--curve",
        "--format",
        "json",
    ];
    let rows = rows(&lab.aura(&arguments));
    assert_eq!(rows.len(), 4, "a bound has no warm-up");
    for row in &rows {
        assert_eq!(row["requests"], 200);
        let seeds = if row["policy"] == "lru" { 1 } else { 3 };
        assert_eq!(row["seeds"], seeds, "{row}");
    }
    let folder = lab.path("results/cache-sim/loop");
    for file in [
        "over-time-40.svg",
        "over-time-20-percent.png",
        "lru-curve.svg",
        "lru-curve.csv",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let windows = fs::read_to_string(folder.join("over-time.csv")).expect("there");
    // Requests 41 to 240 lie in the seconds 40 to 239: five windows each.
    assert_eq!(windows.lines().count(), 1 + 4 * 5, "{windows}");
    let curve = fs::read_to_string(folder.join("lru-curve.csv")).expect("there");
    let lru = rows
        .iter()
        .find(|row| row["policy"] == "lru" && row["size"] == "40")
        .expect("it was asked for");
    let line = curve.lines().find(|line| line.starts_with("40,"));
    let misses = line.and_then(|line| line.split(',').nth(2));
    assert_eq!(misses, Some(&*lru["misses"].to_string()), "{curve}");
}

#[test]
fn a_stream_from_standard_input_has_the_same_rows() {
    let lab = Lab::new();
    lab.config("loop.csv", &requests());
    let sized = [
        "--policies",
        "lru,sieve",
        "--sizes",
        "4000,8KiB",
        "--format",
        "json",
    ];
    let whole = [&["cache-sim", "loop.csv", "--bounds", "none"][..], &sized].concat();
    let streamed = [
        &["cache-sim", "loop.csv", "--stream", "--bounds", "none"][..],
        &sized,
    ]
    .concat();
    let timeless = |ended: &Ended| {
        let mut rows = rows(ended);
        for row in &mut rows {
            row["accesses_per_s"] = Value::Null;
        }
        rows
    };
    assert_eq!(timeless(&lab.aura(&streamed)), timeless(&lab.aura(&whole)));
    for (arguments, words) in [
        (&["--sizes", "1%"][..], &["--stream", "1%"][..]),
        (&["--sizes", "9", "--warmup", "1%"], &["--warmup"]),
        (
            &["--sizes", "9", "--bounds", "min"],
            &["--stream", "a bound needs the whole trace", "--bounds none"],
        ),
        (&["--sizes", "9", "--curve"], &["--stream", "--curve"]),
    ] {
        let all = [&["cache-sim", "loop.csv", "--stream"][..], arguments].concat();
        lab.aura(&all).refuses(2, words);
    }
    lab.config("keys.csv", "1\n2\n");
    lab.aura(&[
        "cache-sim",
        "keys.csv",
        "--stream",
        "--bytes",
        "--sizes",
        "9",
    ])
    .refuses(2, &["the trace has no sizes"]);
}

#[test]
fn what_does_not_fit_a_trace_is_refused() {
    let lab = Lab::new();
    lab.config("keys.csv", "1\n2\n3\n");
    lab.config("ends.csv", "key,op,size\n1,get,4\n1,del,4\n1,get,4\n");
    for (arguments, words) in [
        (
            &["keys.csv", "--warmup", "3"][..],
            &["keys.csv", "all of the trace's 3"][..],
        ),
        (&["keys.csv", "--warmup", "100%"], &["--warmup 100%"]),
        (&["keys.csv", "--over-time", "1h"], &["no times"]),
        (&["keys.csv", "--over-time", "0"], &["--over-time 0"]),
        (&["keys.csv", "--seeds", "3..1"], &["--seeds", "3..1"]),
        (
            &["ends.csv", "--curve", "--sizes", "50%"],
            &["--curve", "--unit"],
        ),
    ] {
        let all = [&["cache-sim", "--policies", "lru"][..], arguments].concat();
        lab.aura(&all).refuses(2, words);
    }
}

#[test]
fn the_help_names_every_format_of_traces() {
    let help = Lab::new().aura(&["cache-sim", "--help"]);
    for format in aura_workloads::trace::Format::ALL {
        let mut words = help
            .output
            .split(|it: char| !(it.is_alphanumeric() || it == '-'));
        assert!(words.any(|word| word == format.name()), "{format}");
    }
}
