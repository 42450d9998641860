//! Miss ratios over time, or over the size of one cache: a line per policy.
//!
//! The policies that miss least on the whole have a look of their own, the others are thin and grey
//! behind them. The y axis begins at zero.

use super::Figure;
use super::chart::axis::Axis;
use super::chart::lines::{Line, LineChart, LinePoint, Panel};
use super::chart::style::{BACKGROUND_NAME, Frame, Styles};
use super::curves::NAMED_MAX;
use crate::formats::csv;

/// The windows up to which points are marked: more marks hide the lines.
const MARKED_MAX: usize = 40;

/// One policy at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The name.
    pub name: String,
    /// The size as it was written.
    pub size: String,
    /// The points, one per window or size.
    pub points: Vec<CoursePoint>,
}

/// A window, or a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoursePoint {
    /// Its middle, or a size, in the unit of the x axis.
    pub x: f64,
    /// The share of its requests that missed.
    pub ratio: f64,
}

/// The words of a figure of courses.
pub struct CourseWords<'a> {
    /// The name of its files.
    pub name: &'a str,
    /// The title.
    pub title: &'a str,
    /// Which trace, how many requests.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// What the points mean.
    pub caption: &'a str,
    /// What the x axis shows, with its unit.
    pub x_label: &'a str,
    /// Whether the x axis is logarithmic.
    pub logarithmic: bool,
    /// The policy drawn in grey and solid.
    pub baseline: &'a str,
}

/// Draws the courses at one size; `None` without a point.
pub fn draw_courses(words: &CourseWords, courses: &[Course]) -> Option<Figure> {
    let points = || courses.iter().flat_map(|course| &course.points);
    let from = points().map(|point| point.x).fold(f64::INFINITY, f64::min);
    let to = points().map(|point| point.x).fold(0.0, f64::max);
    let high = points().map(|point| point.ratio).fold(0.0, f64::max);
    points().next()?;
    let named = least_missing(courses, words.baseline);
    let is_behind = |course: &Course| !named.contains(&course.name.as_str());
    let mut lines: Vec<Line> = Vec::new();
    for course in courses {
        let thin = is_behind(course);
        lines.push(Line {
            variant: if thin { BACKGROUND_NAME } else { &course.name },
            points: course.points.iter().map(line_point).collect(),
            thin,
        });
    }
    lines.sort_by_key(|line| !line.thin);
    let mut legend = named.clone();
    if courses.iter().any(is_behind) {
        legend.push(BACKGROUND_NAME);
    }
    let longest = courses.iter().map(|course| course.points.len()).max();
    let chart = LineChart {
        x: if words.logarithmic {
            Axis::logarithmic(words.x_label, from, to)
        } else {
            Axis::linear(words.x_label, from, to)
        },
        y: Axis::linear("requests missed (%)", 0.0, high * 100.0),
        panels: vec![Panel {
            lines,
            ..Panel::default()
        }],
        marked: longest.unwrap_or(0) <= MARKED_MAX,
    };
    let frame = Frame {
        title: words.title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let styles = Styles::new(&named, words.baseline);
    Some(Figure {
        name: words.name.to_owned(),
        title: words.title.to_owned(),
        caption: words.caption.to_owned(),
        csv: to_csv(courses),
        scene: chart.draw(&frame, &legend, &styles),
    })
}

fn line_point(point: &CoursePoint) -> LinePoint {
    LinePoint {
        x: point.x,
        y: point.ratio * 100.0,
        half_width: None,
    }
}

/// The policies with the least mean ratio, and the baseline, sorted by name.
fn least_missing<'a>(courses: &'a [Course], baseline: &str) -> Vec<&'a str> {
    let mean = |course: &Course| {
        let sum: f64 = course.points.iter().map(|point| point.ratio).sum();
        sum / course.points.len().max(1) as f64
    };
    let mut ranked: Vec<&Course> = courses.iter().collect();
    ranked.sort_by(|one, other| {
        let is_other = |course: &Course| course.name != baseline;
        let by_baseline = is_other(one).cmp(&is_other(other));
        by_baseline
            .then(mean(one).total_cmp(&mean(other)))
            .then(one.name.cmp(&other.name))
    });
    ranked.truncate(NAMED_MAX);
    let mut named: Vec<&str> = ranked.iter().map(|course| course.name.as_str()).collect();
    named.sort_unstable();
    named
}

fn to_csv(courses: &[Course]) -> String {
    let mut rows = Vec::new();
    for course in courses {
        for point in &course.points {
            let numbers = [point.x, point.ratio].map(|number| number.to_string());
            let [x, ratio] = numbers;
            rows.push([course.name.clone(), course.size.clone(), x, ratio]);
        }
    }
    csv(["name", "size", "x", "miss_ratio"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> CourseWords<'static> {
        CourseWords {
            name: "over-time",
            title: "Miss ratio over time",
            subtitle: "a trace",
            provenance: "AuraDB",
            caption: "windows",
            x_label: "requests",
            logarithmic: false,
            baseline: "lru",
        }
    }

    #[test]
    fn the_axis_begins_at_zero_and_only_a_few_lines_have_names() {
        let mut courses = Vec::new();
        for (number, name) in ["lru", "a", "b", "c", "d", "e", "f", "g", "h"]
            .iter()
            .enumerate()
        {
            let point = |window: usize| CoursePoint {
                x: window as f64,
                ratio: 0.9 - 0.01 * number as f64,
            };
            courses.push(Course {
                name: (*name).to_owned(),
                size: "1%".to_owned(),
                points: (0..5).map(point).collect(),
            });
        }
        assert_eq!(
            least_missing(&courses, "lru"),
            ["c", "d", "e", "f", "g", "h", "lru"]
        );
        let figure = draw_courses(&words(), &courses).expect("it has points");
        let svg = figure.svg().expect("it can be drawn");
        for word in ["others", "lru", "\n0\n", "requests"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("NaN"));
        assert_eq!(figure.csv.lines().count(), 1 + 9 * 5);
        assert!(draw_courses(&words(), &[]).is_none());
    }
}
