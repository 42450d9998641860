//! Fixed: every table gets the configured index.
//!
//! Source: the null policy that tuners are compared with.
//! State: none.
//! Cost: none.
//! Invariants: always the configured index, whatever was observed.
//! Weak where: levels differ in how long their tables live and how often they are read.

use super::{Build, IndexChoice, IndexFacts, IndexReason, IndexTuner};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fixed",
    about: "the configured index, for every table",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Fixed) as _),
};

struct Fixed;

impl IndexTuner for Fixed {
    fn choose(&self, facts: &IndexFacts<'_>) -> IndexChoice {
        IndexChoice::configured(facts, IndexReason::Configured)
    }

    fn is_active(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicySpec;

    #[test]
    fn the_configured_index_is_chosen() {
        let configured = PolicySpec::named("anything").with("epsilon", 3);
        let choice = Fixed.choose(&IndexFacts {
            level: 2,
            deepest: 4,
            configured: &configured,
            kinds: &[],
        });
        assert_eq!(
            choice,
            IndexChoice {
                index: configured,
                reason: IndexReason::Configured
            }
        );
    }
}
