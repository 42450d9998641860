//! Stop only: writers go at full speed up to a stop, and wait there.
//!
//! Source: the plainest bound; LevelDB without its slow-down trigger.
//! State: none.
//! Cost: O(1).
//! Invariants: level 0, debt and garbage stay within their stops. Writers are never slowed down.
//! Weak where: tails matter. Nobody waits until the stop, and there everybody waits for a whole
//! compaction.

use super::{Build, Decision, StallControl, StallFacts};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "stop-only",
    about: "writers go at full speed up to a stop, and wait there",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(StopOnly) as _),
};

struct StopOnly;

impl StallControl for StopOnly {
    fn decide(&self, facts: &StallFacts) -> Decision {
        let stop = |cause| Decision::Stop { cause };
        facts.stopped_by().map_or(Decision::Go, stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall::{Cause, Zone};

    #[test]
    fn writers_go_until_the_stop() {
        let mut facts = StallFacts {
            level0: Zone::Slow { over: 15, span: 16 },
            ..StallFacts::default()
        };
        assert_eq!(StopOnly.decide(&facts), Decision::Go);
        facts.debt = Zone::Stop;
        let cause = Cause::Debt;
        assert_eq!(StopOnly.decide(&facts), Decision::Stop { cause });
    }
}
