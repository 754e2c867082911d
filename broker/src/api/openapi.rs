//! The OpenAPI 3.1 document: made from the table of methods and the schemas of the very types that are read and written.

use std::sync::LazyLock;

use inkwire_protocol::app::{Problem, ProblemKind, Scope};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::stream;
use super::table::{METHODS, Method, Place, Verb};

/// The document; the same for every caller.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

fn build() -> Value {
    // OpenAPI 3.1 schemas are JSON Schema 2020-12; only their place differs.
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for method in METHODS {
        let Some(place) = method.rest else { continue };
        let item = paths.entry(place.path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(verb(place.verb).to_owned(), operation(method, place, &mut generator));
        }
    }
    paths.insert(stream::PATH.to_owned(), json!({"get": stream::operation()}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Inkwire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Push printing: documents in, the truth about them out. Times are Unix milliseconds, sizes are bytes. \
                The same methods by JSON-RPC 2.0 on the WebSocket /v1/app (subprotocol inkwire.app.v1), which also takes large documents \
                as resumable transfers.",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key or an access token"}},
            "responses": {"problem": {
                "description": "what is wrong, and the remedy (RFC 9457)",
                "content": {"application/problem+json": {"schema": problem}},
            }},
        },
    })
}

fn operation(method: &Method, place: Place, generator: &mut SchemaGenerator) -> Value {
    let params = inlined(method);
    let in_path = |name: &str| place.path.contains(&format!("{{{name}}}"));
    let required = params.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|field| field == name);
    let properties = params.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut parameters = Vec::new();
    let mut fields = Map::new();
    for (name, schema) in properties {
        if in_path(&name) {
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        } else if place.verb == Verb::Get {
            let required = is_required(&name);
            parameters.push(json!({
                "name": name, "in": "query", "required": required, "schema": schema, "style": "form", "explode": false,
            }));
        } else {
            fields.insert(name, schema);
        }
    }
    let result = (method.result)(generator);
    let mut operation = json!({
        "operationId": method.name,
        "summary": method.summary.trim(),
        "tags": [method.name.split('.').next().unwrap_or_default()],
        "description": format!("Needs scope `{}`.", scope(method.scope)),
        "parameters": parameters,
        "responses": responses(&result),
    });
    if place.verb != Verb::Get && (place.special || !fields.is_empty()) {
        let required: Vec<&Value> =
            required.iter().filter(|field| field.as_str().is_some_and(|name| !in_path(name))).collect();
        let body = json!({
            "type": "object", "properties": fields, "required": required, "additionalProperties": false,
        });
        let is_needed = !required.is_empty();
        operation["requestBody"] =
            json!({"required": is_needed, "content": {"application/json": {"schema": body}}});
    }
    operation
}

/// The schema of a method's parameters without references.
fn inlined(method: &Method) -> schemars::Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    (method.params)(&mut settings.into_generator())
}

fn responses(result: &schemars::Schema) -> Value {
    let good = |what: &str| json!({"description": what, "content": {"application/json": {"schema": result}}});
    let mut responses = Map::from_iter([("200".to_owned(), good("done"))]);
    for kind in ProblemKind::ALL {
        let reference = json!({"$ref": "#/components/responses/problem"});
        responses.insert(kind.status().to_string(), reference);
    }
    Value::Object(responses)
}

const fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}

const fn scope(scope: Scope) -> &'static str {
    scope.keyword()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(document(), &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document().pointer(pointer).is_some(), "{reference}");
        }
        assert!(document().pointer("/paths/~1v1~1jobs~1{job}/get").is_some());
    }
}
