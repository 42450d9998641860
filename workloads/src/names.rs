//! Names of a trial's windows that no phase may have: metrics and seeds are found by them.

use crate::step::Step;

/// The phase that inserts the records.
pub const LOAD: &str = "load";

/// The wait, after the load, until no background work is left.
pub const SETTLE: &str = "settle";

/// The operations before the first phase that does any.
pub const WARM_UP: &str = "warm-up";

/// The wait, after the last operation, until no background work is left.
pub const DRAIN: &str = "drain";

/// The trial from its first operation to the end of the drain.
pub const WHOLE: &str = "whole";

/// The phase of a workload that names none.
pub const RUN: &str = "run";

/// Every name that no phase may have.
pub const RESERVED: [&str; 5] = [LOAD, SETTLE, WARM_UP, DRAIN, WHOLE];

/// The name of the window of a step: the phase's name, and the step in parentheses, which no phase
/// has in its name.
///
/// ```
/// use aura_workloads::{Step, names};
///
/// let window = names::of_step("tidy up", Step::Compact);
/// assert_eq!(window, "tidy up (compact)");
/// assert!(names::is_step(&window) && !names::is_step("tidy up"));
/// ```
pub fn of_step(phase: &str, step: Step) -> String {
    format!("{phase} ({})", step.name())
}

/// Whether a window is that of a step.
pub fn is_step(window: &str) -> bool {
    window.ends_with(')')
}
