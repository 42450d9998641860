//! A tree's levels side by side: panels of bars, one a level and index.

use std::collections::BTreeSet;

use super::bars::{Bar, BarChart, Group, Panel};
use super::style::{Frame, Styles};
use super::{Figure, PlotError};
use crate::store::csv;

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
    /// One without bars.
    pub fn new(title: &'static str, reference: Option<f64>) -> Self {
        Self {
            title,
            reference,
            bars: Vec::new(),
        }
    }
}

/// The words of a figure.
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

/// Draws levels; None without a panel.
///
/// # Errors
/// [`PlotError::Drawing`].
pub fn draw_levels<'a>(
    words: &LevelWords<'a>,
    panels: &'a [LevelPanel],
) -> Result<Option<Figure>, PlotError> {
    if panels.is_empty() {
        return Ok(None);
    }
    let mut names: Vec<&str> = panels
        .iter()
        .flat_map(|panel| &panel.bars)
        .map(|bar| bar.index.as_str())
        .collect();
    names.sort_unstable_by_key(|name| (*name != words.baseline, *name));
    names.dedup();
    let styles = Styles::new(&names, words.baseline);
    let drawn = panels.iter().map(|panel| {
        let levels: BTreeSet<usize> = panel.bars.iter().map(|bar| bar.level).collect();
        let group = |level: usize| {
            let own = |name: &&str| {
                panel
                    .bars
                    .iter()
                    .find(|bar| bar.level == level && bar.index == *name)
            };
            let bar = |bar: &'a LevelBar| Bar {
                variant: &bar.index,
                value: bar.value,
                half_width: None,
            };
            Group {
                label: format!("level {level}"),
                bars: names.iter().filter_map(own).map(bar).collect(),
            }
        };
        let groups = levels.into_iter().map(group).collect();
        Panel {
            title: panel.title.to_owned(),
            groups,
            reference: panel.reference,
        }
    });
    let chart = BarChart {
        panels: drawn.collect(),
        groups_label: String::new(),
    };
    let frame = Frame {
        title: words.title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let scene = chart.draw(&frame, &names, &styles)?;
    let rows = panels.iter().flat_map(|panel| {
        let row = |bar: &LevelBar| {
            [
                panel.title.to_owned(),
                bar.level.to_string(),
                bar.index.clone(),
                bar.value.to_string(),
            ]
        };
        panel.bars.iter().map(row)
    });
    Ok(Some(Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption: "Bars: the sum over the tables of a level that share an index; dashed: the least possible.".to_owned(),
        csv: csv(["panel", "level", "index", "value"], rows),
        scene,
    }))
}
