//! Plain words, and lines that fit a screen.

use std::path::PathBuf;

use crate::sources::{files, read, root, rust_files};

/// The folders and files whose text is checked.
const CHECKED: [&str; 16] = [
    ".ci",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "Makefile",
    "README.md",
    "docs",
    "engine",
    "experiments",
    "notebooks",
    "policies",
    "results/README.md",
    "rust-toolchain.toml",
    "scripts",
    "workloads",
];

/// What a checked file's name may end with. Files without an extension are scripts.
const EXTENSIONS: [&str; 7] = ["", "html", "ipynb", "md", "py", "rs", "toml"];

/// This file, which must name the words that it finds.
const ITSELF: &str = "experiments/tests/tidy/text.rs";

/// Columns of a line of Rust.
const WIDTH: usize = 100;

/// Words that are not used.
struct Unused {
    /// One word or several, in lower case.
    words: &'static str,
    /// What to say for them.
    instead: &'static str,
}

const fn unused(words: &'static str, instead: &'static str) -> Unused {
    Unused { words, instead }
}

const UNUSED: [Unused; 20] = [
    unused("anew", "again"),
    unused("are none", "there are no ..., missing"),
    unused("at the most", "at most"),
    unused("come by", "meets, reaches"),
    unused("comes by", "meets, reaches"),
    unused("from there on", "after that"),
    unused("is no news", "is known"),
    unused("is none", "there is no ..., missing"),
    unused("let go", "released, dropped"),
    unused("lets go", "releases, drops"),
    unused("of those all", "of all these"),
    unused("on from there", "after that"),
    unused("so many", "that many, the number of"),
    unused("tell", "say, report, return"),
    unused("telling", "saying, reporting"),
    unused("tells", "says, reports, returns"),
    unused("the way out", "the exit"),
    unused("those all", "all these"),
    unused("told", "reported, given"),
    unused("whoever", "who, the reader, the caller"),
];

/// How a documentation comment does not begin: its first sentence stands alone in listings.
const OPENINGS: [&str; 5] = ["The same", "As [", "See [", "So many", "Of those"];

/// The checked files that hold text.
fn checked_files() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = CHECKED
        .iter()
        .flat_map(|name| files(&root().join(name)))
        .collect();
    found.retain(|path| {
        let extension = path.extension().unwrap_or_default();
        // Hostile inputs are no text.
        let is_input = path.components().any(|part| part.as_os_str() == "fuzz");
        let is_text = EXTENSIONS.iter().any(|known| extension == *known);
        is_text && !is_input && !path.ends_with(ITSELF)
    });
    found
}

/// The checked files of Rust.
fn checked_rust_files() -> Vec<PathBuf> {
    let folders = CHECKED.iter().map(|name| root().join(name));
    folders.flat_map(|folder| rust_files(&folder)).collect()
}

/// Panics with all problems, if there are any.
fn none_of(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn unused_words_are_not_used() {
    let mut problems = Vec::new();
    for path in checked_files() {
        for found in unused_words(&read(&path)) {
            problems.push(format!(
                "{}:{}: {:?} is not used here; say {}",
                path.display(),
                found.line,
                found.unused.words,
                found.unused.instead
            ));
        }
    }
    none_of(&problems);
}

/// Unused words in a text, and the line where they begin.
struct Found {
    line: usize,
    unused: &'static Unused,
}

/// The unused words of a text, also those that a line break parts.
fn unused_words(text: &str) -> Vec<Found> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let is_part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '\'');
        let parts = text.split(|it| !is_part(it)).filter(|it| !it.is_empty());
        words.extend(parts.map(|part| (line + 1, part)));
    }
    let mut found = Vec::new();
    for start in 0..words.len() {
        for unused in &UNUSED {
            let mut expected = unused.words.split(' ');
            let first = expected.next().expect("a word");
            let mut next = words[start + 1..].iter();
            // Only the first word may be capitalised: `is None` is Rust.
            if words[start].1.to_lowercase() == first
                && expected.all(|word| next.next().is_some_and(|found| found.1 == word))
            {
                found.push(Found {
                    line: words[start].0,
                    unused,
                });
            }
        }
    }
    found
}

#[test]
fn lines_fit_a_screen() {
    let mut problems = Vec::new();
    for path in checked_rust_files() {
        for (number, line) in read(&path).lines().enumerate() {
            let width = line.chars().count();
            if width > WIDTH {
                let number = number + 1;
                problems.push(format!("{}:{number}: {width} columns", path.display()));
            }
        }
    }
    none_of(&problems);
}

#[test]
fn documentation_opens_with_a_sentence_of_its_own() {
    let mut problems = Vec::new();
    for path in checked_rust_files() {
        let mut inside = false;
        for (number, line) in read(&path).lines().enumerate() {
            let text = line.trim_start();
            let doc = text.strip_prefix("/// ").or(text.strip_prefix("//! "));
            if let Some(doc) = doc.filter(|_| !inside)
                && let Some(opening) = OPENINGS.iter().find(|it| doc.starts_with(**it))
            {
                let number = number + 1;
                problems.push(format!(
                    "{}:{number}: it opens with {opening:?}",
                    path.display()
                ));
            }
            inside = text.starts_with("///") || text.starts_with("//!");
        }
    }
    none_of(&problems);
}

#[test]
fn unused_words_are_found_across_lines_and_as_whole_words() {
    let text = "/// Told once, retold. It is None,\n/// and comes\n/// by; there are none_left.";
    let found: Vec<String> = unused_words(text)
        .iter()
        .map(|found| format!("{} {}", found.line, found.unused.words))
        .collect();
    assert_eq!(found, ["1 told", "2 comes by"]);
}
