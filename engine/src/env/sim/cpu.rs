//! The cost of CPU work, and the cores that do it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::env::CpuWork;

/// Nanoseconds of one core for each kind of [`CpuWork`].
///
/// The defaults are stated, not measured: plausible figures for a 3 GHz core with the working set
/// in memory, where a memtable step is a cache miss and a copied byte is bandwidth. A config can
/// override each of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CpuCosts {
    /// Starting an operation.
    #[serde(deserialize_with = "non_negative")]
    pub operation_ns: f64,
    /// Comparing two keys.
    #[serde(deserialize_with = "non_negative")]
    pub comparison_ns: f64,
    /// Going to the next node of a memtable.
    #[serde(deserialize_with = "non_negative")]
    pub memtable_step_ns: f64,
    /// Inserting an entry into a memtable, in addition to the steps.
    #[serde(deserialize_with = "non_negative")]
    pub memtable_insert_ns: f64,
    /// Probing a filter.
    #[serde(deserialize_with = "non_negative")]
    pub filter_probe_ns: f64,
    /// Evaluating a learned model.
    #[serde(deserialize_with = "non_negative")]
    pub model_evaluation_ns: f64,
    /// Looking up an object in the cache.
    #[serde(deserialize_with = "non_negative")]
    pub cache_probe_ns: f64,
    /// Compressing one byte.
    #[serde(deserialize_with = "non_negative")]
    pub byte_compressed_ns: f64,
    /// Decompressing to one byte.
    #[serde(deserialize_with = "non_negative")]
    pub byte_decompressed_ns: f64,
    /// Checksumming one byte.
    #[serde(deserialize_with = "non_negative")]
    pub byte_checksummed_ns: f64,
    /// Copying one byte.
    #[serde(deserialize_with = "non_negative")]
    pub byte_copied_ns: f64,
    /// Entering and leaving the operating system.
    #[serde(deserialize_with = "non_negative")]
    pub system_call_ns: f64,
}

impl Default for CpuCosts {
    fn default() -> Self {
        Self {
            operation_ns: 150.0,
            comparison_ns: 8.0,
            memtable_step_ns: 40.0,
            memtable_insert_ns: 400.0,
            filter_probe_ns: 40.0,
            model_evaluation_ns: 20.0,
            cache_probe_ns: 60.0,
            byte_compressed_ns: 2.0,
            byte_decompressed_ns: 0.5,
            byte_checksummed_ns: 0.1,
            byte_copied_ns: 0.1,
            system_call_ns: 400.0,
        }
    }
}

impl CpuCosts {
    /// Costs of 0, to simulate the device alone.
    pub const FREE: Self = Self {
        operation_ns: 0.0,
        comparison_ns: 0.0,
        memtable_step_ns: 0.0,
        memtable_insert_ns: 0.0,
        filter_probe_ns: 0.0,
        model_evaluation_ns: 0.0,
        cache_probe_ns: 0.0,
        byte_compressed_ns: 0.0,
        byte_decompressed_ns: 0.0,
        byte_checksummed_ns: 0.0,
        byte_copied_ns: 0.0,
        system_call_ns: 0.0,
    };

    fn nanos(&self) -> [f64; KINDS] {
        [
            self.operation_ns,
            self.comparison_ns,
            self.memtable_step_ns,
            self.memtable_insert_ns,
            self.filter_probe_ns,
            self.model_evaluation_ns,
            self.cache_probe_ns,
            self.byte_compressed_ns,
            self.byte_decompressed_ns,
            self.byte_checksummed_ns,
            self.byte_copied_ns,
            self.system_call_ns,
        ]
    }
}

/// Number of kinds of work.
const KINDS: usize = 12;

/// Returns the counts of `work` in the order of the costs.
fn counts(work: &CpuWork) -> [u64; KINDS] {
    [
        work.operations,
        work.comparisons,
        work.memtable_steps,
        work.memtable_inserts,
        work.filter_probes,
        work.model_evaluations,
        work.cache_probes,
        work.bytes_compressed,
        work.bytes_decompressed,
        work.bytes_checksummed,
        work.bytes_copied,
        work.system_calls,
    ]
}

/// The costs in whole picoseconds. Sums of integers are the same in any order, and the additions do
/// not wait for one another.
pub(super) struct Prices([u64; KINDS]);

impl Prices {
    pub(super) fn new(costs: &CpuCosts) -> Self {
        Self(costs.nanos().map(|nanos| (nanos * 1e3).round() as u64))
    }

    /// Returns the picoseconds that `work` takes. The sum wraps beyond half a year of work; it is
    /// not checked here, for speed.
    pub(super) fn picos(&self, work: &CpuWork) -> u64 {
        let mut picos = 0u64;
        for (price, count) in self.0.iter().zip(counts(work)) {
            picos = picos.wrapping_add(price.wrapping_mul(count));
        }
        picos
    }
}

/// Deserializes a number that is finite and not below zero.
pub(super) fn non_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() && number >= 0.0 {
        return Ok(number);
    }
    Err(serde::de::Error::custom(format_args!(
        "{number} must be a number not below zero"
    )))
}

/// The cores of the machine.
pub(super) struct Cores {
    /// When each core has finished its work.
    free_at: Vec<u64>,
    /// The core that got work last.
    last: usize,
    pub(super) busy_nanos: u64,
    pub(super) wait_nanos: u64,
}

impl Cores {
    pub(super) fn new(cores: u32) -> Self {
        Self {
            free_at: vec![0; cores.clamp(1, 65_536) as usize],
            last: 0,
            busy_nanos: 0,
            wait_nanos: 0,
        }
    }

    /// Gives work to a core and returns when it is done. The work is ready at `start` and takes
    /// `nanos`. It goes to a core that is free then, or else to the one that is free first.
    pub(super) fn run(&mut self, start: u64, nanos: u64) -> u64 {
        // All free cores are alike. If the last one is free, there is no need to search.
        if self.free_at[self.last] > start {
            let cores = self.free_at.iter().enumerate();
            let first = cores.min_by_key(|(_, free_at)| **free_at);
            self.last = first.map_or(0, |(core, _)| core);
        }
        let begin = start.max(self.free_at[self.last]);
        let end = begin.saturating_add(nanos);
        self.free_at[self.last] = end;
        self.busy_nanos += nanos;
        self.wait_nanos += begin - start;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_charged_its_own_cost() {
        let costs = CpuCosts {
            operation_ns: 1.0,
            comparison_ns: 2.0,
            memtable_step_ns: 4.0,
            memtable_insert_ns: 8.0,
            filter_probe_ns: 16.0,
            model_evaluation_ns: 32.0,
            cache_probe_ns: 64.0,
            byte_compressed_ns: 128.0,
            byte_decompressed_ns: 256.0,
            byte_checksummed_ns: 512.0,
            byte_copied_ns: 1024.0,
            system_call_ns: 2048.0,
        };
        let work = CpuWork {
            operations: 1,
            comparisons: 1,
            memtable_steps: 1,
            memtable_inserts: 1,
            filter_probes: 1,
            model_evaluations: 1,
            cache_probes: 1,
            bytes_compressed: 1,
            bytes_decompressed: 1,
            bytes_checksummed: 1,
            bytes_copied: 1,
            system_calls: 1,
        };
        let prices = Prices::new(&costs);
        assert_eq!(prices.picos(&work), 4_095_000);
        assert_eq!(
            prices.picos(&CpuWork {
                comparisons: 5,
                bytes_copied: 2,
                ..CpuWork::default()
            }),
            2_058_000
        );
        assert_eq!(Prices::new(&CpuCosts::FREE).picos(&work), 0);
    }

    #[test]
    fn a_config_overrides_single_costs_and_refuses_nonsense() {
        let costs: CpuCosts = serde_json::from_str(r#"{"comparison_ns": 3}"#).unwrap();
        assert_eq!(
            costs,
            CpuCosts {
                comparison_ns: 3.0,
                ..CpuCosts::default()
            }
        );
        for (text, word) in [
            (r#"{"comparison": 3}"#, "unknown field"),
            (r#"{"comparison_ns": -1}"#, "below zero"),
        ] {
            let error = serde_json::from_str::<CpuCosts>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn work_waits_for_the_core_that_is_free_first() {
        let mut cores = Cores::new(2);
        let ends = [
            cores.run(0, 100),
            cores.run(0, 60),
            cores.run(10, 5),
            cores.run(200, 1),
        ];
        assert_eq!(ends, [100, 60, 65, 201]);
        assert_eq!(cores.busy_nanos, 166);
        assert_eq!(cores.wait_nanos, 50);
    }
}
