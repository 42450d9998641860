//! Why a table has fence pointers although its policy makes models: a code for programs, and a
//! detail for people.
//!
//! A table stores both as one text, `too-large: 900 B, with the addresses of blocks, where ..`. The
//! code before the colon is all that a program reads. The detail may be worded differently in each
//! release.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why a table uses fence pointers although its policy makes models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The policy declined to make a model.
    Declined,
    /// The model was wrong at a key or at the edge of a gap, or cannot be decoded.
    Wrong,
    /// The model takes more memory than the settings allow.
    TooLarge,
    /// The model's windows span more blocks, or its look-ups examine more blocks, than the settings
    /// allow.
    TooWide,
    /// The stored model is damaged.
    Unreadable,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Declined,
        Self::Wrong,
        Self::TooLarge,
        Self::TooWide,
        Self::Unreadable,
    ];

    /// The code of the reason, in tables on disk and in JSON. A code never changes, and is never
    /// used for another reason.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Wrong => "wrong",
            Self::TooLarge => "too-large",
            Self::TooWide => "too-wide",
            Self::Unreadable => "unreadable",
        }
    }

    /// This reason, with a detail for people.
    pub(super) fn because(self, detail: impl Into<String>) -> Refused {
        Refused {
            code: Some(self),
            detail: detail.into(),
        }
    }
}

/// What a table stores of a refused model. It displays as the stored text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The reason. None if the table stores no known code, as those of version 1 do not.
    code: Option<Refusal>,
    /// What was found, for people.
    detail: String,
}

impl Refused {
    /// Decodes the text of a table. Returns None for the empty text: no model was refused.
    pub(crate) fn decode(stored: &str) -> Option<Self> {
        if stored.is_empty() {
            return None;
        }
        let coded = Refusal::ALL.into_iter().find_map(|reason| {
            let rest = stored.strip_prefix(reason.code())?;
            Some(reason.because(rest.strip_prefix(": ")?))
        });
        Some(coded.unwrap_or_else(|| Self {
            code: None,
            detail: stored.to_owned(),
        }))
    }

    /// The reason. It is [`Refusal::Declined`] if the table stores no known code.
    pub(super) fn reason(&self) -> Refusal {
        self.code.unwrap_or(Refusal::Declined)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = self.code {
            write!(f, "{}: ", reason.code())?;
        }
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables and registries on disk hold these codes.
    #[test]
    fn codes_are_frozen_and_the_same_in_json() {
        let codes = Refusal::ALL.map(Refusal::code);
        let frozen = ["declined", "wrong", "too-large", "too-wide", "unreadable"];
        assert_eq!(codes, frozen);
        for reason in Refusal::ALL {
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.code());
        }
    }

    #[test]
    fn every_reason_is_read_back_with_its_detail() {
        for reason in Refusal::ALL {
            for detail in ["", "900 B of 800 B", "a: b", "wrong: c"] {
                let refused = reason.because(detail);
                let stored = refused.to_string();
                assert_eq!(stored, format!("{}: {detail}", reason.code()));
                assert_eq!(Refused::decode(&stored), Some(refused), "{stored}");
            }
        }
        assert_eq!(Refused::decode(""), None);
    }

    #[test]
    fn a_text_without_a_known_code_is_kept_word_for_word() {
        let texts = [
            "the model returns 3..=5 for image 0x7 of rank 6 of 9",
            "wrong",
            "wronger: by far",
            "too large: a space",
        ];
        for text in texts {
            let refused = Refused::decode(text).unwrap();
            assert_eq!(refused.reason(), Refusal::Declined, "{text}");
            assert_eq!(refused.to_string(), text);
        }
    }
}
