//! A/B: two sides, each one set of settings run by one program, compared pair by pair.
//!
//! ```text
//!   config A, config B, or one config and what B sets --sides--> an experiment of two variants
//!   a pilot of A against A --size--> how many pairs decide, fixed before B is looked at
//! ```
//!
//! A pair is a block of one A and one B under one seed. In the real world the order within a block
//! is drawn, and each side runs in a process of its own.

mod size;

use std::path::PathBuf;

use crate::config::{self, Case, ConfigError, Experiment, KnownTargets, Size, VariantSettings};
use crate::point::Point;

pub use size::{PAIRS_OF_PILOT, Resolution, pairs_for, resolutions};

/// The names of the sides, in tables and figures.
pub const SIDES: [&str; 2] = ["A", "B"];

/// Where a side's settings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The config.
    pub config: PathBuf,
    /// Which of its variants. Default: for A its baseline, for B its only other one.
    pub variant: Option<String>,
    /// What is set over all that the config says: `key=value`.
    pub sets: Vec<String>,
}

/// Why two sides cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum SidesError {
    /// A config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A config has no such variant.
    #[error("{} has no variant {name:?}; there are {}", config.display(), known.join(", "))]
    NoVariant {
        /// The config.
        config: PathBuf,
        /// The name asked for.
        name: String,
        /// The variants that it has.
        known: Vec<String>,
    },
    /// One config, and it is not said what B is.
    #[error("{} does not say what B is: its variants are {}", config.display(), known.join(", "))]
    NoSecondSide {
        /// The config.
        config: PathBuf,
        /// The variants that it has.
        known: Vec<String>,
    },
    /// A config sweeps over something.
    #[error("{} has {points} sweep points, and a side is one of them", config.display())]
    ManyPoints {
        /// The config.
        config: PathBuf,
        /// The sweep points.
        points: usize,
    },
    /// Both sides have equal settings.
    #[error("A and B have the same settings, and are run by the same program")]
    Same,
}

/// The two sides as an experiment of two variants, whose trials are those of the configs.
///
/// Questions, metrics and margins are those of A's config. `same` says that equal settings are
/// meant: A against itself, or two programs.
///
/// # Errors
/// [`SidesError`] if a config is wrong, or if it does not name one set of settings.
pub fn experiment(
    sides: &[Side; 2],
    same: bool,
    size: Size,
    targets: &KnownTargets,
) -> Result<Experiment, SidesError> {
    let [a, b] = sides;
    let mut experiment = config::load_side(&a.config, &a.sets, size, targets)?;
    let first = one_case(a, &experiment, baseline(a, &experiment))?;
    let others = config::load_side(&b.config, &b.sets, size, targets)?;
    let of_b = if same || (a.config == b.config && a.sets != b.sets) {
        baseline(b, &others)
    } else {
        second(a, b, &others)?
    };
    let second = one_case(b, &others, of_b)?;
    if !same && first.config == second.config {
        return Err(SidesError::Same);
    }
    experiment.variants = differences(&first, &second);
    experiment.cases = [first, second]
        .into_iter()
        .zip(SIDES)
        .map(|(mut case, name)| {
            name.clone_into(&mut case.variant);
            case.point.clear();
            case
        })
        .collect();
    experiment.baseline = SIDES[0].to_owned();
    experiment.sweeps.clear();
    experiment.expect.clear();
    experiment.warnings.clear();
    Ok(experiment)
}

/// The variant that a side names, else its config's baseline.
fn baseline<'a>(side: &'a Side, experiment: &'a Experiment) -> &'a str {
    side.variant.as_deref().unwrap_or(&experiment.baseline)
}

/// The variant of B: the one named, or of a config of its own the baseline, or of A's config the
/// only one that A is not.
fn second<'a>(a: &Side, b: &'a Side, experiment: &'a Experiment) -> Result<&'a str, SidesError> {
    if b.variant.is_some() || a.config != b.config {
        return Ok(baseline(b, experiment));
    }
    let of_a = baseline(a, experiment);
    let names = experiment.variants.iter().map(|it| it.name.as_str());
    let others: Vec<&str> = names.filter(|name| *name != of_a).collect();
    match others[..] {
        [only] => Ok(only),
        _ => Err(SidesError::NoSecondSide {
            config: b.config.clone(),
            known: names_of(experiment),
        }),
    }
}

fn names_of(experiment: &Experiment) -> Vec<String> {
    experiment
        .variants
        .iter()
        .map(|it| it.name.clone())
        .collect()
}

/// The one case of a variant.
fn one_case(side: &Side, experiment: &Experiment, variant: &str) -> Result<Case, SidesError> {
    let of_variant = experiment.cases.iter().filter(|it| it.variant == variant);
    let cases: Vec<&Case> = of_variant.collect();
    match cases[..] {
        [only] => Ok(only.clone()),
        [] => Err(SidesError::NoVariant {
            config: side.config.clone(),
            name: variant.to_owned(),
            known: names_of(experiment),
        }),
        _ => Err(SidesError::ManyPoints {
            config: side.config.clone(),
            points: cases.len(),
        }),
    }
}

/// Both sides with the settings in which they differ.
fn differences(a: &Case, b: &Case) -> Vec<VariantSettings> {
    let settings = [a, b].map(|case| config::settings(&case.values()));
    let own = |own: &Point, other: &Point| -> Point {
        let differs = |(key, value): &(&String, &String)| other.get(*key) != Some(value);
        let found = own.iter().filter(differs);
        found
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    vec![
        VariantSettings {
            name: SIDES[0].to_owned(),
            settings: own(&settings[0], &settings[1]),
        },
        VariantSettings {
            name: SIDES[1].to_owned(),
            settings: own(&settings[1], &settings[0]),
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files;

    const CACHES: &str = r#"
        seeds = 3
        workload = { records = 1_000, operations = 1_000 }
        [[variant]]
        name = "lru"
        [[variant]]
        name = "sieve"
        engine.cache.eviction = "sieve"
    "#;

    fn side(config: &Path, variant: Option<&str>, set: &str) -> Side {
        let sets = set.split_terminator('\n').map(str::to_owned);
        Side {
            config: config.to_owned(),
            variant: variant.map(str::to_owned),
            sets: sets.collect(),
        }
    }

    fn experiment_of(sides: [Side; 2], same: bool) -> Result<Experiment, SidesError> {
        experiment(&sides, same, Size::default(), &KnownTargets::default())
    }

    /// What A and B are, in their one setting that differs.
    fn eviction(sides: [Side; 2]) -> [String; 2] {
        let experiment = experiment_of(sides, false).expect("two sides");
        assert_eq!(experiment.cases.len(), 2);
        let mut shown = experiment.variants.iter().map(|variant| {
            let mut settings = variant.settings.iter();
            let (key, value) = settings.next().expect("they differ");
            assert_eq!(
                (key.as_str(), settings.next()),
                ("engine.cache.eviction", None)
            );
            value.clone()
        });
        [(); 2].map(|()| shown.next().expect("two"))
    }

    #[test]
    fn sides_come_from_one_config_or_two() {
        let folder = tempfile::tempdir().expect("a folder");
        let [both, other] = ["both.toml", "other.toml"].map(|name| folder.path().join(name));
        files::write(&both, CACHES.as_bytes()).expect("written");
        let text = CACHES.replace("sieve", "s3-fifo");
        files::write(&other, text.as_bytes()).expect("written");
        let of = |variant, set| side(&both, variant, set);
        assert_eq!(eviction([of(None, ""), of(None, "")]), ["lru", "sieve"]);
        assert_eq!(
            eviction([of(Some("sieve"), ""), of(None, "")]),
            ["sieve", "lru"]
        );
        let lru_like = "engine.cache.eviction=2q";
        assert_eq!(eviction([of(None, ""), of(None, lru_like)])[0], "lru");
        let fifo = side(&other, Some("s3-fifo"), "");
        let shown = eviction([of(Some("sieve"), ""), fifo]);
        assert!(shown[1].starts_with("s3-fifo"), "{shown:?}");
    }

    #[test]
    fn sides_that_are_not_two_settings_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("caches.toml");
        let more =
            format!("{CACHES}\n[[variant]]\nname = \"fifo\"\nengine.cache.eviction = \"fifo\"");
        files::write(&config, more.as_bytes()).expect("written");
        let of = |variant, set| side(&config, variant, set);
        let error = |a, b| {
            experiment_of([a, b], false)
                .expect_err("refused")
                .to_string()
        };
        let found = error(of(None, ""), of(None, ""));
        assert!(found.contains("does not say what B is"), "{found}");
        let found = error(of(None, ""), of(Some("arc"), ""));
        assert!(found.contains("lru, sieve, fifo"), "{found}");
        let found = error(of(None, ""), of(Some("lru"), ""));
        assert!(found.contains("the same settings"), "{found}");
        let sweep = "[[sweep]]\nkey = \"engine.cache.size\"\nvalues = [\"1MiB\", \"2MiB\"]
            [[expect]]\nmetric = \"run.throughput_ops\"\nvariants = [\"fifo\"]\nverdict = \"worse\"
            at = { \"engine.cache.size\" = \"1MiB\" }";
        files::write(&config, format!("{more}\n{sweep}").as_bytes()).expect("written");
        let found = error(of(None, ""), of(Some("fifo"), ""));
        assert!(found.contains("2 sweep points"), "{found}");
        let size = "engine.cache.size=2MiB";
        let at = experiment_of([of(None, size), of(Some("fifo"), size)], false).expect("a point");
        assert!(at.sweeps.is_empty() && at.cases.iter().all(|case| case.point.is_empty()));
        let part = "engine.cache={ size = \"2MiB\" }";
        let found = error(of(None, part), of(Some("fifo"), part));
        assert!(
            found.contains("`engine.cache.size` is swept: --set engine.cache would"),
            "{found}"
        );
        let [a, b] = [of(None, "engine.cache.size=1MiB"), of(None, size)];
        let sizes = experiment_of([a, b], false).expect("two sizes");
        assert_eq!(
            sizes.variants[1].settings.keys().next().expect("one"),
            "engine.cache.size"
        );
        files::write(&config, more.as_bytes()).expect("written");
        let same = experiment_of([of(None, ""), of(None, "")], true).expect("A against A");
        assert_eq!(same.cases[0].config, same.cases[1].config);
        assert!(same.variants.iter().all(|it| it.settings.is_empty()));
    }
}
