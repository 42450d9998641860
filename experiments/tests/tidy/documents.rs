//! What README, ARCHITECTURE and CONTRIBUTING say of the sources is true.

use std::path::PathBuf;

use crate::sources::{read, root, rust_files};

#[test]
fn the_table_of_policies_is_the_registry() {
    let families = aura_policies::families();
    let rows: Vec<String> = families
        .iter()
        .map(|family| {
            let names = family.policies.iter().map(|policy| match policy.default {
                true => format!("**{}**", policy.name),
                false => policy.name.to_owned(),
            });
            let names = names.collect::<Vec<_>>().join(", ");
            format!("| `{}` | {} | {names} |", family.name, family.question)
        })
        .collect();
    let table = rows.join("\n");
    assert!(
        read(&root().join("README.md")).contains(&table),
        "the README's table of policies must be\n{table}"
    );
}

/// Paths in backticks that begin with a folder of the workspace name something that exists.
#[test]
fn paths_in_documents_exist() {
    let folders = [
        "docs/",
        "engine/",
        "experiments/",
        "notebooks/",
        "policies/",
        "scripts/",
        "workloads/",
    ];
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for quoted in read(&root().join(document)).split('`').skip(1).step_by(2) {
            let is_path = folders.iter().any(|folder| quoted.starts_with(folder));
            // The README's example of a policy is one that does not exist yet.
            let is_example = quoted.ends_with("/mru.rs");
            if is_path && !is_example && !quoted.contains(['<', '*', ' ']) {
                let path = root().join(quoted);
                assert!(path.exists(), "{document} names {quoted}, which is missing");
            }
        }
    }
}

/// A shorter name of a source in backticks, such as `cache/mod.rs`, is the end of a file's path.
#[test]
fn sources_named_in_documents_exist() {
    let crates = ["policies", "workloads", "engine", "experiments"];
    let sources: Vec<PathBuf> = crates
        .iter()
        .flat_map(|krate| rust_files(&root().join(krate)))
        .collect();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for quoted in read(&root().join(document)).split('`').skip(1).step_by(2) {
            if quoted.ends_with(".rs") && !quoted.contains(['<', '*', ' ']) {
                let exists = sources.iter().any(|path| path.ends_with(quoted));
                assert!(exists, "{document} names {quoted}, which is missing");
            }
        }
    }
}
