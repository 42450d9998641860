//! The registry form: an [`Entry`] names a policy and builds it, a [`Family`] lists its entries in one visible slice.
//!
//! Help texts, config validation, `aura list`, error messages and the law tests are all derived from these slices, so
//! that a new policy is one file and one line.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A policy as a config names it: `"lru"`, or `{ policy = "leveled", ratio = 10 }`.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PolicySpec {
    /// The policy's registered name.
    pub policy: String,
    /// Its parameters; those left out take the policy's defaults.
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

    /// The same policy with one parameter set.
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
        let params: Vec<_> = self
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

/// One registered policy: its name and parameters live with its code.
pub struct Entry<B: 'static> {
    /// The name a config uses; unique in its family.
    pub name: &'static str,
    /// One line: the idea and its source.
    pub about: &'static str,
    /// The parameters with their types, defaults and descriptions.
    pub params: fn() -> Vec<ParamDoc>,
    /// Makes the policy; the function's type is the family's.
    pub build: B,
}

/// What `aura list policies` and error messages say of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParamDoc {
    /// The parameter's name in a config.
    pub name: String,
    /// Its JSON type, such as `integer`.
    pub kind: String,
    /// The value it takes when left out.
    pub default: Value,
    /// What it means, with its unit.
    pub about: String,
}

/// A family of policies: a question and its registered answers.
pub struct Family<B: 'static> {
    /// The family's name, such as `cache`.
    pub name: &'static str,
    /// The question its policies answer.
    pub question: &'static str,
    /// The name of the policy used where a config says nothing.
    pub default: &'static str,
    /// The registered policies, sorted by name.
    pub entries: &'static [&'static Entry<B>],
}

impl<B> Family<B> {
    /// The entry that `spec` names, once its parameters' names are known to exist.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`] or [`PolicyError::UnknownParameter`], each with the known names.
    pub fn find(&self, spec: &PolicySpec) -> Result<&'static Entry<B>, PolicyError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == spec.policy) else {
            return Err(PolicyError::UnknownPolicy {
                family: self.name,
                policy: spec.policy.clone(),
                known: self.entries.iter().map(|entry| entry.name).collect(),
            });
        };
        let known: Vec<String> = (entry.params)()
            .into_iter()
            .map(|param| param.name)
            .collect();
        match spec.params.keys().find(|name| !known.contains(name)) {
            Some(name) => Err(PolicyError::UnknownParameter {
                family: self.name,
                policy: entry.name,
                parameter: name.clone(),
                known,
            }),
            None => Ok(entry),
        }
    }

    /// The family as plain data, for listings.
    pub fn info(&self) -> FamilyInfo {
        let policy = |entry: &&'static Entry<B>| PolicyInfo {
            name: entry.name,
            about: entry.about,
            default: entry.name == self.default,
            params: (entry.params)(),
        };
        FamilyInfo {
            name: self.name,
            question: self.question,
            policies: self.entries.iter().map(policy).collect(),
        }
    }

    /// The family's default policy, with its default parameters.
    pub fn default_spec(&self) -> PolicySpec {
        PolicySpec::named(self.default)
    }
}

/// A family as plain data.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyInfo {
    /// The family's name.
    pub name: &'static str,
    /// The question its policies answer.
    pub question: &'static str,
    /// Its policies, sorted by name.
    pub policies: Vec<PolicyInfo>,
}

/// A policy as plain data.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyInfo {
    /// The policy's name.
    pub name: &'static str,
    /// One line: the idea and its source.
    pub about: &'static str,
    /// Whether the family uses it where a config says nothing.
    pub default: bool,
    /// Its parameters.
    pub params: Vec<ParamDoc>,
}

/// A policy that cannot be built as a config asks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// No policy of that name is registered in the family.
    #[error("unknown {family} policy `{policy}`; known: {}", known.join(", "))]
    UnknownPolicy {
        /// The family asked.
        family: &'static str,
        /// The name that was not found.
        policy: String,
        /// The registered names.
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
        /// The policy named.
        policy: &'static str,
        /// The parameter that was not found.
        parameter: String,
        /// The parameters it has.
        known: Vec<String>,
    },
    /// A parameter has the wrong type or lies outside its range.
    #[error("bad parameter of policy `{policy}`: {message}")]
    BadParameter {
        /// The policy named.
        policy: String,
        /// What is wrong, with the range.
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

/// Reads a policy's parameters, with defaults for those left out.
///
/// # Errors
/// [`PolicyError::BadParameter`] when a value has the wrong type.
pub fn params<P: DeserializeOwned>(spec: &PolicySpec) -> Result<P, PolicyError> {
    serde_json::from_value(Value::Object(spec.params.clone()))
        .map_err(|error| bad(spec, &error.to_string()))
}

/// The error for a parameter of `spec` that is out of range.
pub fn bad(spec: &PolicySpec, message: &str) -> PolicyError {
    PolicyError::BadParameter {
        policy: spec.policy.clone(),
        message: message.to_owned(),
    }
}

/// The value of the parameter `name`, if it is in its range.
///
/// # Errors
/// [`PolicyError::BadParameter`], with the range, when it is not; a number that is none is in no range.
pub fn in_range<T: PartialOrd + fmt::Display>(
    spec: &PolicySpec,
    name: &str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, PolicyError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(bad(
        spec,
        &format!(
            "{name} must be {} to {}, not {value}",
            range.start(),
            range.end()
        ),
    ))
}

/// The documentation of a parameter struct: field docs, types and `Default` values, read from its JSON schema.
pub fn describe<P: schemars::JsonSchema + Default + Serialize>() -> Vec<ParamDoc> {
    let schema = schemars::schema_for!(P);
    let defaults = serde_json::to_value(P::default()).unwrap_or(Value::Null);
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let docs: BTreeMap<&String, &Value> = properties.iter().collect();
    docs.into_iter()
        .map(|(name, property)| ParamDoc {
            name: name.clone(),
            kind: kind_of(property),
            default: defaults.get(name).cloned().unwrap_or(Value::Null),
            about: property
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        })
        .collect()
}

fn kind_of(property: &Value) -> String {
    match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "value".to_owned(),
    }
}

/// The parameters of a policy that has none: any is refused.
#[derive(Debug, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}
