//! Simulations of small traces.
