//! `aura ab` and `aura diff` from outside.

use std::fs;

use serde_json::Value;

use crate::{Lab, SMALL, trials};

/// The row of a metric.
fn row<'a>(rows: &'a [Value], metric: &str) -> &'a Value {
    let found = rows.iter().find(|row| row["metric"] == metric);
    found.unwrap_or_else(|| panic!("no row of {metric}: {rows:?}"))
}

#[test]
fn two_sides_of_one_config_are_compared_and_the_trials_are_those_of_a_run() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let rows = lab.json(0, &["ab", "exp.toml", "--pairs", "3", "--results", "r"]);
    let hits = row(&rows, "cache.hit_ratio");
    assert_eq!(
        (&hits["baseline"], &hits["variant"]),
        (&"A".into(), &"B".into())
    );
    assert_eq!(hits["pairs"], 3);
    assert!(lab.path("r/exp-ab/report.html").exists());
    // A run of the config has the same trials, but for those of the third seed.
    lab.run(&["exp.toml", "--results", "s"]);
    let names = |run: &str| {
        let folders = trials(&lab.path(run)).into_iter();
        let names = folders.map(|it| it.file_name().expect("a name").to_owned());
        names.collect::<Vec<_>>()
    };
    let [ab, run] = [names("r/exp-ab"), names("s/exp")];
    assert_eq!((ab.len(), run.len()), (6, 4));
    assert!(run.iter().all(|name| ab.contains(name)));
    // Compared again, it is the same comparison.
    let again = lab.json(0, &["compare", "exp-ab", "--results", "r"]);
    assert_eq!(rows, again);
}

#[test]
fn a_side_that_is_worse_ends_with_one_and_sides_that_are_none_with_two() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    // Nothing in the cache is worse than something.
    let worse = [
        "ab",
        "exp.toml",
        "-b",
        "engine.cache.size=4KiB",
        "--pairs",
        "4",
    ];
    let rows = lab.json(1, &worse);
    assert_eq!(row(&rows, "cache.hit_ratio")["verdict"], "worse");
    let same = lab.aura(&["ab", "exp.toml", "--variant-b", "lru"]);
    same.refuses(2, &["the same settings", "--aa"]);
    lab.aura(&["ab", "exp.toml", "--variant-b", "arc"])
        .refuses(2, &["no variant \"arc\"", "lru, sieve"]);
    lab.aura(&["ab", "exp.toml", "-b", "engine.cach.size=4KiB"])
        .refuses(2, &["engine.cach"]);
    lab.aura(&["ab", "exp.toml", "--pairs", "auto"])
        .refuses(2, &["repeats A exactly", "--sequential"]);
    lab.aura(&["ab", "exp.toml", "--aa", "-b", "engine.cache.size=4KiB"])
        .refuses(2, &["--aa"]);
    lab.aura(&["ab", "exp.toml", "--program-b", "nothing/aura"])
        .refuses(3, &["nothing/aura"]);
}

#[test]
fn a_sequence_ends_when_it_is_decided_and_says_so_when_read_again() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let sequence = [
        "ab",
        "exp.toml",
        "-b",
        "engine.cache.size=4KiB",
        "--sequential",
        "--pairs",
        "40",
        "-j",
        "4",
    ];
    let ended = lab.aura(&[&sequence[..], &["--format", "json"]].concat());
    assert_eq!(ended.code, 1, "{}", ended.errors);
    assert!(
        ended
            .said()
            .contains("decided after 10 of at most 40 pairs"),
        "{}",
        ended.errors
    );
    let rows = ended.rows();
    assert_eq!(row(&rows, "cache.hit_ratio")["pairs"], 10);
    assert_eq!(rows, lab.json(0, &["compare", "exp-ab"]));
    // The interval is wider than that of ten pairs fixed before.
    let fixed = [
        "ab",
        "exp.toml",
        "-b",
        "engine.cache.size=4KiB",
        "--pairs",
        "10",
    ];
    let fixed = lab.json(1, &[&fixed[..], &["--name", "fixed"]].concat());
    let width = |rows: &[Value]| {
        let row = row(rows, "cache.hit_ratio");
        row["high"].as_f64().expect("it has") - row["low"].as_f64().expect("it has")
    };
    let ratio = width(&rows) / width(&fixed);
    assert!((1.2..1.7).contains(&ratio), "{ratio}");
}

#[test]
fn a_budget_ends_pairs_whatever_they_showed() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let budget = [
        "ab", "exp.toml", "--pairs", "500", "--budget", "1ms", "-j", "2",
    ];
    let ended = lab.aura(&budget);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(
        ended.said().contains("the time is up: 1 of 500 pairs"),
        "{}",
        ended.errors
    );
    lab.aura(&["ab", "exp.toml", "--budget", "soon"])
        .refuses(2, &["--budget"]);
}

#[test]
fn two_programs_are_compared_on_equal_settings() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    // The same program under another name and digest: bytes at the end change nothing.
    let other = lab.path("aura-other");
    fs::copy(env!("CARGO_BIN_EXE_aura"), &other).expect("it can be copied");
    let mut bytes = fs::read(&other).expect("it was copied");
    bytes.push(0);
    fs::write(&other, bytes).expect("it can be written");
    let other = other.to_string_lossy().into_owned();
    let ended = lab.aura(&[
        "ab",
        "exp.toml",
        "--program-b",
        &other,
        "--pairs",
        "2",
        "--format",
        "json",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(ended.said().contains("run by"), "{}", ended.errors);
    assert!(
        !ended.said().contains("differences may be of the code"),
        "{}",
        ended.errors
    );
    let rows = ended.rows();
    let hits = row(&rows, "cache.hit_ratio");
    assert_eq!(
        (&hits["effect"], &hits["verdict"]),
        (&0.0.into(), &"equivalent".into())
    );
    assert_eq!(trials(&lab.path("results/exp-ab")).len(), 4);
}

#[test]
fn one_engine_is_switched_between_two_settings() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let smaller = "engine.cache.size=8KiB";
    let live = |more: &[&str]| {
        let call = [
            "ab", "exp.toml", "-b", smaller, "--live", "--format", "json",
        ];
        lab.aura(&[&call, more].concat())
    };
    let ended = live(&["--aa-blocks", "2", "--pairs", "10"]);
    assert!([0, 1].contains(&ended.code), "{}", ended.errors);
    let rows = ended.rows();
    let hits = row(&rows, "cache.hit_ratio");
    assert!(hits["effect"].as_f64().expect("a number") < 0.0, "{hits}");
    assert!(ended.said().contains("a switch to B"), "{}", ended.errors);
    let again = live(&["--aa-blocks", "2", "--pairs", "10"]);
    assert_eq!(again.output, ended.output, "a simulation repeats");

    live(&["--pairs", "auto"]).refuses(2, &["needs no pilot"]);
    live(&["--pairs", "4"]).refuses(2, &["ten blocks"]);
    live(&["-b", "workload.records=1000"]).refuses(2, &["may differ in `engine` alone"]);
    live(&["-b", "engine.value_log.queues=2"]).refuses(1, &["value_log.queues"]);
    live(&["-s", "workload.preset=ycsb-d"]).refuses(2, &["inserts"]);
}

#[test]
fn a_split_compares_two_settings_at_the_same_time() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let split = |b: &str, more: &[&str]| {
        let call = [
            "ab", "exp.toml", "-b", b, "--live", "--design", "split", "--pairs", "12", "--format",
            "json",
        ];
        lab.aura(&[&call, more].concat())
    };
    let latency = "compare.also=[\"read.latency_max_us\"]";
    let ended = split("engine.cache.size=4KiB", &["-s", latency]);
    assert_eq!(ended.code, 1, "{}", ended.errors);
    let rows = ended.rows();
    let hits = row(&rows, "cache.hit_ratio");
    assert_eq!(hits["verdict"], "worse", "{hits}");
    let longest = &row(&rows, "read.latency_max_us")["baseline_mean"];
    assert!(
        longest.as_f64().expect("a number") > 20.0,
        "no read waited: {longest}"
    );
    let said = ended.said();
    for words in [
        "A against A",
        "B had half of its budgets: a cache of 2.0 KiB",
        "one log",
    ] {
        assert!(said.contains(words), "{words}: {}", ended.errors);
    }
    let again = split("engine.cache.size=4KiB", &["-s", latency]);
    assert_eq!(again.output, ended.output, "a simulation repeats");

    // A setting that a running engine cannot change, and that changes nothing here: what the halves
    // differ by is no effect.
    let ended = split("engine.value_log.queues=2", &[]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let rows = ended.rows();
    assert_eq!(row(&rows, "cache.hit_ratio")["effect"], 0.0, "{rows:?}");

    let small = "engine.cache.size=4KiB";
    split(small, &["-s", "compare.primary=[\"run.throughput_ops\"]"])
        .refuses(2, &["run.throughput_ops is of the whole"]);
    split(small, &["--washout", "100"]).refuses(2, &["a split switches nothing"]);
    split(small, &["--aa-blocks", "3"]).refuses(2, &["a split switches nothing"]);
}

#[test]
fn regret_is_to_the_best_that_stands_still() {
    let lab = Lab::new();
    lab.config(
        "exp.toml",
        &format!("{SMALL}\n[regret]\nstatic = [\"lru\"]\n"),
    );
    let ended = lab.aura(&["run", "exp.toml"]);
    assert!(
        ended.said().contains("the best that stands still is lru"),
        "{}",
        ended.errors
    );
    let rows = lab.json(0, &["regret", "exp"]);
    let of = |variant: &str| {
        rows.iter()
            .find(|row| row["variant"] == variant)
            .expect("a row")
    };
    assert_eq!(
        (&of("lru")["role"], &of("sieve")["role"]),
        (&"static".into(), &"adaptive".into())
    );
    assert_eq!(of("lru")["regret"]["mean"], 0.0);
    lab.aura(&["regret", "exp", "--static", "lrv"])
        .refuses(2, &["lrv", "lru"]);
    lab.config(
        "wrong.toml",
        &format!("{SMALL}\n[regret]\nstatic = [\"lrv\"]\n"),
    );
    lab.aura(&["run", "wrong.toml"])
        .refuses(2, &["regret.static", "lrv"]);
}

#[test]
fn a_diff_shows_settings_then_exact_counters() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    lab.run(&[
        "exp.toml",
        "-s",
        "name=small",
        "-s",
        "engine.cache.size=16KiB",
    ]);
    let rows = lab.json(0, &["diff", "exp", "small"]);
    let parts: Vec<&str> = rows.iter().filter_map(|row| row["part"].as_str()).collect();
    assert!(parts.is_sorted_by_key(|part| {
        ["experiment", "setting", "exact"]
            .iter()
            .position(|known| known == part)
    }));
    let setting = rows
        .iter()
        .find(|row| row["part"] == "setting")
        .expect("one");
    assert_eq!(setting["what"], "engine.cache.size");
    assert_eq!(
        (&setting["a"], &setting["b"]),
        (&"32KiB".into(), &"16KiB".into())
    );
    assert_eq!(setting["where"], "all");
    assert!(parts.contains(&"exact"), "{rows:?}");
    assert_eq!(lab.json(1, &["diff", "exp", "small", "--exact"]), rows);
    let same = lab.aura(&["diff", "exp", "exp", "--exact"]);
    assert_eq!((same.code, same.output.as_str()), (0, ""));
    assert!(
        same.said().starts_with("0 settings differ"),
        "{}",
        same.errors
    );
    lab.aura(&["diff", "exp", "nothing"])
        .refuses(2, &["nothing"]);
}

#[test]
fn every_shipped_claim_is_put_to_the_test() {
    let lab = Lab::new();
    let papers = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("papers");
    let papers = papers.to_string_lossy().into_owned();
    let sets = [
        "workload.records=1500",
        "workload.operations=1500",
        "seeds=2",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["-s", *set]).collect();
    let rows = lab.json(0, &[&["papers", papers.as_str()], &sets[..]].concat());
    assert!(rows.len() >= 8, "{rows:?}");
    for row in &rows {
        for column in ["source", "claim", "theirs", "ours", "why"] {
            let text = row[column].as_str().expect("text");
            assert!(!text.is_empty(), "{column}: {row}");
        }
        let known = ["holds", "holds in part", "does not hold here", "undecided"];
        assert!(known.iter().any(|known| row["holds"] == *known), "{row}");
        let name = row["experiment"].as_str().expect("a name");
        assert!(
            lab.path("results").join(name).join("report.html").exists(),
            "{name}"
        );
    }
    lab.config("exp.toml", SMALL);
    lab.aura(&["papers", "exp.toml"])
        .refuses(2, &["states no claim"]);
    let wrong = fs::read_to_string(format!("{papers}/sieve.toml")).expect("a config");
    lab.config(
        "wrong.toml",
        &wrong.replace("variant = \"sieve\", phase", "variant = \"slru\", phase"),
    );
    lab.aura(&["papers", "wrong.toml"])
        .refuses(2, &["paper.ours.variant", "slru"]);
}
