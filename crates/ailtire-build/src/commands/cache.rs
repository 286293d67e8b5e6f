//! Where what other machines built is looked up: what commands that build or deploy have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ailtire::{CacheOptions, CacheTrust};
use ailtire_events::EventSink;
use clap::{Args, ValueEnum};

use crate::error::Failure;
use crate::keys;

/// How images are looked up.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LookupArguments {
    /// Look up images by their inputs before building, and share what is built
    #[arg(long, value_name = "WHERE", env = "AILTIRE_CACHE", default_value = "none")]
    cache: CacheKind,

    /// Fail where the registry can't be asked, instead of building
    #[arg(long)]
    cache_required: bool,

    /// Seconds that the registry may take for an answer; without it, 20
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    cache_timeout: Option<u64>,

    /// Use what is found only if this public key signed it (repeatable)
    #[arg(long, value_name = "PUBKEY")]
    cache_verify: Vec<PathBuf>,
}

/// How images are looked up, and what is built is shared.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CacheArguments {
    #[command(flatten)]
    lookup: LookupArguments,

    /// Only look up: share nothing
    #[arg(long)]
    cache_read_only: bool,

    /// Have the engine fetch the images that the registry has
    #[arg(long)]
    load: bool,

    /// Sign what is built and shared with this private key (`ailtire-build key new`)
    #[arg(long, value_name = "KEY")]
    cache_sign: Option<PathBuf>,
}

/// Where images are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CacheKind {
    /// Nowhere
    #[default]
    None,
    /// In the registry that `--repo` names
    Registry,
}

impl LookupArguments {
    /// How a registry is asked, if one is.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where a key can't be used, or is of no use.
    pub(crate) fn options(&self) -> Result<Option<CacheOptions>, Failure> {
        if self.cache == CacheKind::None {
            return if self.cache_verify.is_empty() { Ok(None) } else { Err(of_no_use()) };
        }
        let keys: Result<Vec<_>, _> = self.cache_verify.iter().map(|it| keys::public(it)).collect();
        Ok(Some(CacheOptions {
            read_only: true,
            required: self.cache_required,
            load: false,
            timeout: self.cache_timeout.map(Duration::from_secs),
            trust: CacheTrust { keys: keys?, key: None },
        }))
    }
}

impl CacheArguments {
    /// How a registry is used, if one is.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where a key can't be used, or is of no use.
    pub(crate) fn options(&self, sink: &dyn EventSink) -> Result<Option<CacheOptions>, Failure> {
        let Some(options) = self.lookup.options()? else {
            return if self.cache_sign.is_none() { Ok(None) } else { Err(of_no_use()) };
        };
        let key = self.cache_sign.as_deref().map(|file| keys::private(file, sink)).transpose()?;
        Ok(Some(CacheOptions {
            read_only: self.cache_read_only,
            load: self.load,
            trust: CacheTrust { key, ..options.trust },
            ..options
        }))
    }

    /// Whether what is built is pushed for others.
    pub(crate) fn shares(&self) -> bool {
        self.lookup.cache == CacheKind::Registry && !self.cache_read_only
    }

    /// The file with the key that signs.
    pub(crate) fn signing_key(&self) -> Option<&Path> {
        self.cache_sign.as_deref()
    }
}

fn of_no_use() -> Failure {
    let message = "`--cache-sign` and `--cache-verify` are of no use without a cache";
    Failure::usage(message).hint("add `--cache registry`")
}
