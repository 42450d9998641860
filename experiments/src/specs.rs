//! Policies as a command line names them: `lru,clock(bits=2)`.

use aura_policies::{Family, PolicyError, PolicySpec};
use serde_json::Value;

/// A list of policies that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A policy is not written as one.
    #[error("`{0}` is not a policy: write name, or name(parameter=value, ...)")]
    Form(String),
    /// The registry refuses it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The list is empty.
    #[error("the list is empty")]
    Empty,
}

/// Splits a list at the commas outside brackets and quotes. Parts may be empty.
pub fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_u32;
    let mut quoted = false;
    let mut start = 0;
    for (at, letter) in list.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}

/// Reads a policy as [`PolicySpec`] prints it: `clock(bits=2)`. A value is JSON; a bare word is
/// text.
///
/// # Errors
/// [`SpecError::Form`].
pub fn parse(text: &str) -> Result<PolicySpec, SpecError> {
    let wrong = || SpecError::Form(text.to_owned());
    let (name, params) = match text.split_once('(') {
        None => (text, ""),
        Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(wrong)?),
    };
    let name = name.trim();
    if name.is_empty() || name.contains([')', '=', ',']) {
        return Err(wrong());
    }
    let mut spec = PolicySpec::named(name);
    for param in split(params) {
        if param.is_empty() {
            continue;
        }
        let (name, value) = param.split_once('=').ok_or_else(wrong)?;
        let value = value.trim();
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        spec = spec.with(name.trim(), value);
    }
    Ok(spec)
}

/// Every policy of a family, with default parameters.
pub fn all_of<B>(family: &Family<B>) -> Vec<PolicySpec> {
    let names = family.names().into_iter();
    names.map(PolicySpec::named).collect()
}

/// Reads a list of policies of a family: `all`, or `name,name(parameter=value)`. Each policy is
/// returned once; names and parameters are known to exist.
///
/// # Errors
/// [`SpecError`].
pub fn parse_list<B>(family: &Family<B>, list: &str) -> Result<Vec<PolicySpec>, SpecError> {
    let mut found: Vec<PolicySpec> = Vec::new();
    for part in split(list) {
        let named = match part {
            "" => continue,
            "all" => all_of(family),
            part => vec![parse(part)?],
        };
        for mut spec in named {
            if family.get(&spec.policy).is_none() {
                spec = spelled_otherwise(family, spec);
            }
            family.find(&spec)?;
            if !found.contains(&spec) {
                found.push(spec);
            }
        }
    }
    if found.is_empty() {
        return Err(SpecError::Empty);
    }
    Ok(found)
}

/// The policy that others spell like `spec`: in capitals, with other marks or none, or by a
/// synonym. `spec` itself if no policy is.
fn spelled_otherwise<B>(family: &Family<B>, spec: PolicySpec) -> PolicySpec {
    let plain = |name: &str| -> String {
        let kept = name.chars().filter(char::is_ascii_alphanumeric);
        kept.map(|char| char.to_ascii_lowercase()).collect()
    };
    let asked = plain(&spec.policy);
    let wanted = match &*asked {
        "twoq" => "2q",
        "belady" | "opt" => "min",
        // Quick demotion and lazy promotion, which S3-FIFO came from.
        "qdlp" => "s3fifo",
        other => other,
    };
    let Some(name) = family.names().into_iter().find(|it| plain(it) == wanted) else {
        return spec;
    };
    let has_threshold = spec.params.contains_key("threshold");
    let mut found = spec;
    name.clone_into(&mut found.policy);
    if asked == "qdlp" && !has_threshold {
        found = found.with("threshold", 1);
    }
    found
}

/// The names of a family, for an error message.
pub fn known<B>(family: &Family<B>) -> String {
    family.names().join(", ")
}

#[cfg(test)]
mod tests {
    use aura_policies::cache::FAMILY;

    use super::*;

    #[test]
    fn a_policy_reads_as_it_prints() {
        for text in [
            "lru",
            "x(bits=2)",
            "x(a=0.5, b=\"c,d\", e=[1,2])",
            "x(name=\"word\")",
        ] {
            let read = parse(text).expect("a policy");
            assert_eq!(
                parse(&read.to_string()).expect("as printed"),
                read,
                "{text}"
            );
        }
        assert_eq!(
            parse("x(name=word)").expect("text needs no quotes"),
            PolicySpec::named("x").with("name", "word")
        );
        for bad in [
            "",
            "lru(",
            "lru)",
            "lru(bits)",
            "lru(bits=1",
            "lru(bits=1)x",
        ] {
            assert!(matches!(parse(bad), Err(SpecError::Form(_))), "{bad}");
        }
    }

    #[test]
    fn names_are_known_as_others_spell_them() {
        let found = parse_list(&FAMILY, "LRU,S3FIFO,WTinyLFU,TwoQ,LFU_DA").expect("policies");
        let names: Vec<&str> = found.iter().map(|spec| &*spec.policy).collect();
        assert_eq!(names, ["lru", "s3-fifo", "w-tinylfu", "2q", "lfu-da"]);
        let qdlp = parse_list(&FAMILY, "QDLP").expect("a policy");
        assert_eq!(qdlp, [PolicySpec::named("s3-fifo").with("threshold", 1)]);
        let bounds = parse_list(&aura_policies::bound::FAMILY, "belady").expect("a bound");
        assert_eq!(bounds, [PolicySpec::named("min")]);
        assert!(parse_list(&FAMILY, "lur").is_err());
    }

    #[test]
    fn a_list_is_split_outside_brackets_and_quotes() {
        assert_eq!(
            split("a, b(c=1,d=2),\"e,f\""),
            ["a", "b(c=1,d=2)", "\"e,f\""]
        );
        assert_eq!(split("a,,b"), ["a", "", "b"]);
    }

    #[test]
    fn lists_are_checked_against_the_registry() {
        let all = FAMILY.entries().len();
        assert_eq!(parse_list(&FAMILY, "all").expect("all").len(), all);
        let twice = parse_list(&FAMILY, "lru,all,lru").expect("each once");
        assert_eq!(twice.len(), all);
        assert!(matches!(
            parse_list(&FAMILY, "lru,lur"),
            Err(SpecError::Policy(PolicyError::UnknownPolicy { .. }))
        ));
        assert!(matches!(
            parse_list(&FAMILY, "lru(x=1)"),
            Err(SpecError::Policy(PolicyError::UnknownParameter { .. }))
        ));
        assert!(matches!(parse_list(&FAMILY, " , "), Err(SpecError::Empty)));
    }
}
