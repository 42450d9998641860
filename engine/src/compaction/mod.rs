//! Compaction: a policy proposes a plan, [`mod@check`] holds it against the tree, [`mod@merge`] carries it out.
//!
//! No choice is made here. A plan that is refused is counted and costs nothing but the merge that did not happen.

pub(crate) mod check;
pub(crate) mod collection;
pub(crate) mod flush;
mod index_choice;
mod job;
mod merge;
pub(crate) mod new_files;
pub(crate) mod values;
mod version_filter;
pub(crate) mod warm;

pub(crate) use check::check;
pub(crate) use job::Job;
pub(crate) use version_filter::VersionFilter;
