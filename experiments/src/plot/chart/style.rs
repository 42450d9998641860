//! How a variant looks: alike in every figure of an experiment.
//!
//! Colours are Okabe and Ito's, which people with any colour vision can distinguish; dashes and
//! markers say the same once more, for print. The baseline is dark grey and solid; the others take
//! colours in the order of their names. Yellow is left out: lines of it cannot be seen on white.
//! The last four are not Okabe and Ito's, for experiments with many variants; after ten variants
//! the colours come again, darker, and with the next dash and marker.

use std::collections::BTreeMap;

use super::scene::{
    Anchor, Color, Dash, GREY, INK, LARGE, Marker, Place, Room, SMALL, Scene, at, color, darker,
    dash, fitted, text_width,
};

/// What is better, and the first variant.
pub(crate) const BLUE: Color = color(0x0072b2);
/// What is worse, and the second variant.
pub(crate) const VERMILION: Color = color(0xd55e00);

/// Letters that say what is worse: darker, since letters need more contrast than lines.
pub(crate) const WORSE_LETTERS: Color = color(0xb34a00);

const COLORS: [Color; 10] = [
    BLUE,
    VERMILION,
    color(0x009e73),
    color(0xcc79a7),
    color(0xe69f00),
    color(0x56b4e9),
    color(0x7f3c8d),
    color(0x8b5a2b),
    color(0x999933),
    color(0xb3b3e6),
];
const DASHES: [Option<Dash>; 5] = [dash(9, 4), dash(3, 3), None, dash(14, 4), dash(6, 6)];
const BOUND_DASHES: [Option<Dash>; 3] = [dash(2, 3), dash(8, 3), dash(5, 5)];
const MARKERS: [Marker; 4] = [Marker::Square, Marker::Up, Marker::Diamond, Marker::Down];

/// One variant's look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// The colour.
    pub(crate) color: Color,
    /// The dash of lines; `None` for solid ones.
    pub(crate) dash: Option<Dash>,
    /// The shape of data points.
    pub(crate) marker: Marker,
}

const BASELINE: Style = Style {
    color: color(0x444444),
    dash: None,
    marker: Marker::Circle,
};

/// What is drawn thin and grey behind the lines of a panel.
pub(crate) const BACKGROUND_NAME: &str = "others";

const BACKGROUND: Style = Style {
    color: color(0xbbbbbb),
    dash: None,
    marker: Marker::None,
};

const BOUND: Color = color(0x000000);

/// The looks of an experiment's variants.
#[derive(Clone)]
pub(crate) struct Styles(BTreeMap<String, Style>);

impl Styles {
    /// Gives looks to `variants`, which are sorted by name.
    pub(crate) fn new(variants: &[&str], baseline: &str) -> Self {
        let mut styles = BTreeMap::new();
        let others = variants.iter().filter(|variant| **variant != baseline);
        for (number, variant) in others.enumerate() {
            let round = number / COLORS.len();
            let style = Style {
                color: darker(COLORS[number % COLORS.len()], round),
                dash: DASHES[(number + round) % DASHES.len()],
                marker: MARKERS[(number + round) % MARKERS.len()],
            };
            styles.insert((*variant).to_owned(), style);
        }
        styles.insert(baseline.to_owned(), BASELINE);
        styles
            .entry(BACKGROUND_NAME.to_owned())
            .or_insert(BACKGROUND);
        Self(styles)
    }

    /// Adds the look of a bound.
    pub(crate) fn and_bound(&self, bound: &str) -> Self {
        let mut styles = self.clone();
        let style = Style {
            color: BOUND,
            dash: BOUND_DASHES[0],
            marker: Marker::None,
        };
        styles.0.entry(bound.to_owned()).or_insert(style);
        styles
    }

    /// Gives looks to curves that are compared with bounds: the bounds are black, with dashes of
    /// their own and without markers; the background is light and thin.
    pub(crate) fn with_bounds(
        variants: &[&str],
        baseline: &str,
        bounds: &[&str],
        background: &str,
    ) -> Self {
        let mut styles = Self::new(variants, baseline);
        for (number, bound) in bounds.iter().enumerate() {
            let style = Style {
                color: BOUND,
                dash: BOUND_DASHES[number % BOUND_DASHES.len()],
                marker: Marker::None,
            };
            styles.0.insert((*bound).to_owned(), style);
        }
        styles.0.insert(background.to_owned(), BACKGROUND);
        styles
    }

    /// A variant's look.
    pub(crate) fn of(&self, variant: &str) -> Style {
        self.0.get(variant).copied().unwrap_or(BASELINE)
    }
}

/// What a legend entry shows beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A piece of line.
    Line,
    /// A piece of line with a marker.
    MarkedLine,
    /// A filled square.
    Fill,
}

impl Sample {
    fn width(self) -> f64 {
        match self {
            Self::Fill => 14.0,
            Self::Line | Self::MarkedLine => 30.0,
        }
    }

    /// Draws the sample to the right of a place.
    fn draw(self, scene: &mut Scene, place: Place, style: Style) {
        let right = place.x + self.width();
        if self == Self::Fill {
            let from = at(place.x, place.y - 7.0);
            scene.rect(from, at(right, place.y + 7.0), style.color);
            return;
        }
        let line = vec![place, at(right, place.y)];
        scene.line(line, style.color, 2.0, style.dash);
        if self == Self::MarkedLine {
            let middle = at(place.x + self.width() / 2.0, place.y);
            scene.mark(middle, style.marker, 4.0, style.color);
        }
    }
}

/// Words above and below every figure.
pub(crate) struct Frame<'a> {
    /// The title.
    pub(crate) title: &'a str,
    /// Where and over what: the sweep point, the number of seeds.
    pub(crate) subtitle: &'a str,
    /// Trials, versions and hashes that the figure rests on.
    pub(crate) provenance: &'a str,
}

/// The room between the entries of a legend.
const BETWEEN: f64 = 20.0;

/// The empty space at the edges of a page.
pub(crate) const MARGIN: f64 = 14.0;

impl Frame<'_> {
    /// Writes title, subtitle and provenance; returns the height that title and subtitle take.
    pub(crate) fn draw(&self, scene: &mut Scene) -> f64 {
        let width = scene.width - 2.0 * MARGIN;
        let title = fitted(self.title, LARGE, width);
        scene.text(at(MARGIN, 22.0), title, LARGE, INK, Anchor::Left);
        let provenance = fitted(self.provenance, SMALL, width);
        let below = at(MARGIN, scene.height - 13.0);
        scene.text(below, provenance, SMALL, GREY, Anchor::Left);
        if self.subtitle.is_empty() {
            return 38.0;
        }
        let subtitle = fitted(self.subtitle, SMALL, width);
        scene.text(at(MARGIN, 44.0), subtitle, SMALL, GREY, Anchor::Left);
        58.0
    }
}

/// Writes the legend from `top` down, above the data and never over them; returns its end.
pub(crate) fn legend(
    scene: &mut Scene,
    top: f64,
    variants: &[&str],
    styles: &Styles,
    sample: Sample,
) -> f64 {
    let room = Room {
        left: MARGIN,
        right: scene.width - BETWEEN,
        top,
        bottom: top,
    };
    legend_within(scene, room, variants, styles, sample)
}

/// Writes the legend between the left and right ends of a room, from its top down; returns its end.
pub(crate) fn legend_within(
    scene: &mut Scene,
    room: Room,
    variants: &[&str],
    styles: &Styles,
    sample: Sample,
) -> f64 {
    let mut place = at(room.left, room.top + 10.0);
    for variant in variants {
        let most = (room.right - room.left - sample.width() - 6.0).min(420.0);
        let name = fitted(variant, SMALL, most);
        let width = sample.width() + 6.0 + text_width(&name, SMALL) + BETWEEN;
        if place.x + width > room.right + BETWEEN && place.x > room.left {
            place = at(room.left, place.y + 20.0);
        }
        sample.draw(scene, place, styles.of(variant));
        let beside = at(place.x + sample.width() + 6.0, place.y);
        scene.text(beside, name, SMALL, INK, Anchor::Left);
        place.x += width;
    }
    place.y + 22.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_variants_look_unlike() {
        let names: Vec<String> = (0..50).map(|number| format!("v{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let styles = Styles::new(&names, "v0");
        let mut looks: Vec<String> = names
            .iter()
            .map(|name| format!("{:?}", styles.of(name)))
            .collect();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), 50);
        let mut colors: Vec<Color> = names[..21]
            .iter()
            .map(|name| styles.of(name).color)
            .collect();
        colors.sort_by_key(|color| (color.0, color.1, color.2));
        colors.dedup();
        assert_eq!(
            colors.len(),
            21,
            "bars have no dashes: their colours differ"
        );
    }
}
