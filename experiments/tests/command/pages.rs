//! The index, runs side by side, and figures for papers.

use std::fs;

use crate::{Lab, SMALL};

#[test]
fn results_have_an_index_and_runs_can_stand_side_by_side() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    let larger = [
        "exp.toml",
        "-s",
        "name=larger",
        "-s",
        "engine.cache.size=64KiB",
    ];
    lab.run(&larger);
    let read = |path: &str| fs::read_to_string(lab.path(path)).expect("it was written");

    let ended = lab.aura(&["report", "exp", "larger"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let page = read("results/comparisons/exp+larger.html");
    for words in [
        "<h1>exp and larger</h1>",
        "A paired comparison",
        "engine.cache.size",
        "<span class=\"verdict ",
        "<a href=\"../larger/report.html\"",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let seeds = [&larger[..2], &["name=seeds", "--seeds", "3..4"]].concat();
    lab.run(&seeds);
    assert_eq!(
        lab.aura(&["report", "exp", "seeds", "-o", "page.html"])
            .code,
        0
    );
    let page = read("page.html");
    assert!(page.contains("Other seeds: exp has 1..2, seeds has 3..4."));
    assert!(!page.contains("class=\"verdict "));

    assert_eq!(lab.aura(&["report"]).code, 0);
    let index = read("results/index.html");
    for words in [
        "<h1>3 runs</h1>",
        "Is SIEVE better than LRU?",
        "<a href=\"larger/report.html\"",
        "<a href=\"comparisons/exp%2Blarger.html\"",
    ] {
        assert!(index.contains(words), "{words}");
    }
    fs::remove_file(lab.path("results/index.html")).expect("it is there");
    assert_eq!(lab.aura(&["report", "results"]).code, 0);
    assert_eq!(read("results/index.html"), index);
    lab.aura(&["report", "nothing"]).refuses(2, &["nothing"]);
    lab.aura(&["report", "exp", "-o", "page.html"])
        .refuses(2, &["--output is not for one run"]);

    assert_eq!(
        lab.aura(&["plot", "exp", "--kind", "ecdf", "--pdf"]).code,
        0
    );
    let figure = fs::read(lab.path("results/exp/plots/ecdf.run.read.pdf")).expect("it was drawn");
    assert!(figure.starts_with(b"%PDF-"));
}
