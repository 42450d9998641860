//! Offline bounds: what could the best cache have done?
//!
//! A bound sees the whole trace at once, so it may look ahead; no real cache can. It returns a
//! count of misses to compare eviction policies with. Each bound says which policies it bounds: a
//! policy that must insert every object it misses plays a harder game than one that may refuse, and
//! a bound that ignores sizes holds only if they are equal.
//!
//! Bounds replay a trace by the rules of [`crate::replay`]: the cache starts empty, an object keeps
//! the size it entered with, and an object larger than the capacity is missed and not inserted.

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

pub use crate::replay::Object;

mod min;
mod min_bypass;
mod pfoo_l;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The object requested. Numbers should be dense from 0: memory is used up to the largest.
    pub object: Object,
    /// Bytes of the object.
    pub bytes: u64,
}

/// What a cache missed on a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Requests for objects that were not held.
    pub misses: u64,
    /// Bytes of those requests.
    pub miss_bytes: u64,
}

impl Tally {
    fn add(&mut self, missed: Request) {
        self.misses += 1;
        self.miss_bytes = self.miss_bytes.saturating_add(missed.bytes);
    }
}

/// A cache that knows the future, or a count that no cache can fall below.
pub trait Bound: Send + Sync {
    /// Counts the misses of a cache of `capacity` bytes on `trace`. O(requests log requests).
    fn replay(&self, trace: &[Request], capacity: u64) -> Tally;
}

/// How a bound is built.
pub type Build = fn(&PolicySpec) -> Result<Box<dyn Bound>, PolicyError>;

/// The bounds.
pub static FAMILY: Family<Build> = Family {
    name: "bound",
    question: "what could the best cache have done?",
    default: "min",
    built_in: &[&min::ENTRY, &min_bypass::ENTRY, &pfoo_l::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the bound that `spec` names.
///
/// ```
/// use aura_policies::bound::{self, Request};
/// use aura_policies::PolicySpec;
///
/// // Ten objects in a cycle, five rounds, room for three.
/// let trace: Vec<Request> = (0..50).map(|i| Request { object: i % 10, bytes: 1 }).collect();
/// let min = bound::build(&PolicySpec::named("min"))?;
/// let bypass = bound::build(&PolicySpec::named("min-bypass"))?;
/// assert_eq!(min.replay(&trace, 3).misses, 40);
/// assert_eq!(bypass.replay(&trace, 3).misses, 38);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Bound>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}

/// The time of a request that never comes.
const NEVER: usize = usize::MAX;

fn objects(trace: &[Request]) -> usize {
    trace
        .iter()
        .map(|request| request.object as usize + 1)
        .max()
        .unwrap_or(0)
}

/// For each request, the time of the next request for its object.
fn next_uses(trace: &[Request]) -> Vec<usize> {
    let mut seen = vec![NEVER; objects(trace)];
    let mut next = vec![NEVER; trace.len()];
    for (time, request) in trace.iter().enumerate().rev() {
        next[time] = std::mem::replace(&mut seen[request.object as usize], time);
    }
    next
}
