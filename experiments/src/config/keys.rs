//! Sets of keys. Files are found from the folder of the config, read once, and written into each
//! case as what they are; generated sets are made once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_workloads::keyset::{FileKeys, GENERATED as GENERATED_SETS};
use aura_workloads::{KeyFileFormat, KeySpace};
use serde_json::Value;

use super::TrialConfig;
use super::error::ConfigError;
use super::tree::Node;
use crate::files;
use crate::key_files::{self, KeyFileError};
use crate::nearest::hint;

const FILE: &str = "workload.key.file";
const GENERATED: &str = "workload.key.generated";
const DIGEST: &str = "workload.key.digest";

/// The key files of a config.
pub(super) struct KeyFiles {
    /// The folder of the config.
    folder: PathBuf,
    /// What was read already.
    read: BTreeMap<Named, Arc<FileKeys>>,
    /// What was generated already, by its name.
    generated: BTreeMap<String, Arc<FileKeys>>,
}

/// A file and how it is read.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    path: PathBuf,
    format: &'static str,
}

impl KeyFiles {
    /// Those of the config at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            read: BTreeMap::new(),
            generated: BTreeMap::new(),
        }
    }

    /// Reads the keys that a case names; `None` if it names no set. Where a
    /// file lies, and the digest of its keys, are then part of `tree` and `config`.
    ///
    /// # Errors
    /// [`ConfigError`] at the name of the file or the set.
    pub(super) fn read(
        &mut self,
        tree: &mut Node,
        config: &mut TrialConfig,
    ) -> Result<Option<Arc<FileKeys>>, ConfigError> {
        let space = &mut config.workload.key;
        if let (Some(set), None) = (&space.generated, &space.file) {
            return self.generate(set, tree).map(Some);
        }
        let (Some(named), Some(format)) = (&space.file, space.format) else {
            return Ok(None);
        };
        let path = files::absolute(&self.folder.join(named));
        space.file = Some(path.clone());
        let keys = self.keys(space, &path, format).map_err(|error| {
            let place = tree.closest(FILE).location();
            ConfigError::new(format!("`{FILE}`: {error}")).at(place)
        })?;
        let digest = key_files::digest(&keys);
        tree.for_each_leaf(&mut |key, value| {
            if key == FILE {
                *value = Value::from(path.to_string_lossy().into_owned());
            }
        });
        tree.put(DIGEST, Node::defaults(digest.clone().into()));
        space.digest = Some(digest);
        Ok(Some(keys))
    }

    fn generate(&mut self, set: &str, tree: &Node) -> Result<Arc<FileKeys>, ConfigError> {
        if let Some(keys) = self.generated.get(set) {
            return Ok(keys.clone());
        }
        let keys = key_files::generated(set).map_err(|error| {
            let known = GENERATED_SETS.iter().map(|kind| kind.name);
            let (name, _) = set.split_once(':').unwrap_or((set, ""));
            let hint = hint(name, known.clone());
            let known: Vec<&str> = known.collect();
            ConfigError::new(format!("`{GENERATED}`: {error}{hint}"))
                .at(tree.closest(GENERATED).location())
                .help(format!("known sets: {}", known.join(", ")))
        })?;
        self.generated.insert(set.to_owned(), keys.clone());
        Ok(keys)
    }

    fn keys(
        &mut self,
        space: &KeySpace,
        path: &Path,
        format: KeyFileFormat,
    ) -> Result<Arc<FileKeys>, KeyFileError> {
        let named = Named {
            path: path.to_owned(),
            format: format.name(),
        };
        let keys = match self.read.get(&named) {
            Some(keys) => keys.clone(),
            None => key_files::read(path, format)?,
        };
        key_files::check(space, path, &keys)?;
        self.read.insert(named, keys.clone());
        Ok(keys)
    }
}
