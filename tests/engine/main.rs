//! Tests of the command against a real Docker engine: a private one, whose address is in
//! `AILTIRE_TEST_DOCKER_HOST` (`cargo xtask test` starts it and stops it).

#![allow(clippy::disallowed_methods, reason = "files of a test need not be written atomically")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![allow(clippy::needless_raw_string_hashes, reason = "snapbox writes them so")]

mod attest;
#[allow(dead_code, reason = "the page's own tests need more of it")]
#[path = "../../crates/ailtire-manager/tests/browser/browser.rs"]
mod browser;
mod cache;
mod cache_deploy;
mod cache_import;
mod ci;
mod context;
mod deploy;
mod deploy_faults;
#[path = "../directory.rs"]
mod directory;
mod example;
mod faults;
mod fixtures;
mod images;
mod invalidation;
mod managers;
mod poisoned_cache;
mod printed;
mod push;
mod registry;
mod registry_faults;
mod release;
mod signed_cache;
mod stack_images;
mod state;
mod support;
mod tap;
#[path = "../../crates/ailtire-manager/tests/browser/web_driver.rs"]
mod web_driver;
mod work;
