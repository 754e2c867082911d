//! From the schemas of types to what REST takes and gives.

use serde_json::{Value, json};

use super::super::table::MAX_INTEGER;

/// Gives every whole number the bounds that the code holds.
pub(super) fn bound(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let of = |name: &str| fields.get("format").and_then(Value::as_str) == Some(name);
            let most =
                [("uint64", MAX_INTEGER), ("uint32", u64::from(u32::MAX)), ("uint16", u64::from(u16::MAX))];
            let most = most.into_iter().find(|(format, _)| of(format)).map(|(_, most)| most);
            if let Some(most) = most
                && !fields.contains_key("maximum")
            {
                fields.insert("maximum".to_owned(), most.into());
            }
            fields.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A parameter of a query is there or it is not: it has no null.
pub(super) fn in_query(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            schema["type"] = one.clone();
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|one| one.get("type") != Some(&json!("null")));
        if let [one] = choices.as_slice() {
            let mut only = one.clone();
            if let (Some(description), Value::Object(fields)) =
                (schema.get("description").cloned(), &mut only)
            {
                fields.insert("description".to_owned(), description);
            }
            schema = only;
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    schema
}

/// A document of its own transfer needs a WebSocket.
pub(super) fn without_transfer(schema: &mut Value) {
    for choices in ["/properties/content/oneOf", "/properties/content/anyOf"] {
        if let Some(Value::Array(choices)) = schema.pointer_mut(choices) {
            choices.retain(|choice| choice.pointer("/properties/transfer").is_none());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_no_null() {
        let schema = json!({"type": ["integer", "null"], "format": "uint64"});
        assert_eq!(in_query(schema), json!({"type": "integer", "format": "uint64"}));
        let schema =
            json!({"description": "d", "anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]});
        assert_eq!(in_query(schema), json!({"description": "d", "type": "string", "format": "uuid"}));
    }

    #[test]
    fn whole_numbers_have_bounds() {
        let mut schema =
            json!({"properties": {"a": {"format": "uint64"}, "b": {"format": "uint32", "maximum": 5}}});
        bound(&mut schema);
        assert_eq!(schema["properties"]["a"]["maximum"], MAX_INTEGER);
        assert_eq!(schema["properties"]["b"]["maximum"], 5);
    }
}
