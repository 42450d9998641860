//! Pages of HTML that stand alone: the report of a run, the index of a folder of results, and runs
//! side by side.
//!
//! Style and figures are inside the page. It has no script, needs no network, and reads on paper,
//! on a narrow screen and on a dark one. `scripts/pages` looks at all three in a browser.

mod comparison;
mod index;
mod run;
mod tables;

use minijinja::{Environment, Value};

use crate::plot::PlotError;

pub use comparison::{Contestant, SideBySide, as_variant, have_one_variant, place, side_by_side};
pub use index::{ComparisonLink, Index, index};
pub use run::{ReportInput, SettingDelta, VARIANTS_MAX, render};

/// Why a page could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A figure could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The template refused.
    #[error("the report cannot be filled in: {0}")]
    Template(#[from] minijinja::Error),
}

/// The templates by name: a page's own, and what all pages share.
const TEMPLATES: [(&str, &str); 6] = [
    (RUN, include_str!("run.html")),
    (INDEX, include_str!("index.html")),
    (COMPARISON, include_str!("comparison.html")),
    ("page.html", include_str!("page.html")),
    ("parts.html", include_str!("parts.html")),
    ("page.css", include_str!("page.css")),
];

const RUN: &str = "run.html";
const INDEX: &str = "index.html";
const COMPARISON: &str = "comparison.html";

/// Fills in a template.
fn fill(template: &str, page: Value) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment.get_template(template)?.render(page)?)
}

/// A relative address of a path: each part percent-encoded (RFC 3986).
fn address(parts: &[&str]) -> String {
    let encoded = |part: &&str| -> String {
        let byte = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        part.bytes().map(byte).collect()
    };
    parts.iter().map(encoded).collect::<Vec<_>>().join("/")
}
