//! The project's own files, and the parts of a source that are not tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let krate = Path::new(env!("CARGO_MANIFEST_DIR"));
    krate.parent().expect("the workspace").to_owned()
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder`, sorted; `folder` itself if it is a file.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .flat_map(|entry| files(&entry.expect("readable").path()))
        .collect();
    found.sort();
    found
}

/// Every Rust file below `folder`, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found
}

/// A source without its comments and without the items that only tests have.
///
/// It relies on rustfmt: an item ends where its last line is indented like its first.
pub(crate) fn product(source: &str) -> String {
    let mut lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            skip_item(&mut lines, indent(line));
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Skips an item of this indentation, with its attributes.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, indentation: usize) {
    for line in lines {
        let text = line.trim();
        let is_attribute = text.starts_with("#[") || text.starts_with(")]");
        if indent(line) == indentation && !is_attribute && text.ends_with([';', '}', ',']) {
            return;
        }
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[test]
fn what_only_tests_have_is_left_out() {
    let source = "\
use crate::kept;
#[cfg(test)]
use crate::{
    dropped,
};
// crate::dropped
#[cfg(test)]
#[expect(
    unused,
    reason = \"dropped\"
)]
mod tests {
    const BRACES: &str = \"}\";
}
struct Kept {
    #[cfg(test)]
    dropped: u8,
    kept: u8,
}
";
    let product = product(source);
    assert!(!product.contains("dropped"), "{product}");
    assert_eq!(product.matches("kept").count(), 2, "{product}");
    assert!(product.contains("struct Kept {"), "{product}");
}
