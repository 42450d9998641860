//! Why a policy cannot be built, and why one cannot be registered.

/// A policy that cannot be built from a spec.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The family has no policy of that name.
    #[error("unknown {family} policy `{policy}`; known: {}", known.join(", "))]
    UnknownPolicy {
        /// The family asked.
        family: &'static str,
        /// The name that was not found.
        policy: String,
        /// The family's names, sorted.
        known: Vec<&'static str>,
    },
    /// The policy has no parameter of that name.
    #[error(
        "unknown parameter `{parameter}` of {family} policy `{policy}`; {}",
        known_parameters(known)
    )]
    UnknownParameter {
        /// The family asked.
        family: &'static str,
        /// The policy.
        policy: &'static str,
        /// The name that was not found.
        parameter: String,
        /// The policy's parameters, sorted.
        known: Vec<String>,
    },
    /// A parameter has the wrong type or lies outside its range.
    #[error("bad parameter `{parameter}` of policy `{policy}`: {message}")]
    BadParameter {
        /// The policy.
        policy: String,
        /// The parameter.
        parameter: String,
        /// What is wrong with its value, with the range allowed.
        message: String,
    },
}

fn known_parameters(known: &[String]) -> String {
    if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("known: {}", known.join(", "))
    }
}

/// A policy that cannot be added to a family.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegisterError {
    /// A policy of this name is there already.
    #[error("the {family} policy `{policy}` is registered already")]
    NameTaken {
        /// The family.
        family: &'static str,
        /// The name.
        policy: &'static str,
    },
    /// The name cannot be written in configs and on command lines.
    #[error(
        "`{policy}` cannot name a {family} policy: names consist of a-z, 0-9 and `-`, \
         and begin with a letter or digit"
    )]
    BadName {
        /// The family.
        family: &'static str,
        /// The name.
        policy: &'static str,
    },
    /// The policy refuses its own default parameters.
    #[error("the {family} policy `{policy}` does not build with its defaults: {source}")]
    BadDefaults {
        /// The family.
        family: &'static str,
        /// The policy.
        policy: &'static str,
        /// What its builder reported.
        source: PolicyError,
    },
}
