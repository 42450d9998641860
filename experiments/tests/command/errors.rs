//! Errors are reported before anything runs: where they stand, and what was probably meant.

use crate::{Lab, SMALL};

/// Runs `SMALL` with one line replaced by another.
fn with(line: &str, instead: &str) -> crate::Ended {
    assert!(SMALL.contains(line), "{line}");
    let lab = Lab::new();
    lab.config("exp.toml", &SMALL.replacen(line, instead, 1));
    let ended = lab.aura(&["run", "exp.toml"]);
    assert!(
        !lab.path("results").exists(),
        "nothing is written before the config is checked"
    );
    ended
}

#[test]
fn a_misspelt_key_is_reported_with_its_place_and_the_nearest() {
    with("memtable = ", "memtabel = ").refuses(
        2,
        &[
            "`engine.memtabel`",
            "nearest: `engine.memtable`",
            "exp.toml:14:1",
            "wal",
        ],
    );
    with("seeds = 2", "seed = 2").refuses(
        2,
        &["`seed`", "nearest: `engine.seed`, `seeds`", "exp.toml:4:1"],
    );
    with(
        "engine.cache.eviction = \"sieve\"",
        "engine.cache.evicton = \"sieve\"",
    )
    .refuses(2, &["`variant[1].engine.cache.evicton`", "exp.toml:24:"]);
    with("[compare]", "cache = 1\n[compare]").refuses(
        2,
        &[
            "unknown key `variant[1].cache`",
            "`variant[1].engine.cache`",
            "exp.toml:26:1",
        ],
    );
}

#[test]
fn a_key_of_another_section_is_found_there() {
    with("seeds = 2", "memtable = \"1MiB\"").refuses(
        2,
        &[
            "unknown key `memtable`",
            "nearest: `engine.memtable`",
            "exp.toml:4:1",
        ],
    );
}

#[test]
fn an_unknown_policy_is_reported_with_the_known_ones() {
    with(
        "engine.cache.eviction = \"sieve\"",
        "engine.cache.eviction = \"sive\"",
    )
    .refuses(
        2,
        &[
            "unknown cache policy `sive`",
            "known: 2q, ac-key, arc, ",
            "nearest: `sieve`",
            "exp.toml:24:25",
        ],
    );
}

#[test]
fn an_unknown_parameter_is_reported_with_the_known_ones() {
    with(
        "engine.cache.eviction = \"sieve\"",
        "engine.compaction.layout = { policy = \"leveled\", ration = 3 }",
    )
    .refuses(
        2,
        &[
            "unknown parameter `ration`",
            "known: ratio",
            "nearest: `ratio`",
            "exp.toml:24:50",
        ],
    );
    with(
        "engine.cache.eviction = \"sieve\"",
        "engine.compaction.layout = { policy = \"leveled\", ratio = 1000 }",
    )
    .refuses(
        2,
        &[
            "`ratio` of policy `leveled`: must be 2 to 100",
            "exp.toml:24:58",
        ],
    );
}

#[test]
fn a_wrong_mixture_of_sizes_is_shown_at_its_place() {
    let sized = |sizes: &str| with("value = { bytes = 100 }", &format!("value.bytes = {sizes}"));
    sized("[{ share = 1, bytes = 5 }, { share = -2, bytes = 9 }]")
        .refuses(2, &["workload.value.bytes[1].share = -2", "exp.toml:11:52"]);
    sized("[{ share = 1, bytes = [{ share = 1, bytes = 5 }] }]").refuses(
        2,
        &[
            "`workload.value.bytes[0].bytes`",
            "a number of bytes",
            "exp.toml:11:37",
        ],
    );
    sized("[{ share = 1, bites = 5 }]").refuses(
        2,
        &[
            "unknown key `workload.value.bytes[0].bites`",
            "exp.toml:11:29",
        ],
    );
    sized("\"many\"").refuses(2, &["is not a size", "such as \"64KiB\"", "exp.toml:11:15"]);
}

#[test]
fn steps_durations_and_roles_are_refused_at_their_place() {
    let phased = |phase: &str| {
        let line = "value = { bytes = 100 }";
        with(
            line,
            &format!("{line}\nphases = [{{ name = \"a\", {phase} }}]"),
        )
    };
    phased("step = \"compact\", operations = 5").refuses(
        2,
        &[
            "workload.phases[0].operations: a step does no operations",
            "exp.toml:12:",
        ],
    );
    phased("step = \"compcat\"").refuses(
        2,
        &[
            "`workload.phases[0].step`",
            "nearest: `compact`",
            "exp.toml:12:32",
        ],
    );
    phased("step = \"wait\"").refuses(2, &["needs a `duration`", "exp.toml:12:32"]);
    phased("duration = \"a while\"").refuses(
        2,
        &[
            "`workload.phases[0].duration`",
            "expected a duration",
            "exp.toml:12:36",
        ],
    );
    phased("roles = [{ name = \"b\", until = \"others-end\" }]").refuses(
        2,
        &[
            "workload.phases[0].roles: every role goes on until the others end",
            "exp.toml:12:33",
        ],
    );
    with("value = { bytes = 100 }", "roles = [{ name = \"b\" }]").refuses(
        2,
        &[
            "workload.clients: roles have clients of their own: leave it out",
            "exp.toml:10:11",
        ],
    );
}

#[test]
fn values_out_of_range_are_shown_at_their_place() {
    with("\"64KiB\"\ncache", "-5\ncache").refuses(2, &["`engine.memtable`", "exp.toml:14:12"]);
    with("\"64KiB\"\ncache", "\"12B\"\ncache")
        .refuses(2, &["`engine.memtable`", "outside", "exp.toml:14:12"]);
    with("records = 2_000", "records = 0").refuses(2, &["workload.records", "exp.toml:8:11"]);
    with("preset = \"ycsb-a\"", "preset = \"ycsb-x\"")
        .refuses(2, &["`workload.preset`", "ycsb-b", "exp.toml:7:10"]);
    with("clients = 2", "clients = \"two\"").refuses(2, &["`workload.clients`", "exp.toml:10:11"]);
    with("seeds = 2", "seeds = 0")
        .refuses(2, &["`seeds` must hold at least one seed", "exp.toml:4:9"]);
    with("seeds = 2", "world = { device = \"nvmee\" }")
        .refuses(2, &["nvmee", "nearest: `nvme`", "exp.toml:4:"]);
}

#[test]
fn settings_of_a_level_are_checked_like_those_of_all() {
    let sieve = "engine.cache.eviction = \"sieve\"";
    let with_level = |setting: &str| with(sieve, &format!("engine.table.levels.{setting}"));
    with_level("2.indx = \"pgm\"").refuses(
        2,
        &[
            "unknown key `variant[1].engine.table.levels.2.indx`",
            "levels.2.index`",
            "known in",
            "compression",
            "exp.toml:24:",
        ],
    );
    with_level("2.index = \"pmg\"").refuses(
        2,
        &[
            "`engine.table.levels.2.index`",
            "unknown index policy `pmg`",
            "nearest: `pgm`",
            "exp.toml:24:",
        ],
    );
    with_level("2.filter = { policy = \"bloom\", bits = 3 }").refuses(
        2,
        &["`engine.table.levels.2.filter`", "unknown parameter `bits`"],
    );
    with_level("2.block = \"1B\"").refuses(2, &["table.levels.2.block", "1 B is outside"]);
    with_level("64.block = \"1KiB\"").refuses(2, &["table.levels", "64 is outside 0 to 63"]);
    with_level("deep.block = \"1KiB\"").refuses(2, &["levels.deep", "numbers"]);
}

#[test]
fn a_generated_key_set_that_is_unknown_is_named_with_the_nearest() {
    with("records = 2_000", "key.generated = \"lognorml:3k\"").refuses(
        2,
        &[
            "`workload.key.generated`",
            "`lognorml`",
            "nearest: `lognormal`",
            "known sets: clusters, ",
            "exp.toml:8:17",
        ],
    );
    with("records = 2_000", "key.generated = \"uniform:many\"")
        .refuses(2, &["`many` is not a number of keys", "exp.toml:8:17"]);
    with(
        "records = 2_000",
        "records = 2_000\nkey.generated = \"uniform:1k\"",
    )
    .refuses(2, &["at most 1000, the distinct keys of the set"]);
}

#[test]
fn a_simulated_world_has_no_page_cache() {
    for io in ["direct", "page-cache"] {
        with("seeds = 2", &format!("world.io = {io:?}")).refuses(
            2,
            &[
                "`world.io`",
                io,
                "has no page cache",
                "exp.toml:4:",
                "\"real\"",
            ],
        );
    }
}

#[test]
fn names_that_do_not_fit_together_are_reported() {
    with("baseline = \"lru\"", "baseline = \"lur\"").refuses(
        2,
        &["unknown variant `lur`", "nearest: `lru`", "exp.toml:3:12"],
    );
    with("name = \"sieve\"", "name = \"lru\"").refuses(2, &["unique", "exp.toml:23:8"]);
    with("[\"cache.hit_ratio\"]", "[\"cache.hitratio\"]").refuses(
        2,
        &[
            "unknown metric cache.hitratio",
            "cache.hit_ratio",
            "exp.toml:27:12",
        ],
    );
    let sweep = "[[sweep]]\nkey = \"engine.cache.eviction\"\nvalues = [\"arc\"]\n[compare]";
    with("[compare]", sweep).refuses(
        2,
        &[
            "variant `lru` sets `engine.cache.eviction`",
            "exp.toml:27:7",
        ],
    );
}

#[test]
fn names_that_files_cannot_have_are_refused_when_they_are_read() {
    let phase = |name: &str| format!("[[workload.phases]]\nname = \"{name}\"\n\n[engine]");
    with("[engine]", &phase("a/b")).refuses(
        2,
        &["\"a/b\" has letters other than", "`a-b`", "exp.toml:14:8"],
    );
    for (name, why) in [
        ("", "blank"),
        (".a", "begins with a dot"),
        ("drain", "is a window that every trial has"),
        (&"x".repeat(65), "too long"),
    ] {
        with("[engine]", &phase(name)).refuses(2, &[why, "exp.toml:14:8"]);
    }
    with("name = \"sieve\"", "name = \"a/b\"").refuses(2, &["slash", "`a-b`", "exp.toml:23:8"]);
    with("seeds = 2", "name = \"../out\"").refuses(2, &["`name`", "dot", "exp.toml:4:8"]);
    let sweep = |rest: &str| format!("[[sweep]]\nkey = \"engine.memtable\"\n{rest}\n[compare]");
    with(
        "[compare]",
        &sweep("values = [\"64KiB\"]\nlabels = [\"a/b\"]"),
    )
    .refuses(
        2,
        &["a label of `engine.memtable`", "slash", "exp.toml:29:11"],
    );
    with("[compare]", &sweep("values = [\"64KiB\", \"64KiB\"]")).refuses(2, &["has `64KiB` twice"]);
}

#[test]
fn a_value_of_another_kind_is_answered_with_what_was_expected() {
    with("records = 2_000", "records = 1e6").refuses(
        2,
        &[
            "is not a whole number",
            "without point and exponent: 1000000",
        ],
    );
    with("records = 2_000", "records = 2.5").refuses(2, &["2.5 is not a whole number"]);
    with("records = 2_000", "records = -1").refuses(2, &["-1 is not a whole number of 0 or more"]);
    with("memtable = \"64KiB\"", "memtable = \"banana\"").refuses(
        2,
        &["\"banana\" is not a size", "\"64KiB\"", "exp.toml:14:12"],
    );
    with("memtable = \"64KiB\"", "memtable = 1.5").refuses(2, &["1.5 is not a size"]);
    with("memtable = \"64KiB\"", "memtable = \"1TB\"").refuses(
        2,
        &[
            "`engine.memtable`",
            "931.3 GiB is outside",
            "exp.toml:14:12",
        ],
    );
}

#[test]
fn an_explosion_is_refused_with_its_number() {
    let sizes: Vec<String> = (1..=60)
        .map(|size| format!("\"{}KiB\"", size * 64))
        .collect();
    let sizes = sizes.join(", ");
    let mut text = "seeds = 10\n".to_owned();
    for key in [
        "cache.size",
        "memtable",
        "table.size",
        "compaction.base",
        "table.block",
    ] {
        text += &format!("[[sweep]]\nkey = \"engine.{key}\"\nvalues = [{sizes}]\n");
    }
    let lab = Lab::new();
    lab.config("exp.toml", &text);
    let words = [
        "7776000000 trials (seeds 10, variants 1, values of a sweep 60,",
        "at most 10000",
        "--max-trials 7776000000",
    ];
    lab.aura(&["run", "exp.toml"]).refuses(2, &words);
    lab.config("exp.toml", SMALL);
    lab.aura(&["run", "exp.toml", "--seeds", "4000000000"])
        .refuses(2, &["8000000000 trials"]);
    lab.aura(&["run", "exp.toml", "--max-trials", "3"])
        .refuses(2, &["4 trials (seeds 2, variants 2); at most 3"]);
}

#[test]
fn equal_variants_are_refused_and_overridden_ones_are_said() {
    with(
        "engine.cache.eviction = \"sieve\"",
        "engine.cache.eviction = { policy = \"lru\" }",
    )
    .refuses(
        2,
        &[
            "variants `lru` and `sieve` have the same settings",
            "`same_as = \"lru\"`",
            "exp.toml:23:8",
        ],
    );
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.aura(&["run", "exp.toml", "-s", "engine.cache.eviction=arc"])
        .refuses(
            2,
            &[
                "have the same settings",
                "--set engine.cache.eviction holds for all variants",
                "lru, sieve",
            ],
        );
    let third = "engine.cache.eviction = \"sieve\"\n\n[[variant]]\nname = \"small\"\n\
                 engine.memtable = \"128KiB\"";
    lab.config(
        "exp.toml",
        &SMALL.replace("engine.cache.eviction = \"sieve\"", third),
    );
    let ended = lab.aura(&[
        "run",
        "exp.toml",
        "-s",
        "engine.memtable=256KiB",
        "--seeds",
        "1",
    ]);
    ended.refuses(2, &["`lru` and `small`"]);
    let twice = "same_as = \"lru\"\nengine.memtable = \"128KiB\"";
    with("engine.cache.eviction = \"sieve\"", twice)
        .refuses(2, &["`sieve` has `same_as` and settings of its own"]);
    with("engine.cache.eviction = \"sieve\"", "same_as = \"lur\"").refuses(
        2,
        &[
            "there is no variant `lur`",
            "nearest: `lru`",
            "exp.toml:24:11",
        ],
    );
}

#[test]
fn an_absolute_margin_is_for_shares_of_one() {
    let absolute = |name: &str| format!("[compare]\nabsolute_margin = {{ \"{name}\" = 0.005 }}");
    with("[compare]", &absolute("run.throughput_ops")).refuses(
        2,
        &["run.throughput_ops is no share of one", "exp.toml:27:"],
    );
    with("[compare]", &absolute("cache.hit_ratoi")).refuses(
        2,
        &["unknown metric cache.hit_ratoi", "nearest: cache.hit_ratio"],
    );
}

#[test]
fn what_is_no_toml_or_json_is_shown_at_its_place() {
    with("seeds = 2", "seeds = ").refuses(2, &["not TOML", "exp.toml:4:"]);
    let lab = Lab::new();
    lab.config("exp.json", "{\n  \"seeds\": 2,\n  oops\n}\n");
    lab.aura(&["run", "exp.json"])
        .refuses(2, &["not JSON", "exp.json:3:"]);
    lab.config("exp.json", "{\n  \"seeds\": 2,\n  \"seeds\": 3\n}\n");
    lab.aura(&["run", "exp.json"])
        .refuses(2, &["\"seeds\" stands twice", "exp.json:3:3"]);
    lab.config(
        "exp.json",
        "{\n  \"seeds\": 2,\n  \"engine\": { \"memtabel\": 1 }\n}\n",
    );
    lab.aura(&["run", "exp.json"]).refuses(
        2,
        &[
            "`engine.memtabel`",
            "nearest: `engine.memtable`",
            "exp.json:3:15",
        ],
    );
}

#[test]
fn a_bad_set_is_reported_with_the_argument() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let refuses =
        |set: &str, words: &[&str]| lab.aura(&["run", "exp.toml", "-s", set]).refuses(2, words);
    refuses(
        "engine.memtabel=1",
        &[
            "unknown key `engine.memtabel`",
            "nearest: `engine.memtable`",
            "--set:1:1",
        ],
    );
    refuses("engine.memtable", &["not of the form key=value"]);
    refuses("engine.memtable=-1", &["`engine.memtable`", "--set:1:17"]);
    refuses("engine.cache={ size = }", &["not TOML", "--set:1:"]);
    refuses("variant=[]", &["`variant` cannot be set"]);
    refuses(
        "engine.cache.eviction=sive",
        &[
            "unknown cache policy `sive`",
            "nearest: `sieve`",
            "--set:1:23",
        ],
    );
}

#[test]
fn a_missing_file_is_bad_usage_and_an_unwritable_folder_a_refused_environment() {
    let lab = Lab::new();
    lab.aura(&["run", "nowhere.toml"])
        .refuses(2, &["cannot read nowhere.toml"]);
    lab.config("exp.toml", SMALL);
    lab.config("occupied", "a file where a folder is wanted");
    lab.aura(&["run", "exp.toml", "--results", "occupied"])
        .refuses(3, &["results cannot be written", "occupied/exp"]);
    lab.aura(&["compare", "nowhere"])
        .refuses(2, &["not the folder of a run", "nowhere"]);
    lab.aura(&["verify", "nowhere"])
        .refuses(2, &["neither a run nor a database"]);
    assert_eq!(lab.aura(&["runn"]).code, 2);
    assert_eq!(lab.aura(&["run", "exp.toml", "--format", "xml"]).code, 2);
}

#[test]
fn an_expectation_that_nothing_could_decide_is_refused() {
    let expect = |lines: &str| format!("[[expect]]\n{lines}\n[compare]");
    let metric = "metric = \"cache.hit_ratio\"";
    let sieve = "variants = [\"sieve\"]";
    let better = "verdict = \"better\"";
    for (lines, key, message) in [
        (
            format!("metric = \"space.amplification\"\n{sieve}\n{better}"),
            "expect[0].metric",
            "is no primary metric",
        ),
        (
            format!("{metric}\nvariants = [\"sive\"]\n{better}"),
            "expect[0].variants",
            "nearest: `sieve`",
        ),
        (
            format!("{metric}\nvariants = [\"lru\"]\n{better}"),
            "expect[0].variants",
            "is the baseline",
        ),
        (
            format!("{metric}\n{sieve}\n{better}\nphase = \"rum\""),
            "expect[0].phase",
            "nearest: `run`",
        ),
        (
            format!("{metric}\n{sieve}\n{better}\nphase = \"whole\""),
            "expect[0].phase",
            "asked of each phase",
        ),
        (
            format!("{metric}\n{sieve}\n{better}\nat = {{ \"engine.memtable\" = \"1MiB\" }}"),
            "expect[0].at",
            "no sweep point",
        ),
        (
            format!("{metric}\n{sieve}\nverdict = \"best\""),
            "expect[0].verdict",
            "better",
        ),
    ] {
        with("[compare]", &expect(&lines)).refuses(2, &[key, message, "exp.toml:"]);
    }
}
