//! Never: no file is collected; one goes when everything in it is dead.
//!
//! Source: SurrealKV, which drops whole files and relocates nothing; the null of the family.
//! State: none.
//! Cost: none; space, without bound.
//! Invariants: no victims.
//! Weak where: anything is overwritten: one live value keeps its file.

use super::{Build, GcPolicy, ValueLogFacts};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "never",
    about: "no file is collected: one goes when all in it is dead",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Never) as _),
};

struct Never;

impl GcPolicy for Never {
    fn victims(&mut self, _log: &ValueLogFacts) -> Vec<u64> {
        Vec::new()
    }
}
