//! The rules of the house that no compiler checks.
//!
//! `crates`: which crate may depend on which, and no circles of modules. `policies`: a policy is
//! one file and one entry. `text`: words and widths. `documents`: README and ARCHITECTURE say what
//! is true.
#![expect(
    clippy::disallowed_methods,
    reason = "it reads the project's own sources"
)]

mod crates;
mod documents;
mod policies;
mod sources;
mod text;
