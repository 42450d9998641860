//! Always: every object enters.
//!
//! Source: the default of every cache, and the baseline of this family.
//! State: none.
//! Cost: none; the mechanism does not ask.
//! Invariants: no object is refused.
//! Weak where: most objects are requested once (a scan, a long tail), and each evicts another.

use super::Build;
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "always",
    about: "every object enters",
    params: describe::<NoParams>,
    build: Build {
        needs_sizes: false,
        make: |_capacity, _seed, spec| params::<NoParams>(spec).map(|NoParams {}| None),
    },
};
