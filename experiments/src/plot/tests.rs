//! Figures of made-up trials.

use std::collections::BTreeMap;

use super::*;
use crate::compare::{CompareRow, CompareSettings, compare};
use crate::metrics::{Scale, derive};
use crate::record::TrialResult;
use crate::stats::verdict::Verdict;
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
pub(crate) fn stored(trial: &TrialResult) -> StoredTrial {
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
        decisions: Vec::new(),
    }
}

/// The figures of [`trials`].
pub(crate) fn drawn() -> Figures {
    drawn_from(&trials(), CompareSettings::default(), &FigureKind::ALL)
}

/// Figures of trials, against `lru`.
fn drawn_from(trials: &[TrialResult], settings: CompareSettings, kinds: &[FigureKind]) -> Figures {
    let rows = rows_of(trials);
    let settings = CompareSettings {
        baseline: "lru".to_owned(),
        ..settings
    };
    let comparison = compare(&rows, &settings).expect("two variants");
    let input = PlotInput {
        rows: &rows,
        trials: &trials.iter().map(stored).collect::<Vec<_>>(),
        comparison: Some(&comparison),
        primary: &settings.primary,
        baseline: "lru",
        settings: &BTreeMap::new(),
        provenance: "sample, 3 seeds",
    };
    figures(kinds, &input)
}

#[test]
fn every_kind_is_drawn_once_a_phase_operation_and_point() {
    let drawn = drawn();
    // One key is swept, nobody sets anything, and there is one workload.
    let skipped: Vec<&str> = drawn.skipped.iter().map(|why| kind_of(why)).collect();
    assert_eq!(
        skipped,
        ["heat-map", "ablation", "critical-difference", "decisions"]
    );
    for (kind, expected) in [
        // The primary metric, in the phase and in the whole trial.
        (FigureKind::Sweep, 2),
        // A figure per point, in the phase and in the whole trial.
        (FigureKind::Forest, 4),
        // A figure per point.
        (FigureKind::Throughput, 2),
        // Six classes at two points.
        (FigureKind::Latency, 12),
        (FigureKind::Ecdf, 12),
        (FigureKind::Histogram, 12),
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

/// The kind that a message is about.
fn kind_of(message: &str) -> &str {
    message.split(':').next().unwrap_or_default()
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
    assert_eq!(names[0].len(), 49 * 3, "SVG, PNG and CSV of each");
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
        primary: &[],
        baseline: "lru",
        settings: &BTreeMap::new(),
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

/// One figure of a kind for trials of some variants at some sizes of the cache; each variant hits
/// a share of `hits` over its number.
fn figure_of(kind: FigureKind, variants: &[&str], sizes: &[&str], primary: &str) -> Figure {
    let mut trials = Vec::new();
    for (variant, factor) in variants.iter().zip(1..) {
        for (size, hits) in sizes.iter().zip([100, 400, 790, 800]) {
            let mut trial = sample_trial(variant, 0, factor.min(9));
            let point = &mut trial.manifest.point;
            point.insert("engine.cache.size".to_owned(), (*size).to_owned());
            trial.phases[0].after.counts.block_hits = hits + factor;
            trials.push(trial);
        }
    }
    let settings = CompareSettings {
        primary: vec![primary.to_owned()],
        ..CompareSettings::default()
    };
    drawn_from(&trials, settings, &[kind]).drawn.swap_remove(0)
}

const SIZES: [&str; 4] = ["32MiB", "128MiB", "256MiB", "1GiB"];

#[test]
fn a_sweep_has_its_best_point_its_knee_and_its_bound() {
    for kind in [FigureKind::Sweep, FigureKind::HitRatio] {
        let figure = figure_of(kind, &["lru", "sieve"], &SIZES, "cache.hit_ratio");
        let svg = figure.svg().expect("it can be drawn");
        for words in [
            ">\nbest\n<",
            ">\nknee\n<",
            ">\nbest possible\n<",
            ">\n1GiB\n<",
        ] {
            assert!(svg.contains(words), "{words:?}");
        }
        assert!(
            figure
                .caption
                .contains("Best: sieve at 1GiB. Knee: at 256MiB")
        );
        assert!(figure.caption.contains("Dotted: the best that any cache"));
        let column = |number: usize| {
            let lines = figure.csv.lines().skip(1);
            let fields = lines.filter_map(move |line| line.split(',').nth(number));
            fields.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(column(0)[..3], ["lru", "sieve", "best possible"]);
        assert_eq!(column(2)[0], "33554432");
        assert_eq!(column(2)[11], "1073741824", "ordered by size");
    }
}

#[test]
fn curves_of_other_metrics_and_keys_have_no_bound() {
    let figure = figure_of(
        FigureKind::Sweep,
        &["lru", "sieve"],
        &SIZES,
        "run.throughput_ops",
    );
    assert_eq!(figure.name, "sweep.run.throughput_ops.run");
    let svg = figure.svg().expect("it can be drawn");
    assert!(svg.contains(">\nbest\n<") && !svg.contains("best possible"));
    assert!(
        !figure.caption.contains("Knee"),
        "no size changes the throughput"
    );
}

#[test]
fn lines_over_each_other_are_said_to_coincide() {
    let figure = figure_of(
        FigureKind::Sweep,
        &["lru", "sieve"],
        &SIZES,
        "cache.hit_ratio",
    );
    assert!(
        figure.caption.contains("Lines that coincide: lru = sieve."),
        "{}",
        figure.caption
    );
    let figure = figure_of(
        FigureKind::Sweep,
        &["lru", "sieve"],
        &SIZES,
        "run.throughput_ops",
    );
    assert!(!figure.caption.contains("coincide"), "{}", figure.caption);
}

#[test]
fn twenty_variants_have_panels_with_legends_of_their_own() {
    let names: Vec<String> = (1..20).map(|number| format!("v{number}")).collect();
    let mut variants = vec!["lru"];
    variants.extend(names.iter().map(String::as_str));
    for kind in [
        FigureKind::Sweep,
        FigureKind::Latency,
        FigureKind::Throughput,
    ] {
        let figure = figure_of(
            kind,
            &variants,
            &SIZES[..1 + usize::from(kind == FigureKind::Sweep)],
            "cache.hit_ratio",
        );
        let svg = figure.svg().expect("it can be drawn");
        for variant in &variants {
            assert!(
                svg.contains(&format!(">\n{variant}\n<")),
                "{variant} in {}",
                figure.name
            );
        }
        let baselines = svg.matches(">\nlru\n<").count();
        let expected = if kind == FigureKind::Throughput { 1 } else { 4 };
        assert_eq!(
            baselines, expected,
            "the baseline is in each panel of {}",
            figure.name
        );
        let grey = figure.caption.contains("Thin and grey: the other variants");
        assert_eq!(grey, kind != FigureKind::Throughput, "{}", figure.caption);
    }
}

#[test]
fn the_bound_is_on_the_bars() {
    let trials = [sample_trial("lru", 0, 1), sample_trial("sieve", 0, 2)];
    let mut rows = rows_of(&trials);
    let caption = |rows: &[TidyRow]| {
        let input = PlotInput {
            rows,
            trials: &[],
            comparison: None,
            primary: &[],
            baseline: "lru",
            settings: &BTreeMap::new(),
            provenance: "",
        };
        let figure = figures(&[FigureKind::HitRatio], &input)
            .drawn
            .swap_remove(0);
        (figure.caption.contains("Strokes: the best"), figure.csv)
    };
    let (said, csv) = caption(&rows);
    assert!(
        said && csv
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with(",0.9")),
        "{csv}"
    );
    rows.retain(|row| row.name.metric != "cache.bound_hit_ratio");
    assert!(!caption(&rows).0, "without a trace there is no bound");
}

#[test]
fn an_svg_follows_dark_pages() {
    for figure in drawn().drawn {
        let svg = figure.svg().expect("it can be drawn");
        assert!(svg.contains("prefers-color-scheme:dark"), "{}", figure.name);
        for color in svg.split("fill=\"#").skip(1).map(|rest| &rest[..6]) {
            let rule = format!("[fill=\"#{color}\"]{{fill:");
            assert!(
                svg.contains(&rule),
                "{color} stays light in {}",
                figure.name
            );
        }
    }
}

/// The forests of [`trials`], whose comparison `change` alters.
fn forests(change: impl Fn(&mut CompareRow)) -> Vec<Figure> {
    let rows = rows_of(&trials());
    let settings = CompareSettings {
        baseline: "lru".to_owned(),
        ..CompareSettings::default()
    };
    let mut comparison = compare(&rows, &settings).expect("two variants");
    comparison.rows.iter_mut().for_each(change);
    let input = PlotInput {
        rows: &rows,
        trials: &[],
        comparison: Some(&comparison),
        primary: &[],
        baseline: "lru",
        settings: &BTreeMap::new(),
        provenance: "",
    };
    figures(&[FigureKind::Forest], &input).drawn
}

#[test]
fn a_forest_has_its_largest_effect_on_the_axis() {
    let figures = forests(|row| {
        let effect = if row.primary { 9.0 } else { 0.01 };
        row.scale = Scale::Relative;
        row.margin = 0.02;
        row.effect = effect;
        row.low = Some(effect * 0.9);
        row.high = Some(effect * 1.1);
    });
    let svg = figures[0].svg().expect("it can be drawn");
    assert!(figures[0].caption.contains("the axis is compressed"));
    for label in [">\n0\n<", ">\n1000\n<", "+900 %"] {
        assert!(svg.contains(label), "{label:?}");
    }
    // The end of the interval, at 990 %, is inside the axis, whose right end is at 956 pixels.
    let caps = svg.matches("points=\"").count();
    assert!(
        caps > 0 && !svg.contains("points=\"956,"),
        "an end is cut off"
    );
}

#[test]
fn what_says_nothing_looks_unlike_what_is_equivalent() {
    for verdict in [Verdict::Inactive, Verdict::NotMeasured, Verdict::Refused] {
        let of = |verdict| forests(move |row| row.verdict = verdict).swap_remove(0);
        let (silent, equivalent) = (of(verdict), of(Verdict::Equivalent));
        assert!(silent.caption.contains("Hollow grey"), "{}", silent.caption);
        assert!(!equivalent.caption.contains("Hollow grey"));
        let svg = silent.svg().expect("it can be drawn");
        assert!(
            svg.contains(verdict.name()),
            "the word is beside the marker"
        );
        let filled = |figure: &Figure| {
            let svg = figure.svg().expect("it can be drawn");
            svg.matches("<polygon").count()
        };
        assert_eq!(filled(&silent), 0, "{}", verdict.name());
        assert!(filled(&equivalent) > 0);
    }
}

#[test]
fn throughput_ends_with_the_first_client() {
    let mut trials: Vec<StoredTrial> = trials().iter().map(stored).collect();
    for slices in trials
        .iter_mut()
        .flat_map(|trial| trial.series.values_mut())
    {
        let last = slices.last_mut().expect("there are slices");
        last.operations = 1;
        last.tail_nanos = last.nanos;
    }
    let input = PlotInput {
        rows: &rows_of(&self::trials()),
        trials: &trials,
        comparison: None,
        primary: &[],
        baseline: "lru",
        settings: &BTreeMap::new(),
        provenance: "",
    };
    let figure = figures(&[FigureKind::Throughput], &input)
        .drawn
        .swap_remove(0);
    assert!(
        figure
            .caption
            .contains("the first client had done its last")
    );
    let rates = figure
        .csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(3));
    let rates: Vec<f64> = rates.filter_map(|rate| rate.parse().ok()).collect();
    assert_eq!(rates.len(), 2 * 9, "the last slice of each is cut");
    assert!(
        rates.iter().all(|rate| *rate > 1000.0),
        "no plunge: {rates:?}"
    );
    let uncut = drawn().drawn;
    let uncut = uncut.iter().find(|figure| figure.name == "throughput.run");
    assert!(
        !uncut
            .expect("it is drawn")
            .caption
            .contains("last operation")
    );
}

#[test]
fn kinds_are_found_by_their_names() {
    for kind in FigureKind::ALL {
        assert_eq!(FigureKind::find(kind.name()), Some(kind));
    }
    assert_eq!(FigureKind::find("pie"), None);
}

/// Figures of three variants over `points`, of which the second changes one setting and the third
/// another one. The third variant is the slowest everywhere.
fn of_three(kinds: &[FigureKind], points: &[[(&str, &str); 2]]) -> Figures {
    let mut trials = Vec::new();
    for (variant, factor) in [("lru", 2), ("sieve", 1), ("small", 3)] {
        for point in points {
            for seed in 0..2 {
                let mut trial = sample_trial(variant, seed, factor);
                let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
                trial.manifest.point = point.iter().map(owned).collect();
                trials.push(trial);
            }
        }
    }
    let set = |key: &str, value: &str| Point::from([(key.to_owned(), value.to_owned())]);
    let overrides = BTreeMap::from([
        ("lru".to_owned(), Point::new()),
        (
            "sieve".to_owned(),
            set("engine.cache.eviction.policy", "\"sieve\""),
        ),
        ("small".to_owned(), set("engine.memtable", "1MiB")),
    ]);
    let rows = rows_of(&trials);
    let settings = CompareSettings {
        baseline: "lru".to_owned(),
        ..CompareSettings::default()
    };
    let comparison = compare(&rows, &settings).expect("three variants");
    let input = PlotInput {
        rows: &rows,
        trials: &[],
        comparison: Some(&comparison),
        primary: &settings.primary,
        baseline: "lru",
        settings: &overrides,
        provenance: "sample, 2 seeds",
    };
    figures(kinds, &input)
}

#[test]
fn two_swept_keys_give_a_heat_map_with_a_panel_for_each_variant() {
    let mut points = Vec::new();
    for size in ["32MiB", "128MiB", "1GiB"] {
        for bits in ["4", "10"] {
            points.push([("engine.cache.size", size), ("bits", bits)]);
        }
    }
    let drawn = of_three(&[FigureKind::HeatMap], &points);
    assert!(drawn.skipped.is_empty(), "{:?}", drawn.skipped);
    let figure = &drawn.drawn[0];
    assert_eq!(figure.name, "heat-map.run.throughput_ops.run");
    assert_eq!(
        figure.title,
        "run.throughput_ops over engine.cache.size and bits"
    );
    assert!(figure.leads());
    assert_eq!(figure.csv.lines().count(), 1 + 3 * 6);
    let svg = figure.svg().expect("it can be drawn");
    for words in ["sieve", "small", "32MiB", "1GiB", "bits"] {
        assert!(svg.contains(&format!("\n{words}\n")), "{words}");
    }
}

#[test]
fn an_ablation_orders_variants_and_names_what_they_set() {
    let drawn = of_three(&[FigureKind::Ablation], &[[("a", "1"), ("b", "1")]]);
    let figure = &drawn.drawn[0];
    assert_eq!(figure.name, "ablation.run.throughput_ops.run");
    let svg = figure.svg().expect("it can be drawn");
    let at = |words: &str| {
        svg.find(words)
            .unwrap_or_else(|| panic!("{words} is missing"))
    };
    // The faster variant comes first.
    assert!(at("\nsieve\n") < at("\nsmall\n"));
    assert!(at("cache.eviction=sieve") < at("memtable=1MiB"));
}

#[test]
fn ranks_are_drawn_over_five_workloads_and_not_over_four() {
    let presets = ["ycsb-a", "ycsb-b", "ycsb-c", "ycsb-d", "ycsb-f"];
    let points = presets.map(|preset| [("workload.preset", preset), ("bits", "4")]);
    let kind = [FigureKind::CriticalDifference];
    let drawn = of_three(&kind, &points);
    let figure = &drawn.drawn[0];
    assert_eq!(figure.name, "critical-difference.run.throughput_ops.run");
    assert!(figure.csv.contains("\nsieve,1,5,"), "{}", figure.csv);
    assert!(figure.caption.contains("over 5 workloads"));
    assert!(figure.caption.contains("both tests are rough"));
    let too_few = of_three(&kind, &points[..4]);
    assert!(too_few.drawn.is_empty());
    assert!(
        too_few.skipped[0].contains("there are 4"),
        "{:?}",
        too_few.skipped
    );
}

#[test]
fn a_pdf_has_its_title_its_font_and_equal_bytes() {
    let figures = [(); 2].map(|()| drawn().drawn.swap_remove(0));
    let [one, two] = figures
        .each_ref()
        .map(|figure| figure.pdf().expect("it can be drawn"));
    assert!(one == two, "equal results give equal bytes");
    assert!(one.starts_with(b"%PDF-1.7"));
    let has = |words: &[u8]| one.windows(words.len()).any(|part| part == words);
    assert!(has(figures[0].title.as_bytes()), "{}", figures[0].title);
    for words in ["/FontFile2", "/ToUnicode", "/FlateDecode", "%%EOF"] {
        assert!(has(words.as_bytes()), "{words}");
    }
}
