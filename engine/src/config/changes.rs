//! The settings that may change while an engine runs: one list.
//!
//! A change is a function over the settings. What it changed is found by comparing them before and
//! after, so that a new setting needs one line here, or none if it is fixed.

use serde_json::Value;

use super::EngineConfig;
use crate::error::{Error, Result};

/// Settings that may change while an engine runs, each with the moment from which it counts.
///
/// ```
/// assert!(aura_engine::CHANGEABLE.iter().any(|(key, _)| *key == "cache.size"));
/// ```
pub const CHANGEABLE: &[(&str, &str)] = &[
    ("memtable", "the next write"),
    ("memtable_structure", "the next memtable"),
    ("io_limit", "at once, for jobs that wait as well"),
    ("io_limiter", "at once, for jobs that wait as well"),
    ("cache.size", "at once; the number of shards stays"),
    ("cache.eviction", "at once; entries stay as far as they fit"),
    (
        "cache.admission",
        "at once; what the old policy has learned is lost",
    ),
    ("cache.warming", "the next flush or compaction"),
    ("table.size", "the next table"),
    ("table.compression", "the next table"),
    ("table.filter", "the next table"),
    ("table.index", "the next table"),
    ("table.levels", "the next table"),
    (
        "compaction.layout",
        "the next plan; the tree takes its shape as it is merged",
    ),
    ("compaction.picker", "the next plan"),
    ("compaction.level0_trigger", "the next plan"),
    ("compaction.level0_slowdown", "the next write"),
    ("compaction.level0_stop", "the next write"),
    ("compaction.debt_slowdown", "the next write"),
    ("compaction.stall", "the next write"),
    (
        "value_log.separation",
        "the next write; stored values move as compactions rewrite them",
    ),
    ("value_log.compression", "the next value"),
    ("value_log.file", "the next value file"),
    (
        "value_log.placement",
        "the next value; the number of queues stays",
    ),
    ("value_log.gc", "the next collection"),
    ("value_log.gc_method", "the next collection"),
    ("value_log.gc_low", "the next collection"),
    ("value_log.gc_high", "the next collection"),
    ("value_log.gc_stop", "the next write"),
    ("value_log.inline_again", "the next compaction"),
    ("self_tuning.hold", "at the end of the window of operations"),
];

impl EngineConfig {
    /// Checks that `next` differs from these settings only where a running engine can follow.
    ///
    /// # Errors
    /// [`Error::Config`] with the first setting that is fixed, and those of [`Self::validate`].
    pub(crate) fn check_change(&self, next: &Self) -> Result<()> {
        let before = written(self)?;
        let after = written(next)?;
        if let Some(key) = fixed_difference(&before, &after, "") {
            let what = "is fixed while the engine runs; close it and open it with the other value";
            return Err(Error::config(&key, what));
        }
        next.validate()
    }
}

impl EngineConfig {
    /// The dotted names of the settings of [`CHANGEABLE`] in which `next` differs.
    ///
    /// # Errors
    /// [`Error::Config`] if settings cannot be written.
    pub(crate) fn differences(&self, next: &Self) -> Result<Vec<String>> {
        let before = written(self)?;
        let after = written(next)?;
        let differs = |key: &str| {
            let pointer = format!("/{}", key.replace('.', "/"));
            before.pointer(&pointer) != after.pointer(&pointer)
        };
        let keys = CHANGEABLE.iter().map(|(key, _)| *key);
        Ok(keys.filter(|key| differs(key)).map(str::to_owned).collect())
    }
}

fn written(config: &EngineConfig) -> Result<Value> {
    serde_json::to_value(config).map_err(|error| Error::config("engine", error.to_string()))
}

/// Returns the first key below `path` that differs and may not.
fn fixed_difference(before: &Value, after: &Value, path: &str) -> Option<String> {
    if before == after || CHANGEABLE.iter().any(|(key, _)| *key == path) {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return Some(path.to_owned());
    };
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.dedup();
    keys.into_iter().find_map(|key| {
        let below = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        let null = Value::Null;
        let before = before.get(key).unwrap_or(&null);
        let after = after.get(key).unwrap_or(&null);
        fixed_difference(before, after, &below)
    })
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;
    use crate::config::SyncPolicy;

    /// The key that a change is refused for.
    fn refused(change: impl FnOnce(&mut EngineConfig)) -> Option<String> {
        let config = EngineConfig::default();
        let mut next = config.clone();
        change(&mut next);
        match config.check_change(&next) {
            Ok(()) => None,
            Err(Error::Config { key, .. }) => Some(key),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_fixed_setting_is_refused_by_its_name() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|config| config.io_limit = ByteSize::mib(1)), None);
        assert_eq!(refused(|config| config.cache.size = ByteSize::mib(1)), None);
        let shards = refused(|config| config.cache.shards += 1);
        assert_eq!(shards.as_deref(), Some("cache.shards"));
        let sync = refused(|config| config.wal.sync = SyncPolicy::Always);
        assert_eq!(sync.as_deref(), Some("wal.sync"));
        let agent = refused(|config| config.compaction.agent.policy.push('x'));
        assert_eq!(agent.as_deref(), Some("compaction.agent.policy"));
        let out_of_range = refused(|config| config.memtable = ByteSize(1));
        assert_eq!(out_of_range.as_deref(), Some("memtable"));
    }

    #[test]
    fn the_settings_that_differ_are_named() {
        let config = EngineConfig::default();
        let mut next = config.clone();
        assert_eq!(config.differences(&next).unwrap(), [""; 0]);
        next.io_limit = ByteSize::mib(1);
        next.cache.size = ByteSize::mib(1);
        next.cache.eviction.policy = "sieve".to_owned();
        let names = ["io_limit", "cache.size", "cache.eviction"];
        assert_eq!(config.differences(&next).unwrap(), names);
    }

    #[test]
    fn every_key_of_the_list_is_a_setting() {
        let mut config = written(&EngineConfig::default()).unwrap();
        // These are not written while they are empty.
        config["table"]["levels"] = Value::Null;
        config["compaction"]["stall"] = Value::Null;
        config["io_limiter"] = Value::Null;
        config["self_tuning"] = serde_json::json!({ "hold": false });
        for (key, _) in CHANGEABLE {
            let pointer = format!("/{}", key.replace('.', "/"));
            assert!(config.pointer(&pointer).is_some(), "{key} is no setting");
        }
    }
}
