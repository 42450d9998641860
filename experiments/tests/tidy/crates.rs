//! The arrows between the crates, and between the modules of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::sources::{product, read, root, rust_files};

/// The crates whose top modules must not use each other in a circle.
const WITHOUT_CIRCLES: [&str; 4] = ["engine", "experiments", "policies", "workloads"];

/// The workspace crates that a crate's product depends on.
fn arrows(krate: &str) -> BTreeSet<String> {
    let manifest = read(&root().join(krate).join("Cargo.toml"));
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let names = dependencies.keys();
    names
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
fn every_source_file_says_what_it_is() {
    for krate in ["policies", "workloads", "engine", "experiments"] {
        for path in rust_files(&root().join(krate).join("src")) {
            assert!(
                read(&path).starts_with("//!"),
                "{} has no module doc",
                path.display()
            );
        }
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    for krate in WITHOUT_CIRCLES {
        let uses = uses(&root().join(krate).join("src"));
        assert!(uses.len() > 5, "{krate} has more modules: {uses:?}");
        if let Some(circle) = circle(&uses) {
            panic!("modules of {krate} use each other: {circle}");
        }
    }
}

/// Which top module uses which others, and the file where.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// What the modules below `src` use of each other. Test code does not count.
fn uses(src: &Path) -> Uses {
    let library = product(&read(&src.join("lib.rs")));
    let mut uses: Uses = declared_modules(&library)
        .map(|module| (module.to_owned(), BTreeMap::new()))
        .collect();
    let owners = owners(&library, &uses);
    for module in uses.keys().cloned().collect::<Vec<_>>() {
        for file in product_files(src, &module) {
            let path = src.join(&file);
            // `a/mod.rs` and `a.rs` are the module a, `a/b.rs` is a::b.
            let depth = file.trim_end_matches("/mod.rs").matches('/').count() + 1;
            for name in names_at_root(&product(&read(&path)), depth) {
                if let Some(used) = owners.get(&name)
                    && *used != module
                {
                    let used_by = uses.get_mut(&module).expect("a module");
                    used_by.entry(used.clone()).or_insert(file.clone());
                }
            }
        }
    }
    uses
}

/// The names of the modules that a source declares.
fn declared_modules(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (visibility, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
        (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
    })
}

/// The files of a module and of the modules below it, test modules left out.
fn product_files(src: &Path, module: &str) -> Vec<String> {
    let candidates = [format!("{module}.rs"), format!("{module}/mod.rs")];
    let file = candidates.into_iter().find(|file| src.join(file).exists());
    let file = file.unwrap_or_else(|| panic!("the module {module} has no file"));
    let source = product(&read(&src.join(&file)));
    let below = declared_modules(&source).flat_map(|name| {
        let below = format!("{module}/{name}");
        product_files(src, &below)
    });
    [file]
        .into_iter()
        .chain(below.collect::<Vec<_>>())
        .collect()
}

/// The module that each name of the library's root belongs to: modules, and what is exported from
/// them by `pub use`.
fn owners(library: &str, modules: &Uses) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<String, String> = modules
        .keys()
        .map(|module| (module.clone(), module.clone()))
        .collect();
    for exported in library.split("pub use ").skip(1) {
        let exported = exported.split(';').next().expect("a first part");
        if let Some((module, names)) = exported.split_once("::") {
            for name in first_names(names) {
                // A module of that name is meant first: a path goes on from it.
                owners.entry(name).or_insert_with(|| module.to_owned());
            }
        }
    }
    owners
}

/// The names that a source takes from its crate's root: by `crate::`, or by as many `super::` as
/// lead there from a module at this depth.
fn names_at_root(source: &str, depth: usize) -> BTreeSet<String> {
    let supers = "super::".repeat(depth);
    let mut names = BTreeSet::new();
    for root in ["crate::", &supers] {
        for (start, _) in source.match_indices(root) {
            let before = source[..start].chars().next_back();
            // `mycrate::` is another crate, and `super::super::` leads further up.
            if !before.is_some_and(|it| it.is_alphanumeric() || matches!(it, '_' | ':')) {
                names.extend(first_names(&source[start + root.len()..]));
            }
        }
    }
    names
}

/// The first name of a path, or of each path of a group in braces.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![name_of(path)];
    };
    let mut names = Vec::new();
    let mut open = 1;
    let mut start = 0;
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if (byte == b',' && open == 1) || open == 0 {
            names.push(name_of(&group[start..at]));
            start = at + 1;
        }
        if open == 0 {
            break;
        }
    }
    // A comma may be the last.
    names.retain(|name| !name.is_empty());
    names
}

fn name_of(path: &str) -> String {
    let is_part = |it: &char| it.is_alphanumeric() || *it == '_';
    path.trim_start().chars().take_while(is_part).collect()
}

/// A circle of modules, with the file of each arrow; none if there is no circle.
fn circle(uses: &Uses) -> Option<String> {
    // Modules that use only modules outside every circle are outside, too.
    let mut inside = uses.clone();
    while let Some(module) = inside
        .iter()
        .find(|(_, used)| !used.keys().any(|used| inside.contains_key(used)))
        .map(|(module, _)| module.clone())
    {
        inside.remove(&module);
    }
    // From each of the others an arrow leads to another one: following them ends in a circle.
    let mut walk = vec![inside.keys().next()?];
    loop {
        let module = walk.last().expect("it began with one");
        let next = inside[*module].keys().find(|it| inside.contains_key(*it))?;
        if let Some(start) = walk.iter().position(|it| *it == next) {
            walk.push(next);
            let arrows = walk[start..].windows(2).map(|pair| {
                let file = &inside[pair[0]][pair[1]];
                format!("{} uses {} ({file})", pair[0], pair[1])
            });
            return Some(arrows.collect::<Vec<_>>().join(", "));
        }
        walk.push(next);
    }
}

#[test]
fn the_names_that_a_source_takes_from_the_root_are_found() {
    let source = "\
use crate::{
    engine::{Batch, Engine},
    state,
};
use super::super::read::Reader;
use super::sibling;
fn f() -> crate::error::Result<()> { mycrate::other() }
";
    let expected = ["engine", "error", "read", "state"].map(str::to_owned);
    assert_eq!(names_at_root(source, 2), BTreeSet::from(expected));
}

#[test]
fn a_circle_is_found_and_named() {
    let uses = |arrows: &[(&str, &str)]| {
        let mut uses = Uses::new();
        for (from, to) in arrows {
            let arrow = (String::from(*to), format!("{from}.rs"));
            uses.entry(String::from(*from)).or_default().extend([arrow]);
            uses.entry(String::from(*to)).or_default();
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(
        circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")])).as_deref(),
        Some("b uses c (b.rs), c uses b (c.rs)")
    );
}
