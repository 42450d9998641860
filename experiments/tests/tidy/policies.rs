//! A policy is one file and one entry in its family, and no other place names it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::sources::{product, read, root, rust_files};

#[test]
fn the_engine_names_no_policy() {
    let families = aura_policies::families();
    let names: BTreeSet<&str> = families
        .iter()
        .flat_map(|family| family.policies.iter().map(|policy| policy.name))
        .filter(|name| *name != "none")
        .collect();
    for path in rust_files(&root().join("engine/src")) {
        if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
            continue;
        }
        let code = product(&read(&path));
        for name in &names {
            assert!(
                !code.contains(&format!("\"{name}\"")),
                "{} names the policy {name}",
                path.display()
            );
        }
    }
}

#[test]
fn every_policy_is_one_file_and_one_entry() {
    let folder = root().join("policies/src");
    for family in aura_policies::families() {
        let own = folder.join(folder_of(family.name));
        let module = read(&own.join("mod.rs"));
        let mut files = BTreeSet::new();
        for path in rust_files(&own) {
            let source = read(&path);
            if source.contains("const ENTRY: Entry<Build>") {
                let name = path.file_stem().expect("a name").to_string_lossy();
                files.insert(name.into_owned());
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

/// A family's folder is named like it, as a module.
fn folder_of(family: &str) -> String {
    family.replace('-', "_")
}

/// A policy's file is named like it; a module's name cannot begin with a digit.
fn file_of(policy: &str) -> String {
    match policy {
        "2q" => "two_queue".to_owned(),
        name => name.replace('-', "_"),
    }
}

/// The registry is the only place that knows the set of policies: no file but its own names one.
/// Families may use one name, each in a file of its own.
#[test]
fn no_other_file_of_policies_names_a_policy() {
    let folder = root().join("policies/src");
    let families = aura_policies::families();
    let policies = families.iter().flat_map(|family| &family.policies);
    for policy in policies.filter(|policy| policy.name != "none") {
        let own: BTreeSet<PathBuf> = families
            .iter()
            .filter(|family| family.policies.iter().any(|it| it.name == policy.name))
            .flat_map(|family| {
                let folder = folder.join(folder_of(family.name));
                [file_of(policy.name), "mod".to_owned()]
                    .map(|file| folder.join(format!("{file}.rs")))
            })
            .collect();
        for path in rust_files(&folder)
            .iter()
            .filter(|path| !own.contains(*path))
        {
            // A parameter may have a policy's name.
            let checked = format!("in_range(spec, \"{}\"", policy.name);
            let saved = format!("\"{}\": self.", policy.name);
            // So may a family.
            let family = format!("name: \"{}\",\n    question:", policy.name);
            let source = product(&read(path))
                .replace(&checked, "")
                .replace(&saved, "")
                .replace(&family, "");
            assert!(
                !source.contains(&format!("\"{}\"", policy.name)),
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
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim_start)
        .collect();
    for part in ["Source:", "State:", "Cost:", "Invariants:", "Weak where:"] {
        assert!(
            doc.iter().any(|line| line.starts_with(part)),
            "the module doc of {} has no line that starts with `{part}`",
            path.display()
        );
    }
}
