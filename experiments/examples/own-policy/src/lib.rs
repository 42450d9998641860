//! A cache policy that lives outside AuraDB's tree, as an example to copy.
//!
//! The crate depends on `aura-policies` for the policy, and on `aura-experiments` for a command
//! `aura` of its own (`src/main.rs`). In that command the policy is like any other: listed,
//! checked, compared, and a part of a trial's id.
//!
//! ```
//! use aura_policies::{PolicySpec, cache};
//!
//! own_policy::register()?;
//! let policy = cache::build(&PolicySpec::named("two-choices"), 1 << 20, 7)?;
//! assert_eq!(policy.audit(&[]), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod two_choices;

use aura_policies::{RegisterError, cache};

/// Adds this crate's policies to their families. Call it once, before a config is read.
///
/// # Errors
/// [`RegisterError`] if a name is taken: a second call, or a policy of that name in AuraDB.
pub fn register() -> Result<(), RegisterError> {
    cache::FAMILY.register(&two_choices::ENTRY)
}
