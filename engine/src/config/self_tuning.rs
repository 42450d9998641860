//! Settings of self-tuning: who proposes changes, and the bounds that the engine holds them to.

use aura_policies::facts::Knob;
use aura_policies::{PolicySpec, defaults};
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EngineConfig;
use crate::error::{Error, Result};

/// What becomes of proposals that keep to the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TuningMode {
    /// They are carried out, watched, and kept or taken back.
    #[default]
    Apply,
    /// They are recorded, and nothing else.
    Propose,
}

/// Settings of self-tuning.
///
/// ```
/// use aura_engine::EngineConfig;
///
/// let config: EngineConfig = serde_json::from_str(
///     r#"{ "self_tuning": {
///         "policy": "hill-climb",
///         "ranges": { "level0-trigger": [2, 8], "cache": { "size": ["16MiB", "64MiB"] } }
///     } }"#,
/// )?;
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelfTuningConfig {
    /// Policy that proposes changes of settings.
    pub policy: PolicySpec,
    /// What becomes of proposals: `"apply"` or `"propose"`.
    pub mode: TuningMode,
    /// Operations of a window. The policy is asked after each.
    pub window: u64,
    /// Whether every knob stays as it is. It can be changed while the engine runs.
    pub hold: bool,
    /// Windows after a change by which it is judged (1 to 1000). The first one does not count. What
    /// settings cost is known after as many, or up to eight times as many where windows differ.
    pub watch: u32,
    /// The share by which a window may cost more than before, and than with the best settings that
    /// are known for the mix of operations (0 to 1).
    pub harm: f64,
    /// Windows of which the share `harm` may be lost, besides that of all windows, before the best
    /// settings that are known come back (1 to 10000).
    pub fall_back: u32,
    /// Windows for which they then stay, unless the mix of operations changes; twice as many after
    /// each further time (1 to 1000000).
    pub rest: u64,
    /// The least and the largest value of each knob. One without a range is never touched.
    pub ranges: TuningRanges,
}

impl Default for SelfTuningConfig {
    fn default() -> Self {
        Self {
            policy: defaults().self_tuner,
            mode: TuningMode::Apply,
            window: 10_000,
            hold: false,
            watch: 4,
            harm: 0.03,
            fall_back: 12,
            rest: 64,
            ranges: TuningRanges::default(),
        }
    }
}

/// The least and the largest value of each knob that a self-tuner may turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TuningRanges {
    /// Of `memtable`. What all memtables and the cache take together never exceeds what the
    /// settings say when the engine is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<[String; 2]>")]
    pub memtable: Option<[ByteSize; 2]>,
    /// Of settings of the cache.
    pub cache: CacheRanges,
    /// Of the bits a key in `table.filter`, for tables that are written from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_bits: Option<[f64; 2]>,
    /// Of `compaction.level0_trigger`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level0_trigger: Option<[u32; 2]>,
    /// Of `io_limit`. The least is above 0: a limit stays one.
    #[serde(rename = "io_limit")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<[String; 2]>")]
    pub io_limit: Option<[ByteSize; 2]>,
}

/// The ranges of settings of the cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheRanges {
    /// Of `cache.size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<[String; 2]>")]
    pub size: Option<[ByteSize; 2]>,
}

impl TuningRanges {
    /// The range of `knob`, if it has one.
    pub(crate) fn of(&self, knob: Knob) -> Option<[f64; 2]> {
        let bytes = |range: Option<[ByteSize; 2]>| range.map(|it| it.map(|it| it.as_u64() as f64));
        match knob {
            Knob::Memtable => bytes(self.memtable),
            Knob::CacheSize => bytes(self.cache.size),
            Knob::FilterBits => self.filter_bits,
            Knob::Level0Trigger => self.level0_trigger.map(|it| it.map(f64::from)),
            Knob::IoLimit => bytes(self.io_limit),
        }
    }
}

/// The values that a knob's setting can take at all.
fn possible(knob: Knob) -> [f64; 2] {
    let largest = (1_u64 << 52) as f64;
    match knob {
        Knob::Memtable => [f64::from(4 << 10), (16_u64 << 30) as f64],
        Knob::CacheSize => [0.0, largest],
        Knob::FilterBits => [1.0, 32.0],
        Knob::Level0Trigger => [1.0, 1000.0],
        Knob::IoLimit => [f64::from(64 << 10), largest],
    }
}

impl EngineConfig {
    /// Checks the settings of self-tuning: each range is possible, and holds what the setting is.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting and its range.
    pub(super) fn check_self_tuning(&self) -> Result<()> {
        let Some(tuning) = &self.self_tuning else {
            return Ok(());
        };
        for knob in Knob::ALL {
            let Some([least, most]) = tuning.ranges.of(knob) else {
                continue;
            };
            let key = format!("self_tuning.ranges.{}", knob.name());
            let [lowest, highest] = possible(knob);
            if !(lowest <= least && least <= most && most <= highest) {
                let what = format!("[{least}, {most}] is no range within {lowest} to {highest}");
                return Err(Error::config(&key, what));
            }
            let value = knob_value(knob, self);
            // No limit, and a filter that counts no bits.
            let unset = matches!(knob, Knob::IoLimit | Knob::FilterBits) && value == 0.0;
            if !unset && !(least..=most).contains(&value) {
                let what = format!("[{least}, {most}] does not hold {value}, which is in force");
                return Err(Error::config(&key, what));
            }
        }
        Ok(())
    }
}

/// What a knob's setting is; 0 bits for a filter that counts no bits a key.
pub(crate) fn knob_value(knob: Knob, config: &EngineConfig) -> f64 {
    match knob {
        Knob::Memtable => config.memtable.as_u64() as f64,
        Knob::CacheSize => config.cache.size.as_u64() as f64,
        Knob::FilterBits => aura_policies::filter::bits_of(&config.table.filter),
        Knob::Level0Trigger => f64::from(config.compaction.level0_trigger),
        Knob::IoLimit => config.io_limit.as_u64() as f64,
    }
}

/// Sets a knob's setting.
pub(crate) fn set_knob(knob: Knob, value: f64, config: &mut EngineConfig) {
    match knob {
        Knob::Memtable => config.memtable = ByteSize(value as u64),
        Knob::CacheSize => config.cache.size = ByteSize(value as u64),
        Knob::FilterBits => {
            config.table.filter = aura_policies::filter::with_bits(&config.table.filter, value);
        }
        Knob::Level0Trigger => config.compaction.level0_trigger = value as u32,
        Knob::IoLimit => config.io_limit = ByteSize(value as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut EngineConfig)) -> Option<String> {
        let tuning = SelfTuningConfig::default();
        let mut config = EngineConfig {
            self_tuning: Some(tuning),
            ..EngineConfig::default()
        };
        change(&mut config);
        match config.validate() {
            Ok(()) => None,
            Err(Error::Config { key, .. }) => Some(key),
            Err(error) => panic!("{error}"),
        }
    }

    fn ranges(config: &mut EngineConfig) -> &mut TuningRanges {
        &mut config.self_tuning.as_mut().expect("there are some").ranges
    }

    #[test]
    fn a_range_is_possible_and_holds_the_setting() {
        assert_eq!(refused(|_| {}), None);
        let around = Some([ByteSize::mib(32), ByteSize::mib(128)]);
        assert_eq!(refused(|it| ranges(it).memtable = around), None);
        assert_eq!(refused(|it| ranges(it).io_limit = around), None);
        let key = refused(|it| ranges(it).cache.size = Some([ByteSize::mib(65), ByteSize::gib(1)]));
        assert_eq!(key.as_deref(), Some("self_tuning.ranges.cache.size"));
        let key = refused(|it| ranges(it).filter_bits = Some([f64::NAN, 20.0]));
        assert_eq!(key.as_deref(), Some("self_tuning.ranges.filter-bits"));
        let key = refused(|it| ranges(it).level0_trigger = Some([5, 3]));
        assert_eq!(key.as_deref(), Some("self_tuning.ranges.level0-trigger"));
        let key = refused(|it| ranges(it).io_limit = Some([ByteSize(0), ByteSize::mib(1)]));
        assert_eq!(key.as_deref(), Some("self_tuning.ranges.io_limit"));
    }

    #[test]
    fn a_knob_reads_what_was_set() {
        let mut config = EngineConfig::default();
        for knob in Knob::ALL {
            set_knob(knob, 131_072.0, &mut config);
            let bits = knob == Knob::FilterBits;
            if bits {
                set_knob(knob, 7.0, &mut config);
            }
            let expected = if bits { 7.0 } else { 131_072.0 };
            assert_eq!(knob_value(knob, &config), expected, "{knob:?}");
        }
    }
}
