//! What the trials under way say of their engines, for who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The end of an OpenMetrics text.
const END: &str = "# EOF\n";

/// The last words of each trial under way.
#[derive(Debug, Default)]
pub struct Board {
    /// Held for a few steps.
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// The texts of the trials under way, by their labels.
    texts: BTreeMap<String, String>,
    /// The trials that ever had an ailment, by its name.
    ailing: BTreeMap<String, BTreeSet<String>>,
}

impl Board {
    /// Takes what the engine of trial `label` says now, as OpenMetrics text.
    pub fn show(&self, label: &str, text: String) {
        let ailments = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("aura_ailment{ailment=\"")?;
            rest.strip_suffix("\"} 1")
        });
        let mut content = self.content();
        for ailment in ailments {
            let trials = content.ailing.entry(ailment.to_owned()).or_default();
            trials.insert(label.to_owned());
        }
        content.texts.insert(label.to_owned(), text);
    }

    /// The trials that ever had an ailment when they were shown, by its name.
    pub fn ailing(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.content().ailing.clone()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a trial that has ended.
    pub fn end(&self, label: &str) {
        self.content().texts.remove(label);
    }

    /// The metrics of the first trial under way by name, and before them `aura_trial_info` with its
    /// name and `aura_trials_running` with the number of all.
    pub fn text(&self) -> String {
        let texts = &self.content().texts;
        let mut text = format!(
            "# HELP aura_trials_running Trials under way; the metrics are those of the first\n\
             # TYPE aura_trials_running gauge\n\
             aura_trials_running {}\n",
            texts.len()
        );
        let Some((label, metrics)) = texts.first_key_value() else {
            return text + END;
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP aura_trial The trial whose metrics these are\n\
             # TYPE aura_trial info\n\
             aura_trial_info{{name=\"{}\"}} 1\n",
            escaped(label)
        );
        text + metrics
    }
}

/// The value of a label, as OpenMetrics writes it.
fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_trial_under_way_is_shown_until_it_ends() {
        let board = Board::default();
        assert!(board.text().ends_with("aura_trials_running 0\n# EOF\n"));
        board.show("b \"x\"", "two 2\n# EOF\n".to_owned());
        board.show("a", "one 1\n# EOF\n".to_owned());
        let text = board.text();
        assert!(text.contains("aura_trials_running 2\n"), "{text}");
        let end = "aura_trial_info{name=\"a\"} 1\none 1\n# EOF\n";
        assert!(text.ends_with(end), "{text}");
        let ill = "aura_ailment{ailment=\"debt\"} 0\naura_ailment{ailment=\"stalls\"} 1\n# EOF\n";
        board.show("c", ill.to_owned());
        board.end("c");
        let ailing = [("stalls".to_owned(), ["c".to_owned()].into())];
        assert_eq!(board.ailing(), ailing.into());
        board.end("a");
        let text = board.text();
        let end = "aura_trial_info{name=\"b \\\"x\\\"\"} 1\ntwo 2\n# EOF\n";
        assert!(text.ends_with(end), "{text}");
    }
}
