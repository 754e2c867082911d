//! An object is an object: what serde would also take as a list of its fields, in order, is refused.

use std::collections::HashMap;
use std::sync::LazyLock;

use inkwire_protocol::app::{Problem, ProblemKind};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::table::{METHODS, Method};

/// The schemas of all methods' parameters, without references.
static SHAPES: LazyLock<HashMap<&'static str, Value>> = LazyLock::new(|| {
    let shape = |method: &Method| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        (method.params)(&mut settings.into_generator()).to_value()
    };
    METHODS.iter().map(|method| (method.name, shape(method))).collect()
});

/// Refuses parameters with a list in the place of an object; `pointer` names it.
pub(super) fn check(method: &Method, params: &Value) -> Result<(), Problem> {
    let Some(shape) = SHAPES.get(method.name) else { return Ok(()) };
    match list_for_object(shape, params, String::new()) {
        Some(pointer) => {
            Err(ProblemKind::InvalidParams.because("an object is wanted here, not a list").at(pointer))
        }
        None => Ok(()),
    }
}

fn list_for_object(shape: &Value, value: &Value, at: String) -> Option<String> {
    match value {
        Value::Array(items) => {
            if is(shape, "object") && !is(shape, "array") {
                return Some(at);
            }
            let item = choices(shape).find_map(|choice| choice.get("items"))?;
            items.iter().enumerate().find_map(|(n, value)| list_for_object(item, value, format!("{at}/{n}")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let field = choices(shape).find_map(|choice| choice.get("properties")?.get(name))?;
            list_for_object(field, value, format!("{at}/{name}"))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A schema and what it offers to choose from.
fn choices(shape: &Value) -> impl Iterator<Item = &Value> {
    let offered = ["oneOf", "anyOf"].into_iter().filter_map(|name| shape.get(name)?.as_array()).flatten();
    std::iter::once(shape).chain(offered)
}

fn is(shape: &Value, kind: &str) -> bool {
    choices(shape).any(|choice| match choice.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::named;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_no_object() {
        let pointer =
            |params: Value| check(named("jobs.create").unwrap(), &params).unwrap_err().pointer.unwrap();
        assert_eq!(pointer(json!({"options": [null, "one-sided"]})), "/options");
        assert_eq!(pointer(json!({"content": {"transfer": [2500]}})), "/content/transfer");
        assert_eq!(pointer(json!({"content": []})), "/content");
        for good in [
            json!({"tags": ["a"], "options": {"page-ranges": [[1, 2]]}, "content": {"inline": ""}}),
            json!({"unknown": [1], "tags": "wrong, but no list"}),
        ] {
            check(named("jobs.create").unwrap(), &good).unwrap();
        }
    }
}
