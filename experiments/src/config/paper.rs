//! A claim of others, as a config states it beside the experiment that puts it to the test.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{Claim, CompareRow, Expectation};
use crate::point::Point;

/// A claim of others: who made it, on what, and which of the config's comparisons answers it.
///
/// The config's `expect` entries decide whether it holds here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaperConfig {
    /// Who, where and when: `"Dayan and Idreos, SIGMOD 2018"`.
    pub source: String,
    /// The claim, in a sentence.
    pub claim: String,
    /// The figure that they report.
    pub theirs: String,
    /// What they measured on.
    pub setup: String,
    /// What is different here, and may be why figures differ.
    pub differs: String,
    /// Which of the config's comparisons is the figure to put beside theirs.
    pub ours: Ours,
}

/// One comparison of a config: a primary metric of a variant against the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ours {
    /// The primary metric.
    pub metric: String,
    /// The variant.
    pub variant: String,
    /// The phase. Default: the first in which the metric is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The sweep point. Default: the first.
    #[serde(default, skip_serializing_if = "Point::is_empty")]
    pub at: Point,
}

impl Ours {
    /// The comparison as an expectation, whose checks apply to it.
    pub(super) fn expectation(&self) -> Expectation {
        Expectation {
            metric: self.metric.clone(),
            variants: vec![self.variant.clone()],
            verdict: Claim::Better,
            phase: self.phase.clone(),
            at: self.at.clone(),
        }
    }

    /// Finds the comparison.
    pub fn row<'a>(&self, rows: &'a [CompareRow]) -> Option<&'a CompareRow> {
        let asked = self.expectation();
        rows.iter().find(|row| asked.is_of(row))
    }
}
