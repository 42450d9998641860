//! The levels of a tree side by side: panels of bars, one per level and index.

use std::collections::BTreeSet;

use super::Figure;
use super::chart::bars::{Bar, BarChart, Group, Panel};
use super::chart::style::{Frame, Styles};
use crate::formats::csv;

/// A level's value under one index.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelBar {
    /// The level.
    pub level: usize,
    /// The index.
    pub index: String,
    /// The value.
    pub value: f64,
}

/// One quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelPanel {
    /// What is shown, with its unit.
    pub title: &'static str,
    /// A value to compare with.
    pub reference: Option<f64>,
    /// The bars.
    pub bars: Vec<LevelBar>,
}

impl LevelPanel {
    /// A panel without bars.
    pub fn new(title: &'static str, reference: Option<f64>) -> Self {
        Self {
            title,
            reference,
            bars: Vec::new(),
        }
    }

    /// The panel of a chart: one group per level, in it the indexes in the order of `names`.
    fn chart_panel<'a>(&'a self, names: &[&str]) -> Panel<'a> {
        let levels: BTreeSet<usize> = self.bars.iter().map(|bar| bar.level).collect();
        let mut groups = Vec::new();
        for level in levels {
            let mut bars = Vec::new();
            for name in names {
                let mut own = self.bars.iter();
                let own = own.find(|bar| bar.level == level && bar.index == *name);
                bars.extend(own.map(|bar| Bar {
                    variant: &bar.index,
                    value: bar.value,
                    half_width: None,
                    bound: None,
                }));
            }
            groups.push(Group {
                label: format!("level {level}"),
                bars,
            });
        }
        Panel {
            title: self.title.to_owned(),
            groups,
            reference: self.reference,
        }
    }
}

/// The words of a figure of levels.
pub struct LevelWords<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// The title.
    pub title: &'a str,
    /// What is shown.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// The index drawn in grey.
    pub baseline: &'a str,
}

/// Draws levels; `None` without a panel.
pub fn draw_levels(words: &LevelWords, panels: &[LevelPanel]) -> Option<Figure> {
    if panels.is_empty() {
        return None;
    }
    let bars = panels.iter().flat_map(|panel| &panel.bars);
    let mut names: Vec<&str> = bars.map(|bar| bar.index.as_str()).collect();
    names.sort_unstable_by_key(|name| (*name != words.baseline, *name));
    names.dedup();
    let chart = BarChart {
        panels: panels
            .iter()
            .map(|panel| panel.chart_panel(&names))
            .collect(),
        groups_label: String::new(),
    };
    let frame = Frame {
        title: words.title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let styles = Styles::new(&names, words.baseline);
    Some(Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption: "Bars: the sum over the tables of a level that share an index; dashed: the least \
                  possible."
            .to_owned(),
        csv: numbers(panels),
        scene: chart.draw(&frame, &names, &styles),
    })
}

fn numbers(panels: &[LevelPanel]) -> String {
    let mut rows = Vec::new();
    for panel in panels {
        for bar in &panel.bars {
            rows.push([
                panel.title.to_owned(),
                bar.level.to_string(),
                bar.index.clone(),
                bar.value.to_string(),
            ]);
        }
    }
    csv(["panel", "level", "index", "value"], rows)
}
