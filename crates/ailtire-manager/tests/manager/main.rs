//! Managers that deploy, adopt, watch, change and remove stacks on a real engine.

mod access;
mod family;
mod life;
mod requests;
mod support;
