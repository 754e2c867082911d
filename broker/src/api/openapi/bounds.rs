//! The bounds that methods hold beyond what their types say, from the same constants that they are held by.

use std::time::Duration;

use inkwire_protocol::app::method;
use inkwire_protocol::limits::{
    INLINE_DOCUMENT_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_NAME_CHARS, MAX_QTY, MAX_TAGS, OUTCOME_KEPT,
};
use serde_json::{Map, Value, json};

use crate::limits::{
    MAX_ENROLMENT_LIFETIME, MAX_FILTER_KIND_BYTES, MAX_FILTER_KINDS, MAX_PAGE_JOBS, MAX_PASSWORD_CHARS,
    MAX_TICKET_LIFETIME, MAX_TOKEN_LIFETIME, MIN_PASSWORD_CHARS,
};

/// Base64 of whole bytes, as RFC 4648 section 4 says it: padded, and no bits beyond the last byte.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// Text without control characters.
const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Adds the bounds of a method's parameters to their schemas.
pub(super) fn apply(method: &str, schema: &mut Value) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        if let (Value::Object(property), Value::Object(bounds)) = (property, of(method, name)) {
            merge(property, bounds);
        }
    }
    if method == method::JOBS_CREATE
        && let Some(Value::Object(inline)) =
            schema.pointer_mut("/properties/content/oneOf/0/properties/inline")
    {
        // Four characters for three bytes.
        let most = INLINE_DOCUMENT_BYTES.div_ceil(3) * 4;
        inline.extend([("pattern".to_owned(), BASE64.into()), ("maxLength".to_owned(), most.into())]);
    }
}

/// What a parameter must be; null where its type says all.
fn of(method: &str, name: &str) -> Value {
    let creates = method == method::JOBS_CREATE;
    match name {
        "limit" => json!({"minimum": 1, "maximum": MAX_PAGE_JOBS}),
        "qty" => json!({"minimum": 1, "maximum": MAX_QTY}),
        "priority" => json!({"minimum": 1, "maximum": 100}),
        "title" => json!({"maxLength": MAX_NAME_CHARS}),
        "name" if method.starts_with("webhooks.") => json!({"maxLength": MAX_NAME_CHARS}),
        "name" => json!({"minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NO_CONTROL}),
        "password" => json!({"minLength": MIN_PASSWORD_CHARS, "maxLength": MAX_PASSWORD_CHARS}),
        "requests_per_s" | "request_burst" | "connections" => json!({"minimum": 1}),
        "tag" if method == method::WEBHOOKS_UPDATE => json!({"maxLength": MAX_NAME_CHARS}),
        "tag" if method != method::JOBS_LIST => json!({"minLength": 1, "maxLength": MAX_NAME_CHARS}),
        "tags" if creates => json!({"maxItems": MAX_TAGS, "items": {"maxLength": MAX_NAME_CHARS}}),
        "idempotency_key" if method != method::JOBS_LIST => {
            json!({"minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_BYTES, "pattern": "^[ -~]*$"})
        }
        "expires_in_s" => match longest(method) {
            Some(longest) => json!({"minimum": 1, "maximum": longest.as_secs()}),
            None => json!({"minimum": 1}),
        },
        "format" if creates => json!({"pattern": "/", "maxLength": MAX_NAME_CHARS}),
        "kinds" => {
            let kind = json!({"minLength": 1, "maxLength": MAX_FILTER_KIND_BYTES, "pattern": "^[ -~]*$"});
            json!({"maxItems": MAX_FILTER_KINDS, "items": kind})
        }
        "url" => json!({"pattern": "^https?://"}),
        _ => Value::Null,
    }
}

/// How long what a method makes may live.
fn longest(method: &str) -> Option<Duration> {
    match method {
        method::JOBS_CREATE => Some(OUTCOME_KEPT / 2),
        method::ENROLMENTS_CREATE => Some(MAX_ENROLMENT_LIFETIME),
        method::SESSION_TOKEN => Some(MAX_TOKEN_LIFETIME),
        method::SESSION_TICKET => Some(MAX_TICKET_LIFETIME),
        _ => None,
    }
}

fn merge(into: &mut Map<String, Value>, bounds: Map<String, Value>) {
    for (name, bound) in bounds {
        match (into.get_mut(&name), bound) {
            (Some(Value::Object(inner)), Value::Object(bounds)) => merge(inner, bounds),
            (_, bound) => drop(into.insert(name, bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_added_to_what_the_type_says() {
        let mut schema = json!({"properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "qty": {"type": "integer", "minimum": 0},
            "hold": {"type": "boolean"},
        }});
        apply(method::JOBS_CREATE, &mut schema);
        let wanted = json!({"properties": {
            "tags": {"type": "array", "maxItems": MAX_TAGS, "items": {"type": "string", "maxLength": MAX_NAME_CHARS}},
            "qty": {"type": "integer", "minimum": 1, "maximum": MAX_QTY},
            "hold": {"type": "boolean"},
        }});
        assert_eq!(schema, wanted);
    }
}
