//! The pure half of `aura tune`: spaces, goals and searches, without files, trials or configs.
//!
//! ```text
//!   search: ask --> points of a space --> (measured) --> metrics --> goal: outcomes --> ask ...
//! ```
//!
//! It knows metrics and the rows that trials leave, and nothing above them. `config` checks a table
//! `tune` into its types, and lays points over the baseline; [`tune`](crate::tune) has the points
//! measured. Nothing here calls either of the two: a search is a function of its seed and of the
//! outcomes it was given.

pub(crate) mod chance;
mod cholesky;
pub mod goal;
pub mod search;
pub mod space;
pub(crate) mod surface;

#[cfg(test)]
pub(crate) mod tests;
