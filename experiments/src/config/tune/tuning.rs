//! A search as a config describes it, and the cases of its points.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read::Reader;
use crate::config::Seeds;
use crate::config::error::ConfigError;
use crate::config::layers::{self, Choice};
use crate::config::overlay;
use crate::config::print::inline;
use crate::config::resolve::{Case, Resolver};
use crate::config::scale::{enlarge, shorten};
use crate::config::tree::{Layer, Node, child_path};
use crate::optimise::goal::Goal;
use crate::optimise::search::Request;
use crate::optimise::space::{Knob, Setting, Space};

/// A search that a config describes, checked.
pub struct Tuning {
    /// The settings that are searched.
    pub space: Space,
    /// What is improved, and what is kept.
    pub goal: Goal,
    /// How the search goes.
    pub request: Request,
    /// The seeds of the search.
    pub seeds: Vec<u64>,
    /// Seeds that no point of the search meets, nor a run of the config.
    pub fresh_seeds: Vec<u64>,
    /// The coordinates of the baseline, if it is a point of the space.
    pub baseline: Option<Vec<f64>>,
    /// The baseline's value of each key that is set, before it is scaled; `None` if it has none.
    pub before: Vec<Before>,
    /// What a reader must know before the search.
    pub warnings: Vec<String>,
    resolver: Resolver,
}

/// What a key was before.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// The dotted key.
    pub key: String,
    /// Its value.
    pub value: Option<Value>,
}

impl Before {
    /// The key with its value, as tables show it.
    pub fn shown(&self) -> (String, String) {
        let value = self.value.as_ref().map(layers::show);
        (
            self.key.clone(),
            value.unwrap_or_else(|| "default".to_owned()),
        )
    }
}

impl Tuning {
    /// Reads the table of a config that was resolved otherwise; `None` if it has none.
    ///
    /// # Errors
    /// [`ConfigError`] with the first thing that is wrong, and where it stands.
    pub(in crate::config) fn of(
        resolver: Resolver,
        baseline: &Case,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(config) = resolver.head.tune.clone() else {
            return Ok(None);
        };
        let reader = Reader {
            resolver: &resolver,
            config: &config,
            baseline,
        };
        reader.check()?;
        let space = reader.space()?;
        let goal = reader.goal()?;
        let warnings = reader.warnings();
        let seeds = reader.seeds()?;
        let mut tuning = Self {
            request: Request {
                method: config.method,
                seed: config.seed,
                batch: config.batch as usize,
                points: config.points as usize,
                eta: config.eta as usize,
            },
            fresh_seeds: seeds.fresh,
            seeds: seeds.search,
            baseline: None,
            before: Vec::new(),
            warnings,
            space,
            goal,
            resolver,
        };
        tuning.find_baseline(baseline)?;
        Ok(Some(tuning))
    }

    /// Finds what the baseline has of the keys that are searched.
    fn find_baseline(&mut self, baseline: &Case) -> Result<(), ConfigError> {
        let values = self.unscaled_baseline()?;
        let middle = vec![0.5; self.space.dimensions()];
        let before = |Setting { key, .. }| Before {
            value: value_at(&values, &key),
            key,
        };
        self.before = self
            .space
            .settings(&middle)
            .into_iter()
            .map(before)
            .collect();
        let knobs = self.space.knobs.clone();
        let place = |knob: &Knob| {
            let mut before = self.before.iter();
            let value = before.find(|it| it.key == knob.key)?.value.as_ref()?;
            knob.find(value)
        };
        let coordinates: Option<Vec<f64>> = knobs.iter().map(place).collect();
        if let Some(x) = coordinates {
            // A policy by its name alone has default parameters, the rest of a total may be
            // another one, and a value may lie between two that are tried.
            let same = self.case(&baseline.variant, &x, 1.0);
            self.baseline = same
                .is_ok_and(|same| same.config == baseline.config)
                .then_some(x);
        }
        Ok(())
    }

    /// All settings of the baseline, before they are scaled, every default spelt out.
    fn unscaled_baseline(&mut self) -> Result<Value, ConfigError> {
        let resolver = &mut self.resolver;
        let baseline = resolver.baseline();
        let name = baseline.name.clone();
        let tree = resolver.layers.case(baseline, &[]);
        Ok(resolver.case(tree, &name, &[])?.values())
    }

    /// Checks that no `--set` argument fixes a key that is searched. A run may set it.
    ///
    /// # Errors
    /// [`ConfigError`] at the argument.
    pub(in crate::config) fn check_alone(&self) -> Result<(), ConfigError> {
        for knob in &self.space.knobs {
            let mut values: BTreeMap<String, Vec<Node>> = BTreeMap::new();
            for setting in knob.levels().into_iter().flat_map(|x| knob.settings(x)) {
                let value = Node::defaults(setting.value);
                values.entry(setting.key).or_default().push(value);
            }
            for (key, values) in values {
                self.resolver.layers.check_not_set(&key, &values)?;
            }
        }
        Ok(())
    }

    /// How many trials the search takes at most, with the baseline and the confirmation. Saturates.
    pub fn trials_at_most(&self) -> usize {
        let rungs = self.request.rungs(&self.space).into_iter();
        // The baseline is measured at each size.
        let points = rungs.fold(0_usize, |sum, rung| {
            sum.saturating_add(rung.points).saturating_add(1)
        });
        let confirm = 2 * self.fresh_seeds.len();
        points
            .saturating_mul(self.seeds.len())
            .saturating_add(confirm)
    }

    /// Checks that the search takes no more than `most` trials, before any point is chosen.
    ///
    /// # Errors
    /// [`ConfigError`] at the table.
    pub(in crate::config) fn check_size(&self, most: u64) -> Result<(), ConfigError> {
        let trials = self.trials_at_most();
        if trials as u64 <= most {
            return Ok(());
        }
        let rungs = self.request.rungs(&self.space);
        let points: Vec<String> = rungs.iter().map(|rung| rung.points.to_string()).collect();
        let message = format!(
            "the search has {trials} trials ({} points by `{}`, the baseline, {} seeds, {} fresh \
             ones); at most {most} are allowed",
            points.join(" + "),
            self.request.method.name(),
            self.seeds.len(),
            self.fresh_seeds.len(),
        );
        let place = self.resolver.whole.closest("tune.method").location();
        Err(ConfigError::new(message).at(place).help(format!(
            "fewer points, levels or seeds; or allow as many with --max-trials {trials}"
        )))
    }

    /// Resolves a point with a share of the operations, as a variant called `name`.
    ///
    /// # Errors
    /// [`ConfigError`] if the settings do not fit together.
    pub fn case(&mut self, name: &str, x: &[f64], share: f64) -> Result<Case, ConfigError> {
        let choices = self.choices(x);
        self.resolved(name, &choices, share)
    }

    /// Resolves the baseline with a share of the operations, as a variant called `name`.
    ///
    /// # Errors
    /// [`ConfigError`] if so few operations do not fit its other settings.
    pub fn baseline_case(&mut self, name: &str, share: f64) -> Result<Case, ConfigError> {
        self.resolved(name, &[], share)
    }

    fn resolved(
        &mut self,
        name: &str,
        choices: &[Choice],
        share: f64,
    ) -> Result<Case, ConfigError> {
        let resolver = &mut self.resolver;
        let mut tree = resolver.layers.case(resolver.baseline(), choices);
        enlarge(&mut tree, resolver.scale);
        shorten(&mut tree, share);
        resolver.case(tree, name, &[])
    }

    /// The settings of a point as a layer.
    fn choices(&self, x: &[f64]) -> Vec<Choice> {
        let settings = self.space.settings(x).into_iter();
        let choice = |Setting { key, value, label }| Choice {
            value: Node::defaults(value).written_by(&Layer::Tune),
            key,
            label,
        };
        settings.map(choice).collect()
    }

    /// What a point sets, as lines of TOML that `--with` takes.
    pub fn lines(&self, x: &[f64]) -> String {
        let layer = self.layer(x);
        let settings = overlay::settings(&layer).into_iter();
        let line = |(key, node): (String, &Node)| line(&key, &node.to_value());
        settings.map(line).collect()
    }

    /// The way back from what a point sets: the baseline's values as lines of TOML that `--with`
    /// takes. A choice is restored with all of its parameters; a key that the baseline leaves out
    /// is a comment.
    ///
    /// # Errors
    /// [`ConfigError`], which a search that was measured does not meet.
    pub fn lines_back(&mut self, x: &[f64]) -> Result<String, ConfigError> {
        let values = self.unscaled_baseline()?;
        let tree = Node::defaults(values.clone());
        let layer = self.layer(x);
        let mut keys: Vec<String> = Vec::new();
        for (key, _) in overlay::settings(&layer) {
            let key = whole_around(&tree, &key);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let back = |key: String| match value_at(&values, &key) {
            Some(value) => line(&key, &value),
            None => format!("# {key} is not set: take its line out\n"),
        };
        Ok(keys.into_iter().map(back).collect())
    }

    /// What a point sets, as one tree.
    fn layer(&self, x: &[f64]) -> Node {
        let mut layer = Node::empty();
        for Choice { key, value, .. } in self.choices(x) {
            layer.join(&key, value);
        }
        layer
    }
}

/// A setting as a line of TOML.
fn line(key: &str, value: &Value) -> String {
    format!("{key} = {}\n", inline(value))
}

/// The value at a dotted key; `None` without one.
fn value_at(values: &Value, key: &str) -> Option<Value> {
    let value = values.pointer(&format!("/{}", key.replace('.', "/")))?;
    (!value.is_null()).then(|| value.clone())
}

/// The outermost choice that a key is a part of, else the key.
fn whole_around(tree: &Node, key: &str) -> String {
    let mut path = String::new();
    for part in key.split('.') {
        path = child_path(&path, part);
        if tree.get(&path).is_some_and(|node| node.is_whole(part)) {
            return path;
        }
    }
    key.to_owned()
}

/// The seeds of a search.
pub(super) struct SearchSeeds {
    /// Those that every point is run with: the config's first ones, and further ones if it has
    /// fewer.
    pub(super) search: Vec<u64>,
    /// Those that are in neither.
    pub(super) fresh: Vec<u64>,
}

impl SearchSeeds {
    /// Chooses them; `None` if there are not enough numbers above the config's own.
    pub(super) fn of(own: &Seeds, search: u32, fresh: u32) -> Option<Self> {
        let own = own.list();
        let last = own.iter().max().copied().unwrap_or(0);
        let further = u64::from(search).saturating_sub(own.len() as u64);
        let begin = last.checked_add(further)?;
        let end = begin.checked_add(u64::from(fresh))?;
        let own = own.into_iter().chain(last.saturating_add(1)..=begin);
        Some(Self {
            search: own.take(search as usize).collect(),
            fresh: (begin.saturating_add(1)..=end).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{KnownTargets, Size, load, load_tuning};
    use crate::files;

    /// Knobs of every kind: the rest of a total, a policy after one of its parameters, a choice of
    /// several forms, a table of several keys, a whole policy, a mix.
    const KNOBS: &str = r#"
        seeds = 2
        workload = { records = 500, operations = 500, mix = { read = 0.5, update = 0.5 } }
        [engine]
        cache = { size = "1MiB", eviction = { policy = "2q", recent = 0.4 } }
        compaction.layout = { policy = "leveled", ratio = 7 }
        wal.sync = { interval = "5ms" }
        [[variant]]
        name = "base"
        engine.memtable = "512KiB"
        [compare]
        across = ["workload"]
        [tune]
        maximize = "run.throughput_ops"
        [[tune.knob]]
        key = "engine.memtable"
        min = "64KiB"
        max = "1MiB"
        rest = { key = "engine.cache.size", of = "2MiB" }
        [[tune.knob]]
        key = "engine.compaction.layout.ratio"
        min = 2
        max = 12
        [[tune.knob]]
        key = "engine.compaction.layout.policy"
        values = ["leveled", "tiered"]
        [[tune.knob]]
        key = "engine.wal.sync"
        values = ["always", { bytes = "64KiB" }]
        [[tune.knob]]
        key = "engine.table"
        values = [
            { block = "1KiB", size = "64KiB" },
            { filter = { policy = "bloom", bits_per_key = 3 } },
        ]
        [[tune.knob]]
        key = "engine.cache.eviction"
        values = ["lru", { policy = "2q", recent = 0.1 }]
        [[tune.knob]]
        key = "workload.mix"
        values = [{ read = 0.9, scan = 0.1 }, { update = 1.0 }]
    "#;

    struct Lab {
        folder: tempfile::TempDir,
    }

    impl Lab {
        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            files::write(&path, text.as_bytes()).expect("written");
            path
        }

        /// The baseline under files of settings.
        fn with(&self, config: &str, overlays: &[&str]) -> Case {
            let config = self.file("exp.toml", config);
            let sets = overlays.iter().flat_map(|text| {
                overlay::overlay(&self.file("over.toml", text)).expect("settings")
            });
            let sets: Vec<String> = sets.collect();
            let experiment = load(&config, &sets, Size::default(), &KnownTargets::default());
            experiment.expect("a config").cases.swap_remove(0)
        }
    }

    #[test]
    fn a_winner_can_be_set_and_undone_for_every_kind_of_knob() {
        let lab = Lab {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let config = lab.file("exp.toml", KNOBS);
        let targets = KnownTargets::default();
        let read = load_tuning(&config, &[], Size::default(), &targets);
        let (_, mut tuning) = read.expect("a search");
        assert_eq!(tuning.warnings.len(), 1, "{:?}", tuning.warnings);
        let before = lab.with(KNOBS, &[]);
        for x in [0.1, 0.9] {
            let x = tuning.space.snap(&vec![x; tuning.space.dimensions()]);
            let case = tuning.case("point", &x, 1.0).expect("settings that fit");
            assert!(case.config != before.config);
            let (set, back) = (tuning.lines(&x), tuning.lines_back(&x).expect("values"));
            assert_eq!(lab.with(KNOBS, &[&set]).config, case.config, "{set}");
            let undone = lab.with(KNOBS, &[&set, &back]).config;
            assert_eq!(undone, before.config, "{set}{back}");
        }
        let set = tuning.lines(&tuning.space.snap(&[0.9; 7]));
        assert!(set.contains("policy = \"tiered\", ratio = "), "{set}");
    }

    #[test]
    fn the_baseline_is_a_point_only_if_all_of_it_is_found_again() {
        let lab = Lab {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let knob = r#"
            [[tune.knob]]
            key = "engine.compaction.layout.policy"
            values = ["leveled", "tiered"]
        "#;
        let baseline = |layout: &str| {
            let head = r#"
                workload = { records = 500, operations = 500 }
                [tune]
                maximize = "run.throughput_ops"
            "#;
            let text = format!("engine.compaction.layout = {layout}\n{head}{knob}");
            let config = lab.file("exp.toml", &text);
            let targets = KnownTargets::default();
            let read = load_tuning(&config, &[], Size::default(), &targets);
            read.expect("a search").1.baseline
        };
        assert!(baseline("\"leveled\"").is_some());
        // The policy alone has another ratio than the baseline.
        assert!(baseline("{ policy = \"leveled\", ratio = 7 }").is_none());
    }

    #[test]
    fn fresh_seeds_are_above_all_others() {
        let seeds = |own, search, fresh| {
            let seeds = SearchSeeds::of(&Seeds::List(own), search, fresh)?;
            Some((seeds.search, seeds.fresh))
        };
        assert_eq!(seeds(vec![4, 9], 1, 2), Some((vec![4], vec![10, 11])));
        assert_eq!(
            seeds(vec![4, 9], 3, 2),
            Some((vec![4, 9, 10], vec![11, 12]))
        );
        assert_eq!(seeds(vec![u64::MAX - 1], 1, 2), None);
    }
}
