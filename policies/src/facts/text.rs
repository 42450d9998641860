//! Trees and plans as text: what tests are written in, and what error messages show.
//!
//! The grammar stands at [`TreeShape`]. A tree that is printed can be read back if its keys are
//! numbers, or text of letters. Other bytes are printed escaped.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    LevelFacts, OutputRun, Plan, PlanInput, Reason, RunFacts, RunId, TableFacts, TableReads,
    TreeShape,
};

/// The key that stands for `number` in texts: eight bytes, in the order of the numbers.
pub fn key_of_number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// The number that `key` stands for; `None` if it is not eight bytes long.
pub fn number_of_key(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// A text that is not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DrawingError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl FromStr for TreeShape {
    type Err = DrawingError;

    fn from_str(text: &str) -> Result<Self, DrawingError> {
        let mut tree = Self::default();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((first, rest)) = words.split_first() else {
                continue;
            };
            read_line(&mut tree, first, rest).map_err(|message| DrawingError {
                line: index + 1,
                message,
            })?;
        }
        Ok(tree)
    }
}

fn read_line(tree: &mut TreeShape, first: &str, rest: &[&str]) -> Result<(), String> {
    match (first, rest) {
        ("base", [bytes]) => tree.base_bytes = number(bytes)?,
        ("trigger", [runs]) => tree.level0_runs_trigger = number(runs)?,
        ("snapshot", [sequence]) => tree.oldest_snapshot = Some(number(sequence)?),
        _ => {
            let Some(place) = first.strip_prefix('L') else {
                return Err(format!(
                    "`{first}` is not base, trigger, snapshot or a level such as L1"
                ));
            };
            read_level(tree, place, rest)?;
        }
    }
    Ok(())
}

fn read_level(tree: &mut TreeShape, place: &str, rest: &[&str]) -> Result<(), String> {
    let (level, run) = match place.split_once('#') {
        Some((level, run)) => (level, Some(number::<RunId>(run)?)),
        None => (place, None),
    };
    let level: usize = number(level)?;
    if level >= LEVELS_MAX {
        return Err(format!("level {level}: levels are 0 to {}", LEVELS_MAX - 1));
    }
    if tree.levels.len() <= level {
        tree.levels.resize(level + 1, LevelFacts::default());
    }
    if let ["limit", runs_max] = rest {
        tree.levels[level].runs_max = Some(number(runs_max)?);
        return Ok(());
    }
    if let ["inherited", runs] = rest {
        tree.levels[level].runs_inherited = number(runs)?;
        return Ok(());
    }
    let mut tables: Vec<Arc<TableFacts>> = Vec::new();
    for word in rest {
        let drawn = read_table(word)?;
        let before = tables
            .last()
            .is_none_or(|last| last.largest < drawn.table.smallest);
        if !before || drawn.table.largest < drawn.table.smallest {
            return Err(format!("`{word}`: the keys of a run go up"));
        }
        if drawn.busy {
            tree.busy.insert(drawn.table.id);
        }
        if let Some(sequence) = drawn.oldest_deletion {
            tree.oldest_deletions.insert(drawn.table.id, sequence);
        }
        if let Some(reads) = drawn.reads {
            tree.reads.insert(drawn.table.id, reads);
        }
        tables.push(Arc::new(drawn.table));
    }
    let first = tables.first().map(|table| table.id);
    if let Some(id) = run.or(first) {
        tree.levels[level].runs.push(RunFacts { id, tables });
    }
    Ok(())
}

/// More than any tree has.
const LEVELS_MAX: usize = 64;

struct DrawnTable {
    table: TableFacts,
    busy: bool,
    oldest_deletion: Option<u64>,
    reads: Option<TableReads>,
}

/// Reads `id[smallest-largest]=bytes`, perhaps with a `*` and further facts.
fn read_table(word: &str) -> Result<DrawnTable, String> {
    let form = || format!("`{word}` is not a table such as 3[10-19]=5");
    let (head, rest) = word.split_once('[').ok_or_else(form)?;
    let (keys, facts) = rest.split_once("]=").ok_or_else(form)?;
    let (id, busy) = match head.strip_suffix('*') {
        Some(id) => (id, true),
        None => (head, false),
    };
    let (smallest, largest) = keys.split_once('-').unwrap_or((keys, keys));
    let mut facts = facts.split(',');
    let bytes = facts.next().unwrap_or_default();
    let mut table = TableFacts::sized(
        number(id)?,
        read_key(smallest)?,
        read_key(largest)?,
        number(bytes)?,
    );
    let mut oldest_deletion = None;
    let mut reads: Option<TableReads> = None;
    for fact in facts {
        let (name, value) = fact.split_once('=').ok_or_else(form)?;
        match name {
            "entries" => table.entries = number(value)?,
            "deletions" => table.deletions = number(value)?,
            "deleted" => oldest_deletion = Some(number(value)?),
            "lookups" => reads.get_or_insert_default().lookups = number(value)?,
            "misses" => reads.get_or_insert_default().misses = number(value)?,
            "life" => reads.get_or_insert_default().life_nanos = number(value)?,
            "separated" => table.separated_bytes = number(value)?,
            "sequence" => {
                let (min, max) = value.split_once('-').unwrap_or((value, value));
                table.sequence_min = number(min)?;
                table.sequence_max = number(max)?;
            }
            _ => return Err(format!("`{word}`: there is no fact `{name}`")),
        }
    }
    Ok(DrawnTable {
        table,
        busy,
        oldest_deletion,
        reads,
    })
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse()
        .map_err(|_| format!("`{word}` is not a number in range"))
}

fn read_key(word: &str) -> Result<Bytes, String> {
    if word.is_empty() {
        return Err("a key is missing".to_owned());
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(word).map(key_of_number);
    }
    Ok(Bytes::copy_from_slice(word.as_bytes()))
}

impl fmt::Display for TreeShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "base {}", self.base_bytes)?;
        writeln!(f, "trigger {}", self.level0_runs_trigger)?;
        if let Some(sequence) = self.oldest_snapshot {
            writeln!(f, "snapshot {sequence}")?;
        }
        for (level, facts) in self.levels.iter().enumerate() {
            if let Some(limit) = facts.runs_max {
                writeln!(f, "L{level} limit {limit}")?;
            }
            if facts.runs_inherited > 0 {
                writeln!(f, "L{level} inherited {}", facts.runs_inherited)?;
            }
            if facts.runs.is_empty() {
                writeln!(f, "L{level}")?;
            }
            for run in &facts.runs {
                self.write_run(f, level, run)?;
            }
        }
        Ok(())
    }
}

impl TreeShape {
    fn write_run(&self, f: &mut fmt::Formatter<'_>, level: usize, run: &RunFacts) -> fmt::Result {
        write!(f, "L{level}")?;
        if run.tables.first().map(|table| table.id) != Some(run.id) {
            write!(f, "#{}", run.id)?;
        }
        for table in &run.tables {
            let busy = if self.busy.contains(&table.id) {
                "*"
            } else {
                ""
            };
            write!(f, "  {}{busy}[{}", table.id, Key(&table.smallest))?;
            if table.smallest != table.largest {
                write!(f, "-{}", Key(&table.largest))?;
            }
            write!(f, "]={}", table.bytes)?;
            write_facts(f, table)?;
            if let Some(sequence) = self.oldest_deletions.get(&table.id) {
                write!(f, ",deleted={sequence}")?;
            }
            if let Some(reads) = self.reads.get(&table.id) {
                write!(f, ",lookups={}", reads.lookups)?;
                if reads.misses != 0 {
                    write!(f, ",misses={}", reads.misses)?;
                }
                write!(f, ",life={}", reads.life_nanos)?;
            }
        }
        writeln!(f)
    }
}

/// Writes what differs from [`TableFacts::sized`].
fn write_facts(f: &mut fmt::Formatter<'_>, table: &TableFacts) -> fmt::Result {
    if table.entries != table.bytes {
        write!(f, ",entries={}", table.entries)?;
    }
    if table.deletions != 0 {
        write!(f, ",deletions={}", table.deletions)?;
    }
    if table.separated_bytes != 0 {
        write!(f, ",separated={}", table.separated_bytes)?;
    }
    if table.sequence_min != table.sequence_max {
        write!(f, ",sequence={}-{}", table.sequence_min, table.sequence_max)?;
    } else if table.sequence_max != table.id {
        write!(f, ",sequence={}", table.sequence_max)?;
    }
    Ok(())
}

/// A key as it is drawn: a number if it begins with a zero byte and is eight bytes long.
struct Key<'a>(&'a [u8]);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match number_of_key(self.0) {
            Some(number) if self.0.first() == Some(&0) => write!(f, "{number}"),
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

/// The reason and the target on one line, then the tables read from each run, as in
///
/// ```text
/// level0-runs: into L1 run 1
///   L0 run 9: 9
///   L0 run 8: 8
///   L1 run 1: 2
/// ```
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.reason.name())?;
        if let Some(table) = self.picked {
            write!(f, "table {table} picked, ")?;
        }
        match self.run {
            OutputRun::New => write!(f, "into L{}, a new run", self.level)?,
            OutputRun::Into(run) => write!(f, "into L{} run {run}", self.level)?,
        }
        for PlanInput { level, run, tables } in &self.inputs {
            write!(f, "\n  L{level} run {run}:")?;
            for table in tables {
                write!(f, " {table}")?;
            }
        }
        Ok(())
    }
}

impl Reason {
    /// The name that is printed and serialised.
    pub fn name(self) -> &'static str {
        match self {
            Self::Level0Runs => "level0-runs",
            Self::LevelBytes => "level-bytes",
            Self::LevelRuns => "level-runs",
            Self::Agent => "agent",
            Self::Deadline => "deadline",
            Self::Manual => "manual",
        }
    }
}
