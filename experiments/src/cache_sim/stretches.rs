//! Which requests are counted, and in which windows: the marks at which a replay's counts are
//! noted.
//!
//! ```text
//!   requests  0 ........ w .......... m .......... m ........ n
//!             warm-up    ^ first mark ^ one a window          ^ last mark
//! ```
//!
//! Without a warm-up the first mark is 0; without windows the only other one is the end.

use std::ops::Range;

use aura_workloads::trace::{Position, Trace};

use super::sizes::Share;

/// The most windows: more are a mistake in the unit.
const WINDOWS_MAX: usize = 100_000;

const SECOND_NS: u64 = 1_000_000_000;

/// Requests that fill the cache and are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// A number of requests of the whole trace.
    Requests(u64),
    /// A share of the trace's requests.
    Share(Share),
}

impl Default for Warmup {
    fn default() -> Self {
        Self::Requests(0)
    }
}

impl Warmup {
    /// Reads a number of requests, or a share below 100 % of the trace's. `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => Share::parse(percent.trim())
                .filter(|share| !share.is_all())
                .map(Self::Share),
            None => text.parse().ok().map(Self::Requests),
        }
    }

    /// The number of requests of a trace of `requests`.
    fn of(self, requests: u64) -> u64 {
        match self {
            Self::Requests(number) => number,
            Self::Share(share) => share.of(requests),
        }
    }
}

/// How the counted requests are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Into this number of windows, with the same number of requests or one more.
    Number(u64),
    /// Into windows of this number of nanoseconds of the trace's time. Windows without a request
    /// are left out.
    Span(u64),
}

impl Windows {
    /// Reads a number of windows, or the length of each with a unit: ms, s, min, h or d. `None` if
    /// it is neither, or zero.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return (number > 0).then_some(Self::Number(number));
        }
        let digits = text.find(|char: char| !char.is_ascii_digit())?;
        let (amount, unit) = text.split_at(digits);
        let unit_ns = match unit.trim() {
            "ms" => SECOND_NS / 1000,
            "s" => SECOND_NS,
            "min" => 60 * SECOND_NS,
            "h" => 3600 * SECOND_NS,
            "d" => 86_400 * SECOND_NS,
            _ => return None,
        };
        let span = amount.parse::<u64>().ok()?.checked_mul(unit_ns)?;
        (span > 0).then_some(Self::Span(span))
    }
}

/// Why a trace cannot be divided as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Nothing is left to be counted.
    #[error("the warm-up takes all of the trace's {requests} requests")]
    AllWarm {
        /// The requests of the trace.
        requests: u64,
    },
    /// Windows of time need times.
    #[error("windows of time are asked for, and the trace has no times")]
    NoTimes,
    /// The windows are very many.
    #[error("that makes more than {WINDOWS_MAX} windows")]
    TooMany,
}

/// One step of a replay.
pub(super) enum Step {
    /// Requests, by their numbers from 0.
    Requests(Range<usize>),
    /// An object that ends.
    End(u32),
    /// The counts are noted.
    Mark,
}

/// The marks of a trace.
pub(super) struct Stretches {
    /// Ascending; the end of the trace is the last, and only the first may be equal to it.
    marks: Vec<usize>,
    /// The window of time that begins at each mark but the last; empty without such windows.
    numbers: Vec<u64>,
    span_ns: u64,
}

impl Stretches {
    /// Divides a trace. O(requests) if by time.
    pub(super) fn new(
        trace: &Trace,
        warmup: Warmup,
        windows: Option<Windows>,
    ) -> Result<Self, WindowError> {
        let end = trace.objects().len();
        let whole = trace.requests_read();
        let first = warmup_end(trace, warmup.of(whole));
        if first >= end {
            return Err(WindowError::AllWarm { requests: whole });
        }
        let mut stretches = Self {
            marks: vec![first],
            numbers: Vec::new(),
            span_ns: 0,
        };
        match windows {
            None => {}
            Some(Windows::Number(number)) => stretches.divide(number, end),
            Some(Windows::Span(span_ns)) => stretches.divide_time(trace, span_ns)?,
        }
        stretches.marks.push(end);
        if stretches.marks.len() > WINDOWS_MAX + 1 {
            return Err(WindowError::TooMany);
        }
        Ok(stretches)
    }

    /// The marks of a block of a trace, of which the first `warmup` requests are not counted.
    pub(super) fn of_block(trace: &Trace, warmup: u64) -> Self {
        let end = trace.objects().len();
        let first = usize::try_from(warmup).map_or(end, |warmup| warmup.min(end));
        Self {
            marks: vec![first, end],
            numbers: Vec::new(),
            span_ns: 0,
        }
    }

    /// Marks the borders of `number` windows up to `end`.
    fn divide(&mut self, number: u64, end: usize) {
        let first = self.marks[0];
        let number = number.min((end - first) as u64).min(WINDOWS_MAX as u64 + 1);
        for window in 1..number {
            let passed = (end - first) as u128 * u128::from(window) / u128::from(number);
            self.marks.push(first + passed as usize);
        }
    }

    /// Marks where a window of time begins. A request from an earlier window is counted with those
    /// around it.
    fn divide_time(&mut self, trace: &Trace, span_ns: u64) -> Result<(), WindowError> {
        let first = self.marks[0];
        let Some(start) = trace.times().get(first) else {
            return Err(WindowError::NoTimes);
        };
        self.span_ns = span_ns;
        self.numbers.push(start / span_ns);
        let mut current = start / span_ns;
        for (at, time) in trace.times().iter().enumerate().skip(first + 1) {
            let window = time / span_ns;
            if window > current {
                current = window;
                self.marks.push(at);
                self.numbers.push(window);
                if self.numbers.len() > WINDOWS_MAX {
                    return Err(WindowError::TooMany);
                }
            }
        }
        Ok(())
    }

    /// Requests that are not counted.
    pub(super) fn warmup(&self) -> usize {
        self.marks[0]
    }

    /// The seconds of the trace's time at which a window begins and ends; `None` if windows are
    /// numbers of requests.
    pub(super) fn seconds(&self, window: usize) -> Option<Range<f64>> {
        let number = *self.numbers.get(window)?;
        let seconds = |number: u64| number as f64 * (self.span_ns as f64 / SECOND_NS as f64);
        Some(seconds(number)..seconds(number + 1))
    }

    /// What comes before each mark in the whole trace. A request of a trace that is not a sample
    /// has the bytes `charged`.
    pub(super) fn positions(&self, trace: &Trace, charged: impl Fn(usize) -> u64) -> Vec<Position> {
        if trace.sample_rate() < 1.0 {
            let end = trace.objects().len();
            let position = |mark: &usize| match *mark {
                0 => Position::default(),
                mark if mark == end => trace.whole(),
                mark => trace.positions()[mark],
            };
            return self.marks.iter().map(position).collect();
        }
        let mut position = Position::default();
        let mut at = 0;
        let mut positions = Vec::with_capacity(self.marks.len());
        for &mark in &self.marks {
            for request in at..mark {
                position.requests += 1;
                position.bytes = position.bytes.saturating_add(charged(request));
                position.cost += u64::from(trace.cost(request));
            }
            at = mark;
            positions.push(position);
        }
        positions
    }

    /// Goes through the trace step by step, in order.
    pub(super) fn walk(&self, trace: &Trace, mut step: impl FnMut(Step)) {
        let mut at = 0;
        let mut ends = trace.ends().iter().peekable();
        for &mark in &self.marks {
            while let Some(&(before, object)) = ends.next_if(|(before, _)| *before <= mark) {
                if before > at {
                    step(Step::Requests(at..before));
                    at = before;
                }
                step(Step::End(object));
            }
            if mark > at {
                step(Step::Requests(at..mark));
                at = mark;
            }
            step(Step::Mark);
        }
    }
}

/// The first request of the trace, or of its sample, that has `number` requests before it.
fn warmup_end(trace: &Trace, number: u64) -> usize {
    if trace.sample_rate() < 1.0 {
        let is_before = |position: &Position| position.requests < number;
        return trace.positions().partition_point(is_before);
    }
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use aura_workloads::trace::{self, Format, ReadOptions};

    use super::*;

    fn trace_of(text: &str) -> Trace {
        let options = ReadOptions {
            times: true,
            lives: true,
            ..ReadOptions::default()
        };
        trace::read(text.as_bytes(), Format::Csv, &options).expect("a trace")
    }

    fn marks(trace: &Trace, warmup: &str, windows: &str) -> Result<Vec<usize>, WindowError> {
        let warmup = Warmup::parse(warmup).expect("a warm-up");
        let windows = Windows::parse(windows).expect("windows");
        Stretches::new(trace, warmup, Some(windows)).map(|stretches| stretches.marks)
    }

    const TEN: &str = "time,key,size\n0,1,1\n1,1,1\n2,1,1\n9,1,1\n3,1,1\n10,1,1\n11,1,1\n40,1,1\n\
                       41,1,1\n42,1,1\n";

    #[test]
    fn windows_have_the_same_number_of_requests_or_of_seconds() {
        let trace = trace_of(TEN);
        assert_eq!(marks(&trace, "0", "2"), Ok(vec![0, 5, 10]));
        assert_eq!(marks(&trace, "10%", "2"), Ok(vec![1, 5, 10]));
        assert_eq!(marks(&trace, "8", "5"), Ok(vec![8, 9, 10]));
        // 9 is in the first ten seconds, and the 3 after it stays with it; 20 to 40 is empty.
        assert_eq!(marks(&trace, "0", "10s"), Ok(vec![0, 5, 7, 10]));
        let stretches = Stretches::new(&trace, Warmup::default(), Windows::parse("10s"));
        let seconds = stretches.expect("windows").seconds(2);
        assert_eq!(seconds, Some(40.0..50.0));
    }

    #[test]
    fn what_cannot_be_divided_says_why() {
        let trace = trace_of(TEN);
        let all_warm = Err(WindowError::AllWarm { requests: 10 });
        assert_eq!(marks(&trace, "10", "2"), all_warm);
        let long = "time,key\n0,1\n999999,1\n";
        let rows: String = (0..200_000).map(|at| format!("{at},1\n")).collect();
        let long = trace_of(&(long.replace("999999,1\n", "") + &rows));
        assert_eq!(marks(&long, "0", "1s"), Err(WindowError::TooMany));
        assert_eq!(marks(&long, "0", "200000"), Err(WindowError::TooMany));
        let timeless = trace_of("7\n8\n9\n");
        assert_eq!(marks(&timeless, "0", "1s"), Err(WindowError::NoTimes));
        for bad in ["0", "-1", "s", "1y", "1.5s", "0s", ""] {
            assert_eq!(Windows::parse(bad), None, "{bad}");
        }
        for bad in ["100%", "-1", "1.5", "x%", ""] {
            assert_eq!(Warmup::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_walk_passes_every_request_end_and_mark_in_order() {
        let trace = trace_of("time,key,op\n0,1,get\n1,2,get\n2,1,del\n3,1,get\n4,2,del\n");
        let stretches = Stretches::new(&trace, Warmup::Requests(2), None).expect("marks");
        let mut steps = Vec::new();
        stretches.walk(&trace, |step| {
            steps.push(match step {
                Step::Requests(range) => format!("{range:?}"),
                Step::End(object) => format!("end {object}"),
                Step::Mark => "mark".to_owned(),
            });
        });
        assert_eq!(steps, ["0..2", "end 0", "mark", "2..3", "end 1", "mark"]);
    }
}
