//! What a reader must know of the programs and machines that made the trials, before the numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::doctor::{self, Fact, Health};
use crate::formats::digits;
use crate::plan::ExperimentRecord;
use crate::record::{Host, Manifest, Window, World};
use crate::store::TidyRow;

/// Facts of which doubts of their own speak.
const SAID_ELSEWHERE: [&str; 2] = ["load", "file system"];

/// Arrivals up to this many microseconds late are on time.
const PACING_ERROR_MAX_US: f64 = 20.0;

/// Phases from this many seconds on are long enough to measure.
const PHASE_SECONDS_MIN: f64 = 1.0;

/// Says what is doubtful about trials: the programs and machines that ran them, and the times that
/// real machines measured. A sentence each. That a variant ran by the program that `by_variant` has
/// for it is as it should be.
pub fn doubts(
    rows: &[TidyRow],
    manifests: &[Manifest],
    by_variant: &BTreeMap<String, String>,
) -> Vec<String> {
    let hosts: Vec<&Host> = manifests.iter().filter_map(|it| it.host.as_ref()).collect();
    let found = [
        programs(manifests, by_variant),
        machines(&hosts),
        memory(&hosts),
        load(&hosts),
        late_arrivals(rows),
        short_phases(rows),
        frequency(&hosts),
        state(&hosts),
    ];
    found.into_iter().flatten().collect()
}

/// Says that seeds were compared before without the others: to add pairs until something is decided
/// is to look for chance.
pub fn looks(experiment: &ExperimentRecord) -> Option<String> {
    let ExperimentRecord {
        seeds, looked_at, ..
    } = experiment;
    if experiment.compare.sequential {
        // Made for looks.
        return None;
    }
    let again = seeds.iter().filter(|seed| looked_at.contains(seed)).count();
    let last = seeds.iter().chain(looked_at).max()?;
    (again > 0).then(|| {
        format!(
            "{again} of the {} seeds were compared before without the others: with each look, \
             chance has another try, and more than 5 % of the runs without any difference claim \
             one. Fresh seeds decide: --seeds {}..{}.",
            seeds.len(),
            last + 1,
            last + seeds.len() as u64
        )
    })
}

fn programs(manifests: &[Manifest], by_variant: &BTreeMap<String, String>) -> Option<String> {
    let unexpected = |it: &&Manifest| by_variant.get(&it.variant) != Some(&it.code);
    let manifests = manifests.iter().filter(unexpected);
    let codes: BTreeSet<&str> = manifests.map(|it| it.code.as_str()).collect();
    (codes.len() > 1).then(|| {
        let number = codes.len();
        let codes: Vec<&str> = codes.into_iter().collect();
        format!(
            "The trials were run by {number} programs ({}): differences may be of the code.",
            codes.join(", ")
        )
    })
}

fn machines(hosts: &[&Host]) -> Option<String> {
    let machine = |host: &&Host| {
        let Host {
            name,
            cpu,
            kernel,
            file_system,
            ..
        } = host;
        format!("{name} ({cpu}, {kernel}, {file_system})")
    };
    let machines: BTreeSet<String> = hosts.iter().map(machine).collect();
    (machines.len() > 1).then(|| {
        let machines: Vec<String> = machines.into_iter().collect();
        format!("Trials ran on different machines: {}.", machines.join("; "))
    })
}

fn memory(hosts: &[&Host]) -> Option<String> {
    let in_memory = |host: &&&Host| doctor::is_in_memory(&host.file_system);
    let host = hosts.iter().find(in_memory)?;
    Some(format!(
        "The databases lay on {}: that is memory, no device was measured.",
        host.file_system
    ))
}

fn load(hosts: &[&Host]) -> Option<String> {
    let overload = |host: &&Host| host.load_before / host.cores.max(1) as f64;
    let busiest = hosts
        .iter()
        .copied()
        .max_by(|a, b| overload(a).total_cmp(&overload(b)))?;
    (overload(&busiest) > 1.0).then(|| {
        format!(
            "Before a trial, {:.1} processes ran or waited for {} cores: other work disturbed the \
             times.",
            busiest.load_before, busiest.cores
        )
    })
}

/// The values of a metric in phases of real trials.
fn values<'a>(rows: &'a [TidyRow], metric: &'a str) -> impl Iterator<Item = &'a TidyRow> {
    let of_metric = rows.iter().filter(move |row| row.name.metric == metric);
    of_metric.filter(|row| {
        row.trial.world == World::Real && Window::named(&row.name.phase) == Window::Phase
    })
}

fn late_arrivals(rows: &[TidyRow]) -> Option<String> {
    let late = |row: &&TidyRow| row.value > PACING_ERROR_MAX_US;
    let latest = values(rows, "run.pacing_error_p99_us")
        .filter(late)
        .max_by(|a, b| a.value.total_cmp(&b.value))?;
    Some(format!(
        "Operations of an open loop began late although their client was idle: one in a hundred \
         by {} us or more ({} in phase {}; up to {PACING_ERROR_MAX_US} us are on time). Latencies \
         include it, service times do not.",
        digits(latest.value, 3),
        latest.trial.variant,
        latest.name.phase
    ))
}

fn short_phases(rows: &[TidyRow]) -> Option<String> {
    let short = |row: &&TidyRow| row.value < PHASE_SECONDS_MIN;
    let shortest = values(rows, "run.duration_s")
        .filter(short)
        .min_by(|a, b| a.value.total_cmp(&b.value))?;
    Some(format!(
        "Phases took less than a second, the shortest {} s ({} in phase {}): start and single \
         disturbances weigh much. Do more operations.",
        digits(shortest.value, 2),
        shortest.trial.variant,
        shortest.name.phase
    ))
}

fn frequency(hosts: &[&Host]) -> Option<String> {
    let governors = changes(hosts, |host| [&host.governor, &host.governor_after]);
    let turbo = changes(hosts, |host| [&host.turbo, &host.turbo_after]);
    let changed = [("governor", governors), ("turbo", turbo)]
        .into_iter()
        .filter_map(|(what, states)| Some(format!("{what} was {}", states?)))
        .collect::<Vec<_>>();
    (!changed.is_empty()).then(|| {
        format!(
            "The processor's frequency was controlled in different ways: its {}.",
            changed.join(", its ")
        )
    })
}

/// Says which warnings of `aura doctor` there were, each with the value that was seen first.
fn state(hosts: &[&Host]) -> Option<String> {
    let warned = |fact: &&Fact| {
        fact.health == Health::Warning && !SAID_ELSEWHERE.contains(&fact.name.as_str())
    };
    let mut first: BTreeMap<&str, &Fact> = BTreeMap::new();
    for fact in hosts.iter().flat_map(|host| &host.facts).filter(warned) {
        first.entry(&fact.name).or_insert(fact);
    }
    let named = first.values().map(|fact| {
        let trials = hosts.iter().filter(|host| {
            let mut facts = host.facts.iter();
            facts.any(|it| it.name == fact.name && it.health == Health::Warning)
        });
        let count = trials.count();
        format!(
            "{} in {count} of {} trials, such as {}",
            fact.name,
            hosts.len(),
            fact.value
        )
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| {
        format!(
            "What disturbs measurements was seen ({}); `aura doctor` says what helps.",
            named.join("; ")
        )
    })
}

/// The states that the system was seen in, if there are several.
fn changes(hosts: &[&Host], states: fn(&Host) -> [&String; 2]) -> Option<String> {
    let seen: BTreeSet<&str> = hosts
        .iter()
        .flat_map(|host| states(host))
        .map(String::as_str)
        .filter(|state| !state.is_empty())
        .collect();
    (seen.len() > 1).then(|| seen.into_iter().collect::<Vec<_>>().join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sample_trial, tidy_row};

    fn doubts(rows: &[TidyRow], manifests: &[Manifest]) -> Vec<String> {
        super::doubts(rows, manifests, &BTreeMap::new())
    }

    fn row(world: World, phase: &str, metric: &str, value: f64) -> TidyRow {
        tidy_row("lru", 1, world, metric, value).in_phase(phase)
    }

    fn on(host: Host) -> Manifest {
        Manifest {
            host: Some(host),
            ..sample_trial("lru", 1, 1).manifest
        }
    }

    fn steady() -> Host {
        Host {
            governor: "performance".to_owned(),
            governor_after: "performance".to_owned(),
            turbo: "off".to_owned(),
            turbo_after: String::new(),
            ..Host::default()
        }
    }

    #[test]
    fn times_of_long_punctual_phases_on_a_steady_processor_are_not_doubted() {
        let rows = [
            row(World::Real, "run", "run.pacing_error_p99_us", 20.0),
            row(World::Real, "run", "run.duration_s", 1.0),
            row(World::Real, "load", "run.duration_s", 0.1),
            row(World::Real, "warm-up", "run.pacing_error_p99_us", 900.0),
            row(World::Simulated, "run", "run.duration_s", 0.1),
        ];
        let doubts = doubts(&rows, &[on(steady()), on(steady())]);
        assert_eq!(doubts, Vec::<String>::new());
    }

    #[test]
    fn the_latest_arrivals_and_the_shortest_phase_are_named() {
        let rows = [
            row(World::Real, "one", "run.pacing_error_p99_us", 21.0),
            row(World::Real, "two", "run.pacing_error_p99_us", 678.0),
            row(World::Real, "one", "run.duration_s", 0.9),
            row(World::Real, "two", "run.duration_s", 0.25),
        ];
        let doubts = doubts(&rows, &[]);
        assert_eq!(doubts.len(), 2, "{doubts:?}");
        assert!(doubts[0].contains("678 us"), "{doubts:?}");
        assert!(doubts[0].contains("phase two"), "{doubts:?}");
        assert!(
            doubts[1].contains("0.25 s (lru in phase two)"),
            "{doubts:?}"
        );
    }

    #[test]
    fn another_governor_or_turbo_in_or_between_trials_is_named() {
        let saving = Host {
            governor: "powersave".to_owned(),
            ..steady()
        };
        let boosted = Host {
            turbo_after: "on".to_owned(),
            ..steady()
        };
        let found = doubts(&[], &[on(saving), on(steady())]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].ends_with("its governor was performance and powersave."),
            "{found:?}"
        );
        let found = doubts(&[], &[on(boosted)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("its turbo was off and on."), "{found:?}");
    }

    #[test]
    fn warnings_of_the_doctor_are_named_once_with_how_often_they_were_seen() {
        let fact = |name: &str, value: &str, health| Fact {
            name: name.to_owned(),
            value: value.to_owned(),
            health,
            consequence: String::new(),
            fix: String::new(),
        };
        let with = |facts: Vec<Fact>| on(Host { facts, ..steady() });
        let manifests = [
            with(vec![
                fact("stolen time", "7.0 %", Health::Warning),
                fact("load", "9.00 on 2 cores", Health::Warning),
                fact("turbo", "on", Health::Note),
            ]),
            with(vec![fact("stolen time", "0.0 %", Health::Ok)]),
        ];
        let doubts = doubts(&[], &manifests);
        assert_eq!(doubts.len(), 1, "{doubts:?}");
        assert!(
            doubts[0].contains("(stolen time in 1 of 2 trials, such as 7.0 %)"),
            "{doubts:?}"
        );
    }

    fn quiet() -> Host {
        Host {
            name: "bench".to_owned(),
            cores: 2,
            file_system: "ext4".to_owned(),
            load_before: 0.4,
            ..Host::default()
        }
    }

    #[test]
    fn one_program_on_a_quiet_machine_leaves_no_doubt() {
        assert_eq!(
            doubts(&[], &[on(quiet()), on(quiet())]),
            Vec::<String>::new()
        );
        assert_eq!(doubts(&[], &[]), Vec::<String>::new());
    }

    #[test]
    fn programs_machines_memory_and_load_are_named() {
        let mut other = on(Host {
            name: "laptop".to_owned(),
            file_system: "tmpfs".to_owned(),
            load_before: 5.2,
            ..quiet()
        });
        other.code = "fedcba9876543210".to_owned();
        let doubts = doubts(&[], &[on(quiet()), other]);
        let expected = [
            "2 programs (0123456789abcdef, fed",
            "laptop",
            "tmpfs",
            "5.2 processes",
        ];
        assert_eq!(doubts.len(), expected.len(), "{doubts:?}");
        for (doubt, expected) in doubts.iter().zip(expected) {
            assert!(doubt.contains(expected), "{doubt}");
        }
    }

    #[test]
    fn the_programs_of_an_a_b_comparison_are_expected() {
        let [a, mut b] = [on(quiet()), on(quiet())];
        b.variant = "B".to_owned();
        b.code = "fedcba9876543210".to_owned();
        let expected = BTreeMap::from([("B".to_owned(), b.code.clone())]);
        let manifests = [a, b];
        assert_eq!(doubts(&[], &manifests).len(), 1);
        assert_eq!(super::doubts(&[], &manifests, &expected).len(), 0);
    }
}
