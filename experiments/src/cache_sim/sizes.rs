//! Sizes of simulated caches, as the command line names them.

use std::fmt;

use bytesize::ByteSize;

use super::Mode;
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
    /// Of the trace's footprint.
    Share(Share),
    /// Objects; bytes if bytes are charged.
    Plain(u64),
    /// Bytes.
    Bytes(u64),
}

impl CacheSize {
    fn parse(text: &str) -> Option<Self> {
        let amount = if let Some(percent) = text.strip_suffix('%') {
            Amount::Share(Share::parse(percent.trim())?)
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
            Amount::Share(share) => Some(share.of(footprint)),
            Amount::Plain(_) | Amount::Bytes(_) => None,
        }
    }

    /// The written number of objects or bytes; 0 if the size is a share.
    pub(super) fn amount(&self) -> u64 {
        match self.amount {
            Amount::Share(_) => 0,
            Amount::Plain(amount) | Amount::Bytes(amount) => amount,
        }
    }

    /// Whether the size is a share of the trace.
    pub fn is_share(&self) -> bool {
        matches!(self.amount, Amount::Share(_))
    }

    /// Refuses a size in bytes where objects are charged one each.
    pub(super) fn check(&self, mode: Mode) -> Result<(), String> {
        match (self.amount, mode) {
            (Amount::Bytes(_), Mode::Unit) => Err(format!(
                "{self} is a size in bytes, and objects are charged one each"
            )),
            _ => Ok(()),
        }
    }
}

/// `part` of `whole`: decimal fractions stay exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// Reads decimal percent, above 0 and up to 100.
    pub(super) fn parse(percent: &str) -> Option<Self> {
        let (integer, fraction) = percent.split_once('.').unwrap_or((percent, ""));
        let digits = format!("{integer}{fraction}");
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if integer.is_empty() || fraction.len() > 9 || !plain {
            return None;
        }
        let part = digits.parse::<u64>().ok()?;
        let whole = 100 * 10_u64.pow(fraction.len() as u32);
        (part > 0 && part <= whole).then_some(Self { part, whole })
    }

    /// The share of `amount`, rounded down.
    pub(super) fn of(self, amount: u64) -> u64 {
        (u128::from(amount) * u128::from(self.part) / u128::from(self.whole)) as u64
    }

    /// Whether it is all.
    pub(super) fn is_all(self) -> bool {
        self.part == self.whole
    }
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
        assert!(bytes.check(Mode::Unit).is_err() && bytes.check(Mode::Bytes).is_ok());
        let objects = CacheSize::parse("10000").expect("a size");
        assert_eq!(objects.amount(), 10_000);
        assert!(objects.check(Mode::Unit).is_ok() && !objects.is_share());
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
