//! Gives the program the commit that its sources are of.
//!
//! The commit is the last one that changed the sources of the program, not the last one of all: a
//! commit of texts or configs changes nothing here, and the program stays the same byte for byte,
//! so that its trials are still its own. This runs when sources have changed, and then they are
//! compiled in any case. Sources that were compiled before they were committed are said to be
//! changed until they are compiled again.

use std::path::Path;
use std::process::Command;

/// What the program is made of, from the root of the workspace.
const SOURCES: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "engine/Cargo.toml",
    "engine/src",
    "experiments/Cargo.toml",
    "experiments/build.rs",
    "experiments/src",
    "policies/Cargo.toml",
    "policies/src",
    "rust-toolchain.toml",
    "workloads/Cargo.toml",
    "workloads/src",
];

fn main() {
    // Asked when it runs: a script that was compiled in another checkout may run in this one.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&package).join("..");
    for source in SOURCES.map(|source| root.join(source)) {
        if source.exists() {
            println!("cargo::rerun-if-changed={}", source.display());
        }
    }
    let commit = commit(&root).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=AURA_COMMIT={commit}");
}

/// The commit, and whether the sources differ from it; `None` without git, or outside a repository.
fn commit(root: &Path) -> Option<String> {
    let commit = git(root, &["log", "-1", "--format=%H"])?;
    let commit = commit.get(..12)?;
    let changes = git(root, &["status", "--porcelain", "--untracked-files=all"])?;
    Some(if changes.is_empty() {
        commit.to_owned()
    } else {
        format!("{commit} with changes")
    })
}

/// What git prints about the sources; `None` if it fails.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .arg("--")
        .args(SOURCES)
        .current_dir(root)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
