//! What is wrong with a config, shown where it stands.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::metrics::nearest;

/// A text that configs are read from: a file, or one `--set` argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The file's path, or `--set`.
    pub(super) name: String,
    /// The whole text.
    pub(super) text: String,
}

impl Source {
    /// The line of byte `at`, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text
            .bytes()
            .take(at)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1
    }
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The text.
    pub(super) source: Arc<Source>,
    /// The bytes meant.
    pub(super) span: Range<usize>,
}

/// A config that cannot be run: what is wrong, where it stands, and what to write instead. A thin pointer, for it is
/// the rare half of many results.
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
    /// An error that concerns no one place.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            message: message.into(),
            help: None,
            span: None,
            quoted: None,
        }))
    }

    /// The same with the place it is about.
    #[must_use]
    pub(super) fn at(mut self, place: Option<Place>) -> Self {
        if let Some(Place { source, span }) = place {
            self.0.quoted = Some(NamedSource::new(&source.name, source.text.clone()));
            self.0.span = Some(span);
        }
        self
    }

    /// The same with advice.
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
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(
            Some("here".to_owned()),
            span,
        ))))
    }
}

/// "; nearest: `x`", for the end of a message about the unknown `name`.
pub fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known)
        .first()
        .map(|near| format!("; nearest: `{near}`"))
        .unwrap_or_default()
}
