//! Claims of papers, put to the test in one frame: theirs beside ours, and whether it holds here.
//!
//! Each claim is an ordinary config with a table `paper`. Its `expect` entries decide.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, Outcome};
use crate::config::Experiment;
use crate::names::named_enum;

named_enum! {
    /// Whether a claim holds here.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Holds {
        /// All verdicts are as the claim says.
        Yes = "holds",
        /// Some are.
        InPart = "holds in part",
        /// None of them is, and at least one says otherwise.
        No = "does not hold here",
        /// None of them is decided.
        Undecided = "undecided",
    }
}

impl Holds {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome {
                held: 0, failed, ..
            } if failed.is_empty() => Self::Undecided,
            Outcome { held: 0, .. } => Self::No,
            _ if outcome.held == outcome.all() => Self::Yes,
            _ => Self::InPart,
        }
    }
}

/// A claim with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The experiment's name.
    pub experiment: String,
    /// Who made the claim, where and when.
    pub source: String,
    /// The claim.
    pub claim: String,
    /// Their figure.
    pub theirs: String,
    /// Ours, with its interval and what it is of; says so if there is no value.
    pub ours: String,
    /// Whether it holds here.
    pub holds: Holds,
    /// What failed, what is open, and what is different here.
    pub why: String,
}

/// Holds a claim against the comparison of its experiment; `None` if the experiment has no claim.
pub fn finding(experiment: &Experiment, comparison: &Comparison) -> Option<Finding> {
    let paper = experiment.paper.as_ref()?;
    let outcome = Outcome::of(&experiment.expect, &comparison.rows);
    let ours = match paper.ours.row(&comparison.rows) {
        Some(row) => format!(
            "{} on {} ({} against {})",
            row.effect_label(),
            row.metric,
            row.variant,
            row.baseline
        ),
        None => format!("no value of {}", paper.ours.metric),
    };
    let mut why = Vec::new();
    if !outcome.failed.is_empty() {
        why.push(format!("Not so: {}.", outcome.failed.join("; ")));
    }
    if !outcome.open.is_empty() {
        why.push(format!("Not decided: {}.", outcome.open.join("; ")));
    }
    why.push(format!("Here: {}", paper.differs));
    Some(Finding {
        experiment: experiment.name.clone(),
        source: paper.source.clone(),
        claim: paper.claim.clone(),
        theirs: paper.theirs.clone(),
        ours,
        holds: Holds::of(&outcome),
        why: why.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_if_all_of_it_does() {
        let outcome = |held, failed: usize, open: usize| Outcome {
            held,
            failed: vec!["failed".to_owned(); failed],
            open: vec!["open".to_owned(); open],
        };
        for (found, holds) in [
            (outcome(2, 0, 0), Holds::Yes),
            (outcome(1, 1, 0), Holds::InPart),
            (outcome(1, 0, 1), Holds::InPart),
            (outcome(0, 1, 1), Holds::No),
            (outcome(0, 0, 2), Holds::Undecided),
        ] {
            assert_eq!(Holds::of(&found), holds, "{found:?}");
        }
    }
}
