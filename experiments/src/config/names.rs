//! The names that a config gives: checked when it is read, for they become names of files and
//! columns.

use aura_workloads::names::RESERVED;

/// The most letters of a name.
const LETTERS_MAX: usize = 64;

/// A name that is refused: why, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadName {
    pub(super) why: String,
    pub(super) help: String,
}

/// Checks the name of a phase.
///
/// # Errors
/// [`BadName`].
pub(super) fn check_phase(name: &str) -> Result<(), BadName> {
    if RESERVED.contains(&name) {
        return Err(BadName {
            why: "is a window that every trial has; phases need names of their own".to_owned(),
            help: format!("`{name}-phase`, for example; not: {}", RESERVED.join(", ")),
        });
    }
    let lawful = |letter: char| letter.is_ascii_alphanumeric() || " -_".contains(letter);
    check(
        name,
        lawful,
        "has letters other than a to z, digits, - _ and spaces",
    )
}

/// Checks the name of an experiment or a variant, or the label of a sweep's value.
///
/// # Errors
/// [`BadName`].
pub(super) fn check_name(name: &str) -> Result<(), BadName> {
    let lawful = |letter: char| !letter.is_control() && !"/\\".contains(letter);
    check(name, lawful, "has a slash or a control character")
}

fn check(name: &str, lawful: impl Fn(char) -> bool, unlawful: &str) -> Result<(), BadName> {
    let why = if name.trim().is_empty() {
        "is blank"
    } else if name.trim() != name {
        "begins or ends with a space"
    } else if name.starts_with('.') {
        "begins with a dot"
    } else if name.chars().count() > LETTERS_MAX {
        "is too long"
    } else if !name.chars().all(&lawful) {
        unlawful
    } else {
        return Ok(());
    };
    Err(BadName {
        why: why.to_owned(),
        help: format!(
            "a name has 1 to {LETTERS_MAX} letters; `{}`, for example",
            mended(name, lawful)
        ),
    })
}

/// A lawful name like `name`.
fn mended(name: &str, lawful: impl Fn(char) -> bool) -> String {
    let letters = name.trim().trim_start_matches('.').chars();
    let letters = letters.map(|letter| if lawful(letter) { letter } else { '-' });
    let mended: String = letters.take(LETTERS_MAX).collect();
    match mended.trim() {
        "" => "first".to_owned(),
        mended => mended.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_files_and_columns_can_have_are_taken() {
        for name in ["run", "absent reads", "a-b_2", "x"] {
            assert_eq!(check_phase(name), Ok(()), "{name}");
        }
        for name in [
            "10 bits",
            "lru, no scans",
            "arc+tinylfu (1 %)",
            "v1.2",
            "naïve",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        assert_eq!(check_name(&"x".repeat(64)), Ok(()));
    }

    #[test]
    fn others_are_refused_with_a_name_like_them() {
        let long = "x".repeat(65);
        for (name, why, help) in [
            ("a/b", "slash", "`a-b`"),
            ("a\\b", "slash", "`a-b`"),
            ("a\nb", "control", "`a-b`"),
            ("", "blank", "`first`"),
            (" \t", "blank", "`first`"),
            (" a", "space", "`a`"),
            (".hidden", "dot", "`hidden`"),
            ("..", "dot", "`first`"),
            (long.as_str(), "too long", "64 letters"),
        ] {
            let refused = check_name(name).expect_err("a bad name");
            assert!(refused.why.contains(why), "{name}: {refused:?}");
            assert!(refused.help.contains(help), "{name}: {refused:?}");
            assert!(check_phase(name).is_err(), "{name}");
        }
        for name in [
            "a.b", "größe", "drain", "whole", "load", "settle", "warm-up",
        ] {
            let refused = check_phase(name).expect_err("a bad name for a phase");
            assert!(!refused.help.contains(&format!("`{name}`")), "{refused:?}");
        }
    }
}
