//! What each method may answer by REST.

use std::collections::BTreeMap;

use inkwire_protocol::app::{Problem, ProblemKind, method};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::super::table::{METHODS, Method, Place, Verb};
use super::super::{sign_in, stream};

/// Problems of every method: who asks, what is asked for, and how the broker is.
const ALWAYS: &[ProblemKind] = &[
    ProblemKind::InvalidRequest,
    ProblemKind::InvalidParams,
    ProblemKind::Unauthenticated,
    ProblemKind::Forbidden,
    ProblemKind::NotFound,
    ProblemKind::Busy,
    ProblemKind::Internal,
    ProblemKind::Draining,
];
/// And of methods that have a body or change something.
const CHANGING: &[ProblemKind] = &[ProblemKind::Parse, ProblemKind::Conflict, ProblemKind::TooLarge];
/// And of those that bring a document.
const BRINGING: &[ProblemKind] = &[
    ProblemKind::IdempotencyConflict,
    ProblemKind::UnsupportedFormat,
    ProblemKind::DigestMismatch,
    ProblemKind::TooSlow,
    ProblemKind::QuotaExceeded,
    ProblemKind::StorageFull,
];

/// All answers of a method, by status.
pub(super) fn responses(method: &Method, place: Place, generator: &mut SchemaGenerator) -> Value {
    let result = (method.result)(generator);
    let good = |what: &str| json!({"description": what, "content": {"application/json": {"schema": result}}});
    let mut responses = Map::new();
    if method.name == method::JOBS_CREATE {
        let location = json!({"description": "the job", "required": true, "schema": {"type": "string", "pattern": "^/v1/jobs/"}});
        for (status, what) in [
            ("201", "accepted: job and document are on stable storage"),
            ("200", "the same job as before, by its idempotency key"),
        ] {
            let mut answer = good(what);
            answer["headers"] = json!({"Location": location});
            responses.insert(status.to_owned(), answer);
        }
    } else if method.name == method::DOCUMENTS_GET {
        let bytes = json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
        for (status, what) in [
            ("200", "the document, with its own type"),
            ("206", "the part that `Range` asked for"),
            ("304", "still what `If-None-Match` names"),
            ("416", "no byte of the document is in `Range`"),
        ] {
            responses.insert(status.to_owned(), json!({"description": what, "content": bytes}));
        }
    } else {
        responses.insert("200".to_owned(), good("done"));
    }
    let mut problems: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let changing: &[_] = if place.verb == Verb::Get { &[] } else { CHANGING };
    let bringing: &[_] = match method.name {
        method::JOBS_CREATE => BRINGING,
        method::JOBS_REPRINT | method::PRINTERS_TEST_PAGE => BRINGING,
        method::EVENTS_LIST => &[ProblemKind::CannotResume],
        method::DOCUMENTS_GET => &[ProblemKind::Conflict],
        _ => &[],
    };
    for kind in ALWAYS.iter().chain(changing).chain(bringing) {
        problems.entry(kind.status()).or_default().push(kind.keyword());
    }
    for (status, keywords) in problems {
        responses.insert(status.to_string(), told(status, &keywords));
    }
    Value::Object(responses)
}

/// The answer that a status stands for, with the kinds of problems that have it.
fn told(status: u16, keywords: &[&str]) -> Value {
    let named: Vec<String> = keywords.iter().map(|keyword| format!("`{keyword}`")).collect();
    let mut answer = json!({
        "description": named.join(", "),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    match status {
        401 => {
            let challenge =
                json!({"description": "how to sign in", "required": true, "schema": {"type": "string"}});
            answer["headers"] = json!({"WWW-Authenticate": challenge});
        }
        429 | 503 | 507 => {
            let wait = json!({"description": "seconds", "schema": {"type": "integer", "minimum": 0}});
            answer["headers"] = json!({"Retry-After": wait});
        }
        _ => {}
    }
    answer
}

/// The one shape of problems, which no method's result brings into the document.
pub(super) fn problem(generator: &mut SchemaGenerator) -> Value {
    let schema = generator.subschema_for::<Problem>();
    json!({
        "description": "what is wrong, and the remedy (RFC 9457)",
        "content": {"application/problem+json": {"schema": schema}},
    })
}

/// Signing in and out, and the keys that tokens are checked by: for people without a key, so outside of the table.
fn signing_in(generator: &mut SchemaGenerator) -> [(String, Value); 3] {
    let [asked, signed_in, key] = sign_in::shapes(generator);
    let answers = |good: Value, problems: &[ProblemKind]| {
        let mut responses = Map::from_iter([("200".to_owned(), good)]);
        for kind in problems.iter().chain(ALWAYS) {
            let status = kind.status();
            responses.entry(status.to_string()).or_insert_with(|| told(status, &[kind.keyword()]));
        }
        Value::Object(responses)
    };
    let json = |what: &str, schema: Value| json!({"description": what, "content": {"application/json": {"schema": schema}}});
    let body = json!({"required": true, "content": {"application/json": {"schema": asked}}});
    let cookie = |what: &str| json!({"Set-Cookie": {"description": what, "schema": {"type": "string"}}});
    let mut begun = json("signed in, with a cookie that scripts cannot read", signed_in.clone().to_value());
    begun["headers"] = cookie("the session");
    let mut ended = json("signed out", json!({"type": "object"}));
    ended["headers"] = cookie("takes the session away");
    let security = json!([{"session": []}]);
    let session = json!({
        "post": {
            "operationId": "session.begin", "tags": ["session"], "security": [], "requestBody": body,
            "summary": "Signs a person in for a browser: by a one-time link, or by user and password.",
            "responses": answers(begun, CHANGING),
        },
        "get": {
            "operationId": "session.look", "tags": ["session"], "security": security,
            "summary": "Who is signed in by the cookie.",
            "responses": answers(json("signed in", signed_in.to_value()), &[]),
        },
        "delete": {
            "operationId": "session.end", "tags": ["session"], "security": security,
            "summary": "Signs out: what the session has open is closed.",
            "responses": answers(ended, &[]),
        },
    });
    let for_a_key = json!({"post": {
        "operationId": "session.key", "tags": ["session"], "security": [], "requestBody": body,
        "summary": "Signs a person in for a shell: the answer is an API key of their own, shown once.",
        "responses": answers(json("signed in", key.to_value()), CHANGING),
    }});
    let keys = json!({"type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "items": {"type": "object"}}}});
    let jwks = json!({"get": {
        "operationId": "session.jwks", "tags": ["session"], "security": [],
        "summary": "The public keys of access tokens (RFC 7517).",
        "responses": {"200": json("the keys", keys)},
    }});
    [
        ("/v1/session".to_owned(), session),
        ("/v1/sign-in".to_owned(), for_a_key),
        ("/.well-known/jwks.json".to_owned(), jwks),
    ]
}

/// What stands beside the table.
pub(super) fn beside(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let plain =
        |what: &str| json!({"description": what, "content": {"text/plain": {"schema": {"type": "string"}}}});
    let probe = |id: &str, summary: &str, responses: Value| json!({"get": {"operationId": id, "summary": summary, "security": [], "responses": responses}});
    let ready =
        json!({"200": plain("ready"), "500": told(500, &["internal"]), "503": told(503, &["draining"])});
    let mut paths = Map::from_iter([
        (
            "/healthz".to_owned(),
            probe("healthz", "Whether the process answers.", json!({"200": plain("ok")})),
        ),
        (stream::PATH.to_owned(), streamed()),
        ("/readyz".to_owned(), probe("readyz", "Whether new work is taken and the store answers.", ready)),
    ]);
    paths.extend(signing_in(generator));
    paths
}

/// Server-Sent Events: an answer without an end. Its parameters are those of `events.list` without `limit`.
fn streamed() -> Value {
    let list = METHODS.iter().find(|method| method.name == method::EVENTS_LIST);
    let asked = list.map(super::parameters).unwrap_or_default();
    let asked = asked.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let position = asked.get("after").cloned().unwrap_or_default();
    let mut parameters: Vec<Value> = asked
        .into_iter()
        .filter(|(name, _)| name != "limit")
        .map(|(name, schema)| super::parameter(&name, "query", false, &super::schemas::in_query(schema)))
        .collect();
    let last = super::schemas::in_query(position);
    parameters.push(super::parameter("Last-Event-ID", "header", false, &last));
    let mut responses = Map::new();
    let good = json!({"description": "events as they come (docs/events.md); the stream does not end by itself", "content": {"text/event-stream": {"schema": {"type": "string"}}}});
    responses.insert("200".to_owned(), good);
    for kind in ALWAYS {
        responses.entry(kind.status().to_string()).or_insert_with(|| told(kind.status(), &[kind.keyword()]));
    }
    json!({"get": {
        "operationId": "events.stream",
        "summary": "The account's events as Server-Sent Events.",
        "description": "Needs scope `read`. Without a position it begins now; where the log does not reach back to it, the first event is `cannot_resume`.",
        "tags": ["events"],
        "parameters": parameters,
        "responses": responses,
    }})
}
