//! What the command line says: policies with parameters, and sizes.

use std::fmt;

use aura_policies::{Family, PolicyError, PolicySpec};
use bytesize::ByteSize;
use serde_json::Value;

/// A part of a command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A policy is not written as one.
    #[error("`{0}` is not a policy: write name, or name(parameter=value, ...)")]
    Form(String),
    /// The registry refuses it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A size is not written as one.
    #[error(
        "`{0}` is not a size: write a share of the trace (1%), a number of objects (10000) or bytes (64MiB)"
    )]
    Size(String),
    /// Nothing is named.
    #[error("nothing is named")]
    Empty,
}

/// Splits at commas that stand outside brackets and quotes.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0_u32, false, 0);
    let mut parts = Vec::new();
    for (at, sign) in list.char_indices() {
        match sign {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[from..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// A policy as [`PolicySpec`] prints it: `clock(bits=2)`. A value is JSON; what is none is text.
fn spec(text: &str) -> Result<PolicySpec, SpecError> {
    let wrong = || SpecError::Form(text.to_owned());
    let Some((name, rest)) = text.split_once('(') else {
        return Ok(PolicySpec::named(text));
    };
    let inner = rest.strip_suffix(')').ok_or_else(wrong)?;
    let mut spec = PolicySpec::named(name.trim());
    for part in parts(inner) {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let value =
            serde_json::from_str(value.trim()).unwrap_or_else(|_| Value::from(value.trim()));
        spec = spec.with(name.trim(), value);
    }
    Ok(spec)
}

/// Every policy of a family, with default parameters.
pub fn all_of<B>(family: &Family<B>) -> Vec<PolicySpec> {
    family
        .entries()
        .iter()
        .map(|entry| PolicySpec::named(entry.name))
        .collect()
}

/// The policies that a list names: `all`, or `name,name(parameter=value)`; `none` and nothing else is an empty list. Names
/// and parameters are known to exist.
///
/// # Errors
/// See [`SpecError`].
pub fn specs<B>(family: &Family<B>, list: &str) -> Result<Vec<PolicySpec>, SpecError> {
    let mut found: Vec<PolicySpec> = Vec::new();
    for part in parts(list) {
        let named = if part == "all" {
            all_of(family)
        } else {
            vec![spec(part)?]
        };
        for spec in named {
            family.find(&spec)?;
            if !found.contains(&spec) {
                found.push(spec);
            }
        }
    }
    if found.is_empty() {
        Err(SpecError::Empty)
    } else {
        Ok(found)
    }
}

/// The names of a family, for an error message.
pub fn known<B>(family: &Family<B>) -> String {
    let names: Vec<_> = family.names();
    names.join(", ")
}

/// How large a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSize {
    /// As it was written.
    text: String,
    amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    /// `part` of `whole` of the trace: decimal fractions stay exact.
    Share { part: u64, whole: u64 },
    /// Objects, or bytes where bytes are charged.
    Plain(u64),
    /// Bytes, said to be such.
    Bytes(u64),
}

impl CacheSize {
    fn parse(text: &str) -> Option<Self> {
        let amount = match text.strip_suffix('%') {
            Some(percent) => share(percent.trim())?,
            None => match text.parse() {
                Ok(amount) => Amount::Plain(amount),
                Err(_) => Amount::Bytes(text.parse::<ByteSize>().ok()?.as_u64()),
            },
        };
        Some(Self {
            text: text.to_owned(),
            amount,
        })
    }

    /// The share of a trace's footprint, rounded down; None if it is not a share.
    pub(super) fn share_of(&self, footprint: u64) -> Option<u64> {
        match self.amount {
            Amount::Share { part, whole } => {
                Some((u128::from(footprint) * u128::from(part) / u128::from(whole)) as u64)
            }
            _ => None,
        }
    }

    /// What was written, if it is not a share.
    pub(super) fn amount(&self) -> u64 {
        match self.amount {
            Amount::Share { .. } => 0,
            Amount::Plain(amount) | Amount::Bytes(amount) => amount,
        }
    }

    pub(super) fn is_bytes(&self) -> bool {
        matches!(self.amount, Amount::Bytes(_))
    }
}

/// Decimal percent, above 0 and up to 100.
fn share(percent: &str) -> Option<Amount> {
    let (integer, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = format!("{integer}{fraction}");
    if integer.is_empty() || fraction.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let (part, whole) = (
        digits.parse::<u64>().ok()?,
        100 * 10_u64.pow(fraction.len() as u32),
    );
    (part > 0 && part <= whole).then_some(Amount::Share { part, whole })
}

impl fmt::Display for CacheSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The sizes that a list names, parted by commas.
///
/// # Errors
/// See [`SpecError`].
pub fn sizes(list: &str) -> Result<Vec<CacheSize>, SpecError> {
    let mut sizes = Vec::new();
    for part in parts(list) {
        let size = CacheSize::parse(part).ok_or_else(|| SpecError::Size(part.to_owned()))?;
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        Err(SpecError::Empty)
    } else {
        Ok(sizes)
    }
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
            let read = spec(text).expect("a policy");
            assert_eq!(spec(&read.to_string()).expect("as printed"), read, "{text}");
        }
        assert_eq!(
            spec("x(name=word)").expect("text needs no quotes"),
            PolicySpec::named("x").with("name", "word")
        );
        assert_eq!(
            parts("a, b(c=1,d=2),\"e,f\""),
            ["a", "b(c=1,d=2)", "\"e,f\""]
        );
        for bad in ["lru(", "lru(bits)", "lru(bits=1"] {
            assert!(matches!(spec(bad), Err(SpecError::Form(_))), "{bad}");
        }
    }

    #[test]
    fn lists_are_checked_against_the_registry() {
        assert_eq!(
            specs(&FAMILY, "all").expect("all").len(),
            FAMILY.entries().len()
        );
        assert_eq!(
            specs(&FAMILY, "lru,all,lru").expect("each once").len(),
            FAMILY.entries().len()
        );
        assert!(matches!(
            specs(&FAMILY, "lru,lur"),
            Err(SpecError::Policy(PolicyError::UnknownPolicy { .. }))
        ));
        assert!(matches!(
            specs(&FAMILY, "lru(x=1)"),
            Err(SpecError::Policy(PolicyError::UnknownParameter { .. }))
        ));
        assert!(matches!(specs(&FAMILY, " , "), Err(SpecError::Empty)));
    }

    #[test]
    fn shares_are_exact_and_rounded_down() {
        let share = |text: &str, of: u64| CacheSize::parse(text).expect("a size").share_of(of);
        // As binary fractions these would come out one less.
        assert_eq!(share("29%", 100), Some(29));
        assert_eq!(share("0.1%", 3000), Some(3));
        // The footprint of a public trace and what another program made of it.
        assert_eq!(share("0.1%", 2_029_769_728), Some(2_029_769));
        assert_eq!(share("100%", u64::MAX), Some(u64::MAX));
        assert_eq!(
            CacheSize::parse("64MiB").expect("a size").amount(),
            64 << 20
        );
        assert_eq!(
            CacheSize::parse("10000").expect("a size").amount,
            Amount::Plain(10_000)
        );
        for bad in [
            "0%",
            "101%",
            "%",
            ".5%",
            "-1%",
            "1e3%",
            "x",
            "",
            "1 %%",
            "0.0000000001%",
        ] {
            assert_eq!(CacheSize::parse(bad), None, "{bad}");
        }
    }
}
