//! The OpenAPI 3.1 document: made from the table of methods and the schemas of the very types that are read and written.

mod answers;
mod bounds;
mod schemas;

use std::sync::LazyLock;

use inkwire_protocol::app::method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

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
    let problem = answers::problem(&mut generator);
    let mut paths = Map::new();
    for method in METHODS {
        let Some(place) = method.rest else { continue };
        let item = paths.entry(place.path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(verb(place.verb).to_owned(), operation(method, place, &mut generator));
        }
    }
    paths.extend(answers::beside(&mut generator));
    let mut schemas = Value::Object(generator.take_definitions(true));
    schemas::bound(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Inkwire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Push printing: documents in, the truth about them out. Times are Unix milliseconds, sizes are bytes. \
                The same methods by JSON-RPC 2.0 on the WebSocket /v1/app (subprotocol inkwire.app.v1), which also takes large documents \
                as resumable transfers. Every error is a problem object (RFC 9457). A path that there is not answers 404, a path that does \
                not take the HTTP method 405 with `Allow`, both with the type `urn:inkwire:problem:unknown-method`. Answers may gain fields; \
                unknown parameters are refused.",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "an API key or an access token"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-inkwire", "description": "a browser's session; what changes something needs an `Origin` too"},
            },
            "responses": {"problem": problem},
        },
    })
}

/// The groups of methods, in the table's order.
fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for method in METHODS.iter().filter(|method| method.rest.is_some()) {
        let group = group(method);
        if !names.contains(&group) {
            names.push(group);
        }
    }
    names.into_iter().map(|name| json!({"name": name})).collect()
}

fn group(method: &Method) -> &str {
    method.name.split('.').next().unwrap_or_default()
}

fn operation(method: &Method, place: Place, generator: &mut SchemaGenerator) -> Value {
    let params = parameters(method);
    let in_path = |name: &str| place.path.contains(&format!("{{{name}}}"));
    let required = params.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|field| field == name);
    let properties = params.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut parameters = Vec::new();
    let mut fields = Map::new();
    for (name, schema) in properties {
        if in_path(&name) {
            parameters.push(parameter(&name, "path", true, &schema));
        } else if method.name == method::DOCUMENTS_GET {
            // The whole document over HTTP, or what `Range` says.
        } else if place.verb == Verb::Get {
            let required = is_required(&name);
            parameters.push(parameter(&name, "query", required, &schemas::in_query(schema)));
        } else {
            fields.insert(name, schema);
        }
    }
    let mut operation = json!({
        "operationId": method.name,
        "summary": method.summary.trim(),
        "tags": [group(method)],
        "description": described(method),
        "parameters": parameters,
        "responses": answers::responses(method, place, generator),
    });
    if place.verb != Verb::Get && !fields.is_empty() {
        let needed: Vec<&Value> =
            required.iter().filter(|field| field.as_str().is_some_and(|name| !in_path(name))).collect();
        let body = json!({
            "type": "object", "properties": fields, "required": needed, "additionalProperties": false,
        });
        let mut content = json!({"schema": body});
        if method.name == method::JOBS_CREATE {
            content["example"] = json!({
                "printer": "labels", "format": "text/plain", "title": "Hello", "content": {"inline": "aGVsbG8="},
            });
        }
        operation["requestBody"] =
            json!({"required": !needed.is_empty(), "content": {"application/json": content}});
    }
    operation
}

fn described(method: &Method) -> String {
    let scope = format!("Needs scope `{}`.", method.scope.keyword());
    if method.name != method::JOBS_CREATE {
        return scope;
    }
    format!(
        "{scope} A body of another type than JSON is the document itself, of any size, streamed to the disk: its \
        type is the document's format, everything else (`printer`, `title` ...) stands in the query, the key also in \
        `Idempotency-Key`, and `Content-Digest` (RFC 9530) is checked where it is given."
    )
}

fn parameter(name: &str, place: &str, required: bool, schema: &Value) -> Value {
    let mut parameter = json!({"name": name, "in": place, "required": required, "schema": schema});
    if place == "query" {
        // A list is one value with commas between its items.
        parameter["style"] = "form".into();
        parameter["explode"] = false.into();
    }
    parameter
}

/// The schema of a method's parameters as REST takes them: without references.
fn parameters(method: &Method) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = (method.params)(&mut settings.into_generator()).to_value();
    schemas::bound(&mut schema);
    bounds::apply(method.name, &mut schema);
    if method.name == method::JOBS_CREATE {
        schemas::without_transfer(&mut schema);
    }
    schema
}

const fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
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
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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

    #[test]
    fn what_only_a_websocket_takes_is_not_offered_by_rest() {
        let create = document().pointer("/paths/~1v1~1jobs/post").unwrap();
        assert!(!create["requestBody"].to_string().contains("packet_bytes"), "{create}");
        assert!(create["responses"]["201"]["headers"]["Location"].is_object());
        // Whatever is a number has its bounds.
        let before = document().pointer("/paths/~1v1~1jobs/get/parameters").unwrap().as_array().unwrap();
        let before = before.iter().find(|parameter| parameter["name"] == "before").unwrap();
        assert_eq!(before["schema"]["maximum"], super::super::table::MAX_INTEGER);
    }
}
