//! None: the layout stays as configured.
//!
//! Source: the baseline that every agent is compared with.
//! State: none.
//! Cost: none; the engine need not measure windows.
//! Invariants: it never acts.
//! Weak where: the workload changes.

use super::{Agent, Build, Decision};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::{TreeShape, WindowStats};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "none",
    about: "the layout stays as configured",
    params: describe::<NoParams>,
    build: |_seed, spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Idle) as _),
};

struct Idle;

impl Agent for Idle {
    fn step(&mut self, _window: &WindowStats, _tree: &TreeShape) -> Vec<Decision> {
        Vec::new()
    }

    fn is_active(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_acts() {
        assert!(!Idle.is_active());
        assert_eq!(
            Idle.step(
                &WindowStats {
                    operations_total: u64::MAX,
                    ..Default::default()
                },
                &TreeShape::default()
            ),
            []
        );
    }
}
