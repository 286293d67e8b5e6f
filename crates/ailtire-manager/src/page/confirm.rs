//! Asking before something is done.

use maud::{Markup, html};

use super::form::address;
use super::layout::{Document, csrf_field};
use super::words::{clean, count};
use super::{Form, PageContext};
use crate::report::StackReport;

/// Something that a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `POST redeploy`: everything is brought to what the stack's file says.
    Redeploy {
        /// Only this service.
        name: Option<String>,
    },
    /// `POST scale`: another number of tasks.
    Scale {
        /// The service.
        name: String,
    },
    /// `POST shutdown`: the stack is removed.
    Shutdown,
}

impl Action {
    /// The action in the query of `/_admin/confirm`.
    pub fn of(query: &Form) -> Option<Self> {
        let name = query.get("name").map(str::to_owned);
        match query.get("action")? {
            "redeploy" => Some(Self::Redeploy { name }),
            "scale" => Some(Self::Scale { name: name? }),
            "shutdown" => Some(Self::Shutdown),
            _ => None,
        }
    }

    /// Whether a browser's form is one that was really answered: a shutdown needs the instance's
    /// name, typed.
    pub fn is_confirmed(&self, form: &Form, report: &StackReport) -> bool {
        *self != Self::Shutdown || form.get("confirm").map(str::trim) == Some(&report.instance)
    }

    /// Where a browser goes once it is done, relative to `/_admin/`.
    pub fn next_page(&self) -> String {
        match self {
            Self::Redeploy { name: None } => address("view", &[("done", "redeploy")]),
            Self::Redeploy { name: Some(name) } => {
                address("view", &[("done", "redeploy"), ("name", name)])
            }
            Self::Scale { name } => address("view", &[("done", "scale"), ("name", name)]),
            Self::Shutdown => "view".to_owned(),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Redeploy { name } => name.as_deref(),
            Self::Scale { name } => Some(name),
            Self::Shutdown => None,
        }
    }
}

/// A link to the page that asks; the script opens it as a dialog.
pub(super) fn link(
    base: &str,
    action: &str,
    name: Option<&str>,
    text: &str,
    of_what: &str,
) -> Markup {
    let mut fields = vec![("action", action)];
    fields.extend(name.map(|name| ("name", name)));
    let label = format!("{} {}", text.trim_end_matches('…'), clean(of_what));
    html! {
        a href={ (base) (address("confirm", &fields)) } data-asks aria-label=(label) { (text) }
    }
}

/// The page of `/_admin/confirm`; absent where there is no such service.
pub fn confirm(report: &StackReport, action: &Action, context: &PageContext<'_>) -> Option<String> {
    let service = action.name().map(|name| report.services.iter().find(|it| it.name == name));
    // A name that is no service's.
    if service == Some(None) {
        return None;
    }
    let service = service.flatten();
    if matches!(action, Action::Scale { .. }) && service.is_some_and(|it| !it.can_scale) {
        return None;
    }
    let wanted = service.map_or(0, |service| service.wanted);
    let main = match action {
        Action::Redeploy { name } => redeploy(report, name.as_deref(), context),
        Action::Scale { name } => scale(report, name, wanted, context),
        Action::Shutdown => shutdown(report, context),
    };
    let title = format!("Sure? · {}", clean(&report.instance));
    let header = html! { p.brand { (clean(&report.instance)) } };
    Some(Document { title: &title, base: "", header, main, script: None }.render(context))
}

fn redeploy(report: &StackReport, name: Option<&str>, context: &PageContext<'_>) -> Markup {
    let what = name.map_or_else(|| format!("all of {}", clean(&report.instance)), clean);
    let fields = html! {
        @if let Some(name) = name { input type="hidden" name="name" value=(name); }
        p {
            "What is not as the stack's file says is brought back to it, changes by hand and "
            "numbers of tasks that were set here included; what is as it should be keeps running."
        }
    };
    form("redeploy", &format!("Redeploy {what}?"), "Redeploy", &fields, context)
}

fn scale(report: &StackReport, name: &str, wanted: u64, context: &PageContext<'_>) -> Markup {
    let fields = html! {
        input type="hidden" name="name" value=(name);
        label for="replicas" {
            "Tasks that are to run (now " (wanted) " in " (clean(&report.instance)) ")"
        }
        input #replicas type="number" name="replicas" min="0" max="10000" step="1" required
            inputmode="numeric" value=(wanted) autofocus;
        p.quiet { "With 0, the service stops. The number is kept until the stack is redeployed." }
    };
    form("scale", &format!("Scale {}?", clean(name)), "Scale", &fields, context)
}

fn shutdown(report: &StackReport, context: &PageContext<'_>) -> Markup {
    let (services, stacks) = totals(report);
    let fields = html! {
        p {
            "This removes " b { (count(services, "service", "services")) } " in "
            b { (count(stacks, "stack", "stacks")) }
            " with their networks, configs and secrets, and then this manager itself: this page "
            "will be gone, too. Only what is in volumes stays."
        }
        label for="confirm" { "Type " b { (clean(&report.instance)) } " to go on" }
        input #confirm type="text" name="confirm" required autocomplete="off" autocapitalize="none"
            spellcheck="false" data-must-be=(clean(&report.instance)) autofocus;
    };
    let question = format!("Shut down {}?", clean(&report.instance));
    form("shutdown", &question, "Shut down", &fields, context)
}

fn form(
    action: &str,
    question: &str,
    button: &str,
    fields: &Markup,
    context: &PageContext<'_>,
) -> Markup {
    let class = if action == "shutdown" { "danger" } else { "main" };
    html! {
        form.question method="post" action=(action) {
            h1 #question { (question) }
            (csrf_field(context))
            (fields)
            p.error.hidden role="alert" {}
            div.buttons {
                button class=(class) type="submit" { (button) }
                a.cancel href="view" { "Cancel" }
            }
        }
    }
}

/// Services and stacks, with those inside.
fn totals(report: &StackReport) -> (usize, usize) {
    let inside = report.children.iter().filter_map(|child| child.report.as_deref()).map(totals);
    inside.fold((report.services.len(), 1), |sum, it| (sum.0 + it.0, sum.1 + it.1))
}

/// What answers `POST shutdown` of a browser: the last page.
pub fn farewell(report: &StackReport) -> String {
    let instance = clean(&report.instance);
    let main = html! {
        h1 { (instance) " is being removed" }
        p { "Its services go first, then its networks, and its manager last: from then on there is "
            "nothing more to see here." }
    };
    let header = html! { p.brand { (instance) } };
    let title = format!("stopping · {instance}");
    let context = PageContext::new(None);
    Document { title: &title, base: "", header, main, script: None }.render(&context)
}
