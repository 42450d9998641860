//! Cost-benefit: files are collected by the space they give back and how long it stays free,
//! divided by what that costs.
//!
//! Source: Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File
//! System", TOCS 1992. The file with the largest (1 - u) * age / (1 + u) goes first, where u is the
//! live share: 1 to read the file and u to write what is live, and data that has lived long will
//! live on. Here a file needs a least share of garbage, as under the greedy policy, and age is
//! counted in bytes of writing.
//! State: none.
//! Cost: O(files log files) a job.
//! Invariants: of two files of one age, the one with more garbage goes first; of two with equal
//! shares of garbage, the older one.
//! Weak where: age predicts nothing. Overwrites are uniform (it then takes files that greedy would
//! leave), or the hot set moves.

use super::{Build, GcPolicy, Thresholds, ValueFileFacts, ValueLogFacts, filling, ranked};
use crate::entry::{Entry, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "cost-benefit",
    about: "the most space for the longest time against its cost first (LFS, TOCS 1992)",
    params: describe::<Thresholds>,
    build: |spec| {
        Ok(Box::new(CostBenefit {
            thresholds: params::<Thresholds>(spec)?.checked(spec)?,
        }))
    },
};

struct CostBenefit {
    thresholds: Thresholds,
}

/// (1 - u) * age / (1 + u), written with the share of garbage 1 - u so that rounding keeps its
/// order.
fn score(file: &ValueFileFacts) -> f64 {
    let garbage = file.garbage_share();
    garbage * file.age_bytes as f64 / (2.0 - garbage)
}

impl GcPolicy for CostBenefit {
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64> {
        filling(
            &ranked(self.thresholds.worth_it(log), score),
            log.file_bytes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, log};
    use super::*;
    use crate::PolicySpec;

    #[test]
    fn an_old_file_with_less_garbage_goes_first() {
        let spec = PolicySpec::named("cost-benefit").with("garbage", 0.1);
        let mut policy = (ENTRY.build)(&spec).unwrap();
        // 0.25 * 600 / 1.75 = 85.7 and 0.85 * 100 / 1.15 = 73.9.
        let cold = file(1, 25, 600, 1);
        let hot = file(2, 85, 100, 0);
        assert_eq!(policy.victims(&log(&[cold, hot], false)), [1, 2]);
        let cold = file(1, 25, 500, 1);
        let hot = file(2, 85, 100, 0);
        assert_eq!(policy.victims(&log(&[cold, hot], false)), [2, 1]);
    }
}
