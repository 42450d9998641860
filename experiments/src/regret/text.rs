//! Cells and arms as tables and in words.

use super::{Admission, Arm, Cell, Recovery, Share, Transitions, Worst};
use crate::formats::{Cell as Value, Table, digits};
use crate::point;

/// One row for each arm of each cell: the cell, the arm, its cost, regret and captured share with
/// their intervals; what exploration and changes of phases cost, where that is known.
pub fn table(cells: &[Cell]) -> Table {
    let has_points = cells.iter().any(|cell| !cell.point.is_empty());
    let mut header = vec!["variant", "role", "cost s", "regret", "captured"];
    if has_points {
        header.insert(0, "cell");
    }
    let arms = || cells.iter().flat_map(|cell| &cell.arms);
    let extra = Extra {
        explored: arms().any(|arm| arm.explored.is_some()),
        transitions: arms().any(|arm| arm.transitions.is_some()),
    };
    if extra.explored {
        header.push("explored");
    }
    if extra.transitions {
        header.extend(["transition s", "to reads", "to writes"]);
    }
    let mut rows = Vec::new();
    for cell in cells {
        for arm in &cell.arms {
            let mut row = row(arm, extra);
            if has_points {
                row.insert(0, Value::from(point::label(&cell.point)));
            }
            rows.push(row);
        }
    }
    Table::new(header, rows)
}

/// Which columns there are beside those that all tables have.
#[derive(Clone, Copy)]
struct Extra {
    explored: bool,
    transitions: bool,
}

fn row(arm: &Arm, extra: Extra) -> Vec<Value> {
    let mut row = vec![
        Value::from(arm.variant.as_str()),
        Value::from(arm.role.name()),
        Value::number(arm.cost_s),
        Value::new(data(arm.regret), percent(arm.regret)),
        match arm.captured {
            None => Value::number(None),
            Some(share) => Value::new(data(share), captured(share)),
        },
    ];
    if extra.explored {
        row.push(match arm.explored {
            None => Value::number(None),
            Some(share) => Value::new(data(share), percent(share)),
        });
    }
    if extra.transitions {
        let of = |pick: fn(Transitions) -> Option<Recovery>| arm.transitions.and_then(pick);
        row.push(seconds(arm.transitions));
        row.push(recovery(of(|it| it.to_reads)));
        row.push(recovery(of(|it| it.to_writes)));
    }
    row
}

/// `0.31 [0.2, 0.42]`.
fn seconds(transitions: Option<Transitions>) -> Value {
    let Some(transitions) = transitions else {
        return Value::number(None);
    };
    let mean = transitions.cost_s;
    let half = transitions.half_width_s;
    let interval = half.map(|half| [mean - half, mean + half]);
    let number = |seconds: f64| digits(seconds, 3);
    let shown = match interval {
        None => number(mean),
        Some([low, high]) => format!("{} [{}, {}]", number(mean), number(low), number(high)),
    };
    Value::new(data(Share { mean, interval }), shown)
}

/// `4200`, or `>4200, 3 of 10 not`.
fn recovery(recovery: Option<Recovery>) -> Value {
    let Some(recovery) = recovery else {
        return Value::number(None);
    };
    let operations = recovery.operations;
    let shown = match recovery.unrecovered {
        0 => format!("{operations:.0}"),
        some => format!(">{operations:.0}, {some} of {} not", recovery.changes),
    };
    Value::new(serde_json::json!(recovery), shown)
}

fn data(share: Share) -> serde_json::Value {
    let [low, high] = share.interval.map_or([None, None], |ends| ends.map(Some));
    serde_json::json!({ "mean": share.mean, "low": low, "high": high })
}

/// `+3.1 % [1.2, 5.0]`.
fn percent(share: Share) -> String {
    let number = |share: f64| digits(share * 100.0, 3);
    let sign = if share.mean > 0.0 { "+" } else { "" };
    let mean = format!("{sign}{} %", number(share.mean));
    match share.interval {
        None => mean,
        Some([low, high]) => format!("{mean} [{}, {}]", number(low), number(high)),
    }
}

/// `0.62 [0.41, 0.83]`.
fn captured(share: Share) -> String {
    let number = |share: f64| format!("{share:.2}");
    match share.interval {
        None => number(share.mean),
        Some([low, high]) => {
            format!("{} [{}, {}]", number(share.mean), number(low), number(high))
        }
    }
}

/// One paragraph a cell: what it can show; then what arms did over all cells.
pub fn cells_in_words(cells: &[Cell], worst: &[Worst]) -> Vec<String> {
    let mut lines: Vec<String> = cells.iter().map(cell_in_words).collect();
    let best = |still: bool| {
        let mut arms = worst.iter();
        arms.find(|arm| (arm.role == super::Role::Static) == still)
    };
    for (still, who) in [(true, "that stands still"), (false, "of the others")] {
        if let Some(arm) = best(still) {
            lines.push(format!(
                "over all cells, the arm {who} with the least worst regret is {}: {}% at {}",
                arm.variant,
                signed(arm.regret),
                point::label(&arm.point)
            ));
        }
    }
    lines
}

fn signed(share: f64) -> String {
    let sign = if share > 0.0 { "+" } else { "" };
    format!("{sign}{} ", digits(share * 100.0, 3))
}

fn cell_in_words(cell: &Cell) -> String {
    let of_phase = cell.best_of_phase.iter();
    let of_phase: Vec<String> = of_phase
        .map(|(phase, variant)| format!("{phase} {variant}"))
        .collect();
    let place = if cell.point.is_empty() {
        String::new()
    } else {
        format!("{}: ", point::label(&cell.point))
    };
    let can_show = match cell.admission {
        Admission::Adaptive => "adaptive: there is something to adapt to",
        Admission::Neutral => "neutral: an arm that adapts can only do harm",
        Admission::Unclear => "unclear: it supports no claim that adapting pays",
    };
    let seeds = match cell.seeds {
        1 => "one seed".to_owned(),
        more => format!("{more} seeds"),
    };
    let known = cell
        .best_known
        .as_deref()
        .unwrap_or("the phases put together");
    format!(
        "{place}the best that stands still is {}; by phase: {}. Gap {} over {seeds}, {can_show}. \
         Best-known schedule: {known}",
        cell.best_static,
        of_phase.join(", "),
        percent(cell.gap),
    )
}
