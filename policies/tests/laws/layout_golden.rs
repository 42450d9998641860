//! Decisions of layouts, pickers and agents, as text.
//!
//! `tests/golden/layout/*.txt` hold cases: an input, a line `----`, and what comes out, up to the
//! next blank line. To add a case, write its input and `----`, and let
//! `AURA_UPDATE=1 cargo test -p aura-policies --test laws golden` write the rest. Read what it
//! wrote: it is the expectation. Lines that begin with `#` are comments.
//!
//! Settings, the tree and what the picker and the agent remember stay from case to case until a
//! line changes them. A file begins with an empty tree, `layout leveled`, `picker min-overlap` and
//! `agent none`.
//!
//! | line | effect |
//! |---|---|
//! | `layout flexible ratio=4 runs=[4]` | sets the layout; parameters are JSON without spaces |
//! | `picker oldest` | sets the picker, which remembers nothing |
//! | `agent schedule steps=[...]` | sets the agent |
//! | `snapshot 50` / `no-snapshot` | the oldest snapshot that is held / none is |
//! | `base 100`, `trigger 2` | set the capacity of level 1, and level 0's limit of runs |
//! | `L1  1[0-3]=60  2[5-9]=60` | a sorted run, as [`TreeShape`] draws it |
//! | `limit L1 2` | the agent's limit of runs for a level |
//! | `busy 1 2` / `idle` | tables that a running compaction reads / none |
//! | `plan` | prints the most urgent compaction |
//! | `everything` | prints the plan that merges everything |
//! | `debt` | prints the bytes of work owed |
//! | `compact 3` | carries out up to three plans, printing each, then prints the tree |
//! | `pick L1` | prints the picker's choice among the tables of level 1's newest run |
//! | `move L1` | the same, and the chosen table is moved as far as the picker knows |
//! | `window 1000` | asks the agent after the 1000th operation, prints and applies its actions |
//!
//! The first `L` line of a case begins a new tree. Each plan is asked for twice, must be lawful,
//! and debt is owed exactly when one is due.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aura_policies::agent::{self, Action, Agent, Transition};
use aura_policies::facts::{
    LevelFacts, Plan, Reason, RunFacts, TableFacts, TreeShape, WindowStats,
};
use aura_policies::layout::{self, Layout, plan_everything, plan_merge};
use aura_policies::picker::{self, Candidates, Picker, report_move};
use aura_policies::{PolicySpec, defaults};

use crate::tree::Tree;

/// What a file has set so far.
struct Laboratory {
    layout: Box<dyn Layout>,
    picker: Box<dyn Picker>,
    agent: Box<dyn Agent>,
    shape: TreeShape,
}

impl Laboratory {
    fn new() -> Self {
        Self {
            layout: layout::build(&defaults().layout).expect("the default"),
            picker: picker::build(&defaults().picker).expect("the default"),
            agent: agent::build(&defaults().agent, 0).expect("the default"),
            shape: TreeShape::default(),
        }
    }

    /// The output of a case.
    fn case(&mut self, input: &str) -> Result<String, String> {
        let mut output = String::new();
        let mut is_new_tree = true;
        for line in input.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let result = match words.as_slice() {
                [] => Ok(()),
                [word, ..] if word.starts_with('#') => Ok(()),
                [word, ..] if word.starts_with('L') => {
                    if is_new_tree {
                        self.shape.levels.clear();
                        self.shape.busy.clear();
                        self.shape.oldest_deletions.clear();
                        self.shape.reads.clear();
                        is_new_tree = false;
                    }
                    self.draw(line)
                }
                words => self.command(words, &mut output),
            };
            result.map_err(|error| format!("`{line}`: {error}"))?;
        }
        Ok(output)
    }

    /// Adds a line of a drawing to the tree.
    fn draw(&mut self, line: &str) -> Result<(), String> {
        let drawing = format!("{}\n{line}", self.shape);
        self.shape = drawing.parse().map_err(|error| format!("{error}"))?;
        Ok(())
    }

    fn command(&mut self, words: &[&str], output: &mut String) -> Result<(), String> {
        match words {
            ["layout", spec @ ..] => {
                self.layout = layout::build(&read_spec(spec)?).map_err(|e| e.to_string())?;
            }
            ["picker", spec @ ..] => {
                self.picker = picker::build(&read_spec(spec)?).map_err(|e| e.to_string())?;
            }
            ["agent", spec @ ..] => {
                self.agent = agent::build(&read_spec(spec)?, 0).map_err(|e| e.to_string())?;
            }
            ["base", bytes] => self.shape.base_bytes = number(bytes)?,
            ["trigger", runs] => self.shape.level0_runs_trigger = number(runs)?,
            ["snapshot", sequence] => self.shape.oldest_snapshot = Some(number(sequence)?),
            ["no-snapshot"] => self.shape.oldest_snapshot = None,
            ["limit", level, runs] => self.level(level)?.runs_max = Some(number(runs)?),
            ["busy", tables @ ..] => {
                for table in tables {
                    self.shape.busy.insert(number(table)?);
                }
            }
            ["idle"] => self.shape.busy.clear(),
            ["plan"] => print_plan(output, self.plan()?.as_ref()),
            ["everything"] => {
                let plan = plan_everything(&self.shape);
                self.check(plan.as_ref())?;
                print_plan(output, plan.as_ref());
            }
            ["debt"] => writeln!(output, "{} bytes", self.debt_bytes()).unwrap(),
            ["compact", plans] => self.compact(number(plans)?, output)?,
            ["pick", level] => {
                let level = level_number(level)?;
                let picked = self.pick(level)?;
                writeln!(output, "L{level}: table {}", picked.id).unwrap();
            }
            ["move", level] => {
                let level = level_number(level)?;
                let picked = self.pick(level)?;
                self.picker.on_moved(level, &picked);
                writeln!(output, "L{level}: table {} moves", picked.id).unwrap();
            }
            ["window", operations] => self.window(number(operations)?, output)?,
            _ => return Err("there is no such line".to_owned()),
        }
        Ok(())
    }

    fn level(&mut self, word: &str) -> Result<&mut LevelFacts, String> {
        let level = level_number(word)?;
        let levels = &mut self.shape.levels;
        levels
            .get_mut(level)
            .ok_or_else(|| format!("the tree has no {word}"))
    }

    fn plan(&self) -> Result<Option<Plan>, String> {
        let plan = self.layout.plan(&self.shape, &*self.picker);
        if self.layout.plan(&self.shape, &*self.picker) != plan {
            return Err("asked twice, the plan is another".to_owned());
        }
        if self.shape.busy.is_empty() && plan.is_some() != (self.debt_bytes() > 0) {
            return Err("debt is owed exactly when a plan is due".to_owned());
        }
        self.check(plan.as_ref())?;
        Ok(plan)
    }

    fn debt_bytes(&self) -> u64 {
        self.layout.debt_bytes(&self.shape, &*self.picker)
    }

    fn check(&self, plan: Option<&Plan>) -> Result<(), String> {
        match plan {
            None => Ok(()),
            Some(plan) => Tree::of(self.shape.clone()).check(plan),
        }
    }

    fn compact(&mut self, plans: u64, output: &mut String) -> Result<(), String> {
        for _ in 0..plans {
            let plan = self.plan()?;
            print_plan(output, plan.as_ref());
            let Some(plan) = plan else {
                break;
            };
            report_move(&mut *self.picker, &self.shape, &plan);
            let mut tree = Tree::of(self.shape.clone());
            tree.apply(&plan);
            self.shape = tree.shape;
        }
        for line in self.shape.to_string().lines() {
            if line.contains('[') {
                writeln!(output, "{line}").unwrap();
            }
        }
        Ok(())
    }

    fn pick(&self, level: usize) -> Result<TableFacts, String> {
        let none = RunFacts::default();
        let newest = |level| {
            let facts: Option<&LevelFacts> = self.shape.levels.get(level);
            facts.and_then(|level| level.runs.first()).unwrap_or(&none)
        };
        let tables: Vec<&TableFacts> = newest(level).tables.iter().map(AsRef::as_ref).collect();
        let candidates = Candidates {
            level,
            tables: &tables,
            next: newest(level + 1),
            tree: &self.shape,
        };
        if tables.is_empty() {
            return Err("the level holds no table".to_owned());
        }
        let picked = self.picker.pick(&candidates);
        if self.picker.pick(&candidates) != picked {
            return Err("asked twice, the choice is another".to_owned());
        }
        Ok(tables[picked].clone())
    }

    fn window(&mut self, operations_total: u64, output: &mut String) -> Result<(), String> {
        let window = WindowStats {
            operations_total,
            ..WindowStats::default()
        };
        let decisions = self.agent.step(&window, &self.shape);
        if decisions.is_empty() {
            writeln!(output, "no action").unwrap();
        }
        for decision in decisions {
            self.carry_out(&decision.action, output)?;
        }
        Ok(())
    }

    /// Does what an engine does at once; prints what it does next.
    fn carry_out(&mut self, action: &Action, output: &mut String) -> Result<(), String> {
        match *action {
            Action::SetRuns {
                level,
                runs,
                transition,
            } => {
                let facts = self.level(&format!("L{level}"))?;
                let held = facts.runs.len() as u32;
                facts.runs_max = Some(runs);
                facts.runs_inherited = match transition {
                    Transition::Flexible if held > runs => held - 1,
                    Transition::Flexible | Transition::Greedy => 0,
                    Transition::Lazy => return Err("a lazy limit is not drawn".to_owned()),
                };
                writeln!(output, "limit L{level} {runs}").unwrap();
            }
            Action::SetLevel0Trigger { runs } => {
                self.shape.level0_runs_trigger = runs;
                writeln!(output, "trigger {runs}").unwrap();
            }
            Action::Merge { from, to } => {
                let plan = plan_merge(&self.shape, from, to, Reason::Agent);
                self.check(plan.as_ref())?;
                print_plan(output, plan.as_ref());
            }
            _ => return Err(format!("{action:?} is not drawn")),
        }
        Ok(())
    }
}

fn print_plan(output: &mut String, plan: Option<&Plan>) {
    match plan {
        Some(plan) => writeln!(output, "{plan}").unwrap(),
        None => writeln!(output, "nothing to do").unwrap(),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse()
        .map_err(|_| format!("`{word}` is not a number in range"))
}

fn level_number(word: &str) -> Result<usize, String> {
    let level = word
        .strip_prefix('L')
        .ok_or_else(|| format!("`{word}` is no level"))?;
    number(level)
}

fn read_spec(words: &[&str]) -> Result<PolicySpec, String> {
    let (name, parameters) = words.split_first().ok_or("a policy is missing")?;
    let mut spec = PolicySpec::named(name);
    for parameter in parameters {
        let (name, value) = parameter
            .split_once('=')
            .ok_or("a parameter is name=value")?;
        let value: serde_json::Value =
            serde_json::from_str(value).map_err(|error| error.to_string())?;
        spec = spec.with(name, value);
    }
    Ok(spec)
}

/// The text of a file with every output computed.
fn renewed(text: &str) -> Result<String, String> {
    let mut laboratory = Laboratory::new();
    let mut renewed = Vec::new();
    for block in text.split("\n\n") {
        let block = block.trim_matches('\n');
        match block.split_once("----") {
            None => renewed.push(block.to_owned()),
            Some((input, _)) => {
                let output = laboratory.case(input)?;
                let case = format!("{input}----\n{output}");
                renewed.push(case.trim_end().to_owned());
            }
        }
    }
    Ok(renewed.join("\n\n") + "\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "expectations are files of the repository, outside the engine's storage"
)]
mod files {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layout")
    }

    pub(super) fn all() -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder()).expect("the folder is there");
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("readable").path())
            .collect();
        paths.sort();
        paths
    }

    pub(super) fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("a text file")
    }

    pub(super) fn write(path: &Path, text: &str) {
        std::fs::write(path, text).expect("the file can be written");
    }
}

#[test]
fn golden_files_of_layouts_pickers_and_agents() {
    let update = std::env::var_os("AURA_UPDATE").is_some();
    let mut cases = 0;
    for path in files::all() {
        let expected = files::read(&path);
        let actual =
            renewed(&expected).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases += actual.matches("----").count();
        if update {
            files::write(&path, &actual);
        } else {
            let differ = |(_, (a, b)): &(usize, (&str, &str))| a != b;
            let pairs = actual.lines().zip(expected.lines());
            if let Some((line, (actual, expected))) = pairs.enumerate().find(differ) {
                panic!(
                    "{}:{}: `{actual}` instead of `{expected}`; AURA_UPDATE=1 renews the file",
                    path.display(),
                    line + 1
                );
            }
            assert_eq!(
                actual,
                expected,
                "{}: AURA_UPDATE=1 renews the file",
                path.display()
            );
        }
    }
    assert!(cases > 20, "only {cases} cases were found");
}

#[test]
fn a_wrong_line_is_reported() {
    for (text, message) in [
        ("paln\n----\n", "`paln`: there is no such line"),
        ("picker larges\n----\n", "unknown picker policy `larges`"),
        ("L1 1[3-2]=5\n----\n", "the keys of a run go up"),
        ("L1 1[2-3]=5 2[3-4]=1\n----\n", "the keys of a run go up"),
        ("L1 1[2-3]\n----\n", "is not a table such as"),
        ("L1 1[2-3]=5,size=4\n----\n", "there is no fact `size`"),
        ("limit L3 1\n----\n", "the tree has no L3"),
        ("L99 1[2]=5\n----\n", "levels are 0 to 63"),
    ] {
        let error = renewed(text).expect_err("the line is wrong");
        assert!(error.contains(message), "{error}");
    }
}
