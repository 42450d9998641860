//! How a config names a policy: a name, and the parameters that differ from their defaults.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A policy and its parameters, as a config writes them: `"lru"`, or
/// `{ policy = "leveled", ratio = 4 }`.
///
/// A spec is plain data and says nothing about whether such a policy exists:
/// [`AnyFamily::check`](crate::AnyFamily::check) does.
///
/// ```
/// use aura_policies::{PolicySpec, layout};
///
/// let short: PolicySpec = serde_json::from_str(r#""leveled""#)?;
/// assert_eq!(short, PolicySpec::named("leveled"));
///
/// let long: PolicySpec = serde_json::from_str(r#"{ "policy": "leveled", "ratio": 4 }"#)?;
/// assert_eq!(long, PolicySpec::named("leveled").with("ratio", 4));
/// assert_eq!(long.to_string(), "leveled(ratio=4)");
/// assert_eq!(layout::build(&long)?.ratio(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PolicySpec {
    /// The policy's registered name.
    pub policy: String,
    /// The parameters that are set; all others take the policy's defaults.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl PolicySpec {
    /// The policy `name` with every parameter at its default.
    pub fn named(name: &str) -> Self {
        Self {
            policy: name.to_owned(),
            params: Map::new(),
        }
    }

    /// This spec with the parameter `name` set to `value`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.policy)?;
        if self.params.is_empty() {
            return Ok(());
        }
        let params: Vec<String> = self
            .params
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        write!(f, "({})", params.join(", "))
    }
}

impl<'de> Deserialize<'de> for PolicySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a policy's name, or a table { policy = \"name\", parameter = value, ... }"
        )]
        enum Form {
            Name(String),
            Table {
                policy: String,
                #[serde(flatten)]
                params: Map<String, Value>,
            },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Name(policy) => Self {
                policy,
                params: Map::new(),
            },
            Form::Table { policy, params } => Self { policy, params },
        })
    }
}
