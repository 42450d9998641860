//! Agents as files: what an agent has learned, as one JSON object.
//!
//! A file is refused by an agent of another kind, another version of its features, or other scales,
//! and where its digest does not fit: weights that stand for other numbers are worse than none.
//! Nothing here reads or writes a file. The object stands in the agent's parameter.

use serde_json::Value;

use crate::splitmix::remix;

/// The version of the form. A change of what a field means raises it.
const VERSION: u32 = 1;

/// What an agent has learned, and what it holds for.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentFile {
    /// The agent's name.
    pub kind: String,
    /// The version of the form.
    pub version: u32,
    /// What the inputs of the weights are, in their order.
    pub features: Vec<String>,
    /// What the inputs were divided by, or whatever else sets their scale.
    pub scales: Vec<f64>,
    /// The parameters that it learned under.
    pub parameters: Value,
    /// The weights, in the order of the agent's own.
    pub weights: Vec<f64>,
    /// What it was trained on; null if nobody has said.
    #[serde(default)]
    pub trained_on: Value,
    /// Sixteen hexadecimal digits over kind, version, features, scales and weights.
    pub digest: String,
}

impl AgentFile {
    /// The file of an agent of this kind.
    pub fn new(
        kind: &str,
        features: &[&str],
        scales: &[f64],
        parameters: Value,
        weights: Vec<f64>,
    ) -> Self {
        let mut file = Self {
            kind: kind.to_owned(),
            version: VERSION,
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            scales: scales.to_vec(),
            parameters,
            weights,
            trained_on: Value::Null,
            digest: String::new(),
        };
        file.digest = file.computed_digest();
        file
    }

    /// The file as JSON. Weights that are no finite numbers become null, and are refused when they
    /// are read.
    pub fn into_value(self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The weights, if this is an intact file of that kind with these features and scales.
    ///
    /// # Errors
    /// A sentence that says what differs.
    pub fn check(self, kind: &str, features: &[&str], scales: &[f64]) -> Result<Vec<f64>, String> {
        if self.kind != kind {
            return Err(format!("is of `{}`, not of `{kind}`", self.kind));
        }
        if self.version != VERSION {
            return Err(format!("has version {}, not {VERSION}", self.version));
        }
        if self.features != features {
            let found = self.features.join(", ");
            let known = features.join(", ");
            return Err(format!("has the features {found}, not {known}"));
        }
        if self.scales != scales {
            return Err(format!("has the scales {:?}, not {scales:?}", self.scales));
        }
        if self.digest != self.computed_digest() {
            return Err("has weights that do not fit its digest".to_owned());
        }
        Ok(self.weights)
    }

    fn computed_digest(&self) -> String {
        let mut digest = remix(u64::from(self.version));
        let mut add = |bytes: &[u8]| {
            digest = remix(digest ^ bytes.len() as u64);
            for chunk in bytes.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                digest = remix(digest ^ u64::from_le_bytes(word));
            }
        };
        add(self.kind.as_bytes());
        for feature in &self.features {
            add(feature.as_bytes());
        }
        for numbers in [&self.scales, &self.weights] {
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            add(&bytes.collect::<Vec<u8>>());
        }
        format!("{digest:016x}")
    }
}

/// An agent's parameter that takes a file: a table, empty for none.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(super) struct Learning(Option<Box<AgentFile>>);

impl Learning {
    /// The weights of the file; `None` without one.
    pub(super) fn open(
        self,
        kind: &str,
        features: &[&str],
        scales: &[f64],
    ) -> Result<Option<Vec<f64>>, String> {
        self.0
            .map(|file| file.check(kind, features, scales))
            .transpose()
    }
}

impl TryFrom<Value> for Learning {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, serde_json::Error> {
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Self(None));
        }
        serde_json::from_value(value).map(|file| Self(Some(Box::new(file))))
    }
}

impl From<Learning> for Value {
    fn from(learning: Learning) -> Self {
        match learning.0 {
            None => Self::Object(serde_json::Map::new()),
            Some(file) => file.into_value(),
        }
    }
}

impl schemars::JsonSchema for Learning {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AgentFile".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file() -> AgentFile {
        AgentFile::new("x", &["a", "b"], &[10.0], json!({}), vec![0.1, -1.0 / 3.0])
    }

    fn opened(value: Value) -> Result<Option<Vec<f64>>, String> {
        let learning = Learning::try_from(value).map_err(|error| error.to_string())?;
        learning.open("x", &["a", "b"], &[10.0])
    }

    #[test]
    fn a_file_survives_its_text_bit_for_bit() {
        let text = file().into_value().to_string();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(opened(value), Ok(Some(vec![0.1, -1.0 / 3.0])));
        assert_eq!(opened(json!({})), Ok(None));
    }

    #[test]
    fn a_file_that_means_something_else_is_refused() {
        let with = |name: &str, value: Value| {
            let mut file = file().into_value();
            file[name] = value;
            opened(file)
        };
        assert!(with("kind", json!("y")).is_err());
        assert!(with("version", json!(2)).is_err());
        assert!(with("features", json!(["b", "a"])).is_err());
        assert!(with("scales", json!([6.0])).is_err());
        assert!(with("weights", json!([0.1, -0.3])).is_err());
        assert!(with("weights", json!([0.1, null])).is_err());
        assert!(with("digest", json!("")).is_err());
        assert!(with("more", json!(1)).is_err());
        assert!(with("trained_on", json!({ "seeds": 3 })).is_ok());
        assert!(opened(json!({ "wrong": true })).is_err());
    }
}
