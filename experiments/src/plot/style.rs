//! How a variant looks: the same in every figure of an experiment.
//!
//! Colours are Okabe and Ito's, which people with any colour vision can tell apart; dashes and markers say the same once
//! more, for print. The baseline is dark grey and solid; the others take colours in the order of their names. Yellow is
//! left out: lines of it cannot be seen on white. The last four are not theirs, for experiments with many variants.

use std::collections::BTreeMap;

use super::scene::{
    Anchor, Color, GREY, INK, LARGE, Marker, Place, SMALL, Scene, color, fitted, text_width,
};

/// One variant's look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The colour.
    pub(super) color: Color,
    /// Strokes and gaps of lines in points.
    pub(super) dash: Option<(u32, u32)>,
    /// The sign of data points.
    pub(super) marker: Marker,
}

const BASELINE: Style = Style {
    color: color(0x444444),
    dash: None,
    marker: Marker::Circle,
};

const COLORS: [u32; 10] = [
    0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x7f3c8d, 0x8b5a2b, 0x999933,
    0xb3b3e6,
];
const DASHES: [Option<(u32, u32)>; 5] = [
    Some((9, 4)),
    Some((3, 3)),
    None,
    Some((14, 4)),
    Some((6, 6)),
];
const BOUND_DASHES: [Option<(u32, u32)>; 3] = [Some((2, 3)), Some((8, 3)), Some((5, 5))];
const MARKERS: [Marker; 4] = [Marker::Square, Marker::Up, Marker::Diamond, Marker::Down];

/// The looks of an experiment's variants.
pub(super) struct Styles(BTreeMap<String, Style>);

impl Styles {
    /// Looks for `variants`, which are sorted by name.
    pub(super) fn new(variants: &[&str], baseline: &str) -> Self {
        let others = variants.iter().filter(|variant| **variant != baseline);
        let mut styles: BTreeMap<String, Style> = others
            .enumerate()
            .map(|(i, variant)| {
                let style = Style {
                    color: color(COLORS[i % COLORS.len()]),
                    dash: DASHES[i % DASHES.len()],
                    marker: MARKERS[i % MARKERS.len()],
                };
                ((*variant).to_owned(), style)
            })
            .collect();
        styles.insert(baseline.to_owned(), BASELINE);
        Self(styles)
    }

    /// The looks of curves that are held against bounds: the bounds in black with dashes of their own and without marks,
    /// what stands in the background light and thin.
    pub(super) fn with_bounds(
        variants: &[&str],
        baseline: &str,
        bounds: &[&str],
        background: &str,
    ) -> Self {
        let mut styles = Self::new(variants, baseline);
        for (i, bound) in bounds.iter().enumerate() {
            let dash = BOUND_DASHES[i % BOUND_DASHES.len()];
            styles.0.insert(
                (*bound).to_owned(),
                Style {
                    color: color(0x000000),
                    dash,
                    marker: Marker::None,
                },
            );
        }
        let faint = Style {
            color: color(0xbbbbbb),
            dash: None,
            marker: Marker::None,
        };
        styles.0.insert(background.to_owned(), faint);
        styles
    }

    /// A variant's look.
    pub(super) fn of(&self, variant: &str) -> Style {
        self.0.get(variant).copied().unwrap_or(BASELINE)
    }
}

/// What a legend entry shows beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// A piece of line.
    Line,
    /// A piece of line with a marker.
    MarkedLine,
    /// A filled square.
    Fill,
}

/// Words above and below every figure.
pub(super) struct Frame<'a> {
    /// The title.
    pub(super) title: &'a str,
    /// Where and over what: the sweep's point, the number of seeds.
    pub(super) subtitle: &'a str,
    /// Trials, versions and hashes the figure rests on.
    pub(super) provenance: &'a str,
}

pub(super) const MARGIN: f64 = 14.0;

impl Sample {
    fn width(self) -> f64 {
        if self == Self::Fill { 14.0 } else { 30.0 }
    }
}

impl Frame<'_> {
    /// Writes title, subtitle and provenance; answers the height that title and subtitle take.
    pub(super) fn draw(&self, scene: &mut Scene) -> f64 {
        let width = scene.width - 2.0 * MARGIN;
        scene.text(
            (MARGIN, 22.0),
            fitted(self.title, LARGE, width),
            LARGE,
            INK,
            Anchor::Left,
        );
        let below = (MARGIN, scene.height - 13.0);
        scene.text(
            below,
            fitted(self.provenance, SMALL, width),
            SMALL,
            GREY,
            Anchor::Left,
        );
        if self.subtitle.is_empty() {
            return 38.0;
        }
        let subtitle = fitted(self.subtitle, SMALL, width);
        scene.text((MARGIN, 44.0), subtitle, SMALL, GREY, Anchor::Left);
        58.0
    }
}

/// Writes the legend from `top` down, above the data and never over them; answers where it ends.
pub(super) fn legend(
    scene: &mut Scene,
    top: f64,
    variants: &[&str],
    styles: &Styles,
    sample: Sample,
) -> f64 {
    let (mut x, mut y) = (MARGIN, top + 10.0);
    for variant in variants {
        let name = fitted(variant, SMALL, 420.0);
        let width = sample.width() + 6.0 + text_width(&name, SMALL) + 20.0;
        if x + width > scene.width && x > MARGIN {
            (x, y) = (MARGIN, y + 20.0);
        }
        let style = styles.of(variant);
        draw_sample(scene, (x, y), style, sample);
        scene.text(
            (x + sample.width() + 6.0, y),
            name,
            SMALL,
            INK,
            Anchor::Left,
        );
        x += width;
    }
    y + 22.0
}

fn draw_sample(scene: &mut Scene, (x, y): Place, style: Style, sample: Sample) {
    match sample {
        Sample::Fill => scene.rect((x, y - 7.0), (x + sample.width(), y + 7.0), style.color),
        Sample::Line | Sample::MarkedLine => {
            scene.line(
                vec![(x, y), (x + sample.width(), y)],
                style.color,
                2.0,
                style.dash,
            );
            if sample == Sample::MarkedLine {
                scene.mark(
                    (x + sample.width() / 2.0, y),
                    style.marker,
                    4.0,
                    style.color,
                );
            }
        }
    }
}
