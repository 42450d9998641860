//! Variants of equal settings: their comparison would show nothing but zeros.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_128;

use super::error::ConfigError;
use super::layers::VariantLayer;
use super::resolve::Case;
use crate::point;

/// Refuses variants that equal another one at every sweep point, unless they say so themselves;
/// returns a message for each that does at some points. `cases` holds the variants of a point
/// together; `warnings` says what the command line changed.
///
/// # Errors
/// [`ConfigError`] at the name of the later of two equal variants.
pub(super) fn check(
    variants: &[VariantLayer],
    cases: &[Case],
    warnings: &[String],
) -> Result<Vec<String>, ConfigError> {
    let mut twins: BTreeMap<Twins, Vec<&Case>> = BTreeMap::new();
    for block in cases.chunks(variants.len()) {
        let mut seen: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        for (later, case) in block.iter().enumerate() {
            if variants[later].is_copy {
                continue;
            }
            let alike = seen.entry(digest(case)).or_default();
            // A digest is of rounded sizes: only the settings themselves decide.
            let twin = alike
                .iter()
                .find(|earlier| block[**earlier].config == case.config);
            match twin {
                Some(&earlier) => twins
                    .entry(Twins { earlier, later })
                    .or_default()
                    .push(case),
                None => alike.push(later),
            }
        }
    }
    let points = cases.len() / variants.len();
    let mut messages = Vec::new();
    for (Twins { earlier, later }, cases) in twins {
        let (earlier, later) = (&variants[earlier], &variants[later]);
        if cases.len() == points {
            return Err(refused(earlier, later, warnings));
        }
        messages.extend(cases.iter().map(|case| {
            format!(
                "{} and {} have the same settings at {}.",
                earlier.name,
                later.name,
                point::label(&case.point)
            )
        }));
    }
    Ok(messages)
}

/// Two variants by their places in the config.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Twins {
    earlier: usize,
    later: usize,
}

/// Equal for equal settings. The place of databases is among them: two disks may be compared.
fn digest(case: &Case) -> u128 {
    let text = serde_json::to_string(&case.config).expect("settings are plain data");
    xxh3_128(text.as_bytes())
}

fn refused(twin: &VariantLayer, variant: &VariantLayer, warnings: &[String]) -> ConfigError {
    let (twin, name) = (&twin.name, &variant.name);
    let mut message = format!("variants `{twin}` and `{name}` have the same settings");
    for warning in warnings {
        message += &format!("; {warning}");
    }
    ConfigError::new(message)
        .at(variant.place.clone())
        .help(format!(
            "to compare equal sides on purpose, give `{name}` the line `same_as = \"{twin}\"` \
             instead of settings"
        ))
}
