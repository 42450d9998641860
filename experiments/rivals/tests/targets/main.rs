//! Every target: its answers beside a map's, whole trials on it, and what configs may say of it.

mod common;
mod laws;
mod trials;
