//! Figures of made-up trials.

use std::collections::BTreeMap;

use super::*;
use crate::compare::{CompareSettings, compare};
use crate::metrics::{derive, tests::sample};
use crate::record::OpClass;
use crate::store::tidy;

/// Two variants, three seeds, two cache sizes.
fn trials() -> Vec<StoredTrial> {
    let mut trials = Vec::new();
    for (variant, factor) in [("lru", 2), ("sieve", 1)] {
        for seed in 0..3 {
            for size in ["32MiB", "128MiB"] {
                let mut result = sample(variant, seed, factor);
                result
                    .manifest
                    .point
                    .insert("engine.cache.size".to_owned(), size.to_owned());
                let phase = &result.phases[0];
                let key = |class: &OpClass| ("run".to_owned(), *class);
                trials.push(StoredTrial {
                    rows: derive(&result),
                    series: BTreeMap::from([("run".to_owned(), phase.series.clone())]),
                    latency: phase
                        .latency
                        .iter()
                        .map(|(class, of)| (key(class), of.clone()))
                        .collect(),
                    service: BTreeMap::new(),
                    manifest: result.manifest,
                });
            }
        }
    }
    trials
}

fn rows(trials: &[StoredTrial]) -> Vec<TidyRow> {
    trials
        .iter()
        .flat_map(|trial| tidy(&trial.manifest, &trial.rows))
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "figures are files of this machine"
)]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it was written")
}

/// The figures of [`trials`].
pub(crate) fn drawn() -> Figures {
    let trials = trials();
    let rows = rows(&trials);
    let settings = CompareSettings {
        baseline: "lru".to_owned(),
        ..CompareSettings::default()
    };
    let comparison = compare(&rows, &settings).expect("two variants");
    let provenance = "sample, 3 seeds";
    let input = PlotInput {
        rows: &rows,
        trials: &trials,
        comparison: Some(&comparison),
        baseline: "lru",
        provenance,
    };
    figures(&Kind::ALL, &input).expect("they can be drawn")
}

#[test]
fn every_kind_is_drawn_once_a_phase_operation_and_point() {
    let drawn = drawn();
    assert!(drawn.skipped.is_empty(), "{:?}", drawn.skipped);
    let is = |figure: &Figure, kind: Kind| figure.name.split('.').next() == Some(kind.name());
    let count = |kind| drawn.drawn.iter().filter(|figure| is(figure, kind)).count();
    let counts = Kind::ALL.map(count);
    // Forest and throughput: a point each; latency: five classes at two points; the others show all points in one.
    assert_eq!(counts, [2, 2, 10, 1, 1, 1, 1]);
    let mut names: Vec<&str> = drawn
        .drawn
        .iter()
        .map(|figure| figure.name.as_str())
        .collect();
    assert!(
        names.contains(&"throughput.run") && names.contains(&"throughput.run.point-2"),
        "{names:?}"
    );
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two figures would share a file");
}

#[test]
fn the_same_results_give_the_same_figures() {
    let folders = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    let names = folders.each_ref().map(|folder| {
        let drawn = drawn().drawn;
        drawn
            .iter()
            .for_each(|figure| figure.save(folder.path()).expect("it can be written"));
        crate::files::names(folder.path()).expect("it was just written")
    });
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].len(), 18 * 3, "SVG, PNG and CSV of each");
    for name in &names[0] {
        let bytes = folders
            .each_ref()
            .map(|folder| read(&folder.path().join(name)));
        assert!(bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn figures_carry_their_words_and_no_broken_number() {
    for figure in drawn().drawn {
        let svg = figure.svg().expect("it can be drawn");
        assert!(
            svg.starts_with("<svg width=\"720\" height=\""),
            "{}",
            &svg[..80]
        );
        assert!(
            svg.contains(&figure.title) && svg.contains("sample, 3 seeds"),
            "{}",
            figure.name
        );
        assert!(
            !svg.contains("NaN") && !svg.contains("inf"),
            "{}",
            figure.name
        );
        assert!(
            figure.csv.lines().count() > 1,
            "{}: {}",
            figure.name,
            figure.csv
        );
        assert!(
            svg.contains("Arimo, Liberation Sans, Arial"),
            "{}",
            figure.name
        );
    }
}

#[test]
fn what_has_no_data_is_skipped_with_a_message() {
    let input = PlotInput {
        rows: &[],
        trials: &[],
        comparison: None,
        baseline: "lru",
        provenance: "",
    };
    let figures = figures(&Kind::ALL, &input).expect("nothing is drawn");
    assert!(figures.drawn.is_empty());
    let kinds: Vec<&str> = figures
        .skipped
        .iter()
        .filter_map(|message| message.split(':').next())
        .collect();
    assert_eq!(kinds, Kind::ALL.map(Kind::name));
}

#[test]
fn a_hit_ratio_over_sizes_is_ordered_by_size() {
    let drawn = drawn().drawn;
    let figure = drawn
        .iter()
        .find(|figure| figure.name.starts_with("hit-ratio"))
        .expect("the sample has reads");
    let sizes: Vec<&str> = figure
        .csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2))
        .collect();
    assert_eq!(sizes, ["33554432", "33554432", "134217728", "134217728"]);
}

#[test]
fn kinds_are_found_by_their_names() {
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| Kind::find(kind.name()) == Some(*kind))
    );
    assert_eq!(Kind::find("pie"), None);
}
