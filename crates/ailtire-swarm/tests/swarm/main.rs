//! Deploying on a real swarm, on the engine that `AILTIRE_TEST_DOCKER_HOST` names.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod failures;
mod managers;
mod order;
mod support;
mod unchanged;
mod undo;
