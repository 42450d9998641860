//! Where events go: to a bounded queue that `take_events` empties, and to listeners.
//!
//! A listener is a queue, not a callback. Who records an event never runs a listener's code, so a
//! listener that is slow loses events, with a count, and one that panics harms nobody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use super::Event;
use crate::sync::lock;

/// A bounded queue of events. The oldest make room for the newest.
struct Queue {
    capacity: usize,
    content: Mutex<Content>,
    /// Notified when an event arrives, and when no more will.
    arrived: Notify,
}

#[derive(Default)]
struct Content {
    events: VecDeque<Event>,
    dropped: u64,
    closed: bool,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            content: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Adds an event. Returns how many had to make room for it.
    fn push(&self, event: Event) -> u64 {
        let mut content = lock(&self.content);
        let makes_room = content.events.len() >= self.capacity;
        if makes_room {
            content.events.pop_front();
            content.dropped += 1;
        }
        content.events.push_back(event);
        drop(content);
        self.arrived.notify_one();
        u64::from(makes_room)
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.content).events).into()
    }

    fn close(&self) {
        lock(&self.content).closed = true;
        self.arrived.notify_one();
    }
}

/// The events of one engine.
pub(crate) struct EventLog {
    /// Those that nobody has taken.
    kept: Queue,
    listeners: Mutex<Vec<Weak<Queue>>>,
}

impl EventLog {
    /// A log that keeps at most `capacity` events that nobody has taken.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            kept: Queue::new(capacity),
            listeners: Mutex::default(),
        }
    }

    /// Records an event. Returns how many that nobody had taken made room for it. O(listeners).
    pub(super) fn push(&self, event: Event) -> u64 {
        // Under the lock, so that all listeners meet events in one order.
        lock(&self.listeners).retain(|listener| {
            let Some(queue) = listener.upgrade() else {
                return false;
            };
            queue.push(event.clone());
            true
        });
        self.kept.push(event)
    }

    /// Takes the events recorded since the last call.
    pub(super) fn take(&self) -> Vec<Event> {
        self.kept.take()
    }

    /// Adds a listener with room for `capacity` events.
    pub(super) fn listen(&self, capacity: usize) -> EventListener {
        let queue = Arc::new(Queue::new(capacity));
        lock(&self.listeners).push(Arc::downgrade(&queue));
        EventListener { queue }
    }

    /// Ends all listeners: no event will follow.
    pub(super) fn close(&self) {
        for listener in std::mem::take(&mut *lock(&self.listeners)) {
            listener.upgrade().inspect(|queue| queue.close());
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.close();
    }
}

/// Receives the events of an engine from the moment it was made, until the engine is closed.
///
/// It has room for a number of events. If its owner is slower than that, the oldest are dropped and
/// [counted](Self::dropped). The engine never waits for it. Dropping it ends it.
///
/// ```
/// use aura_engine::env::memory::MemoryWorld;
/// use aura_engine::{Engine, EngineBuilder, EventKind};
///
/// # let world = MemoryWorld::new(2).expect("threads");
/// # world.block_on(async {
/// let engine = EngineBuilder::new(world.env(), "/db").open().await?;
/// let mut listener = engine.subscribe(16);
/// engine.put(b"key", b"value").await?;
/// engine.flush().await?;
/// let event = listener.next().await.expect("the engine is open");
/// assert!(matches!(event.kind, EventKind::Flush { .. }));
/// engine.close().await?;
/// assert_eq!(listener.next().await, None);
/// # Ok::<(), aura_engine::Error>(())
/// # })?;
/// # Ok::<(), aura_engine::Error>(())
/// ```
pub struct EventListener {
    queue: Arc<Queue>,
}

impl EventListener {
    /// Waits for the next event. None once the engine is closed and every event was returned. The
    /// future may be dropped at any poll: no event is lost with it.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            // An arrival between the look and the wait leaves a permit.
            {
                let mut content = lock(&self.queue.content);
                if let Some(event) = content.events.pop_front() {
                    return Some(event);
                }
                if content.closed {
                    return None;
                }
            }
            self.queue.arrived.notified().await;
        }
    }

    /// Takes the events that wait, without waiting for more.
    pub fn take(&mut self) -> Vec<Event> {
        self.queue.take()
    }

    /// Events that were dropped because this listener was slow.
    pub fn dropped(&self) -> u64 {
        lock(&self.queue.content).dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::EventKind;

    fn event(number: u64) -> Event {
        Event {
            start_nanos: number,
            end_nanos: number,
            kind: EventKind::Flush { bytes: 0 },
        }
    }

    fn numbers(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.start_nanos).collect()
    }

    #[test]
    fn the_oldest_event_makes_room_and_is_counted() {
        let log = EventLog::new(3);
        let mut slow = log.listen(2);
        let mut fast = log.listen(10);
        let dropped: u64 = (0..5).map(|number| log.push(event(number))).sum();
        assert_eq!(dropped, 2);
        assert_eq!(numbers(&log.take()), [2, 3, 4]);
        assert_eq!(log.take(), []);
        assert_eq!(numbers(&slow.take()), [3, 4]);
        assert_eq!((slow.dropped(), fast.dropped()), (3, 0));
        assert_eq!(numbers(&fast.take()), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_listener_that_panics_or_ends_harms_nobody() {
        let log = EventLog::new(3);
        let mut other = log.listen(10);
        let lost = log.listen(10);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock(&lost.queue.content);
            panic!("in a listener");
        }));
        assert!(panic.is_err());
        log.push(event(1));
        assert_eq!(lock(&lost.queue.content).events.len(), 1);
        drop(lost);
        log.push(event(2));
        assert_eq!(lock(&log.listeners).len(), 1);
        assert_eq!(numbers(&other.take()), [1, 2]);
    }
}
