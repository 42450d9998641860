//! Policies registered by another crate. A test binary of its own: what is registered stays for the
//! life of the process, and the laws count what this crate ships.

use aura_policies::entry::{Entry, describe, in_range, params};
use aura_policies::picker::{self, Candidates, Picker};
use aura_policies::{AnyFamily, FAMILIES, PolicyError, PolicySpec, RegisterError};

/// Moves the table at a fixed position.
struct Fixed {
    position: usize,
}

impl Picker for Fixed {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        self.position.min(candidates.tables.len() - 1)
    }
}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The position of the table that moves (1 to 9).
    position: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { position: 1 }
    }
}

fn build(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError> {
    let Params { position } = params(spec)?;
    in_range(spec, "position", position, 1..=9)?;
    Ok(Box::new(Fixed { position }))
}

const fn entry(name: &'static str) -> Entry<picker::Build> {
    Entry {
        name,
        about: "the table at a fixed position",
        params: describe::<Params>,
        build,
    }
}

fn names() -> Vec<&'static str> {
    let info = picker::FAMILY.info();
    info.policies.iter().map(|policy| policy.name).collect()
}

/// One test, because the registry is shared by the whole process.
#[test]
fn a_registered_policy_is_known_everywhere() {
    static LATER: Entry<picker::Build> = entry("z-fixed");
    static EARLIER: Entry<picker::Build> = entry("a-fixed");
    let shipped = names();
    picker::FAMILY.register(&LATER).expect("the name is free");
    picker::FAMILY.register(&EARLIER).expect("the name is free");

    // Listings are sorted, whatever the order of registration.
    let mut expected = vec!["a-fixed"];
    expected.extend(shipped);
    expected.push("z-fixed");
    assert_eq!(names(), expected);
    let family = FAMILIES.iter().find(|family| family.name() == "picker");
    let family: &dyn AnyFamily = *family.expect("the family");
    let listed: Vec<&str> = family
        .info()
        .policies
        .iter()
        .map(|policy| policy.name)
        .collect();
    assert_eq!(listed, expected);
    let all = aura_policies::families();
    let info = all
        .iter()
        .find(|info| info.name == "picker")
        .expect("the family");
    assert_eq!(
        info.policies[0].params[0].about,
        "The position of the table that moves (1 to 9)."
    );

    let spec = PolicySpec::named("a-fixed");
    assert_eq!(
        picker::FAMILY.find(&spec).map(|entry| entry.name),
        Ok("a-fixed")
    );
    assert!(picker::build(&spec).is_ok());
    assert_eq!(family.check(&spec.clone().with("position", 9)), Ok(()));
    assert_eq!(
        family
            .check(&spec.clone().with("position", 10))
            .map_err(|error| error.to_string()),
        Err("bad parameter `position` of policy `a-fixed`: must be 1 to 9, not 10".to_owned())
    );
    assert_eq!(family.complete(&spec), Ok(spec.with("position", 1)));
    let error = family
        .check(&PolicySpec::named("b-fixed"))
        .expect_err("nobody registered it");
    assert_eq!(
        error.to_string(),
        format!(
            "unknown picker policy `b-fixed`; known: {}",
            expected.join(", ")
        )
    );

    // A name stands for one policy, whether it was shipped or registered.
    static SHIPPED: Entry<picker::Build> = entry("oldest");
    for taken in [&SHIPPED, &LATER] {
        let expected = RegisterError::NameTaken {
            family: "picker",
            policy: taken.name,
        };
        assert_eq!(picker::FAMILY.register(taken), Err(expected));
    }
    assert_eq!(names(), expected, "a refused policy is not listed");
}

#[test]
fn a_name_that_configs_cannot_write_is_refused() {
    static BAD: [Entry<picker::Build>; 5] = [
        entry(""),
        entry("-x"),
        entry("Fixed"),
        entry("a(b=1)"),
        entry("a,b"),
    ];
    for entry in &BAD {
        let expected = RegisterError::BadName {
            family: "picker",
            policy: entry.name,
        };
        assert_eq!(picker::FAMILY.register(entry), Err(expected));
    }
}

#[test]
fn a_policy_that_refuses_its_own_defaults_is_refused() {
    static BROKEN: Entry<picker::Build> = Entry {
        name: "broken",
        about: "refuses everything",
        params: Vec::new,
        build: |spec| {
            Err(aura_policies::entry::bad(
                spec,
                "position",
                "is never right",
            ))
        },
    };
    let error = picker::FAMILY
        .register(&BROKEN)
        .expect_err("it does not build");
    assert!(
        matches!(
            error,
            RegisterError::BadDefaults {
                policy: "broken",
                ..
            }
        ),
        "{error}"
    );
    assert!(picker::FAMILY.get("broken").is_none());
}
