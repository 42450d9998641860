//! Text to tree: TOML and JSON files, and `--set` arguments. Every value keeps its place in the
//! text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::error::{ConfigError, Location, Source};
use super::tree::{Content, Layer, Node};
use crate::files;

/// Reads the text of a file.
///
/// # Errors
/// [`ConfigError`] if the file cannot be read.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    files::read_to_string(path).map_err(|error| {
        ConfigError::new(error.to_string())
            .help("name a config file, such as `aura run configs/quickstart.toml`")
    })
}

/// Parses the text of the file at `path`: JSON if its extension is `json`, else TOML.
///
/// # Errors
/// [`ConfigError`] with the first place that is not in the language.
pub(super) fn parse(path: &Path, text: String) -> Result<Node, ConfigError> {
    let source = Arc::new(Source {
        name: path.display().to_string(),
        text,
    });
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        json(&source)
    } else {
        toml(&source)
    }
}

/// Parses TOML.
fn toml(source: &Arc<Source>) -> Result<Node, ConfigError> {
    let table = DeTable::parse(&source.text).map_err(|error| toml_error(source, 0, &error))?;
    let reader = TomlReader {
        source,
        layer: Layer::File,
        offset: 0,
    };
    Ok(reader.table(table.get_ref(), table.span(), 0..0))
}

fn toml_error(source: &Arc<Source>, offset: usize, error: &toml::de::Error) -> ConfigError {
    let span = error
        .span()
        .map(|span| span.start + offset..span.end + offset)
        .unwrap_or(0..0);
    ConfigError::new(format!("this is not TOML: {}", error.message())).at(Some(Location {
        source: source.clone(),
        span,
    }))
}

struct TomlReader<'a> {
    source: &'a Arc<Source>,
    layer: Layer,
    /// The byte of the source at which the parsed text begins.
    offset: usize,
}

impl TomlReader<'_> {
    fn node(&self, content: Content, span: Range<usize>, key_span: Range<usize>) -> Node {
        let moved = |span: Range<usize>| span.start + self.offset..span.end + self.offset;
        Node {
            content,
            layer: self.layer.clone(),
            source: Some(self.source.clone()),
            span: moved(span),
            key_span: moved(key_span),
        }
    }

    fn table(&self, table: &DeTable<'_>, span: Range<usize>, key_span: Range<usize>) -> Node {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), self.value(value, key.span())));
        self.node(Content::Table(entries.collect()), span, key_span)
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, key_span: Range<usize>) -> Node {
        let leaf = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, value.span(), key_span),
            DeValue::Array(values) => {
                let nodes = values
                    .iter()
                    .map(|value| self.value(value, value.span()))
                    .collect();
                return self.node(Content::Array(nodes), value.span(), key_span);
            }
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Integer(integer) => integer_value(integer),
            DeValue::Float(float) => float_value(float),
            // JSON has no dates: as text they are refused where a number is expected.
            DeValue::Datetime(datetime) => Value::from(datetime.to_string()),
        };
        self.node(Content::Leaf(leaf), value.span(), key_span)
    }
}

fn integer_value(integer: &DeInteger<'_>) -> Value {
    let digits = integer.as_str();
    let radix = integer.radix();
    if let Ok(signed) = i64::from_str_radix(digits, radix) {
        return Value::from(signed);
    }
    match u64::from_str_radix(digits, radix) {
        Ok(unsigned) => Value::from(unsigned),
        Err(_) => Value::from(integer.to_string()),
    }
}

/// JSON has no infinity: as text it is refused where a number is expected.
fn float_value(float: &DeFloat<'_>) -> Value {
    let Ok(number) = float.as_str().parse::<f64>() else {
        return Value::Null;
    };
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None => Value::from(float.as_str()),
    }
}

/// Parses JSON.
fn json(source: &Arc<Source>) -> Result<Node, ConfigError> {
    serde_json::from_str::<Value>(&source.text).map_err(|error| {
        let before: usize = source
            .text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let at = (before + error.column().saturating_sub(1)).min(source.text.len());
        let location = Location {
            source: source.clone(),
            span: at..at,
        };
        ConfigError::new(format!("this is not JSON: {error}")).at(Some(location))
    })?;
    let mut scanner = JsonScanner {
        source,
        at: 0,
        twice: None,
    };
    let tree = scanner.value(0..0);
    match scanner.twice {
        None => Ok(tree),
        Some(span) => {
            let message = format!(
                "the key {} stands twice in one table",
                &source.text[span.clone()]
            );
            let source = source.clone();
            Err(ConfigError::new(message).at(Some(Location { source, span })))
        }
    }
}

/// Finds the places of values in a text that was parsed as JSON before.
struct JsonScanner<'a> {
    source: &'a Arc<Source>,
    at: usize,
    /// The first key that its table had before.
    twice: Option<Range<usize>>,
}

impl JsonScanner<'_> {
    /// The next character after white space, which is skipped.
    fn peek(&mut self) -> u8 {
        let rest = self.source.text.as_bytes().iter().skip(self.at);
        self.at += rest.take_while(|byte| byte.is_ascii_whitespace()).count();
        self.source
            .text
            .as_bytes()
            .get(self.at)
            .copied()
            .unwrap_or_default()
    }

    /// Steps over the next character if it is `expected`.
    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == expected;
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, key_span: Range<usize>) -> Node {
        self.peek();
        let start = self.at;
        let content = if self.take(b'{') {
            Content::Table(self.entries())
        } else if self.take(b'[') {
            let mut nodes = Vec::new();
            while !self.take(b']') {
                nodes.push(self.value(start..start));
                self.take(b',');
            }
            Content::Array(nodes)
        } else {
            Content::Leaf(self.leaf())
        };
        Node {
            content,
            layer: Layer::File,
            source: Some(self.source.clone()),
            span: start..self.at,
            key_span,
        }
    }

    /// Keys and values up to the closing brace.
    fn entries(&mut self) -> BTreeMap<String, Node> {
        let mut table = BTreeMap::new();
        while !self.take(b'}') {
            self.peek();
            let key_start = self.at;
            let key = self.leaf().as_str().unwrap_or_default().to_owned();
            let key_span = key_start..self.at;
            self.take(b':');
            let value = self.value(key_span.clone());
            if table.insert(key, value).is_some() {
                self.twice.get_or_insert(key_span);
            }
            self.take(b',');
        }
        table
    }

    /// A string, a number, or a word.
    fn leaf(&mut self) -> Value {
        let rest = &self.source.text[self.at..];
        let length = if rest.starts_with('"') {
            let mut escaped = false;
            let end = rest.bytes().skip(1).position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else {
            rest.find(|next: char| ",]}".contains(next) || next.is_whitespace())
                .unwrap_or(rest.len())
        };
        self.at += length;
        serde_json::from_str(&rest[..length]).unwrap_or_default()
    }
}

/// One `--set key=value` argument.
#[derive(Clone, Debug)]
pub(super) struct SetArgument {
    /// The dotted key.
    pub(super) key: String,
    /// The value.
    pub(super) node: Node,
}

impl SetArgument {
    /// The error of an argument that overrides a key whose values are `varied`.
    pub(super) fn refused(&self, key: &str, varied: &str) -> ConfigError {
        let what = match self.key == key {
            true => "--set".to_owned(),
            false => format!("--set {}", self.key),
        };
        let message = format!("`{key}` is {varied}: {what} would make all points equal");
        ConfigError::new(message).at(self.node.key_location())
    }
}

/// Parses one `--set key=value`. The value is TOML; a bare word is text.
///
/// # Errors
/// [`ConfigError`] without `=`, or if a quoted or bracketed value is not TOML.
pub(super) fn set(argument: &str) -> Result<SetArgument, ConfigError> {
    let source = Arc::new(Source {
        name: "--set".to_owned(),
        text: argument.to_owned(),
    });
    let whole = Location {
        source: source.clone(),
        span: 0..argument.len(),
    };
    let Some((key, value)) = argument.split_once('=') else {
        let error =
            ConfigError::new(format!("`{argument}` is not of the form key=value")).at(Some(whole));
        return Err(error.help("for example `--set engine.cache.size=64MiB`"));
    };
    let key = key.trim();
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(ConfigError::new(format!("`{key}` is not a dotted key")).at(Some(whole)));
    }
    let offset = argument.len() - value.trim_start().len();
    let value = value.trim();
    let key_span = 0..key.len();
    let reader = TomlReader {
        source: &source,
        layer: Layer::Set,
        offset: 0,
    };
    let node = match DeValue::parse(value) {
        Ok(parsed) => {
            let mut node = TomlReader { offset, ..reader }.value(&parsed, 0..0);
            node.key_span = key_span;
            node
        }
        Err(error) if value.starts_with(['[', '{', '"', '\'']) => {
            return Err(toml_error(&source, offset, &error));
        }
        Err(_) => reader.node(
            Content::Leaf(Value::from(value)),
            offset..argument.len(),
            key_span,
        ),
    };
    Ok(SetArgument {
        key: key.to_owned(),
        node,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source {
            name: "test".to_owned(),
            text: text.to_owned(),
        })
    }

    fn quoted(node: &Node) -> &str {
        &node.source.as_ref().expect("written")[node.span.clone()]
    }

    impl std::ops::Index<Range<usize>> for Source {
        type Output = str;
        fn index(&self, span: Range<usize>) -> &str {
            &self.text[span]
        }
    }

    #[test]
    fn toml_and_json_give_equal_trees_and_true_places() {
        let by_toml = toml(&source(
            "a = { b = [1, \"x\\\"y\"], c = 0x10 }\nd.e = -1.5\n[f]\ng = true\n",
        ))
        .expect("TOML");
        let by_json = json(&source(
            r#" {"a": {"b": [1, "x\"y"], "c": 16}, "d" : {"e": -1.5}, "f": {"g": true} } "#,
        ))
        .expect("JSON");
        let expected =
            json!({"a": {"b": [1, "x\"y"], "c": 16}, "d": {"e": -1.5}, "f": {"g": true}});
        for tree in [&by_toml, &by_json] {
            assert_eq!(tree.to_value(), expected);
            assert_eq!(tree.get("d.e").map(quoted), Some("-1.5"));
            assert_eq!(tree.get("a.b[1]").map(quoted), Some(r#""x\"y""#));
        }
        assert_eq!(by_toml.get("a.c").map(quoted), Some("0x10"));
    }

    #[test]
    fn set_takes_toml_and_bare_words() {
        for (argument, key, value) in [
            ("a.b=64MiB", "a.b", json!("64MiB")),
            ("a = 1_000", "a", json!(1000)),
            (
                "a={ policy = 'x', y = 2 }",
                "a",
                json!({"policy": "x", "y": 2}),
            ),
            ("a=b=c", "a", json!("b=c")),
        ] {
            let set = set(argument).expect("a good argument");
            assert_eq!(set.key, key, "{argument}");
            assert_eq!(set.node.to_value(), value, "{argument}");
        }
        for bad in ["a", "=1", "a..b=1", "a=[1", "a={x=}"] {
            assert!(set(bad).is_err(), "{bad}");
        }
        let node = set("a.b= [1, 2]").expect("a good argument").node;
        assert_eq!(quoted(node.get("[1]").expect("two values")), "2");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_its_second_place() {
        let text = "{\"a\": {\"b\": 1, \"c\": 2, \"b\": 3}}";
        let error = json(&source(text)).expect_err("b stands twice");
        assert_eq!(error.to_string(), "the key \"b\" stands twice in one table");
        assert!(json(&source("{\"a\": {\"b\": 1}, \"b\": 2}")).is_ok());
    }

    #[test]
    fn bad_json_is_reported_at_its_place() {
        let error = json(&source("{\n  \"a\": 1,\n  b\n}")).expect_err("not JSON");
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
