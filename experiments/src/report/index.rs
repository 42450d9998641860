//! The index: what runs a folder of results holds, each with its question, its answer, when and
//! where it ran, and a link to its report.

use minijinja::{Value, context};

use super::{INDEX, ReportError, address, fill};
use crate::formats::moment;
use crate::point;
use crate::results::Run;

/// What an index is written from.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    /// The folder of results, as a reader knows it.
    pub folder: &'a str,
    /// Its runs, in the order of the page ([`crate::results::list`]).
    pub runs: &'a [Run],
    /// The pages of runs side by side.
    pub comparisons: &'a [ComparisonLink],
}

/// A page of runs side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonLink {
    /// The runs, in words.
    pub name: String,
    /// The page's path below the folder of results, in parts.
    pub path: Vec<String>,
}

/// Writes the index of a folder of results: a page of HTML that links to reports below the folder.
///
/// # Errors
/// [`ReportError::Template`] if the template refuses.
pub fn index(index: &Index) -> Result<String, ReportError> {
    let runs = index.runs.iter().enumerate();
    let runs: Vec<Value> = runs.map(|(at, run)| block(run, at, &[])).collect();
    let mut named: Vec<(usize, &Run)> = index.runs.iter().enumerate().collect();
    named.sort_by(|(_, a), (_, b)| point::natural(&a.name, &b.name));
    let by_name: Vec<Value> = named
        .iter()
        .map(|(at, run)| context! { id => id(*at), name => run.name.as_str() })
        .collect();
    let comparison = |link: &ComparisonLink| {
        let parts: Vec<&str> = link.path.iter().map(String::as_str).collect();
        context! { name => link.name.as_str(), href => link_to(&parts) }
    };
    let comparisons: Vec<Value> = index.comparisons.iter().map(comparison).collect();
    let page = context! { folder => index.folder, runs, by_name, comparisons };
    fill(INDEX, page)
}

fn id(at: usize) -> String {
    format!("run-{}", at + 1)
}

/// The address of a path, which has no letter that HTML would read otherwise.
fn link_to(parts: &[&str]) -> Value {
    Value::from_safe_string(address(parts))
}

/// What a page says of a run. `to_results` are the parts of the path from the page's folder to the
/// folder of results.
pub(super) fn block(run: &Run, at: usize, to_results: &[&str]) -> Value {
    let report = [to_results, &[run.name.as_str(), "report.html"]].concat();
    context! {
        id => id(at),
        name => run.name.as_str(),
        question => run.question.as_str(),
        verdict => run.verdict.clone(),
        answer => run.answer.as_str(),
        damage => run.damage.as_str(),
        href => run.has_report.then(|| link_to(&report)),
        facts => facts(run),
    }
}

/// When, where and by which program it ran; without what is not known.
fn facts(run: &Run) -> Vec<Value> {
    let began = run.began.or(run.changed);
    let program: String = run.code.chars().take(8).collect();
    let commit = if run.commit.is_empty() {
        String::new()
    } else {
        format!(", commit {}", run.commit)
    };
    let facts = [
        ("When", began.map(moment).unwrap_or_default()),
        ("World", run.world.clone()),
        ("Machine", run.machine.clone()),
        ("Program", format!("{program}{commit}")),
        ("Trials", format!("{} of {}", run.done, run.planned)),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            // `2026-03-01 14:05 UTC` as HTML writes it.
            let datetime = (name == "When").then(|| value.replace(" UTC", "Z"));
            context! { name, value, datetime }
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A run with a report.
    pub(crate) fn run(name: &str, began: u64) -> Run {
        Run {
            name: name.to_owned(),
            question: format!("Is {name} <fast>?"),
            verdict: Some("It is.".to_owned()),
            answer: "It is.\nBy 2 %.".to_owned(),
            done: 4,
            planned: 6,
            seeds: vec![1, 2],
            code: "0123456789abcdef".to_owned(),
            commit: "25bc03b10a9c".to_owned(),
            world: "simulated, nvme".to_owned(),
            machine: "host (a processor)".to_owned(),
            began: Some(began),
            changed: Some(began),
            has_report: true,
            damage: String::new(),
        }
    }

    #[test]
    fn every_run_has_its_question_answer_time_machine_program_and_report() {
        let mut damaged = run("b 2", 60);
        damaged.has_report = false;
        damaged.verdict = None;
        damaged.damage = "experiment.json is cut".to_owned();
        let runs = [run("a #10", 1_796_030_700), damaged, run("a #9", 0)];
        let comparisons = [ComparisonLink {
            name: "a and b".to_owned(),
            path: vec!["comparisons".to_owned(), "a+b.html".to_owned()],
        }];
        let page = index(&Index {
            folder: "results",
            runs: &runs,
            comparisons: &comparisons,
        });
        let page = page.expect("the template is filled in");
        let order = [
            "<h1>3 runs</h1>",
            // By name, in the natural order.
            "<a href=\"#run-3\">a #9</a>",
            "<a href=\"#run-1\">a #10</a>",
            "<a href=\"#run-2\">b 2</a>",
            "<a href=\"comparisons/a%2Bb.html\">a and b</a>",
            // As listed: by time.
            "Is a #10 &lt;fast&gt;?",
            "<a href=\"a%20%2310/report.html\"",
            "<p>It is.</p>",
            "<p>It is.</p><p>By 2 %.</p></details>",
            "<time datetime=\"2026-11-30 09:25Z\">2026-11-30 09:25 UTC</time>",
            "simulated, nvme",
            "host (a processor)",
            "01234567, commit 25bc03b10a9c",
            "4 of 6",
            "It cannot be read in full: experiment.json is cut",
            "1970-01-01 00:00 UTC",
        ];
        let mut from = page.find("<body>").expect("a page has a body");
        for words in order {
            let at = page[from..].find(words);
            from += at.unwrap_or_else(|| panic!("{words:?} is missing or too early"));
        }
        assert!(!page.contains("b%202/report.html"), "there is no report");
        assert!(!page.contains("<script"));
    }
}
