//! Laws of the registries, over every family of [`FAMILIES`].

use std::collections::BTreeSet;

use aura_policies::{
    AnyFamily, Defaults, FAMILIES, ParamDoc, PolicyError, PolicyInfo, PolicySpec, cache, defaults,
    picker,
};
use serde_json::json;

#[test]
fn names_are_unique_and_sorted_and_one_is_the_default() {
    for family in FAMILIES {
        let info = family.info();
        let names: Vec<&str> = info.policies.iter().map(|policy| policy.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{}: {names:?}", info.name);
        let default = family.default_spec();
        for policy in &info.policies {
            assert_eq!(
                policy.default,
                policy.name == default.policy,
                "{}",
                policy.name
            );
        }
        assert!(
            names.contains(&&*default.policy),
            "{}: {default}",
            info.name
        );
        assert_eq!(info.name, family.name());
        assert!(!info.question.is_empty(), "{}", info.name);
    }
}

#[test]
fn an_unknown_policy_is_refused_with_the_known_names() {
    for family in FAMILIES {
        let info = family.info();
        let names: Vec<&str> = info.policies.iter().map(|policy| policy.name).collect();
        let unknown = PolicySpec::named("no such policy");
        let error = family.check(&unknown).expect_err("there is no such policy");
        let expected = format!(
            "unknown {} policy `no such policy`; known: {}",
            info.name,
            names.join(", ")
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(family.complete(&unknown), Err(error));
    }
}

#[test]
fn every_policy_builds_with_its_defaults_and_knows_its_parameters() {
    for family in FAMILIES {
        for policy in family.info().policies {
            let name = policy.name;
            let spec = PolicySpec::named(name);
            assert_eq!(family.check(&spec), Ok(()), "{name}");
            assert!(!policy.about.is_empty(), "{name}");

            let known: Vec<String> = policy.params.iter().map(|p| p.name.clone()).collect();
            assert!(known.is_sorted_by(|a, b| a < b), "{name}: {known:?}");
            let unknown = spec.with("no_such_parameter", 1);
            let error = family
                .check(&unknown)
                .expect_err("there is no such parameter");
            assert!(
                known.iter().all(|known| error.to_string().contains(known)),
                "{error}"
            );
            let expected = PolicyError::UnknownParameter {
                family: family.name(),
                policy: name,
                parameter: "no_such_parameter".to_owned(),
                known,
            };
            assert_eq!(error, expected);
            assert_eq!(family.complete(&unknown), Err(expected));
        }
    }
}

#[test]
fn every_parameter_is_documented_and_checked() {
    for family in FAMILIES {
        for policy in family.info().policies {
            for param in &policy.params {
                check_parameter(*family, &policy, param);
            }
        }
    }
}

fn check_parameter(family: &dyn AnyFamily, policy: &PolicyInfo, param: &ParamDoc) {
    let what = format!("{} of {}", param.name, policy.name);
    assert!(!param.about.is_empty(), "{what} is documented");
    assert!(!param.default.is_null(), "{what}: {param:?}");
    assert!(!param.kind.is_empty(), "{what}: {param:?}");

    let spec = PolicySpec::named(policy.name);
    let same = spec.clone().with(&param.name, param.default.clone());
    assert_eq!(family.check(&same), Ok(()), "{what}");
    let wrong = spec.with(&param.name, json!({ "wrong": true }));
    match family.check(&wrong) {
        Err(PolicyError::BadParameter {
            policy: named,
            parameter,
            ..
        }) => {
            assert_eq!(named, policy.name);
            assert_eq!(
                parameter, param.name,
                "the error says which parameter is wrong"
            );
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_complete_spec_sets_every_parameter_and_keeps_those_that_were_set() {
    for family in FAMILIES {
        for policy in family.info().policies {
            let spec = PolicySpec::named(policy.name);
            let complete = family.complete(&spec).expect("a known policy");
            assert_eq!(complete.params.len(), policy.params.len(), "{complete}");
            for param in &policy.params {
                assert_eq!(complete.params[&param.name], param.default, "{complete}");
            }
            assert_eq!(family.check(&complete), Ok(()), "{complete}");
            assert_eq!(family.complete(&complete), Ok(complete));
        }
    }
    let spec = PolicySpec::named("2q").with("recent", 0.5);
    let complete = AnyFamily::complete(&cache::FAMILY, &spec).expect("a known policy");
    assert_eq!(complete.params["recent"], 0.5);
}

#[test]
fn the_table_holds_each_family_once() {
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name()).collect();
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
        "stall",
        "limiter",
        "self-tuner",
    ];
    assert_eq!(names, expected);
    let listed: Vec<&str> = aura_policies::families()
        .iter()
        .map(|family| family.name)
        .collect();
    assert_eq!(listed, expected);
}

/// An engine uses every family but the bounds, which need the whole trace at once.
#[test]
fn the_engines_defaults_are_those_of_the_families() {
    let Defaults {
        eviction,
        admission,
        warming,
        layout,
        picker,
        agent,
        index,
        tuner,
        filter,
        separation,
        placement,
        gc,
        stall,
        limiter,
        self_tuner,
    } = defaults();
    let of_engine = [
        ("cache", eviction),
        ("admission", admission),
        ("warming", warming),
        ("layout", layout),
        ("picker", picker),
        ("agent", agent),
        ("index", index),
        ("tuner", tuner),
        ("filter", filter),
        ("separation", separation),
        ("placement", placement),
        ("gc", gc),
        ("stall", stall),
        ("limiter", limiter),
        ("self-tuner", self_tuner),
    ];
    let mut unused: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name()).collect();
    for (name, spec) in of_engine {
        let family = FAMILIES.iter().find(|family| family.name() == name);
        assert_eq!(family.expect("a family").default_spec(), spec);
        unused.remove(name);
    }
    assert_eq!(unused, BTreeSet::from(["bound"]));
}

#[test]
fn an_alias_names_a_policy_and_is_none_itself() {
    let family: &dyn AnyFamily = &picker::FAMILY;
    assert!(!picker::FAMILY.aliases().is_empty());
    for (alias, policy) in picker::FAMILY.aliases() {
        let complete = family.complete(&PolicySpec::named(alias));
        assert_eq!(complete, family.complete(&PolicySpec::named(policy)));
        assert_eq!(family.check(&PolicySpec::named(alias)), Ok(()), "{alias}");
        assert!(
            picker::FAMILY.names().iter().any(|it| it == policy),
            "{policy}"
        );
        assert!(
            picker::FAMILY.names().iter().all(|it| it != alias),
            "{alias}"
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
