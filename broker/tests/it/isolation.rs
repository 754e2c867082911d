//! I8: nothing of one account is visible to another. Acts as every role of one account over every method and both
//! doors with ids of another account: an unknown and a foreign id answer byte-alike but for the id, nothing of the
//! other account is said, and nothing of it changes.

use http::Method;
use inkwire_broker::{ApiMethod, api_methods};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::device::Device;
use crate::lab::{Answer, Lab};

const PASSWORD: &str = "correct horse battery";
/// In every name of the account that is spied on.
const SECRET: &str = "alpha-secret";

/// What one account has: the id of one thing of each kind.
struct Account {
    ids: Map<String, Value>,
    key: String,
    _link: crate::device::Link,
}

async fn account(lab: &Lab, name: &str, marker: &str) -> Account {
    if name != "default" {
        lab.admin("account.create", json!({ "name": name })).await;
    }
    let key = lab.admin("key.create", json!({"account": name, "name": marker, "scope": "admin"})).await;
    let text = key["key"].as_str().unwrap().to_owned();
    let user = json!({"account": name, "name": marker, "role": "owner", "password": PASSWORD});
    let user = lab.admin("user.create", user).await;
    let enrolment = lab.admin("enrolment.create", json!({ "account": name })).await;
    let mut device = Device::enrolled_in(lab, name).await;
    device.printers = vec![crate::device::printer(1, marker)];
    let (link, _) = device.connect(lab).await;
    let printer = lab.get("/v1/printers", &text).await.json()["printers"][0]["id"].clone();
    let job = json!({
        "printer": printer, "title": marker, "format": "application/pdf", "hold": true,
        "content": {"inline": "aGVsbG8="}, "idempotency_key": marker,
    });
    let job = lab.rest(Method::POST, "/v1/jobs", Some(&text), job).await;
    assert_eq!(job.status, 201, "{}", job.text);
    let webhook = json!({"url": format!("https://{marker}.example/hook"), "name": marker});
    let webhook = lab.rest(Method::POST, "/v1/webhooks", Some(&text), webhook).await;
    assert_eq!(webhook.status, 200, "{}", webhook.text);
    let webhook = webhook.json().pointer("/webhook/id").or(webhook.json().get("id")).cloned().unwrap();
    let ids = json!({
        "webhook": webhook,
        "agent": device.id, "printer": printer, "job": job.json()["job"]["id"], "key": key["id"], "user": user["id"],
        "enrolment": enrolment["id"],
    });
    let Value::Object(ids) = ids else { panic!() };
    Account { ids, key: text, _link: link }
}

/// Everything of an account that its own administrator sees.
async fn seen(lab: &Lab, key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["agents", "printers", "jobs", "users", "keys", "enrolments", "audit", "limits"] {
        let mut answer = lab.get(&format!("/v1/{path}"), key).await.json();
        // What only time changes.
        strip(&mut answer, &["last_seen_ms", "rtt_ms", "last_used_ms", "connections"]);
        all.push(answer);
    }
    all
}

fn strip(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|name, _| !names.contains(&name.as_str()));
            map.values_mut().for_each(|value| strip(value, names));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| strip(value, names)),
        _ => {}
    }
}

/// Parameters that a schema takes, with these ids wherever an id is asked for. With `optional`, also every id that may be left out.
fn params(schema: &Value, ids: &Map<String, Value>, optional: bool) -> Map<String, Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut params = Map::new();
    for (name, property) in properties {
        let needed = required.iter().any(|field| *field == json!(name));
        match ids.get(&name) {
            Some(id) if needed || optional => drop(params.insert(name, id.clone())),
            None if needed => drop(params.insert(name, sample(&property, ids))),
            _ => {}
        }
    }
    params
}

fn sample(schema: &Value, ids: &Map<String, Value>) -> Value {
    if let Some(first) = ["oneOf", "anyOf"].iter().find_map(|of| schema[*of].get(0)) {
        return sample(first, ids);
    }
    if let Some(one) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return one.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("string");
    match kind {
        "object" => Value::Object(params(schema, ids, false)),
        "array" => json!([]),
        "integer" | "number" => {
            schema.get("minimum").cloned().filter(|least| *least != json!(0)).unwrap_or(json!(1))
        }
        "boolean" => json!(false),
        "null" => Value::Null,
        _ if schema["format"] == "uuid" => json!(Uuid::from_u128(7)),
        _ if schema.get("pattern").is_some() => json!("0".repeat(64)),
        _ => json!("xx"),
    }
}

/// One who spies.
struct Spy {
    what: String,
    scope: usize,
    key: String,
    app: App,
}

async fn over_rest(lab: &Lab, spy: &Spy, method: &ApiMethod, params: &Map<String, Value>) -> Option<Answer> {
    let (verb, path) = method.rest?;
    let mut rest = params.clone();
    let mut filled = path.to_owned();
    for (name, value) in params {
        let hole = format!("{{{name}}}");
        if filled.contains(&hole) {
            filled = filled.replace(&hole, value.as_str().unwrap());
            rest.remove(name);
        }
    }
    let verb: Method = verb.parse().unwrap();
    let mut body = Value::Object(rest.clone());
    if verb == Method::GET {
        let pairs = rest.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        filled = format!("{filled}?{query}");
        body = Value::Null;
    }
    Some(lab.rest(verb, &filled, Some(&spy.key), body).await)
}

/// The answer with `id`s taken out, so that two can be compared.
fn without_ids(answer: &str, ids: &Map<String, Value>) -> String {
    ids.values().fold(answer.to_owned(), |text, id| text.replace(id.as_str().unwrap(), "ID"))
}

#[tokio::test]
async fn nothing_of_one_account_is_visible_to_another() {
    let lab = Lab::start_with(|raw| {
        raw.limits.requests_per_s = Some(0);
    })
    .await;
    let alpha = account(&lab, "default", SECRET).await;
    let bravo = account(&lab, "bravo", "bravo").await;
    let before = seen(&lab, &alpha.key).await;
    let unknown: Map<String, Value> =
        alpha.ids.keys().map(|name| (name.clone(), json!(Uuid::now_v7()))).collect();

    let mut spies = Vec::new();
    for (scope, name) in ["read", "submit", "operate", "admin"].iter().enumerate() {
        let made = json!({"account": "bravo", "name": name, "scope": name});
        let key = lab.admin("key.create", made).await["key"].as_str().unwrap().to_owned();
        spies.push((format!("key of scope {name}"), scope, key));
    }
    for (scope, role) in ["viewer", "submitter", "operator", "owner"].iter().enumerate() {
        let user = json!({"account": "bravo", "name": role, "role": role, "password": PASSWORD});
        lab.admin("user.create", user).await;
        let signed_in = json!({"account": "bravo", "user": role, "password": PASSWORD});
        let key = lab.rest(Method::POST, "/v1/sign-in", None, signed_in).await.json();
        spies.push((format!("user, {role}"), scope, key["key"].as_str().unwrap().to_owned()));
    }

    let mut compared = 0;
    for (what, scope, key) in spies {
        let app = App::connect(&lab, &key).await;
        let mut spy = Spy { what, scope, key, app };
        // What ends the spy's own access comes last, so that everything is asked for before.
        for method in api_methods() {
            compared += spy_with(&lab, &mut spy, &method, &alpha.ids, &unknown).await;
        }
        assert!(!spy.app.heard().contains(SECRET), "{}: {}", spy.what, spy.app.heard());
    }
    assert!(compared > 100, "only {compared} answers were compared");
    assert_eq!(seen(&lab, &alpha.key).await, before, "something of the other account was changed");
    assert_eq!(lab.get("/v1/me", &bravo.key).await.status, 200);
}

/// Asks one method with foreign and with unknown ids at both doors; how many pairs of answers were compared.
async fn spy_with(
    lab: &Lab,
    spy: &mut Spy,
    method: &ApiMethod,
    foreign: &Map<String, Value>,
    unknown: &Map<String, Value>,
) -> usize {
    let mut compared = 0;
    let allowed = spy.scope >= method.scope as usize;
    for optional in [false, true] {
        let with = |ids| params(&method.params, ids, optional);
        let names_ids = with(foreign) != with(unknown);
        let mut answers = Vec::new();
        for ids in [foreign, unknown] {
            let params = with(ids);
            let rpc = spy.app.call(method.name, Value::Object(params.clone())).await;
            let refused = rpc.as_ref().err().map(|problem| problem["status"].clone());
            let at = format!("{} by {} with {params:?}: {rpc:?}", method.name, spy.what);
            // What is not allowed is refused before anything is looked at; what is allowed never for lack of scope.
            let lacks_scope = rpc.as_ref().err().is_some_and(|problem| {
                problem["status"] == 403 && problem["detail"].as_str().unwrap().contains("this needs `")
            });
            assert_eq!(lacks_scope, !allowed, "{at}");
            let text = rpc.map_or_else(|problem| problem.to_string(), |result| result.to_string());
            assert!(!text.contains(SECRET), "{at}");
            let rest = over_rest(lab, spy, method, &params).await;
            if let Some(rest) = &rest {
                assert!(!rest.text.contains(SECRET), "{at}: {}", rest.text);
                assert_eq!(rest.status == 403 && rest.text.contains("this needs `"), !allowed, "{at}");
                if names_ids && let Some(refused) = &refused {
                    assert_eq!(json!(rest.status.as_u16()), *refused, "{at}: {}", rest.text);
                }
            }
            if names_ids {
                let all: Map<String, Value> =
                    ids.iter().map(|(name, id)| (name.clone(), id.clone())).collect();
                let rest = rest.map(|rest| (rest.status, without_ids(&rest.text, &all)));
                answers.push((without_ids(&text, &all), rest, at));
            }
        }
        if let [one, other] = answers.as_slice() {
            assert_eq!((&one.0, &one.1), (&other.0, &other.1), "{}", one.2);
            compared += 1;
        }
    }
    compared
}
