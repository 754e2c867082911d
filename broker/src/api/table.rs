//! Every method of the API, by name: what it needs and who answers it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use inkwire_protocol::app::{Problem, ProblemKind, Scope, method};
use inkwire_protocol::message::clip;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Api;
use super::methods::{agents, events, jobs, me, pairings, printers};
use super::rpc::Connection;
use crate::auth::Caller;

/// What a method is called with, besides its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) api: Arc<Api>,
    pub(crate) caller: Caller,
    /// The WebSocket, where the call came by one: uploads and subscriptions live on it.
    pub(crate) connection: Option<Arc<Connection>>,
}

impl Context {
    /// The WebSocket that the method needs; `what` says for what.
    pub(crate) fn connection(&self, what: &str) -> Result<&Arc<Connection>, Problem> {
        self.connection.as_ref().ok_or_else(|| {
            ProblemKind::InvalidRequest.because(format!("{what} needs a WebSocket: open one at /v1/app"))
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, Problem>> + Send>>;

/// A method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// The least scope that may call it.
    pub(crate) scope: Scope,
    call: fn(Context, Value) -> Answer,
}

/// One line a method: its name, its scope, and the function that takes a [`Context`] and its parameters.
macro_rules! methods {
    ($($name:expr, $scope:ident, $handler:path;)*) => {
        /// All methods.
        pub(crate) static METHODS: &[Method] = &[$(
            Method {
                name: $name,
                scope: Scope::$scope,
                call: |context, params| Box::pin(async move { answer($handler(context, read(params)?).await?) }),
            },
        )*];
    };
}

methods! {
    method::ME, Read, me::me;
    method::PING, Read, me::ping;
    method::AGENTS_LIST, Read, agents::list;
    method::AGENTS_GET, Read, agents::get;
    method::PRINTERS_LIST, Read, printers::list;
    method::JOBS_CREATE, Submit, jobs::create;
    method::JOBS_GET, Read, jobs::get;
    method::JOBS_LIST, Read, jobs::list;
    method::JOBS_CANCEL, Submit, jobs::cancel;
    method::JOBS_HOLD, Submit, jobs::hold;
    method::JOBS_RELEASE, Submit, jobs::release;
    method::JOBS_DECIDE, Submit, jobs::decide;
    method::JOBS_RESUME_UPLOAD, Submit, jobs::resume_upload;
    method::JOBS_FINISH_UPLOAD, Submit, jobs::finish_upload;
    method::EVENTS_SUBSCRIBE, Read, events::subscribe;
    method::PAIRINGS_SHOW, Admin, pairings::show;
    method::PAIRINGS_APPROVE, Admin, pairings::approve;
}

/// Calls a method by its name. What is refused is counted and logged.
pub(crate) async fn call(context: Context, name: &str, params: Value) -> Result<Value, Problem> {
    let (api, key) = (context.api.clone(), context.caller.key);
    let answered = answer_to(context, name, params).await;
    if let Err(problem) = &answered {
        let kind = problem.kind().unwrap_or(ProblemKind::Internal);
        api.sessions.counters.refused(kind);
        let (problem, detail) = (kind.keyword(), clip(&problem.detail));
        tracing::info!(%key, method = clip(name), problem, detail, "request refused");
    }
    answered
}

async fn answer_to(context: Context, name: &str, params: Value) -> Result<Value, Problem> {
    let found = METHODS.iter().find(|method| method.name == name);
    let method =
        found.ok_or_else(|| ProblemKind::UnknownMethod.because(format!("there is no method `{name}`")))?;
    context.caller.must(method.scope)?;
    (method.call)(context, params).await
}

/// For methods that take nothing.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

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
    serde_json::from_value(params).map_err(|error| {
        let text = error.to_string();
        let problem = ProblemKind::InvalidParams.because(&text);
        match named_field(&text) {
            Some(field) => problem.at(format!("/{field}")),
            None => problem,
        }
    })
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
    use inkwire_protocol::app::{JobCreate, JobRef};
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_parameters_is_named() {
        let unknown =
            read::<JobRef>(json!({"job": "01890a5d-ac96-774b-bcce-b302099a8057", "colour": 1})).unwrap_err();
        assert_eq!((unknown.status, unknown.pointer.as_deref()), (400, Some("/colour")));
        let missing = read::<JobCreate>(Value::Null).unwrap_err();
        assert_eq!(missing.pointer.as_deref(), Some("/printer"));
        assert!(read::<JobRef>(json!([1])).unwrap_err().detail.contains("object"));
        assert!(read::<Nothing>(json!({"x": 1})).is_err());
        assert!(read::<Nothing>(Value::Null).is_ok());
    }

    #[test]
    fn names_are_unique() {
        for (at, method) in METHODS.iter().enumerate() {
            assert!(METHODS[..at].iter().all(|before| before.name != method.name), "{}", method.name);
        }
    }
}
