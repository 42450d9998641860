//! `aura tune`: a search is a function of its config, and its winner is judged by fresh seeds.

use std::fs;

use serde_json::Value;

use crate::{Lab, SMALL, trials};

/// The most memory to the cache is best, and the second knob has a better value, too.
const TUNE: &str = r#"
[tune]
method = "tpe"
points = 8
seeds = 2
maximize = "cache.hit_ratio"
constraints = {"write.amplification"={at_most = 50.0}, "write.amplification@load"={at_most = "3x"}}
confirm = { seeds = 3 }

[[tune.knob]]
key = "engine.memtable"
min = "32KiB"
max = "80KiB"
rest = { key = "engine.cache.size", of = "112KiB" }
levels = 3

[[tune.knob]]
key = "engine.table.block"
values = ["1KiB", "4KiB"]
"#;

fn lab(change: impl Fn(&str) -> String) -> Lab {
    let lab = Lab::new();
    lab.config("exp.toml", &change(&format!("{SMALL}{TUNE}")));
    lab
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().expect("a number")
}

#[test]
fn a_winner_is_confirmed_under_fresh_seeds_and_can_be_set_and_undone() {
    let lab = lab(as_it_is);
    let rows = lab.json(0, &["tune", "exp.toml"]);
    assert_eq!(rows.len(), 3, "a goal and two constraints: {rows:?}");
    let goal = &rows[0];
    assert_eq!(goal["metric"], "cache.hit_ratio@run");
    assert_eq!(goal["verdict"], "better");
    assert_eq!(goal["role"], "goal");
    assert!(number(goal, "winner_in_search") > number(goal, "baseline_in_search"));
    assert!(number(goal, "low") > 0.0 && number(goal, "low") < number(goal, "effect"));
    let drop = number(goal, "effect_in_search") - number(goal, "effect");
    assert!((number(goal, "drop") - drop).abs() < 1e-12);
    assert_eq!(rows[1]["role"], "constraint, kept");
    assert!(number(&rows[1], "winner_in_search") <= 50.0);
    // A window in which nothing is compared unless it is asked for, and a limit that moves.
    assert_eq!(rows[2]["metric"], "write.amplification@load");
    assert_eq!(rows[2]["role"], "constraint, kept");
    assert!(number(&rows[2], "winner") <= 3.0 * number(&rows[2], "baseline"));

    let search = lab.path("results/exp-tune");
    let text = |name: &str| fs::read_to_string(search.join(name)).expect("it was written");
    assert_eq!(
        text("points.jsonl").lines().count(),
        9,
        "the baseline and 8 points"
    );
    assert_eq!(trials(&search).len(), 18);
    assert!(text("undo.toml").contains("engine.memtable = \"64KiB\""));
    for file in [
        "convergence.svg",
        "response.engine.memtable.csv",
        "response.engine.table.block.png",
    ] {
        assert!(search.join("plots").join(file).exists(), "{file}");
    }
    // The seeds of the search are 1 and 2, those of a run as well.
    let confirmed = lab.path("results/exp-tune-confirm");
    let plan = fs::read_to_string(confirmed.join("plan.jsonl")).expect("a plan");
    assert!(
        plan.lines().count() == 6 && plan.contains("\"seed\":3") && !plan.contains("\"seed\":2,")
    );
    let listed = lab.json(0, &["ls"]);
    let confirm = listed.iter().find(|row| row["run"] == "exp-tune-confirm");
    assert!(
        confirm.is_some_and(|row| row["verdict"].as_str().is_some_and(|it| !it.is_empty())),
        "{listed:?}"
    );
    // Under the seed of the search and the settings that were found, a run gives what it saw.
    let winner = search.join("winner.toml");
    let winner = winner.to_str().expect("a plain path");
    lab.run(&["exp.toml", "--with", winner]);
    let run = lab.json(0, &["compare", "exp", "--metric", "cache.hit_ratio"]);
    let seen = number(goal, "winner_in_search");
    assert!(
        (number(&run[0], "baseline_mean") - seen).abs() < 1e-12,
        "{run:?}"
    );
}

#[test]
fn jobs_and_interruptions_do_not_change_a_search() {
    let lab = lab(as_it_is);
    let tune = |results: &str, jobs: &str, more: &[&str]| {
        let words = ["tune", "exp.toml", "--results", results, "--jobs", jobs];
        let ended = lab.aura(&[&words, more].concat());
        assert_eq!(ended.code, 0, "{}", ended.errors);
        let points = lab.path(results).join("exp-tune/points.jsonl");
        (fs::read(points).expect("it was written"), ended.errors)
    };
    for method in ["bayesian", "cma-es", "halving"] {
        let [once, twice] = ["one", "two"].map(|name| format!("{name}-{method}"));
        let method = format!("tune.method={method}");
        let set = ["-s", method.as_str()];
        let (one, _) = tune(&once, "1", &set);
        let (two, _) = tune(&twice, "2", &set);
        assert!(one == two, "{method}");
        let search = lab.path(&once).join("exp-tune");
        fs::remove_dir_all(&trials(&search)[3]).expect("it is there");
        fs::remove_file(search.join("points.jsonl")).expect("it is there");
        let (again, said) = tune(&once, "2", &set);
        assert!(one == again, "{method}");
        assert!(said.contains("1 trials run, "), "{said}");
    }
}

#[test]
fn constraints_that_no_point_keeps_and_searches_without_gain_are_said() {
    let strict = lab(|text| text.replace("at_most = 50.0", "at_most = 0.5"));
    // What an earlier search left, and what is not a search's.
    let folder = strict.path("results/exp-tune");
    let stale = ["winner.toml", "undo.toml", "plots/response.old.svg"];
    fs::create_dir_all(folder.join("plots")).expect("a folder");
    for file in stale.iter().chain(&["plots/mine.svg"]) {
        fs::write(folder.join(file), "old").expect("a file");
    }
    strict
        .aura(&["tune", "exp.toml"])
        .refuses(1, &["no point keeps every constraint"]);
    for file in stale {
        assert!(!folder.join(file).exists(), "{file}");
    }
    assert!(folder.join("plots/mine.svg").exists());
    // A cache of nearly all memory, and the larger of the blocks: nothing is left to gain.
    let best = lab(|text| {
        let text = text.replace("memtable = \"64KiB\"", "memtable = \"32KiB\"");
        text.replace("size = \"32KiB\", shards", "size = \"80KiB\", shards")
    });
    best.aura(&["tune", "exp.toml", "--gate"])
        .refuses(1, &["nothing better than the baseline `lru`"]);
}

#[test]
fn the_price_is_said_before_the_search() {
    let lab = lab(as_it_is);
    let ended = lab.aura(&["tune", "exp.toml", "--price"]);
    let words = "24 trials: 8 points and the baseline under 2 seeds, and 6 to confirm";
    assert!(
        ended.code == 0 && ended.said().contains(words),
        "{}",
        ended.errors
    );
    assert_eq!(trials(&lab.path("results/exp-tune")).len(), 2);
}

#[test]
fn a_cost_is_judged_as_a_metric_and_halving_by_parts_of_the_baseline() {
    let lab = lab(|text| {
        let cost = "cost = { \"cache.hit_ratio\" = 2.0, \"write.amplification\" = 1.0 }";
        text.replace("maximize = \"cache.hit_ratio\"", cost)
    });
    let rows = lab.json(0, &["tune", "exp.toml"]);
    let names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["metric"].as_str())
        .collect();
    let terms = ["cost", "cache.hit_ratio@run", "write.amplification@whole"];
    assert_eq!(names[..3], terms);
    let cost = &rows[0];
    let weights = number(cost, "baseline");
    assert!(
        (weights - 3.0).abs() < 1e-12,
        "the sum of the weights: {weights}"
    );
    let ratio = number(cost, "winner") / 3.0 - 1.0;
    assert!((number(cost, "effect") - ratio).abs() < 1e-12);
    let excludes_zero = number(cost, "high") < 0.0;
    assert_eq!(cost["verdict"] == "better", excludes_zero, "{cost}");
    // A part of the operations costs as much as a part of the baseline's.
    let halving = [
        "-s",
        "tune.method=halving",
        "-s",
        "tune.points=3",
        "-s",
        "name=parts",
    ];
    let ended = lab.aura(&[&["tune", "exp.toml"], &halving[..]].concat());
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let plan = fs::read_to_string(lab.path("results/parts-tune/plan.jsonl")).expect("a plan");
    assert!(plan.contains("lru of 0.11") && plan.contains("lru of 0.33"));
    let price = "38 trials: 9 points with 0.11 of the operations, 3 points with 0.33 of the \
                 operations, 1 point and the baseline at 3 sizes under 2 seeds, and 6 to confirm";
    assert!(ended.said().contains(price), "{}", ended.errors);
}

#[test]
fn searches_that_cannot_be_judged_are_refused_before_they_run() {
    let lab = lab(|text| {
        let clients = "key = \"workload.clients\"\nvalues = [1, 2]";
        text.replace(
            "key = \"engine.table.block\"\nvalues = [\"1KiB\", \"4KiB\"]",
            clients,
        )
    });
    let words = [
        "points would not be compared under one workload",
        "across = [\"workload\"]",
        "exp.toml:46:7",
    ];
    lab.aura(&["tune", "exp.toml"]).refuses(2, &words);
    let across = [
        "tune",
        "exp.toml",
        "--price",
        "-s",
        "compare.across=[\"workload\"]",
    ];
    let allowed = lab.aura(&across);
    let words = "workload.clients searched: points do not meet the same operations";
    assert!(
        allowed.code == 0 && allowed.said().contains(words),
        "{}",
        allowed.errors
    );
    let refuses = |sets: &[&str], words: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["-s", *set]);
        let words_of = ["tune", "exp.toml"].into_iter().chain(sets);
        let across = ["-s", "compare.across=[\"workload\"]"];
        let all: Vec<&str> = words_of.chain(across).collect();
        lab.aura(&all).refuses(2, words);
    };
    refuses(
        &["tune.seeds=1000", "tune.points=10000"],
        &["the search has 10001006 trials", "--max-trials 10001006"],
    );
    refuses(
        &["tune.method=halving", "tune.points=10000", "tune.eta=10"],
        &["(333333 + 33333 + 3333 points by `halving`"],
    );
    refuses(
        &["seeds=[18446744073709551615]"],
        &["no larger numbers for fresh seeds", "--set:1:7"],
    );
    refuses(
        &["engine.cache={ size = \"48KiB\" }"],
        &["`engine.cache.size` is searched: --set engine.cache would"],
    );
    lab.config(
        "trace.csv",
        "0,a,1,5,1,set,0\n1,a,1,5,1,get,0\n2,b,1,5,1,set,0\n",
    );
    let trace = "workload={ clients = 1, trace = { file = \"trace.csv\" } }";
    let replay = lab.path("exp.toml");
    let text = fs::read_to_string(&replay).expect("a config");
    let (head, rest) = text.split_once("[workload]").expect("a workload");
    let (_, rest) = rest.split_once("[engine]").expect("an engine");
    lab.config("exp.toml", &format!("{head}{trace}\n[engine]{rest}"));
    refuses(
        &["tune.method=halving"],
        &["a recorded trace cannot be shortened"],
    );
}

/// Refuses the search's config with one line of it replaced.
fn refuses(line: &str, instead: &str, words: &[&str]) {
    let lab = lab(|text| {
        assert!(text.contains(line), "{line}");
        text.replacen(line, instead, 1)
    });
    lab.aura(&["tune", "exp.toml"]).refuses(2, words);
    // A run checks the table, too.
    lab.aura(&["run", "exp.toml"]).refuses(2, words);
    assert!(!lab.path("results").exists());
}

const MEMTABLE: &str = "key = \"engine.memtable\"";

#[test]
fn what_is_wrong_with_a_knob_of_a_range_is_said_at_its_place() {
    refuses(
        MEMTABLE,
        "key = \"engine.memtabel\"",
        &["nearest: `engine.memtable`", "exp.toml:39:7"],
    );
    refuses(
        MEMTABLE,
        "key = \"compare.margin\"",
        &["cannot be searched: keys begin with workload"],
    );
    refuses(
        "max = \"80KiB\"",
        "max = \"8KiB\"",
        &["must be above `min`", "exp.toml:41:7"],
    );
    refuses(
        "max = \"80KiB\"",
        "max = 9007199254740994",
        &["must be within 2^53", "exp.toml:41:7"],
    );
    refuses(
        "levels = 3",
        "step = \"100KiB\"",
        &[
            "`step` = \"100KiB\": must be above 0 and fit",
            "exp.toml:43:8",
        ],
    );
    refuses(
        "levels = 3",
        "step = 0.5",
        &["must be whole, as `min` and `max` are"],
    );
    refuses(
        "min = \"32KiB\"",
        "min = \"0B\"",
        &["must be above 0 with scale = \"log\"", "exp.toml:40:7"],
    );
}

#[test]
fn what_is_wrong_with_a_search_is_said_at_its_place() {
    refuses(
        "[\"1KiB\", \"4KiB\"]",
        "[\"1KiB\", \"4KiB\"]\nstep = 2",
        &["`step` is of a range", "exp.toml:48:8"],
    );
    refuses(
        MEMTABLE,
        "key = \"engine.table\"",
        &["two knobs set `engine.table.block` and `engine.table`"],
    );
    refuses(
        "at_most = \"3x\"",
        "at_most = \"3 times\"",
        &["the limit of write.amplification@load = \"3 times\" is no number"],
    );
    refuses(
        "of = \"112KiB\"",
        "of = \"80KiB\"",
        &["must be a size larger than `max`"],
    );
    refuses(
        "[\"1KiB\", \"4KiB\"]",
        "[\"1KiB\"]",
        &["there is nothing to choose", "exp.toml:47:10"],
    );
    refuses(
        "\"tpe\"",
        "\"tpa\"",
        &["tpa", "nearest: `tpe`", "exp.toml:31:10"],
    );
    refuses(
        "\"cache.hit_ratio\"\nconstraints",
        "\"cache.hit\"\nconstraints",
        &["cache.hit_ratio"],
    );
    refuses(
        "\"cache.hit_ratio\"\nconstraints",
        "\"cache.hit_ratio@rum\"\nconstraints",
        &["nearest: `run`"],
    );
    refuses(
        "maximize = \"cache.hit_ratio\"\n",
        "",
        &["one of `minimize`, `maximize` and `cost`"],
    );
    refuses(
        "points = 8",
        "points = 1",
        &["`tune.points` = 1: must be 2 to 10000"],
    );
}

#[test]
fn a_config_without_a_search_and_a_knob_that_is_set_are_refused() {
    let plain = Lab::new();
    plain.config("exp.toml", SMALL);
    let words = [
        "no table `tune`",
        "maximize = \"cache.hit_ratio\"",
        "[[tune.knob]]",
    ];
    plain.aura(&["tune", "exp.toml"]).refuses(2, &words);
    let set = lab(as_it_is);
    let ended = set.aura(&["tune", "exp.toml", "-s", "engine.memtable=48KiB"]);
    ended.refuses(2, &["--set would make all points equal", "--set:1:1"]);
}
