//! Decisions as text: files of cases in `tests/golden`.
//!
//! A case is an input, a line `----`, and what comes out, up to the next blank line. To add a case,
//! write its input and `----`, and let `AURA_UPDATE=1 cargo test -p aura-engine --lib golden` write
//! the rest. Read what it wrote: it is the expectation. Lines that begin with `#` are comments.

use std::path::Path;

/// The text of a file with every output computed.
fn renewed(
    text: &str,
    mut case: impl FnMut(&[&str]) -> Result<String, String>,
) -> Result<String, String> {
    let mut renewed = Vec::new();
    for block in text.split("\n\n") {
        let block = block.trim_matches('\n');
        let Some((input, _)) = block.split_once("----") else {
            renewed.push(block.to_owned());
            continue;
        };
        let lines = input.lines().filter(|line| !line.starts_with('#'));
        let output = case(&lines.collect::<Vec<_>>())?;
        renewed.push(format!("{input}----\n{}", output.trim_end()));
    }
    Ok(renewed.join("\n\n") + "\n")
}

/// Compares what comes out of each case of `tests/golden/{name}` with what is expected, or renews
/// the file. `case` gets the lines of an input.
#[expect(
    clippy::disallowed_methods,
    reason = "expectations are files of the repository, outside the engine's storage"
)]
pub(crate) fn check_golden(name: &str, case: impl FnMut(&[&str]) -> Result<String, String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = path.join(name);
    let expected = std::fs::read_to_string(&path).expect("a text file");
    let actual = renewed(&expected, case).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(actual.contains("----"), "{name} has cases");
    if std::env::var_os("AURA_UPDATE").is_some() {
        std::fs::write(&path, &actual).expect("the file can be written");
        return;
    }
    for (number, (actual, expected)) in actual.lines().zip(expected.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(actual, expected, "{name}:{line}: AURA_UPDATE=1 renews it");
    }
    assert_eq!(actual, expected, "{name}: AURA_UPDATE=1 renews it");
}

/// The number that a word of a case is.
///
/// # Errors
/// A sentence that shows the word.
pub(crate) fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse()
        .map_err(|_| format!("`{word}` is not a number in range"))
}
