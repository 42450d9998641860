//! `aura index-bench`, on sets so small that every model takes a moment.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Answer, Lab};

/// Few look-ups, and a buffer that no cache would notice.
const QUICK: [&str; 6] = [
    "--lookups",
    "400",
    "--cold-lookups",
    "8",
    "--cold-buffer",
    "64KiB",
];

fn bench(lab: &Lab, arguments: &[&str]) -> Answer {
    lab.aura(&[&["index-bench"], arguments, &QUICK].concat())
}

/// The rows, as JSON.
fn rows(lab: &Lab, arguments: &[&str]) -> (Vec<Value>, String) {
    let answer = bench(lab, &[arguments, &["--format", "json"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.errors);
    let rows = answer
        .output
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    (rows, answer.told())
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
    let (rows, _) = rows(&lab, &[&sets[..], &["--epsilon", "8,32"]].concat());
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
            let (refused, warm) = (row["refused"].as_str(), row["warm_ns_median"].as_f64());
            assert!(
                refused.is_some_and(|why| !why.is_empty()) != warm.is_some(),
                "{row}"
            );
            if row["model"] == "greedy-plr" && refused.is_none() {
                let (epsilon, error) = (row["epsilon"].as_f64(), row["error_max"].as_f64());
                assert!(error <= epsilon.map(|epsilon| epsilon + 2.0), "{row}");
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
    let (rows, _) = rows(
        &lab,
        &[
            "linear:3200",
            "--models",
            "greedy-plr",
            "--epsilon",
            "16",
            "--block-keys",
            "32",
        ],
    );
    assert_eq!(rows.len(), 3, "two baselines and a model");
    assert_eq!(
        (&rows[0]["index_bytes"], &rows[0]["comparisons"]),
        (&0.into(), &13.0.into()),
        "a search among 3200"
    );
    // A hundred blocks, 8 bytes each; a search among 100, and one among the 32 of a block.
    assert_eq!(
        (&rows[1]["index_bytes"], &rows[1]["bytes_per_key"]),
        (&800.into(), &0.25.into())
    );
    assert_eq!(
        (&rows[1]["model"], &rows[1]["warm_speed_against_fence"]),
        (&"fence".into(), &1.0.into())
    );
    // 8 and 6 comparisons; those above the last block have only the first.
    assert!(
        rows[1]["comparisons"]
            .as_f64()
            .is_some_and(|mean| mean > 13.5 && mean <= 14.0),
        "{}",
        rows[1]
    );
    assert_eq!(
        (&rows[2]["segments"], &rows[2]["epsilon"], &rows[2]["keys"]),
        (&1.into(), &16.into(), &3200.into())
    );
}

#[test]
fn files_of_every_kind_are_read() {
    let lab = Lab::new();
    let plain = words((0..900).map(|i| 5 * i * i));
    fs::write(lab.path("a.u64"), &plain).expect("writable");
    fs::write(
        lab.path("b.u64d.zst"),
        zstd::encode_all(&words([3; 900])[..], 1).expect("it compresses"),
    )
    .expect("writable");
    fs::write(lab.path("c_uint64"), [words([900]), plain].concat()).expect("writable");
    let lines: String = (0..900).rev().map(|i| format!("{}\n", i / 2 * 7)).collect();
    fs::write(lab.path("d.txt"), lines).expect("writable");
    let packed = Command::new("gzip")
        .arg("-k")
        .arg(lab.path("d.txt"))
        .status();
    let text = if packed.is_ok_and(|status| status.success()) {
        "d.txt.gz"
    } else {
        "d.txt"
    };
    let models = ["--models", "greedy-plr", "--epsilon", "16"];
    let (found, told) = rows(
        &lab,
        &[
            &["a.u64", "b.u64d.zst", "c_uint64", text, "--numbers"][3..],
            &models,
        ]
        .concat(),
    );
    assert!(
        found
            .iter()
            .all(|row| row["keys"] == 450 && row["set"] == "d"),
        "{found:?}"
    );
    assert!(
        told.contains("d: 450 keys; they were not in order; 450 duplicates left out"),
        "{told}"
    );
    let (found, _) = rows(
        &lab,
        &[
            &["a.u64", "b.u64d.zst", "c_uint64", "--out", "there"][..],
            &models,
        ]
        .concat(),
    );
    let sets: BTreeSet<&str> = found.iter().filter_map(|row| row["set"].as_str()).collect();
    assert_eq!(sets, BTreeSet::from(["a", "b", "c_uint64"]));
    assert!(found.iter().all(|row| row["keys"] == 900));
    assert!(lab.path("there/b/pareto.svg").is_file());
    let (limited, _) = rows(&lab, &[&["a.u64", "--limit", "100"][..], &models].concat());
    assert!(limited.iter().all(|row| row["keys"] == 100));
}

#[test]
fn strings_that_tie_in_eight_bytes_are_found() {
    let lab = Lab::new();
    // Nine letters tell five of them apart only behind the image.
    let lines: String = (0..500)
        .map(|i| {
            format!(
                "user/{:08}{}\n",
                i / 5 * 3,
                ["", "a", "ab", "b", "\u{e9}"][i % 5]
            )
        })
        .collect();
    fs::write(lab.path("names.keys"), lines).expect("writable");
    let (found, told) = rows(&lab, &["names.keys", "--epsilon", "4..16"]);
    assert!(found.iter().all(|row| row["keys"] == 500));
    // "user/00000" is common to all, so that three letters are left in the image beside the number's end.
    assert!(
        told.contains("names: strings with a common prefix of 10 bytes; all keys differ"),
        "{told}"
    );
    let lines: String = (0..500)
        .map(|i| format!("{:04}-----{}\n", i / 5 * 3, i % 5))
        .collect();
    fs::write(lab.path("ties.keys"), lines).expect("writable");
    let (found, told) = rows(&lab, &["ties.keys", "--epsilon", "4..16"]);
    assert!(found.iter().all(|row| row["keys"] == 500));
    assert!(
        told.contains("500 keys share the 8 bytes after it with others, at most 5 the same"),
        "{told}"
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
