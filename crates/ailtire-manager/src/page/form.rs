//! What forms and addresses of the page carry.

use crate::auth::CSRF_FIELD;

/// The fields of a form, or of a query.
#[derive(Debug, Default, Clone)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`, which is what queries are, too.
    pub fn parse(text: &[u8]) -> Self {
        Self { fields: form_urlencoded::parse(text).into_owned().collect() }
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// What shows that the form is of the session that sends it.
    pub fn csrf(&self) -> Option<&str> {
        self.get(CSRF_FIELD)
    }
}

/// An address below `/_admin/` with a query, relative to it.
pub(super) fn address(page: &str, fields: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    format!("{page}?{}", query.finish())
}

/// The page to show after login, relative to `/_admin/`: the one that was asked for, if `wanted`
/// (a path below `/_admin/` with its query) is a page at all and nothing but one.
pub fn next_page(wanted: &str) -> &str {
    let page = wanted.split('?').next().unwrap_or_default();
    let is_page = matches!(page, "view" | "log" | "confirm");
    let is_plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_page && is_plain { wanted } else { "view" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let form = Form::parse(b"name=a%26b+c&replicas=3&csrf=x&name=other");
        assert_eq!((form.get("name"), form.get("replicas")), (Some("a&b c"), Some("3")));
        assert_eq!((form.csrf(), form.get("none")), (Some("x"), None));
        assert_eq!(Form::parse(b"").get(""), None);
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(address("log", &[("name", "a&b=\"<c>")]), "log?name=a%26b%3D%22%3Cc%3E");
    }

    #[test]
    fn login_leads_to_pages_only() {
        for page in ["view", "log?name=web&tail=100", "confirm?action=scale&name=web"] {
            assert_eq!(next_page(page), page);
        }
        for other in
            ["", "//evil.org", "https://evil.org", "log\\", "view\r\nx: y", "../x", "log/x"]
        {
            assert_eq!(next_page(other), "view", "{other:?}");
        }
    }
}
