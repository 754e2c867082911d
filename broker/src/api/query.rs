//! From the query of a URL to parameters: everything in a query is text, and the method's schema says what it means.

use std::collections::HashMap;

use schemars::Schema;
use serde_json::{Map, Value};

/// What the text of a parameter stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    /// Values with commas between them; the parameter may also come several times.
    List,
    /// JSON.
    Object,
}

/// How the query of one method is read.
#[derive(Debug, Clone, Default)]
pub(super) struct QueryShape {
    kinds: HashMap<String, Kind>,
}

impl QueryShape {
    /// From the schema of a method's parameters, inlined.
    pub(super) fn of(schema: &Schema) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let kinds = properties.into_iter().flatten().map(|(name, property)| (name.clone(), kind(property)));
        Self { kinds: kinds.collect() }
    }

    /// The parameters of a query string. What is not of its kind, or not known, is left as text for the method to name.
    pub(super) fn read(&self, query: &str) -> Map<String, Value> {
        let mut params = Map::new();
        for (key, text) in url::form_urlencoded::parse(query.as_bytes()) {
            match self.kinds.get(key.as_ref()).copied().unwrap_or(Kind::Text) {
                Kind::List => {
                    let list = params.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(list) = list {
                        list.extend(text.split(',').filter(|item| !item.is_empty()).map(Value::from));
                    }
                }
                kind @ (Kind::Text | Kind::Number | Kind::Truth | Kind::Object) => {
                    drop(params.insert(key.into_owned(), single(kind, &text)));
                }
            }
        }
        params
    }
}

fn single(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Truth => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Object => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        Kind::Text | Kind::List => Value::from(text),
    }
}

fn kind(property: &Value) -> Kind {
    let is = |wanted: &str| match property.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(several)) => several.iter().any(|one| one == wanted),
        _ => false,
    };
    match () {
        () if is("integer") => Kind::Number,
        () if is("boolean") => Kind::Truth,
        () if is("array") => Kind::List,
        () if is("object") => Kind::Object,
        () => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;
    use inkwire_protocol::app::JobList;
    use inkwire_protocol::job::State as JobState;
    use schemars::generate::SchemaSettings;

    #[test]
    fn a_query_is_read_like_parameters() {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let shape = QueryShape::of(&settings.into_generator().into_root_schema_for::<JobList>());
        let read = |query| table::read::<JobList>(Value::Object(shape.read(query)));
        let list = read("states=pending,held&limit=5&before=77").unwrap();
        assert_eq!(list.states, [JobState::Pending, JobState::Held]);
        assert_eq!((list.limit, list.before), (Some(5), Some(77)));
        assert_eq!(read("states=pending&states=held").unwrap().states.len(), 2);
        assert_eq!(read("").unwrap(), JobList::default());
        assert_eq!(read("colour=red").unwrap_err().pointer.as_deref(), Some("/colour"));
        assert!(read("limit=many").is_err() && read("states=lost").is_err());
    }
}
