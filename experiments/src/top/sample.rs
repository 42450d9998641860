//! OpenMetrics text, read back.

use std::collections::BTreeMap;

/// The numbers of one answer of an endpoint, by name and labels as they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    values: BTreeMap<String, f64>,
}

/// Why a text is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A line is no number with its name.
    #[error("line {0} of the answer is no metric: {1:?}")]
    Line(usize, String),
    /// It has no end, or is not AuraDB's.
    #[error("the answer is not what an engine of AuraDB says of itself")]
    Foreign,
}

impl Sample {
    /// Reads OpenMetrics text. O(bytes).
    ///
    /// # Errors
    /// [`SampleError`] for a line that is no metric, for a text that was cut off, and for one that
    /// holds no metric of an engine.
    pub fn parse(text: &str) -> Result<Self, SampleError> {
        let mut values = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let bad = || SampleError::Line(at + 1, line.chars().take(80).collect());
            // A label's value may hold spaces.
            let (name, value) = line.rsplit_once(' ').ok_or_else(bad)?;
            values.insert(name.to_owned(), value.parse().map_err(|_| bad())?);
        }
        let sample = Self { values };
        let is_ours = sample.get("aura_clock_seconds").is_some() || sample.waits_for_trial();
        match is_ours && text.ends_with("# EOF\n") {
            true => Ok(sample),
            false => Err(SampleError::Foreign),
        }
    }

    /// Whether a run is shown of which no trial is under way.
    pub fn waits_for_trial(&self) -> bool {
        self.get("aura_trials_running") == Some(0.0)
    }

    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// The values of label `label` in family `family`, each with its number, in the order of text.
    pub fn labelled<'a>(
        &'a self,
        family: &'a str,
        label: &'a str,
    ) -> impl Iterator<Item = (&'a str, f64)> {
        self.values.iter().filter_map(move |(name, value)| {
            let labels = name.strip_prefix(family)?.strip_prefix('{')?;
            let rest = labels.strip_prefix(label)?.strip_prefix("=\"")?;
            Some((rest.split(['"']).next()?, *value))
        })
    }

    /// The trial that is shown, if a run is.
    pub fn trial(&self) -> Option<&str> {
        let named = self.values.keys().find_map(|name| {
            let labels = name.strip_prefix("aura_trial_info{name=\"")?;
            labels.strip_suffix("\"}")
        });
        named.or_else(|| self.waits_for_trial().then_some("no trial is under way"))
    }

    /// Every number, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
    }

    /// The least time in seconds below which `share` of the operations of `operation` stayed that
    /// were timed since `before`, by the bounds of the histogram; `None` if there were none.
    pub fn quantile(&self, before: &Self, operation: &str, share: f64) -> Option<f64> {
        let prefix = "aura_operation_latency_seconds_bucket{le=\"";
        let suffix = format!("\",operation=\"{operation}\"}}");
        let bound = |name: &str| -> Option<f64> {
            let text = name.strip_prefix(prefix)?.strip_suffix(&suffix)?;
            match text {
                "+Inf" => Some(f64::INFINITY),
                text => text.parse().ok(),
            }
        };
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (name, value) in &self.values {
            if let Some(bound) = bound(name) {
                buckets.push((bound, value - before.get(name).unwrap_or(0.0)));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last().map(|it| it.1).filter(|all| *all > 0.0)?;
        let within = buckets.iter().find(|it| it.1 >= share * all)?;
        Some(within.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_other_texts_refused() {
        let text = "# HELP aura_x Help\naura_clock_seconds 1.5\n\
                    aura_trial_info{name=\"tiered, 8 MiB\"} 1\n\
                    aura_level_runs{level=\"0\"} 3\naura_level_runs{level=\"1\"} 1\n# EOF\n";
        let sample = Sample::parse(text).expect("it is ours");
        assert_eq!(sample.get("aura_clock_seconds"), Some(1.5));
        assert_eq!(sample.trial(), Some("tiered, 8 MiB"));
        let runs: Vec<_> = sample.labelled("aura_level_runs", "level").collect();
        assert_eq!(runs, [("0", 3.0), ("1", 1.0)]);
        let cut = text.replace("# EOF\n", "");
        assert_eq!(Sample::parse(&cut), Err(SampleError::Foreign));
        assert_eq!(Sample::parse("up 1\n# EOF\n"), Err(SampleError::Foreign));
        let bad = Sample::parse("<html>\n");
        assert_eq!(bad, Err(SampleError::Line(1, "<html>".to_owned())));
    }

    #[test]
    fn a_quantile_is_of_the_operations_between_two_samples() {
        let sample = |fast: u32, all: u32| {
            let bucket = |le: &str, count: u32| {
                format!(
                    "aura_operation_latency_seconds_bucket{{le=\"{le}\",operation=\"get\"}} \
                     {count}\n"
                )
            };
            let text = bucket("0.000001", fast) + &bucket("0.000002", all) + &bucket("+Inf", all);
            Sample::parse(&format!("aura_clock_seconds 1\n{text}# EOF\n")).expect("ours")
        };
        let (before, after) = (sample(1000, 1000), sample(1090, 1100));
        assert_eq!(after.quantile(&before, "get", 0.5), Some(1e-6));
        assert_eq!(after.quantile(&before, "get", 0.99), Some(2e-6));
        assert_eq!(before.quantile(&before, "get", 0.5), None);
        assert_eq!(after.quantile(&before, "put", 0.5), None);
    }
}
