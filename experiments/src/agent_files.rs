//! Files of saved agents.
//!
//! In a config the parameter `model` of an agent that learns may be the path of a file. Its place
//! is then held by a table of the file and its digest: a trial depends on the agent, not on where
//! its file lies. The trial puts the agent itself in place of the table, and ends with an error if
//! the file holds another one than when it was planned.

use std::path::{Path, PathBuf};

use aura_engine::EngineConfig;
use aura_policies::agent::{self, AgentFile, SAVED};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files::{self, FileError};

/// The parameter of an agent that learns which says whether it goes on.
pub const LEARN: &str = "learn";

/// Why the file of an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentFileError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// It holds something else.
    #[error("{}: this is no saved agent: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The file is not what was planned.
    #[error(
        "{}: its agent is not the one that was planned: its digest is {found}, not {planned}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest of its agent.
        found: String,
        /// The digest in the settings.
        planned: String,
    },
}

/// A file that stands for the agent that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedAgent {
    /// The file.
    pub file: PathBuf,
    /// The digest of its agent; `None` if any is meant.
    #[serde(default)]
    pub digest: Option<String>,
}

impl NamedAgent {
    /// What a value of `model` names: a path, or a table of a file; `None` for anything else.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(file) => Some(Self {
                file: file.into(),
                digest: None,
            }),
            _ => Self::deserialize(value).ok(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`AgentFileError`]. Whether an agent fits its digest and its policy is found when the policy
    /// is built.
    pub fn read(&self) -> Result<AgentFile, AgentFileError> {
        let agent = read(&self.file)?;
        match &self.digest {
            Some(planned) if *planned != agent.digest => Err(AgentFileError::Changed {
                path: self.file.clone(),
                found: agent.digest,
                planned: planned.clone(),
            }),
            _ => Ok(agent),
        }
    }
}

/// Reads the file of an agent.
///
/// # Errors
/// [`AgentFileError`].
pub fn read(path: &Path) -> Result<AgentFile, AgentFileError> {
    let text = files::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|source| AgentFileError::Format {
        path: path.to_owned(),
        source,
    })
}

/// Whether the agent of that name can be saved and taken up again.
pub fn can_be_saved(policy: &str) -> bool {
    let params = agent::FAMILY.get(policy).map(|entry| (entry.params)());
    let mut params = params.into_iter().flatten();
    params.any(|param| param.name == SAVED && param.default.is_object())
}

/// The agents that can be saved and taken up again.
pub fn savable() -> Vec<&'static str> {
    let mut names = agent::FAMILY.names();
    names.retain(|name| can_be_saved(name));
    names
}

/// Shows the parameter `model` of an agent, and of an agent within it, with its path below the
/// agent's key.
pub fn for_each_model<E>(
    policy: &str,
    params: &mut Map<String, Value>,
    show: &mut impl FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    models_below("", policy, params, show)
}

fn models_below<E>(
    path: &str,
    policy: &str,
    params: &mut Map<String, Value>,
    show: &mut impl FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(model) = params.get_mut(SAVED).filter(|_| can_be_saved(policy)) {
        show(&format!("{path}{SAVED}"), model)?;
    }
    let Some(inner) = params.get_mut(INNER).and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let policy = inner.get("policy").and_then(Value::as_str);
    let policy = policy.unwrap_or_default().to_owned();
    models_below(&format!("{path}{INNER}."), &policy, inner, show)
}

/// The parameter of an agent that takes another agent.
const INNER: &str = "agent";

/// Puts saved agents in place of the files that stand for them.
///
/// # Errors
/// [`AgentFileError`] if a file cannot be read, or holds another agent than was planned.
pub fn open_all(settings: &mut EngineConfig) -> Result<(), AgentFileError> {
    let agent = &mut settings.compaction.agent;
    for_each_model(&agent.policy, &mut agent.params, &mut |_, model| {
        if let Some(named) = NamedAgent::of(model) {
            *model = named.read()?.into_value();
        }
        Ok(())
    })
}

/// What an agent was trained on: `trained_on` of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// The experiment.
    pub experiment: String,
    /// The variant.
    pub variant: String,
    /// A digest of all settings in all cells, and of the seeds.
    pub config: String,
    /// The sweep points.
    pub cells: Vec<TrainedCell>,
    /// The seeds that it learned under.
    pub seeds: Vec<u64>,
    /// The seeds that it was chosen by.
    pub validation_seeds: Vec<u64>,
    /// The pass after which it was saved.
    pub pass: u32,
    /// The passes of the training.
    pub passes: u32,
    /// What a trial of it cost under the seeds that it was chosen by, in seconds.
    pub validation_cost_s: f64,
    /// The version of AuraDB.
    pub version: String,
}

/// A sweep point that an agent was trained at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedCell {
    /// Its name.
    pub name: String,
    /// The digest of its workload.
    pub digest: String,
}

impl TrainedOn {
    /// What `file` says; `None` if it says nothing that this version knows.
    pub fn of(file: &AgentFile) -> Option<Self> {
        Self::deserialize(&file.trained_on).ok()
    }

    /// The name of the cell whose workload has that digest, if it is among those trained on.
    pub fn cell(&self, digest: &str) -> Option<&str> {
        let mut cells = self.cells.iter();
        let found = cells.find(|cell| cell.digest == digest);
        found.map(|cell| cell.name.as_str())
    }

    /// Says which of `seeds` it has met.
    pub fn same_seeds(&self, seeds: &[u64]) -> String {
        let is_met =
            |seed: &&u64| self.seeds.contains(seed) || self.validation_seeds.contains(seed);
        let met: Vec<String> = seeds.iter().filter(is_met).map(u64::to_string).collect();
        match met.as_slice() {
            [] => "under other seeds".to_owned(),
            [seed] => format!("under seed {seed}, too"),
            seeds => format!("under the seeds {}, too", seeds.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_are_found_in_agents_within_agents_and_nowhere_else() {
        let paths = |policy: &str, params: Value| {
            let mut params = params.as_object().cloned().expect("a table");
            let mut paths = Vec::new();
            let done = for_each_model(policy, &mut params, &mut |path, model| {
                paths.push((path.to_owned(), NamedAgent::of(model).is_some()));
                Ok::<(), ()>(())
            });
            done.expect("nothing fails");
            paths
        };
        let found = |path: &str, is_file| vec![(path.to_owned(), is_file)];
        assert_eq!(
            paths("fit", json!({ "model": "a.json" })),
            found("model", true)
        );
        assert_eq!(paths("fit", json!({ "model": {} })), found("model", false));
        let within = json!({ "agent": { "policy": "ddpg", "model": { "file": "a.json" } } });
        assert_eq!(paths("guard", within), found("agent.model", true));
        assert_eq!(paths("thompson", json!({ "model": "a.json" })), vec![]);
        assert_eq!(savable(), ["ddpg", "fit", "linucb", "q-step"]);
    }
}
