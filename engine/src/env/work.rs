//! The kinds of CPU work: what is counted, and what it costs in a simulation.
//!
//! One list names each kind with its cost. The structs, the defaults and the conversions come from
//! it, so that a kind cannot be counted and not charged.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Names every kind of work once: what a count means, what one of it costs, and the default cost.
macro_rules! kinds_of_work {
    ($(
        $(#[$count_doc:meta])* $count:ident,
        $(#[$cost_doc:meta])* $cost:ident = $default:literal;
    )*) => {
        /// CPU work as counts. A simulation charges time for it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct CpuWork {
            $($(#[$count_doc])* pub $count: u64,)*
        }

        impl CpuWork {
            /// The names of the counts, in order.
            pub const NAMES: [&'static str; KINDS] = [$(stringify!($count),)*];

            /// Returns the counts in the order of their [names](Self::NAMES).
            pub fn counts(&self) -> [u64; KINDS] {
                [$(self.$count,)*]
            }

            /// Adds other work.
            pub fn add(&mut self, other: &Self) {
                $(self.$count += other.$count;)*
            }
        }

        /// Nanoseconds of one core for each kind of [`CpuWork`].
        ///
        /// Most defaults are between the prices that two runs of `aura calibrate` found on a quiet
        /// guest of two threads of an AMD EPYC, where a cached get took 1.6 us and a put 7 us. They
        /// give times within a third of most of its 33 probes. Models, training and compression
        /// could not be separated: their costs are stated. A config can override each of them, or
        /// name a profile of its machine.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct CpuCosts {
            $(
                $(#[$cost_doc])*
                #[serde(deserialize_with = "non_negative")]
                pub $cost: f64,
            )*
        }

        impl Default for CpuCosts {
            fn default() -> Self {
                Self { $($cost: $default,)* }
            }
        }

        impl CpuCosts {
            /// The names of the costs, in the order of [`CpuWork::NAMES`].
            pub const NAMES: [&'static str; KINDS] = [$(stringify!($cost),)*];

            /// Costs of 0, to simulate the device alone.
            pub const FREE: Self = Self { $($cost: 0.0,)* };

            /// Returns the costs in the order of [`CpuWork::NAMES`].
            pub fn nanos(&self) -> [f64; KINDS] {
                [$(self.$cost,)*]
            }

            /// Makes costs of nanoseconds in the order of [`CpuWork::NAMES`].
            pub fn of_nanos(nanos: [f64; KINDS]) -> Self {
                let [$($cost,)*] = nanos;
                Self { $($cost,)* }
            }
        }

        /// Number of kinds of work.
        pub(super) const KINDS: usize = [$($default,)*].len();
    };
}

kinds_of_work! {
    /// Operations started (the fixed cost of a call).
    operations,
    /// Starting an operation.
    operation_ns = 210.0;
    /// Key comparisons.
    comparisons,
    /// Comparing two keys.
    comparison_ns = 6.0;
    /// Steps through a memtable's nodes.
    memtable_steps,
    /// Going to the next node of a memtable.
    memtable_step_ns = 120.0;
    /// Entries put into a memtable.
    memtable_inserts,
    /// Inserting an entry into a memtable, in addition to the steps.
    memtable_insert_ns = 2200.0;
    /// Entries that a merge of memtables and tables has moved past, in scans, flushes and
    /// compactions.
    cursor_steps,
    /// Moving a merge to the next entry, comparisons and steps through a memtable excluded.
    cursor_step_ns = 200.0;
    /// Rows that scans returned.
    scan_rows,
    /// Handing a row of a scan to its caller, in addition to the step of the merge.
    scan_row_ns = 120.0;
    /// Entries added to a table.
    table_inserts,
    /// Adding an entry to a table, with its share of filter and block, its bytes excluded.
    table_insert_ns = 170.0;
    /// Filters probed.
    filter_probes,
    /// Probing a filter.
    filter_probe_ns = 13.0;
    /// Filters probed that are solutions of equations.
    solution_probes,
    /// Probing a filter of equations, in addition to a filter's probe: a fifth of it, as of 600 ns
    /// where Bloom took 500 ns (RocksDB's post on Ribbon filters, 2021).
    solution_probe_ns = 2.6;
    /// Equations solved for a table's filter, one a key.
    filter_equations,
    /// Solving one, in addition to the filter's share of adding an entry: 140 ns where Bloom took
    /// 32 ns (the same post).
    filter_equation_ns = 108.0;
    /// Learned models evaluated.
    model_evaluations,
    /// Evaluating a learned model.
    model_evaluation_ns = 20.0;
    /// Keys that a learned model was fitted to.
    keys_fitted,
    /// Fitting a model to one more key: PGM and greedy lines took 54 to 65 ns where an evaluation
    /// took 25, for 16,000 to 100,000 random keys.
    key_fitted_ns = 50.0;
    /// Cache look-ups.
    cache_probes,
    /// Looking up an object in the cache.
    cache_probe_ns = 1050.0;
    /// Bytes compressed.
    bytes_compressed,
    /// Compressing one byte.
    byte_compressed_ns = 2.0;
    /// Bytes decompressed, measured by the output.
    bytes_decompressed,
    /// Decompressing to one byte.
    byte_decompressed_ns = 0.29;
    /// Bytes checksummed.
    bytes_checksummed,
    /// Checksumming one byte.
    byte_checksummed_ns = 0.13;
    /// Bytes copied.
    bytes_copied,
    /// Copying one byte.
    byte_copied_ns = 0.9;
    /// Calls to the operating system.
    system_calls,
    /// Entering and leaving the operating system.
    system_call_ns = 1000.0;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_pairs_each_count_with_its_cost() {
        let costs = serde_json::to_value(CpuCosts::default()).unwrap();
        let costs: Vec<&str> = costs
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(costs.len(), KINDS);
        for name in CpuWork::NAMES {
            let singular: Vec<&str> = name.split('_').map(|it| it.trim_end_matches('s')).collect();
            let cost = format!("{}_ns", singular.join("_"));
            assert!(costs.contains(&cost.as_str()), "{name} has the cost {cost}");
        }
    }

    #[test]
    fn a_config_overrides_single_costs_and_refuses_nonsense() {
        let costs: CpuCosts = serde_json::from_str(r#"{"comparison_ns": 3}"#).unwrap();
        let expected = CpuCosts {
            comparison_ns: 3.0,
            ..CpuCosts::default()
        };
        assert_eq!(costs, expected);
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
}
