//! What all pages have around their content.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::{PageContext, assets};
use crate::auth::{CSRF_FIELD, Denial};

/// A whole document.
pub(super) struct Document<'a> {
    /// The title, what matters most first.
    pub(super) title: &'a str,
    /// Way from the page's address to `/_admin/`.
    pub(super) base: &'a str,
    /// What is in the line at the top.
    pub(super) header: Markup,
    pub(super) main: Markup,
    /// What the script does with the page, if it is to do anything.
    pub(super) script: Option<&'a str>,
}

impl Document<'_> {
    pub(super) fn render(self, context: &PageContext<'_>) -> String {
        let Self { title, base, header, main, script } = self;
        let version = assets::version();
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    link rel="icon" type="image/svg+xml" href={ (base) "icon.svg?v=" (version) };
                    link rel="stylesheet" href={ (base) "page.css?v=" (version) };
                    @if script.is_some() {
                        script src={ (base) "page.js?v=" (version) } defer {}
                    }
                }
                body data-script=[script] {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        (header)
                        @if context.session.is_some() { (log_out(context)) }
                    }
                    main #main tabindex="-1" { (main) }
                    @if script.is_some() {
                        div #announce.unseen role="status" aria-live="polite" {}
                        dialog #dialog aria-labelledby="question" {}
                    }
                }
            }
        };
        markup.into_string()
    }
}

/// What makes a form one of the session that looks at it.
pub(super) fn csrf_field(context: &PageContext<'_>) -> Markup {
    html! {
        @if let Some(csrf) = context.csrf() {
            input type="hidden" name=(CSRF_FIELD) value=(csrf);
        }
    }
}

fn log_out(context: &PageContext<'_>) -> Markup {
    html! {
        form.logout method="post" action="logout" {
            (csrf_field(context))
            button type="submit" { "Log out" }
        }
    }
}

/// The form that asks for the token.
///
/// `path` is that of the page that was asked for, as the manager sees it (it begins with `/_admin`),
/// with its query; `denial` is why the browser was not let in. For a form that did not let it in,
/// the path is `/_admin/` and what [`next_page`](super::next_page) makes of the form's field `next`,
/// so that a second try leads where the first was to.
pub fn login(path: &str, denial: Option<Denial>, context: &PageContext<'_>) -> String {
    let below = path.strip_prefix("/_admin").unwrap_or(path).trim_start_matches('/');
    let name = below.split('?').next().unwrap_or_default();
    let base = if path.starts_with("/_admin/") {
        "../".repeat(name.matches('/').count())
    } else {
        "_admin/".to_owned()
    };
    let message = denial.filter(|denial| *denial != Denial::Missing);
    let main = html! {
        form.login method="post" action={ (base) "login" } {
            h1 { "Log in" }
            @if let Some(message) = message {
                p.error #message role="alert" { span aria-hidden="true" { "▲ " } (message.to_string()) }
            }
            input type="hidden" name="next" value=(super::next_page(below));
            label for="token" { "The application's token" }
            input #token type="password" name="token" required autofocus
                autocomplete="current-password" aria-describedby="hint";
            p #hint.quiet {
                code { "ailtire-build token" }
                " prints it, and so does " code { "ailtire-manager token" }
                " inside the container of a manager."
            }
            button.main type="submit" { "Log in" }
        }
    };
    let header = html! { p.brand { "ailtire" } };
    let document = Document { title: "Log in", base: &base, header, main, script: None };
    document.render(context)
}

/// A page that says why something is not there or was not done.
pub fn problem(status: StatusCode, message: &str, context: &PageContext<'_>) -> String {
    let title = status.canonical_reason().unwrap_or("Not done");
    let main = html! {
        h1 { (title) }
        p.error role="alert" { span aria-hidden="true" { "▲ " } (super::words::clean_error(message)) }
        p { a href="view" { "Back to the stack" } }
    };
    let header = html! { p.brand { "ailtire" } };
    Document { title, base: "", header, main, script: None }.render(context)
}
