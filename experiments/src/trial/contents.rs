//! Whether a value that was read is one that the workload wrote for its key.
//!
//! A value's bytes follow from its key's number and a version that the value carries, so nothing
//! has to be remembered: see [`aura_workloads::values`]. Only the sizes and the compressibility
//! differ between phases, and any phase may have written the value.

use aura_workloads::{Phase, ValueConfig, Workload, values};

/// The number of a client's operations of which one has what it read checked. Checking a value
/// costs about as much as making it.
pub(super) const CHECKED_ONE_IN: u64 = 64;

/// The kinds of values that a workload writes.
pub(super) struct Contents(Vec<ValueConfig>);

impl Contents {
    pub(super) fn of(workload: &Workload) -> Self {
        let mut kinds = vec![workload.load.value.clone()];
        for part in workload.phases.iter().flat_map(Phase::parts) {
            if !kinds.contains(&part.value) {
                kinds.push(part.value.clone());
            }
        }
        Self(kinds)
    }

    /// Whether some phase may have written `value` for the key with this number.
    pub(super) fn may_hold(&self, number: u64, value: &[u8]) -> bool {
        let written = |kind: &ValueConfig| {
            kind.bytes.may_be(value.len() as u64)
                && values::version_of(value, number, kind.compressibility).is_some()
        };
        self.0.iter().any(written)
    }
}

#[cfg(test)]
mod tests {
    use aura_workloads::{Length, LengthRange, PhaseConfig, Sizes, WeightedLength, WorkloadConfig};

    use super::*;

    fn value(length: usize, number: u64, compressibility: f64) -> Vec<u8> {
        let mut value = Vec::new();
        values::fill(&mut value, length, number, 77, compressibility);
        value
    }

    #[test]
    fn only_values_of_the_key_and_of_a_size_of_some_phase_are_accepted() {
        let kind = |bytes: Sizes, compressibility| {
            Some(ValueConfig {
                bytes,
                compressibility,
            })
        };
        let range = LengthRange {
            min: 10,
            max: 50,
            distribution: Default::default(),
        };
        let part = |share, bytes| WeightedLength { share, bytes };
        let mixed = vec![
            part(1.0, Length::Range(range)),
            part(9.0, Length::Constant(100)),
            part(0.0, Length::Constant(300)),
        ];
        let config = WorkloadConfig {
            value: kind(Length::Constant(200).into(), 0.0),
            phases: vec![PhaseConfig {
                name: "small".to_owned(),
                value: kind(Sizes::Mixed(mixed), 0.5),
                ..PhaseConfig::default()
            }],
            ..WorkloadConfig::default()
        };
        let contents = Contents::of(&config.resolve().expect("it is valid"));
        let loaded = value(200, 5, 0.0);
        assert!(contents.may_hold(5, &loaded));
        for length in [10, 12, 50, 100] {
            assert!(contents.may_hold(5, &value(length, 5, 0.5)), "{length} B");
        }
        assert!(!contents.may_hold(6, &loaded), "the value of another key");
        assert!(!contents.may_hold(5, &loaded[..199]), "cut off");
        for length in [9, 51, 99, 300] {
            let unknown = value(length, 5, 0.5);
            assert!(!contents.may_hold(5, &unknown), "{length} B");
        }
        assert!(!contents.may_hold(5, &value(50, 5, 0.0)), "no such phase");
        let mut damaged = loaded;
        damaged[120] ^= 1;
        assert!(!contents.may_hold(5, &damaged));
    }
}
