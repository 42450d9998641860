//! Figures of made-up trials.

use std::collections::BTreeMap;

use super::*;
use crate::compare::{CompareSettings, compare};
use crate::metrics::derive;
use crate::record::TrialResult;
use crate::store::HistogramKey;
use crate::testing::{rows_of, sample_trial};

/// Two variants, three seeds, two cache sizes.
fn trials() -> Vec<TrialResult> {
    let mut trials = Vec::new();
    for (variant, factor) in [("lru", 2), ("sieve", 1)] {
        for seed in 0..3 {
            for size in ["32MiB", "128MiB"] {
                let mut trial = sample_trial(variant, seed, factor);
                let point = &mut trial.manifest.point;
                point.insert("engine.cache.size".to_owned(), size.to_owned());
                trials.push(trial);
            }
        }
    }
    trials
}

/// A trial as it reads back from disk, but without service times.
fn stored(trial: &TrialResult) -> StoredTrial {
    let phase = &trial.phases[0];
    let mut latency = BTreeMap::new();
    for (class, histogram) in &phase.latency {
        let key = HistogramKey {
            phase: phase.name.clone(),
            class: *class,
        };
        latency.insert(key, histogram.clone());
    }
    StoredTrial {
        manifest: trial.manifest.clone(),
        rows: derive(trial),
        series: BTreeMap::from([(phase.name.clone(), phase.series.clone())]),
        latency,
        service: BTreeMap::new(),
    }
}

/// The figures of [`trials`].
pub(crate) fn drawn() -> Figures {
    let trials = trials();
    let rows = rows_of(&trials);
    let settings = CompareSettings {
        baseline: "lru".to_owned(),
        ..CompareSettings::default()
    };
    let comparison = compare(&rows, &settings).expect("two variants");
    let input = PlotInput {
        rows: &rows,
        trials: &trials.iter().map(stored).collect::<Vec<_>>(),
        comparison: Some(&comparison),
        baseline: "lru",
        provenance: "sample, 3 seeds",
    };
    figures(&FigureKind::ALL, &input)
}

#[test]
fn every_kind_is_drawn_once_a_phase_operation_and_point() {
    let drawn = drawn();
    assert!(drawn.skipped.is_empty(), "{:?}", drawn.skipped);
    for (kind, expected) in [
        // A figure per point, in the phase and in the whole trial.
        (FigureKind::Forest, 4),
        // A figure per point.
        (FigureKind::Throughput, 2),
        // Six classes at two points.
        (FigureKind::Latency, 12),
        // All points in one figure, for the phase and for the whole trial.
        (FigureKind::Amplification, 2),
        // All points in one figure.
        (FigureKind::HitRatio, 1),
        (FigureKind::Bound, 1),
        (FigureKind::Index, 1),
    ] {
        let is_kind = |figure: &&Figure| figure.name.split('.').next() == Some(kind.name());
        let count = drawn.drawn.iter().filter(is_kind).count();
        assert_eq!(count, expected, "{}", kind.name());
    }
}

#[test]
fn no_two_figures_share_a_file() {
    let drawn = drawn().drawn;
    let mut names: Vec<&str> = drawn.iter().map(|figure| figure.name.as_str()).collect();
    for name in ["throughput.run", "throughput.run.point-2"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn equal_results_give_equal_figures() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let names = folders.each_ref().map(|folder| {
        for figure in drawn().drawn {
            figure.save(folder.path()).expect("it can be written");
        }
        files::names(folder.path()).expect("it was just written")
    });
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].len(), 23 * 3, "SVG, PNG and CSV of each");
    for name in &names[0] {
        let [one, two] = folders
            .each_ref()
            .map(|folder| files::read(&folder.path().join(name)).expect("it was written"));
        assert!(one == two, "{name}");
    }
}

#[test]
fn figures_carry_their_words_and_no_broken_number() {
    for figure in drawn().drawn {
        let name = &figure.name;
        let svg = figure.svg().expect("it can be drawn");
        assert!(
            svg.starts_with("<svg width=\"720\" height=\""),
            "{}",
            &svg[..80]
        );
        for words in [
            figure.title.as_str(),
            "sample, 3 seeds",
            "Arimo, Liberation Sans, Arial",
        ] {
            assert!(svg.contains(words), "{words:?} in {name}");
        }
        for broken in ["NaN", "inf"] {
            assert!(!svg.contains(broken), "{name}");
        }
        assert!(figure.csv.lines().count() > 1, "{name}: {}", figure.csv);
    }
}

#[test]
fn a_figure_without_data_is_skipped_with_a_message() {
    let input = PlotInput {
        rows: &[],
        trials: &[],
        comparison: None,
        baseline: "lru",
        provenance: "",
    };
    let figures = figures(&FigureKind::ALL, &input);
    assert!(figures.drawn.is_empty());
    let kinds: Vec<&str> = figures
        .skipped
        .iter()
        .filter_map(|message| message.split(':').next())
        .collect();
    assert_eq!(kinds, FigureKind::ALL.map(FigureKind::name));
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
    for kind in FigureKind::ALL {
        assert_eq!(FigureKind::find(kind.name()), Some(kind));
    }
    assert_eq!(FigureKind::find("pie"), None);
}
