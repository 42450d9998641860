//! `aura index-bench`, on sets so small that every model takes a moment.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Ended, Lab};

/// Few look-ups, and a buffer that fits every cache.
const QUICK: [&str; 6] = [
    "--lookups",
    "400",
    "--cold-lookups",
    "8",
    "--cold-buffer",
    "64KiB",
];

fn bench(lab: &Lab, arguments: &[&str]) -> Ended {
    lab.aura(&[&["index-bench"], arguments, &QUICK].concat())
}

/// What a command that succeeded printed.
struct Measured {
    rows: Vec<Value>,
    /// Its remarks.
    said: String,
}

fn measured(lab: &Lab, arguments: &[&str]) -> Measured {
    let ended = bench(lab, &[arguments, &["--format", "json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.errors);
    Measured {
        rows: ended.rows(),
        said: ended.said(),
    }
}

fn words(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

#[test]
fn every_model_is_measured_or_refused_with_a_reason_on_every_generated_set() {
    let lab = Lab::new();
    let sets: Vec<String> = aura_workloads::keyset::GENERATED
        .iter()
        .map(|kind| format!("{}:3000", kind.name))
        .collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let rows = measured(&lab, &[&sets[..], &["--epsilon", "8,32"]].concat()).rows;
    for set in &sets {
        let folder = set.replace(':', "-");
        let here: Vec<&Value> = rows.iter().filter(|row| row["set"] == *folder).collect();
        let named: BTreeSet<&str> = here
            .iter()
            .filter_map(|row| row["model"].as_str())
            .collect();
        assert!(named.contains("binary search"), "{named:?}");
        for entry in aura_policies::index::FAMILY.entries() {
            assert!(
                named.contains(entry.name),
                "{} is missing for {set}",
                entry.name
            );
        }
        for row in here {
            let refused = row["refused"].as_str().is_some_and(|why| !why.is_empty());
            assert_ne!(refused, row["warm_ns_median"].is_f64(), "{row}");
            if row["model"] == "greedy-plr" && !refused {
                // The farther end of a window is at most its width away.
                let allowed = row["epsilon"].as_f64().map(|epsilon| 2.0 * epsilon + 3.0);
                assert!(row["error_max"].as_f64() <= allowed, "{row}");
            }
        }
        for file in [
            "index-bench.csv",
            "index-bench.parquet",
            "pareto.svg",
            "pareto.png",
            "pareto.csv",
        ] {
            let path = lab.path("results/index-bench").join(&folder).join(file);
            assert!(
                fs::metadata(&path).is_ok_and(|file| file.len() > 0),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_numbers_without_a_clock_are_those_of_the_arithmetic() {
    let lab = Lab::new();
    let arguments = [
        "linear:3200",
        "--models",
        "greedy-plr",
        "--epsilon",
        "16",
        "--block-keys",
        "32",
    ];
    let rows = measured(&lab, &arguments).rows;
    let [whole, fence, plr] = &rows[..] else {
        panic!("two baselines and a model: {rows:?}")
    };
    assert_eq!(whole["index_bytes"], 0);
    assert_eq!(whole["comparisons"], 13.0, "a search among 3200");
    // A hundred blocks, 8 bytes each; a search among 100, and one among the 32 of a block.
    assert_eq!(fence["model"], "fence");
    assert_eq!(fence["index_bytes"], 800);
    assert_eq!(fence["bytes_per_key"], 0.25);
    assert_eq!(fence["warm_speed_against_fence"], 1.0);
    // 8 and 6 comparisons; queries above the last block need only the first.
    let comparisons = fence["comparisons"].as_f64().expect("a mean");
    assert!(comparisons > 13.5 && comparisons <= 14.0, "{fence}");
    assert_eq!(plr["segments"], 1);
    assert_eq!(plr["epsilon"], 16);
    assert_eq!(plr["keys"], 3200);
    // A window of two ranks: the key's, and the next, where a search in the gap after it ends.
    assert_eq!(plr["error_max"], 1.0);
}

#[test]
fn the_oracle_is_charged_what_it_stores_and_strings_have_the_engine_s_fence_pointers() {
    let lab = Lab::new();
    let rows = measured(&lab, &["linear:3200", "--models", "oracle"]).rows;
    let oracle = rows.last().expect("three rows");
    assert_eq!(oracle["model"], "oracle");
    assert_eq!(oracle["error_max"], 0.0);
    let bytes = oracle["bytes_per_key"].as_f64().expect("it is measured");
    assert!((8.0..8.1).contains(&bytes), "{oracle}");
    // All keys share 12 bytes and have 4 more. A block takes an image of 8, and the 4 bytes again,
    // because no image is full. The ends of those lie on a line, which takes 24 B.
    let lines: String = (0..3200).map(|i| format!("item/{i:011}\n")).collect();
    fs::write(lab.path("items.keys"), lines).expect("writable");
    let rows = measured(&lab, &["items.keys", "--models", "fence"]).rows;
    assert_eq!(rows[1]["model"], "fence");
    assert_eq!(rows[1]["index_bytes"], 12 + 100 * (8 + 4) + 24);
}

#[test]
fn files_of_every_kind_are_read() {
    let lab = Lab::new();
    let write = |name: &str, bytes: &[u8]| fs::write(lab.path(name), bytes).expect("writable");
    let plain = words((0..900).map(|i| 5 * i * i));
    write("a.u64", &plain);
    let differences = words([3; 900]);
    let compressed = zstd::encode_all(&differences[..], 1).expect("it compresses");
    write("b.u64d.zst", &compressed);
    write("c_uint64", &[words([900]), plain].concat());
    let models = ["--models", "greedy-plr", "--epsilon", "16"];
    let files = ["a.u64", "b.u64d.zst", "c_uint64", "--out", "there"];
    let rows = measured(&lab, &[&files[..], &models].concat()).rows;
    let sets: BTreeSet<&str> = rows.iter().filter_map(|row| row["set"].as_str()).collect();
    assert_eq!(sets, BTreeSet::from(["a", "b", "c_uint64"]));
    assert!(rows.iter().all(|row| row["keys"] == 900));
    assert!(lab.path("there/b/pareto.svg").is_file());
    let limited = measured(&lab, &[&["a.u64", "--limit", "100"][..], &models].concat()).rows;
    assert!(limited.iter().all(|row| row["keys"] == 100));
}

#[test]
fn a_text_of_numbers_is_sorted_and_loses_its_duplicates() {
    let lab = Lab::new();
    let lines: String = (0..900).rev().map(|i| format!("{}\n", i / 2 * 7)).collect();
    fs::write(lab.path("d.txt"), lines).expect("writable");
    let gzip = Command::new("gzip")
        .arg("-k")
        .arg(lab.path("d.txt"))
        .status();
    let has_gzip = gzip.is_ok_and(|status| status.success());
    let text = if has_gzip { "d.txt.gz" } else { "d.txt" };
    let arguments = [text, "--numbers", "--models", "greedy-plr"];
    let Measured { rows, said } = measured(&lab, &[&arguments[..], &["--epsilon", "16"]].concat());
    for row in &rows {
        assert_eq!(row["keys"], 450, "{row}");
        assert_eq!(row["set"], "d", "{row}");
    }
    assert!(
        said.contains("d: 450 keys; they were not in order; 450 duplicates left out"),
        "{said}"
    );
}

#[test]
fn strings_that_differ_only_after_the_image_are_found() {
    let lab = Lab::new();
    let endings = ["", "a", "ab", "b", "\u{e9}"];
    let lines: String = (0..500)
        .map(|i| format!("user/{:08}{}\n", i / 5 * 3, endings[i % 5]))
        .collect();
    fs::write(lab.path("names.keys"), lines).expect("writable");
    let Measured { rows, said } = measured(&lab, &["names.keys", "--epsilon", "4..16"]);
    assert!(rows.iter().all(|row| row["keys"] == 500));
    // All begin with "user/00000", so that the image has room for the number's end and the ending.
    assert!(
        said.contains("names: strings with a common prefix of 10 bytes; all keys differ"),
        "{said}"
    );
    let lines: String = (0..500)
        .map(|i| format!("{:04}-----{}\n", i / 5 * 3, i % 5))
        .collect();
    fs::write(lab.path("ties.keys"), lines).expect("writable");
    let Measured { rows, said } = measured(&lab, &["ties.keys", "--epsilon", "4..16"]);
    assert!(rows.iter().all(|row| row["keys"] == 500));
    assert!(
        said.contains("500 keys share the 8 bytes after it with others, at most 5 the same"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_bad_usage() {
    let lab = Lab::new();
    let refuses = |arguments: &[&str], words: &[&str]| bench(&lab, arguments).refuses(2, words);
    refuses(
        &["unifrom:1M"],
        &[
            "`unifrom:1M` is neither a file nor a generated key set",
            "nearest: `uniform`",
        ],
    );
    refuses(&["uniform:many"], &["`many` is not a number of keys"]);
    fs::write(lab.path("torn.u64"), [0; 12]).expect("writable");
    refuses(
        &["torn.u64"],
        &[
            "torn.u64, read as u64",
            "4 of its 8 bytes, after 1 whole keys",
        ],
    );
    fs::write(lab.path("nameless"), [0; 16]).expect("writable");
    refuses(
        &["nameless"],
        &[
            "does not say how its keys are written",
            "--key-format",
            "sosd-u64",
        ],
    );
    fs::write(lab.path("broken.u64.zst"), b"no zstd").expect("writable");
    refuses(&["broken.u64.zst"], &["broken.u64.zst"]);
    refuses(
        &["uniform:100", "--models", "bourbon"],
        &["unknown index policy `bourbon`", "greedy-plr"],
    );
    refuses(
        &["uniform:100", "--models", "greedy-plr(epsilon=x)"],
        &["greedy-plr"],
    );
    refuses(&["uniform:100", "--epsilon", "0"], &["`0` is no epsilon"]);
    refuses(
        &["uniform:100", "--key-format", "csv"],
        &["the formats are u64, u64d"],
    );
}
