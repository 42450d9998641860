//! What a policy registers: an [`Entry`] with its name, its parameters and its builder.
//!
//! A policy declares its parameters as a struct with serde's and schemars' derives, a `Default` and
//! a doc comment for each field. [`describe`] turns that struct into help texts and [`params`]
//! reads it from a config, so names, types, defaults and descriptions are written once.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, RangeBounds};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::PolicyError;
use crate::spec::PolicySpec;

/// One policy of a family: its name, its parameters and how it is built.
///
/// A policy of this crate has its entry in its own file, and its family lists it. A policy of
/// another crate is added by [`Family::register`](crate::Family::register), which has an example.
pub struct Entry<B: 'static> {
    /// The name a config uses; unique in its family.
    pub name: &'static str,
    /// One line: the idea and its source.
    pub about: &'static str,
    /// Lists the parameters; usually [`describe`] of the policy's parameter struct.
    pub params: fn() -> Vec<ParamDoc>,
    /// Builds the policy. The type is the family's, for example
    /// [`cache::Build`](crate::cache::Build).
    pub build: B,
}

/// What `aura list policies` and error messages show of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParamDoc {
    /// The parameter's name in a config.
    pub name: String,
    /// Its JSON type, such as `integer`.
    pub kind: String,
    /// The value it takes when a config leaves it out.
    pub default: Value,
    /// What it means, with unit and range.
    pub about: String,
}

/// Reads a policy's parameters; those that `spec` leaves out take their defaults.
///
/// `P` should derive `Deserialize` with `#[serde(deny_unknown_fields, default)]`.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::entry::params;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields, default)]
/// struct Params {
///     ratio: u32,
/// }
///
/// impl Default for Params {
///     fn default() -> Self {
///         Self { ratio: 10 }
///     }
/// }
///
/// let spec = PolicySpec::named("leveled");
/// assert_eq!(params::<Params>(&spec)?.ratio, 10);
/// assert_eq!(params::<Params>(&spec.clone().with("ratio", 4))?.ratio, 4);
/// assert!(params::<Params>(&spec.with("ratio", "four")).is_err());
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError::BadParameter`] if a value has the wrong type.
pub fn params<P: DeserializeOwned>(spec: &PolicySpec) -> Result<P, PolicyError> {
    let read = |params| serde_json::from_value::<P>(Value::Object(params));
    read(spec.params.clone()).map_err(|error| {
        // The error does not say which parameter is wrong: it is the first that fails alone.
        for (name, value) in &spec.params {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            if let Err(error) = read(alone) {
                return bad(spec, name, &error.to_string());
            }
        }
        bad(spec, "", &error.to_string())
    })
}

/// The error for a value of `parameter` that the policy does not accept.
///
/// `message` goes on where "bad parameter `ratio` of policy `leveled`: " ends, for example with
/// "must be 2 to 100, not 1".
pub fn bad(spec: &PolicySpec, parameter: &str, message: &str) -> PolicyError {
    PolicyError::BadParameter {
        policy: spec.policy.clone(),
        parameter: parameter.to_owned(),
        message: message.to_owned(),
    }
}

/// Returns `value`, the value of `parameter`, if it lies in `range`. NaN lies in no range.
///
/// A range with open ends is a pair of [`Bound`]s: `(Excluded(0.0), Included(1.0))`.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::entry::in_range;
///
/// let spec = PolicySpec::named("leveled").with("ratio", 1);
/// assert_eq!(in_range(&spec, "ratio", 4, 2..=100)?, 4);
/// assert_eq!(
///     in_range(&spec, "ratio", 1, 2..=100).unwrap_err().to_string(),
///     "bad parameter `ratio` of policy `leveled`: must be 2 to 100, not 1"
/// );
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError::BadParameter`] with the range, if `value` lies outside.
pub fn in_range<T: PartialOrd + fmt::Display>(
    spec: &PolicySpec,
    parameter: &str,
    value: T,
    range: impl RangeBounds<T>,
) -> Result<T, PolicyError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let low = match range.start_bound() {
        Bound::Included(low) => format!("at least {low}"),
        Bound::Excluded(low) => format!("above {low}"),
        Bound::Unbounded => String::new(),
    };
    let high = match range.end_bound() {
        Bound::Included(high) => format!("at most {high}"),
        Bound::Excluded(high) => format!("below {high}"),
        Bound::Unbounded => String::new(),
    };
    let allowed = match (range.start_bound(), range.end_bound()) {
        (Bound::Included(low), Bound::Included(high)) => format!("{low} to {high}"),
        (_, Bound::Unbounded) => low,
        (Bound::Unbounded, _) => high,
        _ => format!("{low} and {high}"),
    };
    Err(bad(
        spec,
        parameter,
        &format!("must be {allowed}, not {value}"),
    ))
}

/// Documents a parameter struct: each field's name, type, default and doc comment, sorted by name.
///
/// Types and descriptions come from the struct's JSON schema, defaults from its `Default`.
///
/// ```
/// use aura_policies::entry::describe;
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Params {
///     /// How many times larger each level is than the one above (2 to 100).
///     ratio: u32,
/// }
///
/// impl Default for Params {
///     fn default() -> Self {
///         Self { ratio: 10 }
///     }
/// }
///
/// let docs = describe::<Params>();
/// assert_eq!(docs[0].name, "ratio");
/// assert_eq!(docs[0].kind, "integer");
/// assert_eq!(docs[0].default, 10);
/// assert!(docs[0].about.starts_with("How many times larger"));
/// ```
pub fn describe<P: schemars::JsonSchema + Default + Serialize>() -> Vec<ParamDoc> {
    let schema = schemars::schema_for!(P);
    let defaults = serde_json::to_value(P::default()).unwrap_or(Value::Null);
    let none = Map::new();
    let properties: BTreeMap<&String, &Value> = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none)
        .iter()
        .collect();
    let mut docs = Vec::new();
    for (name, property) in properties {
        docs.push(ParamDoc {
            name: name.clone(),
            kind: json_type(property),
            default: defaults.get(name).cloned().unwrap_or(Value::Null),
            about: description(property),
        });
    }
    docs
}

/// The type a schema names, such as `integer`; `value` if it names none.
fn json_type(property: &Value) -> String {
    match property.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "value".to_owned(),
    }
}

fn description(property: &Value) -> String {
    property
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The parameter struct of a policy without parameters: any parameter is refused.
#[derive(Debug, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}
