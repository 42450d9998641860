//! Settings in a file of their own, laid over a config as `--set` arguments are.

use std::path::Path;

use super::error::ConfigError;
use super::print::inline;
use super::source;
use super::tree::{Node, child_path};

/// The keys by which a table is a choice, which is set as a whole.
const CHOICES: [&str; 4] = ["policy", "kind", "arrival", "profile"];

/// Reads a file of settings, such as the `winner.toml` of `aura tune`, as `--set` arguments.
///
/// # Errors
/// [`ConfigError`] if the file cannot be read, or is not in its language.
pub fn overlay(path: &Path) -> Result<Vec<String>, ConfigError> {
    let tree = source::parse(path, source::read(path)?)?;
    let mut sets = Vec::new();
    collect("", &tree, &mut sets);
    Ok(sets)
}

fn collect(path: &str, node: &Node, sets: &mut Vec<String>) {
    let is_choice = |key: &&str| node.child(key).is_some();
    match node.table() {
        Some(table) if path.is_empty() || !CHOICES.iter().any(is_choice) => {
            for (key, node) in table {
                collect(&child_path(path, key), node, sets);
            }
        }
        _ => sets.push(format!("{path}={}", inline(&node.to_value()))),
    }
}
