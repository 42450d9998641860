//! What a proposal may ask for: the operator's ranges, and the memory that there is.

use std::collections::BTreeMap;

use aura_policies::facts::{Knob, KnobFacts};
use aura_policies::self_tuner::Change;

use crate::config::{EngineConfig, knob_value};

/// The values of the knobs that have a range.
pub(super) type Values = BTreeMap<Knob, f64>;

/// The bounds of an engine's knobs.
pub(super) struct Rules {
    ranges: BTreeMap<Knob, [f64; 2]>,
    /// Memtables that there may be at the same time.
    memtables: f64,
    /// Bytes that memtables and cache may have, together.
    total: f64,
    /// Bytes of the memory knobs that have no range.
    fixed: f64,
}

impl Rules {
    /// The rules of an engine with the settings `config`.
    pub(super) fn new(config: &EngineConfig) -> Self {
        let mut ranges = BTreeMap::new();
        for knob in Knob::ALL {
            let tuning = config.self_tuning.as_ref();
            if let Some(range) = tuning.and_then(|tuning| tuning.ranges.of(knob)) {
                ranges.insert(knob, range);
            }
        }
        let mut rules = Self {
            ranges,
            memtables: config.memtables_max() as f64,
            total: 0.0,
            fixed: 0.0,
        };
        rules.take_memory_of(config);
        rules
    }

    /// Takes the memory of other settings for all that there is: an operator has changed them.
    pub(super) fn take_memory_of(&mut self, config: &EngineConfig) {
        self.total = config.memory_total() as f64;
        let is_fixed = |knob: &Knob| knob.is_memory() && !self.ranges.contains_key(knob);
        let fixed = Knob::ALL.into_iter().filter(is_fixed);
        self.fixed = fixed
            .map(|knob| self.bytes(knob, knob_value(knob, config)))
            .sum();
    }

    /// Bytes that memtables and cache may have, together.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total as u64
    }

    /// What the knobs that have a range are by `config`.
    pub(super) fn values(&self, config: &EngineConfig) -> Values {
        let knobs = self.ranges.keys();
        knobs
            .map(|knob| (*knob, knob_value(*knob, config)))
            .collect()
    }

    /// The knobs of these values, as self-tuners see them.
    pub(super) fn facts(&self, values: &Values) -> Vec<KnobFacts> {
        let facts = self.ranges.iter().map(|(knob, [least, most])| KnobFacts {
            knob: *knob,
            value: values.get(knob).copied().unwrap_or(*least),
            least: *least,
            most: *most,
        });
        facts.collect()
    }

    /// Bytes of memory that a memory knob of this value takes.
    fn bytes(&self, knob: Knob, value: f64) -> f64 {
        match knob {
            Knob::Memtable => value * self.memtables,
            Knob::CacheSize => value,
            _ => 0.0,
        }
    }

    /// The values after `change`.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn after(&self, change: &Change, now: &Values) -> Result<Values, &'static str> {
        let mut next = now.clone();
        match *change {
            Change::Set { knob, value } => drop(next.insert(knob, value.floor())),
            Change::Shift { from, to, bytes } => {
                let (Some(loser), Some(winner)) = (now.get(&from), now.get(&to)) else {
                    return Err("no-range");
                };
                if from == to || !from.is_memory() || !to.is_memory() {
                    return Err("no-shift-of-memory");
                }
                let bytes = bytes as f64;
                next.insert(from, loser - (bytes / self.bytes(from, 1.0)).ceil());
                next.insert(to, winner + (bytes / self.bytes(to, 1.0)).floor());
            }
        }
        for (knob, value) in &next {
            let Some([least, most]) = self.ranges.get(knob) else {
                return Err("no-range");
            };
            // No number lies in no range. What was outside before may stay there.
            if !(least..=most).contains(&value) && now.get(knob) != Some(value) {
                return Err("out-of-range");
            }
        }
        let memory = next.iter().map(|(knob, value)| self.bytes(*knob, *value));
        match memory.sum::<f64>() + self.fixed > self.total {
            true => Err("more-than-the-memory"),
            false => Ok(next),
        }
    }
}

/// What to set on the way from `now` to `next`: memory that shrinks first, and all the rest. Only
/// then may memory grow.
pub(super) fn shrunk(now: &Values, next: &Values) -> Values {
    let first = next.iter().map(|(knob, value)| {
        let before = now.get(knob).copied().unwrap_or(*value);
        let value = if knob.is_memory() {
            value.min(before)
        } else {
            *value
        };
        (*knob, value)
    });
    first.collect()
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;
    use crate::config::SelfTuningConfig;

    /// Memtables of 4 MiB, three at the same time, and a cache of 20 MiB: 32 MiB.
    fn rules() -> (Rules, Values) {
        let mut tuning = SelfTuningConfig::default();
        tuning.ranges.memtable = Some([ByteSize::mib(1), ByteSize::mib(8)]);
        tuning.ranges.cache.size = Some([ByteSize::mib(4), ByteSize::mib(29)]);
        tuning.ranges.filter_bits = Some([2.0, 16.0]);
        let mut config = EngineConfig {
            memtable: ByteSize::mib(4),
            self_tuning: Some(tuning),
            ..EngineConfig::default()
        };
        config.cache.size = ByteSize::mib(20);
        let rules = Rules::new(&config);
        let values = rules.values(&config);
        (rules, values)
    }

    const MIB: f64 = (1 << 20) as f64;

    fn set(knob: Knob, value: f64) -> Change {
        Change::Set { knob, value }
    }

    fn shift(from: Knob, to: Knob, bytes: u64) -> Change {
        Change::Shift { from, to, bytes }
    }

    #[test]
    fn what_is_out_of_range_or_too_much_is_refused() {
        let (rules, now) = rules();
        let after = |change| rules.after(&change, &now);
        assert_eq!(after(set(Knob::Memtable, 9.0 * MIB)), Err("out-of-range"));
        assert_eq!(after(set(Knob::Memtable, f64::NAN)), Err("out-of-range"));
        assert_eq!(
            after(set(Knob::Memtable, 5.0 * MIB)),
            Err("more-than-the-memory")
        );
        assert_eq!(
            after(set(Knob::CacheSize, 21.0 * MIB)),
            Err("more-than-the-memory")
        );
        assert_eq!(after(set(Knob::IoLimit, 1e6)), Err("no-range"));
        assert_eq!(
            after(set(Knob::FilterBits, f64::INFINITY)),
            Err("out-of-range")
        );
        let itself = shift(Knob::Memtable, Knob::Memtable, 1);
        assert_eq!(after(itself), Err("no-shift-of-memory"));
        let bits = shift(Knob::CacheSize, Knob::FilterBits, 1);
        assert_eq!(after(bits), Err("no-shift-of-memory"));
        let all = shift(Knob::CacheSize, Knob::Memtable, u64::MAX);
        assert_eq!(after(all), Err("out-of-range"));
        assert_eq!(
            after(set(Knob::Memtable, 3.0 * MIB)).unwrap()[&Knob::Memtable],
            3.0 * MIB
        );
    }

    #[test]
    fn a_shift_keeps_the_total_and_shrinks_first() {
        let (rules, now) = rules();
        let change = shift(Knob::CacheSize, Knob::Memtable, (3 << 20) + 1);
        let next = rules.after(&change, &now).unwrap();
        assert_eq!(next[&Knob::CacheSize], 17.0 * MIB - 1.0);
        assert_eq!(next[&Knob::Memtable], 5.0 * MIB);
        let first = shrunk(&now, &next);
        assert_eq!(first[&Knob::CacheSize], next[&Knob::CacheSize]);
        assert_eq!(first[&Knob::Memtable], now[&Knob::Memtable]);
        let back = shrunk(&next, &now);
        assert_eq!(back[&Knob::Memtable], now[&Knob::Memtable]);
        assert_eq!(back[&Knob::CacheSize], next[&Knob::CacheSize]);
    }
}
