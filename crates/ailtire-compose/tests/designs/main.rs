//! Whole designs: every key of Compose, as Docker's client reads it, and printed again.

#![allow(clippy::unwrap_used)]

mod common;
mod every_key;
mod round_trip;
