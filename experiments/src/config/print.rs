//! A resolved config as TOML in which every value says where it came from.

use std::path::Path;

use serde_json::Value;

use super::tree::{Layer, Node};

/// Settings longer than this do not widen the column of origins.
const WIDTH_MAX: usize = 60;

/// Writes every setting as TOML, one dotted key a line, each with its origin as a comment. Another
/// config can be made of it.
pub(super) fn to_toml(tree: &Node) -> String {
    let mut lines = Vec::new();
    for (path, node) in tree.leaves() {
        let setting = format!("{path} = {}", inline(&node.to_value()));
        lines.push((setting, origin(node)));
    }
    let lengths = lines.iter().map(|(setting, _)| setting.len());
    let width = lengths.filter(|length| *length <= WIDTH_MAX).max();
    let width = width.unwrap_or(0);
    let mut text = String::from("# Every setting of this trial, and where it came from.\n");
    for (setting, origin) in lines {
        text += &format!("{setting:width$}  # {origin}\n");
    }
    text
}

/// Who wrote a value, and where.
fn origin(node: &Node) -> String {
    match &node.layer {
        Layer::Default => "default".to_owned(),
        Layer::File => line(node),
        Layer::Variant(name) => format!("variant {name}, {}", line(node)),
        Layer::Sweep => format!("sweep, {}", line(node)),
        Layer::Tune => "aura tune".to_owned(),
        Layer::Set => "--set".to_owned(),
    }
}

/// The file and line of a value. The file's folder is left out: a result does not depend on where
/// its config lay.
fn line(node: &Node) -> String {
    let Some(source) = &node.source else {
        return "default".to_owned();
    };
    let file = Path::new(&source.name).file_name().unwrap_or_default();
    format!(
        "{}:{}",
        file.to_string_lossy(),
        source.line(node.span.start)
    )
}

/// Writes a value on one line of TOML.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(table) => {
            let entries: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        // A float stays one: TOML distinguishes 1 from 1.0.
        number_or_bool => number_or_bool.to_string(),
    }
}
