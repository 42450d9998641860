//! The house rules that no compiler checks: the arrows between the crates, the form of a policy
//! file, and that a policy is one file and one line.
#![expect(
    clippy::disallowed_methods,
    reason = "it reads the project's own sources"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A source without its test modules and comments: what the product is made of.
fn product(source: &str) -> String {
    let code = source.split("#[cfg(test)]").next().expect("a first part");
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The workspace crates that a crate's product depends on.
fn arrows(krate: &str) -> BTreeSet<String> {
    let manifest = read(&root().join(krate).join("Cargo.toml"));
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    dependencies
        .keys()
        .filter(|name| name.starts_with("aura-"))
        .cloned()
        .collect()
}

#[test]
fn the_crates_point_the_right_way() {
    assert_eq!(arrows("policies"), BTreeSet::new(), "policies are a leaf");
    assert_eq!(arrows("workloads"), BTreeSet::new(), "workloads are a leaf");
    assert_eq!(
        arrows("engine"),
        BTreeSet::from(["aura-policies".to_owned()]),
        "the engine knows policies only"
    );
}

#[test]
fn the_engine_names_no_policy() {
    let families = aura_policies::families();
    let names: BTreeSet<&str> = families
        .iter()
        .flat_map(|family| family.policies.iter().map(|policy| policy.name))
        .collect();
    for path in sources(&root().join("engine/src")) {
        if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
            continue;
        }
        let code = product(&read(&path));
        for name in names.iter().filter(|name| **name != "none") {
            assert!(
                !code.contains(&format!("\"{name}\"")),
                "{} names the policy {name}",
                path.display()
            );
        }
    }
}

#[test]
fn every_policy_is_one_file_and_one_line() {
    let folder = root().join("policies/src");
    for family in aura_policies::families() {
        let module = read(&folder.join(family.name).join("mod.rs"));
        let mut files = BTreeSet::new();
        for path in sources(&folder.join(family.name)) {
            let source = read(&path);
            if source.contains("const ENTRY: Entry<Build>") {
                files.insert(
                    path.file_stem()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned(),
                );
                check_form(&path, &source);
            }
        }
        for file in &files {
            let uses = product(&module).matches(&format!("&{file}::ENTRY")).count();
            assert_eq!(uses, 1, "{}/mod.rs must list {file} once", family.name);
            assert!(
                module.contains(&format!("\nmod {file};\n")),
                "{}/mod.rs must declare {file}",
                family.name
            );
        }
        let expected: BTreeSet<String> = family
            .policies
            .iter()
            .map(|policy| file_of(policy.name))
            .collect();
        assert_eq!(
            files, expected,
            "the files of {} are named like its policies",
            family.name
        );
    }
}

/// A policy's file is named like it; a module's name cannot begin with a digit.
fn file_of(policy: &str) -> String {
    match policy {
        "2q" => "two_queue".to_owned(),
        name => name.replace('-', "_"),
    }
}

/// The registry is the only place that knows the set of policies: no file but its own names one.
/// Families may use the same name, each in a file of its own.
#[test]
fn no_other_file_of_policies_names_a_policy() {
    let folder = root().join("policies/src");
    let families = aura_policies::families();
    for policy in families
        .iter()
        .flat_map(|family| &family.policies)
        .filter(|policy| policy.name != "none")
    {
        let own: BTreeSet<PathBuf> = families
            .iter()
            .filter(|family| {
                family
                    .policies
                    .iter()
                    .any(|other| other.name == policy.name)
            })
            .flat_map(|family| {
                [file_of(policy.name), "mod".to_owned()].map(|file| (family.name, file))
            })
            .map(|(family, file)| folder.join(family).join(format!("{file}.rs")))
            .collect();
        for path in sources(&folder).iter().filter(|path| !own.contains(*path)) {
            // A parameter may have a policy's name.
            let source =
                product(&read(path)).replace(&format!("in_range(spec, \"{}\"", policy.name), "");
            let named = source.contains(&format!("\"{}\"", policy.name));
            assert!(
                !named,
                "{} names the policy {}",
                path.display(),
                policy.name
            );
        }
    }
}

fn check_form(path: &Path, source: &str) {
    let doc: Vec<&str> = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    for part in ["Source:", "State:", "Cost:", "Invariants:", "Weak where:"] {
        let found = doc.iter().any(|line| {
            line.trim_start_matches("//!")
                .trim_start()
                .starts_with(part)
        });
        assert!(
            found,
            "the module doc of {} has no line that starts with `{part}`",
            path.display()
        );
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for krate in ["policies", "workloads", "engine", "experiments"] {
        for path in sources(&root().join(krate).join("src")) {
            assert!(
                read(&path).starts_with("//!"),
                "{} has no module doc",
                path.display()
            );
        }
    }
}
