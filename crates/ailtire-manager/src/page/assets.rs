//! The files that pages refer to.

use std::sync::OnceLock;

use ring::digest::{SHA256, digest};

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub content: &'static [u8],
    /// Whether the login page needs it, so that it is there for everybody.
    pub is_open: bool,
}

const STYLE: &[u8] = include_bytes!("assets/page.css");
const SCRIPT: &[u8] = include_bytes!("assets/page.js");
const ICON: &[u8] = include_bytes!("assets/icon.svg");

/// The file `name` below `/_admin/`.
pub fn asset(name: &str) -> Option<Asset> {
    let (content_type, content, is_open) = match name {
        "page.css" => ("text/css; charset=utf-8", STYLE, true),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT, false),
        "icon.svg" => ("image/svg+xml", ICON, true),
        _ => return None,
    };
    Some(Asset { content_type, content, is_open })
}

/// Goes into the files' addresses: another version of the manager has other addresses, so that a
/// browser may keep them.
pub(super) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let all = [STYLE, SCRIPT, ICON].concat();
        let digest = digest(&SHA256, &all);
        digest.as_ref().iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    })
}
