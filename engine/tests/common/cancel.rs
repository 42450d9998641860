//! Callers that give up: a future is dropped, or no longer polled, after its n-th poll.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// A future of a call to the engine.
pub(crate) type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What happens to the future of a caller that gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// It is dropped.
    Dropped,
    /// It stays, and is no longer polled.
    Held,
}

/// The call that is given up, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// The number of the call, from 1.
    pub(crate) call: u64,
    /// How many times it is polled before; 0 never polls it.
    pub(crate) polls: u64,
    /// What happens to its future.
    pub(crate) given_up: GivenUp,
}

/// Polls `future` at most `polls` times. Returns its value, or the future if it is not ready by
/// then.
pub(crate) async fn poll_at_most<F: Future + Unpin>(
    mut future: F,
    polls: u64,
) -> Result<F::Output, F> {
    for _ in 0..polls {
        let mut polled = false;
        let value = std::future::poll_fn(|context| {
            if polled {
                // It was woken again. The next poll is another one.
                return Poll::Ready(None);
            }
            polled = true;
            match Pin::new(&mut future).poll(context) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(value) = value.await {
            return Ok(value);
        }
    }
    Err(future)
}

/// The calls of a caller, one of which may be given up.
#[derive(Default)]
pub(crate) struct Calls {
    cut: Option<Cut>,
    made: AtomicU64,
    was_cut: AtomicBool,
    held: Mutex<Vec<Call<()>>>,
    on_cut: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Calls {
    /// Creates calls of which `cut` is given up; `on_cut` is called at that moment.
    pub(crate) fn cut(cut: Cut, on_cut: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            cut: Some(cut),
            on_cut: Mutex::new(Some(Box::new(on_cut))),
            ..Self::default()
        })
    }

    /// Returns how many calls were made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Returns whether a call was given up. A call that ends before that is not.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut.load(Ordering::Relaxed)
    }

    /// Makes a call. Returns `None` if it was given up.
    pub(crate) async fn call<T: Send + 'static>(self: Arc<Self>, future: Call<T>) -> Option<T> {
        self.make(future, true).await
    }

    /// Makes a call whose future cannot be held without being polled, because it keeps others out.
    pub(crate) async fn call_alone<T: Send + 'static>(
        self: Arc<Self>,
        future: Call<T>,
    ) -> Option<T> {
        self.make(future, false).await
    }

    async fn make<T: Send + 'static>(&self, future: Call<T>, may_hold: bool) -> Option<T> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(cut) = self.cut.filter(|cut| cut.call == number) else {
            return Some(future.await);
        };
        let future = match poll_at_most(future, cut.polls).await {
            Ok(value) => return Some(value),
            Err(future) => future,
        };
        self.was_cut.store(true, Ordering::Relaxed);
        if cut.given_up == GivenUp::Held && may_hold {
            let held: Call<()> = Box::pin(async move { drop(future.await) });
            self.held.lock().unwrap().push(held);
        } else {
            drop(future);
        }
        if let Some(on_cut) = self.on_cut.lock().unwrap().take() {
            on_cut();
        }
        None
    }
}
