//! What may be believed, in words.

use super::Agreement;
use crate::formats::digits;
use crate::names::named_enum;

named_enum! {
    /// How far one metric of a simulation may be believed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
    pub enum Belief {
        /// The order of the variants, and their values to a tenth.
        Values = "values",
        /// The order of the variants.
        Order = "order",
        /// Large differences only.
        Care = "with care",
        /// Not even the order.
        No = "no",
        /// In one of the worlds no two variants differ.
        Undecided = "nothing to rank",
    }
}

/// From this tau on the order is believed.
const ORDER_MIN: f64 = 0.8;

/// From this tau on the order is believed with care.
const CARE_MIN: f64 = 0.5;

/// Up to this median error values are believed.
const ERROR_MAX: f64 = 0.1;

impl Agreement {
    /// How far the metric may be believed.
    pub fn belief(&self) -> Belief {
        match self.tau {
            None => Belief::Undecided,
            Some(tau) if tau >= ORDER_MIN && self.error.is_some_and(|it| it <= ERROR_MAX) => {
                Belief::Values
            }
            Some(tau) if tau >= ORDER_MIN => Belief::Order,
            Some(tau) if tau >= CARE_MIN => Belief::Care,
            Some(_) => Belief::No,
        }
    }
}

/// Says of all metrics, in one sentence for each belief, what may be believed.
pub fn believed(agreements: &[Agreement]) -> String {
    let of = |belief: Belief| -> Vec<String> {
        let found = agreements.iter().filter(|it| it.belief() == belief);
        found.map(named).collect()
    };
    let sentences = [
        (Belief::Values, "Order and values may be believed of"),
        (
            Belief::Order,
            "The order of variants, not their values, may be believed of",
        ),
        (Belief::Care, "Large differences only may be believed of"),
        (Belief::No, "Nothing may be believed of"),
        (
            Belief::Undecided,
            "No two variants differ by 2 % in one of the worlds in",
        ),
    ];
    let said = sentences.into_iter().filter_map(|(belief, words)| {
        let metrics = of(belief);
        (!metrics.is_empty()).then(|| format!("{words} {}.", metrics.join(", ")))
    });
    said.collect::<Vec<_>>().join(" ")
}

/// A metric with its numbers.
fn named(it: &Agreement) -> String {
    let tau = it
        .tau
        .map_or_else(String::new, |tau| format!("tau {tau:.2}, "));
    let error = match it.error {
        Some(error) => format!("off by {} %", digits(error * 100.0, 2)),
        None => "values of zero".to_owned(),
    };
    format!("{} in {} ({tau}{error})", it.metric, it.phase)
}

#[cfg(test)]
mod tests {
    use super::super::Signs;
    use super::*;

    fn agreement(tau: Option<f64>, error: f64) -> Agreement {
        Agreement {
            metric: "run.throughput_ops".to_owned(),
            phase: "run".to_owned(),
            variants: Vec::new(),
            tau,
            signs: Signs::default(),
            error: Some(error),
            spread: None,
        }
    }

    #[test]
    fn belief_follows_tau_and_then_the_error() {
        for (tau, error, belief) in [
            (Some(1.0), 0.05, Belief::Values),
            (Some(0.8), 0.5, Belief::Order),
            (Some(0.6), 0.01, Belief::Care),
            (Some(-0.2), 0.01, Belief::No),
            (None, 0.0, Belief::Undecided),
        ] {
            assert_eq!(agreement(tau, error).belief(), belief, "{tau:?} {error}");
        }
        let said = believed(&[agreement(Some(0.9), 0.4), agreement(Some(0.1), 0.4)]);
        assert_eq!(
            said,
            "The order of variants, not their values, may be believed of run.throughput_ops in run \
             (tau 0.90, off by 40 %). Nothing may be believed of run.throughput_ops in run (tau \
             0.10, off by 40 %)."
        );
    }
}
