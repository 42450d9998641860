//! Compaction: a policy proposes a plan, [`mod@check`] holds it against the tree, [`mod@merge`] carries it out.
//!
//! No choice is made here. A plan that is refused is counted and costs nothing but the merge that did not happen.

mod check;
mod job;
mod merge;
pub(crate) mod values;

pub(crate) use check::check;
pub(crate) use job::Job;
