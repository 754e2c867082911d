//! Who may call what, as a table: docs/api-permissions.md is made from the table of methods.

use inkwire_protocol::app::Scope;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::table::{METHODS, Verb};

/// A method of the app API, as tests and documents need it.
#[derive(Debug, Clone)]
pub struct ApiMethod {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The least scope that may call it.
    pub scope: Scope,
    /// HTTP verb and path, where REST has it.
    pub rest: Option<(&'static str, &'static str)>,
    /// JSON Schema of its parameters, without references.
    pub params: Value,
}

/// All methods of the app API.
pub fn api_methods() -> Vec<ApiMethod> {
    let schema = |method: &super::table::Method| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        (method.params)(&mut settings.into_generator()).to_value()
    };
    let methods = METHODS.iter().map(|method| ApiMethod {
        name: method.name,
        summary: method.summary.trim(),
        scope: method.scope,
        rest: method.rest.map(|place| (verb(place.verb), place.path)),
        params: schema(method),
    });
    methods.collect()
}

const fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "GET",
        Verb::Post => "POST",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn table() -> String {
        let mut text = String::from(
            "# Who may call what\n\nMade from the broker's table of methods; a test holds it. A key has a scope, a person has a role, \
             an access token has at most its maker's scope. What is not allowed answers `forbidden`; what belongs to another \
             account answers `not-found`, like what does not exist.\n\n\
             | method | REST | viewer, `read` | submitter, `submit` | operator, `operate` | owner, `admin` |\n\
             |---|---|---|---|---|---|\n",
        );
        for method in api_methods() {
            let rest = method.rest.map_or("–".to_owned(), |(verb, path)| format!("`{verb} {path}`"));
            let may = Scope::ALL.iter().map(|scope| if *scope >= method.scope { "yes" } else { "" });
            let may = may.collect::<Vec<_>>().join(" | ");
            writeln!(text, "| `{}` | {rest} | {may} |", method.name).unwrap();
        }
        text
    }

    #[test]
    fn the_page_of_permissions_is_the_table_of_methods() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api-permissions.md");
        if std::env::var_os("INKWIRE_WRITE_DOCS").is_some() {
            std::fs::write(&page, table()).unwrap();
        }
        let written = std::fs::read_to_string(&page).unwrap_or_default();
        assert_eq!(written, table(), "run this test with INKWIRE_WRITE_DOCS=1, and commit the page");
    }
}
