//! The pure half of `aura tune`: spaces, goals and searches, without files, trials or configs.
//!
//! ```text
//!   search: ask --> points of a space --> (measured) --> metrics --> goal: outcomes --> ask ...
//! ```

pub(crate) mod chance;
mod cholesky;
pub mod goal;
pub mod search;
pub mod space;
pub(crate) mod surface;

#[cfg(test)]
pub(crate) mod tests;
