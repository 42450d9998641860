//! Never: no file is collected. A file is deleted when all its values are dead.
//!
//! Source: SurrealKV, which drops whole files and relocates nothing; the null policy of this
//! family.
//! State: none.
//! Cost: no writes; space without bound.
//! Invariants: no victims.
//! Weak where: values are overwritten, since one live value keeps its file.

use super::{Build, GcPolicy, ValueLogFacts};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "never",
    about: "no file is collected: it is deleted when all its values are dead",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Never) as _),
};

struct Never;

impl GcPolicy for Never {
    fn victims(&mut self, _log: &ValueLogFacts) -> Vec<u64> {
        Vec::new()
    }
}
