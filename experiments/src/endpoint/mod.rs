//! The metrics of a running engine as an endpoint for Prometheus.
//!
//! [`open_metrics`] makes the text of one reading; [`serve`] answers `GET /metrics` with it.
//! Nothing is counted for this: the text is made of the engine's own counters when it is asked for.

mod board;
mod http;
mod text;

pub use board::Board;
pub(crate) use http::Server;
pub use http::{Source, serve};
pub use text::{CONTENT_TYPE, open_metrics};
