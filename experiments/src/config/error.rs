//! Config errors, shown at the place in the text where they stand.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// A text that settings are read from: a file, or one `--set` argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The file's path, or `--set`.
    pub(super) name: String,
    /// The whole text.
    pub(super) text: String,
}

impl Source {
    /// The line of byte `at`, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.bytes().take(at);
        before.filter(|byte| *byte == b'\n').count() + 1
    }
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The text.
    pub(super) source: Arc<Source>,
    /// The bytes meant.
    pub(super) span: Range<usize>,
}

/// A config that cannot be run: what is wrong, where it stands, and what to write instead.
///
/// A thin pointer, because errors are the rare half of many results.
#[derive(Debug)]
pub struct ConfigError(Box<Detail>);

#[derive(Debug)]
struct Detail {
    message: String,
    help: Option<String>,
    span: Option<Range<usize>>,
    quoted: Option<NamedSource<String>>,
}

impl ConfigError {
    /// An error without a place.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            message: message.into(),
            help: None,
            span: None,
            quoted: None,
        }))
    }

    /// Adds the place that the error is about.
    #[must_use]
    pub(super) fn at(mut self, location: Option<Location>) -> Self {
        if let Some(Location { source, span }) = location {
            self.0.quoted = Some(NamedSource::new(&source.name, source.text.clone()));
            self.0.span = Some(span);
        }
        self
    }

    /// Adds advice.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.quoted.as_ref().map(|quoted| quoted as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.span.clone()?;
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), span);
        Some(Box::new(std::iter::once(label)))
    }
}
