//! Events for `tracing`, so that a program that logs has the engine's events in its log.
//!
//! Each event of the engine is one event of `tracing` with the target `aura_engine`. Without a
//! subscriber that wants its level it costs a load of a flag, and nothing is written down.

use tracing::Level;

use super::{Event, EventKind};

/// Hands an event to the subscriber, if there is one.
pub(super) fn emit(event: &Event) {
    macro_rules! emit_at {
        ($($level:ident)*) => {
            match level(&event.kind) {
                $(Level::$level => {
                    if tracing::enabled!(target: "aura_engine", Level::$level) {
                        let what = serde_json::to_string(&event.kind).unwrap_or_default();
                        let nanos = event.end_nanos.saturating_sub(event.start_nanos);
                        tracing::event!(
                            target: "aura_engine",
                            Level::$level,
                            at_nanos = event.end_nanos,
                            nanos,
                            "{what}"
                        );
                    }
                })*
            }
        };
    }
    emit_at!(ERROR WARN INFO DEBUG TRACE);
}

/// How much an event matters to who reads a log.
fn level(kind: &EventKind) -> Level {
    match kind {
        EventKind::Failure {
            retry_nanos: None, ..
        } => Level::ERROR,
        EventKind::Failure { .. } | EventKind::SlowSync => Level::WARN,
        EventKind::Health { state, .. } if *state != "ok" => Level::WARN,
        EventKind::Health { .. }
        | EventKind::Recovery { .. }
        | EventKind::Reconfiguration { .. }
        | EventKind::Resumed { .. } => Level::INFO,
        EventKind::Flush { .. }
        | EventKind::Compaction { .. }
        | EventKind::Collection { .. }
        | EventKind::Stall { .. }
        | EventKind::Agent { .. } => Level::DEBUG,
        EventKind::SelfTuning(_) => Level::INFO,
        EventKind::Index { .. } | EventKind::Window { .. } => Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber, subscriber};

    use super::*;
    use crate::sync::lock;

    /// Writes down the events of a level and those that matter more.
    struct Log {
        least: Level,
        lines: Arc<Mutex<Vec<String>>>,
    }

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "aura_engine" && *metadata.level() <= self.least
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            lock(&self.lines).push(line.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn events_reach_the_log_at_the_level_that_they_have() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Log {
            least: Level::WARN,
            lines: lines.clone(),
        };
        let event = |kind| Event {
            start_nanos: 5,
            end_nanos: 8,
            kind,
        };
        subscriber::with_default(log, || {
            emit(&event(EventKind::Flush { bytes: 1 }));
            emit(&event(EventKind::SlowSync));
            emit(&event(EventKind::Failure {
                work: "flush",
                error: "no space".to_owned(),
                retry_nanos: None,
            }));
        });
        let lines = lock(&lines);
        let [slow, failure] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert!(slow.starts_with("WARN"), "{slow}");
        assert!(
            slow.contains("nanos=3") && slow.contains("slow-sync"),
            "{slow}"
        );
        assert!(failure.starts_with("ERROR"), "{failure}");
        assert!(failure.contains("no space"), "{failure}");
    }
}
