//! What a search improves and keeps, read from the table `tune`.

use aura_workloads::names;

use super::read::Reader;
use super::{EndConfig, LimitConfig};
use crate::config::error::ConfigError;
use crate::config::expect::phases;
use crate::metrics::{self, Debt};
use crate::nearest::hint;
use crate::optimise::goal::{Bound, End, Goal, Limit, Sense, Term};
use crate::record::Window;

impl Reader<'_> {
    pub(super) fn goal(&self) -> Result<Goal, ConfigError> {
        let config = self.config;
        let costs = usize::from(!config.cost.is_empty());
        let named = config.minimize.iter().chain(&config.maximize).count();
        if costs + named != 1 {
            let message = "`tune` needs one of `minimize`, `maximize` and `cost`";
            return Err(self.refused("", message));
        }
        let mut terms = Vec::new();
        let sense = if let Some(name) = &config.minimize {
            terms.push(self.term("minimize", name, 1.0)?);
            Sense::Minimize
        } else if let Some(name) = &config.maximize {
            terms.push(self.term("maximize", name, 1.0)?);
            Sense::Maximize
        } else {
            for (name, weight) in &config.cost {
                if !(weight.is_finite() && *weight > 0.0) {
                    let message = format!("the weight of {name} = {weight}: must be above 0");
                    return Err(self.refused_of("cost", name, message));
                }
                terms.push(self.term("cost", name, *weight)?);
            }
            Sense::Cost
        };
        Ok(Goal {
            sense,
            terms,
            limits: self.limits()?,
        })
    }

    fn limits(&self) -> Result<Vec<Limit>, ConfigError> {
        let mut limits = Vec::new();
        for (name, LimitConfig { at_most, at_least }) in &self.config.constraints {
            let Term { metric, phase, .. } = self.term("constraints", name, 1.0)?;
            let before = limits.len();
            for (bound, end) in [(Bound::AtMost, at_most), (Bound::AtLeast, at_least)] {
                if let Some(end) = end {
                    limits.push(Limit {
                        metric,
                        phase: phase.clone(),
                        bound,
                        end: self.end(name, end)?,
                    });
                }
            }
            if limits.len() == before {
                let message = format!("{name} has neither `at_most` nor `at_least`");
                return Err(self.refused_of("constraints", name, message));
            }
        }
        Ok(limits)
    }

    /// Reads a value, or a multiple of the baseline's such as `1.1x`.
    fn end(&self, name: &str, end: &EndConfig) -> Result<End, ConfigError> {
        let text = match end {
            EndConfig::Value(value) => return Ok(End::Value(*value)),
            EndConfig::OfBaseline(text) => text,
        };
        let times = text.strip_suffix('x').and_then(|it| it.trim().parse().ok());
        match times.filter(|times: &f64| times.is_finite() && *times > 0.0) {
            Some(times) => Ok(End::TimesBaseline(times)),
            None => {
                let message = format!("the limit of {name} = {text:?} is no number");
                let error = self.refused_of("constraints", name, message);
                Err(error.help("a number, or a multiple of the baseline's value such as \"1.1x\""))
            }
        }
    }

    /// An error at the metric `name` of a table below `tune`: names have dots of their own, so that
    /// no path leads to them.
    fn refused_of(&self, table: &str, name: &str, message: String) -> ConfigError {
        let table = self.node(table);
        let place = table
            .child(name)
            .map_or_else(|| table.location(), |it| it.key_location());
        ConfigError::new(message).at(place)
    }

    /// Reads `metric` or `metric@phase`.
    fn term(&self, path: &str, name: &str, weight: f64) -> Result<Term, ConfigError> {
        let refused = |message: String| self.refused_of(path, name, message);
        let (metric, phase) = match name.split_once('@') {
            Some((metric, phase)) => (metric, Some(phase)),
            None => (name, None),
        };
        let metric = metrics::find(metric).map_err(|unknown| {
            let error = refused(format!("`tune.{path}`: {unknown}"));
            error.help("`aura list metrics` says what each metric is")
        })?;
        let known = phases(std::slice::from_ref(self.baseline));
        let phase = match phase {
            Some(phase) if known.contains(phase) => phase,
            Some(phase) => {
                let hint = hint(phase, known.iter().copied());
                return Err(refused(format!(
                    "`tune.{path}`: no phase is named {phase:?}{hint}"
                )));
            }
            None if metric.debt == Debt::Charged => names::WHOLE,
            None => {
                let own = known.iter();
                let own = own.filter(|name| Window::named(name) == Window::Phase);
                let own: Vec<&str> = own.copied().collect();
                let [only] = own[..] else {
                    let error = refused(format!(
                        "`tune.{path}`: {name} in which phase? There are {}",
                        own.join(", ")
                    ));
                    return Err(error.help(format!("write \"{name}@PHASE\"")));
                };
                only
            }
        };
        Ok(Term {
            metric,
            phase: phase.to_owned(),
            weight,
        })
    }
}
