//! What a trial runs on, and whether that can obey the settings.

use aura_workloads::{Inputs, Phase};

use super::error::ConfigError;
use super::tree::{Layer, Node};
use super::{TargetOptions, TrialConfig};
use crate::nearest::hint;
use crate::record::World;

/// The target that every command has, and that trials run on by default.
const AURA: &str = "aura";

/// The targets of the command `aura-rivals`, which `aura` does not have.
pub const OF_RIVALS: [&str; 3] = ["btreemap", "fjall", "rocksdb"];

/// What configs can say of a target.
#[derive(Clone, Copy, Debug)]
pub struct TargetRules {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The keys of `engine` that it obeys, without `engine.`; each stands for all keys below it.
    /// `None`: all.
    pub settings: Option<&'static [&'static str]>,
    /// Its own settings.
    pub options: &'static [TargetOption],
    /// Refuses settings that it cannot obey. What the fields above rule out is refused before.
    pub check: fn(&TrialConfig) -> Result<(), BadSetting>,
}

/// A setting of a target that AuraDB does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetOption {
    /// Its name in `target_options`; `*` for any name, which the target checks itself.
    pub name: &'static str,
    /// What it does, with its values and its default.
    pub about: &'static str,
}

/// A setting that a target refuses: its dotted key, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// The key, such as `engine.wal.sync`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl TargetRules {
    /// Those of AuraDB.
    pub const AURA: Self = Self {
        name: AURA,
        about: "AuraDB itself, in the real world and in simulations.",
        settings: None,
        options: &[],
        check: |_| Ok(()),
    };

    /// Whether it is AuraDB, which alone runs in simulations and says what its cache was asked for.
    fn is_aura(&self) -> bool {
        self.name == AURA
    }

    /// Whether it obeys a key of `engine`, given without `engine.`.
    fn obeys(&self, key: &str) -> bool {
        let covers = |known: &&str| {
            let rest = key.strip_prefix(*known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.settings
            .is_none_or(|settings| settings.iter().any(covers))
    }

    /// The first of the options that it does not have.
    fn unknown_option<'a>(&self, options: &'a TargetOptions) -> Option<&'a str> {
        let is_known = |name: &str| {
            let mut known = self.options.iter();
            known.any(|option| option.name == name || option.name == "*")
        };
        let mut names = options.keys().map(String::as_str);
        names.find(|name| !is_known(name))
    }
}

/// The targets that a command's configs can name.
#[derive(Clone, Debug)]
pub struct KnownTargets {
    program: &'static str,
    rules: Vec<&'static TargetRules>,
}

impl Default for KnownTargets {
    /// AuraDB alone.
    fn default() -> Self {
        Self::new("aura", vec![&TargetRules::AURA])
    }
}

impl KnownTargets {
    /// Those of the command `program`.
    pub fn new(program: &'static str, rules: Vec<&'static TargetRules>) -> Self {
        Self { program, rules }
    }

    /// The name of the command.
    pub(super) fn program(&self) -> &'static str {
        self.program
    }

    fn find(&self, name: &str) -> Result<&'static TargetRules, UnknownTarget> {
        let found = self.rules.iter().find(|rules| rules.name == name);
        found.copied().ok_or_else(|| self.unknown(name))
    }

    /// The error of a name that is not one of them.
    pub fn unknown(&self, name: &str) -> UnknownTarget {
        UnknownTarget {
            name: name.to_owned(),
            program: self.program,
            known: self.rules.iter().map(|rules| rules.name).collect(),
        }
    }
}

/// A target that a command does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the target `{name}` is not one of this command: `{program}` has {}", known.join(", "))]
pub struct UnknownTarget {
    /// The name.
    pub name: String,
    /// The command.
    pub program: &'static str,
    /// The targets that it has.
    pub known: Vec<&'static str>,
}

/// The default of `target`.
pub(super) fn aura() -> String {
    AURA.to_owned()
}

/// Whether a target is the default.
pub(super) fn is_aura(name: &str) -> bool {
    name == AURA
}

/// Checks that the command has the target of a trial, and that this obeys all that is written.
///
/// # Errors
/// [`ConfigError`] at the first setting that is refused. A setting of AuraDB alone is refused under
/// another target rather than left out of account.
pub(super) fn check(
    tree: &Node,
    config: &TrialConfig,
    inputs: &Inputs,
    targets: &KnownTargets,
) -> Result<(), ConfigError> {
    let found = targets.find(&config.target);
    let target = found.map_err(|unknown| refusal(tree, unknown))?;
    check_options(tree, config, target)?;
    if !target.is_aura() {
        check_world(tree, config, target)?;
        check_engine(tree, target)?;
        check_clients(tree, config, inputs, target)?;
    }
    (target.check)(config).map_err(|BadSetting { key, message }| {
        let node = tree.closest(&key);
        ConfigError::new(format!("`{key}`: {message}")).at(node.location())
    })
}

fn refusal(tree: &Node, unknown: UnknownTarget) -> ConfigError {
    let place = tree.closest("target").location();
    let known = unknown.known.iter().copied();
    if OF_RIVALS.contains(&unknown.name.as_str()) {
        return ConfigError::new(unknown.to_string())
            .at(place)
            .help(format!(
                "`aura-rivals` is the same command with {}: cargo build --release --manifest-path \
             experiments/rivals/Cargo.toml; its README says what it needs",
                OF_RIVALS.join(", ")
            ));
    }
    let hint = hint(&unknown.name, known.chain(OF_RIVALS));
    ConfigError::new(format!("{unknown}{hint}"))
        .at(place)
        .help("`list targets` says what each target is")
}

fn check_options(
    tree: &Node,
    config: &TrialConfig,
    target: &TargetRules,
) -> Result<(), ConfigError> {
    let Some(unknown) = target.unknown_option(&config.target_options) else {
        return Ok(());
    };
    let key = format!("target_options.{unknown}");
    let known: Vec<&str> = target.options.iter().map(|option| option.name).collect();
    let hint = hint(unknown, known.iter().copied());
    let help = match known.as_slice() {
        [] => format!("the target `{}` has none", target.name),
        known => format!("options of `{}`: {}", target.name, known.join(", ")),
    };
    Err(ConfigError::new(format!("unknown option `{key}`{hint}"))
        .at(tree.closest(&key).key_location())
        .help(help))
}

/// Only AuraDB runs in simulations, and says what its cache was asked for.
fn check_world(tree: &Node, config: &TrialConfig, target: &TargetRules) -> Result<(), ConfigError> {
    let name = target.name;
    if config.world.kind != World::Real {
        let message = format!("the target `{name}` runs in the real world only");
        return Err(ConfigError::new(message)
            .at(tree.closest("target").location())
            .help("set `world.kind` = \"real\""));
    }
    if config.record.cache > 0.0 {
        let message = format!("`record.cache`: the target `{name}` does not say what it caches");
        let place = tree.closest("record.cache").location();
        return Err(ConfigError::new(message).at(place));
    }
    Ok(())
}

/// A setting that someone wrote, and the target has no counterpart of, would be left out of account
/// in silence.
fn check_engine(tree: &Node, target: &TargetRules) -> Result<(), ConfigError> {
    for (path, node) in tree.leaves() {
        let Some(key) = path.strip_prefix("engine.") else {
            continue;
        };
        if node.layer == Layer::Default || target.obeys(key) {
            continue;
        }
        let message = format!("`{path}` means nothing to the target `{}`", target.name);
        let known = target.settings.unwrap_or_default().join(", ");
        return Err(ConfigError::new(message)
            .at(node.key_location())
            .help(format!(
                "give it to the variants on `aura`; of `engine`, `{}` obeys {known}",
                target.name
            )));
    }
    Ok(())
}

/// Calls of other engines block: a client without a thread would wait for one that has ended.
fn check_clients(
    tree: &Node,
    config: &TrialConfig,
    inputs: &Inputs,
    target: &TargetRules,
) -> Result<(), ConfigError> {
    // A workload that cannot be resolved was refused before.
    let workload = config.workload.resolve_with(inputs).ok();
    let phases = workload
        .iter()
        .flat_map(|it| std::iter::once(&it.load).chain(&it.phases));
    let in_phase = |phase: &Phase| phase.parts().iter().map(|part| part.clients).sum::<u32>();
    let clients = phases.map(in_phase).max().unwrap_or(0);
    let cores = config.world.cores;
    if clients <= cores {
        return Ok(());
    }
    let message = format!(
        "a phase has {clients} clients, and the world {cores} threads: calls of `{}` block, and \
         each client needs a thread",
        target.name
    );
    Err(ConfigError::new(message)
        .at(tree.closest("workload").location())
        .help(format!("set `world.cores` = {clients}")))
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic;

    use super::*;
    use crate::config::{Experiment, Size, parse_for};

    /// A target that obeys two sections, has one option and refuses one of its values.
    static OTHER: TargetRules = TargetRules {
        name: "other",
        about: "An engine of these tests.",
        settings: Some(&["cache.size", "table.filter"]),
        options: &[TargetOption {
            name: "style",
            about: "how it does it",
        }],
        check: |config| match config.target_options.get("style") {
            Some(style) if style != "level" => Err(BadSetting {
                key: "target_options.style".to_owned(),
                message: "must be \"level\"".to_owned(),
            }),
            _ => Ok(()),
        },
    };

    fn parsed(settings: &str, known: &KnownTargets) -> Result<Experiment, ConfigError> {
        let text = format!("seeds = 2\n{settings}");
        parse_for("t.toml".as_ref(), text, &[], Size::default(), known)
    }

    /// The text that an error is about.
    fn quoted(error: &ConfigError) -> String {
        let label = error
            .labels()
            .and_then(|mut labels| labels.next())
            .expect("a place");
        let source = error.source_code().expect("a source");
        let text = source
            .read_span(label.inner(), 0, 0)
            .expect("within the source");
        String::from_utf8_lossy(text.data()).into_owned()
    }

    /// Checks that a config is refused by a command with the target `other`, in these words and at
    /// this text.
    fn refuses(settings: &str, words: &str, place: &str) {
        let known = KnownTargets::new("lab", vec![&TargetRules::AURA, &OTHER]);
        let error = parsed(settings, &known).expect_err(settings);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(quoted(&error), place, "{error}");
    }

    const REAL: &str = "target = \"other\"\nworld.kind = \"real\"\n";

    #[test]
    fn a_target_of_the_rivals_is_refused_with_the_command_that_has_it() {
        let known = KnownTargets::default();
        for name in OF_RIVALS {
            let error = parsed(&format!("target = {name:?}"), &known).expect_err(name);
            let words = format!("the target `{name}` is not one of this command: `aura` has aura");
            assert_eq!(error.to_string(), words);
            let advice = Diagnostic::help(&error).expect("advice").to_string();
            assert!(advice.contains("experiments/rivals/Cargo.toml"), "{advice}");
        }
    }

    #[test]
    fn a_misspelt_target_is_refused_with_the_nearest() {
        refuses("target = \"oter\"", "nearest: `other`", "\"oter\"");
        refuses("target = \"rocksbd\"", "nearest: `rocksdb`", "\"rocksbd\"");
        let variant = "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\ntarget = \"arua\"";
        refuses(variant, "nearest: `aura`", "\"arua\"");
    }

    #[test]
    fn another_target_runs_in_the_real_world_only_and_records_no_cache() {
        refuses("target = \"other\"", "in the real world only", "\"other\"");
        let recording = format!("{REAL}record.cache = 0.5");
        refuses(&recording, "`record.cache`", "0.5");
    }

    #[test]
    fn settings_without_a_counterpart_are_refused_if_they_are_written() {
        let known = KnownTargets::new("lab", vec![&OTHER]);
        let obeyed = "engine = { cache = { size = \"1MiB\" }, table = { filter = \"none\" } }";
        assert!(parsed(&format!("{REAL}{obeyed}"), &known).is_ok());
        let alone = format!("{REAL}engine.cache.eviction = \"lru\"");
        refuses(
            &alone,
            "`engine.cache.eviction` means nothing to the target",
            "eviction",
        );
        let longer = format!("{REAL}engine.cache.size_of = \"1MiB\"");
        refuses(&longer, "unknown key", "size_of");
    }

    #[test]
    fn options_are_those_of_the_target() {
        let with = |options: &str| format!("{REAL}target_options = {{ {options} }}");
        let known = KnownTargets::new("lab", vec![&OTHER]);
        assert!(parsed(&with("style = \"level\""), &known).is_ok());
        refuses(
            &with("stile = 1"),
            "unknown option `target_options.stile`",
            "stile",
        );
        refuses(
            &with("style = \"tiered\""),
            "must be \"level\"",
            "\"tiered\"",
        );
        refuses("target_options = { style = 1 }", "unknown option", "style");
    }

    #[test]
    fn each_client_of_a_target_that_blocks_has_a_thread() {
        let clients = |clients| format!("{REAL}world.cores = 2\nworkload.clients = {clients}");
        let known = KnownTargets::new("lab", vec![&OTHER]);
        assert!(parsed(&clients(2), &known).is_ok());
        let error = parsed(&clients(3), &known).expect_err("one has none");
        assert!(
            error
                .to_string()
                .contains("3 clients, and the world 2 threads"),
            "{error}"
        );
    }

    #[test]
    fn the_default_written_out_is_the_same_trial_and_another_target_another() {
        let known = KnownTargets::new("lab", vec![&TargetRules::AURA, &OTHER]);
        let canonical = |settings: &str| {
            let experiment = parsed(&format!("{settings}\nworld.kind = \"real\""), &known);
            experiment.expect(settings).cases[0].canonical()
        };
        assert_eq!(canonical(""), canonical("target = \"aura\""));
        assert!(!canonical("").contains("target"));
        assert_ne!(canonical(""), canonical("target = \"other\""));
        let styled = "target = \"other\"\ntarget_options.style = \"level\"";
        assert_ne!(canonical("target = \"other\""), canonical(styled));
    }
}
