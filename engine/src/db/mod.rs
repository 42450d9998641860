//! The engine put together: [`api`] is what its users see, [`open`] opens a directory,
//! [`background`] runs what is due, [`tasks`] runs what must not depend on who asked for it.

pub(crate) mod api;
mod background;
mod open;
mod tasks;
