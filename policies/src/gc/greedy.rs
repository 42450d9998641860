//! Greedy: the files with the most garbage are collected first, once they have enough of it.
//!
//! Source: Titan's picker (tikv/titan, `blob_gc_picker.cc`): files whose share of garbage reaches
//! 0.5, in descending order, until the survivors fill one output file. While the log's garbage is
//! above its high threshold, less garbage is enough.
//! State: none.
//! Cost: O(files log files) a job.
//! Invariants: no file that stays has a larger share of garbage than a victim.
//! Weak where: some keys are overwritten far more often than others. Files of cold values then stay
//! just below the threshold, and files of hot values are taken that would soon have held no live
//! value.

use super::{Build, GcPolicy, Thresholds, ValueFileFacts, ValueLogFacts, filling, ranked};
use crate::entry::{Entry, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "greedy",
    about: "the most garbage first, from a given share on (Titan)",
    params: describe::<Thresholds>,
    build: |spec| {
        Ok(Box::new(Greedy {
            thresholds: params::<Thresholds>(spec)?.checked(spec)?,
        }))
    },
};

struct Greedy {
    thresholds: Thresholds,
}

impl GcPolicy for Greedy {
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64> {
        let files = self.thresholds.worth_it(log);
        filling(
            &ranked(files, ValueFileFacts::garbage_share),
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
    fn the_most_garbage_goes_first_and_too_little_stays() {
        let mut policy = (ENTRY.build)(&PolicySpec::named("greedy")).unwrap();
        let files = [
            file(1, 49, 0, 0),
            file(2, 60, 0, 0),
            file(3, 70, 0, 0),
            file(4, 60, 0, 0),
        ];
        assert_eq!(
            policy.victims(&log(&files, false)),
            [3, 2],
            "30 and 40 bytes fit, 40 more do not"
        );
        assert_eq!(policy.victims(&log(&files[..1], false)), [0_u64; 0]);
        assert_eq!(
            policy.victims(&log(&files[..1], true)),
            [1],
            "less garbage is enough when it is urgent"
        );
        assert_eq!(
            policy.victims(&log(&[file(1, 9, 0, 0)], true)),
            [0_u64; 0],
            "but almost none is not"
        );
    }
}
