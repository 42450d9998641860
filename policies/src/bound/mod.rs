//! Offline bounds: what could the best cache have done?
//!
//! A bound is given the whole trace at once, so that it may look ahead; no cache can be run this way. It answers with a
//! count that eviction policies are held against. Which policies it bounds differs: one that must insert every object it
//! misses plays another game than one that may refuse, and a bound that ignores sizes is none where sizes differ; each
//! policy says so. Rules of the replay, as [`crate::cache::replay`] has them: the cache starts empty; an object
//! keeps the size it came in with; one larger than the capacity is missed and not inserted.

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

pub use crate::cache::replay::Object;

mod min;
mod min_bypass;
mod pfoo_l;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The object asked for. The numbers are dense from 0: arrays of the largest are made.
    pub object: Object,
    /// Bytes of the object.
    pub bytes: u64,
}

/// What a cache missed on a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Requests that found nothing.
    pub misses: u64,
    /// Bytes asked for by those requests.
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
    /// Misses of a cache of `capacity` bytes on `trace`. O(requests log requests).
    fn replay(&self, trace: &[Request], capacity: u64) -> Tally;
}

/// Makes a bound.
pub type Build = fn(&PolicySpec) -> Result<Box<dyn Bound>, PolicyError>;

/// The family.
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
/// # Errors
/// An unknown name or parameter, or a value out of range.
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

/// For each request, when its object is asked for next.
fn next_uses(trace: &[Request]) -> Vec<usize> {
    let mut seen = vec![NEVER; objects(trace)];
    let mut next = vec![NEVER; trace.len()];
    for (time, request) in trace.iter().enumerate().rev() {
        next[time] = std::mem::replace(&mut seen[request.object as usize], time);
    }
    next
}
