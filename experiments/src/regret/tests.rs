//! Regret by hand: two phases, two arms that stand still, a schedule and an agent.

use std::sync::Arc;

use super::*;
use crate::formats::Format;
use crate::record::{SeriesPoint, World};
use crate::store::Course;
use crate::testing::{sample_trial, tidy_row};

/// What a made-up trial took: `writes` and `reads` seconds in the phases, and a drain of one second
/// in which the device works all the time.
struct Made {
    variant: &'static str,
    seed: u64,
    writes: f64,
    reads: f64,
    point: Point,
}

fn made(variant: &'static str, seed: u64, writes: f64, reads: f64) -> Made {
    Made {
        variant,
        seed,
        writes,
        reads,
        point: Point::new(),
    }
}

fn rows(trials: &[Made]) -> Vec<TidyRow> {
    let mut rows = Vec::new();
    for made in trials {
        let windows = [
            ("load", 50.0),
            ("writes", made.writes),
            ("reads", made.reads),
        ];
        for (phase, seconds) in windows.into_iter().chain([("drain", 1.0)]) {
            for (metric, value) in [("run.duration_s", seconds), ("device.busy_ratio", 1.0)] {
                let row = tidy_row(made.variant, made.seed, World::Simulated, metric, value);
                let mut row = row.in_phase(phase);
                Arc::make_mut(&mut row.trial).point = made.point.clone();
                rows.push(row);
            }
        }
    }
    rows
}

fn config() -> RegretConfig {
    RegretConfig {
        still: vec!["lazy".to_owned(), "tidy".to_owned()],
        schedules: vec!["scheduled".to_owned()],
        frozen: BTreeMap::new(),
        price: PriceConfig {
            client: 1.0,
            device: 0.0,
        },
    }
}

/// Lazy writes fast and reads slowly, tidy the other way round. A seed makes all slower.
fn trials() -> Vec<Made> {
    let of_seed = |seed: u64| {
        let slow = 1.0 + seed as f64 / 10.0;
        [
            made("lazy", seed, slow * 2.0, slow * 6.0),
            made("tidy", seed, slow * 5.0, slow * 2.0),
            made("scheduled", seed, slow * 2.0, slow * 3.0),
            made("agent", seed, slow * 3.0, slow * 3.0),
        ]
    };
    (1..=3).flat_map(of_seed).collect()
}

fn arm<'a>(cell: &'a Cell, variant: &str) -> &'a Arm {
    let mut arms = cell.arms.iter();
    arms.find(|arm| arm.variant == variant).expect("the arm")
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn regret_and_captured_share_are_as_by_hand() {
    let cells = cells(&rows(&trials()), &config()).unwrap();
    let [cell] = &cells[..] else {
        panic!("{cells:?}")
    };
    assert_eq!((cell.best_static.as_str(), cell.seeds), ("tidy", 3));
    let by_phase = [("writes", "lazy"), ("reads", "tidy")];
    assert_eq!(cell.best_of_phase, owned(&by_phase));
    assert!(near(cell.gap.mean, 7.0 / 4.0 - 1.0), "{:?}", cell.gap);
    assert_eq!(cell.admission, Admission::Adaptive);
    // The phases put together cost 4, the schedule 5: it is not the best known.
    assert_eq!(cell.best_known, None);
    assert!(near(arm(cell, "agent").regret.mean, 6.0 / 7.0 - 1.0));
    assert!(near(arm(cell, "agent").captured.unwrap().mean, 1.0 / 3.0));
    assert!(near(arm(cell, "tidy").captured.unwrap().mean, 0.0));
    assert!(near(arm(cell, "lazy").captured.unwrap().mean, -1.0 / 3.0));
    let order: Vec<&str> = cell.arms.iter().map(|arm| arm.variant.as_str()).collect();
    assert_eq!(order, ["scheduled", "agent", "tidy", "lazy"]);
    assert_eq!(worst(&cells), [], "one cell has no worst");
}

#[test]
fn the_drain_counts_where_the_device_has_a_price() {
    let mut config = config();
    config.price = PriceConfig {
        client: 0.0,
        device: 2.0,
    };
    let cells = cells(&rows(&trials()[..4]), &config).unwrap();
    // Seed 1 alone: (2 + 3) * 1.1 seconds in the phases and one in the drain.
    assert!(near(arm(&cells[0], "scheduled").cost_s, 2.0 * (5.5 + 1.0)));
    assert_eq!(arm(&cells[0], "scheduled").regret.interval, None);
    assert_eq!(
        cells[0].admission,
        Admission::Unclear,
        "one seed admits nothing"
    );
}

#[test]
fn a_schedule_that_is_ahead_of_every_phase_is_a_gap() {
    let of_seed = |seed: u64| {
        let slow = 1.0 + seed as f64 / 10.0;
        [
            made("lazy", seed, slow * 2.0, slow * 2.0),
            made("tidy", seed, slow * 2.1, slow * 2.1),
            made("scheduled", seed, slow * 1.0, slow * 2.0),
            made("agent", seed, slow * 1.5, slow * 2.0),
        ]
    };
    let trials: Vec<Made> = (1..=3).flat_map(of_seed).collect();
    let cells = cells(&rows(&trials), &config()).unwrap();
    assert!(
        near(cells[0].gap.mean, 4.0 / 3.0 - 1.0),
        "{:?}",
        cells[0].gap
    );
    assert_eq!(cells[0].admission, Admission::Adaptive);
    assert_eq!(cells[0].best_known.as_deref(), Some("scheduled"));
    assert!(near(arm(&cells[0], "agent").captured.unwrap().mean, 0.5));
}

#[test]
fn what_is_left_to_the_drain_is_paid() {
    let config = RegretConfig {
        price: PriceConfig::default(),
        ..config()
    };
    let mut rows = rows(&trials());
    let regret = |rows: &[TidyRow]| {
        let cells = cells(rows, &config).unwrap();
        arm(&cells[0], "agent").regret.mean
    };
    let fair = regret(&rows);
    // The agent's phases are as long as before, and its drain is longer.
    let of_agent = |row: &&mut TidyRow| row.trial.variant == "agent" && row.name.phase == "drain";
    let lengths = |row: &&mut TidyRow| row.name.metric == "run.duration_s";
    for row in rows.iter_mut().filter(of_agent).filter(lengths) {
        row.value = 5.0;
    }
    let lazy = regret(&rows);
    assert!(lazy > fair + 0.1, "{lazy}, {fair}");
    // Without times of the device, as in the real world, the drain counts in full.
    rows.retain(|row| row.name.metric != "device.busy_ratio");
    let real = regret(&rows);
    assert!(real > fair + 0.1, "{real}, {fair}");
}

#[test]
fn a_cell_without_a_gap_is_neutral_and_captures_nothing() {
    let of_seed = |seed| [made("lazy", seed, 2.0, 2.0), made("tidy", seed, 2.1, 2.1)];
    let trials: Vec<Made> = (1..=3).flat_map(of_seed).collect();
    let cells = cells(&rows(&trials), &config()).unwrap();
    assert_eq!(cells[0].admission, Admission::Neutral);
    assert!(cells[0].arms.iter().all(|arm| arm.captured.is_none()));
    let words = cells_in_words(&cells, &[]).join("\n");
    assert!(words.contains("can only do harm"), "{words}");
}

/// A trial in slices of a hundred operations, each phase with the nanoseconds of an operation in
/// each of its slices.
fn course(variant: &str, seed: u64, phases: [(&str, &[u64]); 2]) -> Course {
    let mut manifest = sample_trial(variant, seed, 1).manifest;
    manifest.point = Point::new();
    let slice = |cost: &u64| SeriesPoint {
        nanos: cost * 100,
        operations: 100,
        ..SeriesPoint::default()
    };
    let slices = |(name, costs): (&str, &[u64])| {
        let slices = costs.iter().map(slice);
        (name.to_owned(), slices.collect())
    };
    Course {
        manifest,
        series: phases.into_iter().map(slices).collect(),
    }
}

#[test]
fn a_change_of_phase_costs_until_an_arm_has_recovered() {
    let writes: (&str, &[u64]) = ("writes", &[50; 6]);
    let courses: Vec<Course> = [1, 2]
        .into_iter()
        .flat_map(|seed| {
            // The second seed's steady cost is twice as high.
            let tidy: Vec<u64> = [900, 900, 900, 100, 100, 100].map(|it| it * seed).into();
            let agent: Vec<u64> = [300, 200, 100, 100, 100, 100].map(|it| it * seed).into();
            [
                course("tidy", seed, [writes, ("reads", &tidy)]),
                course("lazy", seed, [writes, ("reads", &[500; 6])]),
                course("agent", seed, [writes, ("reads", &agent)]),
            ]
        })
        .collect();
    let mut rows = rows(&trials());
    for (phase, metric) in [("writes", "write"), ("reads", "read")] {
        let metric = format!("{metric}.throughput_ops");
        let row = tidy_row("lazy", 1, World::Simulated, "run.throughput_ops", 10.0);
        rows.push(row.of_metric(&metric).in_phase(phase));
    }
    let mut cells = cells(&rows, &config()).unwrap();
    add_transitions(&mut cells, &rows, &courses);
    let of = |variant: &str| arm(&cells[0], variant).transitions;
    let agent = of("agent").expect("it has slices");
    // (200 + 100) ns over the steady cost for a hundred operations each; the other seed twice that.
    assert!((agent.cost_s - 45e-6).abs() < 1e-12, "{agent:?}");
    assert!(agent.half_width_s.is_some(), "two seeds");
    let recovery = |operations, changes, unrecovered| {
        Some(Recovery {
            operations,
            changes,
            unrecovered,
        })
    };
    assert_eq!(agent.to_reads, recovery(200.0, 2, 0));
    assert_eq!(agent.to_writes, None, "writes come first");
    let lazy = of("lazy").expect("it has slices");
    assert_eq!(lazy.to_reads, recovery(600.0, 2, 2), "it never recovers");
    assert_eq!(of("scheduled"), None, "it has no slices");
    let text = table(&cells).text(Format::Csv);
    let columns = "transition s,to reads,to writes";
    assert!(
        text.lines().next().is_some_and(|it| it.ends_with(columns)),
        "{text}"
    );

    // Where operations come at a given rate, a phase takes as long as it takes.
    let open = tidy_row("lazy", 1, World::Simulated, "run.throughput_ops", 1.0);
    rows.push(open.of_metric("read.service_mean_us").in_phase("reads"));
    add_transitions(&mut cells, &rows, &courses);
    assert_eq!(arm(&cells[0], "agent").transitions, None);
}

#[test]
fn exploring_costs_what_an_arm_pays_over_its_frozen_twin() {
    let mut config = config();
    config.frozen = BTreeMap::from([("agent".to_owned(), "scheduled".to_owned())]);
    let cells = cells(&rows(&trials()), &config).unwrap();
    // 6 seconds over 5, under every seed.
    let explored = arm(&cells[0], "agent").explored.expect("it has a twin");
    assert!(near(explored.mean, 0.2), "{explored:?}");
    assert_eq!(arm(&cells[0], "lazy").explored, None);
    let header = table(&cells).text(Format::Csv);
    assert!(header.contains("explored") && !header.contains("transition"));
}

#[test]
fn the_worst_regret_is_over_all_points() {
    let at = |size: &str, mut trial: Made| {
        trial.point = Point::from([("engine.cache.size".to_owned(), size.to_owned())]);
        trial
    };
    let mut all: Vec<Made> = trials()
        .into_iter()
        .map(|trial| at("1MiB", trial))
        .collect();
    all.extend(trials().into_iter().map(|mut trial| {
        if trial.variant == "agent" {
            trial.reads *= 4.0;
        }
        at("2MiB", trial)
    }));
    let cells = cells(&rows(&all), &config()).unwrap();
    let worst = worst(&cells);
    let agent = worst.iter().find(|arm| arm.variant == "agent").unwrap();
    assert!(near(agent.regret, 15.0 / 7.0 - 1.0), "{agent:?}");
    assert_eq!(point::label(&agent.point), "engine.cache.size=2MiB");
}

#[test]
fn points_may_have_other_phases() {
    let mut all = rows(&trials());
    let mut others = trials();
    for trial in &mut others {
        trial.point = Point::from([("workload".to_owned(), "other".to_owned())]);
    }
    all.extend(
        rows(&others)
            .into_iter()
            .map(|row| match row.name.phase.as_str() {
                "reads" => row.in_phase("scans"),
                _ => row,
            }),
    );
    let cells = cells(&all, &config()).unwrap();
    let phases = |cell: &Cell| {
        cell.best_of_phase
            .iter()
            .map(|it| it.0.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [phases(&cells[0]), phases(&cells[1])],
        [["writes", "reads"], ["writes", "scans"]]
    );
    assert_eq!(cells[0].gap, cells[1].gap);
}

#[test]
fn a_seed_that_an_arm_lacks_is_left_out_and_no_seed_is_an_error() {
    let mut trials = trials();
    trials.pop();
    assert_eq!(cells(&rows(&trials), &config()).unwrap()[0].seeds, 2);
    let apart = [made("lazy", 1, 1.0, 1.0), made("tidy", 2, 1.0, 1.0)];
    let error = cells(&rows(&apart), &config()).unwrap_err();
    assert_eq!(error, RegretError::NoSeed(Point::new()));
}

#[test]
fn names_and_prices_are_checked() {
    let variants = ["lazy", "tidy", "scheduled", "agent"];
    let wrong = |change: fn(&mut RegretConfig)| {
        let mut config = config();
        change(&mut config);
        config.check(&variants).map_err(|wrong| wrong.key)
    };
    assert_eq!(wrong(|_| {}), Ok(()));
    assert_eq!(wrong(|config| config.still.clear()), Err("static"));
    assert_eq!(wrong(|config| config.still[0].push('x')), Err("static"));
    assert_eq!(
        wrong(|config| config.schedules[0] = "tidy".to_owned()),
        Err("schedules")
    );
    let twins = |learning: &str, twin: &str| BTreeMap::from([(learning.into(), twin.into())]);
    for (learning, twin) in [("agent", "laz"), ("agnt", "lazy"), ("agent", "agent")] {
        let mut config = config();
        config.frozen = twins(learning, twin);
        let wrong = config.check(&variants).map_err(|wrong| wrong.key);
        assert_eq!(wrong, Err("frozen"), "{learning} and {twin}");
    }
    assert_eq!(wrong(|config| config.price.client = 0.0), Err("price"));
    assert_eq!(wrong(|config| config.price.device = f64::NAN), Err("price"));
}
