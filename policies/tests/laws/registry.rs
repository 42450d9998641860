//! Laws of the registries themselves.

use aura_policies::entry::Family;
use aura_policies::{
    PolicyError, PolicySpec, admission, agent, bound, cache, filter, gc, index, layout, picker,
    placement, separation, tuner, warming,
};
use serde_json::json;

fn check_family<B>(family: &Family<B>, build: impl Fn(&PolicySpec) -> Result<(), PolicyError>) {
    let names: Vec<&str> = family.entries.iter().map(|entry| entry.name).collect();
    assert!(
        names.is_sorted_by(|a, b| a < b),
        "{}: {names:?} are unique and sorted",
        family.name
    );
    assert!(
        names.contains(&family.default),
        "{}: {} is registered",
        family.name,
        family.default
    );
    assert!(!family.question.is_empty(), "{}", family.name);

    let unknown =
        build(&PolicySpec::named("no such policy")).expect_err("an unknown policy is refused");
    let expected = format!(
        "unknown {} policy `no such policy`; known: {}",
        family.name,
        names.join(", ")
    );
    assert_eq!(unknown.to_string(), expected);

    for entry in family.entries {
        let name = entry.name;
        let spec = PolicySpec::named(name);
        assert_eq!(build(&spec), Ok(()), "{name} builds with its defaults");
        assert!(!entry.about.is_empty(), "{name}");

        let params = (entry.params)();
        let known: Vec<String> = params.iter().map(|param| param.name.clone()).collect();
        let error = build(&spec.clone().with("no_such_parameter", 1))
            .expect_err("an unknown parameter is refused");
        let expected = PolicyError::UnknownParameter {
            family: family.name,
            policy: name,
            parameter: "no_such_parameter".to_owned(),
            known: known.clone(),
        };
        assert_eq!(error, expected);
        assert!(
            known.iter().all(|known| error.to_string().contains(known)),
            "{error}"
        );

        for param in params {
            let what = format!("{} of {name}", param.name);
            assert!(!param.about.is_empty(), "{what} is documented");
            assert!(
                !param.default.is_null() && !param.kind.is_empty(),
                "{what}: {param:?}"
            );
            assert_eq!(
                build(&spec.clone().with(&param.name, param.default.clone())),
                Ok(()),
                "{what}"
            );
            let error = build(&spec.clone().with(&param.name, json!({ "wrong": true })));
            assert!(
                matches!(error, Err(PolicyError::BadParameter { .. })),
                "{what}: {error:?}"
            );
        }
    }
}

#[test]
fn every_registry_is_in_order() {
    check_family(&cache::FAMILY, |spec| {
        cache::build(spec, 1 << 20, 0).map(drop)
    });
    check_family(&admission::FAMILY, |spec| {
        admission::build(spec, 1 << 20, 0).map(drop)
    });
    check_family(&bound::FAMILY, |spec| bound::build(spec).map(drop));
    check_family(&warming::FAMILY, |spec| warming::build(spec).map(drop));
    check_family(&layout::FAMILY, |spec| layout::build(spec).map(drop));
    check_family(&picker::FAMILY, |spec| picker::build(spec).map(drop));
    check_family(&agent::FAMILY, |spec| agent::build(spec, 0).map(drop));
    check_family(&index::FAMILY, |spec| index::build(spec).map(drop));
    check_family(&tuner::FAMILY, |spec| tuner::build(spec).map(drop));
    check_family(&filter::FAMILY, |spec| filter::build(spec).map(drop));
    check_family(&separation::FAMILY, |spec| {
        separation::build(spec).map(drop)
    });
    check_family(&placement::FAMILY, |spec| placement::build(spec).map(drop));
    check_family(&gc::FAMILY, |spec| gc::build(spec).map(drop));
}

#[test]
fn the_listing_names_each_family_and_one_default_in_it() {
    let families = aura_policies::families();
    let names: Vec<&str> = families.iter().map(|family| family.name).collect();
    let expected = [
        "cache",
        "admission",
        "bound",
        "warming",
        "layout",
        "picker",
        "agent",
        "index",
        "tuner",
        "filter",
        "separation",
        "placement",
        "gc",
    ];
    assert_eq!(names, expected);
    for family in families {
        assert_eq!(
            family
                .policies
                .iter()
                .filter(|policy| policy.default)
                .count(),
            1,
            "{}",
            family.name
        );
    }
}

#[test]
fn a_spec_is_a_name_or_a_table() {
    let named: PolicySpec = serde_json::from_value(json!("lru")).expect("a name");
    assert_eq!(named, PolicySpec::named("lru"));
    let table: PolicySpec =
        serde_json::from_value(json!({ "policy": "leveled", "ratio": 4 })).expect("a table");
    assert_eq!(table, PolicySpec::named("leveled").with("ratio", 4));
    assert_eq!(
        serde_json::from_value::<PolicySpec>(json!(3)).map_err(|error| error.is_data()),
        Err(true)
    );
    assert_eq!(table.to_string(), "leveled(ratio=4)");
}
