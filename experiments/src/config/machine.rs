//! Profiles of machines that configs name: found from the folder of the config, read once, and
//! written into each case as numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::TrialConfig;
use super::error::ConfigError;
use super::tree::{Content, Layer, Node};
use crate::files;
use crate::machine_profile::MachineProfile;
use crate::record::World;

const PROFILE: &str = "world.profile";
const DIGEST: &str = "world.profile_digest";
const DEVICE: &str = "world.device";
const CPU: &str = "world.cpu";

/// The profiles that a config names.
pub(super) struct Profiles {
    /// The folder of the config.
    folder: PathBuf,
    /// What was read already.
    read: BTreeMap<PathBuf, MachineProfile>,
}

impl Profiles {
    /// Those of the config at `path`.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            read: BTreeMap::new(),
        }
    }

    /// Reads the profile that a case names, if it names one, and puts its numbers into `tree`, in
    /// place of a device that a weaker layer names, and below what stands beside the profile or
    /// above. In the real world it is not read.
    ///
    /// # Errors
    /// [`ConfigError`] at the name of the file, or at a device that the config names beside it.
    pub(super) fn apply(
        &mut self,
        tree: &mut Node,
        config: &TrialConfig,
    ) -> Result<(), ConfigError> {
        let Some(named) = &config.world.profile else {
            return Ok(());
        };
        if config.world.kind == World::Real {
            return Ok(());
        }
        let strength = tree.get(PROFILE).map_or(0, |node| node.layer.strength());
        let named_device = named_device(tree).filter(|node| node.layer.strength() >= strength);
        if let Some(node) = named_device.filter(|node| node.layer.strength() == strength) {
            let message = "`world.device` names a device beside `world.profile`, which has one";
            return Err(ConfigError::new(message)
                .at(node.location())
                .help("leave out one of them; single numbers of the device may be set"));
        }
        let keeps_device = named_device.is_some();
        let path = files::absolute(&self.folder.join(named));
        let profile = match self.read.get(&path) {
            Some(profile) => profile.clone(),
            None => MachineProfile::read(&path).map_err(|error| {
                ConfigError::new(format!("`{PROFILE}`: {error}"))
                    .at(tree.closest(PROFILE).location())
                    .help("`aura calibrate -o profile.toml` writes one of this machine")
            })?,
        };
        tree.for_each_leaf(&mut |key, value| {
            if key == PROFILE {
                *value = Value::from(path.to_string_lossy().into_owned());
            }
        });
        tree.put(DIGEST, Node::defaults(profile.digest().into()));
        let device = serde_json::to_value(profile.device(config.world.io));
        let cpu = serde_json::to_value(profile.cpu);
        for (at, numbers) in [(DEVICE, device), (CPU, cpu)] {
            if at == CPU || !keeps_device {
                put_below(tree, at, strength, numbers.expect("numbers are plain data"));
            }
        }
        self.read.insert(path, profile);
        Ok(())
    }
}

/// The place where somebody wrote the name of a device.
fn named_device(tree: &Node) -> Option<&Node> {
    let node = tree.get(DEVICE)?;
    let name = match node.content {
        Content::Table(_) => node.child("profile")?,
        _ => node,
    };
    (name.layer != Layer::Default).then_some(name)
}

/// Puts the fields of `numbers` into the table at a path, but for those that a layer of at least
/// `strength` wrote. A name and the numbers beside it that a weaker layer wrote are another device.
fn put_below(tree: &mut Node, at: &str, strength: u8, numbers: Value) {
    let Content::Table(fields) = Node::defaults(numbers).content else {
        return;
    };
    let mut table = match tree.get(at).map(|node| &node.content) {
        Some(Content::Table(written)) => written.clone(),
        _ => BTreeMap::new(),
    };
    table.retain(|_, node| node.layer != Layer::Default && node.layer.strength() >= strength);
    for (field, node) in fields {
        table.entry(field).or_insert(node);
    }
    // Replaced as a whole: a default may be a bare number where the profile has a table.
    tree.replace(at, Node::default_value(Content::Table(table)));
}
