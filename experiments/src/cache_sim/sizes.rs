//! Sizes of simulated caches, as the command line names them.

use std::fmt;

use bytesize::ByteSize;

use crate::specs::split;

/// A list of sizes that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SizeError {
    /// A size is not written as one.
    #[error(
        "`{0}` is not a size: write a share of the trace (1%), a number of objects (10000) or \
         bytes (64MiB)"
    )]
    Form(String),
    /// The list is empty.
    #[error("the list is empty")]
    Empty,
}

/// The size of a cache.
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
    /// Objects; bytes if bytes are charged.
    Plain(u64),
    /// Bytes.
    Bytes(u64),
}

impl CacheSize {
    fn parse(text: &str) -> Option<Self> {
        let amount = if let Some(percent) = text.strip_suffix('%') {
            share(percent.trim())?
        } else if let Ok(amount) = text.parse() {
            Amount::Plain(amount)
        } else {
            Amount::Bytes(text.parse::<ByteSize>().ok()?.as_u64())
        };
        Some(Self {
            text: text.to_owned(),
            amount,
        })
    }

    /// The share of a trace's footprint, rounded down; `None` if the size is not a share.
    pub(super) fn share_of(&self, footprint: u64) -> Option<u64> {
        match self.amount {
            Amount::Share { part, whole } => {
                let part = u128::from(footprint) * u128::from(part) / u128::from(whole);
                Some(part as u64)
            }
            Amount::Plain(_) | Amount::Bytes(_) => None,
        }
    }

    /// The written number of objects or bytes; 0 if the size is a share.
    pub(super) fn amount(&self) -> u64 {
        match self.amount {
            Amount::Share { .. } => 0,
            Amount::Plain(amount) | Amount::Bytes(amount) => amount,
        }
    }

    /// Whether the size says that it is in bytes.
    pub(super) fn is_bytes(&self) -> bool {
        matches!(self.amount, Amount::Bytes(_))
    }
}

/// Reads decimal percent, above 0 and up to 100.
fn share(percent: &str) -> Option<Amount> {
    let (integer, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = format!("{integer}{fraction}");
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if integer.is_empty() || fraction.len() > 9 || !plain {
        return None;
    }
    let part = digits.parse::<u64>().ok()?;
    let whole = 100 * 10_u64.pow(fraction.len() as u32);
    (part > 0 && part <= whole).then_some(Amount::Share { part, whole })
}

impl fmt::Display for CacheSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a list of sizes; each is returned once.
///
/// # Errors
/// [`SizeError`].
pub fn sizes(list: &str) -> Result<Vec<CacheSize>, SizeError> {
    let mut sizes = Vec::new();
    for part in split(list) {
        if part.is_empty() {
            continue;
        }
        let size = CacheSize::parse(part).ok_or_else(|| SizeError::Form(part.to_owned()))?;
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        return Err(SizeError::Empty);
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_and_rounded_down() {
        let share = |text: &str, of: u64| CacheSize::parse(text).expect("a size").share_of(of);
        // As binary fractions these would come out one less.
        assert_eq!(share("29%", 100), Some(29));
        assert_eq!(share("0.1%", 3000), Some(3));
        // The footprint of a public trace, and the share that another program made of it.
        assert_eq!(share("0.1%", 2_029_769_728), Some(2_029_769));
        assert_eq!(share("100%", u64::MAX), Some(u64::MAX));
    }

    #[test]
    fn amounts_are_objects_or_bytes() {
        let bytes = CacheSize::parse("64MiB").expect("a size");
        assert_eq!(bytes.amount(), 64 << 20);
        assert!(bytes.is_bytes());
        let objects = CacheSize::parse("10000").expect("a size");
        assert_eq!(objects.amount(), 10_000);
        assert!(!objects.is_bytes());
    }

    #[test]
    fn what_is_no_size_is_refused() {
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
        assert!(matches!(sizes("1%,x"), Err(SizeError::Form(part)) if part == "x"));
        assert!(matches!(sizes(","), Err(SizeError::Empty)));
    }
}
