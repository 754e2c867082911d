//! Requests, answers and the one shape of errors.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::State;

/// A JSON-RPC 2.0 request or notification (without `id`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RpcRequest {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// A number or a string, echoed in the answer; none in a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// The method, such as `jobs.create`.
    pub method: String,
    /// An object; may be left out where nothing is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// A JSON-RPC 2.0 answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RpcResponse {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// The request's id, null where it could not be read.
    pub id: Value,
    /// The result, where it went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// A JSON-RPC 2.0 error; `data` is the same problem object (RFC 9457) that REST gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RpcError {
    /// A JSON-RPC code: -32700 to -32600 where the standard has one, -32000 minus the HTTP status otherwise.
    pub code: i64,
    /// The problem's title and detail in one line.
    pub message: String,
    /// The problem.
    pub data: Problem,
}

/// A problem (RFC 9457), the one shape of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A stable URN: `urn:inkwire:problem:` and the kind's keyword.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence: names the thing and the remedy.
    pub detail: String,
    /// The parameter at fault, as a JSON Pointer, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// When to try again, for `busy` and `storage-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Where the job stands, for `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $name:ident = $keyword:literal, $status:literal, $rpc:literal, $title:literal;)*) => {
        /// Every kind of problem that the API answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $name,)* }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The last part of the type URN.
            pub const fn keyword(self) -> &'static str { match self { $(Self::$name => $keyword,)* } }
            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }
            /// The JSON-RPC code.
            pub const fn rpc_code(self) -> i64 { match self { $(Self::$name => $rpc,)* } }
            /// The title.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

problem_kinds! {
    /// Not JSON.
    Parse = "parse-error", 400, -32700, "the message is not JSON";
    /// JSON, but no JSON-RPC request.
    InvalidRequest = "invalid-request", 400, -32600, "the message is not a JSON-RPC 2.0 request";
    /// No such method or path.
    UnknownMethod = "unknown-method", 404, -32601, "there is no such method";
    /// Parameters missing, of the wrong type, out of range or unknown.
    InvalidParams = "invalid-params", 400, -32602, "a parameter is not valid";
    /// The broker failed; the log of the broker says why.
    Internal = "internal", 500, -32603, "the broker failed";
    /// No key or token, or one that is not valid (any more).
    Unauthenticated = "unauthenticated", 401, -32401, "not signed in";
    /// The key or role may not do this.
    Forbidden = "forbidden", 403, -32403, "not allowed";
    /// No such thing, or not in this account.
    NotFound = "not-found", 404, -32404, "no such thing in this account";
    /// The thing is in a state in which this is not possible.
    Conflict = "conflict", 409, -32409, "not possible in this state";
    /// The idempotency key was used for something else.
    IdempotencyConflict = "idempotency-conflict", 409, -32410, "the idempotency key was used for another job";
    /// The document came too slowly, or not at all for too long; nothing of it is kept.
    TooSlow = "too-slow", 408, -32408, "the document came too slowly";
    /// The log does not reach back to the position that was asked for, or it is another store's.
    CannotResume = "cannot-resume", 410, -32420, "events cannot be resumed there";
    /// Larger than the limit.
    TooLarge = "too-large", 413, -32413, "larger than the limit";
    /// The printer does not take the document's format.
    UnsupportedFormat = "unsupported-format", 415, -32415, "the printer does not take this format";
    /// The document is not what its digest says.
    DigestMismatch = "digest-mismatch", 422, -32422, "the document does not match its digest";
    /// Too many requests.
    Busy = "busy", 429, -32429, "too many requests";
    /// The account has used up what it may; the detail says what.
    QuotaExceeded = "quota-exceeded", 403, -32412, "the account has used up a quota";
    /// The broker is stopping; come back.
    Draining = "draining", 503, -32503, "the broker is restarting";
    /// The broker has no space for documents.
    StorageFull = "storage-full", 507, -32507, "the broker has no space for documents";
}

impl ProblemKind {
    /// A problem of this kind with its occurrence in words.
    pub fn because(self, detail: impl Into<String>) -> Problem {
        Problem {
            type_: format!("urn:inkwire:problem:{}", self.keyword()),
            title: self.title().to_owned(),
            status: self.status(),
            detail: detail.into(),
            pointer: None,
            retry_after_s: None,
            state: None,
        }
    }
}

impl Problem {
    /// The kind, where this version knows it.
    pub fn kind(&self) -> Option<ProblemKind> {
        let keyword = self.type_.strip_prefix("urn:inkwire:problem:")?;
        ProblemKind::ALL.iter().copied().find(|kind| kind.keyword() == keyword)
    }

    /// The same problem naming the parameter at fault.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}
