//! Settings in a file of their own, laid over a config as `--set` arguments are.
//!
//! A table that is one choice (a policy with its parameters, a mix, a size by a law) is one
//! argument: as in a config's own layers, it replaces what the config chose. All other tables are
//! merged key by key.

use std::path::Path;

use super::error::ConfigError;
use super::print::inline;
use super::source;
use super::tree::{Node, child_path};

/// Reads a file of settings, such as the `winner.toml` of `aura tune`, as `--set` arguments.
///
/// # Errors
/// [`ConfigError`] if the file cannot be read, or is not in its language.
pub fn overlay(path: &Path) -> Result<Vec<String>, ConfigError> {
    let tree = source::parse(path, source::read(path)?)?;
    let settings = settings(&tree).into_iter();
    let set = |(path, node): (String, &Node)| format!("{path}={}", inline(&node.to_value()));
    Ok(settings.map(set).collect())
}

/// The settings of a tree, each with its dotted key: a table that is one choice is one of them.
pub(super) fn settings(tree: &Node) -> Vec<(String, &Node)> {
    let mut found = Vec::new();
    collect("", "", tree, &mut found);
    found
}

fn collect<'a>(path: &str, key: &str, node: &'a Node, found: &mut Vec<(String, &'a Node)>) {
    match node.table() {
        Some(table) if !node.is_whole(key) => {
            for (key, node) in table {
                collect(&child_path(path, key), key, node, found);
            }
        }
        _ => found.push((path.to_owned(), node)),
    }
}
