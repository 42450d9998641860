//! Names of a trial's windows that no phase may have: metrics and seeds are found by them.

/// The phase that inserts the records.
pub const LOAD: &str = "load";

/// The wait, after the load, until no background work is left.
pub const SETTLE: &str = "settle";

/// The operations before the first measured phase.
pub const WARM_UP: &str = "warm-up";

/// The wait, after the last operation, until no background work is left.
pub const DRAIN: &str = "drain";

/// The trial from its first operation to the end of the drain.
pub const WHOLE: &str = "whole";

/// Every name that no phase may have.
pub const RESERVED: [&str; 5] = [LOAD, SETTLE, WARM_UP, DRAIN, WHOLE];
