//! Saved agents. Their files are found from the folder of the config, read once, and written into
//! each case as file and digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aura_policies::agent::AgentFile;
use serde_json::{Value, json};

use super::TrialConfig;
use super::error::ConfigError;
use super::resolve::Case;
use super::tree::{Content, Node};
use crate::agent_files::{NamedAgent, TrainedOn, for_each_model};
use crate::files;

/// The key of the agent that learns.
pub(super) const AGENT: &str = "engine.compaction.agent";

/// The agents' files of a config.
pub(super) struct AgentFiles {
    /// The folder of the config.
    folder: PathBuf,
    /// What was read already.
    read: BTreeMap<PathBuf, AgentFile>,
}

impl AgentFiles {
    /// Those of the config at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            read: BTreeMap::new(),
        }
    }

    /// Reads the agents that a case names. Where a file lies, and its digest, are then part of
    /// `tree`; the agents themselves are part of `config`, whose policies are built of them.
    ///
    /// # Errors
    /// [`ConfigError`] at the name of the file.
    pub(super) fn read(
        &mut self,
        tree: &mut Node,
        config: &mut TrialConfig,
    ) -> Result<(), ConfigError> {
        let agent = &mut config.engine.compaction.agent;
        for_each_model(&agent.policy, &mut agent.params, &mut |path, model| {
            let Some(mut named) = NamedAgent::of(model) else {
                return Ok(());
            };
            named.file = files::absolute(&self.folder.join(&named.file));
            let key = format!("{AGENT}.{path}");
            let file = match self.read.get(&named.file) {
                Some(file) if named.digest.is_none() => file.clone(),
                _ => named.read().map_err(|error| {
                    ConfigError::new(format!("`{key}`: {error}"))
                        .at(tree.closest(&key).location())
                        .help("`aura train CONFIG -o FILE` writes one")
                })?,
            };
            let written = tree.get(&key).cloned().unwrap_or_else(Node::empty);
            let leaf = |value: &str| Node {
                content: Content::Leaf(value.into()),
                ..written.clone()
            };
            let table = BTreeMap::from([
                ("file".to_owned(), leaf(&named.file.to_string_lossy())),
                ("digest".to_owned(), leaf(&file.digest)),
            ]);
            let named_in_full = Node {
                content: Content::Table(table),
                ..written
            };
            tree.replace(&key, named_in_full);
            *model = file.clone().into_value();
            self.read.insert(named.file, file);
            Ok(())
        })
    }

    /// Says which cases an agent meets again that it was trained on.
    pub(super) fn overlaps(&self, cases: &[Case], seeds: &[u64]) -> Vec<String> {
        let mut found: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
        for case in cases {
            let mut agent = case.config.engine.compaction.agent.clone();
            let noted = for_each_model(&agent.policy, &mut agent.params, &mut |_, model| {
                let file = NamedAgent::of(model).and_then(|named| self.read.get(&named.file));
                if let Some(file) = file
                    && let Some(trained_on) = TrainedOn::of(file)
                    && let Some(cell) = trained_on.cell(&case.cell())
                {
                    let words = trained_on.same_seeds(seeds);
                    let cells = found.entry((&case.variant, words)).or_default();
                    cells.insert(cell.to_owned());
                }
                Ok::<(), std::convert::Infallible>(())
            });
            let Ok(()) = noted;
        }
        let warning = |((variant, seeds), cells): ((&str, String), BTreeSet<String>)| {
            let cells: Vec<String> = cells.into_iter().collect();
            format!(
                "the agent of {variant} was trained on what it meets here: {}, {seeds}. Training \
                 and test cells belong apart.",
                cells.join("; ")
            )
        };
        found.into_iter().map(warning).collect()
    }
}

/// Takes out of settings where the files of agents lie; their digests stay.
pub(super) fn without_places(settings: &mut Value) {
    let Some(agent) = settings.pointer_mut("/engine/compaction/agent") else {
        return;
    };
    let policy = agent.get("policy").and_then(Value::as_str);
    let policy = policy.unwrap_or_default().to_owned();
    let Some(params) = agent.as_object_mut() else {
        return;
    };
    let done = for_each_model(&policy, params, &mut |_, model| {
        if let Some(NamedAgent { digest, .. }) = NamedAgent::of(model) {
            *model = json!({ "digest": digest });
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = done;
}
