//! What a config takes from files beside itself: sets of keys, and traces of operations. Files are
//! found from the folder of the config, read once, and written into each case as what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_workloads::Inputs;
use aura_workloads::trace::Operations;
use serde_json::Value;

use super::TrialConfig;
use super::error::ConfigError;
use super::keys::KeyFiles;
use super::tree::Node;
use crate::files;
use crate::traces;

const FILE: &str = "workload.trace.file";
const DIGEST: &str = "workload.trace.digest";

/// The files of a config.
pub(super) struct InputFiles {
    folder: PathBuf,
    keys: KeyFiles,
    /// What was read already, by the settings that it depends on.
    traces: BTreeMap<String, ReadTrace>,
}

#[derive(Clone)]
struct ReadTrace {
    digest: String,
    operations: Arc<Operations>,
}

impl InputFiles {
    /// Those of the config at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            keys: KeyFiles::of(path),
            traces: BTreeMap::new(),
        }
    }

    /// Reads what a case names. Where a file lies, and the digest of what it holds, are then part
    /// of `tree` and `config`.
    ///
    /// # Errors
    /// [`ConfigError`] at the name of the file.
    pub(super) fn read(
        &mut self,
        tree: &mut Node,
        config: &mut TrialConfig,
    ) -> Result<Inputs, ConfigError> {
        Ok(Inputs {
            keys: self.keys.read(tree, config)?,
            trace: self.trace(tree, config)?,
        })
    }

    fn trace(
        &mut self,
        tree: &mut Node,
        config: &mut TrialConfig,
    ) -> Result<Option<Arc<Operations>>, ConfigError> {
        let Some(trace) = &mut config.workload.trace else {
            return Ok(None);
        };
        let path = files::absolute(&self.folder.join(&trace.file));
        trace.file = path.clone();
        let workload = &config.workload;
        // Equal settings of what is read give equal operations.
        let key = serde_json::json!([workload.trace, workload.value, workload.scan]).to_string();
        let read = match self.traces.get(&key) {
            Some(read) => read.clone(),
            None => {
                let read = traces::of_workload(workload).map_err(|error| {
                    let place = tree.closest(error.key()).location();
                    ConfigError::new(format!("`{}`: {error}", error.key())).at(place)
                })?;
                let Some(traces::TraceOfWorkload { digest, operations }) = read else {
                    return Ok(None);
                };
                let read = ReadTrace { digest, operations };
                self.traces.insert(key, read.clone());
                read
            }
        };
        tree.for_each_leaf(&mut |key, value| {
            if key == FILE {
                *value = Value::from(path.to_string_lossy().into_owned());
            }
        });
        tree.put(DIGEST, Node::defaults(read.digest.clone().into()));
        if let Some(trace) = &mut config.workload.trace {
            trace.digest = Some(read.digest);
        }
        Ok(Some(read.operations))
    }
}

/// Refuses to enlarge a recorded trace: it is as long as it is.
///
/// # Errors
/// [`ConfigError`] at the trace.
pub(super) fn check_scale(tree: &Node, scale: u64) -> Result<(), ConfigError> {
    if scale == 1 || tree.get(FILE).is_none() {
        return Ok(());
    }
    Err(
        ConfigError::new("a recorded trace cannot be enlarged: leave out --scale")
            .at(tree.closest(FILE).location()),
    )
}
