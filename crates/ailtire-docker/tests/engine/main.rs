//! Against a real engine, named by `AILTIRE_TEST_DOCKER_HOST`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Helpers of tests, and test data.

mod builds;
mod endpoints;
mod support;
