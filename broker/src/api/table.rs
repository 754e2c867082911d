//! Every method of the API, by name: what it needs, where it stands in REST, and who answers it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use inkwire_protocol::app::{Problem, ProblemKind, Scope, method};
use inkwire_protocol::message::clip;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::methods::{
    agents, audit, documents, enrolments, events, jobs, keys, limits, me, pairings, printers, session, stats,
    users, webhooks,
};
use super::rpc::Connection;
use super::{Api, shapes};
use crate::auth::Caller;
use crate::clock::now_ms;
use crate::jobs::Submitter;
use crate::store::{Change, NewAudit};

/// What a method is called with, besides its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) api: Arc<Api>,
    pub(crate) caller: Caller,
    /// The WebSocket, where the call came by one: uploads and subscriptions live on it.
    pub(crate) connection: Option<Arc<Connection>>,
    /// Where the caller is, as far as the broker sees.
    pub(crate) peer: SocketAddr,
}

impl Context {
    /// An entry of the audit log: commit it together with the administrative change that it is about. `action` is the method's
    /// name, `target` kind and id (`key:ID`), `detail` what else is worth knowing and never a secret.
    pub(crate) fn audit(&self, action: &'static str, target: impl Into<String>, detail: Value) -> Change {
        Change::Audit(Box::new(NewAudit {
            account: self.caller.account,
            at_ms: now_ms(),
            who: self.caller.principal.label(),
            who_name: self.caller.principal.name().to_owned(),
            address: Some(self.peer.ip()),
            action,
            target: target.into(),
            detail,
        }))
    }

    /// For whom a job is submitted, with the account's quotas.
    pub(crate) async fn submitter(&self) -> Result<Submitter, Problem> {
        let account = self.caller.account;
        Ok(Submitter { account, quotas: self.api.auth.quotas(account).await? })
    }

    /// Counts and logs what is refused.
    pub(super) fn refused(&self, name: &str, problem: &Problem) {
        let kind = problem.kind().unwrap_or(ProblemKind::Internal);
        self.api.sessions.counters.refused(kind);
        // The detail may quote what was wrong, and that may be a secret in the wrong place: then the log names the place.
        let quotes = matches!(kind, ProblemKind::InvalidParams | ProblemKind::InvalidRequest);
        let place = problem.pointer.as_deref().unwrap_or_default();
        let detail = clip(if quotes { place } else { &problem.detail });
        let (who, problem) = (self.caller.principal.label(), kind.keyword());
        tracing::info!(who, method = clip(name), problem, detail, "request refused");
    }

    /// The WebSocket that the method needs; `what` says for what.
    pub(crate) fn connection(&self, what: &str) -> Result<&Arc<Connection>, Problem> {
        self.connection.as_ref().ok_or_else(|| {
            ProblemKind::InvalidRequest.because(format!("{what} needs a WebSocket: open one at /v1/app"))
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, Problem>> + Send>>;

/// The HTTP verb of a method that REST has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Reads: parameters that the path does not carry are in the query.
    Get,
    /// Acts: they are in a JSON body.
    Post,
    /// Changes what is there: likewise.
    Patch,
    /// Takes away: nothing but the path.
    Delete,
}

/// Where a method stands in REST.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) verb: Verb,
    /// As axum and OpenAPI write it; `{name}` is the parameter of this name.
    pub(crate) path: &'static str,
    /// Answered by a handler of its own in `rest`; otherwise by the general one.
    pub(crate) special: bool,
}

/// A method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) summary: &'static str,
    /// The least scope that may call it.
    pub(crate) scope: Scope,
    /// Nowhere: it needs a WebSocket.
    pub(crate) rest: Option<Place>,
    pub(crate) params: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) result: fn(&mut SchemaGenerator) -> Schema,
    call: fn(Context, Value) -> Answer,
}

macro_rules! place {
    (-) => {
        None
    };
    ($verb:ident $path:literal) => {
        Some(Place { verb: Verb::$verb, path: $path, special: false })
    };
    ($verb:ident $path:literal special) => {
        Some(Place { verb: Verb::$verb, path: $path, special: true })
    };
}

/// One entry a method: a line for people, its name, its scope, its place in REST, and the function that takes a [`Context`] and its
/// parameters. The shapes of parameters and answer are the function's.
macro_rules! methods {
    ($(#[doc = $summary:literal] $name:expr, $scope:ident, ($($place:tt)*), $handler:path;)*) => {
        /// All methods.
        pub(crate) static METHODS: &[Method] = &[$(
            Method {
                name: $name,
                summary: $summary,
                scope: Scope::$scope,
                rest: place!($($place)*),
                params: |generator| params_of(&$handler, generator),
                result: |generator| result_of(&$handler, generator),
                call: |context, params| Box::pin(async move { answer($handler(context, read(params)?).await?) }),
            },
        )*];
    };
}

methods! {
    /// Who the request speaks for.
    method::ME, Read, (Get "/v1/me"), me::me;
    /// A sign of life, for those who cannot send a WebSocket ping.
    method::PING, Read, (-), me::ping;
    /// All agents of the account.
    method::AGENTS_LIST, Read, (Get "/v1/agents"), agents::list;
    /// One agent, with where it was seen before.
    method::AGENTS_GET, Read, (Get "/v1/agents/{agent}"), agents::get;
    /// The sessions of an agent, newest first.
    method::AGENTS_SESSIONS, Read, (Get "/v1/agents/{agent}/sessions"), agents::sessions;
    /// Gives an agent another name.
    method::AGENTS_RENAME, Operate, (Patch "/v1/agents/{agent}"), agents::rename;
    /// Shuts an agent out for good: its jobs end, or become uncertain where it may have printed them.
    method::AGENTS_REVOKE, Operate, (Post "/v1/agents/{agent}/revoke"), agents::revoke;
    /// Ends the quarantine of an agent whose identity two PCs used.
    method::AGENTS_RELEASE, Operate, (Post "/v1/agents/{agent}/release"), agents::release;
    /// All printers of the account.
    method::PRINTERS_LIST, Read, (Get "/v1/printers"), printers::list;
    /// One printer: what it can, how it is, and what is set for it.
    method::PRINTERS_GET, Read, (Get "/v1/printers/{printer}"), printers::get;
    /// Changes a printer's name, default options and policies.
    method::PRINTERS_UPDATE, Operate, (Patch "/v1/printers/{printer}"), printers::update;
    /// Prints a test page in a format that the printer takes.
    method::PRINTERS_TEST_PAGE, Submit, (Post "/v1/printers/{printer}/test_page"), printers::test_page;
    /// Submits a document to a printer.
    method::JOBS_CREATE, Submit, (Post "/v1/jobs" special), jobs::create;
    /// One job, with what happened to it.
    method::JOBS_GET, Read, (Get "/v1/jobs/{job}"), jobs::get;
    /// A page of jobs, newest first.
    method::JOBS_LIST, Read, (Get "/v1/jobs"), jobs::list;
    /// Cancels a job, or asks its agent to.
    method::JOBS_CANCEL, Submit, (Post "/v1/jobs/{job}/cancel"), jobs::cancel;
    /// Keeps a job from being printed until it is released.
    method::JOBS_HOLD, Submit, (Post "/v1/jobs/{job}/hold"), jobs::hold;
    /// Lets a held job go on.
    method::JOBS_RELEASE, Submit, (Post "/v1/jobs/{job}/release"), jobs::release;
    /// Says what became of a job whose outcome is not known.
    method::JOBS_DECIDE, Submit, (Post "/v1/jobs/{job}/decide"), jobs::decide;
    /// Gives a job that is not with its agent yet another place in the queue.
    method::JOBS_SET_PRIORITY, Submit, (Post "/v1/jobs/{job}/set_priority"), jobs::set_priority;
    /// Prints the document of an earlier job again, as a new job.
    method::JOBS_REPRINT, Submit, (Post "/v1/jobs/{job}/reprint"), jobs::reprint;
    /// What was submitted with a job, while it is kept.
    method::DOCUMENTS_GET, Read, (Get "/v1/jobs/{job}/document" special), documents::get;
    /// The last 24 hours in numbers, and what waits for a human.
    method::STATS_SUMMARY, Read, (Get "/v1/stats"), stats::summary;
    /// Takes up an upload that was cut off.
    method::JOBS_RESUME_UPLOAD, Submit, (-), jobs::resume_upload;
    /// Ends an upload: its answer says "accepted".
    method::JOBS_FINISH_UPLOAD, Submit, (-), jobs::finish_upload;
    /// Replays the account's events after an offset, then follows.
    method::EVENTS_SUBSCRIBE, Read, (-), events::subscribe;
    /// A page of the account's events, oldest first.
    method::EVENTS_LIST, Read, (Get "/v1/events"), events::list;
    /// The account's webhooks.
    method::WEBHOOKS_LIST, Operate, (Get "/v1/webhooks"), webhooks::list;
    /// One webhook, with what its last request came to.
    method::WEBHOOKS_GET, Operate, (Get "/v1/webhooks/{webhook}"), webhooks::get;
    /// Has events sent to a URL; the answer shows the secret once.
    method::WEBHOOKS_CREATE, Admin, (Post "/v1/webhooks"), webhooks::create;
    /// Changes a webhook, enables or disables it.
    method::WEBHOOKS_UPDATE, Admin, (Patch "/v1/webhooks/{webhook}"), webhooks::update;
    /// Ends a webhook.
    method::WEBHOOKS_DELETE, Admin, (Delete "/v1/webhooks/{webhook}"), webhooks::delete;
    /// Sends an event that is about nothing, once.
    method::WEBHOOKS_TEST, Admin, (Post "/v1/webhooks/{webhook}/test"), webhooks::test;
    /// The last requests to a webhook, newest first.
    method::WEBHOOKS_DELIVERIES, Operate, (Get "/v1/webhooks/{webhook}/deliveries"), webhooks::deliveries;
    /// Sends the event of an earlier request once more.
    method::WEBHOOKS_REDELIVER, Admin, (Post "/v1/webhooks/{webhook}/redeliver"), webhooks::redeliver;
    /// Makes a new secret; the old one goes on signing for a day.
    method::WEBHOOKS_ROTATE_SECRET, Admin, (Post "/v1/webhooks/{webhook}/rotate_secret"), webhooks::rotate_secret;
    /// What waits for approval under a pairing code.
    method::PAIRINGS_SHOW, Operate, (Post "/v1/pairings/show"), pairings::show;
    /// Takes an agent into the account.
    method::PAIRINGS_APPROVE, Operate, (Post "/v1/pairings/approve"), pairings::approve;
    /// Sends an agent that asks to be paired away.
    method::PAIRINGS_REFUSE, Operate, (Post "/v1/pairings/refuse"), pairings::refuse;
    /// Makes a short-lived access token (JWT) that may do no more than its maker.
    method::SESSION_TOKEN, Read, (Post "/v1/tokens"), session::token;
    /// Makes a one-time ticket with which a page opens one WebSocket.
    method::SESSION_TICKET, Read, (Post "/v1/tickets"), session::ticket;
    /// Changes the signed-in person's own password.
    method::SESSION_SET_PASSWORD, Read, (Post "/v1/session/password"), session::set_password;
    /// All people of the account.
    method::USERS_LIST, Admin, (Get "/v1/users"), users::list;
    /// Makes a person.
    method::USERS_CREATE, Admin, (Post "/v1/users"), users::create;
    /// Changes a person's name or role, keeps them out or lets them in.
    method::USERS_UPDATE, Admin, (Patch "/v1/users/{user}"), users::update;
    /// Sets or takes away a person's password; they are signed out.
    method::USERS_SET_PASSWORD, Admin, (Post "/v1/users/{user}/password"), users::set_password;
    /// Removes a person with everything they have open.
    method::USERS_REMOVE, Admin, (Delete "/v1/users/{user}"), users::remove;
    /// Makes a one-time sign-in link for a person.
    method::USERS_LINK, Admin, (Post "/v1/users/{user}/link"), users::link;
    /// A page of API keys, newest first, without their secrets.
    method::KEYS_LIST, Admin, (Get "/v1/keys"), keys::list;
    /// Makes an API key; its secret is shown only now.
    method::KEYS_CREATE, Admin, (Post "/v1/keys"), keys::create;
    /// Ends an API key; connections that use it are closed.
    method::KEYS_REVOKE, Admin, (Delete "/v1/keys/{key}"), keys::revoke;
    /// Enrolment tokens of the last day, without their secrets.
    method::ENROLMENTS_LIST, Operate, (Get "/v1/enrolments"), enrolments::list;
    /// Makes a one-use token that pairs an agent without asking.
    method::ENROLMENTS_CREATE, Operate, (Post "/v1/enrolments"), enrolments::create;
    /// Ends an enrolment token that was not used.
    method::ENROLMENTS_REVOKE, Operate, (Delete "/v1/enrolments/{enrolment}"), enrolments::revoke;
    /// A page of administrative acts, newest first.
    method::AUDIT_LIST, Admin, (Get "/v1/audit"), audit::list;
    /// What the account may use, and uses.
    method::LIMITS_GET, Read, (Get "/v1/limits"), limits::get;
    /// Lowers what the account may use, or raises it up to the broker's own bounds.
    method::LIMITS_SET, Admin, (Patch "/v1/limits"), limits::set;
}

/// The method of this name.
pub(crate) fn named(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Calls a method by its name. What is refused is counted and logged.
pub(crate) async fn call(context: Context, name: &str, params: Value) -> Result<Value, Problem> {
    context.api.calls.called(name);
    let asked = context.clone();
    let answered = answer_to(context, name, params).await;
    answered.inspect_err(|problem| asked.refused(name, problem))
}

async fn answer_to(context: Context, name: &str, params: Value) -> Result<Value, Problem> {
    let method = named(name)
        .ok_or_else(|| ProblemKind::UnknownMethod.because(format!("there is no method `{name}`")))?;
    context.caller.must(method.scope)?;
    shapes::check(method, &params)?;
    (method.call)(context, params).await
}

/// For methods that have nothing to say.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gone {}

/// For methods that take nothing.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

fn params_of<P, R, F, A>(_: &F, generator: &mut SchemaGenerator) -> Schema
where
    P: JsonSchema,
    F: Fn(Context, P) -> A,
    A: Future<Output = Result<R, Problem>>,
{
    generator.subschema_for::<P>()
}

fn result_of<P, R, F, A>(_: &F, generator: &mut SchemaGenerator) -> Schema
where
    R: JsonSchema,
    F: Fn(Context, P) -> A,
    A: Future<Output = Result<R, Problem>>,
{
    generator.subschema_for::<R>()
}

fn answer(result: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(result).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        ProblemKind::Internal.because("the answer could not be written: see the broker's log")
    })
}

/// Reads parameters; what is wrong is named.
pub(crate) fn read<P: DeserializeOwned>(params: Value) -> Result<P, Problem> {
    let params = if params.is_null() { Value::Object(serde_json::Map::new()) } else { params };
    if !params.is_object() {
        return Err(ProblemKind::InvalidParams.because("the parameters must be an object"));
    }
    let params = whole_numbers(params);
    if let Some(number) = too_large_number(&params) {
        let detail =
            format!("{number} is larger than {MAX_INTEGER}, the largest number that every client can write");
        return Err(ProblemKind::InvalidParams.because(detail));
    }
    serde_json::from_value(params).map_err(|error| {
        let text = error.to_string();
        let problem = ProblemKind::InvalidParams.because(&text);
        match named_field(&text) {
            Some(field) => problem.at(format!("/{field}")),
            None => problem,
        }
    })
}

/// The largest whole number of the API, 2^53 - 1: what JavaScript counts exactly, and the store's integers hold.
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

/// `5.0` is the number 5, as JSON Schema has it, however a client writes it.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && (0.0..=MAX_INTEGER as f64).contains(&float) => {
                Value::from(float as u64)
            }
            Some(_) | None => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn too_large_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().filter(|&number| number > MAX_INTEGER),
        Value::Array(items) => items.iter().find_map(too_large_number),
        Value::Object(fields) => fields.values().find_map(too_large_number),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// The field that serde's message is about, for the pointer.
fn named_field(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("missing field `"))?;
    let (field, _) = rest.split_once('`')?;
    let plain = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    plain.then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::app::{JobCreate, JobList, JobRef};
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_parameters_is_named() {
        let unknown =
            read::<JobRef>(json!({"job": "01890a5d-ac96-774b-bcce-b302099a8057", "colour": 1})).unwrap_err();
        assert_eq!((unknown.status, unknown.pointer.as_deref()), (400, Some("/colour")));
        let missing = read::<JobCreate>(Value::Null).unwrap_err();
        assert_eq!(missing.pointer.as_deref(), Some("/printer"));
        assert!(read::<JobRef>(json!([1])).unwrap_err().detail.contains("object"));
        let list = read::<inkwire_protocol::app::JobList>(json!({"limit": 5.0})).unwrap();
        assert_eq!(list.limit, Some(5));
        assert!(read::<inkwire_protocol::app::JobList>(json!({"limit": 5.5})).is_err());
        assert!(read::<Nothing>(json!({"x": 1})).is_err());
        let list = |before: u64| read::<JobList>(json!({"before": before}));
        assert!(list(MAX_INTEGER).is_ok() && list(MAX_INTEGER + 1).is_err());
        assert!(read::<Nothing>(Value::Null).is_ok());
    }

    #[test]
    fn names_and_places_are_unique() {
        for (at, method) in METHODS.iter().enumerate() {
            assert!(METHODS[..at].iter().all(|before| before.name != method.name), "{}", method.name);
            let Some(place) = method.rest else { continue };
            let taken = |before: &Method| {
                before.rest.is_some_and(|other| (other.verb, other.path) == (place.verb, place.path))
            };
            assert!(!METHODS[..at].iter().any(taken), "{}", place.path);
        }
    }
}
