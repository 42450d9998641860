//! None: the settings stay as they are.
//!
//! Source: the baseline that every self-tuner is compared with.
//! State: none.
//! Cost: none; the engine measures no windows for it.
//! Invariants: it never proposes anything.
//! Weak where: the workload changes, or the settings were wrong from the start.

use super::{Build, Proposal, SelfTuner};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::TuningFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "none",
    about: "the settings stay as they are",
    params: describe::<NoParams>,
    build: |_seed, spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Idle) as _),
};

struct Idle;

impl SelfTuner for Idle {
    fn step(&mut self, _facts: &TuningFacts) -> Option<Proposal> {
        None
    }

    fn is_active(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_proposes_anything() {
        assert!(!Idle.is_active());
        assert_eq!(Idle.step(&TuningFacts::default()), None);
    }
}
