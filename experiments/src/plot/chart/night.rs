//! Colours on a dark page: an SVG carries a style sheet that replaces its own colours where readers
//! prefer dark.
//!
//! A colour's form at night follows from the colour alone, so that the sheets of several figures in
//! one page agree. Greys are turned over between the page's paper and ink; other colours are made
//! lighter until they stand out from the paper.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::scene::{Color, color};

/// A dark page, as in the report.
const PAPER: Color = color(0x15191d);
/// Text on a dark page.
const INK: Color = color(0xe6e9ec);

/// The least contrast of a line or a letter with the paper.
const CONTRAST_MIN: f64 = 4.5;

/// Colours whose channels differ by less are greys.
const GREY_SPREAD: u8 = 24;

/// Returns the style sheet of an SVG that has these colours.
pub(super) fn style(colors: impl Iterator<Item = Color>) -> String {
    let names: BTreeSet<[u8; 3]> = colors.map(|color| [color.0, color.1, color.2]).collect();
    let mut style = String::from("<style>@media screen and (prefers-color-scheme:dark){");
    for [red, green, blue] in names {
        let day = name([red, green, blue]);
        let night = name(at_night([red, green, blue]));
        for place in ["fill", "stroke"] {
            write!(style, "svg [{place}=\"{day}\"]{{{place}:{night}}}")
                .expect("a text takes everything");
        }
    }
    style + "}</style>"
}

/// A colour as plotters writes it: `#0072B2`.
fn name([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn channels(color: Color) -> [u8; 3] {
    [color.0, color.1, color.2]
}

/// A colour on a dark page.
fn at_night(color: [u8; 3]) -> [u8; 3] {
    let most = color.into_iter().max().unwrap_or(0);
    let least = color.into_iter().min().unwrap_or(0);
    if most - least < GREY_SPREAD {
        let paleness = f64::from(color.iter().map(|part| u32::from(*part)).sum::<u32>()) / 765.0;
        return mixed(channels(INK), channels(PAPER), paleness);
    }
    let paper = luminance(channels(PAPER));
    let mut lighter = color;
    let mut share = 0.0;
    while (luminance(lighter) + 0.05) / (paper + 0.05) < CONTRAST_MIN {
        share += 0.02;
        lighter = mixed(color, [255; 3], share);
    }
    lighter
}

/// A colour with a share of another.
fn mixed(color: [u8; 3], other: [u8; 3], share: f64) -> [u8; 3] {
    let mut mixed = color;
    for (part, other) in mixed.iter_mut().zip(other) {
        *part = (f64::from(*part) * (1.0 - share) + f64::from(other) * share).round() as u8;
    }
    mixed
}

/// Relative luminance as WCAG defines it.
fn luminance(color: [u8; 3]) -> f64 {
    let linear = color.map(|part| match f64::from(part) / 255.0 {
        dark @ ..=0.04045 => dark / 12.92,
        part => ((part + 0.055) / 1.055).powf(2.4),
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_and_ink_change_places_and_colours_stand_out() {
        assert_eq!(at_night([255; 3]), channels(PAPER));
        assert!(luminance(at_night([0x22; 3])) > 0.5, "text is light");
        for color in [[0x00, 0x72, 0xb2], [0x4c, 0x24, 0x55], [0x00, 0x44, 0x6b]] {
            let contrast =
                (luminance(at_night(color)) + 0.05) / (luminance(channels(PAPER)) + 0.05);
            assert!(contrast >= CONTRAST_MIN, "{color:?}: {contrast}");
        }
        // 4.5 by the curve of sRGB, not by a power of 2.2.
        assert_eq!(at_night([0xb3, 0x4a, 0x00]), [0xc1, 0x6b, 0x2e]);
        let yellow = [0xe6, 0x9f, 0x00];
        assert_eq!(at_night(yellow), yellow, "what stands out stays");
    }

    #[test]
    fn a_style_replaces_each_colour_once() {
        let colors = [color(0xffffff), color(0x0072b2), color(0xffffff)];
        let style = style(colors.into_iter());
        assert_eq!(style.matches("[fill=\"#FFFFFF\"]{fill:#15191D}").count(), 1);
        assert_eq!(style.matches("[stroke=\"#0072B2\"]").count(), 1);
    }
}
