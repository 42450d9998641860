//! A resolved config as TOML in which every value says where it came from.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::resolve::Cell;
use super::tree::{Layer, Node};

impl Cell {
    /// Every setting of the cell as TOML, one dotted key a line, each with its origin as a comment. It can be read back
    /// as a config.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("# Every setting of this trial, and where it came from.\n");
        let leaves = self.tree.leaves();
        let settings: Vec<(String, String)> = leaves
            .iter()
            .map(|(path, node)| {
                (
                    format!("{path} = {}", inline(&node.to_value())),
                    origin(node),
                )
            })
            .collect();
        let width = settings
            .iter()
            .map(|(setting, _)| setting.len())
            .filter(|length| *length <= 60)
            .max()
            .unwrap_or(0);
        for (setting, origin) in settings {
            writeln!(text, "{setting:width$}  # {origin}")
                .expect("writing to a String cannot fail");
        }
        text
    }
}

fn origin(node: &Node) -> String {
    // The file's name without its folder: a result does not depend on where its config lay.
    let line = || match &node.source {
        Some(source) => {
            let file = Path::new(&source.name)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            format!("{file}:{}", source.line(node.span.start))
        }
        None => "default".to_owned(),
    };
    match &node.layer {
        Layer::Default => "default".to_owned(),
        Layer::File => line(),
        Layer::Variant(name) => format!("variant {name}, {}", line()),
        Layer::Sweep => format!("sweep, {}", line()),
        Layer::Set => "--set".to_owned(),
    }
}

/// A value on one line of TOML.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => format!(
            "[{}]",
            values.iter().map(inline).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(table) => {
            let entries: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        // A float stays one: TOML tells 1 from 1.0.
        number_or_truth => number_or_truth.to_string(),
    }
}
