//! None: writers are never slowed down or stopped, whatever the background owes.
//!
//! Source: the baseline that every stall control is compared with.
//! State: none.
//! Cost: O(1).
//! Invariants: it never slows down and never stops. What memory depends on is no question to a
//! policy and stays: writers wait while `memtables_sealed_max` memtables wait for their flush and
//! the active one is full.
//! Weak where: writes come faster than they are compacted. Then level 0, the debt and the garbage
//! of the value log grow without a bound, and reads with them.

use super::{Build, Decision, StallControl, StallFacts};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "none",
    about: "writers wait for memory only: level 0, debt and garbage have no bound",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Unbounded) as _),
};

struct Unbounded;

impl StallControl for Unbounded {
    fn decide(&self, _facts: &StallFacts) -> Decision {
        Decision::Go
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall::Zone;

    #[test]
    fn nothing_slows_writers_down() {
        let facts = StallFacts {
            level0: Zone::Stop,
            debt: Zone::Stop,
            garbage: Zone::Stop,
            ..StallFacts::default()
        };
        assert_eq!(Unbounded.decide(&facts), Decision::Go);
    }
}
