//! Tests of damage at rest: a bit is flipped in every region of every kind of file, and files are
//! truncated and lost. The database must name the file or give exactly the right answers. It may
//! never give a wrong value, panic or hang.
//!
//! Damage may only lose, without a report, what nothing on disk proves to have been durable: the
//! end of the log. `cargo test -p aura-engine --test corruption -- --nocapture` prints the verdicts
//! by region.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::sim::SimWorld;
use aura_engine::{AuraEngine, Direction, Engine, Error};
use common::history::{Model, contents, open};
use common::specimen::{Specimen, regions, specimen};
use common::{Chance, print, repeatable, run, seeds, sim_config, tried};

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { at: usize, bit: u8 },
    Cut { at: usize },
    Lost,
}

impl Damage {
    fn do_to(self, world: &SimWorld, path: &Path) {
        match self {
            Self::Flip { at, bit } => world.flip_bit(path, at as u64, bit).unwrap(),
            Self::Cut { at } => world.truncate(path, at as u64).unwrap(),
            Self::Lost => world.env().fs.remove(path).unwrap(),
        }
    }
}

/// What a database made of the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// It named the file.
    Detected,
    /// All answers are right.
    Harmless,
    /// It took the damage for the torn end of the log. What is lost was never proven to be durable.
    TornEnd,
}

/// Judges answers: they must be those of one of these states.
struct Judge<'a> {
    states: Vec<&'a Model>,
    file: &'a str,
    detected: bool,
}

impl Judge<'_> {
    /// Takes an answer. An error must be typed and name the file.
    fn answer<T>(&mut self, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                let is_typed = matches!(error, Error::Corruption { .. } | Error::Format { .. });
                assert!(is_typed, "not typed: {error:?}");
                self.named(&error.to_string());
                None
            }
        }
    }

    fn named(&mut self, message: &str) {
        // A manifest without its end makes wrong statements of other files, which are detected
        // there.
        let stands_for = self.file.ends_with("manifest") && message.contains("the manifest");
        assert!(
            message.contains(self.file) || stands_for,
            "it does not name {}: {message}",
            self.file
        );
        self.detected = true;
    }

    /// Keeps the states that agree. One must be left.
    fn keep(&mut self, what: &str, agrees: impl Fn(&Model) -> bool) {
        self.states.retain(|state| agrees(state));
        assert!(!self.states.is_empty(), "{what}: a wrong answer");
    }

    async fn examine(&mut self, engine: &AuraEngine, keys: &Model) {
        for direction in [Direction::Forward, Direction::Reverse] {
            if let Some(found) = self.answer(contents(engine, direction).await) {
                self.keep("scan", |state| *state == found);
            }
        }
        for key in keys.keys() {
            if let Some(found) = self.answer(engine.get(key).await) {
                self.keep("get", |state| state.get(key) == found.as_ref());
            }
        }
        if let Some(report) = self.answer(engine.verify().await) {
            for problem in report.problems {
                self.named(&problem);
            }
        }
    }
}

/// Opens and reads everything in `env`, where `file` is damaged.
async fn judge(specimen: &Specimen, env: &Env, kind: &str, file: &str, damage: Damage) -> Verdict {
    let history = &specimen.history;
    // Only writes in the log can be taken for its torn end, because of the log itself or of a
    // missing value that it points to. If the log is truncated, the proof is lost with the rest.
    let first = match (kind, damage) {
        ("log", Damage::Cut { .. }) => specimen.flushed,
        ("log" | "values", _) => specimen.proven,
        _ => history.acknowledged,
    };
    let states = history.states[first..].iter().collect();
    let mut judge = Judge {
        states,
        file,
        detected: false,
    };
    if let Some(engine) = judge.answer(open(env, &specimen.config).await) {
        let states = history.states.iter().flatten();
        let keys = states.map(|(key, value)| (key.clone(), value.clone()));
        judge.examine(&engine, &keys.collect()).await;
        // Background work may have met the damage too.
        let _ = engine.close().await;
    }
    match judge.states.last() {
        _ if judge.detected => Verdict::Detected,
        Some(state) if *state == history.visible() => Verdict::Harmless,
        _ => Verdict::TornEnd,
    }
}

fn verdict(specimen: &Specimen, seed: u64, kind: &str, path: &Path, damage: Damage) -> Verdict {
    let world = SimWorld::with_image(&sim_config(seed), &specimen.image).unwrap();
    damage.do_to(&world, path);
    let file = path.file_name().unwrap().to_str().unwrap();
    run(&world, judge(specimen, &world.env(), kind, file, damage))
}

/// Returns every byte of a short region, or about 48 places in a long one, spread evenly.
fn places(region: &Range<usize>, chance: &mut Chance) -> Vec<usize> {
    let step = region.len().div_ceil(48).max(1);
    let first = region.start + chance.below(step as u64) as usize;
    (first..region.end).step_by(step).collect()
}

/// Counts of verdicts by kind of file and region.
type Tally = BTreeMap<(&'static str, &'static str), BTreeMap<Verdict, u64>>;

fn damage_everything(seed: u64, young: bool, tally: &mut Tally) {
    let specimen = specimen(seed, young);
    let mut chance = Chance::new(seed);
    let files = specimen.files();
    let mut flips = 0;
    let mut cuts = 0;
    for (path, bytes) in &files {
        let (kind, regions) = regions(path, bytes);
        let mut damages = Vec::new();
        for (region, range) in regions {
            for at in places(&range, &mut chance) {
                let bit = chance.below(8) as u8;
                damages.push((region, Damage::Flip { at, bit }));
            }
            for at in [
                range.start,
                range.start + range.len() / 2,
                range.end.saturating_sub(1),
            ] {
                damages.push((region, Damage::Cut { at }));
            }
        }
        damages.push(("the file", Damage::Lost));
        for (region, damage) in damages {
            let verdict = catch_unwind(AssertUnwindSafe(|| {
                verdict(&specimen, seed, kind, path, damage)
            }));
            let verdict = verdict.unwrap_or_else(|panic| {
                print(format_args!(
                    "seed {seed}, {}, {region}: {damage:?}",
                    path.display()
                ));
                resume_unwind(panic)
            });
            let verdicts = tally.entry((kind, region)).or_default();
            *verdicts.entry(verdict).or_default() += 1;
            match damage {
                Damage::Flip { .. } => flips += 1,
                _ => cuts += 1,
            }
        }
    }
    tried("flips", flips);
    tried("cuts", cuts);
}

#[test]
fn damage_is_named_or_changes_no_answer() {
    let mut tally = Tally::new();
    for seed in seeds(4) {
        repeatable(seed, || damage_everything(seed, false, &mut tally));
        repeatable(seed, || damage_everything(seed, true, &mut tally));
    }
    print(format_args!(
        "{:10} {:14} {:>9} {:>9} {:>9}",
        "file", "region", "detected", "harmless", "torn end"
    ));
    for ((kind, region), verdicts) in &tally {
        let count = |verdict| verdicts.get(&verdict).copied().unwrap_or(0);
        let [detected, harmless, torn] =
            [Verdict::Detected, Verdict::Harmless, Verdict::TornEnd].map(count);
        print(format_args!(
            "{kind:10} {region:14} {detected:>9} {harmless:>9} {torn:>9}"
        ));
    }
}
