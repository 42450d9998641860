//! Searches on functions whose least value is known.

use serde_json::Value;

use super::search::{Known, Method, Outcome, Request, begin};
use super::space::{Choices, Knob, NumberKind, Range, Space, Values};

/// A knob of numbers with a point.
pub(crate) fn number(key: &str, min: f64, max: f64) -> Knob {
    Knob {
        key: key.to_owned(),
        values: Values::Range(Range {
            min,
            max,
            logarithmic: false,
            step: None,
            kind: NumberKind::Real,
            levels: 4,
        }),
        rest: None,
    }
}

/// A knob of names.
pub(crate) fn choice(key: &str, names: &[&str]) -> Knob {
    Knob {
        key: key.to_owned(),
        values: Values::Choices(Choices {
            values: names.iter().map(|name| Value::from(*name)).collect(),
            labels: names.iter().map(|name| (*name).to_owned()).collect(),
            ordered: false,
        }),
        rest: None,
    }
}

fn logarithmic(key: &str, min: f64, max: f64) -> Knob {
    let mut knob = number(key, min, max);
    if let Values::Range(range) = &mut knob.values {
        range.logarithmic = true;
    }
    knob
}

/// A function with its space; its least feasible value is 0.
struct Problem {
    space: Space,
    outcome: fn(&[f64]) -> Outcome,
}

fn measured(score: f64, excess: &[f64]) -> Outcome {
    Outcome::Measured {
        score,
        excess: excess.to_vec(),
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// A bowl in three dimensions, one of which matters little.
fn bowl() -> Problem {
    Problem {
        space: Space {
            knobs: ["a", "b", "c"].map(|key| number(key, -1.0, 1.0)).into(),
        },
        outcome: |x| {
            let score = square(x[0] - 0.7) + square(x[1] - 0.2) + 0.1 * square(x[2] - 0.5);
            measured(score, &[])
        },
    }
}

/// A logarithmic knob, and a category that moves the best place.
fn mixed() -> Problem {
    Problem {
        space: Space {
            knobs: vec![
                logarithmic("size", 1.0, 1e4),
                number("share", 0.0, 1.0),
                choice("policy", &["a", "b", "c", "d"]),
            ],
        },
        outcome: |x| {
            let policy = (x[2] * 4.0) as usize;
            let (cost, best) = [(0.6, 0.2), (0.0, 0.8), (0.3, 0.5), (1.0, 0.5)][policy];
            measured(square(x[0] - best) + square(x[1] - 0.4) + cost, &[])
        },
    }
}

/// The least value lies on the edge of a constraint, and a corner fails.
fn constrained() -> Problem {
    Problem {
        space: Space {
            knobs: vec![number("a", 0.0, 1.0), number("b", 0.0, 1.0)],
        },
        outcome: |x| {
            if x[0] + x[1] > 1.8 {
                return Outcome::Failed;
            }
            // Without the constraint a + b <= 1 the best is at (0.9, 0.8).
            let score = square(x[0] - 0.9) + square(x[1] - 0.8) - 0.245;
            measured(score, &[x[0] + x[1] - 1.0])
        },
    }
}

fn request(method: Method, seed: u64, points: usize) -> Request {
    Request {
        method,
        seed,
        batch: 2,
        points,
        eta: 3,
    }
}

/// Searches; returns every point that was measured, in order.
fn search(problem: &Problem, request: &Request) -> Vec<Known> {
    let mut search = begin(request);
    let mut known: Vec<Known> = Vec::new();
    let mut left = request.points as f64;
    while left > 0.5 {
        let points = search.ask(&problem.space, &known, left);
        if points.is_empty() {
            break;
        }
        for point in points {
            left -= point.share;
            known.push(Known {
                outcome: (problem.outcome)(&point.x),
                x: point.x,
                share: point.share,
            });
        }
    }
    known
}

fn best(known: &[Known]) -> f64 {
    let whole = known.iter().filter(|known| known.share == 1.0);
    let scores = whole.filter_map(|known| known.outcome.feasible());
    scores.fold(f64::INFINITY, f64::min)
}

const SEEDS: u64 = 15;

/// The median over seeds of the best that a search finds.
fn typical(problem: &Problem, method: Method, points: usize) -> f64 {
    let found = |seed| best(&search(problem, &request(method, seed, points)));
    let mut all: Vec<f64> = (1..=SEEDS).map(found).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[test]
fn equal_seeds_ask_for_equal_points_and_other_seeds_for_others() {
    for method in Method::ALL {
        for problem in [bowl(), mixed(), constrained()] {
            let points = |seed| search(&problem, &request(method, seed, 24));
            assert!(points(1) == points(1), "{}", method.name());
            if method != Method::Grid {
                assert!(points(1) != points(2), "{}", method.name());
            }
        }
    }
}

#[test]
fn searches_that_learn_beat_random_ones_of_equal_cost() {
    for (problem, points, methods) in [
        (bowl(), 24, &[Method::Bayesian, Method::Tpe][..]),
        (bowl(), 60, &[Method::CmaEs]),
        (mixed(), 24, &[Method::Bayesian, Method::Tpe]),
        (constrained(), 24, &[Method::Bayesian, Method::Tpe]),
    ] {
        let random = typical(&problem, Method::Random, points);
        for method in methods {
            let found = typical(&problem, *method, points);
            let name = method.name();
            assert!(found < 0.75 * random, "{name}: {found}, random {random}");
        }
    }
}

#[test]
fn the_bayesian_search_matches_a_grid_of_four_times_its_points() {
    for problem in [bowl(), mixed()] {
        let grid = search(&problem, &request(Method::Grid, 1, usize::MAX));
        let found = typical(&problem, Method::Bayesian, grid.len() / 4);
        assert!(found <= best(&grid), "{found}, grid {}", best(&grid));
    }
}

#[test]
fn no_method_but_cma_es_asks_twice_and_a_small_space_ends() {
    let space = Space {
        knobs: vec![choice("a", &["x", "y", "z"]), choice("b", &["u", "v"])],
    };
    let problem = Problem {
        space,
        outcome: |x| measured(x[0] - x[1], &[]),
    };
    for method in [Method::Bayesian, Method::Tpe, Method::Random, Method::Grid] {
        let known = search(&problem, &request(method, 1, 50));
        let points: std::collections::BTreeSet<String> =
            known.iter().map(|known| format!("{:?}", known.x)).collect();
        assert_eq!((known.len(), points.len()), (6, 6), "{}", method.name());
    }
}

#[test]
fn halving_spends_its_budget_and_ends_at_full_size() {
    let known = search(&bowl(), &request(Method::Halving, 1, 18));
    let count = |share: f64| {
        let rung = known
            .iter()
            .filter(|known| (known.share - share).abs() < 1e-9);
        rung.count()
    };
    assert_eq!(
        (count(1.0 / 9.0), count(1.0 / 3.0), count(1.0)),
        (54, 18, 6)
    );
    // Without noise every rung keeps the best.
    let least = |share: f64| {
        let rung = known
            .iter()
            .filter(|known| (known.share - share).abs() < 1e-9);
        let scores = rung.filter_map(|known| known.outcome.feasible());
        scores.fold(f64::INFINITY, f64::min)
    };
    assert_eq!(least(1.0), least(1.0 / 9.0));
}
